"""
A verification: the whole ledger read once, in segments, step by step.

A run's files lie in S3 under `verifications/<run>/`, so that whoever has the bucket sees how far
it is and what it found:

| object | holds |
| --- | --- |
| `started.json` | when it was started, and how many segments it has |
| `steps/<segment>/<step>.json` | how much a step read; of a segment's last, `.last.json` |
| `differences/<segment>/<step>.jsonl` | what it found, one difference a line; absent when none |
| `report.json` | everything added up, once all segments are done |

Every step has its own names, so a step that is done twice leaves the same files.
"""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, field
from datetime import date
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from forecourt.attributes import encode, from_item, to_item
from forecourt.instants import format_instant
from forecourt.ledger.canonical import canonical
from forecourt.ledger.daybook import day_of, unbooked
from forecourt.ledger.verifying import passing
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from forecourt.ledger.daybook import Book
    from forecourt.ledger.verifying import Difference, Holdings

SEGMENTS = 16
LAST = ".last.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """
    Where a segment of a run goes on: what a message on the queue says.

    `settled_before` is the day up to which the run compares owners with each other.
    """

    run_id: str
    segment: int
    segments: int
    settled_before: str
    step: int = 0
    start: Mapping[str, Any] | None = None
    last_owner: str = ""

    def to_text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Position:
        return cls(**json.loads(text))


@dataclass(slots=True, kw_only=True)
class Tally:
    """
    How much was read.

    `by_day` counts entries by the day they belong to, `passing` adds up what points only pass
    through.
    """

    owners: int = 0
    accounts: int = 0
    entries: int = 0
    differences: int = 0
    owners_different: int = 0
    by_day: Counter[date] = field(default_factory=Counter)
    passing: Counter[str] = field(default_factory=Counter)

    def count(
        self, holdings: Holdings, found: Sequence[Difference], *, settled_before: date
    ) -> None:
        """Count one owner."""
        self.owners += 1
        self.accounts += len(holdings.accounts)
        self.entries += len(holdings.entries)
        self.differences += len(found)
        self.owners_different += bool(found)
        self.by_day.update(map(day_of, holdings.entries))
        self.passing.update(passing(holdings.entries, settled_before=settled_before))

    def add(self, other: Tally) -> None:
        """Count what *other* counted."""
        for name in ("owners", "accounts", "entries", "differences", "owners_different"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.by_day.update(other.by_day)
        self.passing.update(other.passing)


def tally_to_record(tally: Tally) -> dict[str, Any]:
    """Return *tally* as plain values."""
    by_day = {day.isoformat(): count for day, count in sorted(tally.by_day.items())}
    return {**asdict(tally), "by_day": by_day, "passing": dict(tally.passing)}


def tally_from_record(record: Mapping[str, Any]) -> Tally:
    """Return the tally that `tally_to_record` wrote."""
    by_day = Counter({date.fromisoformat(day): n for day, n in record["by_day"].items()})
    return Tally(**{**record, "by_day": by_day, "passing": Counter(record["passing"])})


def report_of(total: Tally, books: Sequence[Book], *, run_id: str) -> dict[str, Any]:
    """
    Return what a finished run came to.

    That includes closed days that are not as in their books, and accounts that points only
    pass through and that are not at zero over all owners.
    """
    counts = tally_to_record(total)
    del counts["by_day"], counts["passing"]
    days = [
        {"day": day.isoformat(), "counted": counted, "booked": booked}
        for day, counted, booked in unbooked(total.by_day, books)
    ]
    return {
        "run_id": run_id,
        **counts,
        "books": len(books),
        "days_not_as_booked": days,
        "not_at_zero": {name: points for name, points in sorted(total.passing.items()) if points},
    }


def agrees(report: Mapping[str, Any]) -> bool:
    """Return whether a run found nothing at all."""
    return not (report["differences"] or report["days_not_as_booked"] or report["not_at_zero"])


class VerificationFiles:
    """The files of the run *run_id* in the bucket *bucket*."""

    def __init__(self, s3: Any, *, bucket: str, run_id: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._folder = f"verifications/{run_id}/"

    def begin(self, *, segments: int, started_at: datetime) -> None:
        """Write down that the run was started, so that it is known before its first step ends."""
        started = {"segments": segments, "started_at": format_instant(started_at)}
        self._put("started.json", canonical(started))

    def begun(self) -> bool:
        """Return whether such a run was ever started."""
        return next(self._keys(""), None) is not None

    def keep(
        self, position: Position, tally: Tally, found: Sequence[Difference], *, last: bool
    ) -> None:
        """Keep what a step read and found, the findings first: a step that counts has them."""
        place = f"{position.segment:02}/{position.step:06}"
        if found:
            lines = [canonical(asdict(difference)) + b"\n" for difference in found]
            self._put(f"differences/{place}.jsonl", b"".join(lines))
        suffix = LAST if last else ".json"
        self._put(f"steps/{place}{suffix}", canonical(tally_to_record(tally)))

    def progress(self) -> tuple[int, list[str]]:
        """Return how many segments are done, and the keys of all steps."""
        keys = list(self._keys("steps/"))
        return sum(key.endswith(LAST) for key in keys), keys

    def total(self, steps: Sequence[str]) -> Tally:
        """Return the tallies of *steps* added up."""
        total = Tally()
        for key in steps:
            total.add(tally_from_record(json.loads(self._get(key))))
        return total

    def differences(self) -> Iterator[dict[str, Any]]:
        """Yield everything found so far."""
        for key in self._keys("differences/"):
            for line in self._get(key).splitlines():
                yield json.loads(line)

    def keep_report(self, report: Mapping[str, Any]) -> None:
        self._put("report.json", canonical(report))

    def report(self) -> dict[str, Any] | None:
        """Return the report, or `None` while the run goes on."""
        keys = list(self._keys("report.json"))
        return json.loads(self._get(keys[0])) if keys else None

    def _put(self, name: str, body: bytes) -> None:
        self._s3.put_object(Bucket=self._bucket, Key=f"{self._folder}{name}", Body=body)

    def _get(self, key: str) -> bytes:
        body: bytes = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        return body

    def _keys(self, prefix: str) -> Iterator[str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=f"{self._folder}{prefix}"
        )
        for page in pages:
            yield from (found["Key"] for found in page.get("Contents", ()))


def tell_verification(
    dynamodb: Any, *, table: str, report: Mapping[str, Any], finished_at: datetime
) -> None:
    """Record that a run is finished, which relay tells the bus."""
    item = to_item(
        {
            "pk": "VERIFICATIONS",
            "sk": report["run_id"],
            "type": "verification",
            "entries": report["entries"],
            "owners": report["owners"],
            "accounts": report["accounts"],
            "differences": report["differences"],
            "days_not_as_booked": [each["day"] for each in report["days_not_as_booked"]],
            "not_at_zero": list(report["not_at_zero"]),
            "finished_at": format_instant(finished_at),
        }
    )
    with suppress(dynamodb.exceptions.ConditionalCheckFailedException):
        dynamodb.put_item(
            TableName=table,
            Item=item,
            # Excludes telling of one run twice, when two segments end at once.
            ConditionExpression="attribute_not_exists(pk)",
        )


def owners_counted(dynamodb: Any, *, table: str) -> int:
    """Return how many owners the latest verification has read; 0 when there was none yet."""
    pages = dynamodb.get_paginator("query").paginate(
        TableName=table,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": encode("VERIFICATIONS")},
    )
    runs = (from_item(item) for page in pages for item in page["Items"])
    latest = max(runs, key=itemgetter("finished_at"), default={"owners": 0})
    # Runs from before owners were kept have their accounts, one or two of each.
    return int(latest["owners"] if "owners" in latest else latest["accounts"])
