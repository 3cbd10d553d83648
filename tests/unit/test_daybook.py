"""A day is closed once, with each of its entries once."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.arrivals import arrival_from_item
from forecourt.ledger import commands as c
from forecourt.ledger.daybook import (
    Book,
    Compilation,
    Leaves,
    book_from_record,
    book_to_record,
    day_of,
    days_to_close,
    entry_of,
    leaf_of,
    unbooked,
)
from forecourt.ledger.merkle import root_of
from forecourt.loyalty_table import entry_to_item
from tests.unit.books import TODAY, Ledger

CLOSED_AT = datetime(2026, 1, 6, 19, tzinfo=UTC)
DAY = timedelta(days=1)


def book(day: date, **tally: int) -> Book:
    """Return the book of *day*, with so many entries of the days named `d5` and so on."""
    return Book(
        day=day,
        entries=sum(tally.values()),
        root="00" * 32,
        previous="",
        tally={date(2026, 1, int(name[1:])): count for name, count in tally.items()},
        closed_at=CLOSED_AT,
    )


def test_what_the_archive_makes_of_an_item_is_the_entry_again() -> None:
    ledger = Ledger()
    earned = ledger.earn(100, source="加油", trace=({"rule": "r1", "points": 100},))
    ledger.reverse(ledger.spend(40), c.Exactly(points=15))
    ledger.hold(10)
    plain = replace(earned, digest="", fingerprint="", previous="")

    for entry in [*ledger.entries.values(), plain]:
        arrival = arrival_from_item(entry_to_item(entry))
        content = json.loads(json.dumps(arrival.content))
        again = entry_of(content, digest=arrival.digest)

        assert again == entry
        assert leaf_of(again) == leaf_of(entry)
        assert arrival.day == day_of(entry).isoformat()


def test_an_entry_older_than_business_days_belongs_to_its_day_in_utc() -> None:
    entry = replace(Ledger().earn(10), posted_on=None)

    assert day_of(entry) == entry.posted_at.date()
    assert arrival_from_item(entry_to_item(entry)).day == entry.posted_at.date().isoformat()


@given(repeats=st.lists(st.integers(0, 4), min_size=5).map(lambda more: [*range(5), *more]))
def test_a_book_is_the_same_in_whatever_order_and_however_often_its_entries_come(
    repeats: list[int],
) -> None:
    ledger = Ledger()
    entries = [ledger.earn(10) for _ in range(5)]
    plain, shuffled = Compilation(TODAY), Compilation(TODAY)
    for entry in entries:
        assert plain.take(entry)

    news = [shuffled.take(entries[at]) for at in reversed(repeats)]

    books = [each.close(previous=None, closed_at=CLOSED_AT) for each in (plain, shuffled)]
    assert sum(news) == 5
    assert books[0] == books[1]
    assert (books[0].entries, books[0].tally) == (5, {TODAY: 5})
    assert books[0].root == root_of(plain.leaves()).hex()


def test_a_book_names_the_one_before_by_its_content() -> None:
    first = Compilation(TODAY).close(previous=None, closed_at=CLOSED_AT)
    second = Compilation(TODAY + DAY).close(previous=first, closed_at=CLOSED_AT)

    assert first.previous == ""
    assert second.previous == first.digest != replace(first, entries=1).digest


def test_a_book_survives_being_written() -> None:
    written = book(TODAY, d4=1, d5=2)

    assert book_from_record(json.loads(json.dumps(book_to_record(written)))) == written
    assert written.oldest_on == date(2026, 1, 4)
    assert book(TODAY).oldest_on == TODAY


def test_versions_that_did_not_come_are_known() -> None:
    ledger = Ledger()
    entries = [ledger.earn(10) for _ in range(6)]
    compilation = Compilation(TODAY)
    for at in (1, 3):
        compilation.take(entries[at])

    assert compilation.accounts == [("ann", "points")]
    assert compilation.missing("ann", "points", version=6) == {3, 5, 6}
    assert compilation.missing("ann", "points", version=4) == {3}


@pytest.mark.parametrize(
    ("last", "until", "expected"),
    [
        (None, None, [4]),  # the first close begins with yesterday
        (None, 2, [2]),
        (4, None, []),  # a retry
        (3, None, [4]),
        (1, None, [2, 3, 4]),  # nights were missed
        (1, 3, [2, 3]),
        (3, 2, []),
        (1, 9, [2, 3, 4]),  # today is not over, whoever asks
    ],
)
def test_every_day_that_is_over_is_closed_and_none_twice(
    last: int | None, until: int | None, expected: list[int]
) -> None:
    days = days_to_close(
        date(2026, 1, last) if last else None,
        today=TODAY,
        until=date(2026, 1, until) if until else None,
    )

    assert [day.day for day in days] == expected


def test_a_closed_day_with_other_entries_than_its_books_is_named() -> None:
    books = [book(date(2026, 1, 4), d3=1, d4=2), book(date(2026, 1, 5), d4=1, d5=4)]
    counted = {date(2026, 1, day): count for day, count in {2: 9, 3: 7, 4: 3, 5: 5, 6: 1}.items()}

    assert list(unbooked(counted, books)) == [(date(2026, 1, 5), 5, 4)]
    assert list(unbooked(counted, [])) == []
    assert list(unbooked({}, books[:1])) == [(date(2026, 1, 4), 0, 2)]


def test_an_empty_book_proves_nothing() -> None:
    assert Leaves(b"").prove(b"\0" * 32) is None
