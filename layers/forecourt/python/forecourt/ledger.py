"""
The ledger: immutable entries that balance, and the account they add up to.

Every entry's legs sum to zero: what a wallet gains, a program account gives. An account
keeps its points in buckets, one per last valid day, so that its size and the cost of a
posting depend on the program's calendar and not on the member's past.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

POINTS_WALLET = "points"
ISSUED = "program:issued"


class EntryKind(StrEnum):
    """What happened."""

    EARN = "earn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """
    One side of an entry: `account` gains `points`, or loses them when negative.

    A wallet's leg says in `expires_on` which bucket it moves; `None` is the bucket that
    never runs out.
    """

    account: str
    points: int
    expires_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """
    One movement, for ever.

    `entry_id` starts with the instant it happened (`forecourt.sales.SaleKey`), so a
    member's entries sort by time. `source` is the document behind it, `program_version`
    and `trace` say by which rule. `account_version` is the account's after the entry.
    """

    entry_id: str
    kind: EntryKind
    member_id: str
    legs: tuple[Leg, ...]
    source: str
    reason: str
    actor: str
    program_version: int
    trace: tuple[Mapping[str, object], ...]
    occurred_at: datetime
    posted_at: datetime
    account_version: int

    def __post_init__(self) -> None:
        """Refuse books that do not balance."""
        if sum(leg.points for leg in self.legs) != 0:
            raise ValueError(self.entry_id)

    @property
    def points(self) -> int:
        """Return what the member's wallet gains."""
        wallet = wallet_of(self.member_id)
        return sum(leg.points for leg in self.legs if leg.account == wallet)

    def says_the_same_as(self, other: Entry) -> bool:
        """Return whether *other* is this movement, posted by another attempt."""
        attempt = {"posted_at": self.posted_at, "account_version": self.account_version}
        return self == replace(other, **attempt)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A member's wallet: points by last valid day, and a version that counts its entries."""

    member_id: str
    version: int = 0
    buckets: Mapping[date | None, int]

    def __post_init__(self) -> None:
        """Refuse a bucket that was overdrawn."""
        if any(points <= 0 for points in self.buckets.values()):
            raise ValueError(self.member_id)

    def available(self, today: date) -> int:
        """
        Return the points that can be spent on *today*, a day in the program's zone.

        Points run out at the midnight that ends their last valid day, whether or not any
        job has run.
        """
        return sum(points for last, points in self.buckets.items() if _good(last, today))

    def next_expiry(self, today: date) -> tuple[date, int] | None:
        """Return the next day after which points are lost, and how many."""
        days = [day for day in self.buckets if day is not None and day >= today]
        return (min(days), self.buckets[min(days)]) if days else None


def wallet_of(member_id: str) -> str:
    """Return the name a member's points wallet has in a leg."""
    return f"member:{member_id}:{POINTS_WALLET}"


def earn(
    account: Account,
    *,
    entry_id: str,
    points: int,
    expires_on: date | None,
    program_version: int,
    trace: tuple[Mapping[str, object], ...],
    occurred_at: datetime,
    posted_at: datetime,
) -> tuple[Entry, Account]:
    """Return the entry that gives *account* at least one point, and the account after it."""
    if points <= 0:
        raise ValueError(points)
    entry = Entry(
        entry_id=entry_id,
        kind=EntryKind.EARN,
        member_id=account.member_id,
        legs=(
            Leg(account=wallet_of(account.member_id), points=points, expires_on=expires_on),
            Leg(account=ISSUED, points=-points),
        ),
        source=f"sale:{entry_id}",
        reason="fuel",
        actor="accrual",
        program_version=program_version,
        trace=trace,
        occurred_at=occurred_at,
        posted_at=posted_at,
        account_version=account.version + 1,
    )
    return entry, apply(account, entry)


def apply(account: Account, entry: Entry) -> Account:
    """Return *account* after *entry*; buckets that are empty then disappear."""
    buckets = dict(account.buckets)
    wallet = wallet_of(account.member_id)
    for leg in entry.legs:
        if leg.account == wallet:
            buckets[leg.expires_on] = buckets.get(leg.expires_on, 0) + leg.points
    return replace(
        account,
        version=account.version + 1,
        buckets={day: points for day, points in buckets.items() if points},
    )


def _good(last: date | None, today: date) -> bool:
    return last is None or last >= today
