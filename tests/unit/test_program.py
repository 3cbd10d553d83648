"""What a sale earns, under which version, and until when the points are good."""

from __future__ import annotations

import calendar
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.instants import parse_instant
from forecourt.program import (
    Basis,
    EarnRule,
    Program,
    Trace,
    evaluate,
    program_from_document,
)
from forecourt.rounding import Rounding
from forecourt.timelines import Activation, in_force
from forecourt.validity import EndOf, Validity, last_valid_day
from tests.specimens import sale

ONE_A_LITRE = EarnRule(
    rule_id="litre",
    grades=frozenset(),
    basis=Basis.VOLUME,
    points=1,
    per=1000,
    minimum=0,
    rounding=Rounding.FLOOR,
)
YEAR = Validity(months=12, end_of=EndOf.MONTH)
PROGRAM = Program(version=7, zone=ZoneInfo("Asia/Shanghai"), rules=(ONE_A_LITRE,), validity=YEAR)
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def program(*rules: EarnRule) -> Program:
    return replace(PROGRAM, rules=rules)


@pytest.mark.parametrize(
    ("volume_ml", "points"), [(0, 0), (999, 0), (1000, 1), (39_990, 39), (39_999, 39)]
)
def test_less_than_a_litre_counts_for_nothing(volume_ml: int, points: int) -> None:
    assert evaluate(PROGRAM, sale(volume_ml=volume_ml)).points == points


def test_what_is_left_of_a_litre_is_not_carried_to_the_next_sale() -> None:
    six_tenths = [sale(volume_ml=600, transaction=number) for number in (1, 2)]

    assert [evaluate(PROGRAM, each).points for each in six_tenths] == [0, 0]


def test_ten_a_litre_multiplies_before_it_rounds() -> None:
    ten = replace(ONE_A_LITRE, points=10)

    assert evaluate(program(ten), sale(volume_ml=39_999)).points == 399


def test_one_and_a_half_points_on_one_litre_round_down_to_one() -> None:
    half_more = replace(ONE_A_LITRE, points=3, per=2000)

    assert evaluate(program(half_more), sale(volume_ml=1000)).points == 1


@pytest.mark.parametrize(
    ("rounding", "points"),
    [
        (Rounding.FLOOR, [0, 1, 2]),
        (Rounding.HALF_UP, [1, 2, 3]),
        (Rounding.HALF_EVEN, [0, 2, 2]),
        (Rounding.CEILING, [1, 2, 3]),
    ],
)
def test_a_rule_rounds_the_product_once_and_as_it_says(
    rounding: Rounding, points: list[int]
) -> None:
    halves = replace(ONE_A_LITRE, points=1, per=2, rounding=rounding)

    assert [evaluate(program(halves), sale(volume_ml=ml)).points for ml in (1, 3, 5)] == points


def test_a_rule_on_money_counts_fen() -> None:
    yuan = replace(ONE_A_LITRE, basis=Basis.AMOUNT, points=1, per=100)

    assert evaluate(program(yuan), sale(amount_fen=30_299, volume_ml=1)).points == 302


@pytest.mark.parametrize(("volume_ml", "outcome"), [(19_999, "below_minimum"), (20_000, "earned")])
def test_below_its_minimum_a_rule_gives_nothing(volume_ml: int, outcome: str) -> None:
    evaluation = evaluate(program(replace(ONE_A_LITRE, minimum=20_000)), sale(volume_ml=volume_ml))

    assert evaluation.trace[-1].outcome == outcome
    assert evaluation.points == (20 if outcome == "earned" else 0)


def test_the_first_rule_that_covers_the_grade_decides_alone() -> None:
    premium = replace(ONE_A_LITRE, rule_id="premium", grades=frozenset({"95", "98"}))
    strict = replace(ONE_A_LITRE, rule_id="strict", minimum=10**6)

    evaluation = evaluate(program(premium, strict, ONE_A_LITRE), sale(grade="92"))

    assert evaluation.points == 0
    assert evaluation.trace == (Trace(rule_id="strict", outcome="below_minimum"),)


def test_a_grade_no_rule_covers_earns_nothing_that_could_run_out() -> None:
    diesel = replace(ONE_A_LITRE, grades=frozenset({"0"}))

    evaluation = evaluate(program(diesel), sale(grade="92"))

    assert (evaluation.points, evaluation.expires_on) == (0, None)
    assert evaluation.trace == (Trace(rule_id="", outcome="no_rule"),)


def test_the_trace_says_which_rule_gave_how_much() -> None:
    evaluation = evaluate(PROGRAM, sale(volume_ml=5_000))

    assert evaluation.trace == (Trace(rule_id="litre", outcome="earned", points=5),)


@given(
    volume_ml=st.integers(0, 2_000_000),
    points=st.integers(0, 1000),
    per=st.integers(1, 100_000),
)
def test_points_are_the_floor_of_the_exact_product(volume_ml: int, points: int, per: int) -> None:
    rule = replace(ONE_A_LITRE, points=points, per=per)

    earned = evaluate(program(rule), sale(volume_ml=volume_ml)).points

    assert earned == Fraction(volume_ml * points, per).__floor__()


@pytest.mark.parametrize(
    ("completed_at", "expires_on"),
    [
        ("2026-11-30T15:59:59Z", date(2027, 11, 30)),
        ("2026-11-30T16:00:00Z", date(2027, 12, 31)),
    ],
)
def test_the_month_a_sale_falls_in_is_that_of_the_programs_zone(
    completed_at: str, expires_on: date
) -> None:
    sold = sale(completed_at=parse_instant(completed_at))

    assert evaluate(PROGRAM, sold).expires_on == expires_on


@pytest.mark.parametrize(
    ("earned_on", "months", "end_of", "expected"),
    [
        (date(2026, 1, 31), 1, EndOf.DAY, date(2026, 2, 28)),
        (date(2024, 1, 31), 1, EndOf.DAY, date(2024, 2, 29)),
        (date(2024, 2, 29), 12, EndOf.DAY, date(2025, 2, 28)),
        (date(2026, 11, 23), 0, EndOf.DAY, date(2026, 11, 23)),
        (date(2026, 11, 23), 0, EndOf.MONTH, date(2026, 11, 30)),
        (date(2026, 12, 31), 0, EndOf.MONTH, date(2026, 12, 31)),
        (date(2026, 12, 1), 1, EndOf.MONTH, date(2027, 1, 31)),
        (date(2026, 3, 31), 0, EndOf.QUARTER, date(2026, 3, 31)),
        (date(2026, 4, 1), 0, EndOf.QUARTER, date(2026, 6, 30)),
        (date(2026, 12, 1), 1, EndOf.QUARTER, date(2027, 3, 31)),
        (date(2026, 6, 30), 0, EndOf.HALF_YEAR, date(2026, 6, 30)),
        (date(2026, 7, 1), 0, EndOf.HALF_YEAR, date(2026, 12, 31)),
        (date(2026, 11, 23), 6, EndOf.HALF_YEAR, date(2027, 6, 30)),
        (date(2026, 1, 1), 0, EndOf.YEAR, date(2026, 12, 31)),
        (date(2026, 12, 31), 12, EndOf.YEAR, date(2027, 12, 31)),
    ],
)
def test_points_are_good_until_the_end_of_the_period(
    earned_on: date, months: int, end_of: EndOf, expected: date
) -> None:
    assert last_valid_day(earned_on, Validity(months=months, end_of=end_of)) == expected


@given(
    earned_on=st.dates(date(2000, 1, 1), date(2100, 12, 31)),
    months=st.integers(0, 120),
    end_of=st.sampled_from(EndOf),
)
def test_points_are_never_over_before_their_months_are(
    earned_on: date, months: int, end_of: EndOf
) -> None:
    last = last_valid_day(earned_on, Validity(months=months, end_of=end_of))

    plain = last_valid_day(earned_on, Validity(months=months, end_of=EndOf.DAY))
    assert last is not None
    assert plain is not None
    assert plain <= last <= plain + timedelta(days=366)
    if end_of is not EndOf.DAY:
        assert last.day == calendar.monthrange(last.year, last.month)[1]


def test_points_without_a_validity_are_good_for_ever() -> None:
    assert evaluate(replace(PROGRAM, validity=None), sale()).expires_on is None


TIMELINE = (
    Activation(effective_at=NOON, version=1),
    Activation(effective_at=NOON + timedelta(days=1), version=3),
    Activation(effective_at=NOON + timedelta(days=2), version=2),
)


@pytest.mark.parametrize(
    ("at", "version"),
    [
        (NOON - timedelta(microseconds=1), None),
        (NOON, 1),
        (NOON + timedelta(days=1, microseconds=-1), 1),
        (NOON + timedelta(days=1), 3),
        (NOON + timedelta(days=900), 2),
    ],
)
def test_a_version_is_in_force_from_its_instant_to_the_next_ones(
    at: datetime, version: int | None
) -> None:
    assert in_force(TIMELINE, at) == version


def test_a_correction_for_the_same_instant_wins() -> None:
    corrected = (*TIMELINE, Activation(effective_at=TIMELINE[-1].effective_at, version=1))

    assert in_force(corrected, NOON + timedelta(days=3)) == 1


def test_no_version_is_in_force_in_a_program_that_never_began() -> None:
    assert in_force((), NOON) is None


@pytest.mark.parametrize("validity", [None, {"months": 3, "end_of": "quarter"}])
def test_a_document_becomes_the_program_it_describes(validity: dict[str, object] | None) -> None:
    document = {
        "zone": "Asia/Kolkata",
        "rules": [
            {
                "rule_id": "yuan",
                "grades": ["92", "95"],
                "basis": "amount",
                "points": 2,
                "per": 100,
                "minimum": 5_000,
                "rounding": "half_even",
            }
        ],
        "validity": validity,
    }

    assert program_from_document(document, version=4) == Program(
        version=4,
        zone=ZoneInfo("Asia/Kolkata"),
        rules=(
            EarnRule(
                rule_id="yuan",
                grades=frozenset({"92", "95"}),
                basis=Basis.AMOUNT,
                points=2,
                per=100,
                minimum=5_000,
                rounding=Rounding.HALF_EVEN,
            ),
        ),
        validity=Validity(months=3, end_of=EndOf.QUARTER) if validity else None,
    )


@pytest.mark.parametrize("change", [{"points": -1}, {"per": 0}, {"per": -1}, {"minimum": -1}])
def test_a_rule_that_could_take_points_away_is_refused(change: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="litre"):
        replace(ONE_A_LITRE, **change)  # type: ignore[arg-type]


def test_points_that_were_over_before_they_were_earned_are_refused() -> None:
    with pytest.raises(ValueError, match="-1"):
        Validity(months=-1, end_of=EndOf.DAY)
