"""
Does a station's day add up: meters against sales against the ledger.

A totalizer cannot be reset. From one position we know to the next (after a sale, or at a
reading of an idle nozzle) it moves by the volume of the sale between them; any other
difference is fuel that left without a sale, or a sale that was lost. Each difference is
found once, on the day of the later position.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import field
from datetime import timedelta
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from forecourt.instants import format_instant
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from forecourt.messages import NozzleReading
    from forecourt.sales import Sale

# The reading taken when the day turns tells how it ended; a station may be this late with it.
TURN = timedelta(minutes=5)

Meter = tuple[str, int]


class FindingKind(StrEnum):
    """What does not agree."""

    VOLUME_WITHOUT_SALE = "volume_without_sale"
    TOTALIZER_WENT_BACK = "totalizer_went_back"
    READING_DIFFERS = "reading_differs"
    SALE_NOT_MATCHED = "sale_not_matched"
    SALE_NOT_JUDGED = "sale_not_judged"
    TRANSACTIONS_LOST = "transactions_lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One difference, with what is needed to look into it."""

    kind: FindingKind
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """
    A station's day: the sum of its sales and of its totalizers' movements, and the findings.

    `metered_ml` counts from the last known position of each totalizer before the day, or
    from the beginning of its first sale.
    """

    sales: int
    sold_ml: int
    metered_ml: int
    findings: Sequence[Finding] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Position:
    """
    Where a totalizer stood: after a sale, or at a reading.

    `seen_at` is the gateway's clock, which orders positions; `counts_at` decides the day.
    """

    seen_at: datetime
    counts_at: datetime
    totalizer_ml: int
    sold_ml: int
    resolution_ml: int
    sale_id: str | None


def reconcile(
    *,
    opens_at: datetime,
    closes_at: datetime,
    sales: Iterable[Sale],
    readings: Iterable[tuple[datetime, Sequence[NozzleReading]]],
    undecided: Iterable[str],
    owned: Iterable[str],
    judged: Iterable[str],
    gaps: Iterable[Mapping[str, Any]],
) -> Reconciliation:
    """
    Compare a business day from *opens_at* until before *closes_at*.

    *sales* and *readings* may begin earlier, which gives the totalizers their positions at
    the opening, and go on a little after the closing, for the reading at the turn; findings
    are about the day alone.
    Of the day's sales *undecided* are the ids of those matching has not seen, *owned* of
    those with an owner, *judged* of those accrual has judged.
    """
    count = sold_ml = metered_ml = 0
    findings: list[Finding] = []
    for meter, positions in _positions(sales, readings).items():
        for earlier, later in pairwise([None, *positions]):
            if later is None or not opens_at <= later.counts_at < closes_at:
                continue
            moved_ml = later.totalizer_ml - earlier.totalizer_ml if earlier else later.sold_ml
            count += later.sale_id is not None
            sold_ml += later.sold_ml
            metered_ml += moved_ml
            if earlier and not _agree(earlier, later):
                findings.append(_difference(meter, earlier, later))
    findings += _stuck(FindingKind.SALE_NOT_MATCHED, undecided)
    findings += _stuck(FindingKind.SALE_NOT_JUDGED, set(owned) - set(judged))
    findings += [_lost(gap) for gap in gaps]
    return Reconciliation(sales=count, sold_ml=sold_ml, metered_ml=metered_ml, findings=findings)


def _positions(
    sales: Iterable[Sale], readings: Iterable[tuple[datetime, Sequence[NozzleReading]]]
) -> dict[Meter, list[_Position]]:
    """Return each totalizer's known positions in the order they were seen."""
    found: dict[Meter, list[_Position]] = defaultdict(list)
    for sale in sales:
        found[sale.key.device_serial, sale.key.nozzle].append(
            _Position(
                seen_at=sale.recorded_at,
                counts_at=sale.key.completed_at,
                totalizer_ml=sale.key.totalizer_ml,
                sold_ml=sale.volume_ml,
                resolution_ml=sale.volume_resolution_ml,
                sale_id=sale.sale_id,
            )
        )
    for read_at, nozzles in readings:
        for nozzle in nozzles:
            found[nozzle.device_serial, nozzle.nozzle].append(
                _Position(
                    seen_at=read_at,
                    counts_at=read_at - TURN,
                    totalizer_ml=nozzle.totalizer_ml,
                    sold_ml=0,
                    resolution_ml=0,
                    sale_id=None,
                )
            )
    for positions in found.values():
        # Several in one second are in the order the totalizer passed them.
        positions.sort(key=lambda each: (each.seen_at, each.totalizer_ml, each.sale_id is None))
    return found


def _agree(earlier: _Position, later: _Position) -> bool:
    difference_ml = later.totalizer_ml - earlier.totalizer_ml - later.sold_ml
    return abs(difference_ml) <= max(earlier.resolution_ml, later.resolution_ml)


def _difference(meter: Meter, earlier: _Position, later: _Position) -> Finding:
    difference_ml = later.totalizer_ml - earlier.totalizer_ml - later.sold_ml
    if difference_ml < 0:
        kind = FindingKind.TOTALIZER_WENT_BACK
    elif later.sale_id is None:
        kind = FindingKind.READING_DIFFERS
    else:
        kind = FindingKind.VOLUME_WITHOUT_SALE
    device_serial, nozzle = meter
    return Finding(
        kind=kind,
        facts={
            "device_serial": device_serial,
            "nozzle": nozzle,
            "after": earlier.sale_id or format_instant(earlier.seen_at),
            "before": later.sale_id or format_instant(later.seen_at),
            "difference_ml": difference_ml,
        },
    )


def _stuck(kind: FindingKind, sale_ids: Iterable[str]) -> list[Finding]:
    return [Finding(kind=kind, facts={"sale_id": sale_id}) for sale_id in sorted(sale_ids)]


def _lost(gap: Mapping[str, Any]) -> Finding:
    names = ("device_serial", "nozzle", "first_transaction", "last_transaction", "missing_ml")
    return Finding(kind=FindingKind.TRANSACTIONS_LOST, facts={name: gap[name] for name in names})
