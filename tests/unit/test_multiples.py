"""Multiples: tiers and campaigns become one factor, by which a rule multiplies before it rounds."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.instants import parse_instant
from forecourt.multiples import Campaign, Combination, Multiples
from forecourt.program import Basis, EarnRule, Program, Trace, evaluate
from forecourt.rounding import Rounding
from forecourt.tiers import Tier
from tests.specimens import sale

LITRE = EarnRule(
    rule_id="litre",
    grades=frozenset(),
    basis=Basis.VOLUME,
    points=1,
    per=1000,
    minimum=0,
    rounding=Rounding.FLOOR,
)
SILVER = Tier(name="silver", from_value=1000, multiple_basis_points=15_000)
PLAIN = Tier(name="plain", from_value=0, multiple_basis_points=10_000)
DOUBLE = Campaign(
    name="double",
    first_on=date(2026, 12, 1),
    last_on=date(2026, 12, 31),
    grades=frozenset(),
    stations=frozenset(),
    multiple_basis_points=20_000,
)
DECEMBER = parse_instant("2026-12-05T08:00:00Z")
PROGRAM = Program(
    version=1,
    zone=ZoneInfo("Asia/Shanghai"),
    rules=(LITRE,),
    validity=None,
    multiples=Multiples(campaigns=(DOUBLE,)),
)


def points(
    volume_ml: int,
    *,
    tier: Tier | None = None,
    program: Program = PROGRAM,
    completed_at: str = "2026-12-05T08:00:00Z",
) -> int:
    sold = sale(volume_ml=volume_ml, completed_at=parse_instant(completed_at))
    return evaluate(program, sold, tier=tier).points


def combined(combination: Combination) -> Program:
    return replace(PROGRAM, multiples=replace(PROGRAM.multiples, combined=combination))


@pytest.mark.parametrize(
    ("rounding", "expected"),
    [
        (Rounding.FLOOR, [1, 3, 4]),
        (Rounding.HALF_UP, [2, 3, 5]),
        (Rounding.HALF_EVEN, [2, 3, 4]),
        (Rounding.CEILING, [2, 3, 5]),
    ],
)
def test_one_and_a_half_times_one_point_is_rounded_once_after_multiplying(
    rounding: Rounding, expected: list[int]
) -> None:
    """One point, one and a half times, is one when it is rounded down."""
    program = replace(PROGRAM, rules=(replace(LITRE, rounding=rounding),), multiples=Multiples())

    earned = [points(ml, tier=SILVER, program=program) for ml in (1000, 2000, 3000)]

    assert earned == expected


def test_a_multiple_reaches_what_the_rule_alone_would_have_dropped() -> None:
    """Rounding in between would drop the 999 ml before they are doubled."""
    assert points(1999) == 3
    assert points(1999, program=replace(PROGRAM, multiples=Multiples())) == 1


@pytest.mark.parametrize(
    ("combination", "expected"),
    [(Combination.ADDITIVE, 100), (Combination.MULTIPLICATIVE, 120)],
)
def test_whether_tier_and_campaign_are_added_or_multiplied_is_a_setting(
    combination: Combination, expected: int
) -> None:
    """On 40 points, one and a half times and twice: two and a half times, or three."""
    assert points(40_000, tier=SILVER, program=combined(combination)) == expected


def test_multiples_are_added_unless_the_program_says_otherwise() -> None:
    assert Multiples().combined is Combination.ADDITIVE
    assert points(40_000, tier=SILVER) == 100


@pytest.mark.parametrize("combination", Combination)
def test_without_a_multiple_nothing_changes_however_they_combine(combination: Combination) -> None:
    program = combined(combination)

    assert points(39_990, program=program, completed_at="2027-01-05T08:00:00Z") == 39
    assert points(39_990, tier=PLAIN, program=program, completed_at="2027-01-05T08:00:00Z") == 39


@given(
    volume_ml=st.integers(0, 2_000_000),
    multiples=st.lists(st.integers(10_000, 100_000), max_size=5),
    combination=st.sampled_from(Combination),
)
def test_points_are_the_floor_of_the_exact_product(
    volume_ml: int, multiples: list[int], combination: Combination
) -> None:
    campaigns = tuple(
        replace(DOUBLE, name=f"c{number}", multiple_basis_points=each)
        for number, each in enumerate(multiples)
    )
    program = replace(PROGRAM, multiples=Multiples(combined=combination, campaigns=campaigns))
    exact = Fraction(1)
    for each in multiples:
        if combination is Combination.MULTIPLICATIVE:
            exact *= Fraction(each, 10_000)
        else:
            exact += Fraction(each - 10_000, 10_000)

    assert points(volume_ml, program=program) == (Fraction(volume_ml, 1000) * exact).__floor__()


@pytest.mark.parametrize(
    ("completed_at", "expected"),
    [
        ("2026-11-30T15:59:59Z", 10),
        ("2026-11-30T16:00:00Z", 20),
        ("2026-12-31T15:59:59Z", 20),
        ("2026-12-31T16:00:00Z", 10),
    ],
)
def test_a_campaign_holds_from_its_first_to_its_last_day_in_the_programs_zone(
    completed_at: str, expected: int
) -> None:
    assert points(10_000, completed_at=completed_at) == expected


@pytest.mark.parametrize(
    ("grades", "stations", "expected"),
    [
        (set(), set(), 20),
        ({"92"}, {"s0001"}, 20),
        ({"92", "95"}, {"s0002", "s0001"}, 20),
        ({"95"}, set(), 10),
        (set(), {"s0002"}, 10),
    ],
)
def test_a_campaign_may_be_for_grades_and_stations(
    grades: set[str], stations: set[str], expected: int
) -> None:
    only = replace(DOUBLE, grades=frozenset(grades), stations=frozenset(stations))
    program = replace(PROGRAM, multiples=Multiples(campaigns=(only,)))

    assert points(10_000, program=program) == expected


def test_the_trace_names_every_multiple_that_the_points_contain() -> None:
    sold = sale(volume_ml=10_000, completed_at=DECEMBER)

    assert evaluate(PROGRAM, sold, tier=SILVER).trace == (
        Trace(rule_id="litre", outcome="earned", points=25),
        Trace(rule_id="silver", outcome="tier", basis_points=15_000),
        Trace(rule_id="double", outcome="campaign", basis_points=20_000),
    )


def test_below_a_rules_minimum_no_multiple_helps() -> None:
    strict = replace(PROGRAM, rules=(replace(LITRE, minimum=10_001),))

    evaluation = evaluate(strict, sale(volume_ml=10_000, completed_at=DECEMBER), tier=SILVER)

    assert evaluation.points == 0
    assert evaluation.trace == (Trace(rule_id="litre", outcome="below_minimum"),)
