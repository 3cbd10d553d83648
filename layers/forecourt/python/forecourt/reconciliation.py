"""
Does a station's day add up: meters against sales against the ledger.

A totalizer cannot be reset. Between two sales of one nozzle it moves by the volume of the
second; any other difference is fuel that left without a sale, or a sale that was lost. At
the end of the day an idle nozzle stands where its last sale left it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from forecourt.messages import NozzleReading
    from forecourt.sales import Sale

Meter = tuple[str, int]


class FindingKind(StrEnum):
    """What does not agree."""

    VOLUME_WITHOUT_SALE = "volume_without_sale"
    TOTALIZER_WENT_BACK = "totalizer_went_back"
    READING_DIFFERS = "reading_differs"
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

    `metered_ml` counts from the first known position of each totalizer.
    """

    sales: int
    sold_ml: int
    metered_ml: int
    findings: Sequence[Finding] = field(default_factory=list)


def reconcile(
    *,
    opens_at: datetime,
    sales: Iterable[Sale],
    readings: Iterable[tuple[datetime, Sequence[NozzleReading]]],
    owned: Iterable[str],
    judged: Iterable[str],
    gaps: Iterable[Mapping[str, Any]],
) -> Reconciliation:
    """
    Compare a business day that begins at *opens_at*.

    *sales* and *readings* may begin earlier, which gives the totalizers their positions at
    the opening; findings are about the day alone. *owned* are the ids of sales with an
    owner, *judged* those that accrual has judged.
    """
    by_meter: dict[Meter, list[Sale]] = defaultdict(list)
    for sale in sales:
        by_meter[sale.key.device_serial, sale.key.nozzle].append(sale)
    findings: list[Finding] = []
    count = sold_ml = metered_ml = 0
    for meter_sales in by_meter.values():
        ordered = sorted(meter_sales, key=lambda sale: (sale.key.totalizer_ml, sale.sale_id))
        today = [sale for sale in ordered if sale.key.completed_at >= opens_at]
        count += len(today)
        sold_ml += sum(sale.volume_ml for sale in today)
        metered_ml += _metered(ordered, opens_at)
        findings += _chain(ordered, opens_at)
    findings += _readings(by_meter, readings, opens_at)
    known = set(judged)
    findings += [
        Finding(kind=FindingKind.SALE_NOT_JUDGED, facts={"sale_id": sale_id})
        for sale_id in sorted(set(owned) - known)
    ]
    findings += [
        Finding(
            kind=FindingKind.TRANSACTIONS_LOST,
            facts={
                name: gap[name]
                for name in (
                    "device_serial",
                    "nozzle",
                    "first_transaction",
                    "last_transaction",
                    "missing_ml",
                )
            },
        )
        for gap in gaps
    ]
    return Reconciliation(sales=count, sold_ml=sold_ml, metered_ml=metered_ml, findings=findings)


def _metered(ordered: Sequence[Sale], opens_at: datetime) -> int:
    """Return how far a totalizer moved since the opening."""
    today = [sale for sale in ordered if sale.key.completed_at >= opens_at]
    if not today:
        return 0
    before = [sale for sale in ordered if sale.key.completed_at < opens_at]
    first = today[0]
    opening = before[-1].key.totalizer_ml if before else first.key.totalizer_ml - first.volume_ml
    return today[-1].key.totalizer_ml - opening


def _chain(ordered: Sequence[Sale], opens_at: datetime) -> list[Finding]:
    """Follow a totalizer from sale to sale."""
    findings = []
    for earlier, later in pairwise(ordered):
        if later.key.completed_at < opens_at:
            continue
        difference = later.key.totalizer_ml - earlier.key.totalizer_ml - later.volume_ml
        if abs(difference) > later.volume_resolution_ml:
            kind = (
                FindingKind.VOLUME_WITHOUT_SALE
                if difference > 0
                else FindingKind.TOTALIZER_WENT_BACK
            )
            findings.append(
                Finding(
                    kind=kind,
                    facts={
                        "after_sale_id": earlier.sale_id,
                        "before_sale_id": later.sale_id,
                        "difference_ml": difference,
                    },
                )
            )
    return findings


def _readings(
    by_meter: Mapping[Meter, Sequence[Sale]],
    readings: Iterable[tuple[datetime, Sequence[NozzleReading]]],
    opens_at: datetime,
) -> list[Finding]:
    """Compare where idle nozzles stood with where their last sale had left them."""
    findings = []
    for read_at, nozzles in readings:
        if read_at < opens_at:
            continue
        for nozzle in nozzles:
            sold = [
                sale
                for sale in by_meter.get((nozzle.device_serial, nozzle.nozzle), ())
                if sale.recorded_at <= read_at  # both are the gateway's clock
            ]
            if not sold:
                continue
            last = max(sold, key=lambda sale: sale.key.totalizer_ml)
            difference = nozzle.totalizer_ml - last.key.totalizer_ml
            if abs(difference) > last.volume_resolution_ml:
                findings.append(
                    Finding(
                        kind=FindingKind.READING_DIFFERS,
                        facts={
                            "device_serial": nozzle.device_serial,
                            "nozzle": nozzle.nozzle,
                            "after_sale_id": last.sale_id,
                            "difference_ml": difference,
                        },
                    )
                )
    return findings
