"""
Compare, for each station's business day, totalizers with sales with ledger entries.

Invoked by the scheduler once a day; it looks at the last seven days that are over in each
station's own zone, or at the one day it is asked for: `{"business_day": "2026-11-22"}`. More
stations than one invocation can compare are handed out to further ones, named by
`"stations"`. What does not agree becomes a case, which relay tells the bus. A day that agrees
again, because a sale was told late, loses its case. Running it twice finds the same and
changes nothing, so a station that fails is left to a retry of the whole.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from forecourt.instants import business_day, day_bounds
from forecourt.loyalty_table import LoyaltyTable
from forecourt.reconciliation import TURN, Reconciliation, reconcile
from forecourt.rulings import sale_of_entry
from forecourt.sales import MAX_CLOCK_OFFSET
from forecourt.sales_table import SalesTable
from forecourt.settings import Settings
from forecourt.stations_table import StationsTable
from forecourt.stored_sales import Status
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from forecourt.stations_table import Station

NIGHTLY_DAYS = 7  # stations are offline for days; longer than this, and a person asks for the day

# A week of a busy station is compared in seconds; of so many in a third of the time-out.
STATIONS_AT_ONCE = 25

# Counted from the day and not from the night, so that a day gives the same case every night.
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
registry = StationsTable(_dynamodb, name=settings.loyalty_table)


@metrics.log_metrics
@logger.inject_lambda_context
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    asked = [date.fromisoformat(event["business_day"])] if "business_day" in event else []
    stations = registry.stations()
    if "stations" in event:
        named = set(event["stations"])
        return compare([each for each in stations if each.station_id in named], asked)
    if len(stations) <= STATIONS_AT_ONCE:
        return compare(stations, asked)
    hand_out(stations, event, function=context.invoked_function_arn)
    return {"handed_out": len(stations)}


def hand_out(stations: Sequence[Station], event: dict[str, Any], *, function: str) -> None:
    """Start an invocation for each `STATIONS_AT_ONCE`; each is retried and told of by itself."""
    invoker = boto3.client("lambda")
    for start in range(0, len(stations), STATIONS_AT_ONCE):
        names = [each.station_id for each in stations[start : start + STATIONS_AT_ONCE]]
        invoker.invoke(
            FunctionName=function,
            InvocationType="Event",
            Payload=json.dumps({**event, "stations": names}),
        )
    logger.info("stations handed out", stations=len(stations))


def compare(stations: Sequence[Station], asked: Sequence[date]) -> dict[str, Any]:
    """Compare the days *asked* for, or the last seven; name the stations that do not agree."""
    now = datetime.now(UTC)
    different: list[str] = []
    failures: dict[str, Exception] = {}
    for station in stations:
        try:
            days = asked or last_full_days(station, now)
            agreed = [settle(station, day, now=now) for day in days]
        except Exception as failure:
            # The stations after it are none the worse.
            logger.exception("station not reconciled", station_id=station.station_id)
            failures[station.station_id] = failure
            continue
        if not all(agreed):
            different.append(station.station_id)
    if failures:
        raise ExceptionGroup(f"not reconciled: {', '.join(failures)}", list(failures.values()))
    return {"different": different}


def last_full_days(station: Station, now: datetime) -> list[date]:
    """Return the business days last over at *station*, the latest at the end."""
    today = business_day(now, ZoneInfo(station.zone))
    return [today - timedelta(days=back) for back in range(NIGHTLY_DAYS, 0, -1)]


def settle(station: Station, day: date, *, now: datetime) -> bool:
    """Compare *day*, keep what was found, and return whether it agrees."""
    result = reconcile_day(station, day)
    news = registry.keep_case(station.station_id, day, findings=result.findings, opened_at=now)
    if news:
        metrics.add_metric(name="StationDaysDifferent", unit=MetricUnit.Count, value=1)
    log = logger.warning if news else logger.info
    log(
        "day reconciled",
        station_id=station.station_id,
        business_day=day.isoformat(),
        sales=result.sales,
        sold_ml=result.sold_ml,
        metered_ml=result.metered_ml,
        findings=len(result.findings),
    )
    return not result.findings


def reconcile_day(station: Station, day: date) -> Reconciliation:
    """Read what *station* told of *day*, and compare it."""
    opens_at, closes_at = day_bounds(day, ZoneInfo(station.zone))
    span = {"opens_at": opens_at - LOOK_BACK, "closes_at": closes_at + LOOK_AHEAD}
    stored = list(sales.station_sales(station.station_id, **span))
    of_the_day = [each for each in stored if opens_at <= each.sale.key.completed_at < closes_at]
    owned = [
        (holding.share.member_id, holding.entry_id)
        for each in of_the_day
        if each.status is Status.MATCHED
        for holding in each.held
    ]
    judged = loyalty.judged(owned)
    return reconcile(
        opens_at=opens_at,
        closes_at=closes_at,
        sales=[each.sale for each in stored],
        readings=sales.readings(station.station_id, **span),
        undecided=[each.sale.sale_id for each in of_the_day if each.status is Status.RECEIVED],
        # Of a sale that several share every part has to be judged.
        owned=[sale_of_entry(entry_id) for _, entry_id in owned],
        judged={sale_of_entry(entry_id) for _, entry_id in owned}
        - {sale_of_entry(entry_id) for _, entry_id in owned if entry_id not in judged},
        gaps=sales.gaps(station.station_id, opens_at=opens_at, closes_at=closes_at),
    )
