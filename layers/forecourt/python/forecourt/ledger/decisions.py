"""
What a command is decided on, and what a decision is.

A decision is all that one transaction writes: for each account it touches the entries and
the account after them, and seldom a third thing, the note of what was reversed of an entry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from forecourt.ledger.entries import POINTS_WALLET
from forecourt.values import dataclass

if TYPE_CHECKING:
    from datetime import date

    from forecourt.ledger.accounts import Account
    from forecourt.ledger.commands import EarnNothing, Reverse
    from forecourt.ledger.entries import Entry
    from forecourt.ledger.procedure import KeptRefusal

MAX_PARTS = 40  # refunds of one document; the note must stay small
MAX_EXTENSIONS = 24
MAX_PARKED = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversals:
    """
    What was reversed of one entry: never more than it gave.

    `part` of `whole` adds up the shares, `by_share` the points they came to; `items` are the
    lines and `documents` the refunds that had their effect.
    """

    owner: str
    entry_id: str
    version: int = 0
    given: int
    reversed: int = 0
    part: int = 0
    whole: int = 0
    by_share: int = 0
    items: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse to have taken back more than was given."""
        if not 0 <= self.reversed <= self.given or self.part > self.whole:
            raise ValueError(self.entry_id)

    @property
    def complete(self) -> bool:
        """Return whether all of it is reversed, by however many parts."""
        return self.reversed == self.given


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """
    Reversals that came before the entry they reverse, in the order they came.

    `account_version` is the account's after the last of them: who holds an older account has
    not seen all of them. `since` is the business day on which the first of them came.
    """

    owner: str
    wallet: str = POINTS_WALLET
    entry_id: str
    since: date | None = None
    account_version: int = 0
    commands: tuple[Reverse, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """
    What was read to decide a command; what it does not need may be missing.

    `other` is the second account of a movement between two: the receiver's, or the budget's
    behind an earn or its reversal. `original` is the entry a reversal or an unmerge undoes,
    `received` the other half of a merge. `void` says that the original's id has its answer,
    and that it moved nothing.
    """

    account: Account
    other: Account | None = None
    original: Entry | None = None
    received: Entry | None = None
    void: bool = False
    reversals: Reversals | None = None
    parked: Parked | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """Entries of one account and the account after them."""

    entries: tuple[Entry, ...]
    account: Account

    @property
    def before(self) -> int:
        """Return the version the account must still have."""
        return self.account.version - len(self.entries)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """
    What to write, all or nothing. The first posting's first entry is the command's answer.

    Unless there is something `instead`: a refusal, or that nothing is earned. Then `unmoved` is
    the account that no posting changes and that must still be as it was.

    `parked` replaces what was parked, if that still was `parked_before` commands; without
    commands there is nothing parked any more. `absent` must still not be there: it is what a
    parked reversal waits for.
    """

    postings: tuple[Posting, ...]
    instead: KeptRefusal | EarnNothing | None = None
    unmoved: Account | None = None
    reversals: Reversals | None = None
    parked: Parked | None = None
    parked_before: int = 0
    absent: tuple[str, str] | None = None

    @property
    def entry(self) -> Entry:
        return self.postings[0].entries[0]

    @property
    def account(self) -> Account:
        return self.postings[0].account


def posted(entry: Entry, account: Account) -> Decision:
    """Return the decision of one entry on one account."""
    return Decision(postings=(Posting(entries=(entry,), account=account),))
