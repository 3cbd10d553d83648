"""Entries balance, and accounts are what their entries add up to."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.ledger import ISSUED, Account, Entry, Leg, WalletPolicy, apply, giving, wallet_of
from forecourt.ledger.entries import EXPIRED
from tests.specimens import earned

EMPTY = Account(member_id="m1", buckets={})
NEW_YEARS_EVE = date(2026, 12, 31)
AT = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)

EXPIRIES = st.none() | st.dates(date(2026, 1, 1), date(2028, 12, 31))


def earn(account: Account = EMPTY, **changes: Any) -> tuple[Entry, Account]:
    command = replace(earned("m1", 39, sale_id="sale-1", expires_on=NEW_YEARS_EVE), **changes)
    return giving.earn(account, command, now=AT, policy=WalletPolicy())


@given(earns=st.lists(st.tuples(st.integers(1, 10**6), EXPIRIES), max_size=30))
def test_a_wallet_holds_what_the_program_gave_whatever_the_order(
    earns: list[tuple[int, date | None]],
) -> None:
    account, entries = EMPTY, []
    for number, (points, expires_on) in enumerate(earns):
        entry, account = earn(
            account, entry_id=f"sale-{number}", points=points, expires_on=expires_on
        )
        entries.append(entry)

    legs = [leg for entry in entries for leg in (*entry.upkeep, *entry.legs)]
    given_away = -sum(leg.points for leg in legs if leg.account == ISSUED)
    ran_out = sum(leg.points for leg in legs if leg.account == EXPIRED)
    assert sum(leg.points for leg in legs) == 0
    assert sum(account.buckets.values()) + ran_out == given_away
    assert given_away == sum(points for points, _ in earns)
    assert account.version == len(earns)
    assert [entry.account_version for entry in entries] == list(range(1, len(earns) + 1))


def test_an_account_is_as_large_after_a_thousand_earns_as_after_one() -> None:
    account = EMPTY
    for number in range(1000):
        _, account = earn(account, entry_id=f"sale-{number}")

    assert account.buckets == {NEW_YEARS_EVE: 39_000}


def test_an_entry_names_its_sale_program_and_rule() -> None:
    entry, _ = earn()

    assert (entry.source, entry.program_version, entry.points) == ("sale:sale-1", 1, 39)
    assert entry.trace[0]["rule"] == "petrol"


def test_books_that_do_not_balance_are_refused() -> None:
    entry, _ = earn()

    with pytest.raises(ValueError, match="sale-1"):
        replace(entry, legs=(Leg(account=wallet_of("m1"), points=39),))


@pytest.mark.parametrize("points", [0, -1])
def test_earning_nothing_or_less_is_refused(points: int) -> None:
    with pytest.raises(ValueError, match="sale-1"):
        earn(points=points)


@pytest.mark.parametrize("points", [0, -1])
def test_an_overdrawn_bucket_is_refused(points: int) -> None:
    with pytest.raises(ValueError, match="m1"):
        Account(member_id="m1", buckets={NEW_YEARS_EVE: points})


def test_a_bucket_that_was_emptied_disappears() -> None:
    entry, account = earn()
    taken_back = replace(entry, legs=tuple(replace(leg, points=-leg.points) for leg in entry.legs))

    assert apply(account, taken_back).buckets == {}


def test_points_can_be_spent_through_their_last_day_and_not_on_the_next() -> None:
    _, account = earn()

    assert account.available(NEW_YEARS_EVE) == 39
    assert account.available(date(2027, 1, 1)) == 0


def test_points_that_never_run_out_are_always_there() -> None:
    _, account = earn(expires_on=None)

    assert account.available(date(9999, 12, 31)) == 39
    assert account.next_expiry(NEW_YEARS_EVE) is None


def test_the_next_expiry_is_the_nearest_that_is_still_to_come() -> None:
    account = Account(
        member_id="m1",
        buckets={date(2026, 6, 30): 1, NEW_YEARS_EVE: 2, date(2027, 6, 30): 4, None: 8},
    )

    assert account.next_expiry(NEW_YEARS_EVE) == (NEW_YEARS_EVE, 2)
    assert account.next_expiry(date(2027, 1, 1)) == (date(2027, 6, 30), 4)
    assert account.next_expiry(date(2027, 7, 1)) is None
