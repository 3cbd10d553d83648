"""
Entries as they were committed, in S3, by the day they belong to.

| object | holds |
| --- | --- |
| `arrivals/<day>/<hash>.jsonl` | some entries of the day, one a line, in the order they came |

A line has an entry's content, as it is under its digest, and the digest. It is made of the item
as it is, so nothing that was posted can be too new or too odd to be kept. A batch that comes
twice is the same object; one that comes in other parts repeats entries, and whoever reads them
counts each once.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from forecourt.attributes import from_item
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import date, datetime

PREFIX = "arrivals/"
DAY_LENGTH = len("2026-11-23")

# What an item has beside what the entry says.
_AROUND = frozenset({"pk", "sk", "type", "digest"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One entry that came: owner, id and record, and the digest it was posted with."""

    content: tuple[str, str, Mapping[str, Any]]
    digest: str

    @property
    def day(self) -> str:
        """Return the day it belongs to; what is older than business days, has one in UTC."""
        record = self.content[2]
        day: str = record.get("posted_on") or record["posted_at"][:DAY_LENGTH]
        return day


def arrival_from_item(item: Mapping[str, Mapping[str, Any]]) -> Arrival:
    """Return what an entry's item says."""
    values = from_item(item)
    record = {name: value for name, value in values.items() if name not in _AROUND}
    owner, entry_id = values["pk"].removeprefix("MEMBER#"), values["sk"].removeprefix("T#")
    return Arrival(content=(owner, entry_id, record), digest=values.get("digest", ""))


class Arrivals:
    """The objects in the bucket *bucket* behind the S3 client *s3*."""

    def __init__(self, s3: Any, *, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def keep(self, arrivals: Iterable[Arrival]) -> None:
        """Keep *arrivals*; what is kept already, is kept."""
        lines: dict[str, list[str]] = {}
        for each in arrivals:
            line = {"content": each.content, "digest": each.digest}
            lines.setdefault(each.day, []).append(json.dumps(line, ensure_ascii=False) + "\n")
        for day, of_day in lines.items():
            body = "".join(of_day).encode()
            key = f"{PREFIX}{day}/{sha256(body).hexdigest()}.jsonl"
            self._s3.put_object(Bucket=self._bucket, Key=key, Body=body)

    def of(self, day: date, *, since: datetime | None = None) -> Iterator[Arrival]:
        """Yield what came of *day*, repeats included; with *since* what came from then on."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=f"{PREFIX}{day.isoformat()}/"
        )
        for page in pages:
            for found in page.get("Contents", ()):
                if since is None or found["LastModified"] >= since:
                    yield from self._read(found["Key"])

    def _read(self, key: str) -> Iterator[Arrival]:
        body = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"]
        for line in map(json.loads, body.iter_lines()):
            yield Arrival(content=tuple(line["content"]), digest=line["digest"])
