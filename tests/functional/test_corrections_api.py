"""Corrections by hand, from the event API Gateway sends to the entries in the ledger."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.adjustments_table import AdjustmentsTable
from forecourt.baskets import Basket, Category, Line
from forecourt.growth import growth_entry_id
from forecourt.keeping import Keeping
from forecourt.ledger import EntryKind
from forecourt.ledger import commands as c
from forecourt.ledger_table import LedgerTable
from forecourt.programs import Programs
from forecourt.rulings import split
from forecourt.stored_sales import Status, StoredSale
from functions.corrections import handler
from tests.functional.clients import Interrupting, Reluctant, cancellation, refusal
from tests.functional.conftest import LOYALTY_TABLE
from tests.functional.correcting import clock_of, sell_to, staff
from tests.functional.tiered import tiered
from tests.functional.world import with_wallets
from tests.specimens import RECEIVED_AT, SALE, earned, sale

if TYPE_CHECKING:
    from collections.abc import Callable

    from forecourt.ledger.commands import Earn
    from tests.functional.http import Client, Reply
    from tests.functional.world import World

LIMIT = 1000
YEAR_END = date(2027, 11, 30)
SMALL = {"points": 100, "source": "ticket:4711", "reason": "goodwill"}
LARGE = {**SMALL, "points": 5000}
WHY = {"source": "ticket:4711", "reason": "fraud"}
REFUND = {"document": "R-1", "refunded_at": "2026-11-23T09:00:00Z"}


@pytest.fixture(autouse=True)
def clock(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Begin with a program that asks for a second person, and members, at a known time."""
    world.activate(with_wallets(points={"adjust_limit": LIMIT}))
    world.enrol("m-1")
    world.enrol("m-2")
    return clock_of(monkeypatch, handler.adjustments, handler.freezing, handler.refunds)


@pytest.fixture
def manager() -> Client:
    return staff("sub-manager", "manager")


@pytest.fixture
def operator() -> Client:
    return staff("sub-operator", "operator")


@pytest.fixture
def colleague() -> Client:
    return staff("sub-colleague", "operator")


def asked(client: Client, body: Any = LARGE, **named: Any) -> Reply:
    return client.post("/members/m-1/adjustments", body, **named)


def approve(client: Client, adjustment_id: str, **named: Any) -> Reply:
    return client.post(f"/adjustments/{adjustment_id}/approval", **named)


def reject(client: Client, adjustment_id: str, **named: Any) -> Reply:
    return client.post(f"/adjustments/{adjustment_id}/rejection", **named)


def waiting(client: Client) -> list[str]:
    return [each["adjustment_id"] for each in client.get("/adjustments").body["adjustments"]]


# --- adjustments ------------------------------------------------------------------------------


def test_a_small_adjustment_is_posted_at_once_with_reason_actor_and_source(
    manager: Client, world: World
) -> None:
    reply = asked(manager, SMALL)

    assert reply.status == 201
    (entry,) = world.statements.page("m-1", limit=9, after=None, entries_only=True).entries()
    assert (entry.kind, entry.points) == (EntryKind.ADJUST, 100)
    assert (entry.reason, entry.actor, entry.source) == ("goodwill", "sub-manager", "ticket:4711")
    assert reply.body["entry"]["entry_id"] == entry.entry_id
    assert waiting(manager) == []


def test_points_given_are_good_as_long_as_the_program_says_or_somebody_else(
    manager: Client, world: World
) -> None:
    asked(manager, SMALL)
    asked(manager, {**SMALL, "expires_on": "2026-12-31"})
    asked(manager, {**SMALL, "expires_on": "never"})

    assert world.loyalty.account("m-1").buckets == {
        YEAR_END: 100,
        date(2026, 12, 31): 100,
        None: 100,
    }


@pytest.mark.parametrize("points", [100, 5000])
def test_money_of_a_known_holder_is_given_no_last_day(
    manager: Client, world: World, clock: Any, monkeypatch: pytest.MonkeyPatch, points: int
) -> None:
    stored = {"registered_ceiling_fen": 500_000, "anonymous_ceiling_fen": 100_000}
    money = {**SMALL, "points": points, "wallet": "stored_value"}
    clock(RECEIVED_AT + timedelta(days=2))
    world.activate(
        with_wallets(stored_value={**stored, "adjust_limit_fen": LIMIT}),
        effective_at=RECEIVED_AT + timedelta(days=1),
    )
    keeping = Keeping(handler.loyalty)
    monkeypatch.setattr(
        handler.adjustments, "_desk", replace(handler.adjustments._desk, keeping=keeping)
    )
    before = world.snapshot()

    reply = asked(manager, {**money, "expires_on": "2026-12-31"})

    assert (reply.status, reply.code) == (409, "never_runs_out")
    assert reply.facts == {"wallet": "stored_value", "expires_on": "2026-12-31"}
    assert world.snapshot() == before
    for last in (None, "never"):
        assert asked(manager, {**money, "expires_on": last}).status == 201
    given = 2 * points if points <= LIMIT else 0
    assert world.loyalty.account("m-1", "stored_value").total == given


def test_a_small_adjustment_may_take_away_and_not_more_than_there_is(
    manager: Client, world: World
) -> None:
    asked(manager, SMALL)
    asked(manager, {**SMALL, "points": -60})
    before = world.loyalty.account("m-1")

    reply = asked(manager, {**SMALL, "points": -41})

    assert (reply.status, reply.code) == (409, "insufficient_points")
    assert reply.facts == {"requested": 41, "available": 40}
    assert world.loyalty.account("m-1") == before


@pytest.mark.parametrize("points", [LIMIT + 1, -LIMIT - 1])
def test_an_adjustment_above_the_limit_waits_and_moves_nothing(
    manager: Client, world: World, points: int
) -> None:
    reply = asked(manager, {**LARGE, "points": points})

    adjustment = reply.body["adjustment"]
    assert (reply.status, reply.body["entry"], adjustment["status"]) == (201, None, "waiting")
    assert waiting(manager) == [adjustment["adjustment_id"]]
    assert world.loyalty.account("m-1").version == 0


@pytest.mark.parametrize("points", [LIMIT, -LIMIT])
def test_an_adjustment_of_exactly_the_limit_needs_nobody_else(
    manager: Client, world: World, points: int
) -> None:
    world.post(earned("m-1", LIMIT))

    assert asked(manager, {**LARGE, "points": points}).body["entry"]["points"] == points


def test_another_person_approves_what_was_asked_and_both_are_in_the_entry(
    manager: Client, operator: Client, world: World
) -> None:
    adjustment_id = asked(manager).body["adjustment"]["adjustment_id"]

    reply = approve(operator, adjustment_id)

    assert reply.body["adjustment"]["status"] == "posted"
    (entry,) = world.statements.page("m-1", limit=9, after=None, entries_only=True).entries()
    assert (entry.actor, entry.checker, entry.points) == ("sub-manager", "sub-operator", 5000)
    assert waiting(operator) == []


def test_nobody_approves_what_they_asked_for_themselves(operator: Client, world: World) -> None:
    adjustment_id = asked(operator).body["adjustment"]["adjustment_id"]
    before = world.snapshot()

    reply = approve(operator, adjustment_id)

    assert (reply.status, reply.code) == (409, "checker_is_maker")
    assert world.snapshot() == before


def test_what_was_rejected_never_happens(manager: Client, operator: Client, world: World) -> None:
    adjustment_id = asked(manager).body["adjustment"]["adjustment_id"]

    assert reject(operator, adjustment_id).body["adjustment"]["status"] == "rejected"
    assert reject(operator, adjustment_id).status == 200
    before = world.snapshot()
    reply = approve(operator, adjustment_id)

    assert (reply.code, reply.facts["status"]) == ("adjustment_decided", "rejected")
    assert world.snapshot() == before
    assert waiting(operator) == []


def test_what_was_approved_is_not_decided_again_by_others(
    manager: Client, operator: Client, colleague: Client, world: World
) -> None:
    adjustment_id = asked(manager).body["adjustment"]["adjustment_id"]
    approve(operator, adjustment_id)
    before = world.snapshot()

    assert approve(operator, adjustment_id).body["adjustment"]["status"] == "posted"
    assert approve(colleague, adjustment_id).code == "adjustment_decided"
    assert reject(colleague, adjustment_id).code == "adjustment_decided"
    assert reject(operator, adjustment_id).code == "adjustment_decided"

    assert world.snapshot() == before


def test_of_two_decisions_at_once_one_holds(
    manager: Client,
    operator: Client,
    colleague: Client,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    adjustment_id = asked(manager).body["adjustment"]["adjustment_id"]
    rival = Interrupting(
        world.dynamodb, "transact_write_items", lambda: reject(colleague, adjustment_id)
    )
    monkeypatch.setattr(handler.adjustments._table, "_dynamodb", rival)

    reply = approve(operator, adjustment_id)

    assert (reply.code, reply.facts["status"]) == ("adjustment_decided", "rejected")
    assert world.loyalty.account("m-1").version == 0


def test_what_the_ledger_refuses_after_all_is_told_and_waits_no_longer(
    manager: Client, operator: Client, world: World
) -> None:
    world.post(earned("m-1", 2000))
    adjustment_id = asked(manager, {**LARGE, "points": -3000}).body["adjustment"]["adjustment_id"]

    first = approve(operator, adjustment_id)
    world.post(earned("m-1", 5000, sale_id="20261123T090000Z.later"))
    again = approve(operator, adjustment_id)

    for reply in (first, again):
        assert (reply.code, reply.facts["available"]) == ("insufficient_points", 2000)
    assert world.adjustments.adjustment(adjustment_id).status == "refused"
    assert waiting(operator) == []


def test_an_approval_that_died_half_way_is_listed_and_finished_by_the_next(
    manager: Client,
    operator: Client,
    colleague: Client,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    adjustment_id = asked(manager).body["adjustment"]["adjustment_id"]
    with monkeypatch.context() as dying:
        busy = Reluctant(
            world.dynamodb, "transact_write_items", *[cancellation("TransactionConflict")] * 8
        )
        ledger = LedgerTable(busy, name=LOYALTY_TABLE, sleep=lambda _: None)
        dying.setattr(
            handler.adjustments, "_desk", replace(handler.adjustments._desk, ledger=ledger)
        )
        assert approve(operator, adjustment_id).status == 503
    assert waiting(operator) == [adjustment_id]

    reply = approve(colleague, adjustment_id)

    assert reply.body["adjustment"]["decided_by"] == "sub-operator"
    assert reply.body["entry"]["points"] == 5000
    assert waiting(operator) == []


def test_a_request_that_comes_again_after_its_answer_was_lost_asks_for_nothing_more(
    manager: Client, world: World, monkeypatch: pytest.MonkeyPatch, clock: Any
) -> None:
    ask = AdjustmentsTable.ask

    def die(*args: Any, **named: Any) -> None:
        ask(*args, **named)
        raise refusal("ThrottlingException")

    for body in (SMALL, LARGE):
        with monkeypatch.context() as dying:
            dying.setattr(AdjustmentsTable, "ask", die)
            assert asked(manager, body, key=f"key-{body['points']}").status == 503
        clock(RECEIVED_AT + timedelta(hours=5))
        assert asked(manager, body, key=f"key-{body['points']}").status == 201

    assert world.loyalty.account("m-1").buckets == {YEAR_END: 100}
    assert len(waiting(manager)) == 1


def test_a_request_under_its_old_key_hears_what_became_of_it(
    manager: Client, operator: Client, world: World
) -> None:
    first = asked(manager, key="1")
    approve(operator, first.body["adjustment"]["adjustment_id"])
    for item in world.dynamodb.scan(TableName="requests")["Items"]:
        world.dynamodb.delete_item(TableName="requests", Key={"id": item["id"]})

    again = asked(manager, key="1")

    assert again.body["adjustment"]["status"] == "posted"
    assert world.loyalty.account("m-1").version == 1


@pytest.mark.parametrize(
    "error", [cancellation("TransactionConflict"), refusal("ThrottlingException")]
)
def test_what_passes_by_itself_is_no_decision(
    manager: Client, operator: Client, world: World, error: Exception, monkeypatch: Any
) -> None:
    adjustment_id = asked(manager).body["adjustment"]["adjustment_id"]
    before = world.snapshot()
    calls: list[Callable[[], Reply]] = [
        lambda: asked(manager),
        lambda: approve(operator, adjustment_id),
        lambda: reject(operator, adjustment_id),
    ]
    for call in calls:
        busy = Reluctant(world.dynamodb, "transact_write_items", error)
        monkeypatch.setattr(handler.adjustments._table, "_dynamodb", busy)
        reply = call()
        assert (reply.status, reply.code in {"stale_write", "unavailable"}) == (503, True)

    assert world.snapshot() == before


def test_what_waits_comes_in_pages_oldest_first(manager: Client, clock: Any) -> None:
    asked_for = []
    for minute in range(3):
        clock(RECEIVED_AT + timedelta(minutes=minute))
        asked_for.append(asked(manager).body["adjustment"]["adjustment_id"])

    first = manager.get("/adjustments", limit=2).body
    second = manager.get("/adjustments", limit=2, cursor=first["next_cursor"]).body

    listed = [each["adjustment_id"] for page in (first, second) for each in page["adjustments"]]
    assert listed == asked_for
    assert second["next_cursor"] is None


def test_nobody_unknown_is_adjusted_and_no_unknown_adjustment_decided(
    manager: Client, operator: Client, world: World
) -> None:
    before = world.snapshot()

    assert manager.post("/members/m-9/adjustments", SMALL).code == "unknown_member"
    assert approve(operator, "20261123T081500Z.adjustment.x").code == "unknown_adjustment"
    assert reject(operator, "20261123T081500Z.adjustment.x").code == "unknown_adjustment"

    assert world.snapshot() == before


@pytest.mark.parametrize(
    "change",
    [
        {"points": 0},
        {"points": 1.5},
        {"expires_on": "2026-11-22"},
        {"expires_on": "soon"},
        {"wallet": "Points"},
        {"source": "4711"},
        {"reason": "Mr Li called"},
        {"checker": "sub-operator"},
    ],
    ids=str,
)
def test_an_adjustment_that_cannot_be_is_refused(
    manager: Client, world: World, change: dict[str, Any]
) -> None:
    before = world.snapshot()

    reply = asked(manager, {**SMALL, **change})

    assert (reply.status, reply.code) == (422, "invalid_request")
    assert world.snapshot() == before


# --- freezing ---------------------------------------------------------------------------------


def test_a_frozen_wallet_gives_nothing_until_it_is_unfrozen(operator: Client, world: World) -> None:
    world.post(earned("m-1", 100))
    spend = c.Spend(
        entry_id="20261123T090000Z.spend",
        owner="m-1",
        points=10,
        source="order:1",
        reason="redemption",
        actor="shop",
        occurred_at=RECEIVED_AT,
    )

    frozen = operator.post("/members/m-1/freezing", WHY)
    policies = handler.freezing._desk.keeping.program(RECEIVED_AT).policies()
    refused = world.ledger.execute(spend, policies=policies).refusal
    thawed = operator.post("/members/m-1/unfreezing", WHY)

    assert (frozen.body["frozen"], frozen.body["entry"]["kind"]) == (True, "freeze")
    assert refused is not None
    assert refused.code == "account_frozen"
    assert (thawed.body["frozen"], thawed.body["entry"]["kind"]) == (False, "unfreeze")
    assert not world.loyalty.account("m-1").frozen


def test_freezing_what_is_frozen_writes_nothing(operator: Client, world: World) -> None:
    operator.post("/members/m-1/freezing", {**WHY, "wallet": "stored_value"})
    before = world.snapshot()

    reply = operator.post("/members/m-1/freezing", {**WHY, "wallet": "stored_value"})

    assert (reply.status, reply.body["frozen"], reply.body["entry"]) == (200, True, None)
    assert world.snapshot() == before


def test_nobody_unknown_is_frozen(operator: Client, world: World) -> None:
    before = world.snapshot()

    assert operator.post("/members/m-9/freezing", WHY).code == "unknown_member"

    assert world.snapshot() == before


# --- refunds ----------------------------------------------------------------------------------


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


def receipt(*, off_fen: int = 0) -> Basket:
    """Return a receipt of the sale and ten yuan in the shop, or of less than the fuel."""
    fill = Line(
        category=Category.FUEL,
        amount_fen=SALE.amount_fen,
        grade=SALE.grade,
        volume_ml=SALE.volume_ml,
    )
    less = Line(category=Category.DISCOUNT, amount_fen=-off_fen)
    return Basket(lines=(fill, less if off_fen else Line(category=Category.SHOP, amount_fen=1_000)))


def added(world: World, points: int) -> None:
    """Let accrual have given *points* more, or less, for the receipt than for the fuel."""
    entry_id = f"{SALE.sale_id}~basket.R-1"
    world.tell(SALE, receipt(off_fen=0 if points > 0 else 1_000))
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
    world.tell(SALE, receipt())
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
