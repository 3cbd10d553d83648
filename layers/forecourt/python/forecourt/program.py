"""
The program: what a litre or a yuan earns, and until when the points are good.

A version, once activated, is fixed for ever. Which version judges a sale is decided by the
sale's business time alone, so a sale that arrives a month late earns what it would have
earned that day.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from forecourt.instants import business_day
from forecourt.ledger.entries import POINTS_WALLET
from forecourt.ledger.policy import Policies, Terms, WalletPolicy
from forecourt.multiples import Multiples, multiples_from_document
from forecourt.rounding import Rounding, divide
from forecourt.tiers import growth_rule_from_document, tiers_from_document
from forecourt.validity import Validity, validity_from_document
from forecourt.wallets import Holder, rates_from_document, wallets_from_document

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from forecourt.sales import Sale
    from forecourt.tiers import GrowthRule, Tier, Tiers
    from forecourt.wallets import Rate, Wallet


class Basis(StrEnum):
    """What is counted."""

    VOLUME = "volume"
    AMOUNT = "amount"


@dataclass(frozen=True, slots=True, kw_only=True)
class EarnRule:
    """
    `points` for every `per` (millilitres or fen, by `basis`), multiplied first, rounded once.

    `grades` empty means every grade. Below `minimum` (in the unit of `basis`) the rule gives
    nothing. Ten points a litre is `points=10, per=1000`; one point for each full yuan is
    `points=1, per=100` with `Rounding.FLOOR`.
    """

    rule_id: str
    grades: frozenset[str]
    basis: Basis
    points: int
    per: int
    minimum: int
    rounding: Rounding

    def __post_init__(self) -> None:
        """Refuse a rule that could take points away or divide by nothing."""
        if self.points < 0 or self.per <= 0 or self.minimum < 0:
            raise ValueError(self.rule_id)

    def covers(self, grade: str) -> bool:
        """Return whether the rule speaks of *grade*."""
        return not self.grades or grade in self.grades


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """
    One version of the program. `validity` is `None` when points never run out.

    `wallets` are by name and holder, `rates` by the wallet that gives and the one that gets. A
    program from before there were wallets has none: its points are active at once, and
    everything else is as the ledger does it by itself.
    `growth` is what a sale adds to its member's growth value, on which the `tiers` rest.
    """

    version: int
    zone: ZoneInfo
    rules: tuple[EarnRule, ...]
    validity: Validity | None
    wallets: Mapping[str, Mapping[Holder, Wallet]] = field(default_factory=dict)
    rates: Mapping[tuple[str, str], Rate] = field(default_factory=dict)
    growth: GrowthRule | None = None
    tiers: Tiers | None = None
    multiples: Multiples = field(default_factory=Multiples)

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

    `rule_id` is empty when no rule covers the grade. A multiple that the points contain has a
    trace of its own behind it: a tier's or campaign's name, and its `basis_points`.
    """

    rule_id: str
    outcome: str
    points: int = 0
    basis_points: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What a sale earns, from when (`None`: at once) and until when it is good, and why."""

    points: int
    expires_on: date | None
    trace: tuple[Trace, ...]
    activates_on: date | None = None


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
            )
            for rule in document["rules"]
        ),
        validity=validity,
        wallets=wallets_from_document(document.get("wallets"), zone=zone, validity=validity),
        rates=rates_from_document(document.get("wallets")),
        growth=growth_rule_from_document(document.get("growth")),
        tiers=tiers_from_document(document.get("tiers")),
        multiples=multiples_from_document(document.get("multiples")),
    )


def evaluate(program: Program, sale: Sale, *, tier: Tier | None = None) -> Evaluation:
    """
    Return what *sale* earns under *program* for a member of *tier*.

    The first rule that covers the grade decides, and no later one is asked. Rounding mode
    and order (multiply by the rule and by all multiples, then divide and round once) are the
    published ones of the rule.

    The trace is kept with every sale, so it is silent about rules for other grades: the
    version it is stored beside says which these were.
    """
    rule = next((each for each in program.rules if each.covers(sale.grade)), None)
    if rule is None:
        nothing = Trace(rule_id="", outcome="no_rule")
        return Evaluation(points=0, expires_on=None, trace=(nothing,))
    on = business_day(sale.key.completed_at, program.zone)
    factor = program.multiples.factor(tier, grade=sale.grade, station_id=sale.key.station_id, on=on)
    quantity = sale.volume_ml if rule.basis is Basis.VOLUME else sale.amount_fen
    if quantity < rule.minimum:
        trace = [Trace(rule_id=rule.rule_id, outcome="below_minimum")]
    else:
        product, divisor = rule.points * factor.numerator, rule.per * factor.denominator
        points = divide(quantity * product, divisor, rule.rounding)
        trace = [Trace(rule_id=rule.rule_id, outcome="earned", points=points)]
        trace += [
            Trace(rule_id=each.name, outcome=str(each.kind), basis_points=each.basis_points)
            for each in factor.applied
        ]
    activates_on, expires_on = program.terms().dates(on, tier=tier.name if tier else "")
    return Evaluation(
        points=trace[0].points,
        expires_on=expires_on,
        activates_on=activates_on,
        trace=tuple(trace),
    )
