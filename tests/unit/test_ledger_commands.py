"""Spending, holding, moving and correcting: what each takes, from where, and when it may not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from forecourt.ledger import Account, Books, EntryKind, Hold, decide, faults, settled
from forecourt.ledger import commands as c
from forecourt.ledger.chain import digest_of, seal
from forecourt.ledger.decisions import Reversals
from forecourt.ledger.entries import EXPIRED, ISSUED, PARTNER, TRANSFER
from forecourt.ledger.refusals import (
    AccountFrozen,
    AccountMerged,
    BelowMinimum,
    CaptureExceedsHold,
    CeilingExceeded,
    CheckerIsMaker,
    CheckerNeeded,
    HoldNotOpen,
    InsufficientPoints,
    LedgerRefusal,
    LimitExceeded,
    NeverRunsOut,
    NotAMultiple,
    OpenMatters,
    TooMany,
    TransferToSelf,
    ledger_refusal,
)
from tests.unit.books import DECEMBER, JUNE, MORNING, TODAY, Ledger

WITHDRAWAL = c.Purpose.WITHDRAWAL
DAY_AFTER = MORNING + timedelta(days=1)


def test_spending_takes_the_earliest_last_day_first_and_says_so() -> None:
    books = Ledger()
    for last in (None, DECEMBER, JUNE):
        books.earn(10, last)

    entry = books.spend(25)

    assert entry.taken() == [((JUNE, False), 10), ((DECEMBER, False), 10), ((None, False), 5)]
    assert books.account().buckets == {None: 5}


@pytest.mark.parametrize(("bonus_first", "left"), [(True, (100, 0)), (False, (80, 20))])
def test_bonus_money_goes_first_or_last_as_configured(
    *, bonus_first: bool, left: tuple[int, int]
) -> None:
    books = Ledger(bonus_first=bonus_first)
    books.earn(100, None, bonus=20)

    books.spend(20)

    account = books.account()
    assert (sum(account.buckets.values()), sum(account.bonus.values())) == left


@pytest.mark.parametrize("held", [0, 59])
def test_spending_more_than_there_is_names_both_and_takes_nothing(held: int) -> None:
    books = Ledger()
    if held:
        books.earn(held)

    with pytest.raises(InsufficientPoints) as caught:
        books.spend(60)

    assert caught.value.facts() == {"requested": 60, "available": held}
    assert books.has() == held


def test_spending_exactly_what_there_is_empties_the_account() -> None:
    books = Ledger()
    books.earn(60)

    books.spend(60)

    assert books.account().total == 0


def test_two_orders_on_the_same_points_are_not_both_paid() -> None:
    books = Ledger()
    books.earn(100)
    books.hold(100)

    with pytest.raises(InsufficientPoints):
        books.hold(100)


def test_redemptions_have_a_minimum_and_steps() -> None:
    books = Ledger(minimum=35, multiple=5)
    books.earn(100)

    with pytest.raises(BelowMinimum):
        books.spend(30)
    with pytest.raises(NotAMultiple):
        books.hold(36)
    books.spend(35)


def test_a_partner_may_give_and_take_points() -> None:
    books = Ledger()
    given = books.earn(100, funded_by=PARTNER)
    taken = books.spend(40, accepted_by=PARTNER)

    moved = [leg.points for entry in (given, taken) for leg in entry.legs if leg.account == PARTNER]
    assert moved == [-100, 40]
    assert (books.reverse(taken).points, books.reverse(given).points) == (40, -100)


def test_capturing_less_than_is_held_releases_the_rest_to_its_own_day() -> None:
    books = Ledger()
    books.earn(30, JUNE)
    books.earn(30, DECEMBER)
    hold = books.hold(50)
    assert books.has() == 10

    entry = books.run(c.Capture, hold_id=hold.entry_id, points=35)

    assert entry.taken() == [((JUNE, False), 30), ((DECEMBER, False), 5)]
    assert entry.given == 35
    assert books.account().buckets == {DECEMBER: 25}


def test_a_capture_that_the_first_bucket_covers_leaves_the_others_whole() -> None:
    books = Ledger()
    books.earn(30, JUNE)
    books.earn(30, DECEMBER)
    hold = books.hold(50)
    assert books.account().total == 60

    books.run(c.Capture, hold_id=hold.entry_id, points=10)

    assert books.account().buckets == {JUNE: 20, DECEMBER: 30}


@pytest.mark.parametrize("first", [c.Capture, c.Release])
@pytest.mark.parametrize("then", [c.Capture, c.Release])
def test_a_hold_is_resolved_once(first: type[c.Command], then: type[c.Command]) -> None:
    books = Ledger()
    books.earn(30)
    hold = books.hold(20)
    more: dict[Any, dict[str, int]] = {c.Capture: {"points": 20}, c.Release: {}}
    books.run(first, hold_id=hold.entry_id, **more[first])
    before = books.account()

    with pytest.raises(HoldNotOpen):
        books.run(then, hold_id=hold.entry_id, **more[then])

    assert books.account() == before


@pytest.mark.parametrize("settled_first", [True, False])
def test_a_hold_that_timed_out_is_not_captured_whether_or_not_a_job_saw_it(
    *,
    settled_first: bool,
) -> None:
    books = Ledger()
    books.earn(30)
    hold = books.hold(20, hours=1)
    books.now += timedelta(hours=1)
    assert books.account().available(TODAY, now=books.now) == books.has() == 30
    if settled_first:
        books.run(c.Settle)

    with pytest.raises(HoldNotOpen):
        books.run(c.Capture, hold_id=hold.entry_id, points=20)


def test_more_than_is_held_is_not_captured() -> None:
    books = Ledger()
    books.earn(30)
    hold = books.hold(20)

    with pytest.raises(CaptureExceedsHold) as caught:
        books.run(c.Capture, hold_id=hold.entry_id, points=21)

    assert (caught.value.requested, caught.value.held) == (21, 20)


def test_points_held_past_their_last_day_are_good_for_the_capture_and_then_over() -> None:
    books = Ledger()
    books.earn(30, TODAY)
    hold = books.hold(30, hours=48)
    books.pass_days(1)

    entry = books.run(c.Capture, hold_id=hold.entry_id, points=20)

    assert [leg.points for leg in entry.upkeep if leg.account == EXPIRED] == [10]
    assert books.has() == 0


def test_what_a_hold_gives_back_pays_debt_first() -> None:
    books = Ledger()
    sale = books.earn(30)
    hold = books.hold(30)
    books.reverse(sale)
    assert books.account().debt == 30

    books.run(c.Capture, hold_id=hold.entry_id, points=10)

    assert (books.account().debt, books.has()) == (10, 0)


def test_so_many_holds_are_open_and_no_more() -> None:
    books = Ledger(max_holds=2)
    books.earn(30)
    books.hold(1)
    books.hold(1)

    with pytest.raises(TooMany) as caught:
        books.hold(1)

    assert (caught.value.limit, caught.value.allowed) == ("holds", 2)


def test_five_thousand_earns_are_spent_at_once() -> None:
    books = Ledger()
    account = Account(
        member_id="ann",
        buckets={TODAY + timedelta(days=days): 5 for days in range(1000)},
    )
    books.accounts["ann", "points"] = account
    command = books.command(c.Spend, points=5000)

    decision = decide(command, Books(account=account), now=books.now, policies=books.policies)

    assert decision.account.total == 0
    assert len(decision.postings) == 1


def test_a_gift_keeps_its_last_days_and_pays_the_receivers_debt() -> None:
    books = Ledger()
    sale = books.earn(10, owner="bo")
    books.spend(10, owner="bo")
    books.reverse(sale)
    books.earn(30, JUNE)
    books.earn(30, None)

    books.run(c.Transfer, receiver="bo", points=40, purpose=c.Purpose.GIFT)

    assert books.account("bo").buckets == {JUNE: 20, None: 10}
    assert (books.account("bo").debt, books.has()) == (0, 20)
    moved = [
        leg.points
        for entry in books.entries.values()
        for leg in entry.legs
        if leg.account == TRANSFER
    ]
    assert sorted(moved) == [-40, 40]


def test_what_a_head_takes_out_of_pools_counts_as_what_they_give_away() -> None:
    books = Ledger(transfer_points=50, transfer_count=3)
    for owner in ("pool:1", "pool:2", "ann"):
        books.earn(100, owner=owner)
    books.run(c.Transfer, owner="pool:1", receiver="ann", points=30, purpose=WITHDRAWAL)

    with pytest.raises(LimitExceeded) as caught:
        books.run(c.Transfer, owner="pool:2", receiver="ann", points=21, purpose=WITHDRAWAL)
    assert caught.value.facts() == {
        "limit": "transfer_points",
        "allowed": 50,
        "used": 30,
        "requested": 21,
    }
    books.run(c.Transfer, owner="pool:2", receiver="ann", points=10, purpose=WITHDRAWAL)
    with pytest.raises(LimitExceeded):
        books.run(c.Transfer, receiver="bo", points=11)
    books.run(c.Transfer, receiver="bo", points=10)
    # Points were left of the day's fifty, and no further time.
    with pytest.raises(LimitExceeded):
        books.run(c.Transfer, owner="pool:1", receiver="ann", points=1, purpose=WITHDRAWAL)

    assert books.account("pool:1").used == books.account("pool:2").used == {}
    assert (books.has("pool:1"), books.has("pool:2"), books.has()) == (70, 90, 130)


def test_an_adjustment_gives_no_last_day_to_what_never_runs_out() -> None:
    books = Ledger(runs_out=False)
    before = books.account()

    with pytest.raises(NeverRunsOut) as caught:
        books.run(c.Adjust, points=10, expires_on=JUNE)

    assert caught.value.facts() == {"wallet": "points", "expires_on": "2026-06-30"}
    assert books.account() == before
    books.run(c.Adjust, points=10)
    books.run(c.Adjust, points=-3, expires_on=JUNE)
    assert books.account().buckets == {None: 7}


@pytest.mark.parametrize("points", [1, 36, 40])
def test_a_capture_is_what_the_till_used_be_it_less_than_may_be_redeemed_or_between_steps(
    points: int,
) -> None:
    books = Ledger(minimum=35, multiple=5)
    books.earn(100)
    hold = books.run(c.SetAside, points=40, hold_expires_at=books.now + timedelta(hours=1))

    books.run(c.Capture, hold_id=hold.entry_id, points=points)

    assert books.has() == 100 - points


def test_nobody_gives_to_themselves() -> None:
    books = Ledger()
    books.earn(10)

    with pytest.raises(TransferToSelf):
        books.run(c.Transfer, receiver="ann", points=1)


def test_what_is_given_in_a_day_is_limited_and_a_pool_is_not() -> None:
    books = Ledger(transfer_points=50, transfer_count=2)
    books.earn(500)
    books.run(c.Transfer, receiver="bo", points=20)

    with pytest.raises(LimitExceeded) as caught:
        books.run(c.Transfer, receiver="bo", points=31)
    assert caught.value.facts() == {
        "limit": "transfer_points",
        "allowed": 50,
        "used": 20,
        "requested": 31,
    }
    books.run(c.Transfer, receiver="bo", points=30)
    with pytest.raises(LimitExceeded):
        books.run(c.Transfer, receiver="bo", points=1)
    books.run(c.Transfer, receiver="family", points=100, purpose=c.Purpose.POOL)
    books.pass_days(1)
    books.run(c.Transfer, receiver="bo", points=50)

    assert books.account().used == {"given:points": 50, "given:count": 1}


def test_a_clock_that_goes_back_over_midnight_does_not_renew_the_limits() -> None:
    books = Ledger(transfer_points=50)
    books.earn(500)
    books.run(c.Transfer, receiver="bo", points=50)
    books.pass_days(-1)

    with pytest.raises(LimitExceeded):
        books.run(c.Transfer, receiver="bo", points=1)


def test_of_a_pool_each_member_spends_what_they_may() -> None:
    books = Ledger(member_limits={"ann": 60, "bo": 10})
    books.earn(500, owner="family")
    books.spend(60, owner="family", spender="ann")

    for spender, points in (("ann", 1), ("bo", 11), ("stranger", 1), (None, 1)):
        with pytest.raises(LimitExceeded):
            books.hold(points, owner="family", spender=spender)
    books.hold(10, owner="family", spender="bo")


def test_conversion_goes_in_whole_steps_of_the_rate() -> None:
    books = Ledger()
    books.earn(100)
    rate: dict[str, Any] = {"into_wallet": "partner", "gives": 3, "per": 5, "expires_on": None}

    with pytest.raises(NotAMultiple):
        books.run(c.Convert, points=12, **rate)
    books.run(c.Convert, points=20, **rate)

    assert (books.has(), books.has(wallet="partner")) == (80, 12)


def test_merging_carries_points_pending_and_debt_and_closes_the_account() -> None:
    books = Ledger()
    sale = books.earn(10)
    books.spend(10)
    books.reverse(sale)
    books.earn(7, JUNE, activates_on=TODAY + timedelta(days=3))
    books.earn(4, JUNE, owner="bo")

    books.run(c.Merge, into="bo")

    assert (books.account("bo").debt, books.has("bo")) == (6, 0)
    assert sum(books.account("bo").pending.values()) == 7
    assert (books.account().total, books.account().debt) == (0, 0)
    with pytest.raises(AccountMerged) as caught:
        books.earn(1)
    assert caught.value.into == "bo"
    with pytest.raises(AccountMerged):
        books.run(c.Transfer, owner="bo", receiver="ann", points=1)


def test_an_account_with_open_matters_is_not_merged() -> None:
    books = Ledger()
    books.earn(10)
    hold = books.hold(5)
    with pytest.raises(OpenMatters):
        books.run(c.Merge, into="bo")
    books.run(c.Release, hold_id=hold.entry_id)
    books.run(c.Reverse, reverses="later", document="refund:1")

    with pytest.raises(OpenMatters) as caught:
        books.run(c.Merge, into="bo")

    assert (caught.value.holds, caught.value.parked) == (0, 1)


def test_a_frozen_account_earns_and_gives_nothing() -> None:
    books = Ledger()
    books.earn(10)
    books.earn(10, owner="bo")
    books.run(c.Freeze)
    books.run(c.Freeze)
    books.earn(10)

    for kind, values in (
        (c.Spend, {"points": 1}),
        (c.Transfer, {"receiver": "bo", "points": 1}),
        (c.Transfer, {"owner": "bo", "receiver": "ann", "points": 1}),
        (c.Merge, {"into": "bo"}),
    ):
        with pytest.raises(AccountFrozen):
            books.run(kind, **values)

    books.run(c.Unfreeze)
    books.spend(20)


def test_an_adjustment_above_the_limit_needs_a_second_person() -> None:
    books = Ledger(adjust_limit=50)
    books.run(c.Adjust, points=50)

    with pytest.raises(CheckerNeeded):
        books.run(c.Adjust, points=-51)
    with pytest.raises(CheckerIsMaker):
        books.run(c.Adjust, points=51, checker="till")
    books.run(c.Adjust, points=60, expires_on=JUNE, checker="office")
    books.run(c.Adjust, points=-100, checker="office")

    assert books.account().buckets == {None: 10}


@pytest.mark.parametrize("points", [400, 401])
def test_a_wallet_holds_no_more_than_its_ceiling(points: int) -> None:
    books = Ledger(ceiling=500)
    books.earn(60)
    books.earn(20, activates_on=TODAY + timedelta(days=1))
    books.hold(10)
    books.run(c.Adjust, points=20)

    if points == 400:
        books.earn(points)
    else:
        with pytest.raises(CeilingExceeded):
            books.earn(points)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (c.Earn, {"points": 0, "expires_on": None}),
        (c.Earn, {"points": 1, "expires_on": None, "items": {"a": 2}}),
        (c.Earn, {"points": 1, "expires_on": TODAY, "activates_on": DECEMBER}),
        (c.Earn, {"points": 1, "expires_on": None, "activates_on": TODAY, "bonus": 1}),
        (c.Earn, {"points": 1, "expires_on": None, "funded_by": "program:debt"}),
        (c.Spend, {"points": 0}),
        (c.Spend, {"points": 1, "accepted_by": "program:debt"}),
        (c.SetAside, {"points": 0, "hold_expires_at": MORNING}),
        (c.Capture, {"points": 0, "hold_id": "x"}),
        (c.Reverse, {"reverses": "x", "document": "y", "part": c.Exactly(points=0)}),
        (c.Reverse, {"reverses": "x", "document": "y", "part": c.Share(part=2, whole=1)}),
        (c.Adjust, {"points": 0}),
        (c.Transfer, {"receiver": "bo", "points": 0}),
        (
            c.Convert,
            {"into_wallet": "points", "points": 1, "gives": 1, "per": 1, "expires_on": None},
        ),
        (c.Extend, {"expires_on": JUNE, "until": JUNE}),
    ],
)
def test_a_command_that_contradicts_itself_is_not_made(
    kind: type[c.Command], values: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"."):
        Ledger().command(kind, **values)


def test_an_account_out_of_bounds_is_not_made() -> None:
    good = Account(member_id="ann", buckets={JUNE: 1})
    hold = Hold(expires_at=MORNING, lots={(JUNE, False): 0})
    for wrong in (
        {"bonus": {None: 0}},
        {"pending": {(TODAY, JUNE): -1}},
        {"holds": {"h": hold}},
        {"debt": -1, "buckets": {}},
        {"debt": 1},
        {"parked": -1},
    ):
        with pytest.raises(ValueError, match="ann"):
            replace(good, **wrong)


def test_more_is_never_noted_as_reversed_than_was_given() -> None:
    with pytest.raises(ValueError, match="sale"):
        Reversals(owner="ann", entry_id="sale", given=10, reversed=11)


def test_a_movement_between_two_accounts_is_not_decided_on_one() -> None:
    books = Ledger()
    command = books.command(c.Transfer, receiver="bo", points=1)

    with pytest.raises(ValueError, match="ann"):
        decide(command, Books(account=books.account()), now=books.now, policies=books.policies)


def test_reading_an_account_with_nothing_due_shows_it_as_stored() -> None:
    books = Ledger()
    books.earn(10)
    account = books.account()

    assert settled(account, now=books.now, policies=books.policies) is account


def test_a_row_that_was_edited_left_out_or_put_in_breaks_the_chain() -> None:
    books = Ledger()
    entries = [books.earn(10), books.spend(3), books.earn(5)]
    assert faults(entries) == []

    edited = [entries[0], replace(entries[1], reason="other"), entries[2]]
    assert [fault.reason for fault in faults(edited)] == ["digest"]
    resealed = [entries[0], seal(replace(entries[1], reason="other")), entries[2]]
    assert [fault.reason for fault in faults(resealed)] == ["previous"]
    assert [fault.reason for fault in faults(entries[::2])] == ["version"]
    twice = [*entries, replace(entries[2], entry_id="x")]
    assert [fault.reason for fault in faults(twice)] == ["version"]


def test_entries_older_than_the_chain_are_followed_by_it() -> None:
    books = Ledger()
    old = replace(books.earn(10), digest="", fingerprint="", posted_on=None)
    young = seal(replace(books.earn(5), previous="", account_version=2))

    assert faults([old, young]) == []
    assert young.digest == digest_of(young)


def test_every_refusal_is_told_again_from_its_code_and_facts() -> None:
    for kind in LedgerRefusal.__subclasses__():
        facts: dict[str, int | str] = dict.fromkeys(kind.__annotations__, 7)
        again = ledger_refusal(kind.code, facts)

        assert type(again) is kind
        assert again.facts() == facts
        with pytest.raises(TypeError):
            kind(other=1)


def test_every_entry_says_why_by_whom_from_what_and_by_which_rule() -> None:
    books = Ledger()
    trace = ({"rule": "litre", "outcome": "earned", "points": 10},)

    entry = books.earn(10, program_version=3, trace=trace)

    assert (entry.reason, entry.actor, entry.source) == ("test", "till", "doc")
    assert (entry.program_version, entry.trace, entry.kind) == (3, trace, EntryKind.EARN)
    assert [leg.points for leg in entry.legs if leg.account == ISSUED] == [-10]
    assert entry.posted_at == datetime(2026, 1, 5, 2, tzinfo=UTC)
