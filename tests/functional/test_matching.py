"""Whose sale it is, decided from stream records; also when a binding crosses the sale."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from forecourt.contention import ATTEMPTS
from forecourt.decisions import Outcome, Piece
from forecourt.inquiry import DEFAULT_POLICY, ONE_CAR_ONE_MEMBER, SHARED_MAX
from forecourt.sales import Evidence, EvidenceKind
from forecourt.stored_sales import Queue, Status
from forecourt.weights_table import shipped_weights
from tests.functional.assigning import NOW, assignment
from tests.functional.clients import (
    Counting,
    Interrupting,
    Lagging,
    Reluctant,
    cancellation,
    refusal,
)
from tests.functional.conftest import LOYALTY_TABLE, SALES_TABLE
from tests.functional.tellings import ACCOUNT
from tests.functional.world import key_of
from tests.specimens import CARD, PLATE, RECEIVED_AT, SALE, sale

if TYPE_CHECKING:
    from types import ModuleType

    from forecourt.assignment import Assignment
    from forecourt.decisions import Decision
    from forecourt.stored_sales import StoredSale
    from tests.functional.world import World

BARE = sale(evidence=())
OTHER = sale(transaction=4712, totalizer_ml=123_500_000)
PHONE = Evidence(kind=EvidenceKind.PHONE, value="13812345678", source="till")


def phone(value: str) -> Evidence:
    return Evidence(kind=EvidenceKind.PHONE, value=value, source="till")


def plate(value: str, **doubts: Any) -> Evidence:
    return Evidence(kind=EvidenceKind.PLATE, value=value, source="camera-1", **doubts)


@pytest.fixture
def matching(aws: None) -> ModuleType:  # noqa: ARG001 - what it remembers is of this AWS
    from forecourt.assigning import open_assignment  # noqa: PLC0415
    from functions.matching import handler  # noqa: PLC0415 - its clients need the environment
    from tests.functional.conftest import client  # noqa: PLC0415

    handler.assignment = open_assignment(handler.settings, client("dynamodb"))
    return handler


def received(world: World) -> list[dict[str, Any]]:
    return world.records(SALES_TABLE, status="received")


def decided(assignment: Assignment, stored: StoredSale) -> Decision | None:
    """Weigh and assign one sale, as the handler does for a batch."""
    (weighed,) = assignment.weigh([stored])
    return assignment.assign(stored, weighed)


# --- what becomes of a sale ---------------------------------------------------------------------


def test_a_sale_with_two_identities_of_a_member_is_theirs_and_says_why(
    matching: ModuleType, told: Any, world: World, context: Any
) -> None:
    world.enrol("m1", PLATE, CARD)
    told(SALE)

    answer = matching.handle({"Records": received(world)}, context)

    stored = world.stored(SALE)
    assert answer == {"batchItemFailures": []}
    assert (stored.status, stored.member_id, stored.matched_by) == (
        Status.MATCHED,
        "m1",
        ("card", "plate"),
    )
    assert stored.decision is not None
    assert stored.decision.posterior_ppm >= DEFAULT_POLICY.credit_ppm
    assert stored.decision.weights_version == shipped_weights().version
    weights = shipped_weights().levels
    assert Piece("plate", "same", weights["plate"]["same"]) in stored.decision.pieces
    assert "浙A" not in str(world.items(SALES_TABLE))


def test_a_plate_alone_may_have_been_lent_and_its_member_is_asked(
    matching: ModuleType, told: Any, world: World, context: Any
) -> None:
    world.enrol("m1", PLATE)
    told(SALE)

    matching.handle({"Records": received(world)}, context)

    stored = world.stored(SALE)
    assert (stored.status, stored.asked, stored.undecided_because) == (
        Status.PENDING,
        "m1",
        "unsure",
    )
    assert world.sales.queue(Queue.PENDING, limit=5).items == [stored]
    assert world.records(SALES_TABLE, status="matched") == []


@pytest.mark.parametrize("typed", ["13812345687", "13812345679", "1381234567", "138123456788"])
def test_a_mistyped_phone_beside_the_right_plate_is_recognised(
    matching: ModuleType, told: Any, world: World, context: Any, *, typed: str
) -> None:
    world.enrol("m1", PLATE, PHONE)
    sold = sale(evidence=(PLATE, phone(typed)))
    told(sold)

    matching.handle({"Records": received(world)}, context)

    stored = world.stored(sold)
    assert (stored.status, stored.member_id, stored.matched_by) == (
        Status.MATCHED,
        "m1",
        ("phone", "plate"),
    )


def test_a_mistyped_phone_alone_credits_nobody(told: Any, world: World) -> None:
    world.enrol("m1", PHONE)
    sold = sale(evidence=(phone("13812345687"),))
    told(sold)

    decision = decided(assignment(world), world.stored(sold))

    assert decision is not None
    assert decision.outcome is not Outcome.CREDITED


def test_a_misread_plate_beside_the_right_card_is_recognised(told: Any, world: World) -> None:
    world.enrol("m1", plate("浙A8B123"), CARD)
    sold = sale(evidence=(plate("浙A88123", confidence=60), CARD))
    told(sold)

    decision = decided(assignment(world), world.stored(sold))

    assert decision is not None
    assert (decision.outcome, decision.member_id) == (Outcome.CREDITED, "m1")
    assert decision.by == ("card", "plate")


def test_a_misread_plate_alone_is_asked_about(told: Any, world: World) -> None:
    world.enrol("m1", plate("浙A8B123"))
    sold = sale(evidence=(plate("浙A88123", character_confidences=(99, 98, 97, 55, 99, 99, 99)),))
    told(sold)

    decision = decided(assignment(world), world.stored(sold))

    assert decision is not None
    assert (decision.outcome, decision.member_id, decision.reason) == (
        Outcome.PENDING,
        "m1",
        "needs_second_identity",
    )


def test_what_a_camera_writes_for_a_plate_is_that_plate(told: Any, world: World) -> None:
    world.enrol("m1", plate("浙A10123"), CARD)
    sold = sale(evidence=(plate("蓝浙A·IO123"), CARD))
    told(sold)

    decision = decided(assignment(world), world.stored(sold))

    assert decision is not None
    assert decision.by == ("card", "plate")


def test_a_familys_plate_alone_names_nobody_and_with_a_card_its_holder(
    told: Any, world: World
) -> None:
    world.enrol("wife", PLATE)
    world.enrol("husband", PLATE, CARD)
    by_plate = sale(evidence=(PLATE,))
    told(by_plate, OTHER)

    shared = decided(assignment(world), world.stored(by_plate))
    paid = decided(assignment(world), world.stored(OTHER))

    assert shared is not None
    assert (shared.outcome, shared.reason, shared.member_id) == (
        Outcome.UNMATCHED,
        "unconvincing",
        None,
    )
    assert {member_id for member_id, _ in shared.alternatives} == {"wife", "husband"}
    assert paid is not None
    assert (paid.outcome, paid.member_id) == (Outcome.CREDITED, "husband")


def test_a_fleets_card_names_nobody_and_is_no_orphan_of_all_its_drivers(
    told: Any, world: World
) -> None:
    for number in range(SHARED_MAX + 1):
        world.enrol(f"driver-{number}", CARD)
    by_card = sale(evidence=(CARD,))
    told(by_card)

    decision = decided(assignment(world), world.stored(by_card))

    assert decision is not None
    assert (decision.outcome, decision.reason) == (Outcome.UNMATCHED, "crowded")
    assert list(world.decided.orphans(key_of(CARD))) == []


def test_beside_a_fleets_card_the_account_it_was_shown_with_still_finds_its_driver(
    told: Any, world: World
) -> None:
    for number in range(SHARED_MAX + 1):
        world.enrol(f"driver-{number}", CARD)
    sold = sale(evidence=(CARD, ACCOUNT))
    told(sold)

    decision = decided(assignment(world), world.stored(sold))
    key = world.bind("driver-3", ACCOUNT)

    assert decision is not None
    assert decision.reason == "crowded"
    assert world.decided.orphans(key_of(CARD)) == []
    assert world.decided.orphans(key) == [sold.sale_id]
    found = assignment(world).claim(world.stored(sold))
    assert found is not None
    assert found.member_id == "driver-3"


def test_what_many_candidates_have_between_them_is_filed_piece_by_piece(
    told: Any, world: World
) -> None:
    """Each piece is a family's; together they are more than `CANDIDATES_MAX`."""
    seen = (PLATE, plate("浙B12345"), CARD)
    for number in range(3):
        for each in seen:
            world.enrol(f"{each.value}-{number}", each)
    sold = sale(evidence=seen)
    told(sold)

    decision = decided(assignment(world), world.stored(sold))

    assert decision is not None
    assert decision.reason == "crowded"
    assert [world.decided.orphans(key_of(each)) for each in seen] == [[sold.sale_id]] * 3


def test_an_account_linked_while_a_crowds_sale_is_set_aside_still_finds_it(
    told: Any, world: World
) -> None:
    for number in range(SHARED_MAX + 1):
        world.enrol(f"driver-{number}", CARD)
    sold = sale(evidence=(CARD, ACCOUNT))
    told(sold)
    crossing = Interrupting(
        world.dynamodb, "transact_write_items", lambda: world.bind("driver-3", ACCOUNT)
    )

    decision = decided(assignment(world, sales_client=crossing), world.stored(sold))

    assert decision is not None
    assert decision.member_id == "driver-3"


def test_the_card_of_one_beside_the_car_of_another_is_asked_about(told: Any, world: World) -> None:
    world.enrol("owner", PLATE, PHONE)
    world.enrol("payer", CARD)
    told(SALE)

    decision = decided(assignment(world), world.stored(SALE))

    assert decision is not None
    assert decision.outcome is Outcome.PENDING
    assert decision.member_id == "payer"
    assert [member_id for member_id, _ in decision.alternatives] == ["owner"]


def test_where_a_car_is_its_members_the_card_of_another_contradicts_it(
    told: Any, world: World
) -> None:
    world.enrol("owner", PLATE)
    world.enrol("payer", CARD, PHONE)
    first, second = (sale(transaction=number, evidence=(PLATE, CARD, PHONE)) for number in (1, 2))
    told(first, second)

    shared = decided(assignment(world), world.stored(first))
    strict = decided(assignment(world, policy=ONE_CAR_ONE_MEMBER), world.stored(second))

    assert shared is not None
    assert (shared.outcome, shared.member_id) == (Outcome.CREDITED, "payer")
    assert strict is not None
    assert (strict.outcome, strict.reason) == (Outcome.PENDING, "contradiction")


def test_a_sale_without_evidence_is_unmatched(
    matching: ModuleType, told: Any, world: World, context: Any
) -> None:
    told(BARE)

    matching.handle({"Records": received(world)}, context)

    (waiting,) = world.sales.queue(Queue.UNMATCHED, limit=5).items
    assert waiting == world.stored(BARE)
    assert world.stored(BARE).undecided_because == "no_evidence"


def test_a_sale_of_a_stranger_waits_with_its_evidence(
    matching: ModuleType, told: Any, world: World, context: Any
) -> None:
    told(SALE)

    matching.handle({"Records": received(world)}, context)

    assert world.stored(SALE).undecided_because == "unknown"
    assert list(world.decided.orphans(key_of(PLATE))) == [SALE.sale_id]


def test_a_held_sale_that_is_released_is_matched(
    matching: ModuleType, told: Any, world: World, context: Any
) -> None:
    world.enrol("m1", PLATE, CARD)
    tested = sale(test_delivery=True)
    told(tested)
    assert received(world) == []

    world.sales.release(tested.sale_id, actor="op", decided_at=RECEIVED_AT)
    matching.handle({"Records": received(world)}, context)

    assert world.stored(tested).member_id == "m1"


# --- records that come again --------------------------------------------------------------------


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


# --- batches ------------------------------------------------------------------------------------


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


# --- races --------------------------------------------------------------------------------------


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


def test_decisions_are_dated_by_the_clock(
    matching: ModuleType, told: Any, world: World, context: Any
) -> None:
    told(SALE)

    matching.handle({"Records": received(world)}, context)

    decided_at = world.stored(SALE).decided_at
    assert decided_at is not None
    assert decided_at.utcoffset() == timedelta(0)


# --- by which weights ---------------------------------------------------------------------------


def test_activated_weights_decide_in_a_warm_container_and_their_version_is_on_the_sale(
    matching: ModuleType,
    told: Any,
    world: World,
    context: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world.enrol("m1", PLATE, CARD)
    told(SALE)
    matching.handle({"Records": received(world)}, context)
    severe = replace(shipped_weights(), prior=-6_000)
    world.propose(severe)
    ten_seconds_later = time.monotonic() + 10
    monkeypatch.setattr(matching.assignment._weights, "_clock", lambda: ten_seconds_later)

    now = datetime.now(UTC)
    world.weights.activate(2, replaces=1, effective_at=None, now=now, request_id="1")
    told(OTHER)
    matching.handle({"Records": received(world)}, context)

    decisions = [world.stored(each).decision for each in (SALE, OTHER)]
    assert [(each.weights_version, each.outcome) for each in decisions if each] == [
        (1, Outcome.CREDITED),
        (2, Outcome.UNMATCHED),
    ]
