"""
Multiples: what makes a sale earn more than its rule alone.

A tier has one, and a campaign for its days. They are counted in basis points: 10,000 is once,
15,000 one and a half times. However many there are, they become one fraction that the rule
multiplies by before it divides and rounds, once.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from forecourt.tiers import Tier

ONCE_BASIS_POINTS = 10_000


class Combination(StrEnum):
    """
    How several multiples become one.

    Of 1.5 and 2, `ADDITIVE` makes 2.5: each adds its own half or whole of what the rule gives.
    `MULTIPLICATIVE` makes 3.
    """

    ADDITIVE = "additive"
    MULTIPLICATIVE = "multiplicative"


class MultipleKind(StrEnum):
    """Where a multiple comes from."""

    TIER = "tier"
    CAMPAIGN = "campaign"


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """
    A multiple for the business days from `first_on` to `last_on`, both included.

    No `grades` are all grades, and no `stations` all stations.
    """

    name: str
    first_on: date
    last_on: date
    grades: frozenset[str]
    stations: frozenset[str]
    multiple_basis_points: int

    def covers(self, *, grade: str, station_id: str, on: date) -> bool:
        """Return whether the campaign speaks of what is sold there and then."""
        return (
            self.first_on <= on <= self.last_on
            and (not self.grades or grade in self.grades)
            and (not self.stations or station_id in self.stations)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """A multiple that a sale has, for the trace."""

    name: str
    kind: MultipleKind
    basis_points: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """All multiples of a sale as one fraction, and which these were."""

    numerator: int = 1
    denominator: int = 1
    applied: tuple[Applied, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Multiples:
    """The campaigns of a program, and how what applies is combined."""

    combined: Combination = Combination.ADDITIVE
    campaigns: tuple[Campaign, ...] = ()

    def factor(self, tier: Tier | None, *, grade: str, station_id: str, on: date) -> Factor:
        """Return by what a rule multiplies for a member of *tier*; campaigns in their order."""
        applied = [
            Applied(
                name=each.name,
                kind=MultipleKind.CAMPAIGN,
                basis_points=each.multiple_basis_points,
            )
            for each in self.campaigns
            if each.covers(grade=grade, station_id=station_id, on=on)
        ]
        if tier is not None:
            own = Applied(
                name=tier.name, kind=MultipleKind.TIER, basis_points=tier.multiple_basis_points
            )
            applied.insert(0, own)
        return _combined(applied, self.combined)


def multiples_from_document(document: Mapping[str, Any] | None) -> Multiples:
    """Build the multiples from a program's document; none are no campaigns."""
    if document is None:
        return Multiples()
    return Multiples(
        combined=Combination(document["combined"]),
        campaigns=tuple(
            Campaign(
                name=each["name"],
                first_on=date.fromisoformat(each["first_on"]),
                last_on=date.fromisoformat(each["last_on"]),
                grades=frozenset(each["grades"]),
                stations=frozenset(each["stations"]),
                multiple_basis_points=each["multiple_basis_points"],
            )
            for each in document["campaigns"]
        ),
    )


def _combined(applied: Iterable[Applied], combination: Combination) -> Factor:
    multiples = tuple(applied)
    numerator = denominator = 1
    if combination is Combination.MULTIPLICATIVE:
        for each in multiples:
            numerator *= each.basis_points
            denominator *= ONCE_BASIS_POINTS
    elif multiples:
        extra = sum(each.basis_points - ONCE_BASIS_POINTS for each in multiples)
        numerator, denominator = ONCE_BASIS_POINTS + extra, ONCE_BASIS_POINTS
    return Factor(numerator=numerator, denominator=denominator, applied=multiples)
