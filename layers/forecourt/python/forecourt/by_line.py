"""
What each line of a receipt earned, and by which entry, so that a line can be refunded by itself.

A sale that is judged with its receipt earns by one entry, which says how much of it each line
earned. One that was judged before has two: its own, which knew of the fuel alone, and the one
that made the difference. What the lines earned is divided between these by a rule, since neither
can say it: the fuel's line first fills what the first entry gave, then the others do in the order
of the receipt, and what is left of them came by the difference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from forecourt.growth import tier_of_entry
from forecourt.program import evaluate
from forecourt.rounding import apportion
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from forecourt.baskets import Basket
    from forecourt.ledger import Entry
    from forecourt.program import Program
    from forecourt.sales import Sale


@dataclass(frozen=True, slots=True, kw_only=True)
class ByLine:
    """Points by the number of a line: what came by the sale's own entry, and by the difference."""

    first: Mapping[str, int]
    further: Mapping[str, int]


def in_proportion(points: int, items: Mapping[str, int]) -> dict[str, int]:
    """Return what of *points* is each line's, when the lines would have earned *items*."""
    parts = apportion(points, list(items.values()))
    return {number: part for number, part in zip(items, parts, strict=True) if part}


def divided(first: int, items: Mapping[str, int], *, fuel: str) -> ByLine:
    """Return which of *items* came with the *first* points, given for the line *fuel* alone."""
    given, left = dict[str, int](), first
    for number in sorted(items, key=lambda number: (number != fuel, int(number))):
        given[number] = min(items[number], left)
        left -= given[number]
    further = {number: points - given[number] for number, points in items.items()}
    return ByLine(
        first={number: points for number, points in given.items() if points},
        further={number: points for number, points in further.items() if points},
    )


def earned_by_line(
    program: Program, sale: Sale, basket: Basket, *, whole: Sale, gave: Entry | None
) -> ByLine:
    """
    Return what each line of a *basket* earned that came when *sale* was judged.

    *gave* is the sale's own entry. It may have given less than the sale is worth, to somebody
    who has it from a member whom it had been refunded to.
    """
    tier = tier_of_entry(program, gave)
    alone = evaluate(program, sale, whole=whole, tier=tier).points
    items = evaluate(program, sale, basket, whole=whole, tier=tier).items
    lines = divided(alone, items, fuel=basket.fuel_number)
    if gave is None or gave.given == alone:
        return lines
    carried = sum(lines.first.values()) * gave.given // alone
    return ByLine(first=in_proportion(carried, lines.first), further=lines.further)
