"""Reminders: which points of an account run out soon, and when their owner is told."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from typing import TYPE_CHECKING

from forecourt.ledger.entries import BUDGET_PREFIX, POOL_PREFIX
from forecourt.values import dataclass

if TYPE_CHECKING:
    from forecourt.ledger.accounts import Account

NOTICE_DAYS = (30, 7, 1)
# A notice missed on its day is given on one of the next; fewer than lie between two notices,
# so that nobody gets both of them at once.
LATE_DAYS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """`points` run out with the day `expires_on`, of which `days_before` days ahead is told."""

    owner: str
    wallet: str
    expires_on: date
    days_before: int
    points: int


def notices(account: Account, today: date) -> list[Notice]:
    """
    Return what the owner of *account*, as it counts now, is to be told on *today*.

    All that ends on one day is one notice. What becomes active before that day counts; what
    is held does not: it is being spent. A budget has nobody who could hurry to spend it, a pool
    nobody who is told as its owner, and out of a frozen account nothing can be spent.
    """
    if account.frozen or account.member_id.startswith((BUDGET_PREFIX, POOL_PREFIX)):
        return []
    ending: Counter[date] = Counter()
    for lots in (account.buckets, account.bonus):
        for last, points in lots.items():
            if last is not None:
                ending[last] += points
    for (_, last), points in account.pending.items():
        if last is not None:
            ending[last] += points
    return [
        Notice(
            owner=account.member_id,
            wallet=account.wallet,
            expires_on=last,
            days_before=days,
            points=points,
        )
        for last, points in sorted(ending.items())
        for days in NOTICE_DAYS
        if last >= today and 0 <= (today - (last - timedelta(days=days))).days <= LATE_DAYS
    ]
