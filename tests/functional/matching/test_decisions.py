"""Whose sale it is follows from the evidence, and a sale says by which and by what weights."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.decisions import Outcome, Piece
from forecourt.inquiry import DEFAULT_POLICY, ONE_CAR_ONE_MEMBER
from forecourt.sales import Evidence, EvidenceKind
from forecourt.stored_sales import Queue, Status
from forecourt.weights_table import shipped_weights
from tests.functional.assigning import assignment
from tests.functional.conftest import SALES_TABLE
from tests.functional.matching.weighing import (
    OTHER,
    PHONE,
    decided,
    enrol_fleet,
    phone,
    received,
)
from tests.functional.tellings import ACCOUNT
from tests.functional.world import key_of
from tests.specimens import CARD, PLATE, RECEIVED_AT, SALE, sale

if TYPE_CHECKING:
    from types import ModuleType

    from tests.functional.world import World

BARE = sale(evidence=())


def plate(value: str, **doubts: Any) -> Evidence:
    return Evidence(kind=EvidenceKind.PLATE, value=value, source="camera-1", **doubts)


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
    enrol_fleet(world)
    by_card = sale(evidence=(CARD,))
    told(by_card)

    decision = decided(assignment(world), world.stored(by_card))

    assert decision is not None
    assert (decision.outcome, decision.reason) == (Outcome.UNMATCHED, "crowded")
    assert list(world.decided.orphans(key_of(CARD))) == []


def test_beside_a_fleets_card_the_account_it_was_shown_with_still_finds_its_driver(
    told: Any, world: World
) -> None:
    enrol_fleet(world)
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


def test_decisions_are_dated_by_the_clock(
    matching: ModuleType, told: Any, world: World, context: Any
) -> None:
    told(SALE)

    matching.handle({"Records": received(world)}, context)

    decided_at = world.stored(SALE).decided_at
    assert decided_at is not None
    assert decided_at.utcoffset() == timedelta(0)


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
