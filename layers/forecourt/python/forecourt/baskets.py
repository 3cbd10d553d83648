"""
What was bought together with a fill, how it was paid, and what of it a program counts.

A till tells a receipt as lines with signed amounts. A line below zero reduces the lines of its
category, a `DISCOUNT` all of them, in proportion to what they cost and never below zero. What
was paid in a way that earns nothing is spread in the same manner. A discount takes money off,
not litres; litres that were paid by points, on the other hand, were not bought.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from forecourt.rounding import apportion
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from forecourt.sales import Sale


class Category(StrEnum):
    """What a line is about."""

    FUEL = "fuel"
    SHOP = "shop"
    CAR_WASH = "car_wash"
    GIFT_CARD = "gift_card"
    RECHARGE = "recharge"
    LOTTERY = "lottery"
    TOBACCO = "tobacco"
    DISCOUNT = "discount"


class Means(StrEnum):
    """How something was paid; `WALLET` is one of a payment provider."""

    CASH = "cash"
    CARD = "card"
    WALLET = "wallet"
    POINTS = "points"
    STORED_VALUE = "stored_value"
    OTHER = "other"


class StoredValue(StrEnum):
    """Which of the two earns: what is paid with stored value, or what is paid in."""

    SPENDING = "spending"
    RECHARGE = "recharge"


NOT_EARNING = frozenset({Category.GIFT_CARD, Category.LOTTERY, Category.TOBACCO})


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a receipt; `grade` and `volume_ml` are those of what was fuelled."""

    category: Category
    amount_fen: int
    grade: str | None = None
    volume_ml: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A part of what was paid."""

    by: Means
    amount_fen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Basket:
    """A receipt with one fill on it. Payments, if they are told, make up the total."""

    lines: tuple[Line, ...]
    payments: tuple[Payment, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a receipt without a fill or with two, and one that does not add up."""
        fills = [line for line in self.lines if _is_fill(line)]
        paid = sum(each.amount_fen for each in self.payments)
        if len(fills) != 1 or self.total_fen < 0 or (self.payments and paid != self.total_fen):
            raise ValueError(self.lines, self.payments)

    @property
    def fuel(self) -> Line:
        """Return the line of the fill, before any discount."""
        return next(filter(_is_fill, self.lines))

    @property
    def total_fen(self) -> int:
        """Return what was to be paid."""
        return sum(line.amount_fen for line in self.lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class BasketTerms:
    """
    Which part of a basket a program counts.

    Money that was paid in once must not earn twice: either the recharge of stored value earns
    or what is paid with it.
    """

    excluded: frozenset[Category] = NOT_EARNING
    redeemed_earns: bool = False
    recharge_earns: bool = False

    def counts(self, category: Category) -> bool:
        """Return whether lines of *category* may earn."""
        return category not in self.excluded and (
            category is not Category.RECHARGE or self.recharge_earns
        )

    def earns(self, by: Means) -> bool:
        """Return whether what is paid in that way may earn."""
        if by is Means.POINTS:
            return self.redeemed_earns
        return by is not Means.STORED_VALUE or not self.recharge_earns


@dataclass(frozen=True, slots=True, kw_only=True)
class Bought:
    """What a rule may count of a line."""

    category: Category
    grade: str | None
    volume_ml: int
    amount_fen: int


def terms_from_document(document: Mapping[str, Any] | None) -> BasketTerms | None:
    """Return what a program's document says of baskets; nothing, and they change nothing."""
    if document is None:
        return None
    return BasketTerms(
        excluded=frozenset(map(Category, document["excluded"])),
        redeemed_earns=document["redeemed_earns"],
        recharge_earns=document["stored_value"] == StoredValue.RECHARGE,
    )


def fuel_of(sale: Sale) -> Bought:
    """Return what a pump tells of a sale, of which nothing else is known."""
    return Bought(
        category=Category.FUEL,
        grade=sale.grade,
        volume_ml=sale.volume_ml,
        amount_fen=sale.amount_fen,
    )


def bought(basket: Basket, sale: Sale, terms: BasketTerms) -> tuple[Bought, ...]:
    """
    Return what may earn of *basket*, which was told of *sale*.

    Litres and their price are the pump's, as they are without a basket.
    """
    goods = [line for line in basket.lines if line.amount_fen >= 0]
    full = [sale.amount_fen if _is_fill(line) else line.amount_fen for line in goods]
    charged = full
    for category in Category:  # `DISCOUNT` is the last: it is of what the others left
        concerned = [category in (line.category, Category.DISCOUNT) for line in goods]
        charged = _reduced(charged, _taken_off(basket, category), concerned)
    not_earning = sum(each.amount_fen for each in basket.payments if not terms.earns(each.by))
    earning = _reduced(charged, not_earning, [True] * len(goods))
    return tuple(
        Bought(
            category=line.category,
            grade=sale.grade if _is_fill(line) else None,
            volume_ml=_part(sale.volume_ml, now, before) if _is_fill(line) else 0,
            amount_fen=now,
        )
        for line, before, now in zip(goods, charged, earning, strict=True)
        if terms.counts(line.category)
    )


def share_of(lines: Sequence[Bought], part: Sale, whole: Sale) -> tuple[Bought, ...]:
    """Return *part*'s share of what was bought with *whole*; remainders are nobody's."""
    return tuple(
        Bought(
            category=line.category,
            grade=line.grade,
            volume_ml=_part(line.volume_ml, part.volume_ml, whole.volume_ml),
            amount_fen=_part(line.amount_fen, part.amount_fen, whole.amount_fen),
        )
        for line in lines
    )


def _is_fill(line: Line) -> bool:
    return line.category is Category.FUEL and line.amount_fen >= 0


def _taken_off(basket: Basket, category: Category) -> int:
    return -sum(min(line.amount_fen, 0) for line in basket.lines if line.category is category)


def _reduced(amounts: Sequence[int], by: int, concerned: Sequence[bool]) -> list[int]:
    """Return *amounts* less *by*, which is spread over those *concerned*; none below zero."""
    weights = [amount * each for amount, each in zip(amounts, concerned, strict=True)]
    parts = apportion(min(by, sum(weights)), weights)
    return [amount - part for amount, part in zip(amounts, parts, strict=True)]


def _part(quantity: int, part: int, whole: int) -> int:
    """Return *part* of *whole* of a quantity, rounded down; all of it where there is no whole."""
    return quantity * part // whole if whole else quantity
