from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import reduce

import pytest

from forecourt.assignment import findable
from forecourt.behaviour import Behaviour
from forecourt.decisions import Decision, Outcome, Reason
from forecourt.fills import Fill
from forecourt.hashes import EvidenceKey, Observation
from forecourt.inquiry import SHARED_MAX
from forecourt.orphans import (
    POINTERS_MAX,
    SUGGESTIONS_MAX,
    WAITING,
    pointers,
    still_waits,
    suggestions,
)
from forecourt.presence import CheckIn, Presences
from forecourt.stored_sales import KeyedEvidence, Status, StoredSale
from tests.specimens import RECEIVED_AT, SALE

DAY = 86_400
FILL = Fill(station_id="s0001", grade="92", volume_ml=40_000, hour=8, at=1_700_000_000)
NOON = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
UNKNOWN = Decision(outcome=Outcome.UNMATCHED, weights_version=1, reason=Reason.UNKNOWN)
PLATE = Observation(kind="plate", digest="p")
HABITS = reduce(
    Behaviour.after, (replace(FILL, at=FILL.at + n * 7 * DAY) for n in range(8)), Behaviour()
)
NEXT = replace(FILL, at=HABITS.last_at + 7 * DAY)
NOWHERE = Presences()
THERE = Presences(check_ins=(CheckIn(NEXT.at - 60, NEXT.station_id),))


def waiting(*evidence: KeyedEvidence) -> StoredSale:
    return StoredSale(
        sale=SALE, status=Status.UNMATCHED, received_at=RECEIVED_AT, evidence=evidence
    )


def test_an_unmatched_sale_is_filed_under_every_piece_of_its_evidence() -> None:
    phone = Observation(kind="phone", digest="n")

    assert pointers(UNKNOWN, [PLATE, phone, PLATE]) == (
        EvidenceKey(kind="plate", digest="p"),
        EvidenceKey(kind="phone", digest="n"),
    )


def test_while_two_keys_are_accepted_a_sale_is_filed_under_both_hashes_of_every_piece() -> None:
    many = [Observation(kind="plate", digest=str(n), others=(f"2.{n}",)) for n in range(50)]

    filed = pointers(UNKNOWN, many)

    assert len(filed) == 2 * POINTERS_MAX
    assert filed[:2] == (
        EvidenceKey(kind="plate", digest="0"),
        EvidenceKey(kind="plate", digest="2.0"),
    )


def test_a_credited_sale_waits_for_nobody() -> None:
    assert pointers(replace(UNKNOWN, outcome=Outcome.CREDITED, reason=None), [PLATE]) == ()


def test_a_sale_with_a_crowd_of_candidates_is_filed_like_any_other() -> None:
    crowded = replace(UNKNOWN, reason=Reason.CROWDED)

    assert pointers(crowded, [PLATE]) == pointers(UNKNOWN, [PLATE]) != ()


@pytest.mark.parametrize(("owners", "found"), [(SHARED_MAX, True), (SHARED_MAX + 1, False)])
def test_a_sale_is_found_by_what_a_family_shares_and_not_by_what_a_crowd_does(
    owners: int, *, found: bool
) -> None:
    card, phone = (EvidenceKey(kind=kind, digest="d") for kind in ("card", "phone"))
    stored = waiting(KeyedEvidence(key=card), KeyedEvidence(key=phone))
    having = {card: [f"m{n}" for n in range(owners)], phone: ["m1"]}

    kinds = [each.kind for each in findable(stored, having)]

    assert kinds == (["card", "phone"] if found else ["phone"])


def test_owners_under_either_hash_of_a_piece_are_one_crowd_and_count_once() -> None:
    piece = KeyedEvidence(key=EvidenceKey(kind="card", digest="c"), others=("2.c",))
    old, new = piece.keys
    some, others = ["m1", "m2", "m3"], ["m3", "m4", "m5"]

    assert findable(waiting(piece), {old: some, new: some}) != ()
    assert findable(waiting(piece), {old: some, new: others}) == ()


def test_a_pending_sale_can_still_be_found() -> None:
    pending = replace(UNKNOWN, outcome=Outcome.PENDING, reason=Reason.UNSURE)

    assert pointers(pending, [PLATE]) != ()


def test_however_much_was_observed_the_pointers_are_few() -> None:
    many = [Observation(kind="plate", digest=str(n)) for n in range(50)]

    assert len(pointers(UNKNOWN, many)) == POINTERS_MAX


@pytest.mark.parametrize(("late", "waits"), [(timedelta(0), True), (timedelta(seconds=1), False)])
def test_a_sale_waits_to_the_last_instant_of_its_time(late: timedelta, waits: bool) -> None:  # noqa: FBT001
    assert still_waits(NOON, NOON + WAITING + late) is waits


def test_a_sale_like_all_the_others_is_suggested_and_names_no_owner() -> None:
    (suggested,) = suggestions({"sale": NEXT}, HABITS, NOWHERE)

    assert suggested.sale_id == "sale"
    assert not hasattr(suggested, "member_id")


@pytest.mark.parametrize(
    "unlike",
    [
        replace(NEXT, station_id="s0002"),
        replace(NEXT, grade="0"),
        replace(NEXT, volume_ml=300_000),
        replace(NEXT, hour=23),
        replace(NEXT, at=HABITS.last_at + DAY),
    ],
)
def test_one_habit_that_disagrees_is_enough_to_suggest_nothing(unlike: Fill) -> None:
    assert suggestions({"sale": unlike}, HABITS, NOWHERE) == ()


def test_who_has_no_habits_yet_is_suggested_nothing() -> None:
    assert suggestions({"sale": NEXT}, Behaviour(), NOWHERE) == ()


def test_who_was_there_is_suggested_a_sale_before_they_have_habits() -> None:
    (suggested,) = suggestions({"sale": NEXT}, Behaviour(), THERE)

    assert suggested.sale_id == "sale"


def test_of_two_sales_the_one_the_member_was_at_comes_first() -> None:
    other = replace(NEXT, at=NEXT.at - DAY)

    found = suggestions({"a": other, "b": NEXT}, HABITS, THERE)

    assert [each.sale_id for each in found] == ["b", "a"]


def test_having_been_there_does_not_outweigh_a_habit_that_disagrees() -> None:
    assert suggestions({"sale": replace(NEXT, grade="0")}, HABITS, THERE) == ()


def test_a_sale_while_the_member_was_elsewhere_is_not_suggested() -> None:
    elsewhere = Presences(check_ins=(CheckIn(NEXT.at, "s0002"),))

    assert suggestions({"sale": NEXT}, HABITS, elsewhere) == ()


def test_no_more_is_suggested_than_anybody_would_read() -> None:
    assert len(suggestions({f"s{n}": NEXT for n in range(9)}, HABITS, NOWHERE)) == SUGGESTIONS_MAX


def test_likeness_in_a_few_habits_only_is_no_reason_to_ask() -> None:
    early = replace(HABITS, interval_seconds=0)
    faint = replace(NEXT, volume_ml=HABITS.volume_ml + 2 * HABITS.spread_ml)

    assert suggestions({"sale": NEXT}, early, NOWHERE) != ()
    assert suggestions({"sale": faint}, replace(early, grades={"92": 1}), NOWHERE) == ()
