"""
Pools: one account for a family or a fleet, and how much of it each member may spend in a day.

A pool's account is the ledger's, of the owner `pool:<pool>`, which no member's id can be. Its
head decides who belongs to it. The limits are the pool's own and no setting of the program:
they are given to the ledger with every command that spends.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from forecourt.booking_errors import HeadStays, NotInPool, TooManyInPool
from forecourt.ledger.entries import POOL_PREFIX
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

# Who spends in a day is a counter in the account's one item.
POOL_MEMBERS_MAX = 50
CHANGES_KNOWN = 16  # of the last requests that changed a pool: a retry comes before so many others
NO_LIMIT = 1_000_000_000  # no wallet holds more


def owner_of(pool_id: str) -> str:
    """Return under which name the ledger has a pool's account."""
    return f"{POOL_PREFIX}{pool_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """
    A pool as its head made it; `limits` are points a day by member, `None` without limit.

    One whose head was forgotten has none: the others spend what is in it, and nothing else of it
    changes any more. `changes` names the requests that made it what it is, the last ones last.
    """

    pool_id: str
    wallet: str
    head: str | None
    limits: Mapping[str, int | None]
    opened_at: datetime
    version: int = 1
    changes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a pool its head is not in, or with more members than its account can count."""
        if self.head is not None and self.head not in self.limits:
            raise ValueError(self.pool_id)
        if len(self.limits) > POOL_MEMBERS_MAX:
            raise TooManyInPool(limit=POOL_MEMBERS_MAX)

    @property
    def owner(self) -> str:
        """Return under which name the ledger has its account."""
        return owner_of(self.pool_id)

    @property
    def spending_limits(self) -> dict[str, int]:
        """Return what each member may spend in a day, as the ledger counts it."""
        return {
            member_id: NO_LIMIT if limit is None else limit
            for member_id, limit in self.limits.items()
        }

    def changed_by(self, request_id: str) -> Pool:
        """Return the pool as it remembers that a request made it what it is."""
        return replace(self, changes=(*self.changes, request_id)[-CHANGES_KNOWN:])

    def with_member(self, member_id: str, daily_points: int | None) -> Pool:
        """Return the pool with a member who may spend so much in a day."""
        return self._with({**self.limits, member_id: daily_points})

    def without_member(self, member_id: str) -> Pool:
        """Return the pool without a member; raise `HeadStays`, or `NotInPool`."""
        if member_id == self.head:
            raise HeadStays(pool_id=self.pool_id)
        if member_id not in self.limits:
            raise NotInPool(pool_id=self.pool_id, member_id=member_id)
        return self._with(self._limits_without(member_id))

    def forgetting(self, member_id: str) -> Pool:
        """Return the pool without somebody who is forgotten, be it its head."""
        head = None if member_id == self.head else self.head
        return self._with(self._limits_without(member_id), head=head)

    def _limits_without(self, member_id: str) -> dict[str, int | None]:
        return {each: limit for each, limit in self.limits.items() if each != member_id}

    def _with(self, limits: Mapping[str, int | None], **changes: Any) -> Pool:
        if limits == self.limits:
            return self
        return replace(self, limits=limits, version=self.version + 1, **changes)
