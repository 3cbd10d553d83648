"""
A run of learning: which days of which stations it looks at, and what it has gathered so far.

A run's files lie in S3 under `learnings/<run>/`:

| object | holds |
| --- | --- |
| `plan.json` | what the run looks at, in which order, and what it compares with |
| `sales/<unit>.jsonl` | the sales of one station's day, one a line, nobody named |

The plan is made once. Everything else follows from it and from the tables, and every unit has
its own name, so a unit that is done twice leaves the same file.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import date, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from forecourt.judged_sales import judged_from_line, judged_to_line
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from forecourt.judged_sales import JudgedSale

SETTLES_WITHIN = timedelta(days=7)  # people have said by then whose a sale is, if ever
DAYS = 21  # with the days above fewer than a check-in is known for (`presence.KEPT`)
SALES_A_UNIT = 200  # of a station's day: many stations tell more than much of one
SALES_MAX = 60_000  # what one step can learn from

Unit = tuple[str, str]
"""A station and a business day of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    What a run looks at, in this order, until it has `SALES_MAX`.

    `members` is how many there were, `in_force` the version it compares with.
    """

    run_id: str
    units: tuple[Unit, ...]
    members: int
    in_force: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where a run goes on: what a message on the queue says."""

    run_id: str
    unit: int = 0
    sales: int = 0

    def to_text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Position:
        return cls(**json.loads(text))

    def has_enough(self, plan: Plan) -> bool:
        """Return whether everything is gathered that the run will learn from."""
        return self.unit == len(plan.units) or self.sales >= SALES_MAX


def units_of(run_id: str, stations: Iterable[str], *, today: date) -> tuple[Unit, ...]:
    """Return the days a run looks at, as if shuffled, and always in the same order."""
    last = today - SETTLES_WITHIN
    units = [
        (station, (last - timedelta(days=back)).isoformat())
        for station in stations
        for back in range(1, DAYS + 1)
    ]
    return tuple(sorted(units, key=lambda unit: _lot(run_id, *unit)))


class LearningFiles:
    """The files of the run *run_id* in the bucket *bucket*."""

    def __init__(self, s3: Any, *, bucket: str, run_id: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._folder = f"learnings/{run_id}/"

    def begin(self, plan: Plan) -> Plan:
        """Keep *plan*; return the one the run has, which is an earlier one if it began before."""
        key = f"{self._folder}plan.json"
        try:
            # Excludes changing the plan of a run that is under way.
            self._s3.put_object(
                Bucket=self._bucket, Key=key, Body=json.dumps(asdict(plan)), IfNoneMatch="*"
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "PreconditionFailed":
                raise
            return self.plan()
        return plan

    def plan(self) -> Plan:
        """Return the plan of the run."""
        values = json.loads(self._get("plan.json"))
        return Plan(**{**values, "units": tuple(map(tuple, values["units"]))})

    def keep(self, unit: int, sales: Iterable[JudgedSale]) -> None:
        """Keep what was gathered of the plan's *unit*-th unit."""
        self._s3.put_object(
            Bucket=self._bucket,
            Key=f"{self._folder}{_unit_name(unit)}",
            Body=b"".join(map(judged_to_line, sales)),
        )

    def sales(self, position: Position) -> Iterator[JudgedSale]:
        """Yield what was gathered before *position*, in the order of the plan."""
        for unit in range(position.unit):
            yield from map(judged_from_line, self._get(_unit_name(unit)).splitlines())

    def _get(self, name: str) -> bytes:
        response = self._s3.get_object(Bucket=self._bucket, Key=f"{self._folder}{name}")
        body: bytes = response["Body"].read()
        return body


def _unit_name(unit: int) -> str:
    return f"sales/{unit:06}.jsonl"


def _lot(run_id: str, station: str, day: str) -> str:
    return sha256(f"{run_id}\n{station}\n{day}".encode()).hexdigest()
