"""What is bound, claimed or decided while a sale is weighed counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecourt.contention import ATTEMPTS
from forecourt.decisions import Outcome
from forecourt.stored_sales import Queue, Status
from tests.functional.assigning import assignment
from tests.functional.clients import Interrupting, Lagging, Reluctant, cancellation
from tests.functional.conftest import LOYALTY_TABLE
from tests.functional.matching.weighing import decided, enrol_fleet, received
from tests.functional.tellings import ACCOUNT
from tests.specimens import CARD, PLATE, SALE, sale

if TYPE_CHECKING:
    from types import ModuleType

    import pytest

    from tests.functional.world import World


def bind_all(world: World) -> None:
    for each in (PLATE, CARD):
        world.bind("m1", each)


def test_an_identity_bound_between_look_up_and_decision_still_gets_its_sale(
    told: Any, world: World
) -> None:
    world.enrol("m1")
    told(SALE)
    crossing = Interrupting(world.dynamodb, "transact_write_items", lambda: bind_all(world))

    decision = decided(assignment(world, sales_client=crossing), world.stored(SALE))

    assert decision is not None
    assert (decision.outcome, decision.by) == (Outcome.CREDITED, ("card", "plate"))
    assert world.stored(SALE).member_id == "m1"
    assert world.sales.queue(Queue.UNMATCHED, limit=5).items == []


def test_a_second_identity_bound_meanwhile_turns_a_question_into_points(
    told: Any, world: World
) -> None:
    world.enrol("m1", PLATE)
    told(SALE)
    crossing = Interrupting(world.dynamodb, "transact_write_items", lambda: world.bind("m1", CARD))

    decision = decided(assignment(world, sales_client=crossing), world.stored(SALE))

    assert decision is not None
    assert decision.outcome is Outcome.CREDITED
    assert [item for item in world.items(LOYALTY_TABLE) if item["type"] == "question"] == []


def test_an_identity_that_has_not_reached_every_replica_still_gets_its_sale(
    told: Any, world: World
) -> None:
    world.enrol("m1", PLATE, CARD)
    told(SALE)

    decision = decided(
        assignment(world, loyalty_client=Lagging(world.dynamodb)), world.stored(SALE)
    )

    assert decision is not None
    assert decision.by == ("card", "plate")
    assert world.stored(SALE).member_id == "m1"


def test_an_account_linked_while_a_crowds_sale_is_set_aside_still_finds_it(
    told: Any, world: World
) -> None:
    enrol_fleet(world)
    sold = sale(evidence=(CARD, ACCOUNT))
    told(sold)
    crossing = Interrupting(
        world.dynamodb, "transact_write_items", lambda: world.bind("driver-3", ACCOUNT)
    )

    decision = decided(assignment(world, sales_client=crossing), world.stored(sold))

    assert decision is not None
    assert decision.member_id == "driver-3"


def test_an_identity_bound_after_the_second_look_finds_the_pointer(told: Any, world: World) -> None:
    world.enrol("m1")
    told(SALE)

    decision = decided(assignment(world), world.stored(SALE))
    key = world.bind("m1", PLATE)

    assert decision is not None
    assert decision.reason == "unknown"
    assert list(world.decided.orphans(key)) == [SALE.sale_id]


def test_a_sale_decided_by_a_rival_meanwhile_keeps_that_decision(told: Any, world: World) -> None:
    told(SALE)
    stored = world.stored(SALE)
    rival = Interrupting(world.dynamodb, "transact_write_items", lambda: world.credit(SALE, "m9"))

    decision = decided(assignment(world, sales_client=rival), stored)

    assert decision is None
    assert world.stored(SALE).member_id == "m9"


def test_a_sale_that_a_claim_got_between_the_two_looks_was_left_unmatched(
    told: Any, world: World
) -> None:
    world.enrol("m1", PLATE, CARD)
    told(SALE)
    claim = Interrupting(world.dynamodb, "update_item", lambda: world.credit(SALE, "m1"))
    lagging = assignment(world, sales_client=claim, loyalty_client=Lagging(world.dynamodb))

    decision = decided(lagging, world.stored(SALE))

    assert decision is not None
    assert decision.reason == "unknown"
    assert world.stored(SALE).matched_by == ("card",)


def test_a_conflict_with_another_transaction_is_tried_again(told: Any, world: World) -> None:
    told(SALE)
    conflict = cancellation("TransactionConflict", "None", "None")
    reluctant = Reluctant(world.dynamodb, "transact_write_items", conflict, conflict)

    decided(assignment(world, sales_client=reluctant), world.stored(SALE))

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
