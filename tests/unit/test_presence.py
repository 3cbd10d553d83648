"""A check-in counts around its instant, at its station, and not for long."""

from __future__ import annotations

from functools import reduce

import pytest

from forecourt.fills import Fill
from forecourt.orphans import WAITING
from forecourt.presence import (
    AFTER,
    BEFORE,
    KEPT,
    PRESENCES_MAX,
    REPEATED_WITHIN,
    CheckIn,
    Presences,
    presences_from_list,
    presences_to_list,
    window_of,
)

HUNG_UP = 1_790_000_000
FILL = Fill(station_id="s0001", grade="92", volume_ml=40_000, hour=8, at=HUNG_UP)
EARLIEST = HUNG_UP - int(BEFORE.total_seconds())
LATEST = HUNG_UP + int(AFTER.total_seconds())
MONTH = int(KEPT.total_seconds())
APART = int(REPEATED_WITHIN.total_seconds())


def at(*check_ins: tuple[int, str]) -> Presences:
    return Presences(check_ins=tuple(CheckIn(when, where) for when, where in check_ins))


def remembered(before: Presences, check_in: CheckIn) -> Presences:
    return before.after(check_in) or before


@pytest.mark.parametrize("when", [EARLIEST, HUNG_UP, LATEST])
def test_who_checked_in_around_the_hang_up_was_there(when: int) -> None:
    assert at((when, "s0001")).level(FILL) == "same"


@pytest.mark.parametrize("when", [EARLIEST - 1, LATEST + 1])
def test_who_checked_in_too_early_or_too_late_was_anywhere(when: int) -> None:
    assert at((when, "s0001")).level(FILL) == "none"
    assert at((when, "s0002")).level(FILL) == "none"


def test_who_was_at_another_station_then_was_not_here() -> None:
    assert at((HUNG_UP, "s0002")).level(FILL) == "differs"


def test_an_app_that_is_at_two_stations_at_once_says_nothing() -> None:
    assert at((EARLIEST, "s0001"), (LATEST, "s0002")).level(FILL) == "none"
    assert at((EARLIEST, "s0002"), (LATEST, "s0003")).level(FILL) == "none"


def test_who_never_checked_in_is_known_to_be_nowhere() -> None:
    assert at().level(FILL) == "none"


@pytest.mark.parametrize(("hung_up", "level"), [(0, "same"), (-1, "none")])
def test_the_window_of_a_check_in_holds_the_sales_it_is_about(hung_up: int, level: str) -> None:
    check_in = CheckIn(HUNG_UP, "s0001")
    opens_at, closes_at = window_of(check_in)

    for when in (opens_at + hung_up, closes_at - hung_up):
        fill = Fill(station_id="s0001", grade="92", volume_ml=1, hour=8, at=when)
        assert at(check_in).level(fill) == level


def test_an_app_that_says_it_every_minute_is_remembered_once() -> None:
    first = at((HUNG_UP, "s0001"))

    assert first.after(CheckIn(HUNG_UP + APART - 1, "s0001")) is None
    assert first.after(CheckIn(HUNG_UP + APART, "s0001")) is not None
    assert first.after(CheckIn(HUNG_UP, "s0002")) is not None


def test_a_check_in_is_forgotten_after_a_month() -> None:
    first = at((HUNG_UP, "s0001"))

    assert first.after(CheckIn(HUNG_UP + MONTH, "s0002")) == at(
        (HUNG_UP, "s0001"), (HUNG_UP + MONTH, "s0002")
    )
    assert first.after(CheckIn(HUNG_UP + MONTH + 1, "s0002")) == at((HUNG_UP + MONTH + 1, "s0002"))


def test_a_check_in_outlives_the_last_sale_that_may_ask_for_it() -> None:
    assert KEPT >= WAITING + BEFORE


def test_however_often_an_app_checks_in_the_latest_are_remembered() -> None:
    many = [CheckIn(HUNG_UP + n * APART, "s0001") for n in range(PRESENCES_MAX + 5)]

    assert reduce(remembered, many, at()).check_ins == tuple(many[5:])


def test_check_ins_survive_being_written_down_and_are_never_long() -> None:
    longest = "s" * 32
    many = reduce(
        remembered, (CheckIn(HUNG_UP + n * APART, longest) for n in range(PRESENCES_MAX)), at()
    )

    written = presences_to_list(many)

    assert presences_from_list(written) == many
    assert sum(map(len, written)) < 3 * 1024
