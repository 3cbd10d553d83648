"""
Close the books of the days that are over.

Invoked by the scheduler once a day; it closes every day since the last closed one, so a missed
night is made up for, or all days up to the one it is asked for: `{"business_day":
"2026-11-22"}`. A day is closed once: a retry finds the book and changes nothing. Entries that
came after their day was closed go into the next book.

Whatever the archive missed of an account that moved on a day is read from the table, and counted
as `EntriesRecovered`. An account all of whose entries were missed is named by the verification;
`{"owners": ["m-1"]}` archives the entries of such owners again, for the next close.
"""

from __future__ import annotations

import tempfile
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from forecourt.arrivals import Arrivals, arrival_from_item
from forecourt.bookshelf import Bookshelf, ClosedDays
from forecourt.instants import business_day
from forecourt.ledger.chain import intact
from forecourt.ledger.daybook import (
    LATE_DAYS,
    SETTLES_WITHIN,
    Compilation,
    day_of,
    days_to_close,
    entry_of,
)
from forecourt.ledger_reader import LedgerReader
from forecourt.loyalty_table import entry_to_item
from forecourt.settings import Settings
from forecourt.values import dataclass
from functions.closing.parquet import ParquetWriter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from forecourt.ledger import Entry
    from forecourt.ledger.daybook import Book


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosingSettings(Settings):
    loyalty_table: str
    books_bucket: str
    workings_bucket: str
    zone: str


settings = ClosingSettings.from_env()
logger = Logger()
metrics = Metrics()

_s3 = boto3.client("s3")
_dynamodb = boto3.client("dynamodb")
arrivals = Arrivals(_s3, bucket=settings.workings_bucket)
reader = LedgerReader(_dynamodb, name=settings.loyalty_table)
shelf = Bookshelf(_s3, _dynamodb, bucket=settings.books_bucket, table=settings.loyalty_table)


@metrics.log_metrics
@logger.inject_lambda_context
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    closed_at = now()
    today = business_day(closed_at - SETTLES_WITHIN, ZoneInfo(settings.zone))
    if "owners" in event:
        return {"archived": archive_again(event["owners"], today=today)}
    asked = date.fromisoformat(event["business_day"]) if "business_day" in event else None
    last = shelf.last()
    days = days_to_close(
        last.day if last else None,
        today=today,
        until=asked,
    )
    return {"closed": [close(day, closed_at=closed_at).day.isoformat() for day in days]}


def now() -> datetime:
    """Return the time of an invocation."""
    return datetime.now(UTC)


def close(day: date, *, closed_at: datetime) -> Book:
    """Write the book of *day* and return it."""
    earlier = shelf.books(since=day - timedelta(days=LATE_DAYS))
    closed = ClosedDays(shelf, earlier)
    compilation = Compilation(day)
    with tempfile.TemporaryDirectory() as folder:
        with ParquetWriter(Path(folder)) as rows:
            for entry in came(day, earlier):
                if not closed.hold(entry) and compilation.take(entry):
                    rows.add(entry)
            recovered = [
                entry
                for entry in missed(compilation)
                if not closed.hold(entry) and compilation.take(entry)
            ]
            for entry in recovered:
                rows.add(entry)
        book = shelf.shelve(
            compilation.close(previous=earlier[-1] if earlier else None, closed_at=closed_at),
            leaves=b"".join(compilation.leaves()),
            parquet=rows.write(),
        )
    if recovered:
        metrics.add_metric(name="EntriesRecovered", unit=MetricUnit.Count, value=len(recovered))
    logger.info(
        "day closed",
        business_day=day.isoformat(),
        entries=book.entries,
        root=book.root,
        recovered=len(recovered),
    )
    return book


def came(day: date, earlier: list[Book]) -> Iterator[Entry]:
    """Yield what came for *day*, and late for the days before it."""
    found = [arrivals.of(day)]
    closed_at = {book.day: book.closed_at - SETTLES_WITHIN for book in earlier}
    for back in range(1, LATE_DAYS + 1):
        before = day - timedelta(days=back)
        found.append(arrivals.of(before, since=closed_at.get(before)))
    for arrival in chain(*found):
        yield entry_of(arrival.content, digest=arrival.digest)


def missed(compilation: Compilation) -> Iterator[Entry]:
    """Yield entries missing between and after what came of an account, late ones included."""
    oldest = compilation.day - timedelta(days=LATE_DAYS)
    for (owner, wallet), version in reader.versions(compilation.accounts).items():
        missing = compilation.missing(owner, wallet, version=version)
        for entry in reader.entries_with(owner, wallet, missing) if missing else ():
            if oldest <= day_of(entry) <= compilation.day:
                yield entry


def archive_again(owners: Sequence[str], *, today: date) -> int:
    """Archive what *owners* have of the last days; return how many entries that are."""
    oldest = today - timedelta(days=LATE_DAYS)
    entries = [
        entry
        for owner in owners
        for entry in reader.holdings(owner).entries
        if day_of(entry) >= oldest and intact(entry)
    ]
    arrivals.keep(arrival_from_item(entry_to_item(entry)) for entry in entries)
    logger.info("entries archived again", owners=len(owners), entries=len(entries))
    return len(entries)
