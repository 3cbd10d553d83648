"""Time: when points begin and end, in the program's zone, whether or not a job ran."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from forecourt.instants import day_bounds
from forecourt.ledger import CountsFrom, Shortfall, Terms, WalletPolicy
from forecourt.ledger import commands as c
from forecourt.ledger.decisions import MAX_EXTENSIONS
from forecourt.ledger.entries import EXPIRED, EntryKind
from forecourt.ledger.refusals import (
    InsufficientPoints,
    NothingDue,
    NothingPending,
    NothingToExtend,
    TooMany,
)
from forecourt.operator_errors import InvalidProgram
from forecourt.validity import EndOf, Validity
from tests.unit.books import DECEMBER, JUNE, MORNING, TODAY, Ledger

SEPTEMBER = date(2026, 9, 30)
ZONES = ["Asia/Shanghai", "America/New_York", "Asia/Kolkata", "UTC"]
TWO_MONTHS = Validity(months=2, end_of=EndOf.DAY)


@pytest.mark.parametrize("zone", ZONES)
def test_points_are_spent_until_the_midnight_of_the_programs_zone_without_any_job(
    zone: str,
) -> None:
    books = Ledger(zone=ZoneInfo(zone))
    books.earn(20, JUNE)
    midnight = datetime(2026, 7, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)

    books.now = midnight - timedelta(microseconds=1)
    books.spend(10)
    books.now = midnight

    with pytest.raises(InsufficientPoints) as caught:
        books.spend(10)
    assert (caught.value.available, books.has()) == (0, 0)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("America/New_York", date(2026, 3, 8), 23),
        ("America/New_York", date(2026, 11, 1), 25),
        ("America/New_York", date(2026, 6, 1), 24),
        ("Africa/Cairo", date(2026, 4, 24), 23),  # there is no midnight: it is one at once
        ("Africa/Cairo", date(2026, 10, 29), 25),  # and here it is eleven twice
    ],
)
def test_a_last_day_is_as_long_as_the_clocks_make_it(zone: str, day: date, hours: int) -> None:
    books = Ledger(zone=ZoneInfo(zone))
    books.earn(1, day)
    begins, ends = day_bounds(day, ZoneInfo(zone))
    assert ends - begins == timedelta(hours=hours)

    books.now = ends - timedelta(seconds=1)
    assert books.has() == 1
    books.now = ends
    assert books.has() == 0


@pytest.mark.parametrize(
    ("end_of", "last"),
    [
        (EndOf.MONTH, date(2026, 4, 30)),
        (EndOf.QUARTER, date(2026, 6, 30)),
        (EndOf.HALF_YEAR, date(2026, 6, 30)),
        (EndOf.YEAR, date(2026, 12, 31)),
        (EndOf.DAY, date(2026, 4, 5)),
    ],
)
def test_validity_runs_to_the_end_of_its_period(end_of: EndOf, last: date) -> None:
    terms = Terms(validity=Validity(months=3, end_of=end_of))

    assert terms.dates(TODAY) == (None, last)


@pytest.mark.parametrize(
    ("counts_from", "last"),
    [(CountsFrom.EARNING, date(2026, 3, 5)), (CountsFrom.ACTIVATION, date(2026, 3, 19))],
)
def test_validity_counts_from_earning_or_from_activation(
    counts_from: CountsFrom, last: date
) -> None:
    terms = Terms(pending_days=14, validity=TWO_MONTHS, counts_from=counts_from)

    assert terms.dates(TODAY) == (date(2026, 1, 19), last)


def test_points_that_would_end_before_they_begin_are_no_settings() -> None:
    month = Validity(months=0, end_of=EndOf.MONTH)

    with pytest.raises(InvalidProgram):
        Terms(pending_days=1, validity=month)
    with pytest.raises(InvalidProgram):
        Terms(pending_days=-1)

    Terms(pending_days=0, validity=month)
    Terms(pending_days=59, validity=TWO_MONTHS)
    Terms(pending_days=99, validity=month, counts_from=CountsFrom.ACTIVATION)
    with pytest.raises(InvalidProgram):
        Terms(pending_days=60, validity=TWO_MONTHS)


def test_a_tier_may_keep_its_points_for_ever() -> None:
    terms = Terms(validity=TWO_MONTHS, never_for=frozenset({"black"}))

    assert terms.dates(TODAY, tier="black") == (None, None)
    assert terms.dates(TODAY, tier="white") == (None, date(2026, 3, 5))


def test_settings_that_allow_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="0"):
        WalletPolicy(minimum=0)
    with pytest.raises(ValueError, match="0"):
        WalletPolicy(multiple=0)
    with pytest.raises(ValueError, match="-1"):
        WalletPolicy(max_holds=-1)


def test_pending_points_begin_at_midnight_without_any_job() -> None:
    books = Ledger()
    books.earn(50, activates_on=TODAY + timedelta(days=2))
    books.now = datetime(2026, 1, 6, 23, 59, 59, tzinfo=UTC)
    assert (books.has(), books.account().available(date(2026, 1, 6))) == (0, 0)

    books.now += timedelta(seconds=1)

    assert (books.has(), books.account().available(date(2026, 1, 7))) == (50, 50)
    books.spend(50)


def test_pending_points_may_be_confirmed_early_and_pay_debt_first() -> None:
    books = Ledger()
    sale = books.earn(30)
    books.spend(30)
    books.reverse(sale)
    soon = TODAY + timedelta(days=5)
    books.earn(20, JUNE, activates_on=soon)
    books.earn(20, None, activates_on=soon)

    books.run(c.Activate, activates_on=soon)

    assert (books.account().debt, books.account().buckets) == (0, {None: 10})
    with pytest.raises(NothingPending):
        books.run(c.Activate, activates_on=soon)


def test_what_becomes_active_and_what_runs_out_in_one_minute_goes_in_that_order() -> None:
    books = Ledger()
    sale = books.earn(30)
    books.spend(30)
    books.reverse(sale)
    soon = TODAY + timedelta(days=5)
    books.earn(50, soon, activates_on=soon)
    books.pass_days(6)

    entry = books.run(c.Settle)

    # The debt was paid on the day they began; only the rest ran out.
    assert books.account().debt == 0
    assert [leg.points for leg in entry.upkeep if leg.account == EXPIRED] == [20]


@pytest.mark.parametrize("runs", [(1,), (1, 1), (4,), (1, 2, 3, 4), ()])
def test_the_expiry_job_twice_late_or_never_gives_the_same(runs: tuple[int, ...]) -> None:
    books = Ledger()
    books.earn(40, TODAY)
    books.earn(60, JUNE)
    books.earn(7, JUNE, activates_on=TODAY + timedelta(days=2))
    books.spend(10)
    books.hold(5, hours=30)
    for days in runs:
        books.now = MORNING + timedelta(days=days)
        try:
            entry = books.run(c.Settle)
        except NothingDue:
            continue
        assert entry.kind is EntryKind.SETTLE
    books.now = MORNING + timedelta(days=5)

    view = books.view()

    assert (view.buckets, view.holds, view.pending) == ({JUNE: 67}, {}, {})


def test_the_expiry_job_takes_what_remains_and_not_what_was_given() -> None:
    books = Ledger()
    books.earn(40, TODAY)
    books.spend(30)
    books.pass_days(1)

    entry = books.run(c.Settle)

    assert [leg.points for leg in entry.upkeep if leg.account == EXPIRED] == [10]


def test_a_spend_that_comes_first_leaves_less_to_run_out_and_the_books_agree() -> None:
    books = Ledger()
    books.earn(40, TODAY)
    books.spend(40)
    books.pass_days(1)

    with pytest.raises(NothingDue):
        books.run(c.Settle)


@pytest.mark.parametrize(
    "kind",
    ["earn", "bonus", "pending", "adjust", "transfer", "gift", "merge", "convert", "partner"],
)
def test_points_of_every_origin_run_out(kind: str) -> None:
    books = Ledger()
    match kind:
        case "earn":
            books.earn(10, TODAY)
        case "bonus":
            books.earn(4, TODAY, bonus=6)
        case "pending":
            books.now -= timedelta(days=1)
            books.earn(10, TODAY, activates_on=TODAY)
            books.pass_days(1)
        case "gift":
            books.earn(10, TODAY, owner="bo")
            books.run(c.Transfer, owner="bo", receiver="ann", points=10, purpose=c.Purpose.GIFT)
        case "merge":
            books.earn(10, TODAY, owner="bo")
            books.run(c.Merge, owner="bo", into="ann")
        case "partner":
            books.earn(10, TODAY, funded_by="program:partner")
        case "adjust":
            books.run(c.Adjust, points=10, expires_on=TODAY)
        case "transfer":
            books.earn(10, TODAY, owner="bo")
            books.run(c.Transfer, owner="bo", receiver="ann", points=10)
        case "convert":
            books.earn(10, None, wallet="partner")
            books.run(
                c.Convert,
                wallet="partner",
                into_wallet="points",
                points=10,
                gives=1,
                per=1,
                expires_on=TODAY,
            )
    assert books.has() == 10

    books.pass_days(1)

    assert books.has() == 0


def test_other_settings_leave_what_was_given_as_it_was() -> None:
    books = Ledger()
    books.earn(10, JUNE)
    books.under(grace_days=9, shortfall=Shortfall.WITHIN_BALANCE)

    assert books.view().buckets == {JUNE: 10}


def test_a_migration_on_purpose_extends_what_has_one_last_day() -> None:
    books = Ledger()
    books.earn(10, JUNE)
    bought = books.spend(4)
    books.earn(5, JUNE, activates_on=TODAY + timedelta(days=9))

    entry = books.run(c.Extend, expires_on=JUNE, until=DECEMBER)
    books.reverse(bought)

    assert entry.effect.extends == (JUNE, DECEMBER)
    assert books.account().buckets == {DECEMBER: 10}
    assert list(books.account().pending.values()) == [5]
    with pytest.raises(NothingToExtend):
        books.run(c.Extend, expires_on=JUNE, until=DECEMBER)  # nothing came since
    with pytest.raises(NothingToExtend):
        books.run(c.Extend, expires_on=TODAY - timedelta(days=1), until=DECEMBER)
    with pytest.raises(NothingToExtend):
        books.run(c.Extend, expires_on=date(2026, 5, 1), until=DECEMBER)


def test_what_came_later_with_a_day_that_was_extended_is_extended_by_a_further_command() -> None:
    books = Ledger()
    books.earn(10, JUNE)
    books.run(c.Extend, expires_on=JUNE, until=DECEMBER)
    books.earn(5, JUNE)
    books.earn(2, JUNE, activates_on=TODAY + timedelta(days=9))

    books.run(c.Extend, expires_on=JUNE, until=DECEMBER)

    assert books.account().buckets == {DECEMBER: 15}
    assert list(books.account().pending) == [(TODAY + timedelta(days=9), DECEMBER)]


@pytest.mark.parametrize("untils", [(SEPTEMBER, DECEMBER), (DECEMBER, SEPTEMBER)])
def test_what_comes_back_to_a_day_that_was_extended_twice_is_good_for_the_longer_time(
    untils: tuple[date, date],
) -> None:
    books = Ledger()
    books.earn(10, JUNE)
    bought = books.spend(4)
    for points, until in zip((0, 5), untils, strict=True):
        if points:
            books.earn(points, JUNE)
        books.run(c.Extend, expires_on=JUNE, until=until)

    books.reverse(bought)

    first, second = untils
    expected = {first: 6, second: 5}
    expected[DECEMBER] += 4
    assert books.account().buckets == expected


def test_a_day_counts_once_however_often_it_is_extended() -> None:
    books = Ledger()
    for _ in range(MAX_EXTENSIONS + 1):
        books.earn(1, JUNE)
        books.run(c.Extend, expires_on=JUNE, until=DECEMBER)

    assert books.account().buckets == {DECEMBER: MAX_EXTENSIONS + 1}


def test_so_many_last_days_are_extended_and_no_more() -> None:
    books = Ledger()
    for days in range(25):
        last = JUNE + timedelta(days=days)
        books.earn(1, last)
        if days == 24:
            with pytest.raises(TooMany):
                books.run(c.Extend, expires_on=last, until=DECEMBER)
        else:
            books.run(c.Extend, expires_on=last, until=DECEMBER)


@pytest.mark.parametrize(("seconds", "left"), [(-1, {date(2026, 5, 5): 11}), (0, {JUNE: 1})])
def test_activity_in_the_last_second_carries_points_along_and_a_second_later_they_are_gone(
    seconds: int, left: dict[date, int]
) -> None:
    books = Ledger(slide=TWO_MONTHS)
    books.earn(10, date(2026, 3, 5))
    books.now = datetime(2026, 3, 6, tzinfo=UTC) + timedelta(seconds=seconds)

    books.earn(1, date(2026, 5, 5) if seconds else JUNE)

    assert books.account().buckets == left


def test_earning_on_the_last_day_of_a_sliding_validity_carries_everything_along() -> None:
    books = Ledger(slide=TWO_MONTHS)
    books.earn(10, date(2026, 3, 5))
    books.earn(5, date(2026, 3, 5), activates_on=date(2026, 3, 1))
    bought = books.spend(3)
    books.now = datetime(2026, 2, 28, 23, 0, tzinfo=UTC)

    books.earn(1, date(2026, 4, 28))
    assert books.account().buckets == {date(2026, 4, 28): 8}
    assert list(books.account().pending) == [(date(2026, 3, 1), date(2026, 4, 28))]
    books.reverse(bought)

    assert books.account().buckets == {date(2026, 4, 28): 11}


def sliding(*, spending_slides: bool) -> Ledger:
    """Return books under a sliding validity, with 10 points that have a month left."""
    books = Ledger(slide=TWO_MONTHS, spending_slides=spending_slides)
    books.earn(10, date(2026, 3, 5))
    books.now = datetime(2026, 2, 5, 12, tzinfo=UTC)
    return books


@pytest.mark.parametrize(("slides", "last"), [(False, date(2026, 3, 5)), (True, date(2026, 4, 5))])
def test_spending_carries_a_sliding_validity_only_if_configured(
    *, slides: bool, last: date
) -> None:
    books = sliding(spending_slides=slides)

    bought = books.spend(3)
    books.now = datetime(2026, 2, 20, 12, tzinfo=UTC)
    books.reverse(bought)

    # And a refund carries nothing.
    assert books.account().buckets == {last: 10}


@pytest.mark.parametrize(("slides", "last"), [(False, date(2026, 3, 5)), (True, date(2026, 4, 10))])
def test_a_captured_hold_carries_a_sliding_validity_as_spending_does_and_a_hold_alone_does_not(
    *, slides: bool, last: date
) -> None:
    books = sliding(spending_slides=slides)
    hold = books.hold(6, hours=24 * 10)
    assert books.account().buckets == {date(2026, 3, 5): 4}
    books.now = datetime(2026, 2, 10, 12, tzinfo=UTC)

    books.run(c.Capture, hold_id=hold.entry_id, points=3)

    # What was left of the hold is carried along.
    assert books.account().buckets == {last: 7}


@pytest.mark.parametrize("spending_slides", [False, True])
def test_a_refund_on_the_last_day_resets_no_lot_of_a_sliding_validity(
    *, spending_slides: bool
) -> None:
    last = date(2026, 3, 5)
    books = Ledger(slide=TWO_MONTHS, spending_slides=spending_slides)
    books.earn(10, last)
    kept, returned = books.earn(6, last), books.earn(4, last)
    bought = books.spend(5)
    books.now = datetime(2026, 3, 5, 12, tzinfo=UTC)
    before = books.account()

    books.reverse(returned)
    books.reverse(bought)

    after = books.account()
    assert after.buckets == {last: kept.points + 10}
    assert after.last_active_on == before.last_active_on


def test_sliding_leaves_alone_what_never_runs_out() -> None:
    books = Ledger(slide=TWO_MONTHS)
    books.earn(10, None)
    books.earn(5, None, activates_on=TODAY + timedelta(days=3))
    books.earn(1, DECEMBER)

    assert books.account().buckets == {None: 10, DECEMBER: 1}
    assert list(books.account().pending) == [(TODAY + timedelta(days=3), None)]


def test_a_sale_that_comes_a_month_late_is_good_as_long_as_it_would_have_been() -> None:
    books = Ledger()
    books.pass_days(40)
    books.earn(10, TODAY + timedelta(days=30), occurred_at=MORNING)

    assert books.has() == 0


def test_the_next_expiry_tells_both_kinds_of_money_and_nothing_when_nothing_ends() -> None:
    books = Ledger()
    books.earn(10, JUNE, bonus=5)

    assert books.account().next_expiry(TODAY) == (JUNE, 15)
    assert books.account("bo").next_expiry(TODAY) is None


def test_an_account_is_due_the_day_after_its_nearest_last_day_or_when_something_begins() -> None:
    books = Ledger()
    assert books.account().due_on is None
    books.earn(10, None)
    assert books.account().due_on is None
    books.earn(10, JUNE)
    assert books.account().due_on == date(2026, 7, 1)
    books.hold(10)
    assert books.account().due_on == date(2026, 7, 1)
    books.earn(10, DECEMBER, activates_on=TODAY + timedelta(days=3))
    assert books.account().due_on == TODAY + timedelta(days=3)
