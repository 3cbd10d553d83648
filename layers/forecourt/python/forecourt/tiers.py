"""
Tiers: which one a member is in on a day, read off what their growth account counts.

Nobody is moved into a tier, so nothing says who is in which: the growth value that is good on a
day decides, at every look. A tier is left at the midnight that ends the last valid day of the
value it rests on, whether or not any job ran, and entered with the sale that reaches it.

A sale of a day that is over (its station was without a line) has the tier of its own day. For
that the account recalls what ran out lately, and value is left out whose last valid day is one
that sales have given only since. Within one period of the value's validity the account does not
know days: there, value counts from when it arrived.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from forecourt.rounding import Rounding, divide
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

    from forecourt.ledger import Account
    from forecourt.ledger.policy import Terms


class UpgradingSale(StrEnum):
    """By which tier the sale is judged that takes its member into a higher one."""

    OLD_TIER = "old_tier"
    NEW_TIER = "new_tier"


class GrowthBasis(StrEnum):
    """What growth value is given for: millilitres, fen, or the points of the rule alone."""

    VOLUME = "volume"
    AMOUNT = "amount"
    POINTS = "points"


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthRule:
    """`value` for every `per` of the basis, multiplied first, rounded once."""

    basis: GrowthBasis
    value: int
    per: int
    rounding: Rounding

    def of(self, quantity: int) -> int:
        """Return the growth value of *quantity*, in the unit of the basis."""
        return divide(quantity * self.value, self.per, self.rounding)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """Who has growth value of `from_value` or more is in it, and earns by its multiple."""

    name: str
    from_value: int
    multiple_basis_points: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiers:
    """The ladder, lowest tier first. Below the first tier a member is in none."""

    ladder: tuple[Tier, ...]
    upgrading_sale: UpgradingSale = UpgradingSale.OLD_TIER

    def at(self, value: int) -> Tier | None:
        """Return the tier of who has *value*, however many steps that is at once."""
        return next((each for each in reversed(self.ladder) if value >= each.from_value), None)

    def above(self, value: int) -> Tier | None:
        """Return the next tier for who has *value*, `None` in the highest."""
        return next((each for each in self.ladder if value < each.from_value), None)

    def of_sale(
        self, growth: Account, on: date, *, today: date, terms: Terms, own: int
    ) -> Tier | None:
        """
        Return the tier by which a sale of the day *on* is judged *today*.

        *terms* are those under which growth value was earned on that day, *own* what the sale
        itself brings.
        """
        (_, then), (_, now) = terms.dates(on), terms.dates(today)
        meanwhile = (then, now) if then is not None and now is not None else None
        value = value_on(growth, on, meanwhile=meanwhile)
        at_once = not terms.pending_days and self.upgrading_sale is UpgradingSale.NEW_TIER
        return self.at(value + own if at_once else value)

    def until(self, growth: Account, today: date) -> date | None:
        """
        Return the last day on which today's tier is kept if nothing more is earned.

        `None` is for ever, and for who is in none.
        """
        tier = self.at(value_on(growth, today))
        if tier is None:
            return None
        ends = sorted({last for _, last, _ in _lots(growth) if last is not None and last >= today})
        return next((last for last in ends if _value_after(growth, last) < tier.from_value), None)


def value_on(growth: Account, on: date, *, meanwhile: tuple[date, date] | None = None) -> int:
    """
    Return the growth value that counts on the day *on*.

    *meanwhile* are the last valid days of what sales brought on that day and bring by now: what
    ends after the first and not after the second was earned since, and is left out.
    """
    return sum(
        points
        for since, last, points in _lots(growth)
        if (since is None or since <= on)
        and (
            last is None or (on <= last and not (meanwhile and meanwhile[0] < last <= meanwhile[1]))
        )
    )


def growth_rule_from_document(document: Mapping[str, Any] | None) -> GrowthRule | None:
    """Build the rule of growth value from a program's document."""
    if document is None:
        return None
    return GrowthRule(
        basis=GrowthBasis(document["basis"]),
        value=document["value"],
        per=document["per"],
        rounding=Rounding(document["rounding"]),
    )


def tiers_from_document(document: Mapping[str, Any] | None) -> Tiers | None:
    """Build the ladder from a program's document."""
    if document is None:
        return None
    return Tiers(
        ladder=tuple(Tier(**each) for each in document["ladder"]),
        upgrading_sale=UpgradingSale(document["upgrading_sale"]),
    )


def _value_after(growth: Account, last: date) -> int:
    return value_on(growth, last + timedelta(days=1))


def _lots(growth: Account) -> Iterator[tuple[date | None, date | None, int]]:
    """Yield all that is, waits or lately was in the account: from when, until when, how much."""
    for last, points in growth.buckets.items():
        yield None, last, points
    for (since, last), points in growth.pending.items():
        yield since, last, points
    for last, points in growth.ran_out.items():
        yield None, last, points
