"""A merge that was a mistake is undone: who had what, has it again."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from forecourt.ledger import EntryKind
from forecourt.ledger import commands as c
from forecourt.ledger.entries import TRANSFER
from forecourt.ledger.refusals import AccountFrozen, AccountMerged, NotMerged
from tests.unit.books import DECEMBER, JUNE, TODAY, Ledger

if TYPE_CHECKING:
    from forecourt.ledger import Entry

SOON = TODAY + timedelta(days=3)


def merged(books: Ledger) -> Entry:
    return books.run(c.Merge, into="bo")


def unmerge(books: Ledger, entry: Entry, **values: str) -> Entry:
    return books.run(c.Unmerge, **({"into": "bo", "merge": entry.entry_id} | values))


def test_an_unmerge_at_once_leaves_both_accounts_as_they_were() -> None:
    books = Ledger()
    books.earn(30, JUNE)
    books.earn(20, None)
    books.earn(7, DECEMBER, activates_on=SOON)
    books.earn(5, JUNE, owner="bo")
    before = books.account(), books.account("bo")

    entry = unmerge(books, merged(books))

    for was, account in zip(before, (books.account(), books.account("bo")), strict=True):
        assert (account.buckets, account.pending) == (was.buckets, was.pending)
    assert (entry.kind, books.account().merged_into) == (EntryKind.UNMERGE_IN, None)
    legs = [leg for each in books.entries.values() for leg in each.legs]
    assert sum(leg.points for leg in legs if leg.account == TRANSFER) == 0
    books.spend(50)


def test_what_the_other_spent_of_it_is_owed_there() -> None:
    books = Ledger()
    books.earn(30, JUNE)
    books.earn(5, DECEMBER, owner="bo")
    merge = merged(books)
    books.spend(33, owner="bo")

    unmerge(books, merge)

    assert books.account().buckets == {JUNE: 30}
    assert (books.account("bo").total, books.account("bo").debt) == (0, 28)


def test_what_ran_out_since_the_merge_does_not_come_back() -> None:
    books = Ledger()
    books.earn(30, JUNE)
    books.earn(4, DECEMBER)
    merge = merged(books)
    books.pass_days(200)

    unmerge(books, merge)

    assert (books.account().buckets, books.account("bo").debt) == ({DECEMBER: 4}, 0)


def test_what_was_pending_and_is_active_by_now_comes_back_active() -> None:
    books = Ledger()
    books.earn(7, DECEMBER, activates_on=SOON)
    merge = merged(books)
    books.pass_days(4)

    unmerge(books, merge)

    assert (books.account().buckets, books.account().pending) == ({DECEMBER: 7}, {})


def in_debt(books: Ledger, points: int) -> None:
    sale = books.earn(points)
    books.spend(points)
    books.reverse(sale)


def test_a_debt_returns_to_who_had_it_and_what_paid_it_to_its_own_day() -> None:
    books = Ledger()
    in_debt(books, 10)
    books.earn(6, JUNE, owner="bo")
    merge = merged(books)
    assert (books.account("bo").total, books.account("bo").debt) == (0, 4)

    unmerge(books, merge)

    assert books.account().debt == 10
    assert (books.account("bo").buckets, books.account("bo").debt) == ({JUNE: 6}, 0)


def test_what_paid_the_debt_since_the_merge_comes_back_for_good() -> None:
    books = Ledger()
    in_debt(books, 10)
    merge = merged(books)
    books.earn(15, JUNE, owner="bo")
    assert books.account("bo").buckets == {JUNE: 5}

    unmerge(books, merge)

    assert books.account("bo").buckets == {JUNE: 5, None: 10}


def test_points_that_became_active_pay_the_debt_they_came_with() -> None:
    books = Ledger()
    in_debt(books, 10)
    books.earn(25, DECEMBER, activates_on=SOON)
    merge = merged(books)
    books.pass_days(4)

    unmerge(books, merge)

    assert (books.account().buckets, books.account().debt) == ({DECEMBER: 15}, 0)
    assert books.account("bo").total == 0


def test_a_merge_is_undone_once_and_only_where_it_went() -> None:
    books = Ledger()
    books.earn(30)
    merge = merged(books)
    for wrong in ({"into": "cy"}, {"merge": "another"}, {"owner": "bo", "into": "ann"}):
        with pytest.raises(NotMerged):
            unmerge(books, merge, **wrong)

    unmerge(books, merge)

    with pytest.raises(NotMerged):
        unmerge(books, merge)
    assert books.account().buckets == {JUNE: 30}


def test_an_earlier_merge_is_not_undone_by_a_later_ones_place() -> None:
    books = Ledger()
    books.earn(30)
    first = merged(books)
    unmerge(books, first)
    books.earn(5)
    merged(books)

    with pytest.raises(NotMerged):
        unmerge(books, first)


def test_what_went_on_into_a_third_account_is_undone_from_the_end() -> None:
    books = Ledger()
    books.earn(30)
    first = merged(books)
    second = books.run(c.Merge, owner="bo", into="cy")
    with pytest.raises(AccountMerged):
        unmerge(books, first)

    unmerge(books, second, owner="bo", into="cy")
    unmerge(books, first)

    assert books.account().buckets == {JUNE: 30}


def test_a_frozen_account_gives_nothing_back() -> None:
    books = Ledger()
    books.earn(30)
    merge = merged(books)
    books.run(c.Freeze, owner="bo")

    with pytest.raises(AccountFrozen):
        unmerge(books, merge)
