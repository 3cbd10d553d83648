"""Whose sale it is, decided from stream records; also when a binding crosses the sale."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from forecourt.assignment import Assignment
from forecourt.contention import ATTEMPTS
from forecourt.loyalty_table import LoyaltyTable
from forecourt.matching import Credited, Unmatched
from forecourt.sales_table import SalesTable
from forecourt.stored_sales import Queue, Status
from tests.functional.clients import Interrupting, Lagging, Reluctant, cancellation, refusal
from tests.functional.conftest import LOYALTY_TABLE, SALES_TABLE
from tests.functional.world import key_of
from tests.specimens import CARD, PLATE, RECEIVED_AT, SALE, sale

if TYPE_CHECKING:
    from types import ModuleType

    from forecourt.stored_sales import StoredSale
    from tests.functional.world import World

BARE = sale(evidence=())
OTHER = sale(transaction=4712, totalizer_ml=123_500_000)


@pytest.fixture
def matching() -> ModuleType:
    from functions.matching import handler  # noqa: PLC0415 - its clients need the environment

    return handler


def received(world: World) -> list[dict[str, Any]]:
    return world.records(SALES_TABLE, status="received")


def assigned(assignment: Assignment, stored: StoredSale) -> Credited | Unmatched | None:
    """Look up and assign one sale, as the handler does for a batch."""
    return assignment.assign(stored, owners=assignment.owners([stored]))


def assignment(world: World, *, sales_client: Any = None, loyalty_client: Any = None) -> Assignment:
    return Assignment(
        sales=SalesTable(sales_client or world.dynamodb, name=SALES_TABLE),
        loyalty=LoyaltyTable(loyalty_client or world.dynamodb, name=LOYALTY_TABLE),
        now=lambda: RECEIVED_AT + timedelta(seconds=1),
    )


def test_a_sale_with_the_plate_of_a_member_is_theirs(
    matching: ModuleType, told: Any, world: World, context: Any
) -> None:
    world.enrol("m1", PLATE)
    told(SALE)

    answer = matching.handle({"Records": received(world)}, context)

    stored = world.stored(SALE)
    assert answer == {"batchItemFailures": []}
    assert (stored.status, stored.member_id, stored.matched_by) == (
        Status.MATCHED,
        "m1",
        ("plate",),
    )


def test_a_record_that_comes_twice_changes_nothing(
    matching: ModuleType, told: Any, world: World, context: Any
) -> None:
    world.enrol("m1", PLATE, CARD)
    told(SALE)
    records = received(world)
    matching.handle({"Records": records}, context)
    before = world.snapshot()

    assert matching.handle({"Records": records * 2}, context) == {"batchItemFailures": []}

    assert world.snapshot() == before


@pytest.mark.parametrize("member", ["somebody", "nobody"])
def test_a_record_that_comes_twice_is_counted_once(
    matching: ModuleType, told: Any, world: World, context: Any, *, member: str, counted: Any
) -> None:
    if member == "somebody":
        world.enrol("m1", PLATE)
    told(SALE)
    counted()

    matching.handle({"Records": received(world) * 2}, context)

    assert counted() == {"SalesMatched" if member == "somebody" else "SalesUnmatched": 1}


def test_a_record_that_comes_again_after_the_card_moved_on_changes_nothing(
    matching: ModuleType, told: Any, world: World, context: Any
) -> None:
    world.enrol("m1", CARD)
    told(SALE)
    records = received(world)
    matching.handle({"Records": records}, context)
    world.members.unbind("m1", key_of(CARD), unbound_at=RECEIVED_AT)
    world.enrol("m2", CARD)
    before = world.snapshot()

    matching.handle({"Records": records}, context)

    assert world.snapshot() == before


def test_a_sale_without_evidence_is_unmatched(
    matching: ModuleType, told: Any, world: World, context: Any
) -> None:
    told(BARE)

    matching.handle({"Records": received(world)}, context)

    (waiting,) = world.sales.queue(Queue.UNMATCHED, limit=5).items
    assert waiting == world.stored(BARE)
    assert world.stored(BARE).unmatched_because == "no_evidence"


def test_a_sale_with_the_plate_of_one_member_and_the_card_of_another_is_nobodys(
    matching: ModuleType, told: Any, world: World, context: Any
) -> None:
    world.enrol("m1", PLATE)
    world.enrol("m2", CARD)
    told(SALE)

    matching.handle({"Records": received(world)}, context)

    stored = world.stored(SALE)
    assert (stored.status, stored.member_id) == (Status.UNMATCHED, None)
    assert stored.unmatched_because == "contradiction"
    assert stored.evidence_keys == (key_of(PLATE), key_of(CARD))
    assert world.records(SALES_TABLE, status="matched") == []


def test_a_sale_of_a_stranger_waits_with_its_evidence(
    matching: ModuleType, told: Any, world: World, context: Any
) -> None:
    told(SALE)

    matching.handle({"Records": received(world)}, context)

    assert world.stored(SALE).unmatched_because == "unknown"
    assert list(world.sales.orphans(key_of(PLATE))) == [SALE.sale_id]


def test_a_repeat_of_a_strangers_sale_changes_nothing(
    matching: ModuleType, told: Any, world: World, context: Any
) -> None:
    told(SALE)
    records = received(world)
    matching.handle({"Records": records}, context)
    before = world.snapshot()

    matching.handle({"Records": records}, context)

    assert world.snapshot() == before


def test_a_held_sale_that_is_released_is_matched(
    matching: ModuleType, told: Any, world: World, context: Any
) -> None:
    world.enrol("m1", PLATE)
    tested = sale(test_delivery=True)
    told(tested)
    assert received(world) == []

    world.sales.release(tested.sale_id, actor="op", decided_at=RECEIVED_AT)
    matching.handle({"Records": received(world)}, context)

    assert world.stored(tested).member_id == "m1"


def test_a_batch_stops_at_its_first_failure_and_goes_on_from_there(
    matching: ModuleType, told: Any, world: World, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.enrol("m1", PLATE)
    told(SALE, OTHER)
    records = received(world)
    numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
    reluctant = Reluctant(
        world.dynamodb, "update_item", refusal("ProvisionedThroughputExceededException")
    )
    monkeypatch.setattr(matching, "assignment", assignment(world, sales_client=reluctant))

    first = matching.handle({"Records": records}, context)
    untouched = world.stored(OTHER).status
    again = matching.handle({"Records": records}, context)

    assert first == {"batchItemFailures": [{"itemIdentifier": numbers[0]}]}
    assert untouched is Status.RECEIVED
    assert again == {"batchItemFailures": []}
    assert [world.stored(each).member_id for each in (SALE, OTHER)] == ["m1", "m1"]


def test_a_batch_whose_look_up_fails_is_left_to_the_stream_untouched(
    matching: ModuleType, told: Any, world: World, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.enrol("m1", PLATE)
    told(SALE, OTHER)
    reluctant = Reluctant(world.dynamodb, "batch_get_item", refusal("ThrottlingException"))
    monkeypatch.setattr(matching, "assignment", assignment(world, loyalty_client=reluctant))

    with pytest.raises(ClientError):
        matching.handle({"Records": received(world)}, context)

    assert {world.stored(each).status for each in (SALE, OTHER)} == {Status.RECEIVED}


def test_a_batch_is_looked_up_in_one_round_trip(
    matching: ModuleType, told: Any, world: World, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.enrol("m1", PLATE)
    told(SALE, OTHER)
    counting = Reluctant(world.dynamodb, "batch_get_item")
    monkeypatch.setattr(matching, "assignment", assignment(world, loyalty_client=counting))

    matching.handle({"Records": received(world)}, context)

    assert counting.calls == 1


def test_an_identity_bound_between_look_up_and_decision_still_gets_its_sale(
    told: Any, world: World
) -> None:
    world.enrol("m1")
    told(SALE)
    crossing = Interrupting(world.dynamodb, "transact_write_items", lambda: world.bind("m1", PLATE))

    decision = assigned(assignment(world, sales_client=crossing), world.stored(SALE))

    assert decision == Credited(member_id="m1", by=("plate",))
    assert world.stored(SALE).member_id == "m1"
    assert world.sales.queue(Queue.UNMATCHED, limit=5).items == []


def test_an_identity_that_has_not_reached_every_replica_still_gets_its_sale(
    told: Any, world: World
) -> None:
    world.enrol("m1", PLATE)
    told(SALE)

    decision = assigned(
        assignment(world, loyalty_client=Lagging(world.dynamodb)), world.stored(SALE)
    )

    assert decision == Credited(member_id="m1", by=("plate",))
    assert world.stored(SALE).member_id == "m1"


def test_an_identity_bound_after_the_second_look_finds_the_pointer(told: Any, world: World) -> None:
    world.enrol("m1")
    told(SALE)

    decision = assigned(assignment(world), world.stored(SALE))
    key = world.bind("m1", PLATE)

    assert decision == Unmatched(reason="unknown")
    assert list(world.sales.orphans(key)) == [SALE.sale_id]


def test_a_sale_decided_by_a_rival_meanwhile_keeps_that_decision(told: Any, world: World) -> None:
    told(BARE)
    stored = world.stored(BARE)
    rival = Interrupting(
        world.dynamodb,
        "transact_write_items",
        lambda: world.sales.credit(
            BARE.sale_id, member_id="m9", by=["card"], decided_at=RECEIVED_AT
        ),
    )

    decision = assigned(assignment(world, sales_client=rival), stored)

    assert decision is None
    assert world.stored(BARE).member_id == "m9"


def test_a_sale_that_a_claim_got_between_the_two_looks_was_left_unmatched(
    told: Any, world: World
) -> None:
    world.enrol("m1", PLATE)
    told(SALE)
    claim = Interrupting(
        world.dynamodb,
        "update_item",
        lambda: world.sales.credit(
            SALE.sale_id, member_id="m1", by=["plate"], decided_at=RECEIVED_AT
        ),
    )
    lagging = assignment(world, sales_client=claim, loyalty_client=Lagging(world.dynamodb))

    decision = assigned(lagging, world.stored(SALE))

    assert decision == Unmatched(reason="unknown")
    assert world.stored(SALE).matched_by == ("plate",)


def test_a_conflict_with_another_transaction_is_tried_again(told: Any, world: World) -> None:
    told(SALE)
    conflict = cancellation("TransactionConflict", "None", "None")
    reluctant = Reluctant(world.dynamodb, "transact_write_items", conflict, conflict)

    assigned(assignment(world, sales_client=reluctant), world.stored(SALE))

    assert reluctant.calls == 3
    assert world.stored(SALE).status is Status.UNMATCHED


def test_conflicts_without_end_leave_the_sale_to_the_next_attempt(
    matching: ModuleType, told: Any, world: World, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(SALE)
    conflict = cancellation("TransactionConflict", "None", "None")
    reluctant = Reluctant(world.dynamodb, "transact_write_items", *[conflict] * ATTEMPTS)
    monkeypatch.setattr("forecourt.contention.FIRST_PAUSE_SECONDS", 0)
    monkeypatch.setattr(matching, "assignment", assignment(world, sales_client=reluctant))
    records = received(world)

    first = matching.handle({"Records": records}, context)
    untouched = world.stored(SALE).status
    again = matching.handle({"Records": records}, context)

    assert [each["itemIdentifier"] for each in first["batchItemFailures"]] == [
        records[0]["dynamodb"]["SequenceNumber"]
    ]
    assert untouched is Status.RECEIVED
    assert again == {"batchItemFailures": []}
    assert world.stored(SALE).status is Status.UNMATCHED


def test_decisions_are_dated_by_the_clock(told: Any, world: World) -> None:
    told(SALE)
    by_the_clock = Assignment(sales=world.sales, loyalty=world.loyalty)

    assigned(by_the_clock, world.stored(SALE))

    decided_at = world.stored(SALE).decided_at
    assert decided_at is not None
    assert decided_at.utcoffset() == timedelta(0)
