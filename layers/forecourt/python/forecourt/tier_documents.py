"""The part of a program's document about growth value, tiers and multiples."""

from typing import Annotated

from pydantic import Field, StrictInt

from forecourt.multiples import ONCE_BASIS_POINTS, Combination
from forecourt.rounding import Rounding
from forecourt.shapes import (
    MAX_GRADES,
    MAX_IN_A_WALLET,
    MAX_PER,
    MAX_POINTS,
    MAX_TIERS,
    Day,
    Document,
    Finding,
    Grade,
    Name,
    StationId,
    error,
    warning,
)
from forecourt.tiers import GrowthBasis, UpgradingSale

MAX_CAMPAIGNS = 16
MAX_STATIONS = 1_000
MAX_MULTIPLE_BASIS_POINTS = 100_000  # ten times

Multiple = Annotated[
    StrictInt,
    Field(
        ge=ONCE_BASIS_POINTS,
        le=MAX_MULTIPLE_BASIS_POINTS,
        description="In basis points: 15000 is one and a half times",
        examples=[15_000],
    ),
]


class GrowthRuleDocument(Document):
    """
    Growth value for every `per` millilitres, fen or points of a sale.

    Points are those of the rule alone, without any multiple.
    """

    basis: GrowthBasis
    value: Annotated[StrictInt, Field(ge=1, le=MAX_POINTS)]
    per: Annotated[StrictInt, Field(ge=1, le=MAX_PER, description="Millilitres, fen or points")]
    rounding: Rounding


class TierDocument(Document):
    """A tier, for members whose growth value is `from_value` or more."""

    name: Annotated[Name, Field(examples=["gold"])]
    from_value: Annotated[StrictInt, Field(ge=0, le=MAX_IN_A_WALLET)]
    multiple_basis_points: Multiple = ONCE_BASIS_POINTS


class TiersDocument(Document):
    """
    The tiers, lowest first. A member is in the highest that their growth value reaches.

    `upgrading_sale` says by which tier the sale is judged that takes its member higher.
    """

    ladder: Annotated[list[TierDocument], Field(min_length=1, max_length=MAX_TIERS)]
    upgrading_sale: UpgradingSale = UpgradingSale.OLD_TIER

    @property
    def names(self) -> frozenset[str]:
        """Return the tiers there are."""
        return frozenset(each.name for each in self.ladder)


class CampaignDocument(Document):
    """A multiple for the business days from `first_on` to `last_on`, both included."""

    name: Annotated[Name, Field(examples=["double-diesel"])]
    first_on: Day
    last_on: Day
    grades: Annotated[
        list[Grade], Field(max_length=MAX_GRADES, description="Empty means every grade")
    ] = []
    stations: Annotated[
        list[StationId], Field(max_length=MAX_STATIONS, description="Empty means every station")
    ] = []
    multiple_basis_points: Multiple


class MultiplesDocument(Document):
    """
    Campaigns, and how their multiples and the tier's are combined.

    Of 1.5 and 2, `additive` makes 2.5 and `multiplicative` 3.
    """

    combined: Combination = Combination.ADDITIVE
    campaigns: Annotated[list[CampaignDocument], Field(max_length=MAX_CAMPAIGNS)] = []


def tier_findings(
    growth: GrowthRuleDocument | None, tiers: TiersDocument | None, *, has_wallet: bool
) -> list[Finding]:
    """Return what is wrong about the rule of growth value and the tiers that rest on it."""
    findings = []
    if growth is not None and not has_wallet:
        findings.append(error("growth_without_wallet", "/growth"))
    if tiers is None:
        return findings
    if growth is None:
        findings.append(error("tiers_without_growth", "/tiers"))
    names: set[str] = set()
    for index, tier in enumerate(tiers.ladder):
        at = f"/tiers/ladder/{index}"
        if tier.name in names:
            findings.append(error("duplicate_tier", f"{at}/name", tier=tier.name))
        names.add(tier.name)
        below = tiers.ladder[index - 1] if index else None
        if below is None:
            continue
        if tier.from_value <= below.from_value:
            findings.append(error("tier_not_above_the_last", f"{at}/from_value", tier=tier.name))
        if tier.multiple_basis_points < below.multiple_basis_points:
            at = f"{at}/multiple_basis_points"
            findings.append(warning("multiple_below_a_lower_tiers", at, tier=tier.name))
    return findings


def multiple_findings(
    multiples: MultiplesDocument | None, *, sold: frozenset[str], tiers: frozenset[str]
) -> list[Finding]:
    """Return what is wrong or odd about campaigns, given the grades *sold* and the *tiers*."""
    findings = []
    names = set(tiers)  # in a trace, a name says which multiple it was
    for index, campaign in enumerate(multiples.campaigns if multiples else []):
        at = f"/multiples/campaigns/{index}"
        if campaign.name in names:
            findings.append(error("duplicate_multiple", f"{at}/name", multiple=campaign.name))
        names.add(campaign.name)
        if campaign.last_on < campaign.first_on:
            findings.append(error("ends_before_it_begins", f"{at}/last_on"))
        findings += [
            warning("grade_not_sold", f"{at}/grades", grade=grade)
            for grade in campaign.grades
            if grade not in sold
        ]
    return findings
