"""What a person decides about a sale is written whole, in order, and once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from forecourt.decided_sales import question_key
from forecourt.decisions import Reason
from forecourt.errors import SaleNotRulable, StaleWrite, UnknownSale, VersionMismatch
from forecourt.member_errors import UnknownMember
from forecourt.ruled_sales import RuledSales
from forecourt.rulings import Verdict
from forecourt.stored_sales import Queue, Status, StoredSale
from tests.functional.assigning import assignment
from tests.functional.clients import Interrupting, Reluctant, cancellation, refusal
from tests.functional.conftest import LOYALTY_TABLE, SALES_TABLE
from tests.functional.world import RULED_AT, keyed
from tests.specimens import CARD, PLATE, RECEIVED_AT, SALE, credited_to, nobodys, probably

if TYPE_CHECKING:
    from typing import Any

    from forecourt.decisions import Decision
    from tests.functional.world import World

STORED = StoredSale(
    sale=replace(SALE, evidence=()),
    status=Status.RECEIVED,
    received_at=RECEIVED_AT,
    local_hour=16,
    evidence=keyed(PLATE, CARD),
)


def weighed(world: World, decision: Decision) -> None:
    world.enrol("m1")
    world.enrol("m2")
    world.sales.add(STORED)
    assert world.decided.decide(
        STORED, decision, filed_under=STORED.evidence_keys, decided_at=RECEIVED_AT
    )


def through(world: World, client: Any) -> World:
    world.ruled = RuledSales(
        client, sales=world.sales, sales_name=SALES_TABLE, loyalty_name=LOYALTY_TABLE
    )
    return world


def asked(world: World, member_id: str) -> bool:
    key = question_key(member_id, SALE.sale_id)
    return "Item" in world.dynamodb.get_item(TableName=LOYALTY_TABLE, Key=key)


def test_a_ruling_is_on_the_sale_and_in_the_book(world: World) -> None:
    weighed(world, nobodys())

    applied = world.rule(SALE, "m1")

    stored = world.stored(SALE)
    assert (stored.status, stored.member_id, stored.decided_by) == (Status.MATCHED, "m1", "op")
    assert (stored.ruled, stored.held) == (applied, applied.held)
    assert world.book.rulings(SALE.sale_id) == [applied]
    assert world.sales.queue(Queue.UNMATCHED, limit=9).items == []


def test_reassigning_names_the_entry_that_is_taken_back(world: World) -> None:
    weighed(world, credited_to("m1"))

    first = world.rule(SALE, "m2")
    second = world.rule(SALE, "m1")

    assert [each.reverses for each in first.moved] == [SALE.sale_id, None]
    assert [each.reverses for each in second.moved] == [f"{SALE.sale_id}~1+m2", None]
    assert world.book.rulings(SALE.sale_id) == [first, second]
    assert world.stored(SALE).member_id == "m1"


def test_nobodys_sale_belongs_to_no_one_and_waits_for_no_one(world: World) -> None:
    weighed(world, credited_to("m1"))

    world.rule(SALE)

    stored = world.stored(SALE)
    assert (stored.status, stored.member_id, stored.held) == (Status.NOBODYS, None, ())
    world.bind("m1", PLATE)
    world.bind("m1", CARD)
    assert assignment(world).claim(stored) is None


def test_asking_puts_the_question_and_takes_back_the_one_before(world: World) -> None:
    weighed(world, probably("m1"))

    world.rule(SALE, asked="m2")

    stored = world.stored(SALE)
    assert (stored.status, stored.asked) == (Status.PENDING, "m2")
    assert (asked(world, "m1"), asked(world, "m2")) == (False, True)
    assert list(world.sales.queue(Queue.PENDING, limit=9).items) == [stored]


def test_nobody_is_asked_about_a_sale_that_somebody_has(world: World) -> None:
    weighed(world, credited_to("m1"))
    before = world.snapshot()

    with pytest.raises(SaleNotRulable):
        world.rule(SALE, asked="m2")

    assert world.snapshot() == before


@pytest.mark.parametrize("status", [Status.RECEIVED, Status.VOID, Status.REJECTED])
def test_a_sale_in_flight_void_or_rejected_is_nobodys_to_rule_on(
    world: World, status: Status
) -> None:
    world.enrol("m1")
    world.sales.add(replace(STORED, status=status))
    before = world.snapshot()

    with pytest.raises(SaleNotRulable) as refused:
        world.rule(SALE, "m1")

    assert refused.value.facts() == {"sale_id": SALE.sale_id, "status": status}
    assert world.snapshot() == before


def test_a_held_sale_is_let_go_and_given_in_one_step(world: World) -> None:
    world.enrol("m1")
    world.sales.add(replace(STORED, status=Status.HELD, doubts=("unknown_grade",)))

    world.rule(SALE, "m1")

    assert world.stored(SALE).status is Status.MATCHED
    assert world.sales.queue(Queue.HELD, limit=9).items == []


@pytest.mark.parametrize("who", [{"member_id": "m9"}, {"asked": "m9"}])
def test_a_ruling_for_somebody_who_is_no_member_is_refused(
    world: World, who: dict[str, Any]
) -> None:
    weighed(world, nobodys())
    before = world.snapshot()

    with pytest.raises(UnknownMember):
        world.rule(SALE, **who)

    assert world.snapshot() == before


def test_the_same_ruling_again_changes_nothing(world: World) -> None:
    weighed(world, nobodys())
    first = world.rule(SALE, "m1", number=1)
    before = world.snapshot()

    again = world.rule(SALE, "m1", number=1, ruled_at=RULED_AT + timedelta(hours=1))

    assert again == first
    assert world.snapshot() == before


@pytest.mark.parametrize(("number", "member_id"), [(1, "m2"), (3, "m2")])
def test_who_decides_on_something_older_or_newer_than_there_is_is_told(
    world: World, number: int, member_id: str
) -> None:
    weighed(world, nobodys())
    world.rule(SALE, "m1")
    before = world.snapshot()

    with pytest.raises(VersionMismatch) as refused:
        world.rule(SALE, member_id, number=number)

    assert refused.value.version == 1
    assert world.snapshot() == before


def test_a_ruling_takes_from_whoever_was_credited_meanwhile(world: World) -> None:
    weighed(world, nobodys())
    stored = world.stored(SALE)

    def credit() -> None:
        assert world.decided.decide(
            stored, credited_to("m1"), decided_at=RECEIVED_AT + timedelta(hours=1)
        )

    applied = through(world, Interrupting(world.dynamodb, "transact_write_items", credit)).rule(
        SALE, "m2"
    )

    assert [(each.share.member_id, each.reverses) for each in applied.moved] == [
        ("m1", SALE.sale_id),
        ("m2", None),
    ]


def test_of_two_who_rule_at_once_the_second_is_told(world: World) -> None:
    weighed(world, nobodys())
    plain = world.ruled

    def overtake() -> None:
        overtaken, world.ruled = world.ruled, plain
        world.rule(SALE, "m1", number=1)
        world.ruled = overtaken

    through(world, Interrupting(world.dynamodb, "transact_write_items", overtake))

    with pytest.raises(VersionMismatch):
        world.rule(SALE, "m2", number=1)

    assert world.stored(SALE).member_id == "m1"


def test_a_decision_by_weighing_does_not_undo_a_ruling(world: World) -> None:
    weighed(world, probably("m1"))
    read_before = world.stored(SALE)
    world.rule(SALE, asked="m2")
    before = world.snapshot()

    assert not world.decided.decide(read_before, credited_to("m1"), decided_at=RULED_AT)

    assert world.snapshot() == before


def test_a_busy_table_is_tried_again_and_a_fault_is_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forecourt.contention.FIRST_PAUSE_SECONDS", 0)
    weighed(world, nobodys(Reason.UNKNOWN))
    busy = cancellation("None", "TransactionConflict", "None")
    faulty = Reluctant(world.dynamodb, "transact_write_items", refusal("ValidationException"))

    with pytest.raises(ClientError, match="ValidationException"):
        through(world, faulty).rule(SALE, "m1")
    with pytest.raises(StaleWrite):
        through(world, Reluctant(world.dynamodb, "transact_write_items", *[busy] * 8)).rule(
            SALE, "m1"
        )
    assert world.stored(SALE).ruled is None

    through(world, Reluctant(world.dynamodb, "transact_write_items", busy)).rule(SALE, "m1")
    assert world.stored(SALE).member_id == "m1"


def test_a_sale_that_is_not_there_is_unknown(world: World) -> None:
    with pytest.raises(UnknownSale):
        world.ruled.rule("no sale", 1, lambda stored: stored, ruled_at=RULED_AT)  # type: ignore[arg-type, return-value]


def test_the_verdict_survives_its_spelling(world: World) -> None:
    weighed(world, nobodys())

    assert world.rule(SALE, asked="m1").ruling.verdict is Verdict.ASK
    (kept,) = world.book.rulings(SALE.sale_id)
    assert (kept.ruling.verdict, kept.ruling.asked) == (Verdict.ASK, "m1")
