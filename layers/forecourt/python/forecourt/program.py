"""
The program: what a litre or a yuan earns, and until when the points are good.

A version, once activated, is fixed for ever. Which version judges a sale is decided by the
sale's business time alone, so a sale that arrives a month late earns what it would have
earned that day.
"""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from forecourt import baskets, discounts
from forecourt.baskets import Category
from forecourt.deposits import Bonus, bonuses_from_document
from forecourt.discounts import DiscountTerms
from forecourt.instants import business_day
from forecourt.ledger.entries import POINTS_WALLET
from forecourt.ledger.policy import Policies, Terms, WalletPolicy
from forecourt.multiples import Multiples, multiples_from_document
from forecourt.rounding import Rounding, apportion, divide
from forecourt.tiers import growth_rule_from_document, tiers_from_document
from forecourt.validity import Validity, validity_from_document
from forecourt.values import dataclass
from forecourt.wallets import Holder, rates_from_document, wallets_from_document

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date

    from forecourt.baskets import Basket, BasketTerms, Bought
    from forecourt.multiples import Factor
    from forecourt.sales import Sale
    from forecourt.tiers import GrowthRule, Tier, Tiers
    from forecourt.wallets import Rate, Wallet


class Basis(StrEnum):
    """What is counted."""

    VOLUME = "volume"
    AMOUNT = "amount"


class Scope(StrEnum):
    """What is rounded once: all that a rule counts of a sale, or each line of the receipt."""

    SALE = "sale"
    LINE = "line"


@dataclass(frozen=True, slots=True, kw_only=True)
class EarnRule:
    """
    `points` for every `per` (millilitres or fen, by `basis`), multiplied first, rounded once.

    `grades` empty means every grade. Below `minimum` (in the unit of `basis`) the rule gives
    nothing. Ten points a litre is `points=10, per=1000`; one point for each full yuan is
    `points=1, per=100` with `Rounding.FLOOR`. A rule is about fuel unless `categories` names
    what else was bought; minimum and rounding are by `scope`.
    """

    rule_id: str
    grades: frozenset[str]
    basis: Basis
    points: int
    per: int
    minimum: int
    rounding: Rounding
    categories: frozenset[Category] = frozenset({Category.FUEL})
    scope: Scope = Scope.SALE

    def __post_init__(self) -> None:
        """Refuse a rule that could take points away, divide by nothing or count litres of goods."""
        if self.points < 0 or self.per <= 0 or self.minimum < 0:
            raise ValueError(self.rule_id)
        if self.basis is Basis.VOLUME and self.categories != {Category.FUEL}:
            raise ValueError(self.rule_id)

    def covers(self, line: Bought) -> bool:
        """Return whether the rule speaks of what was bought."""
        if line.category not in self.categories:
            return False
        return line.category is not Category.FUEL or not self.grades or line.grade in self.grades


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """
    One version of the program. `validity` is `None` when points never run out.

    `wallets` are by name and holder, `rates` by the wallet that gives and the one that gets,
    `bonuses` by the money that is paid in. A program from before there were wallets has none:
    its points are active at once, and everything else is as the ledger does it by itself.
    `growth` is what a sale adds to its member's growth value, on which the `tiers` rest. One
    without `baskets` counts what the pump tells and nothing that a till adds. `discounts` say
    how far a reward may lower a price.
    """

    version: int
    zone: ZoneInfo
    rules: tuple[EarnRule, ...]
    validity: Validity | None
    wallets: Mapping[str, Mapping[Holder, Wallet]] = field(default_factory=dict)
    rates: Mapping[tuple[str, str], Rate] = field(default_factory=dict)
    bonuses: tuple[Bonus, ...] = ()
    growth: GrowthRule | None = None
    tiers: Tiers | None = None
    multiples: Multiples = field(default_factory=Multiples)
    baskets: BasketTerms | None = None
    discounts: DiscountTerms = field(default_factory=DiscountTerms)

    def policies(self, holder: Holder = Holder.REGISTERED) -> Policies:
        """Return the policies by which the wallets of *holder* are kept under this version."""
        return Policies(
            default=WalletPolicy(zone=self.zone),
            by_wallet={name: by_holder[holder].policy for name, by_holder in self.wallets.items()},
        )

    def terms(self, wallet: str = POINTS_WALLET, holder: Holder = Holder.REGISTERED) -> Terms:
        """Return how long what comes into *wallet* waits and is good."""
        if wallet in self.wallets:
            return self.wallets[wallet][holder].terms
        return Terms(validity=self.validity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """
    What a rule made of a sale: its points, or the reason it gave none.

    `rule_id` is empty when no rule covers anything of it. A multiple that the points contain
    has a trace of its own behind it: a tier's or campaign's name, and its `basis_points`.
    """

    rule_id: str
    outcome: str
    points: int = 0
    basis_points: int | None = None

    def to_record(self) -> dict[str, object]:
        """Return it as it is kept with an entry."""
        told = {"rule": self.rule_id, "outcome": self.outcome, "points": self.points}
        return told if self.basis_points is None else told | {"basis_points": self.basis_points}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """
    What a sale earns, from when (`None`: at once) and until when it is good, and why.

    `items` says how much of it each line of the receipt earned, by its number; all of it.
    """

    points: int
    expires_on: date | None
    trace: tuple[Trace, ...]
    activates_on: date | None = None
    items: Mapping[str, int] = field(default_factory=dict)


def program_from_document(document: Mapping[str, Any], *, version: int) -> Program:
    """
    Build a program from its document, as `forecourt.documents.ProgramDocument` dumps it.

    The door has validated the document; here a fault is a bug and raises what it raises.
    """
    zone, validity = ZoneInfo(document["zone"]), validity_from_document(document["validity"])
    return Program(
        version=version,
        zone=zone,
        rules=tuple(
            EarnRule(
                rule_id=rule["rule_id"],
                grades=frozenset(rule["grades"]),
                basis=Basis(rule["basis"]),
                points=rule["points"],
                per=rule["per"],
                minimum=rule["minimum"],
                rounding=Rounding(rule["rounding"]),
                categories=frozenset(map(Category, rule.get("categories", [Category.FUEL]))),
                scope=Scope(rule.get("scope", Scope.SALE)),
            )
            for rule in document["rules"]
        ),
        validity=validity,
        wallets=wallets_from_document(document.get("wallets"), zone=zone, validity=validity),
        rates=rates_from_document(document.get("wallets")),
        bonuses=bonuses_from_document(document.get("wallets")),
        growth=growth_rule_from_document(document.get("growth")),
        tiers=tiers_from_document(document.get("tiers")),
        multiples=multiples_from_document(document.get("multiples")),
        baskets=baskets.terms_from_document(document.get("baskets")),
        discounts=discounts.terms_from_document(document.get("discounts")),
    )


def evaluate(
    program: Program,
    sale: Sale,
    basket: Basket | None = None,
    *,
    whole: Sale | None = None,
    tier: Tier | None = None,
) -> Evaluation:
    """
    Return what *sale*, with all that was bought along, earns under *program* in *tier*.

    Of each line the first rule that covers it decides, and no later one is asked. Rounding mode
    and order (multiply by the rule and by all multiples, then divide and round once) are the
    published ones of the rule. *whole* is the sale that *basket* belongs to, when *sale* is a
    part of it.

    The trace is kept with every sale, so it is silent about rules for other things: the
    version it is stored beside says which these were.
    """
    number = basket.fuel_number if basket is not None else ""
    lines: tuple[Bought, ...] = (baskets.fuel_of(sale, number=number),)
    if basket is not None and program.baskets is not None:
        lines = baskets.bought(basket, whole or sale, program.baskets)
        lines = baskets.share_of(lines, sale, whole) if whole else lines
    on = business_day(sale.key.completed_at, program.zone)
    trace: list[Trace] = []
    items: dict[str, int] = {}
    for rule, covered in _covered(program.rules, lines):
        # Goods have no grade: a campaign for one does not multiply a rule that is about them.
        grade = next((line.grade for line in covered if line.grade), "")
        factor = program.multiples.factor(tier, grade=grade, station_id=sale.key.station_id, on=on)
        earned = _earned(rule, covered, factor)
        if earned is not None:
            items |= {line.number: part for line, part in zip(covered, earned, strict=True)}
        trace += _traced(rule, earned, factor)
    if not trace:
        nothing = Trace(rule_id="", outcome="no_rule")
        return Evaluation(points=0, expires_on=None, trace=(nothing,))
    activates_on, expires_on = program.terms().dates(on, tier=tier.name if tier else "")
    return Evaluation(
        points=sum(each.points for each in trace),
        expires_on=expires_on,
        activates_on=activates_on,
        trace=tuple(trace),
        items={number: points for number, points in items.items() if number and points},
    )


def _covered(
    rules: Sequence[EarnRule], lines: Sequence[Bought]
) -> Iterator[tuple[EarnRule, list[Bought]]]:
    """Yield the rules that decide about any of *lines*, each with those it decides about."""
    left = list(lines)
    for rule in rules:
        covered = [line for line in left if rule.covers(line)]
        left = [line for line in left if line not in covered]
        if covered:
            yield rule, covered


def _earned(rule: EarnRule, lines: Sequence[Bought], factor: Factor) -> list[int] | None:
    """
    Return what each of *lines* earns, `None` when there is too little of what *rule* counts.

    What is rounded for all lines at once is divided among them by what each was, and what does
    not divide goes to the largest remainders: so the parts are always all of it.
    """
    by_volume = rule.basis is Basis.VOLUME
    quantities = [line.volume_ml if by_volume else line.amount_fen for line in lines]
    whole = [sum(quantities)] if rule.scope is Scope.SALE else quantities
    if max(whole) < rule.minimum:
        return None
    product, divisor = rule.points * factor.numerator, rule.per * factor.denominator
    points = [
        divide(each * product, divisor, rule.rounding) if each >= rule.minimum else 0
        for each in whole
    ]
    return points if len(points) == len(lines) else apportion(points[0], quantities)


def _traced(rule: EarnRule, earned: list[int] | None, factor: Factor) -> list[Trace]:
    if earned is None:
        return [Trace(rule_id=rule.rule_id, outcome="below_minimum")]
    return [
        Trace(rule_id=rule.rule_id, outcome="earned", points=sum(earned)),
        *(
            Trace(rule_id=each.name, outcome=str(each.kind), basis_points=each.basis_points)
            for each in factor.applied
        ),
    ]
