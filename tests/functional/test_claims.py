"""Binding an identity claims the sales that waited for it, and only those."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from forecourt.assignment import Assignment
from forecourt.events import SOURCE, DetailType, events_of
from forecourt.sales_table import SalesTable
from forecourt.stored_sales import Queue, Status
from tests.functional.clients import Interrupting, Reluctant, refusal
from tests.functional.conftest import LOYALTY_TABLE, SALES_TABLE
from tests.functional.world import World, key_of
from tests.specimens import CARD, PLATE, RECEIVED_AT, SALE, sale

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

OTHER = sale(transaction=4712, totalizer_ml=123_500_000)
BY_CARD = sale(transaction=4713, totalizer_ml=123_600_000, evidence=(CARD,))


@pytest.fixture
def claims() -> ModuleType:
    from functions.claims import handler  # noqa: PLC0415 - its clients need the environment

    return handler


@pytest.fixture
def unmatched(world: World, told: Any, context: Any) -> Callable[..., None]:
    """Return what comes before a claim: sales that were told, and matched with nobody."""
    from functions.matching import handler  # noqa: PLC0415

    def leave(*sales: Any) -> None:
        told(*sales)
        records = world.records(SALES_TABLE, status="received")
        assert handler.handle({"Records": records}, context) == {"batchItemFailures": []}
        assert {world.stored(each).status for each in sales} == {Status.UNMATCHED}

    return leave


def bound_events(world: World) -> list[dict[str, Any]]:
    """Return what the bus brings for each identity bound since the last call."""
    return [
        {"source": SOURCE, "detail-type": str(each.detail_type), "detail": dict(each.detail)}
        for record in world.records(LOYALTY_TABLE)
        for each in events_of(record)
        if each.detail_type is DetailType.IDENTITY_BOUND
    ]


def test_every_waiting_sale_with_the_plate_becomes_the_members(
    claims: ModuleType, unmatched: Any, world: World, context: Any
) -> None:
    unmatched(SALE, OTHER, BY_CARD)
    world.enrol("m1", PLATE)

    (event,) = bound_events(world)
    claims.handle(event, context)

    assert [world.stored(each).member_id for each in (SALE, OTHER, BY_CARD)] == ["m1", "m1", None]
    assert list(world.sales.orphans(key_of(PLATE))) == []
    assert [each.sale.sale_id for each in world.sales.queue(Queue.UNMATCHED, limit=9).items] == [  # type: ignore[union-attr]
        BY_CARD.sale_id
    ]
    matched = world.records(SALES_TABLE, status="matched")
    assert [record["eventName"] for record in matched] == ["MODIFY", "MODIFY"]


def test_an_event_that_comes_again_changes_nothing_and_counts_nothing(
    claims: ModuleType, unmatched: Any, world: World, context: Any, *, counted: Any
) -> None:
    unmatched(SALE)
    world.enrol("m1", PLATE)
    (event,) = bound_events(world)
    counted()
    claims.handle(event, context)
    before = world.snapshot()
    first = counted()

    claims.handle(event, context)

    assert world.snapshot() == before
    assert (first, counted()) == ({"OrphansClaimed": 1}, {})


def test_a_claim_that_lost_its_race_counts_nothing_and_leaves_no_pointer(
    claims: ModuleType,
    unmatched: Any,
    world: World,
    context: Any,
    *,
    counted: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unmatched(SALE)
    world.enrol("m1", PLATE)
    (event,) = bound_events(world)
    rival = Interrupting(
        world.dynamodb,
        "update_item",
        lambda: world.sales.credit(
            SALE.sale_id, member_id="m9", by=["card"], decided_at=RECEIVED_AT
        ),
    )
    assignment = Assignment(sales=SalesTable(rival, name=SALES_TABLE), loyalty=world.loyalty)
    monkeypatch.setattr(claims, "assignment", assignment)
    counted()

    claims.handle(event, context)

    assert counted() == {}
    assert world.stored(SALE).member_id == "m9"
    assert list(world.sales.orphans(key_of(PLATE))) == []


def test_a_binding_nobody_waited_for_claims_nothing(
    claims: ModuleType, world: World, context: Any
) -> None:
    world.enrol("m1", PLATE)
    before = world.snapshot()

    (event,) = bound_events(world)
    claims.handle(event, context)

    assert world.snapshot() == before


def test_a_plate_bound_today_does_not_override_a_card_that_says_otherwise(
    claims: ModuleType, unmatched: Any, world: World, context: Any
) -> None:
    unmatched(SALE)
    world.enrol("m1", PLATE)
    world.enrol("m2", CARD)
    before = world.snapshot()

    for event in bound_events(world):
        claims.handle(event, context)

    assert world.snapshot() == before
    assert world.stored(SALE).status is Status.UNMATCHED
    assert list(world.sales.orphans(key_of(PLATE))) == [SALE.sale_id]


def test_an_identity_unbound_before_the_event_arrived_claims_nothing(
    claims: ModuleType, unmatched: Any, world: World, context: Any
) -> None:
    unmatched(SALE)
    world.enrol("m1", PLATE)
    (event,) = bound_events(world)
    world.members.unbind("m1", key_of(PLATE), unbound_at=RECEIVED_AT)

    claims.handle(event, context)

    assert world.stored(SALE).member_id is None
    assert list(world.sales.orphans(key_of(PLATE))) == [SALE.sale_id]


def test_a_pointer_to_a_sale_somebody_got_meanwhile_is_removed_and_the_sale_kept(
    claims: ModuleType, unmatched: Any, world: World, context: Any
) -> None:
    unmatched(SALE)
    world.sales.credit(SALE.sale_id, member_id="m9", by=["card"], decided_at=RECEIVED_AT)
    world.enrol("m1", PLATE)
    (event,) = bound_events(world)
    world.members.unbind("m1", key_of(PLATE), unbound_at=RECEIVED_AT)

    claims.handle(event, context)

    assert world.stored(SALE).member_id == "m9"
    assert list(world.sales.orphans(key_of(PLATE))) == []


def test_a_claim_that_failed_half_way_is_finished_by_the_next_attempt(
    claims: ModuleType, unmatched: Any, world: World, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    unmatched(SALE, OTHER)
    world.enrol("m1", PLATE)
    (event,) = bound_events(world)
    reluctant = Reluctant(world.dynamodb, "delete_item", refusal("ThrottlingException"))
    monkeypatch.setattr(claims, "sales", SalesTable(reluctant, name=SALES_TABLE))

    with pytest.raises(type(refusal("x")), match="ThrottlingException"):
        claims.handle(event, context)
    claims.handle(event, context)

    assert [world.stored(each).member_id for each in (SALE, OTHER)] == ["m1", "m1"]
    assert list(world.sales.orphans(key_of(PLATE))) == []
