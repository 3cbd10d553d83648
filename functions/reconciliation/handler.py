"""
Compare, for each station's business day, totalizers with sales with ledger entries.

Invoked by the scheduler once a day; it looks at the last day that is over in each station's
own zone, or at the day it is asked for: `{"business_day": "2026-11-22"}`. What does not
agree becomes a case, which relay tells the bus. A day that agrees again loses its case.
Running it twice finds the same and changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from forecourt.instants import business_day, day_bounds
from forecourt.loyalty_table import LoyaltyTable
from forecourt.reconciliation import TURN, Reconciliation, reconcile
from forecourt.sales import MAX_CLOCK_OFFSET
from forecourt.sales_table import SalesTable, Status
from forecourt.settings import Settings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from forecourt.loyalty_table import Station

LOOK_BACK = timedelta(days=1)  # enough to know where the day's totalizers began
LOOK_AHEAD = TURN + MAX_CLOCK_OFFSET  # what the reading at the turn may already have counted


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconciliationSettings(Settings):
    sales_table: str
    loyalty_table: str


settings = ReconciliationSettings.from_env()
logger = Logger()
metrics = Metrics()

_dynamodb = boto3.client("dynamodb")
sales = SalesTable(_dynamodb, name=settings.sales_table)
loyalty = LoyaltyTable(_dynamodb, name=settings.loyalty_table)


@metrics.log_metrics
@logger.inject_lambda_context
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    now = datetime.now(UTC)
    asked = event.get("business_day")
    different = []
    for station in loyalty.stations():
        day = date.fromisoformat(asked) if asked else last_full_day(station, now)
        result = reconcile_day(station, day)
        log = logger.warning if result.findings else logger.info
        log(
            "day reconciled",
            station_id=station.station_id,
            business_day=day.isoformat(),
            sales=result.sales,
            sold_ml=result.sold_ml,
            metered_ml=result.metered_ml,
            findings=len(result.findings),
        )
        loyalty.keep_case(station.station_id, day, findings=result.findings, opened_at=now)
        if result.findings:
            different.append(station.station_id)
    metrics.add_metric(name="StationDaysDifferent", unit=MetricUnit.Count, value=len(different))
    return {"different": different}


def last_full_day(station: Station, now: datetime) -> date:
    """Return the latest business day that is over at *station*."""
    return business_day(now, ZoneInfo(station.zone)) - timedelta(days=1)


def reconcile_day(station: Station, day: date) -> Reconciliation:
    """Read what *station* told of *day*, and compare it."""
    opens_at, closes_at = day_bounds(day, ZoneInfo(station.zone))
    span = {"opens_at": opens_at - LOOK_BACK, "closes_at": closes_at + LOOK_AHEAD}
    stored = list(sales.station_sales(station.station_id, **span))
    owned = [
        (each.member_id, each.sale.sale_id)
        for each in stored
        if each.status is Status.MATCHED
        and each.member_id is not None
        and opens_at <= each.sale.key.completed_at < closes_at
    ]
    return reconcile(
        opens_at=opens_at,
        closes_at=closes_at,
        sales=[each.sale for each in stored],
        readings=sales.readings(station.station_id, **span),
        owned=[sale_id for _, sale_id in owned],
        judged=loyalty.judged(owned),
        gaps=sales.gaps(station.station_id, opens_at=opens_at, closes_at=closes_at),
    )
