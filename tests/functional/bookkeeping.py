"""A ledger in memory, posted to at any time, with the functions that keep its books."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import patch
from zoneinfo import ZoneInfo

from forecourt.bookshelf import Bookshelf
from forecourt.bus import DetailType
from forecourt.events import events_of
from forecourt.instants import compact_instant
from forecourt.ledger import Policies, WalletPolicy
from forecourt.ledger import commands as c
from forecourt.ledger.daybook import leaf_of
from forecourt.ledger_table import LedgerTable
from forecourt.loyalty_table import entry_from_item, timeline_entry_key
from tests.functional.conftest import BOOKS_BUCKET, LOYALTY_TABLE, ZONE, LambdaContext, client

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecourt.ledger import Entry
    from forecourt.ledger.daybook import Book
    from tests.functional.world import World

MONDAY, TUESDAY, WEDNESDAY = date(2026, 11, 23), date(2026, 11, 24), date(2026, 11, 25)
MONDAY_NOON = datetime(2026, 11, 23, 4, tzinfo=UTC)
TUESDAY_NOON = datetime(2026, 11, 24, 4, tzinfo=UTC)
NEXT_YEAR = date(2027, 11, 30)
NIGHT = timedelta(hours=3)  # when the scheduler closes the day before


@dataclass(slots=True)
class Till:
    """Somebody who posts to the ledger, at `now`."""

    world: World
    now: datetime = MONDAY_NOON
    _count: int = field(default=0)

    def earn(self, points: int = 100, *, owner: str = "ann") -> Entry:
        return self._post(c.Earn, owner=owner, points=points, expires_on=NEXT_YEAR)

    def spend(self, points: int, *, owner: str = "ann") -> Entry:
        return self._post(c.Spend, owner=owner, points=points)

    def give(self, points: int, *, owner: str, receiver: str) -> Entry:
        return self._post(c.Transfer, owner=owner, receiver=receiver, points=points)

    def records(self) -> list[dict[str, Any]]:
        """Return what the stream has for the archive since the last call."""
        return [
            record
            for record in self.world.records(LOYALTY_TABLE)
            if record["eventName"] == "INSERT"
            and record["dynamodb"]["NewImage"]["type"] == {"S": "entry"}
        ]

    def archive(
        self, records: list[dict[str, Any]] | None = None, *, losing: Sequence[Entry] = ()
    ) -> list[dict[str, Any]]:
        """Hand *records*, or what is new, to the archive, but those of some entries."""
        from functions.archive import handler  # noqa: PLC0415 - it needs the environment

        records = self.records() if records is None else records
        lost = {f"T#{entry.entry_id}" for entry in losing}
        kept = [each for each in records if each["dynamodb"]["NewImage"]["sk"]["S"] not in lost]
        context: Any = LambdaContext()
        assert handler.handle({"Records": kept}, context) == {"batchItemFailures": []}
        return records

    def close(self, day: date = MONDAY, *, after: timedelta = NIGHT, **event: Any) -> list[str]:
        """Have the days closed that are over in the night after *day*; return which."""
        from functions.closing import handler  # noqa: PLC0415

        at = datetime.combine(day + timedelta(days=1), time.min, ZoneInfo(ZONE)) + after
        with patch.object(handler, "now", lambda: at.astimezone(UTC)):
            context: Any = LambdaContext()
            closed: list[str] = handler.handle(event, context)["closed"]
        return closed

    def archive_again(self, *owners: str) -> int:
        """Have the entries of *owners* archived again; return how many."""
        from functions.closing import handler  # noqa: PLC0415

        context: Any = LambdaContext()
        with patch.object(handler, "now", lambda: self.now):
            archived: int = handler.handle({"owners": list(owners)}, context)["archived"]
        return archived

    @property
    def books(self) -> list[Book]:
        return shelf(self.world).books()

    def entry_ids(self, book: Book) -> set[str]:
        """Return whose leaves *book* has, of all entries the table has."""
        leaves = shelf(self.world).leaves(book)
        items = self.world.dynamodb.scan(TableName=LOYALTY_TABLE)["Items"]
        entries = [entry_from_item(item) for item in items if item["type"] == {"S": "entry"}]
        return {entry.entry_id for entry in entries if leaves.index(leaf_of(entry)) is not None}

    def forge(self, entry: Entry, attribute: str = "actor") -> None:
        """Change an entry behind the ledger's back."""
        self.world.dynamodb.update_item(
            TableName=LOYALTY_TABLE,
            Key=timeline_entry_key(entry.member_id, entry.entry_id),
            UpdateExpression="SET #attribute = :forged",
            ExpressionAttributeNames={"#attribute": attribute},
            ExpressionAttributeValues={":forged": {"S": "forged"}},
        )

    def _post(self, kind: type[Any], **values: Any) -> Entry:
        self._count += 1
        command = kind(
            entry_id=f"{compact_instant(self.now)}.{self._count}",
            source=f"sale:{self._count}",
            reason="fuel",
            actor="till",
            occurred_at=self.now,
            **values,
        )
        table = LedgerTable(self.world.dynamodb, name=LOYALTY_TABLE, now=lambda: self.now)
        policies = Policies(default=WalletPolicy(zone=ZoneInfo(ZONE)))
        return table.execute(command, policies=policies).posted()


def shelf(world: World) -> Bookshelf:
    return Bookshelf(client("s3"), world.dynamodb, bucket=BOOKS_BUCKET, table=LOYALTY_TABLE)


def days_told(world: World) -> list[dict[str, Any]]:
    """Return what the bus was told of closed days since the last call."""
    return [
        dict(event.detail)
        for record in world.records(LOYALTY_TABLE)
        for event in events_of(record)
        if event.detail_type is DetailType.DAY_CLOSED
    ]
