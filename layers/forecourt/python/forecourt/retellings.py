"""
One sale, told by pump, till and payment provider.

Tellings are one sale when station, nozzle, time, amount and litres agree as far as each
tells them. What the pump tells is the sale; a till's telling joins it, a payment joins
either. The result does not depend on the order of the tellings, and a telling that comes again
changes nothing. Whatever fits two sales, or contradicts the one it belongs to, is held for a
person. A telling that fits one sale joins it at once, though a second may be on its way (see
`forecourt.retold_sales`): nobody waits for what may never come.
"""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from forecourt.instants import compact_instant
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

    from forecourt.baskets import Basket

WINDOW = timedelta(minutes=10)  # hanging up, walking to the till, paying
TOLD_ID = re.compile(r"[A-Za-z0-9-]{1,48}")
VOLUME_TOLERANCE_ML = 10  # a till prints hundredths of a litre


class Source(StrEnum):
    """Who tells of a sale, the most trustworthy first."""

    PUMP = "pump"
    TILL = "till"
    PAYMENT = "payment"


class Conflict(StrEnum):
    """Why a merged sale is held."""

    AMOUNT_DIFFERS = "amount_differs"
    VOLUME_DIFFERS = "volume_differs"
    TOLD_TWICE = "told_twice"
    AMBIGUOUS = "ambiguous"


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """
    A sale as one source tells it, under the source's own id; `None` is not told.

    `amount_fen` is all that was to be paid: with a `basket` more than the fuel, or less.
    """

    source: Source
    told_id: str
    station_id: str
    at: datetime
    amount_fen: int
    nozzle: int | None = None
    volume_ml: int | None = None
    basket: Basket | None = None

    @property
    def fuel_fen(self) -> int:
        """Return what the fuel cost, before any discount."""
        return self.basket.fuel.amount_fen if self.basket else self.amount_fen

    @property
    def fuel_ml(self) -> int | None:
        """Return how much was fuelled."""
        return self.basket.fuel.volume_ml if self.basket else self.volume_ml


@dataclass(frozen=True, slots=True, kw_only=True)
class OneSale:
    """All that was told of one sale, and why a person has to look at it, if so."""

    tellings: tuple[Telling, ...]
    held_because: Conflict | None = None

    @property
    def pump(self) -> Telling | None:
        """Return what the pump told, `None` while it has not."""
        return next((each for each in self.tellings if each.source is Source.PUMP), None)

    @property
    def contradicted_by(self) -> Conflict | None:
        """
        Return what speaks against the sale itself.

        That a payment fits another sale as well is the payment's trouble: two who buy for
        the same amount within minutes are no reason to hold either.
        """
        return None if self.held_because is Conflict.AMBIGUOUS else self.held_because

    @property
    def paid(self) -> frozenset[int]:
        """Return the amounts a payment may be of, if a receipt tells more than the fuel."""
        return _paid(self.tellings)

    @property
    def sources(self) -> tuple[Source, ...]:
        """Return who told of it."""
        return tuple(dict.fromkeys(each.source for each in self.tellings))


def telling_id_for(telling: Telling) -> str:
    """Return the one id of a telling; like a sale's it begins with its instant."""
    at = compact_instant(telling.at)
    return f"{at}.{telling.station_id}.{telling.source}.{telling.told_id}"


def sale_of(subject: Telling, around: Collection[Telling]) -> OneSale:
    """Return the sale that *subject* tells of, as far as the tellings *around* it say."""
    return next(each for each in merge({subject, *around}) if subject in each.tellings)


def may_be_one(one: Telling, two: Telling) -> bool:
    """Return whether two tellings are of one place and time, whatever else they say."""
    return _near(one, two) and _same_nozzle(one, two)


def difference(
    one: Telling, two: Telling, *, paid: frozenset[int] = frozenset()
) -> Conflict | None:
    """
    Return in which figure two tellings contradict each other, as far as both tell it.

    They are compared by the fuel; a payment may be of one of the amounts *paid*, too, of which
    a receipt tells.
    """
    by_receipt = any(
        each.source is Source.PAYMENT and each.amount_fen in paid for each in (one, two)
    )
    if one.fuel_fen != two.fuel_fen and not by_receipt:
        return Conflict.AMOUNT_DIFFERS
    if one.fuel_ml is None or two.fuel_ml is None:
        return None
    far = abs(one.fuel_ml - two.fuel_ml) > VOLUME_TOLERANCE_ML
    return Conflict.VOLUME_DIFFERS if far else None


def merge(tellings: Collection[Telling]) -> tuple[OneSale, ...]:
    """Return the sales behind *tellings* of one station and time, in order of time."""
    groups: list[_Group] = []
    for source in Source:
        told = sorted({each for each in tellings if each.source is source}, key=_order)
        _add(groups, told)
    return tuple(
        OneSale(tellings=tuple(group.tellings), held_because=group.held)
        for group in sorted(groups, key=lambda group: _order(group.tellings[0]))
    )


@dataclass(slots=True)
class _Group:
    tellings: list[Telling]
    held: Conflict | None = None

    @property
    def paid(self) -> frozenset[int]:
        return _paid(self.tellings)


def _add(groups: list[_Group], told: Sequence[Telling]) -> None:
    """Let the tellings of one source join the sales of the sources before it."""
    joining: dict[int, list[Telling]] = defaultdict(list)
    new: list[_Group] = []
    for same_id in _by_id(told):
        first = same_id[0]
        if len(same_id) > 1:  # the source contradicts itself
            new.append(_Group(list(same_id), Conflict.TOLD_TWICE))
            continue
        fits = [place for place, group in enumerate(groups) if _fits(first, group)]
        if len(fits) == 1:
            joining[fits[0]].append(first)
        elif fits:
            new.append(_Group([first], Conflict.AMBIGUOUS))
            for place in fits:
                groups[place].held = groups[place].held or Conflict.AMBIGUOUS
        elif conflict := _contradicted(first, groups):
            place, why = conflict
            groups[place].tellings.append(first)
            groups[place].held = groups[place].held or why
        else:
            new.append(_Group([first]))
    for place, joined in joining.items():
        groups[place].tellings += joined
        if len(joined) > 1:
            groups[place].held = groups[place].held or Conflict.TOLD_TWICE
    groups += new


def _by_id(told: Sequence[Telling]) -> list[list[Telling]]:
    found: dict[str, list[Telling]] = defaultdict(list)
    for each in told:
        found[each.told_id].append(each)
    return list(found.values())


def _fits(telling: Telling, group: _Group) -> bool:
    return all(
        may_be_one(telling, each) and difference(telling, each, paid=group.paid) is None
        for each in group.tellings
    )


def _contradicted(telling: Telling, groups: Sequence[_Group]) -> tuple[int, Conflict] | None:
    """Return the one sale of the same nozzle and time that says something else."""
    if telling.nozzle is None:
        return None
    found = [
        (place, why)
        for place, group in enumerate(groups)
        if _near(telling, group.tellings[0])
        and telling.nozzle == group.tellings[0].nozzle
        and (why := difference(telling, group.tellings[0], paid=group.paid))
    ]
    return found[0] if len(found) == 1 else None


def _paid(tellings: Iterable[Telling]) -> frozenset[int]:
    return frozenset(
        amount_fen
        for each in tellings
        if each.basket is not None
        for amount_fen in (
            each.basket.total_fen,
            *(payment.amount_fen for payment in each.basket.payments),
        )
    )


def _near(one: Telling, two: Telling) -> bool:
    return one.station_id == two.station_id and abs(one.at - two.at) <= WINDOW


def _same_nozzle(one: Telling, two: Telling) -> bool:
    return one.nozzle is None or two.nozzle is None or one.nozzle == two.nozzle


def _order(telling: Telling) -> tuple[datetime, str, int, int, int]:
    return (
        telling.at,
        telling.told_id,
        telling.amount_fen,
        telling.nozzle or 0,
        telling.volume_ml or 0,
    )
