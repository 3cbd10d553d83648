"""The one write path, against the table: what is written, what is not, and what a retry hears."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from forecourt.attributes import to_item
from forecourt.errors import EntryConflict, StaleWrite
from forecourt.ledger import EntryKind, Policies, WalletPolicy, rebuild
from forecourt.ledger import commands as c
from forecourt.ledger.entries import Entry
from forecourt.ledger.procedure import AccountKey, EntryKey, KeptRefusal, ParkedKey
from forecourt.ledger.refusals import InsufficientPoints, NothingDue, NothingToReverse
from forecourt.ledger_items import WAITS_LONG, from_ledger_item, item_key
from forecourt.ledger_table import LedgerTable, due_keys
from forecourt.loyalty_table import account_from_item, due_key, entry_from_item
from tests.functional.clients import Interrupting, Paging, Reluctant, cancellation, refusal
from tests.functional.conftest import LOYALTY_TABLE

if TYPE_CHECKING:
    from forecourt.ledger import Account, Answer

NOW = datetime(2026, 1, 5, 2, tzinfo=UTC)
JUNE = date(2026, 6, 30)


class Desk:
    """Somebody who sends commands to the table at a time of their choosing."""

    def __init__(self, dynamodb: Any, **policy: Any) -> None:
        self.dynamodb = dynamodb
        self.now = NOW
        self.pauses: list[float] = []
        self.policies = Policies(default=WalletPolicy(**policy))
        self.ledger = self.through(dynamodb)

    def through(self, client: Any) -> LedgerTable:
        return LedgerTable(
            client,
            name=LOYALTY_TABLE,
            now=lambda: self.now,
            sleep=self.pauses.append,
            jitter=lambda: 1.0,
        )

    def execute(self, command: c.Command, *, through: Any = None) -> Answer:
        ledger = self.through(through) if through else self.ledger
        return ledger.execute(command, policies=self.policies)

    def items(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.dynamodb.scan(TableName=LOYALTY_TABLE)["Items"]
        return items

    def account(self, owner: str = "ann", wallet: str = "points") -> Account:
        key = item_key(AccountKey(owner, wallet))
        item = self.dynamodb.get_item(TableName=LOYALTY_TABLE, Key=key)["Item"]
        return account_from_item(item)


def command(kind: type[c.Command], number: int, **values: Any) -> Any:
    common: dict[str, Any] = {
        "entry_id": f"20260105T020000Z.{number}",
        "owner": "ann",
        "source": "doc",
        "reason": "test",
        "actor": "till",
        "occurred_at": NOW,
    }
    return kind(**(common | values))


EARN: c.Earn = command(c.Earn, 1, points=100, expires_on=JUNE)
SPEND: c.Spend = command(c.Spend, 2, points=100)


@pytest.fixture
def desk(dynamodb: Any) -> Desk:
    return Desk(dynamodb)


def test_a_posting_writes_the_entry_and_the_account_and_nothing_else(desk: Desk) -> None:
    answer = desk.execute(EARN)

    assert sorted(item["sk"]["S"] for item in desk.items()) == [
        "ACCOUNT#points",
        f"T#{EARN.entry_id}",
    ]
    entry = next(entry_from_item(item) for item in desk.items() if item["type"]["S"] == "entry")
    assert (entry, desk.account()) == (answer.posted(), answer.account)


def test_the_retry_of_the_spend_that_emptied_the_account_hears_that_it_was_done(
    desk: Desk,
) -> None:
    desk.execute(EARN)
    first = desk.execute(SPEND)
    before = desk.items()

    again = desk.execute(SPEND)

    assert (again.posted(), again.repeated, first.repeated) == (first.posted(), True, False)
    assert desk.items() == before


def test_the_retry_of_a_refused_spend_is_refused_though_the_balance_has_grown(desk: Desk) -> None:
    first = desk.execute(SPEND)
    desk.execute(EARN)

    again = desk.execute(SPEND)

    assert isinstance(again.refusal, InsufficientPoints)
    assert first.refusal is not None
    assert again.refusal.facts() == first.refusal.facts() == {"requested": 100, "available": 0}
    assert (again.repeated, desk.account().buckets) == (True, {JUNE: 100})
    with pytest.raises(InsufficientPoints):
        again.posted()
    assert desk.execute(replace(SPEND, entry_id="20260105T020000Z.9")).posted().points == -100


@pytest.mark.parametrize("first", [EARN, SPEND], ids=["posted", "refused"])
def test_an_id_used_again_for_something_else_is_a_conflict_and_writes_nothing(
    desk: Desk, first: c.Command
) -> None:
    desk.execute(first)
    before = desk.items()

    for other in (
        replace(first, reason="another"),
        replace(EARN, entry_id=first.entry_id, points=7),
    ):
        with pytest.raises(EntryConflict) as caught:
            desk.execute(other)
        assert caught.value.entry_id == first.entry_id

    assert desk.items() == before


@pytest.mark.parametrize(
    "error",
    [
        cancellation("TransactionConflict", "None"),
        cancellation("None", "TransactionConflict"),
        cancellation("ThrottlingError", "None"),
        cancellation("None", "ProvisionedThroughputExceeded"),
        refusal("ThrottlingException"),
        refusal("TransactionInProgressException"),
    ],
    ids=lambda error: str(error.response),
)
def test_conflicts_and_throttling_are_tried_again_with_longer_pauses(
    desk: Desk, error: ClientError
) -> None:
    reluctant = Reluctant(desk.dynamodb, "transact_write_items", error, error, error)

    answer = desk.execute(EARN, through=reluctant)

    assert (answer.posted().points, reluctant.calls) == (100, 4)
    assert desk.pauses == [0.02, 0.04, 0.08]


def test_conflicts_without_end_are_no_refusal_and_leave_nothing_behind(desk: Desk) -> None:
    conflict = cancellation("None", "TransactionConflict")
    reluctant = Reluctant(desk.dynamodb, "transact_write_items", *[conflict] * 8)

    with pytest.raises(StaleWrite):
        desk.execute(EARN, through=reluctant)

    assert desk.items() == []
    assert max(desk.pauses) <= 1.0
    assert desk.execute(EARN).posted().points == 100


@pytest.mark.parametrize(
    "code", ["ProvisionedThroughputExceededException", "TransactionConflictException"]
)
def test_what_is_in_the_way_of_storing_a_refusal_is_waited_for(desk: Desk, code: str) -> None:
    reluctant = Reluctant(desk.dynamodb, "put_item", refusal(code))

    assert isinstance(desk.execute(SPEND, through=reluctant).refusal, InsufficientPoints)
    assert reluctant.calls == 2


@pytest.mark.parametrize(
    ("method", "error"),
    [
        ("transact_write_items", refusal("AccessDeniedException")),
        ("transact_write_items", cancellation("ValidationError", "None")),
        ("get_item", refusal("AccessDeniedException")),
    ],
)
def test_what_does_not_pass_by_itself_is_raised_as_it_is(
    desk: Desk, method: str, error: ClientError
) -> None:
    with pytest.raises(ClientError):
        desk.execute(EARN, through=Reluctant(desk.dynamodb, method, error))

    assert desk.items() == []


def test_a_spend_that_was_overtaken_is_decided_again(desk: Desk) -> None:
    desk.execute(EARN)
    rival = replace(SPEND, entry_id="20260105T020000Z.3")
    overtaken = Interrupting(desk.dynamodb, "transact_write_items", lambda: desk.execute(rival))

    answer = desk.execute(SPEND, through=overtaken)

    assert isinstance(answer.refusal, InsufficientPoints)
    assert desk.account().buckets == {}


def test_a_transfer_is_one_transaction_of_four_items(desk: Desk) -> None:
    desk.execute(EARN)
    gift = command(c.Transfer, 3, receiver="bo", points=40)
    counted = Reluctant(desk.dynamodb, "transact_write_items")

    desk.execute(gift, through=counted)

    assert counted.calls == 1
    assert (desk.account().buckets, desk.account("bo").buckets) == ({JUNE: 60}, {JUNE: 40})
    assert desk.execute(gift).repeated


def test_a_reversal_notes_what_it_took_and_one_made_meanwhile_is_seen(desk: Desk) -> None:
    desk.execute(EARN)
    half = c.Exactly(points=60)
    first, second = (
        command(c.Reverse, n, reverses=EARN.entry_id, document=f"refund:{n}", part=half)
        for n in (3, 4)
    )
    overtaken = Interrupting(desk.dynamodb, "transact_write_items", lambda: desk.execute(first))

    answer = desk.execute(second, through=overtaken)

    assert answer.refusal is not None
    assert (answer.refusal.code, answer.refusal.facts()["reversed"]) == ("over_reversed", 60)
    assert desk.account().buckets == {JUNE: 40}
    rest = command(c.Reverse, 5, reverses=EARN.entry_id, document="refund:5")
    assert desk.execute(rest).posted().points == -40


@pytest.mark.parametrize(
    "part", [c.Remainder(), c.Exactly(points=10), c.Share(part=1, whole=3), c.Line(item="a")]
)
def test_a_refund_that_came_first_waits_in_the_table_and_goes_with_its_sale(
    desk: Desk, part: c.Part
) -> None:
    early = command(c.Reverse, 3, reverses=EARN.entry_id, document="refund:3", part=part)
    other = replace(early, entry_id="20260105T020000Z.4", document="refund:4")

    assert desk.execute(early).posted().kind is EntryKind.PARK
    desk.execute(other)
    assert desk.account().parked == 2
    assert [item["sk"]["S"] for item in desk.items() if item["type"]["S"] == "parked"] == [
        f"P#{EARN.entry_id}"
    ]
    desk.execute(replace(EARN, items={"a": 10}))

    assert desk.account().parked == 0
    assert [item for item in desk.items() if item["type"]["S"] == "parked"] == []
    entries = [from_ledger_item(item) for item in desk.items() if item["type"]["S"] == "entry"]
    kept = [entry for entry in entries if isinstance(entry, Entry)]
    assert rebuild("ann", "points", kept) == desk.account()
    assert desk.execute(early).repeated


def test_a_sale_that_arrives_while_its_refund_is_being_parked_is_refunded_at_once(
    desk: Desk,
) -> None:
    early = command(c.Reverse, 3, reverses=EARN.entry_id, document="refund:3")
    crossed = Interrupting(desk.dynamodb, "transact_write_items", lambda: desk.execute(EARN))

    desk.execute(early, through=crossed)

    assert (desk.account().buckets, desk.account().parked) == ({}, 0)


def test_a_refund_parked_between_the_two_reads_of_its_sale_is_not_missed(desk: Desk) -> None:
    first, second = (
        command(
            c.Reverse, n, reverses=EARN.entry_id, document=f"refund:{n}", part=c.Exactly(points=n)
        )
        for n in (3, 4)
    )
    desk.execute(first)

    class BetweenReads(Interrupting):
        """Lets the second read be overtaken: the first is the account's."""

        reads = 0

        def __getattr__(self, name: str) -> Any:
            if name == "get_item":
                self.reads += 1
                if self.reads == 2:
                    desk.execute(second)
            return getattr(desk.dynamodb, name)

    desk.execute(EARN, through=BetweenReads(desk.dynamodb, "", lambda: None))

    assert (desk.account().buckets, desk.account().parked) == ({JUNE: 93}, 0)


@pytest.mark.parametrize("kind", ["evaluation", "refusal"])
def test_a_refund_of_what_was_worth_nothing_has_nothing_to_reverse(desk: Desk, kind: str) -> None:
    key = item_key(EntryKey("ann", EARN.entry_id))
    if kind == "refusal":
        desk.execute(replace(SPEND, entry_id=EARN.entry_id))
    else:
        item = key | to_item({"type": "evaluation"})
        desk.dynamodb.put_item(TableName=LOYALTY_TABLE, Item=item)

    answer = desk.execute(command(c.Reverse, 3, reverses=EARN.entry_id, document="refund:3"))

    assert isinstance(answer.refusal, NothingToReverse)


def test_a_conversion_moves_two_wallets_of_one_owner_at_once(desk: Desk) -> None:
    desk.execute(EARN)
    change = command(
        c.Convert, 3, into_wallet="partner", points=40, gives=1, per=2, expires_on=None
    )

    desk.execute(change)

    assert desk.account().buckets == {JUNE: 60}
    assert desk.account(wallet="partner").buckets == {None: 20}


def test_what_is_pending_and_held_reads_as_it_was_written(desk: Desk) -> None:
    desk.execute(EARN)
    desk.execute(command(c.Earn, 3, points=5, expires_on=None, activates_on=date(2026, 2, 1)))
    answer = desk.execute(
        command(c.SetAside, 4, points=10, hold_expires_at=NOW + timedelta(hours=1))
    )

    assert desk.account() == answer.account


def test_an_account_read_before_saves_the_read(desk: Desk) -> None:
    account = desk.execute(EARN).account
    counted = Reluctant(desk.dynamodb, "get_item")
    ledger = desk.through(counted)

    answer = ledger.execute(SPEND, policies=desk.policies, account=account)

    assert (answer.posted().points, counted.calls) == (-100, 0)


def test_a_job_that_finds_nothing_due_leaves_no_trace_and_may_ask_again(desk: Desk) -> None:
    desk.execute(EARN)
    settle = command(c.Settle, 3)
    before = desk.items()
    assert isinstance(desk.execute(settle).refusal, NothingDue)
    assert desk.items() == before

    desk.now += timedelta(days=200)

    assert desk.execute(settle).posted().kind is EntryKind.SETTLE
    assert desk.account().buckets == {}


def test_a_refusal_reads_as_it_was_written(desk: Desk) -> None:
    desk.execute(SPEND)
    (item,) = desk.items()

    kept = from_ledger_item(item)

    assert isinstance(kept, KeptRefusal)
    assert (kept.code, kept.refused_at, kept.owner) == ("insufficient_points", NOW, "ann")


def test_a_second_refund_that_waits_does_not_put_off_the_day_on_which_the_first_is_told(
    desk: Desk,
) -> None:
    early = command(c.Reverse, 3, reverses=EARN.entry_id, document="refund:3")
    desk.execute(early)
    told_on = date(2026, 1, 5) + WAITS_LONG
    desk.now += timedelta(days=1)

    desk.execute(replace(early, entry_id="20260106T020000Z.4", document="refund:4"))

    found = [key for due in due_keys(told_on) for key in desk.ledger.due(due)]
    assert found == [ParkedKey("ann", EARN.entry_id)]


def test_what_comes_due_is_found_by_its_day_in_a_sparse_index(desk: Desk) -> None:
    owners = [f"m{number:02}" for number in range(20)]
    for number, owner in enumerate([*owners, "cy"]):
        last = JUNE if owner != "cy" else None
        desk.execute(command(c.Earn, number, owner=owner, points=10, expires_on=last))
    paged = Paging(desk.dynamodb, page=1)

    found = [key for due in due_keys(date(2026, 7, 1)) for key in desk.through(paged).due(due)]

    assert sorted(key.owner for key in found) == owners
    assert due_key(desk.account("cy")) is None


def test_what_is_over_when_it_is_posted_comes_due_the_day_after(desk: Desk) -> None:
    desk.execute(replace(EARN, expires_on=date(2024, 12, 31)))

    def found(day: date) -> list[str]:
        return [key.owner for due in due_keys(day) for key in desk.ledger.due(due)]

    assert desk.account().due_on == date(2025, 1, 1)
    assert (found(date(2025, 1, 1)), found(date(2026, 1, 6))) == ([], ["ann"])


def test_the_index_key_stays_while_the_next_day_stays(desk: Desk) -> None:
    desk.execute(EARN)
    before = due_key(desk.account())
    for number in range(3, 6):
        desk.execute(command(c.Earn, number, points=10, expires_on=date(2026, 12, 31)))
        desk.execute(command(c.Spend, number + 10, points=5))

    assert due_key(desk.account()) == before
    assert before is not None
    assert before.startswith("2026-07-01#")


def test_the_account_item_is_as_large_after_a_thousand_earns(desk: Desk) -> None:
    sizes = []
    for number in range(60):
        desk.execute(command(c.Earn, number, points=1000, expires_on=JUNE))
        (item,) = [item for item in desk.items() if item["type"]["S"] == "account"]
        sizes.append(len(str(item)))

    assert max(sizes) - min(sizes) <= 6
