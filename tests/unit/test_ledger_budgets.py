"""What the program gives out of a budget is in the budget, and never more than that."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from forecourt.ledger import EntryKind, Policies, Shortfall, WalletPolicy
from forecourt.ledger import commands as c
from forecourt.ledger.entries import EXPIRED
from forecourt.ledger.refusals import AccountFrozen, AccountMerged, BudgetExhausted
from tests.unit.books import DECEMBER, JUNE, TODAY, Ledger

BUDGET = "budget:spring"


def filled(points: int = 100, **policy: Any) -> Ledger:
    books = Ledger(**policy)
    books.earn(points, DECEMBER, owner=BUDGET)
    return books


def test_an_award_leaves_the_budget_and_is_good_for_its_own_days() -> None:
    books = filled()

    entry = books.earn(30, JUNE, funded_by=BUDGET)

    assert books.account().buckets == {JUNE: 30}
    assert books.account(BUDGET).buckets == {DECEMBER: 70}
    award = books.entries[f"{entry.entry_id}.award"]
    assert (entry.points, entry.budget) == (30, BUDGET)
    assert (award.kind, award.points, award.refers_to) == (EntryKind.AWARD, -30, entry.entry_id)


def test_what_passes_through_a_budget_is_at_zero_over_all_entries() -> None:
    books = filled()
    first = books.earn(30, funded_by=BUDGET)
    books.earn(40, owner="bo", funded_by=BUDGET)
    books.reverse(first, c.Exactly(points=10))

    legs = [leg for entry in books.entries.values() for leg in entry.legs]

    assert sum(leg.points for leg in legs if leg.account == BUDGET) == 0
    assert books.has(BUDGET) == 40


def test_a_budget_knows_what_it_gave_and_did_not_get_back() -> None:
    books = filled()
    first = books.earn(30, funded_by=BUDGET)
    books.earn(40, owner="bo", funded_by=BUDGET)
    assert books.account(BUDGET).awarded == 70

    books.reverse(first, c.Exactly(points=10))

    assert books.account(BUDGET).awarded == 60
    assert books.account().awarded == 0
    books.audit()


def test_a_ceiling_is_a_members_and_bounds_no_budget() -> None:
    policies = Policies(
        default=WalletPolicy(ceiling=100),
        by_wallet={"partner-airline": WalletPolicy(ceiling=50, minimum=35)},
    )

    of_budgets = policies.of_budgets()

    assert of_budgets.of("points") == WalletPolicy()
    assert of_budgets.of("partner-airline") == WalletPolicy(minimum=35)


def test_a_pools_limits_are_its_own_in_whichever_wallet() -> None:
    policies = Policies(by_wallet={"stored_value": WalletPolicy(ceiling=50)})

    of_a_pool = policies.of_a_pool({"ann": 60})

    assert of_a_pool.of("points") == WalletPolicy(member_limits={"ann": 60})
    assert of_a_pool.of("stored_value") == WalletPolicy(ceiling=50, member_limits={"ann": 60})


def test_an_award_beyond_the_budget_is_refused_with_what_is_left() -> None:
    books = filled()
    books.earn(95, funded_by=BUDGET)
    before = dict(books.accounts)

    with pytest.raises(BudgetExhausted) as caught:
        books.earn(6, owner="bo", funded_by=BUDGET)

    assert caught.value.facts() == {"budget": BUDGET, "requested": 6, "available": 5}
    assert books.accounts == before


def test_a_thousand_points_in_awards_of_ten_are_a_hundred_awards() -> None:
    books = filled(1000)
    awarded = 0
    for number in range(500):
        try:
            books.earn(10, owner=f"m{number}", funded_by=BUDGET)
        except BudgetExhausted:
            continue
        awarded += 1

    assert (awarded, books.has(BUDGET)) == (100, 0)


def test_a_refund_gives_the_budget_back_what_it_gave_last_by_its_own_days() -> None:
    books = filled(20)
    books.earn(20, JUNE, owner=BUDGET)
    entry = books.earn(30, None, funded_by=BUDGET)
    assert books.account(BUDGET).buckets == {DECEMBER: 10}

    books.reverse(entry, c.Exactly(points=6))
    assert books.account(BUDGET).buckets == {DECEMBER: 16}
    books.reverse(entry)

    assert books.account(BUDGET).buckets == {JUNE: 20, DECEMBER: 20}
    assert books.has() == 0


def test_what_cannot_be_taken_back_does_not_return_to_the_budget() -> None:
    books = filled(shortfall=Shortfall.WITHIN_BALANCE)
    entry = books.earn(30, funded_by=BUDGET)
    books.spend(30)

    reversal = books.reverse(entry)

    assert (reversal.uncovered, books.has(BUDGET)) == (30, 70)
    assert f"{reversal.entry_id}.back" not in books.entries


def test_what_returns_after_the_budgets_last_day_has_run_out() -> None:
    books = Ledger()
    books.earn(50, JUNE, owner=BUDGET)
    entry = books.earn(50, None, funded_by=BUDGET)
    books.pass_days(300)

    reversal = books.reverse(entry)

    back = books.entries[f"{reversal.entry_id}.back"]
    assert [leg.points for leg in back.legs if leg.account == EXPIRED] == [50]
    assert books.has(BUDGET) == 0


def test_an_award_whose_refund_came_first_leaves_the_budget_whole() -> None:
    books = filled()
    award = books.command(c.Earn, points=30, expires_on=JUNE, funded_by=BUDGET)
    books.run(c.Reverse, reverses=award.entry_id, document="refund:1")

    books.carry_out(award)

    assert (books.has(), books.has(BUDGET)) == (0, 100)


def test_a_budget_that_ran_out_of_time_gives_nothing() -> None:
    books = Ledger()
    books.earn(50, TODAY, owner=BUDGET)
    books.pass_days(1)

    with pytest.raises(BudgetExhausted):
        books.earn(1, funded_by=BUDGET)


def test_a_frozen_budget_gives_nothing_until_it_is_unfrozen() -> None:
    books = filled()
    books.run(c.Freeze, owner=BUDGET)
    with pytest.raises(AccountFrozen):
        books.earn(1, funded_by=BUDGET)
    assert books.has() == 0

    books.run(c.Unfreeze, owner=BUDGET)
    books.earn(1, funded_by=BUDGET)

    assert books.has() == 1


def test_a_budget_that_went_into_another_gives_nothing() -> None:
    books = filled()
    books.run(c.Merge, owner=BUDGET, into="budget:summer")

    with pytest.raises(AccountMerged):
        books.earn(1, funded_by=BUDGET)


@pytest.mark.parametrize(
    "change", [{"owner": BUDGET}, {"funded_by": "program:redeemed"}, {"funded_by": "spring"}]
)
def test_only_the_program_a_partner_or_another_accounts_budget_gives(
    change: dict[str, Any],
) -> None:
    award = Ledger().command(c.Earn, points=1, expires_on=None, funded_by=BUDGET)

    with pytest.raises(ValueError, match=r"spring|redeemed|2026"):
        replace(award, **change)


def test_a_limit_gets_back_what_a_hold_of_today_gives_back() -> None:
    books = Ledger(member_limits={"ann": 60})
    books.earn(500, owner="family")
    pool: dict[str, Any] = {"owner": "family"}
    hold = books.hold(60, spender="ann", **pool)
    books.run(c.Release, hold_id=hold.entry_id, **pool)
    hold = books.hold(60, spender="ann", **pool)
    captured = books.run(c.Capture, hold_id=hold.entry_id, points=20, **pool)
    books.hold(10, spender="ann", **pool)
    books.now += timedelta(hours=2)  # that one times out

    assert books.spend(40, spender="ann", **pool).effect.uses == {"spent:ann": 30}
    books.reverse(captured, c.Exactly(points=5))

    assert books.account("family").used == {"spent:ann": 55}


def test_a_limit_of_yesterday_gets_nothing_back() -> None:
    books = Ledger(member_limits={"ann": 60})
    books.earn(500, owner="family")
    holds = [books.hold(20, hours=90, owner="family", spender="ann") for _ in range(2)]
    books.pass_days(1)
    books.spend(60, owner="family", spender="ann")

    books.run(c.Release, hold_id=holds[0].entry_id, owner="family")
    captured = books.run(c.Capture, hold_id=holds[1].entry_id, points=5, owner="family")
    books.reverse(captured)

    assert books.account("family").used == {"spent:ann": 60}
