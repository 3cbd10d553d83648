"""
How a command is carried out, without doing it: a generator that asks for reads and writes.

Whoever drives it talks to a table (`forecourt.ledger_table`) or to a simulated one; the steps
and what may happen between them are the same. It can be dropped at any point: nothing is
half done, and the same command carried out again gives the answer the first would have given.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from forecourt.errors import EntryConflict, StaleWrite
from forecourt.ledger.accounts import Account
from forecourt.ledger.canonical import fingerprint
from forecourt.ledger.commands import (
    Convert,
    Earn,
    Merge,
    Reverse,
    Transfer,
    Unmerge,
)
from forecourt.ledger.deciding import decide
from forecourt.ledger.decisions import Books
from forecourt.ledger.entries import RECEIVED, Entry
from forecourt.ledger.policy import Midnight
from forecourt.ledger.refusals import LedgerRefusal, NothingDue, ledger_refusal
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from datetime import datetime

    from forecourt.ledger.commands import Command
    from forecourt.ledger.decisions import Decision
    from forecourt.ledger.policy import Policies

ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class AccountKey:
    owner: str
    wallet: str


@dataclass(frozen=True, slots=True)
class EntryKey:
    owner: str
    entry_id: str


@dataclass(frozen=True, slots=True)
class ReversalsKey:
    owner: str
    entry_id: str


@dataclass(frozen=True, slots=True)
class ParkedKey:
    owner: str
    entry_id: str


@dataclass(frozen=True, slots=True)
class ZoneKey:
    """Where it is known in which zone *owner* is."""

    owner: str


Key = AccountKey | EntryKey | ReversalsKey | ParkedKey | ZoneKey


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRefusal:
    """A refusal, stored as the answer to its command."""

    owner: str
    entry_id: str
    fingerprint: str
    code: str
    facts: Mapping[str, int | str]
    refused_at: datetime


@dataclass(frozen=True, slots=True)
class Read:
    """Wanted: what is under *keys* as of now. Answered by a `Found`."""

    keys: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """What there is, and the time at which it was looked for."""

    items: Mapping[Key, Any]
    now: datetime


@dataclass(frozen=True, slots=True)
class Commit:
    """
    Wanted: the decision's entries if their ids are new, its accounts if unchanged, all or none.

    Answered by a `Written`.
    """

    decision: Decision


@dataclass(frozen=True, slots=True)
class Keep:
    """Wanted: the refusal stored, if the id is new. Answered by a `Written`."""

    refusal: KeptRefusal


@dataclass(frozen=True, slots=True)
class Pause:
    """Wanted: a moment, longer with every *attempt*, so that rivals part."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Written:
    """
    How a write went.

    Done; or `stored` is what the id was used for already; or neither, and nothing was
    written because somebody was faster or the table is busy: read again.
    """

    done: bool
    stored: object = None


Request = Read | Commit | Keep | Pause


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command came to: an entry, or a refusal. `repeated` when it was known before."""

    entry: Entry | None = None
    refusal: LedgerRefusal | None = None
    account: Account | None = None
    repeated: bool = False

    def posted(self) -> Entry:
        """Return the entry, or raise the refusal."""
        if self.entry is None:
            raise self.refusal or StaleWrite
        return self.entry


def carry_out(command: Command, *, policies: Policies) -> Generator[Request, Any, Answer]:
    """
    Carry *command* out.

    Raises `StaleWrite` after `ATTEMPTS` lost races, for the caller to retry: it is no answer.
    Raises `EntryConflict` when the id stands for something else.
    """
    refused_on: Books | None = None
    for attempt in range(ATTEMPTS):
        if attempt:
            yield Pause(attempt)
        books, now = yield from _read(command, policies)
        if books.parked and books.parked.account_version > books.account.version:
            continue  # parked between the two reads; by one account they cannot be counted
        wanted: Commit | Keep
        try:
            decision = decide(command, books, now=now, policies=policies)
        except NothingDue as nothing:
            return Answer(refusal=nothing)
        except LedgerRefusal as refusal:
            if isinstance(command, Reverse | Unmerge) and books != refused_on:
                # What it reads is not read at one moment, and a refusal, unlike a posting, is
                # not held against it when it is written: so it is said on what was seen twice.
                refused_on = books
                continue
            wanted = Keep(_kept(command, refusal, now))
            answer = Answer(refusal=refusal)
        else:
            wanted = Commit(decision)
            answer = Answer(entry=decision.entry, account=decision.account)
        written: Written = yield wanted
        if written.done:
            return answer
        if written.stored is not None:
            return _again(command, written.stored)
    raise StaleWrite


def keys_of(command: Command) -> tuple[Key, ...]:
    """Return what *command* is decided on: one account for most."""
    account = AccountKey(command.owner, command.wallet)
    match command:
        case Transfer(receiver=other) | Merge(into=other):
            return account, AccountKey(other, command.wallet)
        case Convert(into_wallet=wallet):
            return account, AccountKey(command.owner, wallet)
        case Earn(budget=str(budget)):
            return account, AccountKey(budget, command.wallet)
        case Unmerge(into=other, merge=entry_id):
            return (
                account,
                AccountKey(other, command.wallet),
                EntryKey(command.owner, entry_id),
                EntryKey(other, f"{entry_id}{RECEIVED}"),
            )
        case Reverse(reverses=entry_id):
            owner = command.reverses_owner or command.owner
            return (
                account,
                EntryKey(owner, entry_id),
                ReversalsKey(owner, entry_id),
                ParkedKey(command.owner, entry_id),
            )
        case _:
            return (account,)


def _read(command: Command, policies: Policies) -> Generator[Request, Any, tuple[Books, datetime]]:
    keys = keys_of(command)
    found: Found = yield Read(tuple(dict.fromkeys(keys)))
    books = _books(command, keys, [found.items.get(key) for key in keys])
    further = _further(command, books)
    if further is not None:
        found = yield Read((further,))
        thing = found.items.get(further)
        if isinstance(further, ParkedKey):
            books = replace(books, parked=thing)
        else:
            books = replace(books, other=thing or _empty(further))
    zones = _zones(books, policies)
    if zones:
        found = yield Read(zones)
        other = books.other and _zoned(books.other, found)
        books = replace(books, account=_zoned(books.account, found), other=other)
    return books, found.now


def _zones(books: Books, policies: Policies) -> tuple[ZoneKey, ...]:
    """Return whose zone is to be known, because an account of theirs begins that goes by it."""
    begins = [each for each in (books.account, books.other) if each and each.version == 0]
    return tuple(
        dict.fromkeys(
            ZoneKey(each.member_id)
            for each in begins
            if policies.of(each.wallet).midnight is Midnight.MEMBER
        )
    )


def _zoned(account: Account, found: Found) -> Account:
    if account.version:
        return account
    return replace(account, zone=found.items.get(ZoneKey(account.member_id)))


def _books(command: Command, keys: tuple[Key, ...], things: list[Any]) -> Books:
    accounts = [
        thing or _empty(key)
        for key, thing in zip(keys, things, strict=True)
        if isinstance(key, AccountKey)
    ]
    account, other = accounts[0], accounts[1] if len(accounts) > 1 else None
    match command:
        case Reverse():
            _, original, reversals, parked = things
            entry = original if isinstance(original, Entry) else None
            return Books(
                account=account,
                original=entry,
                void=original is not entry,  # the id was answered, and nothing moved
                reversals=reversals,
                parked=parked,
            )
        case Unmerge():
            out, into = (thing if isinstance(thing, Entry) else None for thing in things[2:])
            return Books(account=account, other=other, original=out, received=into)
        case _:
            return Books(account=account, other=other)


def _further(command: Command, books: Books) -> AccountKey | ParkedKey | None:
    """
    Return what *books* lack, which only their content can tell. Rare.

    A reversal may wait for something: is it this? Parking counts as an entry, so what is
    read now still holds if the account is still the one read before. And what a budget gave,
    goes back to it.
    """
    if isinstance(command, Earn) and books.account.parked:
        return ParkedKey(command.owner, command.entry_id)
    if isinstance(command, Reverse) and books.original and books.original.budget:
        return AccountKey(books.original.budget, command.wallet)
    return None


def _empty(key: AccountKey) -> Account:
    return Account(member_id=key.owner, wallet=key.wallet, buckets={})


def _kept(command: Command, refusal: LedgerRefusal, now: datetime) -> KeptRefusal:
    return KeptRefusal(
        owner=command.owner,
        entry_id=command.entry_id,
        fingerprint=fingerprint(command),
        code=refusal.code,
        facts=refusal.facts(),  # type: ignore[arg-type]
        refused_at=now,
    )


def answer_from(stored: object, *, entry_id: str, fingerprint: str) -> Answer:
    """
    Return the answer that *stored* is, to a repeat of what it answered first.

    Raises `EntryConflict` when the id was used for something with another fingerprint.
    """
    if isinstance(stored, Entry) and stored.fingerprint == fingerprint:
        return Answer(entry=stored, repeated=True)
    if isinstance(stored, KeptRefusal) and stored.fingerprint == fingerprint:
        return Answer(refusal=ledger_refusal(stored.code, stored.facts), repeated=True)
    raise EntryConflict(entry_id)


def _again(command: Command, stored: object) -> Answer:
    """Return the first answer to *command*, which *stored* is, or was for something else."""
    if isinstance(stored, Entry) and not stored.fingerprint and _says(stored, command):
        return Answer(entry=stored, repeated=True)
    return answer_from(stored, entry_id=command.entry_id, fingerprint=fingerprint(command))


def _says(entry: Entry, command: Command) -> bool:
    # Older than fingerprints: such entries are earns, and what they say is all they are.
    return isinstance(command, Earn) and (entry.given, entry.source, entry.occurred_at) == (
        command.points,
        command.source,
        command.occurred_at,
    )
