"""
Verify the whole ledger: accounts against entries, closed days against books, giver against getter.

Invoked by the scheduler, or by an operator with a `run_id` of their own, it puts one message per
segment on its own queue. A message is worked on until time runs short; what is left goes back on
the queue, so a run of any length is made of short steps. A step that is done twice leaves the
same files, and a segment that fails for good waits in the failure queue while the others go on.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from forecourt.bookshelf import Bookshelf, ClosedDays
from forecourt.instants import compact_instant
from forecourt.ledger.daybook import LATE_DAYS, day_of
from forecourt.ledger.verifying import Difference, DifferenceKind
from forecourt.ledger_reader import LedgerReader
from forecourt.settings import Settings
from forecourt.values import dataclass
from forecourt.verification import (
    SEGMENTS,
    Position,
    Tally,
    VerificationFiles,
    report_of,
    tell_verification,
)

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from forecourt.ledger.verifying import Holdings

# What the next page and the largest account on it may take.
TIME_RESERVED_MS = 5 * 60 * 1000
# What was posted longer ago than this has both its sides, however slowly they were written.
SETTLED_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationSettings(Settings):
    loyalty_table: str
    books_bucket: str
    workings_bucket: str
    segments_queue_url: str


settings = VerificationSettings.from_env()
logger = Logger()
metrics = Metrics()

_s3 = boto3.client("s3")
_sqs = boto3.client("sqs")
_dynamodb = boto3.client("dynamodb")
reader = LedgerReader(_dynamodb, name=settings.loyalty_table)
shelf = Bookshelf(_s3, _dynamodb, bucket=settings.books_bucket, table=settings.loyalty_table)


@metrics.log_metrics
@logger.inject_lambda_context
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    if "Records" not in event:
        now = datetime.now(UTC)
        return start(event.get("run_id") or compact_instant(now), now=now)
    for record in event["Records"]:  # one: a step has the invocation's time for itself
        step(Position.from_text(record["body"]), context)
    return {}


def start(run_id: str, *, now: datetime) -> dict[str, Any]:
    """Begin a run; begun twice, it is the same run."""
    files_of(run_id).begin(segments=SEGMENTS, started_at=now)
    settled_before = (now - SETTLED_AFTER).date().isoformat()
    for segment in range(SEGMENTS):
        put(
            Position(
                run_id=run_id, segment=segment, segments=SEGMENTS, settled_before=settled_before
            )
        )
    logger.info("verification started", run_id=run_id, segments=SEGMENTS)
    return {"run_id": run_id, "segments": SEGMENTS}


def step(position: Position, context: LambdaContext) -> None:
    """Verify from *position* on until time runs short; put the rest on the queue."""
    tally, found, rest = verify(position, context)
    files = files_of(position.run_id)
    files.keep(position, tally, found, last=rest is None)
    if found:
        metrics.add_metric(
            name="AccountsDifferent", unit=MetricUnit.Count, value=tally.owners_different
        )
    log = logger.warning if found else logger.info
    log(
        "segment verified",
        run_id=position.run_id,
        segment=position.segment,
        step=position.step,
        owners=tally.owners,
        entries=tally.entries,
        differences=tally.differences,
    )
    if rest is not None:
        put(rest)
    else:
        finish(position)


def verify(
    position: Position, context: LambdaContext
) -> tuple[Tally, list[Difference], Position | None]:
    """Return what was read and found, and where to go on."""
    tally, found = Tally(), list[Difference]()
    settled_before = date.fromisoformat(position.settled_before)
    closed = latest_closed_days()
    start, last_owner = position.start, position.last_owner
    while True:
        page = reader.owners(position.segment, position.segments, start=dict(start or {}))
        for owner in page.owners:
            # DynamoDB keeps what has one partition key together, so only a page's first repeats.
            if owner == last_owner:
                continue
            holdings, differences = reader.audit(owner)
            differences += not_booked(holdings, closed)
            tally.count(holdings, differences, settled_before=settled_before)
            found += differences
            last_owner = owner
        start = page.next_key
        if start is None:
            return tally, found, None
        if context.get_remaining_time_in_millis() < TIME_RESERVED_MS:
            rest = replace(position, step=position.step + 1, start=start, last_owner=last_owner)
            return tally, found, rest


def latest_closed_days() -> ClosedDays:
    """Return the days whose late entries may still come into a book."""
    last = shelf.last()
    return shelf.closed_days(since=last.day - timedelta(days=LATE_DAYS) if last else date.max)


def not_booked(holdings: Holdings, closed: ClosedDays) -> list[Difference]:
    """Return which entries of closed days are in no book."""
    return [
        Difference(
            owner=holdings.owner,
            kind=DifferenceKind.NOT_BOOKED,
            facts={"entry_id": entry.entry_id, "day": day_of(entry).isoformat()},
        )
        for entry in holdings.entries
        if day_of(entry) in closed and not closed.hold(entry)
    ]


def finish(position: Position) -> None:
    """Report, if this was the last segment that was not done."""
    files = files_of(position.run_id)
    done, steps = files.progress()
    if done < position.segments:
        return
    report = report_of(files.total(steps), shelf.books(), run_id=position.run_id)
    files.keep_report(report)
    tell_verification(
        _dynamodb, table=settings.loyalty_table, report=report, finished_at=datetime.now(UTC)
    )
    if report["days_not_as_booked"]:
        metrics.add_metric(
            name="DaysNotAsBooked",
            unit=MetricUnit.Count,
            value=len(report["days_not_as_booked"]),
        )
    if report["not_at_zero"]:
        metrics.add_metric(
            name="PassagesNotAtZero", unit=MetricUnit.Count, value=len(report["not_at_zero"])
        )
    logger.info("verification finished", **report)


def put(position: Position) -> None:
    _sqs.send_message(QueueUrl=settings.segments_queue_url, MessageBody=position.to_text())


def files_of(run_id: str) -> VerificationFiles:
    return VerificationFiles(_s3, bucket=settings.workings_bucket, run_id=run_id)
