"""Where what comes due is found, and the messages that say so."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.due import (
    ACCOUNTS_PER_TASK,
    LOOK_BACK_DAYS,
    Extension,
    Job,
    JobKind,
    Task,
    command_for,
    job_from_event,
    task_from_json,
    task_to_json,
    tasks,
)
from forecourt.ledger import Account
from forecourt.ledger.procedure import AccountKey
from forecourt.loyalty_table import due_key
from forecourt.reminders import LATE_DAYS, NOTICE_DAYS, notices

TODAY = date(2026, 11, 23)
MIDNIGHT = datetime(2026, 11, 22, 16, tzinfo=UTC)
EXTENSION = Extension(wallet="points", expires_on=date(2026, 12, 31), until=date(2027, 6, 30))
SETTLE, REMIND = Job(kind=JobKind.SETTLE), Job(kind=JobKind.REMIND)
EXTEND = Job(kind=JobKind.EXTEND, extension=EXTENSION)


def task(job: Job, *accounts: AccountKey) -> Task:
    return Task(job=job, on=TODAY, begun_at=MIDNIGHT, accounts=accounts)


def test_what_is_overdue_is_looked_for_up_to_today() -> None:
    days = SETTLE.days(TODAY)

    assert (days[0], days[-1]) == (TODAY - timedelta(days=LOOK_BACK_DAYS), TODAY)
    assert len(set(days)) == LOOK_BACK_DAYS + 1


@pytest.mark.parametrize("job", [SETTLE, REMIND, EXTEND])
def test_a_job_that_is_told_since_when_looks_from_there(job: Job) -> None:
    assert replace(job, since=date(2025, 1, 1)).days(TODAY)[0] == date(2025, 1, 1)


DAYS_AHEAD = st.integers(0, 60)


@given(
    buckets=st.dictionaries(DAYS_AHEAD, st.integers(1, 9), max_size=6),
    bonus=st.dictionaries(DAYS_AHEAD, st.integers(1, 9), max_size=2),
    pending=st.dictionaries(st.tuples(DAYS_AHEAD, DAYS_AHEAD), st.integers(1, 9), max_size=3),
)
def test_whoever_has_something_to_be_told_or_extended_is_under_a_day_that_is_looked_at(
    buckets: dict[int, int], bonus: dict[int, int], pending: dict[tuple[int, int], int]
) -> None:
    def day(ahead: int) -> date:
        return TODAY + timedelta(days=ahead)

    account = Account(
        member_id="ann",
        buckets={day(ahead): points for ahead, points in buckets.items()},
        bonus={day(ahead): points for ahead, points in bonus.items()},
        pending={(day(min(pair)), day(max(pair))): points for pair, points in pending.items()},
    )
    # Posted today at the latest: a key says so, and may be pushed to tomorrow by it.
    under = date.fromisoformat((due_key(account, posted_on=TODAY) or "9999-12-31#").split("#")[0])

    told = notices(account, TODAY)

    assert not told or under in REMIND.days(TODAY)
    last_days = {*account.buckets, *account.bonus, *(last for _, last in account.pending)}
    for last in last_days:
        assert last is not None
        extension = Extension(wallet="points", expires_on=last, until=date(2099, 1, 1))
        assert under in Job(kind=JobKind.EXTEND, extension=extension).days(TODAY)


@given(
    last=st.dates(date(2026, 1, 1), date(2030, 12, 31)),
    first_run=st.integers(0, 50),
    missed=st.sets(st.integers(0, 50)),
)
def test_of_each_notice_there_is_one_day_or_the_next_that_the_job_runs_on(
    last: date, first_run: int, missed: set[int]
) -> None:
    account = Account(member_id="ann", buckets={last: 5})
    given_on: dict[int, int] = {}
    for left in range(50, -1, -1):
        if left in missed or left > first_run:
            continue
        for notice in notices(account, last - timedelta(days=left)):
            given_on.setdefault(notice.days_before, left)

    for days in NOTICE_DAYS:
        runs = [
            left
            for left in range(days, max(days - LATE_DAYS, 0) - 1, -1)
            if left not in missed and left <= first_run
        ]
        assert given_on.get(days) == (runs[0] if runs else None)


def test_what_never_runs_out_is_never_announced() -> None:
    soon = TODAY + timedelta(days=1)
    account = Account(member_id="ann", buckets={None: 5}, pending={(soon, None): 5})

    assert notices(account, TODAY) == []


def test_nobody_is_told_that_a_budget_or_a_pool_runs_out_nor_what_nobody_may_spend() -> None:
    lots: dict[date | None, int] = {TODAY + timedelta(days=NOTICE_DAYS[0]): 7}
    account = Account(member_id="m1", buckets=lots)

    assert notices(account, TODAY) != []
    assert notices(replace(account, member_id="budget:spring"), TODAY) == []
    assert notices(replace(account, member_id="pool:p-1"), TODAY) == []
    assert notices(replace(account, frozen=True), TODAY) == []


def test_no_late_notice_meets_the_next_one() -> None:
    assert all(later + LATE_DAYS < earlier for earlier, later in pairwise(NOTICE_DAYS))


def test_accounts_are_divided_into_tasks_and_none_is_forgotten() -> None:
    keys = [AccountKey(f"m{number}", "points") for number in range(ACCOUNTS_PER_TASK * 2 + 1)]

    made = list(tasks(SETTLE, keys, on=TODAY, begun_at=MIDNIGHT))

    assert [len(each.accounts) for each in made] == [ACCOUNTS_PER_TASK, ACCOUNTS_PER_TASK, 1]
    assert [key for each in made for key in each.accounts] == keys


def test_an_extension_is_of_one_wallet() -> None:
    keys = [AccountKey("ann", "points"), AccountKey("ann", "growth")]

    (made,) = tasks(EXTEND, keys, on=TODAY, begun_at=MIDNIGHT)

    assert made.accounts == (AccountKey("ann", "points"),)


@pytest.mark.parametrize("job", [SETTLE, REMIND, EXTEND])
def test_a_task_reads_as_it_was_written(job: Job) -> None:
    written = task(job, AccountKey("ann", "points"), AccountKey("bo", "partner-airline"))

    assert task_from_json(task_to_json(written)) == written


@pytest.mark.parametrize(
    ("event", "job"),
    [
        ({"job": "settle"}, SETTLE),
        ({"job": "remind", "since": "2026-11-01"}, replace(REMIND, since=date(2026, 11, 1))),
        (
            {
                "job": "extend",
                "wallet": "points",
                "expires_on": "2026-12-31",
                "until": "2027-06-30",
            },
            EXTEND,
        ),
    ],
)
def test_a_job_is_started_in_so_many_words(event: dict[str, Any], job: Job) -> None:
    assert job_from_event(event) == job


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"job": "scan"},
        {"job": "extend"},
        {"job": "settle", "since": "yesterday"},
        {"job": "extend", "wallet": "points", "expires_on": "2026-12-31", "until": "2026-12-31"},
    ],
)
def test_what_is_no_job_is_not_started(event: dict[str, Any]) -> None:
    with pytest.raises((KeyError, ValueError)):
        job_from_event(event)


def test_one_account_has_one_id_a_day_and_each_wallet_its_own() -> None:
    accounts = [Account(member_id="ann", wallet=name, buckets={}) for name in ("points", "growth")]
    tomorrow = replace(task(SETTLE), on=TODAY + timedelta(days=1), begun_at=MIDNIGHT + timedelta(1))

    commands = [
        command_for(each, account)
        for each in (task(SETTLE), task(SETTLE), tomorrow)
        for account in accounts
    ]

    assert commands[:2] == commands[2:4]
    assert len({each.entry_id for each in commands if each}) == 4


@pytest.mark.parametrize("place", ["buckets", "bonus", "pending"])
def test_an_extension_asks_for_accounts_only_that_have_the_day(place: str) -> None:
    last = EXTENSION.expires_on
    holding: dict[str, Any] = {"buckets": {}}
    holding[place] = {(TODAY, last): 1} if place == "pending" else {last: 1}
    account = Account(member_id="ann", **holding)
    without = Account(member_id="bo", buckets={last - timedelta(days=1): 1, None: 1})

    assert command_for(task(EXTEND), account) is not None
    assert command_for(task(EXTEND), without) is None
