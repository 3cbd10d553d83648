"""Rounding agrees with the decimal world, and with exact fractions."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.rounding import Rounding, divide

DECIMAL_MODES = {
    Rounding.FLOOR: ROUND_FLOOR,
    Rounding.HALF_UP: ROUND_HALF_UP,
    Rounding.HALF_EVEN: ROUND_HALF_EVEN,
    Rounding.CEILING: ROUND_CEILING,
}
NUMERATORS = st.integers(0, 10**15)
DENOMINATORS = st.integers(1, 10**6)


@given(numerator=NUMERATORS, places=st.integers(0, 6), mode=st.sampled_from(Rounding))
def test_tenths_round_as_decimals_do(numerator: int, places: int, mode: Rounding) -> None:
    context = Context(prec=40, rounding=DECIMAL_MODES[mode])
    expected = Decimal(numerator).scaleb(-places, context).to_integral_value(context=context)

    assert divide(numerator, 10**places, mode) == expected


@given(numerator=NUMERATORS, denominator=DENOMINATORS)
def test_floor_and_ceiling_are_those_of_the_exact_fraction(
    numerator: int, denominator: int
) -> None:
    exact = Fraction(numerator, denominator)

    assert divide(numerator, denominator, Rounding.FLOOR) == math.floor(exact)
    assert divide(numerator, denominator, Rounding.CEILING) == math.ceil(exact)


@given(numerator=NUMERATORS, denominator=DENOMINATORS)
def test_halves_go_to_the_nearest_and_ties_as_the_name_says(
    numerator: int, denominator: int
) -> None:
    exact = Fraction(numerator, denominator)

    assert divide(numerator, denominator, Rounding.HALF_EVEN) == round(exact)
    assert divide(numerator, denominator, Rounding.HALF_UP) == math.floor(exact + Fraction(1, 2))


@pytest.mark.parametrize(
    ("half", "expected"),
    [
        (Rounding.FLOOR, [0, 1, 2]),
        (Rounding.HALF_UP, [1, 2, 3]),
        (Rounding.HALF_EVEN, [0, 2, 2]),
        (Rounding.CEILING, [1, 2, 3]),
    ],
)
def test_a_half_one_and_a_half_and_two_and_a_half(half: Rounding, expected: list[int]) -> None:
    assert [divide(number, 2, half) for number in (1, 3, 5)] == expected


@pytest.mark.parametrize(("numerator", "denominator"), [(-1, 2), (1, 0), (1, -1)])
def test_what_is_negative_or_divided_by_nothing_is_refused(
    numerator: int, denominator: int
) -> None:
    with pytest.raises(ValueError, match=str(numerator)):
        divide(numerator, denominator, Rounding.FLOOR)
