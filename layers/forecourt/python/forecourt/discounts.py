"""
What a reward takes off the price of a fill, and what of it is left over.

A reward per litre lowers the price on the pump, which shows thousandths of a yuan; one of a sum
is taken off the ticket. Neither takes the litre below the lowest price of its grade, nor the
fill below nothing: a reward that is larger is used as far as that goes.
"""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from forecourt.rounding import Rounding, divide
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

# A millilitre at a thousandth of a yuan a litre is a ten-thousandth of a fen.
PER_FEN = 10_000


class Unused(StrEnum):
    """What becomes of the part of a reward that a fill did not use."""

    KEPT = "kept"
    FORFEITED = "forfeited"


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscountTerms:
    """The lowest price of a litre by grade, in thousandths of a yuan; a grade left out has none."""

    minimum_prices: Mapping[str, int] = field(default_factory=dict)
    unused: Unused = Unused.KEPT

    def lowest(self, grade: str, unit_price_milli_per_litre: int) -> int:
        """Return how low a litre's price may go: what is cheaper already, goes no lower."""
        return min(unit_price_milli_per_litre, self.minimum_prices.get(grade, 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A fill with a reward; `amount_fen` is its price without, `unused_fen` what is left over."""

    unit_price_milli_per_litre: int
    amount_fen: int
    discount_fen: int
    unused_fen: int

    @property
    def to_pay_fen(self) -> int:
        """Return what is left to be paid."""
        return self.amount_fen - self.discount_fen


def terms_from_document(document: Mapping[str, Any] | None) -> DiscountTerms:
    """Return what a program's document says of discounts; by itself, no price is too low."""
    if document is None:
        return DiscountTerms()
    return DiscountTerms(
        minimum_prices=dict(document["minimum_prices"]), unused=Unused(document["unused"])
    )


def litres_for(amount_fen: int, *, unit_price_milli_per_litre: int) -> int:
    """Return the millilitres one gets for a sum; a pump stops before it is exceeded."""
    return divide(amount_fen * PER_FEN, unit_price_milli_per_litre, Rounding.FLOOR)


def quote_per_litre(
    reward_milli_per_litre: int, *, volume_ml: int, unit_price_milli_per_litre: int, lowest: int
) -> Quote:
    """Return a fill at a price lowered by a reward per litre, but not below *lowest*."""
    price = max(unit_price_milli_per_litre - reward_milli_per_litre, lowest)
    left = reward_milli_per_litre - (unit_price_milli_per_litre - price)
    amount_fen = price_of(volume_ml, unit_price_milli_per_litre)
    return Quote(
        unit_price_milli_per_litre=price,
        amount_fen=amount_fen,
        discount_fen=amount_fen - price_of(volume_ml, price),
        unused_fen=divide(volume_ml * left, PER_FEN, Rounding.FLOOR),
    )


def quote_sum(
    reward_fen: int, *, volume_ml: int, unit_price_milli_per_litre: int, lowest: int
) -> Quote:
    """
    Return a fill with a sum taken off its price, but not below *lowest* a litre.

    The price of a litre is told rounded up, and never below the lowest: a drop may cost less
    than half a fen.
    """
    amount_fen = price_of(volume_ml, unit_price_milli_per_litre)
    least_fen = min(divide(volume_ml * lowest, PER_FEN, Rounding.CEILING), amount_fen)
    discount_fen = min(reward_fen, amount_fen - least_fen)
    price = divide((amount_fen - discount_fen) * PER_FEN, volume_ml, Rounding.CEILING)
    return Quote(
        unit_price_milli_per_litre=max(min(price, unit_price_milli_per_litre), lowest),
        amount_fen=amount_fen,
        discount_fen=discount_fen,
        unused_fen=reward_fen - discount_fen,
    )


def price_of(volume_ml: int, unit_price_milli_per_litre: int) -> int:
    """Return what a fill costs in fen, as pumps round it."""
    return divide(volume_ml * unit_price_milli_per_litre, PER_FEN, Rounding.HALF_UP)
