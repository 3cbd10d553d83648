"""A refund takes back what its sale earned, once and from whoever has it, and no more."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.growth import growth_entry_id
from forecourt.ledger import commands as c
from forecourt.programs import Programs
from forecourt.rulings import split
from forecourt.stored_sales import Status, StoredSale
from functions.corrections import handler
from tests.functional.correcting import SMALL, asked, sell_to
from tests.functional.receipts import OFF, SNACK, receipt
from tests.functional.tiered import tiered
from tests.specimens import RECEIVED_AT, SALE, earned, sale

if TYPE_CHECKING:
    from forecourt.ledger.commands import Earn
    from tests.functional.http import Client, Reply
    from tests.functional.world import World

REFUND = {"document": "R-1", "refunded_at": "2026-11-23T09:00:00Z"}


@pytest.fixture
def sold(world: World) -> str:
    return sell_to(world, "m-1")


def refund(client: Client, sale_id: str, body: Any = REFUND, **named: Any) -> Reply:
    return client.post(f"/sales/{sale_id}/refunds", body, **named)


def test_a_refund_takes_back_what_the_sale_earned(manager: Client, sold: str, world: World) -> None:
    world.post(earned("m-1", 100))

    reply = refund(manager, sold)

    assert (reply.status, reply.body["kind"], reply.body["points"]) == (201, "reverse", -100)
    (entry, _) = world.statements.page("m-1", limit=9, after=None, entries_only=True).entries()
    assert (entry.source, entry.actor, entry.refers_to) == ("refund:R-1", "sub-manager", sold)
    assert world.loyalty.account("m-1").total == 0


def test_partial_refunds_add_up_to_exactly_what_was_earned(
    manager: Client, sold: str, world: World
) -> None:
    world.post(earned("m-1", 100))
    third = SALE.amount_fen // 3
    parts = (third, third, SALE.amount_fen - 2 * third)

    taken = [
        refund(manager, sold, {**REFUND, "document": f"R-{number}", "amount_fen": part}).body
        for number, part in enumerate(parts)
    ]

    assert sum(each["points"] for each in taken) == -100
    over = refund(manager, sold, {**REFUND, "document": "R-9", "amount_fen": 1})
    assert over.code == "over_reversed"


def test_a_refund_of_what_is_spent_is_owed(manager: Client, sold: str, world: World) -> None:
    world.post(earned("m-1", 100))
    asked(manager, {**SMALL, "points": -80})

    refund(manager, sold)

    account = world.loyalty.account("m-1")
    assert (account.total, account.debt) == (0, 80)


def test_a_refund_document_has_one_effect_under_any_key(
    manager: Client, operator: Client, sold: str, world: World
) -> None:
    world.post(earned("m-1", 100))
    first = refund(manager, sold, key="1")
    before = world.snapshot()

    assert refund(manager, sold, key="2").body == first.body
    assert refund(manager, sold, {**REFUND, "amount_fen": 1}).code == "entry_conflict"
    later = {**REFUND, "refunded_at": "2026-11-23T09:10:00Z"}
    assert refund(operator, sold, later).code == "already_reversed"

    kept = {item["sk"] for item in before}
    changed = [item for item in world.snapshot() if item["sk"] not in kept]
    assert [item["type"] for item in changed] == ["refusal"]


def test_a_refund_before_its_sales_points_waits_for_them(
    manager: Client, sold: str, world: World
) -> None:
    reply = refund(manager, sold)
    assert (reply.body["kind"], reply.body["points"]) == ("park", 0)

    world.post(earned("m-1", 100))

    assert world.loyalty.account("m-1").total == 0


def test_a_refund_reaches_the_points_of_a_member_who_was_merged(
    manager: Client, sold: str, world: World
) -> None:
    world.post(earned("m-1", 100))
    world.post(
        c.Merge(
            entry_id="20261123T090000Z.merge",
            owner="m-1",
            into="m-2",
            source="ticket:1",
            reason="same_person",
            actor="office",
            occurred_at=RECEIVED_AT,
        )
    )

    assert refund(manager, sold).body["member_id"] == "m-2"
    assert world.loyalty.account("m-2").total == 0


def added(world: World, points: int) -> None:
    """Let accrual have given *points* more, or less, for the receipt than for the fuel."""
    entry_id = f"{SALE.sale_id}~basket.R-1"
    world.tell(SALE, receipt(SNACK if points > 0 else OFF))
    if points > 0:
        world.post(replace(earned("m-1", points), entry_id=entry_id))
    else:
        world.post(
            c.Reverse(
                entry_id=entry_id,
                owner="m-1",
                reverses=SALE.sale_id,
                document=entry_id,
                part=c.Exactly(points=-points),
                source="sale",
                reason="basket",
                actor="accrual",
                occurred_at=RECEIVED_AT,
            )
        )


@pytest.mark.parametrize("points", [10, -10])
def test_a_refund_takes_back_what_a_receipt_added_or_had_left(
    manager: Client, sold: str, world: World, points: int
) -> None:
    world.post(earned("m-1", 100))
    added(world, points)

    first = refund(manager, sold)

    assert first.body["points"] == -100 - points
    assert world.loyalty.account("m-1").total == 0
    assert refund(manager, sold, key="again").body == first.body


@pytest.mark.parametrize("points", [10, -10])
def test_refunds_of_the_whole_receipt_by_amount_take_back_all_it_earned(
    manager: Client, sold: str, world: World, points: int
) -> None:
    world.post(earned("m-1", 100))
    added(world, points)
    whole = SALE.amount_fen + 1_000 * (1 if points > 0 else -1)

    taken = [
        refund(manager, sold, {**REFUND, "document": f"R-{number}", "amount_fen": part}).body
        for number, part in enumerate((whole // 3, whole - whole // 3))
    ]

    assert sum(each["points"] for each in taken) == -100 - points
    assert world.loyalty.account("m-1").total == 0
    too_much = refund(manager, sold, {**REFUND, "document": "R-9", "amount_fen": whole + 1})
    assert too_much.code == "invalid_request"


def test_what_only_the_receipt_earned_is_refunded_by_itself(
    manager: Client, sold: str, world: World
) -> None:
    world.earn_nothing("m-1")
    added(world, 10)

    assert refund(manager, sold).body["points"] == -10
    assert world.loyalty.account("m-1").total == 0


def test_a_receipt_that_changed_nothing_is_no_entry_to_refund(
    manager: Client, sold: str, world: World
) -> None:
    world.post(earned("m-1", 100))
    world.tell(SALE, receipt(SNACK))
    entry_id = f"{SALE.sale_id}~basket.R-1"
    world.earn_nothing("m-1", entry_id=entry_id)

    assert refund(manager, sold).body["points"] == -100
    assert world.loyalty.account("m-1").parked == 0


# --- growth value goes with the points ---------------------------------------------------------


@pytest.fixture
def grown(sold: str, world: World, monkeypatch: pytest.MonkeyPatch) -> Earn:
    """Put tiers in force; return the command by which the sale earned its growth value."""
    world.activate(tiered(), effective_at=SALE.key.completed_at)
    monkeypatch.setattr(handler.refunds, "_programs", Programs(world.loyalty))
    return replace(
        earned("m-1", 302, sale_id=sold), entry_id=growth_entry_id(sold), wallet="growth"
    )


def growth(world: World, member_id: str = "m-1") -> int:
    return world.loyalty.account(member_id, "growth").total


def test_a_refund_takes_growth_value_back_in_the_same_proportion(
    manager: Client, sold: str, grown: Earn, world: World
) -> None:
    world.post(earned("m-1", 100))
    world.post(grown)
    third = SALE.amount_fen // 3
    parts = (third, third, SALE.amount_fen - 2 * third)

    left = []
    for number, part in enumerate(parts):
        body = {**REFUND, "document": f"R-{number}", "amount_fen": part}
        assert refund(manager, sold, body).body["wallet"] == "points"
        left.append(growth(world))

    assert left == [202, 101, 0]
    assert world.loyalty.account("m-1").total == 0


def test_a_refund_of_growth_value_has_one_effect_however_often_it_is_sent(
    manager: Client, sold: str, grown: Earn, world: World
) -> None:
    world.post(earned("m-1", 100))
    world.post(grown)
    first = refund(manager, sold, {**REFUND, "amount_fen": 100}, key="1")
    before = world.snapshot()

    assert refund(manager, sold, {**REFUND, "amount_fen": 100}, key="2").body == first.body

    assert world.snapshot() == before


def test_a_refund_before_its_sales_growth_value_waits_for_it(
    manager: Client, sold: str, grown: Earn, world: World
) -> None:
    assert refund(manager, sold).body["kind"] == "park"

    world.post(earned("m-1", 100))
    world.post(grown)

    assert (world.loyalty.account("m-1").total, growth(world)) == (0, 0)


def test_a_sale_worth_growth_value_alone_can_be_refunded(
    manager: Client, sold: str, grown: Earn, world: World
) -> None:
    world.earn_nothing("m-1")
    world.post(grown)

    reply = refund(manager, sold)
    assert (reply.status, reply.body["wallet"], reply.body["points"]) == (201, "growth", -302)

    again = refund(manager, sold, {**REFUND, "document": "R-2"})
    assert again.code == "nothing_to_reverse"
    assert growth(world) == 0


def test_of_growth_value_no_more_is_taken_than_is_left(
    manager: Client, sold: str, grown: Earn, world: World
) -> None:
    """Where there are no points, it alone knows that refunds come to more than was paid."""
    world.earn_nothing("m-1")
    world.post(grown)
    most = SALE.amount_fen * 2 // 3

    for number in (1, 2):
        refund(manager, sold, {**REFUND, "document": f"R-{number}", "amount_fen": most})

    assert growth(world) == 0


# --- whose the sale is, and what cannot be -----------------------------------------------------


def test_a_refund_after_a_ruling_takes_from_whoever_has_the_sale(
    manager: Client, sold: str, world: World
) -> None:
    world.enrol("m-9")
    applied = world.rule(SALE, "m-9")
    (given,) = (each for each in applied.moved if each.reverses is None)
    world.post(replace(earned("m-9", 100, sale_id=sold), entry_id=given.movement_id))

    reply = refund(manager, sold)

    assert (reply.status, reply.body["member_id"], reply.body["points"]) == (201, "m-9", -100)


def test_of_a_shared_sale_a_person_has_to_say_whose_share_is_refunded(
    manager: Client, sold: str, world: World
) -> None:
    world.enrol("m-8")
    world.enrol("m-9")
    world.ruled.rule(
        sold,
        1,
        lambda stored: split(
            sold,
            {"m-8": 1, "m-9": 1},
            volume_ml=stored.sale.volume_ml,
            amount_fen=stored.sale.amount_fen,
            number=1,
            actor="op",
            reason="shared_car",
        ),
        ruled_at=RECEIVED_AT,
    )
    before = world.snapshot()

    reply = refund(manager, sold)

    assert (reply.code, reply.facts) == ("sale_shared", {"sale_id": sold, "members": 2})
    assert world.snapshot() == before


def test_what_is_no_members_has_no_points_to_refund(manager: Client, world: World) -> None:
    held = sale(transaction=9)
    world.sales.add(StoredSale(sale=held, status=Status.HELD, received_at=RECEIVED_AT))
    before = world.snapshot()

    reply = refund(manager, held.sale_id)

    assert (reply.status, reply.code, reply.facts["status"]) == (409, "sale_not_credited", "held")
    assert refund(manager, "20261123T081500Z.s0001.SN1.1.1.1").code == "unknown_sale"
    assert world.snapshot() == before


@pytest.mark.parametrize(
    "change",
    [
        {"refunded_at": "2026-11-24T09:00:00Z"},
        {"amount_fen": SALE.amount_fen + 1},
        {"amount_fen": 1, "line": 1},
        {"line": 1},  # no till has told of a receipt
        {"line": 0},
        {"line": "1"},
        {"amount_fen": 0},
        {"document": ""},
    ],
    ids=str,
)
def test_a_refund_that_cannot_be_is_refused(
    manager: Client, sold: str, world: World, change: dict[str, Any]
) -> None:
    world.post(earned("m-1", 100))
    before = world.snapshot()

    reply = refund(manager, sold, {**REFUND, **change})

    assert (reply.status, reply.code) == (422, "invalid_request")
    assert world.snapshot() == before
