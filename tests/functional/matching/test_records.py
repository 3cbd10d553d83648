"""A record changes nothing twice; a batch is looked up at once, and goes on where it failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from forecourt.decisions import Outcome
from forecourt.stored_sales import Status
from tests.functional.assigning import NOW, assignment
from tests.functional.clients import Counting, Reluctant, refusal
from tests.functional.matching.weighing import OTHER, PHONE, decided, phone, received
from tests.functional.world import key_of
from tests.specimens import CARD, PLATE, RECEIVED_AT, SALE, sale

if TYPE_CHECKING:
    from types import ModuleType

    from forecourt.sales import Evidence
    from tests.functional.world import World


@pytest.mark.parametrize("bound", [(PLATE, CARD), (PLATE,), ()])
def test_a_record_that_comes_twice_changes_nothing(
    matching: ModuleType, told: Any, world: World, context: Any, *, bound: tuple[Evidence, ...]
) -> None:
    world.enrol("m1", *bound)
    told(SALE)
    records = received(world)
    matching.handle({"Records": records}, context)
    before = world.snapshot()

    assert matching.handle({"Records": records * 2}, context) == {"batchItemFailures": []}

    assert world.snapshot() == before


@pytest.mark.parametrize(
    ("bound", "metric"),
    [((PLATE, CARD), "SalesMatched"), ((PLATE,), "SalesPending"), ((), "SalesUnmatched")],
)
def test_a_record_that_comes_twice_is_counted_once(
    matching: ModuleType,
    told: Any,
    world: World,
    context: Any,
    *,
    bound: tuple[Evidence, ...],
    metric: str,
    counted: Any,
) -> None:
    world.enrol("m1", *bound)
    told(SALE)
    counted()

    matching.handle({"Records": received(world) * 2}, context)

    assert counted() == {metric: 1}


def test_a_record_that_comes_again_after_the_card_moved_on_changes_nothing(
    matching: ModuleType, told: Any, world: World, context: Any
) -> None:
    world.enrol("m1", PLATE, CARD)
    told(SALE)
    records = received(world)
    matching.handle({"Records": records}, context)
    for each in (PLATE, CARD):
        world.identities.unbind("m1", key_of(each), unbound_at=RECEIVED_AT)
    world.enrol("m2", PLATE, CARD)
    before = world.snapshot()

    matching.handle({"Records": records}, context)

    assert world.snapshot() == before


def test_a_record_that_comes_again_ends_what_its_first_time_began(told: Any, world: World) -> None:
    """The first time set the sale aside and died; the binding was too early for its pointer."""
    told(SALE)
    stored = world.stored(SALE)
    (weighed,) = assignment(world).weigh([stored])
    world.decided.decide(stored, weighed.decision, decided_at=NOW)
    world.enrol("m1", PLATE, CARD)

    decision = decided(assignment(world), stored)

    assert decision is not None
    assert world.stored(SALE).member_id == "m1"


def test_a_batch_stops_at_its_first_failure_and_goes_on_from_there(
    matching: ModuleType, told: Any, world: World, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.enrol("m1", PLATE, CARD)
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
    world.enrol("m1", PLATE, CARD)
    told(SALE, OTHER)
    reluctant = Reluctant(world.dynamodb, "batch_get_item", refusal("ThrottlingException"))
    monkeypatch.setattr(matching, "assignment", assignment(world, loyalty_client=reluctant))

    with pytest.raises(ClientError):
        matching.handle({"Records": received(world)}, context)

    assert {world.stored(each).status for each in (SALE, OTHER)} == {Status.RECEIVED}


def test_exact_evidence_of_a_batch_is_looked_up_in_one_round_trip_and_nothing_is_opened(
    told: Any, world: World
) -> None:
    world.enrol("m1", PLATE, CARD)
    told(SALE, OTHER)
    counting, opened = Counting(world.dynamodb), list[str]()

    assignment(world, loyalty_client=counting, opened=opened).weigh(
        [world.stored(each) for each in (SALE, OTHER)]
    )

    assert counting.calls == {"batch_get_item": 1}
    assert opened == []


def test_what_several_sales_of_a_batch_need_further_is_one_round_trip_each(
    told: Any, world: World
) -> None:
    world.enrol("m1", PLATE, PHONE)
    slips = [
        sale(transaction=number, totalizer_ml=10**7 * number, evidence=(PLATE, phone(typed)))
        for number, typed in enumerate(("13812345687", "13812345679"), start=1)
    ]
    told(*slips, OTHER)
    counting, opened = Counting(world.dynamodb), list[str]()

    weighed = assignment(world, loyalty_client=counting, opened=opened).weigh(
        [world.stored(each) for each in (*slips, OTHER)]
    )

    assert [each.decision.outcome for each in weighed[:2]] == [Outcome.CREDITED] * 2
    assert counting.calls == {"batch_get_item": 2}
    assert opened == [each.sale_id for each in slips]
