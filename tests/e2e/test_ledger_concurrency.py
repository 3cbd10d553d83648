"""
The ledger under real threads and processes: whoever comes at once, the books balance.

Each test has owners of its own and leaves nothing behind.
"""

from __future__ import annotations

import itertools
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from forecourt.instants import compact_instant
from forecourt.ledger import Account, faults, rebuild
from forecourt.ledger import commands as c
from forecourt.loyalty_table import account_from_item, entry_from_item
from infra.local.api_client import ApiClient
from infra.local.seed import PROGRAM, activate_program, enrol
from tests.e2e.rivals import POLICIES, at_once, place_of
from tests.e2e.traces import PREFIX, forget_programs, nothing_left
from tests.e2e.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forecourt.ledger.entries import Entry
    from infra.local.stack import LocalStack
    from tests.e2e.rivals import Outcome, Place

_Command = TypeVar("_Command", bound=c.Command)
_numbers = itertools.count(1)
ANN, BO = f"{PREFIX}ann", f"{PREFIX}bo"
# Generous, for a busy machine: a posting tries eight times, with a second between at most.
LONG_SECONDS = 20.0
BUDGET = f"budget:{PREFIX}spring"


@pytest.fixture(autouse=True)
def traces(stack: LocalStack) -> Iterator[None]:
    with nothing_left(stack):
        yield


@pytest.fixture
def place(stack: LocalStack) -> Place:
    return place_of(stack)


def command(kind: type[_Command], **values: Any) -> _Command:
    number, at = next(_numbers), datetime.now(UTC)
    common: dict[str, Any] = {
        "entry_id": f"{compact_instant(at)}.{PREFIX}{number}",
        "owner": ANN,
        "source": f"order:{number}",
        "reason": "test",
        "actor": "shop",
        "occurred_at": at,
    }
    return kind(**(common | values))


def fill(place: Place, points: int, owner: str = ANN) -> None:
    earn = command(c.Earn, owner=owner, points=points, expires_on=None)
    place.ledger().execute(earn, policies=POLICIES).posted()


class Books:
    """Accounts and entries as they lie in the table, by owner."""

    def __init__(self, stack: LocalStack) -> None:
        self.accounts: dict[str, Account] = {}
        self.entries: dict[str, list[Entry]] = {}
        pages = (
            stack.client("dynamodb")
            .get_paginator("scan")
            .paginate(TableName=stack.outputs["LoyaltyTableName"], ConsistentRead=True)
        )
        for item in (item for page in pages for item in page["Items"]):
            if PREFIX not in item["pk"]["S"]:
                continue
            if item["type"]["S"] == "account":
                account = account_from_item(item)
                self.accounts[account.member_id] = account
            elif item["type"]["S"] == "entry":
                entry = entry_from_item(item)
                self.entries.setdefault(entry.member_id, []).append(entry)

    def has(self, owner: str) -> int:
        return self.accounts[owner].total if owner in self.accounts else 0

    def balance(self) -> bool:
        """Return whether every account is what its entries add up to, in an unbroken chain."""
        return self.accounts.keys() == self.entries.keys() and all(
            rebuild(owner, "points", self.entries[owner]) == account
            and not faults(self.entries[owner])
            for owner, account in self.accounts.items()
        )


def refusals(outcomes: list[Outcome]) -> Counter[str | None]:
    return Counter(outcome.refused for outcome in outcomes)


def test_of_twenty_spends_of_a_whole_balance_at_once_one_wins(
    stack: LocalStack, place: Place
) -> None:
    fill(place, 100)

    outcomes = at_once(place, [command(c.Spend, points=100) for _ in range(20)])

    assert refusals(outcomes) == {None: 1, "insufficient_points": 19}
    books = Books(stack)
    assert (books.has(ANN), books.balance()) == (0, True)


def test_of_twenty_gifts_of_a_whole_balance_at_once_one_arrives(
    stack: LocalStack, place: Place
) -> None:
    fill(place, 100)
    friends = [f"{PREFIX}friend{number}" for number in range(20)]

    outcomes = at_once(
        place, [command(c.Transfer, receiver=friend, points=100) for friend in friends]
    )

    assert refusals(outcomes) == {None: 1, "insufficient_points": 19}
    books = Books(stack)
    assert [books.has(friend) for friend in friends if books.has(friend)] == [100]
    assert (books.has(ANN), books.balance()) == (0, True)


def test_transfers_both_ways_at_once_all_end_and_the_sum_is_the_same(
    stack: LocalStack, place: Place
) -> None:
    fill(place, 100, ANN)
    fill(place, 100, BO)
    pairs = [(ANN, BO), (BO, ANN)] * 20

    outcomes = at_once(
        place,
        [command(c.Transfer, owner=giver, receiver=taker, points=3) for giver, taker in pairs],
    )

    books = Books(stack)
    assert refusals(outcomes) == {None: 40}
    assert (books.has(ANN), books.has(BO)) == (100, 100)
    assert books.balance()


def test_five_hundred_awards_never_exceed_a_budget_and_use_it_up(
    stack: LocalStack, place: Place
) -> None:
    fill(place, 4_000, BUDGET)
    awards = [
        command(
            c.Earn,
            owner=f"{PREFIX}m{number}",
            points=10,
            expires_on=None,
            funded_by=BUDGET,
        )
        for number in range(500)
    ]

    outcomes = at_once(place, awards)

    books = Books(stack)
    given = sum(books.has(award.owner) for award in awards)
    assert given + books.has(BUDGET) == 4_000
    assert given >= 3_960
    assert refusals(outcomes)["budget_exhausted"] == 500 - given // 10
    assert books.balance()


def test_a_coupon_for_one_use_redeemed_fifty_times_at_once_at_two_sites_is_used_once(
    stack: LocalStack, place: Place
) -> None:
    """What may be used once is a budget of one: whoever redeems it takes the one there is."""
    coupon = f"budget:{PREFIX}coupon"
    fill(place, 1, coupon)
    redemptions = [
        command(
            c.Earn,
            owner=f"{PREFIX}site{number % 2}",
            points=1,
            expires_on=None,
            funded_by=coupon,
            source=f"coupon:{PREFIX}{number}",
        )
        for number in range(50)
    ]

    outcomes = at_once(place, redemptions)

    assert refusals(outcomes) == {None: 1, "budget_exhausted": 49}
    books = Books(stack)
    used = [books.has(f"{PREFIX}site{number}") for number in range(2)]
    assert (sum(used), books.has(coupon), books.balance()) == (1, 0, True)


def test_fifty_earns_of_one_household_at_once_all_arrive_and_none_waits_for_long(
    stack: LocalStack, place: Place
) -> None:
    earns = [command(c.Earn, points=2, expires_on=None) for _ in range(50)]

    outcomes = at_once(place, earns)

    books = Books(stack)
    assert refusals(outcomes) == {None: 50}
    assert max(outcome.seconds for outcome in outcomes) < LONG_SECONDS
    assert (books.has(ANN), books.accounts[ANN].version) == (100, 50)
    assert books.balance()


def test_one_command_sent_by_everybody_at_once_has_one_effect(
    stack: LocalStack, place: Place
) -> None:
    fill(place, 100)
    spend = command(c.Spend, points=30)

    outcomes = at_once(place, [spend] * 20)

    assert refusals(outcomes) == {None: 20}
    assert Books(stack).has(ANN) == 70


def test_of_captures_and_releases_of_a_hold_at_once_one_wins(
    stack: LocalStack, place: Place
) -> None:
    fill(place, 100)
    hold = command(c.SetAside, points=60, hold_expires_at=datetime(2099, 1, 1, tzinfo=UTC))
    place.ledger().execute(hold, policies=POLICIES).posted()

    outcomes = at_once(
        place,
        [command(c.Capture, hold_id=hold.entry_id, points=40) for _ in range(10)]
        + [command(c.Release, hold_id=hold.entry_id) for _ in range(10)],
    )

    assert refusals(outcomes) == {None: 1, "hold_not_open": 19}
    books = Books(stack)
    assert books.has(ANN) in {60, 100}
    assert (books.accounts[ANN].holds, books.balance()) == ({}, True)


def test_refunds_of_one_sale_at_once_take_back_what_it_earned_and_no_more(
    stack: LocalStack, place: Place
) -> None:
    sale = command(c.Earn, points=100, expires_on=None)
    place.ledger().execute(sale, policies=POLICIES).posted()

    outcomes = at_once(
        place,
        [
            command(
                c.Reverse,
                reverses=sale.entry_id,
                document=f"R-{number}",
                part=c.Exactly(points=30),
            )
            for number in range(10)
        ],
    )

    assert refusals(outcomes) == {None: 3, "over_reversed": 7}
    assert Books(stack).has(ANN) == 10


def test_an_adjustment_that_two_people_approve_at_once_is_posted_once(
    stack: LocalStack, operator: ApiClient
) -> None:
    # Other tests' program may be in force, and what was cannot be changed.
    program = {**PROGRAM, "wallets": {"points": {"adjust_limit": 10}}}
    version = activate_program(operator, program)
    wait_for(lambda: operator.get("/programs")["in_force"] == version)
    forget_programs(stack)
    manager = ApiClient(stack.api_url, stack.token("manager"))
    colleague = ApiClient(stack.api_url, stack.token("operator", f"{PREFIX}colleague"))
    member_id = enrol(operator, {}, name="Ann")
    order = {"points": 50, "source": "ticket:1", "reason": "goodwill"}
    asked = manager.post(f"/members/{member_id}/adjustments", order)
    assert asked["entry"] is None
    path = f"/adjustments/{asked['adjustment']['adjustment_id']}/approval"

    with ThreadPoolExecutor(10) as threads:
        answers = list(
            threads.map(
                lambda number: (operator, colleague)[number % 2].send(
                    "POST", path, key=f"{PREFIX}{number}"
                ),
                range(10),
            )
        )

    posted = {body["entry"]["entry_id"] for status, body in answers if status == 200}
    assert {status for status, _ in answers} <= {200, 409}
    assert len(posted) == 1
    shown = manager.get(f"/members/{member_id}/points")
    assert (shown["points"], shown["version"]) == (50, 1)
    assert operator.get("/adjustments")["adjustments"] == []
