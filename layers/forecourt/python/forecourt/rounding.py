"""Integer division with a stated rounding mode. No floats, no silent default."""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never


class Rounding(StrEnum):
    """What happens to a remainder; the names are those of the decimal world."""

    FLOOR = "floor"
    HALF_UP = "half_up"
    HALF_EVEN = "half_even"
    CEILING = "ceiling"


def divide(numerator: int, denominator: int, rounding: Rounding) -> int:
    """
    Return *numerator* / *denominator*, rounded once; both are not negative.

    `HALF_UP` takes 2.5 to 3 and `HALF_EVEN` to 2, as IEEE 754 names them.
    """
    if numerator < 0 or denominator <= 0:
        raise ValueError((numerator, denominator))
    quotient, remainder = divmod(numerator, denominator)
    match rounding:
        case Rounding.FLOOR:
            return quotient
        case Rounding.CEILING:
            return quotient + (remainder > 0)
        case Rounding.HALF_UP:
            return quotient + (2 * remainder >= denominator)
        case Rounding.HALF_EVEN:
            return quotient + (2 * remainder + quotient % 2 > denominator)
        case _:
            assert_never(rounding)
