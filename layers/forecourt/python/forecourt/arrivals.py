"""
Entries as they were committed, in S3, by the day they belong to.

| object | holds |
| --- | --- |
| `arrivals/<day>/<hash>.jsonl` | some entries of the day, one a line, in the order they came |

They come from the table's stream, so what happens to an item afterwards does not reach them. A
batch that comes twice is the same object; one that comes in other parts repeats entries, and
`forecourt.ledger.daybook.Compilation` counts each once.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from forecourt.ledger.daybook import day_of, entry_of, line_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date, datetime

    from forecourt.ledger import Entry

PREFIX = "arrivals/"


class Arrivals:
    """The objects in the bucket *bucket* behind the S3 client *s3*."""

    def __init__(self, s3: Any, *, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def keep(self, entries: Iterable[Entry]) -> None:
        """Keep *entries*; what is kept already, is kept."""
        lines: dict[date, list[bytes]] = {}
        for entry in entries:
            lines.setdefault(day_of(entry), []).append(line_of(entry))
        for day, of_day in lines.items():
            body = b"".join(of_day)
            key = f"{PREFIX}{day.isoformat()}/{sha256(body).hexdigest()}.jsonl"
            self._s3.put_object(Bucket=self._bucket, Key=key, Body=body)

    def of(self, day: date, *, since: datetime | None = None) -> Iterator[Entry]:
        """Yield the entries of *day*, repeats included; with *since* those that came from then."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=f"{PREFIX}{day.isoformat()}/"
        )
        for page in pages:
            for found in page.get("Contents", ()):
                if since is None or found["LastModified"] >= since:
                    yield from self._entries(found["Key"])

    def _entries(self, key: str) -> Iterator[Entry]:
        body = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"]
        for line in body.iter_lines():
            yield entry_of(json.loads(line))
