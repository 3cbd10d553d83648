"""
What comes due on accounts: where it is found, and what is to be done about it.

The `due` index (`forecourt.ledger_table`) has each account under the first day on which
something there begins or is over, and under that day alone. So it answers two questions:

* What is overdue? Whatever is under a day that has come. Settling it moves it to a later day.
* Which accounts have points that end on a day? None that is under a later day than the one
  after; so all of them are under the days up to that, whatever else ends there before.

Days are the program's. Accounts that go by another zone are found when the program's day comes,
and again every hour until their own has come as well.

A job looks at days of the index and makes tasks of the accounts it finds. Doing a task twice,
late or in parts gives the same: its ids are those of the day the job was begun for.
"""

from __future__ import annotations

import json
from datetime import date, timedelta
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Any

from forecourt.instants import compact_instant, format_instant, parse_instant
from forecourt.ledger.commands import Extend, Settle
from forecourt.ledger.procedure import AccountKey
from forecourt.reminders import NOTICE_DAYS
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from forecourt.ledger.accounts import Account

# How long a job may have stood still without anybody saying so. An account that was not settled
# for longer stays as it is, and counts as it should, until something is posted to it.
LOOK_BACK_DAYS = 7
ACCOUNTS_PER_TASK = 25  # a task that fails is done again as a whole


class JobKind(StrEnum):
    """What is done to the accounts found."""

    SETTLE = "settle"
    REMIND = "remind"
    EXTEND = "extend"


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """What is good until `expires_on` becomes good until `until`."""

    wallet: str
    expires_on: date
    until: date

    def __post_init__(self) -> None:
        """Refuse an extension that shortens."""
        if self.until <= self.expires_on:
            raise ValueError(self.until)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to look for; from `since` on when the job stood still for longer than it expects."""

    kind: JobKind
    extension: Extension | None = None
    since: date | None = None

    def days(self, today: date) -> list[date]:
        """Return the days of the index to look at."""
        first = self.since or today - timedelta(days=LOOK_BACK_DAYS)
        last = today
        if self.kind is JobKind.REMIND:
            last = today + timedelta(days=max(NOTICE_DAYS) + 1)
        if self.extension is not None:
            last = self.extension.expires_on + timedelta(days=1)
        return [first + timedelta(days=days) for days in range((last - first).days + 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A job's work on some accounts; `begun_at` is the first instant of the day `on`."""

    job: Job
    on: date
    begun_at: datetime
    accounts: tuple[AccountKey, ...]


def tasks(
    job: Job, accounts: Iterable[AccountKey], *, on: date, begun_at: datetime
) -> Iterator[Task]:
    """Divide *accounts* into tasks; of an extension only those of its wallet."""
    wallet = job.extension.wallet if job.extension else None
    wanted = (key for key in accounts if wallet in (None, key.wallet))
    while some := tuple(islice(wanted, ACCOUNTS_PER_TASK)):
        yield Task(job=job, on=on, begun_at=begun_at, accounts=some)


def command_for(task: Task, account: Account) -> Settle | Extend | None:
    """
    Return what the ledger is asked to do to *account*, as it counts now; `None`: nothing.

    The id is of account and day, so that of two attempts one counts. That of an extension is of
    what the account was then: points that come later with the day are extended by the next run.
    """
    common: dict[str, Any] = {
        "owner": account.member_id,
        "wallet": account.wallet,
        "actor": "expiry",
        "occurred_at": task.begun_at,
    }
    began, extension = compact_instant(task.begun_at), task.job.extension
    if extension is None:
        return Settle(
            entry_id=f"{began}.settle.{account.wallet}",
            source=f"job:settle:{task.on.isoformat()}",
            reason="due",
            **common,
        )
    last = extension.expires_on
    if last not in {*account.buckets, *account.bonus, *(each for _, each in account.pending)}:
        return None
    return Extend(
        entry_id=f"{began}.extend.{account.wallet}.{last.isoformat()}.{account.version}",
        source=f"job:extend:{task.on.isoformat()}",
        reason="migration",
        expires_on=last,
        until=extension.until,
        **common,
    )


def job_from_event(event: Mapping[str, Any]) -> Job:
    """
    Read what a schedule, or a person, starts a job with.

    `{"job": "settle"}`, `{"job": "remind"}`, or `{"job": "extend", "wallet": "points",
    "expires_on": "2026-06-30", "until": "2026-12-31"}`; each may say `since`.
    """
    kind = JobKind(event["job"])
    return Job(
        kind=kind,
        extension=_extension(event) if kind is JobKind.EXTEND else None,
        since=date.fromisoformat(event["since"]) if "since" in event else None,
    )


def task_to_json(task: Task) -> str:
    """Write *task* as a message."""
    extension = task.job.extension
    message: dict[str, Any] = {
        "job": str(task.job.kind),
        "on": task.on.isoformat(),
        "begun_at": format_instant(task.begun_at),
        "accounts": [[key.owner, key.wallet] for key in task.accounts],
    }
    if extension is not None:
        message |= {
            "wallet": extension.wallet,
            "expires_on": extension.expires_on.isoformat(),
            "until": extension.until.isoformat(),
        }
    return json.dumps(message)


def task_from_json(text: str) -> Task:
    """Read what `task_to_json` wrote."""
    message = json.loads(text)
    return Task(
        job=job_from_event(message),
        on=date.fromisoformat(message["on"]),
        begun_at=parse_instant(message["begun_at"]),
        accounts=tuple(AccountKey(owner, wallet) for owner, wallet in message["accounts"]),
    )


def _extension(event: Mapping[str, Any]) -> Extension:
    return Extension(
        wallet=event["wallet"],
        expires_on=date.fromisoformat(event["expires_on"]),
        until=date.fromisoformat(event["until"]),
    )
