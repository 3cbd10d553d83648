"""
Run by `ledger.py`: every command of the ledger counted, and many of them at a time.

Prints one JSON object. The table is its own; nothing works on its stream.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from statistics import quantiles
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from forecourt.attributes import encode, to_item
from forecourt.errors import StaleWrite
from forecourt.instants import compact_instant
from forecourt.ledger import Account, Policies
from forecourt.ledger import commands as c
from forecourt.ledger_table import LedgerTable
from forecourt.loyalty_table import account_key, account_to_item, timeline_entry_key
from tests.bench.cost_probe import Meter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from forecourt.ledger import Entry

TABLE = os.environ["LOYALTY_TABLE"]
POLICIES = Policies()
JUNE, DECEMBER = date(2099, 6, 30), date(2099, 12, 31)
LATER = datetime(2099, 1, 1, tzinfo=UTC)
BUDGET = "budget:bench"
THREADS = 4
POSTINGS = 400
ACCOUNTS = 1_000
ROUNDS = 3

Case = tuple[type[c.Command], str, dict[str, Any]]
_Command = TypeVar("_Command", bound=c.Command)
_numbers = itertools.count(1)


def command(kind: type[_Command], owner: str, **values: Any) -> _Command:
    number, at = next(_numbers), datetime.now(UTC)
    common: dict[str, Any] = {
        "entry_id": f"{compact_instant(at)}.s0001.FC-S0001.3.{number}.{123_456_789 + number}",
        "owner": owner,
        "source": f"sale:{number}",
        "reason": "fuel",
        "actor": "bench",
        "program_version": 1,
        "trace": ({"rule": "petrol", "outcome": "earned", "points": 399},),
        "occurred_at": at,
    }
    return kind(**(common | values))


class Bench:
    """The ledger in the table, and what its calls consumed."""

    def __init__(self) -> None:
        self._meter = Meter()
        self.ledger = LedgerTable(boto3.client("dynamodb"), name=TABLE)

    def post(self, kind: type[c.Command], owner: str, **values: Any) -> Entry:
        return self.ledger.execute(command(kind, owner, **values), policies=POLICIES).posted()

    def earned(self, owner: str, points: int = 1_000, **values: Any) -> Entry:
        return self.post(c.Earn, owner, points=points, expires_on=JUNE, **values)

    def cost(self, kind: type[c.Command], owner: str, **values: Any) -> dict[str, float]:
        """Return what the command consumes; a refusal would be no cost of it."""
        self._meter.counted.clear()
        self.post(kind, owner, **values)
        counted = self._meter.counted
        return {name: float(counted[name]) for name in ("write_units", "read_units", "round_trips")}


def costs() -> dict[str, float]:
    """Return `ledger.<command>.<what>` of every command, each on accounts that exist."""
    bench = Bench()
    figures: dict[str, float] = {}
    for name, (kind, owner, values) in _cases(bench):
        for what, figure in bench.cost(kind, owner, **values).items():
            figures[f"ledger.{name}.{what}"] = figure
    return figures


def _cases(bench: Bench) -> Iterator[tuple[str, Case]]:
    """Prepare what a command needs, then say which; in this order it happens."""
    bench.earned("ann")
    bench.earned("bo")
    bench.earned(BUDGET)
    yield "earn", (c.Earn, "ann", {"points": 10, "expires_on": DECEMBER})
    yield "award", (c.Earn, "ann", {"points": 10, "expires_on": JUNE, "funded_by": BUDGET})
    yield "spend", (c.Spend, "ann", {"points": 10})
    yield "hold", (c.SetAside, "ann", {"points": 10, "hold_expires_at": LATER})
    hold = bench.post(c.SetAside, "ann", points=10, hold_expires_at=LATER)
    yield "capture", (c.Capture, "ann", {"points": 4, "hold_id": hold.entry_id})
    hold = bench.post(c.SetAside, "ann", points=10, hold_expires_at=LATER)
    yield "release", (c.Release, "ann", {"hold_id": hold.entry_id})
    sale = bench.earned("ann", 50)
    part = c.Exactly(points=20)
    bench.post(c.Reverse, "ann", reverses=sale.entry_id, document="R-1", part=part)
    yield "reverse", (c.Reverse, "ann", {"reverses": sale.entry_id, "document": "R-2"})
    waiting = {"reverses": "20990101T000000Z.later", "document": "R-3"}
    yield "park", (c.Reverse, "ann", waiting)
    yield "adjust", (c.Adjust, "ann", {"points": 5, "expires_on": None})
    yield "transfer", (c.Transfer, "ann", {"points": 5, "receiver": "bo"})
    rate = {"into_wallet": "partner-x", "gives": 1, "per": 1, "expires_on": None}
    bench.post(c.Convert, "ann", points=1, **rate)
    yield "convert", (c.Convert, "ann", {"points": 5, **rate})
    since = (datetime.now(UTC) + timedelta(days=9)).date()
    bench.earned("bo", 5, activates_on=since)
    yield "activate", (c.Activate, "bo", {"activates_on": since})
    yield "extend", (c.Extend, "bo", {"expires_on": JUNE, "until": DECEMBER})
    yield "freeze", (c.Freeze, "bo", {})
    yield "unfreeze", (c.Unfreeze, "bo", {})
    yield "set_zone", (c.SetZone, "bo", {"zone": "America/New_York"})
    ended = datetime.now(UTC) + timedelta(seconds=0.2)
    bench.post(c.SetAside, "bo", points=5, hold_expires_at=ended)
    time.sleep(0.3)
    yield "settle", (c.Settle, "bo", {})
    bench.earned("cy")
    yield "merge", (c.Merge, "cy", {"into": "bo"})
    bench.earned("di")
    merge = bench.post(c.Merge, "di", into="bo")
    yield "unmerge", (c.Unmerge, "di", {"into": "bo", "merge": merge.entry_id})


def speeds() -> dict[str, float]:
    """Return `ledger.hot.*` and `ledger.spread.*`; ours and the bare ones take turns."""
    # A session of its own: what is timed is not metered.
    config = Config(max_pool_connections=THREADS)
    dynamodb = boto3.Session().client("dynamodb", config=config)
    posting, bare = Posting(dynamodb), Bare(dynamodb)
    figures: dict[str, float] = {}
    for name, accounts in (("hot", 1), ("spread", ACCOUNTS)):
        best = {"posted": 0.0, "bare": 0.0}
        for _ in range(ROUNDS):
            # From the second round on no account is new.
            owners = [f"{name}-{each % accounts}" for each in range(max(POSTINGS, accounts))]
            for which, write in (("posted", posting), ("bare", bare)):
                rate = _rate(write, [f"{which}-{owner}" for owner in owners])
                best[which] = max(best[which], rate)
        figures |= {
            f"ledger.{name}.postings_per_second": round(best["posted"], 1),
            f"ledger.{name}.bare_per_second": round(best["bare"], 1),
            f"ledger.{name}.ratio": round(best["posted"] / best["bare"], 3),
            f"ledger.{name}.p99_ms": round(quantiles(posting.seconds, n=100)[98] * 1000, 1),
        }
        posting.seconds.clear()
    return figures


def _rate(write: Callable[[str], None], owners: list[str]) -> float:
    began = time.monotonic()
    with ThreadPoolExecutor(THREADS) as threads:
        for _ in threads.map(write, owners):
            pass
    return len(owners) / (time.monotonic() - began)


class Posting:
    """An earn, posted as accrual does and sent again as the platform does; `seconds` it took."""

    def __init__(self, dynamodb: Any) -> None:
        self._ledger = LedgerTable(dynamodb, name=TABLE)
        self.seconds: list[float] = []

    def __call__(self, owner: str) -> None:
        earn = command(c.Earn, owner, points=399, expires_on=DECEMBER)
        began = time.monotonic()
        while True:
            try:
                self._ledger.execute(earn, policies=POLICIES).posted()
            except StaleWrite:
                continue
            break
        self.seconds.append(time.monotonic() - began)


class Bare:
    """
    Two items of the same size on condition of a version, and again when somebody was faster.

    The least that any ledger with one account item does.
    """

    def __init__(self, dynamodb: Any) -> None:
        self._dynamodb = dynamodb
        earn = command(c.Earn, "shape", points=399, expires_on=DECEMBER)
        entry = LedgerTable(dynamodb, name=TABLE).execute(earn, policies=POLICIES).posted()
        self._entry = _item(dynamodb, timeline_entry_key("shape", entry.entry_id))
        self._account = account_to_item(
            Account(member_id="shape", version=1, buckets={DECEMBER: 399}, digest=entry.digest)
        )

    def __call__(self, owner: str) -> None:
        entry_id = command(c.Settle, owner).entry_id
        while True:
            account = _item(self._dynamodb, account_key(owner))
            version = int(account["version"]["N"]) if account else 0
            try:
                self._write(owner, entry_id, version)
            except ClientError as error:
                if "CancellationReasons" not in error.response:
                    raise
                continue
            return

    def _write(self, owner: str, entry_id: str, version: int) -> None:
        unchanged: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        if version:
            unchanged = {
                "ConditionExpression": "version = :before",
                "ExpressionAttributeValues": {":before": encode(version)},
            }
        entry = self._entry | timeline_entry_key(owner, entry_id)
        account = self._account | account_key(owner) | to_item({"version": version + 1})
        self._dynamodb.transact_write_items(
            TransactItems=[
                {
                    "Put": {
                        "TableName": TABLE,
                        "Item": entry,
                        "ConditionExpression": "attribute_not_exists(pk)",
                    }
                },
                {"Put": {"TableName": TABLE, "Item": account, **unchanged}},
            ]
        )


def _item(dynamodb: Any, key: dict[str, Any]) -> dict[str, Any]:
    response = dynamodb.get_item(TableName=TABLE, Key=key, ConsistentRead=True)
    found: dict[str, Any] = response.get("Item", {})
    return found


def main() -> None:
    print(json.dumps(costs() | speeds()))


if __name__ == "__main__":
    main()
