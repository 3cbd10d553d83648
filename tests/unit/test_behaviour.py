from __future__ import annotations

import json
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.behaviour import (
    ENOUGH_SALES,
    GRADES_MAX,
    KEYS_MAX,
    MEANS_MAX,
    MEMORY,
    STATIONS_MAX,
    Behaviour,
    behaviour_from_map,
    behaviour_to_map,
)
from forecourt.fills import MARK_CHARACTERS, Fill, mark_of

if TYPE_CHECKING:
    from collections.abc import Sequence

DAY = 86_400
FILL = Fill(station_id="s0001", grade="92", volume_ml=40_000, hour=8, at=1_700_000_000)
FILLS = st.builds(
    Fill,
    station_id=st.integers(1, 60).map("s{:04}".format),
    grade=st.sampled_from(["92", "95", "98", "0", "E10", "LNG"]),
    volume_ml=st.integers(1_000, 400_000),
    hour=st.integers(0, 23),
    at=st.integers(1_600_000_000, 1_800_000_000),
    paid_with=st.lists(
        st.builds("{}.0123456789{}".format, st.integers(2, 4), st.integers(0, 9)), max_size=4
    ).map(tuple),
)


def regular(sales: int = 8, *, days: int = 7) -> Behaviour:
    fills = (replace(FILL, at=FILL.at + n * days * DAY) for n in range(sales))
    return reduce(Behaviour.after, fills, Behaviour())


def next_fill(behaviour: Behaviour, *, days: float, **changed: object) -> Fill:
    return replace(FILL, at=behaviour.last_at + int(days * DAY), **changed)  # type: ignore[arg-type]


def test_of_one_sale_that_is_taken_nothing_is_left() -> None:
    assert Behaviour().after(FILL).without(FILL) == Behaviour()
    assert Behaviour().without(FILL) == Behaviour()


def test_a_sale_that_is_taken_leaves_place_hour_and_grade_as_they_were() -> None:
    before = regular()
    other = replace(FILL, station_id="s0009", grade="95", hour=20, at=before.last_at + DAY)

    left = before.after(other).without(other)

    assert (left.sales, left.stations, left.bands, left.grades) == (
        before.sales,
        before.stations,
        before.bands,
        before.grades,
    )


@given(st.lists(FILLS, max_size=80), st.lists(FILLS, max_size=80))
def test_whatever_is_taken_counts_stay_counts(added: list[Fill], taken: list[Fill]) -> None:
    behaviour = reduce(Behaviour.without, taken, reduce(Behaviour.after, added, Behaviour()))

    assert min(behaviour.bands) >= 0
    assert min([1, *behaviour.stations.values(), *behaviour.grades.values()]) > 0
    assert len(behaviour.stations) <= STATIONS_MAX


def test_a_sale_like_all_the_others_agrees_in_everything() -> None:
    behaviour = regular()

    assert behaviour.levels(next_fill(behaviour, days=7)) == {
        "station": "usual",
        "hour": "usual",
        "grade": "usual",
        "litres": "near",
        "rhythm": "due",
    }


def test_two_sales_are_no_habit() -> None:
    behaviour = regular(2)

    assert behaviour.levels(next_fill(behaviour, days=7)) == {}


def test_what_never_happened_before_is_new() -> None:
    behaviour = regular()

    levels = behaviour.levels(
        next_fill(behaviour, days=7, station_id="s0002", grade="0", hour=23, volume_ml=300_000)
    )

    assert [levels[each] for each in ("station", "grade", "hour", "litres")] == [
        "new",
        "new",
        "new",
        "far",
    ]


def test_a_station_visited_once_in_many_sales_is_known_but_not_usual() -> None:
    behaviour = regular().after(replace(FILL, station_id="s0002", at=FILL.at + 60 * DAY))

    assert behaviour.levels(next_fill(behaviour, days=7, station_id="s0002"))["station"] == "known"


@pytest.mark.parametrize(
    ("days", "rhythm"),
    [
        (0.04, "burst"),
        (1.3, "much_too_early"),
        (3.4, "early"),
        (3.6, "due"),
        (13.9, "due"),
        (14.1, "late"),
    ],
)
def test_the_rhythm_is_the_members_own(days: float, rhythm: str) -> None:
    behaviour = regular(days=7)

    assert behaviour.levels(next_fill(behaviour, days=days))["rhythm"] == rhythm


def test_a_taxi_that_fills_twice_a_day_is_no_burst() -> None:
    fills = (replace(FILL, at=FILL.at + n * DAY // 2) for n in range(9))
    taxi = reduce(Behaviour.after, fills, Behaviour())

    assert taxi.levels(next_fill(taxi, days=0.05))["rhythm"] == "much_too_early"


def test_a_sale_told_late_says_nothing_of_the_rhythm_and_does_not_turn_time_back() -> None:
    behaviour = regular()
    late = next_fill(behaviour, days=-3)

    assert "rhythm" not in behaviour.levels(late)
    assert behaviour.after(late).last_at == behaviour.last_at
    assert behaviour.after(late).interval_seconds == behaviour.interval_seconds


def test_who_moves_house_has_new_usual_stations_within_months() -> None:
    behaviour = regular(40)
    for n in range(20):
        behaviour = behaviour.after(
            replace(FILL, station_id="s0009", at=behaviour.last_at + 7 * DAY + n)
        )

    assert behaviour.levels(next_fill(behaviour, days=7, station_id="s0009"))["station"] == "usual"


def test_a_new_station_finds_room_among_the_known_ones() -> None:
    fills = (replace(FILL, station_id=f"s{n:04}", at=FILL.at + n * DAY) for n in range(30))
    roamer = reduce(Behaviour.after, fills, Behaviour())

    assert len(roamer.stations) == STATIONS_MAX
    assert "s0029" in roamer.stations


@given(st.lists(FILLS, max_size=120))
def test_habits_stay_small_whatever_a_member_does(fills: list[Fill]) -> None:
    behaviour = reduce(Behaviour.after, fills, Behaviour())

    assert len(behaviour.stations) <= STATIONS_MAX
    assert len(behaviour.grades) <= GRADES_MAX
    assert len(behaviour.means) <= MEANS_MAX * KEYS_MAX
    assert sum(behaviour.bands) < MEMORY
    assert len(json.dumps(behaviour_to_map(behaviour))) < 500


@given(st.lists(FILLS, max_size=30))
def test_habits_survive_their_item(fills: list[Fill]) -> None:
    behaviour = reduce(Behaviour.after, fills, Behaviour())

    assert behaviour_from_map(json.loads(json.dumps(behaviour_to_map(behaviour)))) == behaviour


PAID = replace(FILL, paid_with=("wallet",))


def paying(sales: int) -> Behaviour:
    fills = (replace(PAID, at=PAID.at + n * 7 * DAY) for n in range(sales))
    return reduce(Behaviour.after, fills, Behaviour())


@pytest.mark.parametrize(
    ("paid_with", "expected"),
    [
        (("wallet",), "known"),
        (("another",), "new"),
        ((), None),
        # While the key of the hashes is rotated, and once the one before is dropped.
        (("2.wallet", "wallet"), "known"),
        (("2.another", "another"), "new"),
        (("2.wallet",), None),
    ],
)
def test_a_sale_is_paid_as_before_or_as_never_before(
    paid_with: tuple[str, ...], expected: str | None
) -> None:
    assert paying(ENOUGH_SALES).means_level(paid_with) == expected


def test_of_few_sales_and_of_none_that_showed_a_payment_nothing_is_known() -> None:
    assert paying(ENOUGH_SALES - 1).means_level(PAID.paid_with) is None
    assert regular().means_level(PAID.paid_with) is None


def test_what_was_paid_with_once_may_have_been_anybodys() -> None:
    once = paying(ENOUGH_SALES).after(replace(PAID, paid_with=("another",)))

    assert once.means_level(("another",)) is None
    assert once.after(replace(PAID, paid_with=("another",))).means_level(("another",)) == "known"


def test_a_payment_of_a_sale_that_is_taken_was_never_seen() -> None:
    before = paying(ENOUGH_SALES)
    other = replace(PAID, paid_with=("another",), at=before.last_at + DAY)

    assert before.after(other).without(other).means == before.means


def test_what_was_not_paid_with_for_long_is_forgotten() -> None:
    once = Behaviour().after(replace(FILL, paid_with=("another",)))
    fills = (replace(PAID, at=PAID.at + n * 7 * DAY) for n in range(MEMORY))

    assert reduce(Behaviour.after, fills, once).means.keys() == {"wallet"}


def rotating(wallets: Sequence[str], sales: int, since: Behaviour) -> Behaviour:
    """Return the habits after sales paid with each wallet in turn, by two accepted keys."""
    marks = [(f"2.{each}", each) for each in wallets]
    fills = (
        replace(FILL, at=since.last_at + (n + 1) * DAY, paid_with=marks[n % len(marks)])
        for n in range(sales)
    )
    return reduce(Behaviour.after, fills, since)


def test_while_the_key_is_rotated_the_marks_by_the_new_one_are_learnt_beside_the_old() -> None:
    wallets = ("a", "b", "c", "d")
    before = reduce(
        Behaviour.after,
        (replace(FILL, at=FILL.at + n * DAY, paid_with=(wallets[n % 4],)) for n in range(24)),
        Behaviour(),
    )

    after = rotating(wallets, 12, before)

    assert {each: after.means_level((f"2.{each}",)) for each in wallets} == dict.fromkeys(
        wallets, "known"
    )
    assert {each: after.means_level((each,)) for each in wallets} == dict.fromkeys(wallets, "known")


def test_marks_by_a_key_before_the_last_two_are_forgotten() -> None:
    rotated = rotating(("a",), 3, paying(ENOUGH_SALES))

    again = rotated.after(replace(FILL, at=rotated.last_at + DAY, paid_with=("3.a", "2.a")))

    assert again.means == {"2.a": 4, "3.a": 1}


def test_habits_from_before_payments_were_remembered_know_of_none() -> None:
    values = behaviour_to_map(regular())
    del values["means"]

    assert behaviour_from_map(values) == regular()


def test_a_mark_is_a_piece_of_a_hash() -> None:
    assert mark_of("2." + "a" * 43) == "2." + "a" * (MARK_CHARACTERS - 2)
