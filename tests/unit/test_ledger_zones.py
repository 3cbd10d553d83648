"""Members in another zone than the program: whose midnight it is, under either policy."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest

from forecourt.ledger import commands as c
from forecourt.ledger.entries import EntryKind
from forecourt.ledger.policy import Midnight
from forecourt.ledger.records import account_from_record, account_to_record
from forecourt.ledger.refusals import InsufficientPoints, LimitExceeded, NothingDue
from forecourt.validity import EndOf, Validity
from tests.unit.books import JUNE, TODAY, Ledger

PROGRAM = "Asia/Shanghai"
HOMES = ["Asia/Shanghai", "America/New_York", "Asia/Kolkata"]
FIRST_OF_JULY = date(2026, 7, 1)


def ledger(midnight: Midnight, **policy: object) -> Ledger:
    return Ledger(zone=ZoneInfo(PROGRAM), midnight=midnight, **policy)


def midnight_in(zone: str, day: date = FIRST_OF_JULY) -> datetime:
    """Return the instant at which *day* begins in *zone*."""
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def counting(midnight: Midnight, home: str) -> str:
    return home if midnight is Midnight.MEMBER else PROGRAM


@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize("midnight", Midnight)
def test_points_are_spent_until_the_midnight_that_counts_without_any_job(
    midnight: Midnight, home: str
) -> None:
    books = ledger(midnight)
    books.run(c.SetZone, zone=home)
    books.earn(20, JUNE)
    begins = midnight_in(counting(midnight, home))

    books.now = begins - timedelta(milliseconds=1)
    assert books.has() == 20
    books.spend(10)
    assert books.has() == 10
    books.now = begins

    assert books.has() == 0
    before = books.account()
    with pytest.raises(InsufficientPoints) as caught:
        books.spend(10)
    assert (caught.value.available, books.account()) == (0, before)


@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize("midnight", Midnight)
def test_pending_points_begin_at_the_midnight_that_counts(midnight: Midnight, home: str) -> None:
    books = ledger(midnight)
    books.run(c.SetZone, zone=home)
    books.earn(20, None, activates_on=FIRST_OF_JULY)
    begins = midnight_in(counting(midnight, home))

    books.now = begins - timedelta(milliseconds=1)
    assert books.has() == 0
    with pytest.raises(InsufficientPoints):
        books.spend(10)
    books.now = begins

    assert books.has() == 20
    books.spend(20)


@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize("midnight", Midnight)
def test_what_is_due_is_written_down_at_that_midnight_and_not_before(
    midnight: Midnight, home: str
) -> None:
    books = ledger(midnight)
    books.run(c.SetZone, zone=home)
    books.earn(20, JUNE)
    begins = midnight_in(counting(midnight, home))

    books.now = begins - timedelta(milliseconds=1)
    with pytest.raises(NothingDue):
        books.run(c.Settle)
    books.now = begins
    books.run(c.Settle)

    assert books.account().buckets == {}


@pytest.mark.parametrize("midnight", Midnight)
def test_who_told_no_zone_goes_by_the_programs(midnight: Midnight) -> None:
    books = ledger(midnight)
    books.earn(20, JUNE)

    books.now = midnight_in(PROGRAM) - timedelta(milliseconds=1)
    assert books.has() == 20
    books.now = midnight_in(PROGRAM)
    assert books.has() == 0


def test_a_zone_is_taken_back() -> None:
    books = ledger(Midnight.MEMBER)
    books.run(c.SetZone, zone="America/New_York")
    books.earn(20, JUNE)

    entry = books.run(c.SetZone, zone=None)

    assert (entry.kind, entry.legs, books.account().zone) == (EntryKind.SET_ZONE, (), None)
    books.now = midnight_in(PROGRAM)
    assert books.has() == 0


def test_a_zone_is_in_the_record_of_an_account() -> None:
    books = ledger(Midnight.MEMBER)
    books.run(c.SetZone, zone="Asia/Kolkata")
    account = books.account()

    assert account_from_record(account_to_record(account), member_id="ann") == account
    assert account.zone == "Asia/Kolkata"


def test_what_is_over_stays_over_when_its_owner_moves_to_where_it_would_not_be() -> None:
    books = ledger(Midnight.MEMBER)
    books.earn(20, JUNE)
    books.now = midnight_in(PROGRAM)

    entry = books.run(c.SetZone, zone="America/New_York")

    assert entry.upkeep
    assert books.has() == 0


def test_what_is_over_where_its_owner_moves_to_is_over_at_once() -> None:
    books = ledger(Midnight.MEMBER)
    books.run(c.SetZone, zone="America/New_York")
    books.earn(20, JUNE)
    books.now = midnight_in(PROGRAM)
    assert books.has() == 20

    books.run(c.SetZone, zone="Asia/Shanghai")

    assert books.has() == 0


def test_a_program_that_counts_by_its_own_midnight_again_does_so_for_all() -> None:
    books = ledger(Midnight.MEMBER)
    books.run(c.SetZone, zone="America/New_York")
    books.earn(20, JUNE)
    books.now = midnight_in(PROGRAM)
    assert books.has() == 20

    books.under(midnight=Midnight.PROGRAM)

    assert books.has() == 0


def test_a_zone_that_nobody_knows_is_no_command() -> None:
    with pytest.raises(ZoneInfoNotFoundError):
        ledger(Midnight.MEMBER).command(c.SetZone, zone="Asia/Atlantis")


@pytest.mark.parametrize("home", HOMES)
def test_business_days_are_the_programs_wherever_a_member_is(home: str) -> None:
    books = ledger(Midnight.MEMBER, transfer_count=1)
    books.run(c.SetZone, zone=home)
    books.earn(20, None)
    books.now = midnight_in(PROGRAM) - timedelta(milliseconds=1)
    first = books.run(c.Transfer, receiver="bo", points=1)
    with pytest.raises(LimitExceeded):
        books.run(c.Transfer, receiver="bo", points=1)

    books.now = midnight_in(PROGRAM)
    second = books.run(c.Transfer, receiver="bo", points=1)

    assert (first.posted_on, second.posted_on) == (JUNE, FIRST_OF_JULY)


@pytest.mark.parametrize("home", HOMES)
def test_activity_carries_days_by_the_programs_calendar_wherever_a_member_is(home: str) -> None:
    books = ledger(Midnight.MEMBER, slide=Validity(months=2, end_of=EndOf.DAY))
    books.run(c.SetZone, zone=home)
    books.now = midnight_in(PROGRAM, TODAY)
    books.earn(20, date(2026, 1, 31))

    books.now += timedelta(minutes=1)
    books.earn(1, date(2026, 1, 31))

    assert set(books.account().buckets) >= {date(2026, 3, 5)}
    assert books.account().last_active_on == TODAY


def test_what_is_given_to_a_member_elsewhere_runs_out_at_the_midnight_there() -> None:
    books = ledger(Midnight.MEMBER)
    books.run(c.SetZone, zone="America/New_York", owner="bo")
    books.earn(20, JUNE)
    books.run(c.Transfer, receiver="bo", points=10)

    books.now = midnight_in(PROGRAM)

    assert (books.has("ann"), books.has("bo")) == (0, 10)
    books.now = midnight_in("America/New_York")
    assert books.has("bo") == 0


def test_the_account_that_goes_on_after_a_merge_keeps_its_own_zone() -> None:
    books = ledger(Midnight.MEMBER)
    books.run(c.SetZone, zone="America/New_York")
    books.run(c.SetZone, zone="Asia/Kolkata", owner="bo")
    books.earn(20, JUNE)

    merge = books.run(c.Merge, into="bo")

    assert books.account("bo").zone == "Asia/Kolkata"
    books.now = midnight_in("Asia/Kolkata") - timedelta(milliseconds=1)
    assert books.has("bo") == 20
    books.run(c.Unmerge, into="bo", merge=merge.entry_id)
    assert books.account("ann").zone == "America/New_York"
    books.now = midnight_in("Asia/Kolkata")
    assert (books.has("bo"), books.has("ann")) == (0, 20)


@pytest.mark.parametrize("home", HOMES)
def test_what_was_held_comes_back_on_the_day_it_is_where_the_member_is(home: str) -> None:
    books = ledger(Midnight.MEMBER)
    books.run(c.SetZone, zone=home)
    books.earn(20, JUNE)
    books.now = midnight_in(home) - timedelta(hours=2)
    books.hold(20, hours=1)

    books.now = midnight_in(home) - timedelta(minutes=30)

    assert books.has() == 20
    books.now = midnight_in(home)
    assert books.has() == 0
