"""Days and nights of a platform in memory: a clock, accounts, and the jobs that run by it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

from forecourt.documents import ProgramDocument
from forecourt.instants import compact_instant
from forecourt.ledger import commands as c
from forecourt.ledger import settled
from forecourt.ledger.procedure import AccountKey
from forecourt.ledger_table import LedgerTable, due_keys
from forecourt.loyalty_table import due_letter
from forecourt.program import program_from_document
from functions.due import handler as due
from functions.expiry import handler as expiry
from functions.reminders import handler as reminders
from tests.functional.conftest import (
    EXPIRY_QUEUE,
    LOYALTY_TABLE,
    QUEUE_URL,
    REMINDERS_QUEUE,
    client,
)
from tests.functional.world import LITRES

if TYPE_CHECKING:
    import pytest

    from forecourt.ledger import Account, Entry
    from tests.functional.world import World

TODAY, YEAR_END = date(2026, 11, 23), date(2026, 12, 31)
# A quarter to one in the night of Shanghai: in UTC it is the day before.
NIGHT = datetime(2026, 11, 22, 16, 45, tzinfo=UTC)
CROWD = ["ann", "bo", "cy", "di", "ed"]

# Messages of a queue, as Lambda hands them over.
Records = list[dict[str, Any]]


class Nights:
    """The three functions and the clock they all read."""

    def __init__(self, world: World, context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = NIGHT
        self.world = world
        self._context = context
        self._count = 0
        self._patch = monkeypatch
        self._sqs = client("sqs")
        # A query takes moto a millisecond, and there are sixteen for each of some forty days: the
        # functions leave out those where nobody is.
        self._letters: set[str] = set()
        monkeypatch.setattr(
            due,
            "due_keys",
            lambda day: [key for key in due_keys(day) if key[-1] in self._letters],
        )
        for handler in (due, expiry, reminders):
            handler.programs._known.clear()
            monkeypatch.setattr(handler, "datetime", Mock(now=lambda _zone: self.now))
        self.reach_through(world.dynamodb)
        self.ledger = LedgerTable(world.dynamodb, name=LOYALTY_TABLE, now=lambda: self.now)

    def reach_through(self, dynamodb: Any) -> None:
        """Let the functions reach the table through *dynamodb*."""
        for handler in (due, expiry, reminders):
            table = LedgerTable(
                dynamodb, name=LOYALTY_TABLE, now=lambda: self.now, sleep=lambda _seconds: None
            )
            self._patch.setattr(handler, "ledger", table)

    def under(self, **wallets: Any) -> None:
        """Put a program in force whose wallets are described."""
        document = ProgramDocument.model_validate({**LITRES, "wallets": wallets})
        self.world.activate(document.model_dump(mode="json"))
        self.policies = program_from_document(document.model_dump(), version=1).policies()

    def run(self, kind: type[c.Command], owner: str = "ann", **values: Any) -> Entry:
        """Carry a new command out, as some door does."""
        self._count += 1
        self._letters.add(due_letter(owner))
        command: Any = kind(
            entry_id=f"{compact_instant(self.now)}.{self._count}",
            owner=owner,
            source="doc",
            reason="test",
            actor="till",
            occurred_at=self.now,
            **values,
        )
        return self.ledger.execute(command, policies=self.policies).posted()

    def earn(self, points: int, last: date | None, owner: str = "ann", **values: Any) -> Entry:
        return self.run(c.Earn, owner, points=points, expires_on=last, **values)

    def pass_days(self, days: int) -> None:
        self.now += timedelta(days=days)

    def find(self, job: str = "settle", **more: Any) -> int:
        """Run the job that finds; return how many accounts it put on the queue."""
        answer: dict[str, int] = due.handle({"job": job, **more}, self._context)
        return answer["accounts"]

    def waiting(self, queue: str = EXPIRY_QUEUE) -> Records:
        """Take what waits on a queue off it."""
        found: Records = []
        url = f"{QUEUE_URL}{queue}"
        while messages := self._sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for message in messages:
                found.append({"messageId": message["MessageId"], "body": message["Body"]})
                self._sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found

    def settle(self, records: Records | None = None) -> list[str]:
        """Let expiry work on *records*, or all that waits; return what it failed at."""
        records = self.waiting() if records is None else records
        return self._failed(expiry.handle({"Records": records}, self._context))

    def remind(self, records: Records | None = None) -> list[str]:
        """Let reminders work on *records*, or all that waits; return what it failed at."""
        records = self.waiting(REMINDERS_QUEUE) if records is None else records
        return self._failed(reminders.handle({"Records": records}, self._context))

    def night(self) -> None:
        """Let the nightly job run to its end."""
        self.find()
        assert self.settle() == []

    def account(self, owner: str = "ann", wallet: str = "points") -> Account:
        """Return an account as it is stored."""
        (found,) = self.ledger.accounts([AccountKey(owner, wallet)])
        return found

    def view(self, owner: str = "ann", wallet: str = "points") -> Account:
        """Return an account as it counts now."""
        return settled(self.account(owner, wallet), now=self.now, policies=self.policies)

    def entries(self, owner: str = "ann") -> list[dict[str, Any]]:
        """Return what is written of a member's movements."""
        return [
            item
            for item in self.world.items(LOYALTY_TABLE)
            if item["pk"] == f"MEMBER#{owner}" and item["sk"].startswith("T#")
        ]

    def ran_out(self, owner: str = "ann") -> int:
        """Return what the program got back because its day was over."""
        return sum(
            leg[1]
            for entry in self.entries(owner)
            for leg in [*entry["legs"], *entry.get("upkeep", ())]
            if leg[0] == "program:expired"
        )

    @staticmethod
    def _failed(answer: dict[str, Any]) -> list[str]:
        return [each["itemIdentifier"] for each in answer["batchItemFailures"]]
