"""A table that keeps its promises: single writes and transactions are atomic, keys are keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecourt.ledger.procedure import (
    AccountKey,
    EntryKey,
    KeptRefusal,
    ParkedKey,
    ReversalsKey,
    Written,
)

if TYPE_CHECKING:
    from forecourt.ledger import Account
    from forecourt.ledger.decisions import Decision, Posting

EVALUATION = "evaluation"  # what a table has where nothing was earned
STALE = Written(done=False)
DONE = Written(done=True)


def answered_by(decision: Decision) -> tuple[str, str]:
    """Return whose command *decision* answers, and the command's id."""
    if decision.instead is not None:
        return decision.instead.owner, decision.instead.entry_id
    return decision.entry.member_id, decision.entry.entry_id


class Store:
    """What is stored, by key; immutable values, so a reader never sees a half."""

    def __init__(self) -> None:
        self.items: dict[Any, Any] = {}

    def get(self, key: Any) -> Any:
        return self.items.get(key)

    def commit(self, decision: Decision) -> Written:
        """Write all of *decision* or nothing, under the conditions the table design names."""
        first = EntryKey(*answered_by(decision))
        if self.taken(first):
            return self.answered(first)
        if decision.absent and EntryKey(*decision.absent) in self.items:
            return STALE
        for posting in decision.postings:
            if any(self.taken(EntryKey(each.member_id, each.entry_id)) for each in posting.entries):
                return STALE
        if not (all(map(self.unchanged, decision.postings)) and self.still(decision.unmoved)):
            return STALE
        note = decision.reversals
        if note is not None:
            before = self.items.get(ReversalsKey(note.owner, note.entry_id))
            if (before.version if before else 0) != note.version - 1:
                return STALE
        if decision.parked is not None:
            parked = self.items.get(ParkedKey(decision.parked.owner, decision.parked.entry_id))
            if len(parked.commands if parked else ()) != decision.parked_before:
                return STALE
        self.write(decision)
        return DONE

    def write(self, decision: Decision) -> None:
        if decision.instead is not None:
            kept = decision.instead if isinstance(decision.instead, KeptRefusal) else EVALUATION
            self.items[EntryKey(*answered_by(decision))] = kept
        for posting in decision.postings:
            for entry in posting.entries:
                self.items[EntryKey(entry.member_id, entry.entry_id)] = entry
            account = posting.account
            self.items[AccountKey(account.member_id, account.wallet)] = account
        note, parked = decision.reversals, decision.parked
        if note is not None:
            self.items[ReversalsKey(note.owner, note.entry_id)] = note
        if parked is not None:
            key = ParkedKey(parked.owner, parked.entry_id)
            self.items[key] = parked
            if not parked.commands:
                del self.items[key]

    def keep(self, refusal: KeptRefusal) -> Written:
        key = EntryKey(refusal.owner, refusal.entry_id)
        if self.taken(key):
            return self.answered(key)
        self.items[key] = refusal
        return DONE

    def answered(self, key: EntryKey) -> Written:
        return Written(done=False, stored=self.items[key])

    def taken(self, key: EntryKey) -> bool:
        return key in self.items

    def still(self, account: Account | None) -> bool:
        return account is None or self.version_of(account) == account.version

    def unchanged(self, posting: Posting) -> bool:
        return self.version_of(posting.account) == posting.before

    def version_of(self, account: Account) -> int:
        stored = self.items.get(AccountKey(account.member_id, account.wallet))
        return stored.version if stored else 0
