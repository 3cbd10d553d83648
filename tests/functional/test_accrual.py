"""Litres become points once, under the program of their day, whatever is repeated or contended."""

from __future__ import annotations

import copy
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest
from botocore.exceptions import ClientError

from forecourt.contention import ATTEMPTS
from forecourt.ledger_table import LedgerTable
from forecourt.loyalty_table import LoyaltyTable
from tests.functional.clients import Interrupting, Lagging, Reluctant, cancellation, refusal
from tests.functional.conftest import LOYALTY_TABLE, SALES_TABLE
from tests.functional.world import LITRES, World, with_wallets
from tests.specimens import CARD, OPEN_SINCE, PLATE, RECEIVED_AT, SALE, earned, sale

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType


YEAR_END = date(2027, 11, 30)
OTHER = sale(transaction=4712, totalizer_ml=123_500_000)
DOUBLE = copy.deepcopy(LITRES)
DOUBLE["rules"][0]["points"] = 2


@pytest.fixture
def accrual() -> ModuleType:
    from functions.accrual import handler  # noqa: PLC0415 - its clients need the environment

    handler.program.cache_clear()
    return handler


@pytest.fixture
def matched(world: World, told: Any, context: Any) -> Callable[..., list[dict[str, Any]]]:
    """Return what comes before accrual: sales of member m1, told and matched, as records."""
    from functions.matching import handler  # noqa: PLC0415

    world.enrol("m1", PLATE, CARD)

    def match(*sales: Any) -> list[dict[str, Any]]:
        told(*sales)
        records = world.records(SALES_TABLE, status="received")
        assert handler.handle({"Records": records}, context) == {"batchItemFailures": []}
        return [
            record
            for record in world.records(SALES_TABLE, status="matched")
            if record["eventName"] == "MODIFY"
        ]

    return match


def reach_through(client: Any, accrual: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let accrual reach the table through *client*, and not pause."""
    monkeypatch.setattr("forecourt.contention.FIRST_PAUSE_SECONDS", 0)
    monkeypatch.setattr(accrual, "loyalty", LoyaltyTable(client, name=LOYALTY_TABLE))
    monkeypatch.setattr(accrual, "ledger", LedgerTable(client, name=LOYALTY_TABLE))


def judged(accrual: ModuleType, context: Any, *records: dict[str, Any]) -> list[str]:
    """Judge a batch; return where the stream is to resume."""
    response = accrual.handle({"Records": list(records)}, context)
    return [failure["itemIdentifier"] for failure in response["batchItemFailures"]]


def entries(world: World) -> list[dict[str, Any]]:
    return [item for item in world.items(LOYALTY_TABLE) if item["sk"].startswith("T#")]


def ledger(world: World) -> list[dict[str, Any]]:
    """Return what accrual may write; to be compared after a refusal."""
    return [item for item in world.items(LOYALTY_TABLE) if item["type"] != "program"]


def test_a_matched_sale_becomes_points_in_one_posting(
    accrual: ModuleType, matched: Any, world: World, context: Any
) -> None:
    version = world.activate()

    failures = judged(accrual, context, *matched(SALE))

    account = world.loyalty.account("m1")
    (entry,) = world.loyalty.judged([("m1", SALE.sale_id)]).values()
    assert failures == []
    assert (account.version, account.buckets) == (1, {YEAR_END: 39})
    assert entry is not None
    assert (entry.points, entry.program_version) == (39, version)
    assert entry.occurred_at == SALE.key.completed_at
    assert entry.trace == ({"rule": "litre", "outcome": "earned", "points": 39},)


def test_what_a_sale_earns_waits_as_long_as_the_program_says(
    accrual: ModuleType,
    matched: Any,
    world: World,
    context: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = LedgerTable(world.dynamodb, name=LOYALTY_TABLE, now=lambda: RECEIVED_AT)
    monkeypatch.setattr(accrual, "ledger", clock)
    world.activate(with_wallets(points={"pending_days": 14, "counts_from": "activation"}))

    assert judged(accrual, context, *matched(SALE)) == []

    account = world.loyalty.account("m1")
    # Sold on 23 November; the fourteenth day after is in December, and so is the last one.
    assert (account.buckets, account.pending) == (
        {},
        {(date(2026, 12, 7), date(2027, 12, 31)): 39},
    )


@pytest.mark.parametrize(
    ("posted_at", "slides"),
    [
        (SALE.key.completed_at - timedelta(minutes=1), False),  # a station whose clock is ahead
        (RECEIVED_AT, False),
        (RECEIVED_AT + timedelta(days=31), True),
    ],
)
def test_a_late_sale_earns_as_on_its_day_in_an_account_kept_as_today(
    accrual: ModuleType,
    matched: Any,
    world: World,
    context: Any,
    monkeypatch: pytest.MonkeyPatch,
    *,
    posted_at: datetime,
    slides: bool,
) -> None:
    world.activate(effective_at=SALE.key.completed_at)
    doubled = {**with_wallets(points={"slide": {"months": 1, "end_of": "day"}}), **DOUBLE}
    world.activate(doubled, effective_at=RECEIVED_AT + timedelta(days=30))
    monkeypatch.setattr(accrual, "datetime", Mock(now=Mock(return_value=posted_at)))

    assert judged(accrual, context, *matched(SALE)) == []

    account = world.loyalty.account("m1")
    assert account.buckets == {YEAR_END: 39}
    assert (account.last_active_on is not None) is slides


def test_a_sale_for_a_full_wallet_is_answered_once_and_holds_up_nobody(
    accrual: ModuleType, matched: Any, world: World, context: Any, counted: Any
) -> None:
    world.activate(with_wallets(points={"ceiling": 50}))
    records = matched(SALE, OTHER)
    counted()

    assert judged(accrual, context, *records) == []
    assert judged(accrual, context, *records) == []

    assert counted()["PointsIssued"] == 39
    assert world.loyalty.account("m1").buckets == {YEAR_END: 39}
    assert [entry["type"] for entry in entries(world)] == ["entry", "refusal"]
    statement = world.statements.page("m1", limit=10, after=None, entries_only=False)
    assert [each.sale_id for each in statement.judgements()] == [SALE.sale_id]


def test_a_record_that_comes_again_finds_its_entry(
    accrual: ModuleType, matched: Any, world: World, context: Any
) -> None:
    world.activate()
    records = matched(SALE, OTHER)
    judged(accrual, context, *records)
    before = world.snapshot()

    assert judged(accrual, context, *records[::-1], *records) == []

    assert world.snapshot() == before
    assert world.loyalty.account("m1").buckets == {YEAR_END: 78}


def test_a_crash_between_posting_and_answer_counts_the_sale_once(
    accrual: ModuleType, matched: Any, world: World, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.activate()
    records = matched(SALE)
    execute = accrual.ledger.execute

    def crash(*arguments: Any, **named: Any) -> None:
        execute(*arguments, **named)
        raise ConnectionError

    monkeypatch.setattr(accrual.ledger, "execute", crash)
    first = judged(accrual, context, *records)
    monkeypatch.undo()

    assert first == [records[0]["dynamodb"]["SequenceNumber"]]
    assert judged(accrual, context, *records) == []
    assert world.loyalty.account("m1").buckets == {YEAR_END: 39}


def test_the_version_in_force_when_the_sale_was_made_judges_it(
    accrual: ModuleType, matched: Any, world: World, context: Any
) -> None:
    completed_at = SALE.key.completed_at
    world.activate()
    world.activate(DOUBLE, effective_at=completed_at)
    before = sale(completed_at=completed_at - timedelta(seconds=1))

    judged(accrual, context, *matched(before, SALE))

    assert [(item["program_version"], item["legs"][0][1]) for item in entries(world)] == [
        (1, 39),
        (2, 79),
    ]


def test_a_sale_from_before_the_program_is_recorded_as_worth_nothing_once(
    accrual: ModuleType, matched: Any, world: World, context: Any
) -> None:
    world.activate(effective_at=SALE.key.completed_at + timedelta(seconds=1))
    records = matched(SALE)

    judged(accrual, context, *records, *records)

    (item,) = entries(world)
    assert (item["type"], item.get("program_version"), item["trace"]) == ("evaluation", None, [])
    assert world.loyalty.account("m1").version == 0


def test_a_sale_worth_nothing_is_recorded_with_the_reason_once(
    accrual: ModuleType, matched: Any, world: World, context: Any
) -> None:
    world.activate()
    little = sale(volume_ml=999, amount_fen=755)
    records = matched(little)
    judged(accrual, context, *records)
    before = world.snapshot()

    assert judged(accrual, context, *records) == []

    (item,) = entries(world)
    assert (item["type"], item["program_version"]) == ("evaluation", 1)
    assert item["trace"] == [{"rule": "litre", "outcome": "earned", "points": 0}]
    assert world.snapshot() == before


def test_an_account_that_moved_on_meanwhile_is_read_again(
    accrual: ModuleType, matched: Any, world: World, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.activate()
    records = matched(SALE)
    rival = earned("m1", 5, sale_id=OTHER.sale_id, expires_on=YEAR_END)
    overtaken = Interrupting(world.dynamodb, "transact_write_items", lambda: world.post(rival))
    reach_through(overtaken, accrual, monkeypatch)

    assert judged(accrual, context, *records) == []

    account = world.loyalty.account("m1")
    assert (account.version, account.buckets) == (2, {YEAR_END: 44})
    assert sorted(item["account_version"] for item in entries(world)) == [1, 2]


@pytest.mark.parametrize(
    "error",
    [
        cancellation("TransactionConflict", "None"),
        cancellation("None", "TransactionConflict"),
        cancellation("None", "ThrottlingError"),
        cancellation("ProvisionedThroughputExceeded", "None"),
        refusal("ThrottlingException"),
        refusal("ProvisionedThroughputExceededException"),
    ],
    ids=lambda error: str(error.response),
)
def test_a_transaction_that_lost_a_race_is_judged_and_sent_again(
    accrual: ModuleType,
    matched: Any,
    world: World,
    context: Any,
    monkeypatch: pytest.MonkeyPatch,
    *,
    error: ClientError,
) -> None:
    world.activate()
    records = matched(SALE)
    reluctant = Reluctant(world.dynamodb, "transact_write_items", error, error)
    reach_through(reluctant, accrual, monkeypatch)

    assert judged(accrual, context, *records) == []

    assert reluctant.calls == 3
    assert world.loyalty.account("m1").buckets == {YEAR_END: 39}


@pytest.mark.parametrize(
    ("method", "error"),
    [
        ("transact_write_items", refusal("AccessDeniedException")),
        ("transact_write_items", cancellation("ValidationError", "None")),
        ("get_item", refusal("InternalServerError")),
    ],
)
def test_a_failure_leaves_the_record_and_those_behind_it_to_the_stream(
    accrual: ModuleType,
    matched: Any,
    world: World,
    context: Any,
    monkeypatch: pytest.MonkeyPatch,
    *,
    method: str,
    error: ClientError,
) -> None:
    world.activate()
    records = matched(SALE, OTHER)
    before = ledger(world)
    reluctant = Reluctant(world.dynamodb, method, error)
    reach_through(reluctant, accrual, monkeypatch)

    resumed_at = judged(accrual, context, *records)

    assert resumed_at == [records[0]["dynamodb"]["SequenceNumber"]]
    assert ledger(world) == before
    assert judged(accrual, context, *records) == []
    assert world.loyalty.account("m1").buckets == {YEAR_END: 78}


def test_conflicts_without_end_are_the_streams_to_retry_and_never_a_zero(
    accrual: ModuleType, matched: Any, world: World, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.activate()
    records = matched(SALE)
    conflict = cancellation("None", "TransactionConflict")
    reluctant = Reluctant(world.dynamodb, "transact_write_items", *[conflict] * ATTEMPTS)
    monkeypatch.setattr("forecourt.contention.FIRST_PAUSE_SECONDS", 0)
    reach_through(reluctant, accrual, monkeypatch)

    assert judged(accrual, context, *records) == [records[0]["dynamodb"]["SequenceNumber"]]

    assert entries(world) == []


def test_an_entry_with_other_contents_stops_the_stream_and_is_not_touched(
    accrual: ModuleType, matched: Any, world: World, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.activate()
    records = matched(SALE)
    judged(accrual, context, *records)
    before = world.snapshot()
    in_another_program = accrual.program_from_document(DOUBLE, version=1)
    monkeypatch.setattr(accrual, "program", lambda _: in_another_program)

    assert judged(accrual, context, *records) == [records[0]["dynamodb"]["SequenceNumber"]]

    assert world.snapshot() == before


def test_a_sale_without_an_owner_is_not_judged(
    accrual: ModuleType, told: Any, world: World, context: Any
) -> None:
    world.activate()
    told(SALE)
    records = world.records(SALES_TABLE, status="received")
    before = ledger(world)

    assert judged(accrual, context, *records) == [records[0]["dynamodb"]["SequenceNumber"]]
    assert ledger(world) == before


def test_a_programs_document_is_read_once_in_a_containers_life(
    accrual: ModuleType, matched: Any, world: World, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.activate()
    records = matched(SALE, OTHER)
    reluctant = Reluctant(world.dynamodb, "get_item")
    reach_through(reluctant, accrual, monkeypatch)

    judged(accrual, context, *records)

    assert reluctant.calls == 2  # the document, and the account for the member's second sale


def test_a_batch_whose_look_up_fails_is_left_to_the_stream_untouched(
    accrual: ModuleType, matched: Any, world: World, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.activate()
    records = matched(SALE, OTHER)
    before = ledger(world)
    reluctant = Reluctant(world.dynamodb, "batch_get_item", refusal("ThrottlingException"))
    monkeypatch.setattr(accrual, "loyalty", LoyaltyTable(reluctant, name=LOYALTY_TABLE))

    with pytest.raises(ClientError):
        judged(accrual, context, *records)

    assert ledger(world) == before


def test_neither_account_nor_program_is_read_from_a_replica_that_lags(
    accrual: ModuleType, matched: Any, world: World, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.activate()
    records = matched(SALE, OTHER)
    lagging = LoyaltyTable(Lagging(world.dynamodb), name=LOYALTY_TABLE)
    monkeypatch.setattr(accrual, "loyalty", lagging)

    assert judged(accrual, context, *records) == []

    assert world.loyalty.account("m1").buckets == {YEAR_END: 78}


def test_the_ledger_sums_to_zero_over_many_sales_in_any_order(
    accrual: ModuleType, matched: Any, world: World, context: Any
) -> None:
    world.activate(effective_at=OPEN_SINCE)
    sales = [
        sale(
            transaction=number,
            totalizer_ml=10**6 * number,
            volume_ml=1000 * number,
            amount_fen=756 * number,
        )
        for number in range(1, 13)
    ]
    records = matched(*sales)

    judged(accrual, context, *records[6:], *records[:6], *records[3:9])

    legs = [leg for item in entries(world) for leg in item["legs"]]
    assert sum(points for _, points, _ in legs) == 0
    assert world.loyalty.account("m1").available(YEAR_END) == sum(range(1, 13))
    assert world.loyalty.account("m1").version == 12
