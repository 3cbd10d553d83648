"""
Day books: what was posted on a business day, closed once and never again.

An entry belongs to the book of its `posted_on`, the day in the program's zone on which it was
decided. Should it come to the archive when that book is closed, it belongs to the next one that
is: a closed book is not opened, as in any bookkeeping. A book's leaves are sorted by their hashes,
so its root depends on what is in it and not on the order in which it came, and whoever has an
entry finds its place by its hash alone. A book names the one before, so a missing one is noticed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from datetime import date, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from forecourt.instants import format_instant, parse_instant
from forecourt.ledger.canonical import canonical
from forecourt.ledger.chain import content_of
from forecourt.ledger.merkle import HASH_BYTES, leaf_hash, path_to, root_of
from forecourt.ledger.records import entry_from_record
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from forecourt.ledger.entries import Entry

# An entry comes within minutes, from a failure queue within a day; what the weekly verification
# misses may be made up for within this.
LATE_DAYS = 14
# A function that began to post at the last moment of a day has long ended by then.
SETTLES_WITHIN = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """
    A closed day: how many entries, the root over them, and where they lie.

    `tally` counts them by their own days, for those that came late; `previous` is the hash of
    the book before, empty for the first.
    """

    day: date
    entries: int
    root: str
    previous: str
    tally: Mapping[date, int]
    closed_at: datetime

    @property
    def oldest_on(self) -> date:
        """Return the earliest day of which something may be in it."""
        return min(self.tally, default=self.day)

    @property
    def digest(self) -> str:
        """Return what the next book calls this one by."""
        return sha256(canonical(book_to_record(self))).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Where a leaf is in a book, and the hashes that lead from it to the root."""

    index: int
    size: int
    path: tuple[bytes, ...]


def entry_of(content: Sequence[Any], *, digest: str) -> Entry:
    """Return the entry that says *content*, as `content_of` gives it."""
    member_id, entry_id, record = content
    return entry_from_record(record, member_id=member_id, entry_id=entry_id, digest=digest)


def leaf_of(entry: Entry) -> bytes:
    """Return the hash under which *entry* is in its book."""
    return leaf_hash(canonical(content_of(entry)))


def day_of(entry: Entry) -> date:
    """Return the day *entry* belongs to; what is older than business days, has one in UTC."""
    return entry.posted_on or entry.posted_at.date()


def days_to_close(last: date | None, *, today: date, until: date | None = None) -> list[date]:
    """
    Return the days that are over and have no book, in order; *today* is not over.

    They begin after the *last* that has one: a night that was missed is made up for.
    """
    end = min(until or today, today - timedelta(days=1))
    first = last + timedelta(days=1) if last is not None else end
    return [first + timedelta(days=ahead) for ahead in range((end - first).days + 1)]


class Compilation:
    """A day's book in the making: each entry once, however often it came."""

    def __init__(self, day: date) -> None:
        self.day = day
        self._leaves: set[bytes] = set()
        self._tally: Counter[date] = Counter()
        self._versions: dict[tuple[str, str], set[int]] = {}

    def take(self, entry: Entry) -> bool:
        """Take *entry* in; `False`: it is in already, which is what a repeat looks like."""
        leaf = leaf_of(entry)
        if leaf in self._leaves:
            return False
        self._leaves.add(leaf)
        self._tally[day_of(entry)] += 1
        account = (entry.member_id, entry.wallet)
        self._versions.setdefault(account, set()).add(entry.account_version)
        return True

    @property
    def accounts(self) -> list[tuple[str, str]]:
        """Return whose entries are in it, as (owner, wallet)."""
        return sorted(self._versions)

    def missing(self, owner: str, wallet: str, *, version: int) -> set[int]:
        """
        Return which versions of an account, now at *version*, did not come though they might.

        Those between the ones that came, and those after: posted since, or lost on their way.
        """
        came = self._versions[owner, wallet]
        return set(range(min(came), version + 1)) - came

    def leaves(self) -> list[bytes]:
        return sorted(self._leaves)

    def close(self, *, previous: Book | None, closed_at: datetime) -> Book:
        """Return the book."""
        return Book(
            day=self.day,
            entries=len(self._leaves),
            root=root_of(self.leaves()).hex(),
            previous=previous.digest if previous else "",
            tally=dict(sorted(self._tally.items())),
            closed_at=closed_at,
        )


class Leaves:
    """The sorted hashes of a book, as they lie in its file: one after the other."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __len__(self) -> int:
        return len(self._content) // HASH_BYTES

    def __getitem__(self, index: int) -> bytes:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self._content[index * HASH_BYTES : (index + 1) * HASH_BYTES]

    def __iter__(self) -> Iterator[bytes]:
        return (self[index] for index in range(len(self)))

    def index(self, leaf: bytes) -> int | None:
        """Return where *leaf* is, or `None` when it is not in the book."""
        place = bisect_left(self, leaf)
        return place if place < len(self) and self[place] == leaf else None

    def prove(self, leaf: bytes) -> Proof | None:
        """Return the proof that *leaf* is in the book, or `None` when it is not."""
        index = self.index(leaf)
        if index is None:
            return None
        return Proof(index=index, size=len(self), path=tuple(path_to(list(self), index)))


def book_to_record(book: Book) -> dict[str, Any]:
    """Return *book* as plain values."""
    return {
        "day": book.day.isoformat(),
        "entries": book.entries,
        "root": book.root,
        "previous": book.previous,
        "tally": {day.isoformat(): count for day, count in book.tally.items()},
        "closed_at": format_instant(book.closed_at),
    }


def book_from_record(record: Mapping[str, Any]) -> Book:
    """Return the book that `book_to_record` wrote."""
    return Book(
        day=date.fromisoformat(record["day"]),
        entries=record["entries"],
        root=record["root"],
        previous=record["previous"],
        tally={date.fromisoformat(day): count for day, count in record["tally"].items()},
        closed_at=parse_instant(record["closed_at"]),
    )


def unbooked(counted: Mapping[date, int], books: Sequence[Book]) -> Iterator[tuple[date, int, int]]:
    """
    Yield the closed days of which the books do not hold as many entries as were *counted*.

    As (day, counted, booked). What was posted before the first book is older than all books.
    """
    if not books:
        return
    first, last = books[0].day, books[-1].day
    booked = sum_of(book.tally for book in books)
    for day in sorted(counted.keys() | booked.keys()):
        if first <= day <= last and counted.get(day, 0) != booked[day]:
            yield day, counted.get(day, 0), booked[day]


def sum_of(tallies: Iterable[Mapping[date, int]]) -> Counter[date]:
    """Return *tallies* added up."""
    total: Counter[date] = Counter()
    for tally in tallies:
        total.update(tally)
    return total
