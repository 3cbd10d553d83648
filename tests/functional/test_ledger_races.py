"""What happens to a command while others come between its read and its write, in the table."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.ledger import Account, Policies, WalletPolicy, giving
from forecourt.ledger import commands as c
from forecourt.ledger.entries import EXPIRED
from forecourt.ledger.refusals import AlreadyReversed, BudgetExhausted, HoldNotOpen
from forecourt.loyalty_table import account_to_item
from tests.functional.clients import Counting, Interrupting
from tests.functional.conftest import LOYALTY_TABLE
from tests.functional.test_ledger_table import EARN, JUNE, NOW, SPEND, Desk, command

if TYPE_CHECKING:
    from collections.abc import Callable

BUDGET = "budget:spring"
NOTES = frozenset({"R#", "P#"})


@pytest.fixture
def desk(dynamodb: Any) -> Desk:
    return Desk(dynamodb)


def between(desk: Desk, meanwhile: Callable[[], object]) -> Interrupting:
    """Return a client through which *meanwhile* happens between the read and the write."""
    return Interrupting(desk.dynamodb, "transact_write_items", meanwhile)


def test_a_hold_that_ends_while_its_capture_is_under_way_is_released_and_not_captured(
    desk: Desk,
) -> None:
    desk.execute(EARN)
    hold = command(c.SetAside, 3, points=60, hold_expires_at=NOW + timedelta(minutes=1))
    desk.execute(hold)
    capture = command(c.Capture, 4, hold_id=hold.entry_id, points=60)

    def time_out() -> None:
        desk.now += timedelta(minutes=2)
        desk.execute(command(c.Settle, 5))

    answer = desk.execute(capture, through=between(desk, time_out))

    assert isinstance(answer.refusal, HoldNotOpen)
    assert (desk.account().buckets, desk.account().holds) == ({JUNE: 100}, {})


def test_a_hold_that_was_captured_just_in_time_does_not_time_out(desk: Desk) -> None:
    desk.execute(EARN)
    hold = command(c.SetAside, 3, points=60, hold_expires_at=NOW + timedelta(minutes=1))
    desk.execute(hold)
    capture = command(c.Capture, 4, hold_id=hold.entry_id, points=60)

    desk.execute(capture)
    desk.now += timedelta(minutes=2)

    assert desk.execute(command(c.Settle, 5)).refusal is not None
    assert desk.account().buckets == {JUNE: 40}


def test_of_a_spend_and_the_expiry_of_its_points_one_wins_and_nothing_is_lost(
    desk: Desk,
) -> None:
    desk.execute(replace(EARN, expires_on=NOW.date()))

    def midnight() -> None:
        desk.now += timedelta(days=1)
        desk.execute(command(c.Settle, 5))

    answer = desk.execute(SPEND, through=between(desk, midnight))

    assert answer.refusal is not None
    assert answer.refusal.code == "insufficient_points"
    entries = [item for item in desk.items() if item["type"]["S"] == "entry"]
    ran_out = [item for item in entries if EXPIRED in str(item.get("upkeep"))]
    assert (len(entries), len(ran_out), desk.account().total) == (2, 1, 0)


def test_what_five_thousand_earns_gave_is_spent_in_one_transaction_of_two_items(
    desk: Desk,
) -> None:
    account = Account(member_id="ann", buckets={})
    for number in range(5_000):
        last = NOW.date() + timedelta(days=number % 365)
        earn = command(c.Earn, number + 10, points=2, expires_on=last)
        _, account = giving.earn(account, earn, now=NOW, policy=WalletPolicy())
    desk.dynamodb.put_item(TableName=LOYALTY_TABLE, Item=account_to_item(account))
    counting = Counting(desk.dynamodb)

    answer = desk.execute(replace(SPEND, points=10_000), through=counting)

    assert len(answer.posted().taken()) == 365
    assert counting.calls == {"get_item": 1, "transact_write_items": 1}
    assert len(desk.items()) == 2
    assert desk.account().total == 0


def test_an_award_that_another_one_overtook_takes_what_is_left_of_the_budget(desk: Desk) -> None:
    desk.execute(replace(EARN, owner=BUDGET, points=15))
    awards = [
        command(c.Earn, number, owner=owner, points=10, expires_on=None, funded_by=BUDGET)
        for number, owner in ((3, "ann"), (4, "bo"))
    ]

    first = desk.execute(awards[0], through=between(desk, lambda: desk.execute(awards[1])))

    assert isinstance(first.refusal, BudgetExhausted)
    assert first.refusal.facts() == {"budget": BUDGET, "requested": 10, "available": 5}
    assert (desk.account("bo").total, desk.account(BUDGET).total) == (10, 5)
    assert desk.execute(awards[0]).repeated


def test_an_award_is_one_transaction_of_four_items_and_its_refund_of_five(desk: Desk) -> None:
    desk.execute(replace(EARN, owner=BUDGET))
    award = command(c.Earn, 3, points=10, expires_on=None, funded_by=BUDGET)
    counting = Counting(desk.dynamodb)

    desk.execute(award, through=counting)
    assert counting.calls == {"batch_get_item": 1, "transact_write_items": 1}
    assert len(desk.items()) == 5
    desk.execute(command(c.Reverse, 4, reverses=award.entry_id, document="R-1"))

    assert len(desk.items()) == 5 + 3  # two entries more, and the note of what was reversed
    assert (desk.account().total, desk.account(BUDGET).total) == (0, 100)


def test_an_unmerge_is_carried_out_on_what_the_merge_wrote(desk: Desk) -> None:
    desk.execute(EARN)
    merge = command(c.Merge, 3, into="bo")
    desk.execute(merge)
    unmerge = command(c.Unmerge, 4, into="bo", merge=merge.entry_id)

    assert desk.execute(unmerge).posted().points == 100
    assert desk.execute(replace(unmerge, entry_id="20260105T020000Z.5")).refusal is not None

    assert (desk.account().buckets, desk.account("bo").total) == ({JUNE: 100}, 0)
    assert desk.execute(unmerge).repeated


def test_an_unmerge_of_what_never_was_is_refused(desk: Desk) -> None:
    desk.execute(EARN)

    refused = desk.execute(command(c.Unmerge, 4, into="bo", merge="20260105T020000Z.merge"))

    assert refused.refusal is not None
    assert refused.refusal.code == "not_merged"


def test_what_a_pools_hold_was_counted_under_reads_as_it_was_written(desk: Desk) -> None:
    desk.policies = Policies(default=WalletPolicy(member_limits={"ann": 60}))
    desk.execute(replace(EARN, owner="pool"))
    hold = command(
        c.SetAside,
        3,
        owner="pool",
        points=60,
        hold_expires_at=NOW + timedelta(hours=1),
        spender="ann",
    )
    desk.execute(hold)
    assert desk.account("pool").holds[hold.entry_id].counter == "spent:ann"

    desk.execute(command(c.Release, 4, owner="pool", hold_id=hold.entry_id))

    assert desk.account("pool").used == {}


def test_a_refund_refused_on_a_torn_read_is_decided_on_a_whole_one(desk: Desk) -> None:
    sale = replace(EARN, items={"fuel": 100})
    desk.execute(sale)
    refund = command(c.Reverse, 3, reverses=sale.entry_id, document="R-1", part=c.Line(item="shop"))
    rival = command(c.Reverse, 4, reverses=sale.entry_id, document="R-1", part=c.Exactly(points=10))

    answer = desk.execute(refund, through=Torn(desk.dynamodb, lambda: desk.execute(rival)))

    assert isinstance(answer.refusal, AlreadyReversed)
    assert desk.execute(refund).repeated


def test_the_undo_of_a_merge_refused_on_a_torn_read_is_decided_on_a_whole_one(desk: Desk) -> None:
    desk.execute(EARN)
    merge = command(c.Merge, 3, into="bo")
    undo = command(c.Unmerge, 4, into="bo", merge=merge.entry_id)
    torn = Torn(desk.dynamodb, lambda: desk.execute(merge), early_kinds={"T#"})

    answer = desk.execute(undo, through=torn)

    assert answer.posted().points == 100
    assert desk.account().buckets == {JUNE: 100}
    assert desk.account("bo").buckets == {}


class Torn:
    """A client whose first batch reads some kinds before *meanwhile*, and the rest after it."""

    def __init__(
        self,
        client: Any,
        meanwhile: Callable[[], object],
        *,
        early_kinds: frozenset[str] | set[str] = NOTES,
    ) -> None:
        self._client = client
        self._early_kinds = early_kinds
        self._meanwhile: Callable[[], object] | None = meanwhile

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def batch_get_item(self, *, RequestItems: dict[str, Any]) -> Any:  # noqa: N803
        before = self._client.batch_get_item(RequestItems=RequestItems)
        if self._meanwhile is None:
            return before
        meanwhile, self._meanwhile = self._meanwhile, None
        meanwhile()
        late = self._client.batch_get_item(RequestItems=RequestItems)
        return {
            "Responses": {
                LOYALTY_TABLE: [
                    item
                    for response, early in ((before, True), (late, False))
                    for item in response["Responses"][LOYALTY_TABLE]
                    if (item["sk"]["S"][:2] in self._early_kinds) is early
                ]
            },
            "UnprocessedKeys": {},
        }
