"""A member's wallets in memory, for the claims about the ledger: commands in, answers out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from forecourt.instants import compact_instant
from forecourt.ledger import (
    Account,
    Books,
    Policies,
    WalletPolicy,
    decide,
    faults,
    rebuild,
    settled,
)
from forecourt.ledger import commands as c

if TYPE_CHECKING:
    from forecourt.ledger import Decision, Entry, Parked, Reversals

MORNING = datetime(2026, 1, 5, 2, tzinfo=UTC)
TODAY = date(2026, 1, 5)
JUNE, DECEMBER = date(2026, 6, 30), date(2026, 12, 31)

_Command = TypeVar("_Command", bound=c.Command)


class Ledger:
    """Keeps what decisions write, as the table does."""

    def __init__(self, **policy: Any) -> None:
        self.now = MORNING
        self.policies = Policies(default=WalletPolicy(**policy))
        self.accounts: dict[tuple[str, str], Account] = {}
        self.entries: dict[str, Entry] = {}
        self.notes: dict[str, Reversals] = {}
        self.parked: dict[str, Parked] = {}
        self._count = 0

    def under(self, **policy: Any) -> None:
        """Go on under other settings."""
        self.policies = Policies(default=replace(self.policies.default, **policy))

    def pass_days(self, days: int) -> None:
        self.now += timedelta(days=days)

    def command(self, kind: type[_Command], **values: Any) -> _Command:
        self._count += 1
        common: dict[str, Any] = {
            "entry_id": f"{compact_instant(self.now)}.{self._count}",
            "owner": "ann",
            "source": "doc",
            "reason": "test",
            "actor": "till",
            "occurred_at": self.now,
        }
        return kind(**(common | values))

    def run(self, kind: type[c.Command], **values: Any) -> Entry:
        """Carry a new command out and return its entry."""
        command = self.command(kind, **values)
        return self.carry_out(command).entry

    def carry_out(self, command: c.Command) -> Decision:
        books = self.books_for(command)
        decision = decide(command, books, now=self.now, policies=self.policies)
        for posting in decision.postings:
            account = posting.account
            self.accounts[account.member_id, account.wallet] = account
            for entry in posting.entries:
                self.entries[entry.entry_id] = entry
        if decision.reversals:
            self.notes[decision.reversals.entry_id] = decision.reversals
        if decision.parked:
            self.parked[decision.parked.entry_id] = decision.parked
            if not decision.parked.commands:
                del self.parked[decision.parked.entry_id]
        self.audit()
        return decision

    def books_for(self, command: c.Command) -> Books:
        """Return what the command is decided on."""
        books = Books(account=self.account(command.owner, command.wallet))
        match command:
            case c.Transfer(receiver=other) | c.Merge(into=other):
                books = replace(books, other=self.account(other, command.wallet))
            case c.Convert(into_wallet=wallet):
                books = replace(books, other=self.account(command.owner, wallet))
            case c.Reverse(reverses=entry_id):
                original = self.entries.get(entry_id)
                budget = original.budget if original else None
                books = replace(
                    books,
                    original=original,
                    other=self.account(budget) if budget else None,
                    reversals=self.notes.get(entry_id),
                    parked=self.parked.get(entry_id),
                )
            case c.Unmerge(into=other, merge=entry_id):
                books = replace(
                    books,
                    other=self.account(other),
                    original=self.entries.get(entry_id),
                    received=self.entries.get(f"{entry_id}.in"),
                )
            case c.Earn(entry_id=entry_id, budget=budget):
                books = replace(
                    books,
                    other=self.account(budget) if budget else None,
                    parked=self.parked.get(entry_id),
                )
            case c.EarnNothing(entry_id=entry_id):
                books = replace(books, parked=self.parked.get(entry_id))
        return books

    def earn(self, points: int, expires_on: date | None = JUNE, **values: Any) -> Entry:
        return self.run(c.Earn, points=points, expires_on=expires_on, **values)

    def spend(self, points: int, **values: Any) -> Entry:
        return self.run(c.Spend, points=points, **values)

    def hold(self, points: int, *, hours: int = 1, **values: Any) -> Entry:
        until = self.now + timedelta(hours=hours)
        return self.run(c.SetAside, points=points, hold_expires_at=until, **values)

    def reverse(self, entry: Entry, part: c.Part | None = None, **values: Any) -> Entry:
        values = {"document": f"refund:{self._count}", "owner": entry.member_id} | values
        return self.run(
            c.Reverse,
            **({"reverses": entry.entry_id, "wallet": entry.wallet} | values),
            part=part or c.Remainder(),
        )

    def account(self, owner: str = "ann", wallet: str = "points") -> Account:
        """Return the account as it is stored."""
        empty = Account(member_id=owner, wallet=wallet, buckets={})
        return self.accounts.get((owner, wallet), empty)

    def view(self, owner: str = "ann", wallet: str = "points") -> Account:
        """Return the account as it counts now."""
        return settled(self.account(owner, wallet), now=self.now, policies=self.policies)

    def has(self, owner: str = "ann", wallet: str = "points") -> int:
        """Return what can be spent now."""
        view = self.view(owner, wallet)
        return sum(view.buckets.values()) + sum(view.bonus.values())

    def audit(self) -> None:
        """Check that every account is what its entries add up to, and every chain whole."""
        for (owner, wallet), account in self.accounts.items():
            own = [
                entry
                for entry in self.entries.values()
                if (entry.member_id, entry.wallet) == (owner, wallet)
            ]
            assert rebuild(owner, wallet, own) == account
            assert faults(own) == []
