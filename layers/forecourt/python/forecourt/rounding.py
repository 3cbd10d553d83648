"""Integer division with a stated rounding mode. No floats, no silent default."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, assert_never

if TYPE_CHECKING:
    from collections.abc import Sequence


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


def apportion(whole: int, weights: Sequence[int]) -> list[int]:
    """
    Return *whole* divided in proportion to *weights*, to the last unit.

    What does not divide goes to the largest remainders, the first among equals. Without any
    weight there is nobody to get anything.
    """
    total = sum(weights)
    if total == 0:
        return [0] * len(weights)
    shares = [whole * weight // total for weight in weights]
    remainders = sorted(range(len(weights)), key=lambda at: (-(whole * weights[at] % total), at))
    for at in remainders[: whole - sum(shares)]:
        shares[at] += 1
    return shares
