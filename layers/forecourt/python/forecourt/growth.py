"""
Growth value: what a sale adds to what its member's tier rests on.

It follows from the sale and the program of its day alone: neither the member's tier nor a
campaign makes it more, so nobody rises the faster for having risen. It is earned in the wallet
`growth`, by an entry of its own beside that of the points.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from forecourt.instants import business_day
from forecourt.multiples import Multiples
from forecourt.program import evaluate
from forecourt.rulings import SEPARATOR
from forecourt.tiers import GrowthBasis
from forecourt.values import dataclass
from forecourt.wallets import GROWTH_WALLET

if TYPE_CHECKING:
    from datetime import date, datetime

    from forecourt.ledger import Account
    from forecourt.program import Program
    from forecourt.sales import Sale
    from forecourt.tiers import Tier


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """The growth value of a sale, from when (`None`: at once) and until when it counts."""

    value: int
    activates_on: date | None
    expires_on: date | None


def growth_of(program: Program, sale: Sale) -> Growth | None:
    """Return the growth value of *sale* under *program*, `None` when it has none."""
    rule = program.growth
    if rule is None:
        return None
    match rule.basis:
        case GrowthBasis.VOLUME:
            quantity = sale.volume_ml
        case GrowthBasis.AMOUNT:
            quantity = sale.amount_fen
        case _:
            quantity = evaluate(replace(program, multiples=Multiples()), sale).points
    value = rule.of(quantity)
    if value == 0:
        return None
    on = business_day(sale.key.completed_at, program.zone)
    activates_on, expires_on = program.terms(GROWTH_WALLET).dates(on)
    return Growth(value=value, activates_on=activates_on, expires_on=expires_on)


def tier_of_sale(program: Program, sale: Sale, growth: Account, *, now: datetime) -> Tier | None:
    """Return the tier by which *sale* is judged at *now*, given its member's growth account."""
    if program.tiers is None:
        return None
    own = growth_of(program, sale)
    return program.tiers.of_sale(
        growth,
        business_day(sale.key.completed_at, program.zone),
        today=business_day(now, program.zone),
        terms=program.terms(GROWTH_WALLET),
        own=own.value if own else 0,
    )


def growth_entry_id(entry_id: str) -> str:
    """Return the id of the entry that moves growth value beside *entry_id*, which moves points."""
    return f"{entry_id}{SEPARATOR}growth"
