"""The nightly comparison, from stations' messages to a case on the bus."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.events import DetailType, events_of
from forecourt.instants import compact_instant, format_instant
from tests.functional.conftest import LOYALTY_TABLE, SALES_TABLE
from tests.functional.world import sqs_record
from tests.specimens import PLATE, payload, sale, sample

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from forecourt.sales import Sale
    from tests.functional.world import World

DAY = date(2026, 11, 23)
OPENS_AT = datetime(2026, 11, 22, 16, tzinfo=UTC)
CLOSES_AT = OPENS_AT + timedelta(days=1)
HOUR = timedelta(hours=1)


def sold(hours: float, totalizer_ml: int, volume_ml: int, **changes: Any) -> Sale:
    """Return an honest sale *hours* after the day began."""
    at = OPENS_AT + hours * HOUR
    return sale(
        completed_at=at,
        started_at=at - timedelta(minutes=3),
        recorded_at=at + timedelta(seconds=2),
        totalizer_ml=totalizer_ml,
        transaction=totalizer_ml // 1000,
        volume_ml=volume_ml,
        amount_fen=volume_ml * 7560 // 10_000,
        **changes,
    )


FIRST, SECOND, THIRD = sold(1, 140_000, 40_000), sold(2, 170_000, 30_000), sold(3, 190_000, 20_000)


@pytest.fixture
def reconciliation() -> ModuleType:
    from functions.reconciliation import handler  # noqa: PLC0415

    return handler


@pytest.fixture
def earned(world: World, told: Any, context: Any) -> Callable[..., None]:
    """Return the way of a sale of member m1, from its message to the ledger."""
    from functions.accrual import handler as accrual  # noqa: PLC0415
    from functions.matching import handler as matching  # noqa: PLC0415

    accrual.program.cache_clear()
    world.enrol("m1", PLATE)
    world.activate()

    def go(*sales: Sale) -> None:
        told(*sales)
        matching.handle({"Records": world.records(SALES_TABLE, status="received")}, context)
        accrual.handle({"Records": world.records(SALES_TABLE, status="matched")}, context)

    return go


@pytest.fixture
def read(told: Any, context: Any) -> Callable[[datetime, int], None]:
    """Return what a station does each hour: tell where nozzle 3 stands."""
    from functions.ingest import handler  # noqa: PLC0415

    assert told

    def tell(read_at: datetime, totalizer_ml: int) -> None:
        document = sample("station/samples/reading")
        body = document["reading"]
        body["reading_id"] = f"{compact_instant(read_at)}.s0001"
        body["read_at"] = format_instant(read_at)
        body["nozzles"] = [{**body["nozzles"][0], "totalizer_ml": totalizer_ml}]
        record = sqs_record(payload(document), topic="forecourt/s0001/up/readings")
        assert handler.handle({"Records": [record]}, context) == {"batchItemFailures": []}

    return tell


def different(reconciliation: ModuleType, context: Any) -> list[str]:
    """Compare the day; return the stations that do not agree."""
    answer = reconciliation.handle({"business_day": DAY.isoformat()}, context)
    return list(answer["different"])


def cases_told(world: World) -> list[list[str]]:
    """Return the kinds of finding of each case the bus is told of since the last call."""
    return [
        [finding["kind"] for finding in event.detail["findings"]]
        for record in world.records(LOYALTY_TABLE)
        for event in events_of(record)
        if event.detail_type is DetailType.CASE_OPENED
    ]


def test_a_day_on_which_everything_was_judged_opens_no_case(
    reconciliation: ModuleType, earned: Any, read: Any, world: World, context: Any
) -> None:
    earned(FIRST, SECOND, THIRD)
    read(CLOSES_AT, 190_000)

    assert different(reconciliation, context) == []

    assert cases_told(world) == []


def test_a_missing_sale_opens_a_case_that_is_told_once(
    reconciliation: ModuleType, earned: Any, world: World, context: Any
) -> None:
    earned(FIRST, THIRD)

    assert different(reconciliation, context) == ["s0001"]
    assert different(reconciliation, context) == ["s0001"]

    assert cases_told(world) == [["volume_without_sale"]]


def test_a_missing_last_sale_is_found_by_the_reading_at_the_turn(
    reconciliation: ModuleType, earned: Any, read: Any, world: World, context: Any
) -> None:
    earned(FIRST, SECOND)
    read(CLOSES_AT + timedelta(seconds=3), 190_000)

    assert different(reconciliation, context) == ["s0001"]

    assert cases_told(world) == [["reading_differs"]]


def test_a_case_goes_when_the_missing_sale_arrives(
    reconciliation: ModuleType, earned: Any, world: World, context: Any
) -> None:
    earned(FIRST, THIRD)
    different(reconciliation, context)
    assert cases_told(world) == [["volume_without_sale"]]

    earned(SECOND)

    assert different(reconciliation, context) == []
    assert cases_told(world) == []
    assert "case" not in {item["type"] for item in world.items(LOYALTY_TABLE)}


def test_a_totalizer_that_went_back_opens_a_case(
    reconciliation: ModuleType, earned: Any, world: World, context: Any
) -> None:
    earned(FIRST, sold(2, 30_000, 30_000))

    different(reconciliation, context)

    assert cases_told(world) == [["totalizer_went_back"]]


def test_a_matched_sale_that_was_never_judged_opens_a_case_until_it_is(
    reconciliation: ModuleType, earned: Any, told: Any, world: World, context: Any
) -> None:
    from functions.accrual import handler as accrual  # noqa: PLC0415
    from functions.matching import handler as matching  # noqa: PLC0415

    earned(FIRST)
    told(SECOND)
    matching.handle({"Records": world.records(SALES_TABLE, status="received")}, context)

    different(reconciliation, context)
    told_before = cases_told(world)
    accrual.handle({"Records": world.records(SALES_TABLE, status="matched")}, context)

    assert told_before == [["sale_not_judged"]]
    assert different(reconciliation, context) == []


def test_an_unjudged_sale_of_the_day_before_is_that_days_case(
    reconciliation: ModuleType, earned: Any, told: Any, world: World, context: Any
) -> None:
    from functions.matching import handler as matching  # noqa: PLC0415

    earned(FIRST)
    told(sold(-1, 100_000, 10_000))
    matching.handle({"Records": world.records(SALES_TABLE, status="received")}, context)

    assert different(reconciliation, context) == []


def test_a_sale_judged_worth_nothing_was_judged(
    reconciliation: ModuleType, earned: Any, world: World, context: Any
) -> None:
    earned(sold(1, 100_900, 900))

    assert different(reconciliation, context) == []
    assert "evaluation" in {item["type"] for item in world.items(LOYALTY_TABLE)}


def test_held_void_and_unmatched_sales_moved_the_totalizer_too(
    reconciliation: ModuleType, earned: Any, context: Any
) -> None:
    earned(
        FIRST,
        sold(2, 170_000, 30_000, test_delivery=True),
        sold(2.5, 170_000, 0),
        sold(3, 190_000, 20_000, evidence=()),
    )

    assert different(reconciliation, context) == []


def test_lost_transactions_open_a_case(
    reconciliation: ModuleType, told: Any, world: World, context: Any
) -> None:
    from functions.ingest import handler  # noqa: PLC0415

    told()
    gap = sqs_record(payload(sample("station/samples/gap")), topic="forecourt/s0001/up/gaps")
    handler.handle({"Records": [gap]}, context)

    different(reconciliation, context)

    assert cases_told(world) == [["transactions_lost"]]


def test_each_station_is_compared_on_its_own(
    reconciliation: ModuleType, earned: Any, world: World, context: Any
) -> None:
    world.register("s0002")
    earned(FIRST, THIRD)

    assert different(reconciliation, context) == ["s0001"]


@pytest.mark.parametrize(
    ("now", "day"),
    [
        ("2026-11-23T15:59:59+00:00", "2026-11-22"),
        ("2026-11-23T16:00:00+00:00", "2026-11-23"),
        ("2026-11-24T15:59:59+00:00", "2026-11-23"),
    ],
)
def test_without_a_day_the_last_one_over_at_the_station_is_compared(
    reconciliation: ModuleType, world: World, now: str, day: str
) -> None:
    station = world.register()

    last = reconciliation.last_full_day(station, datetime.fromisoformat(now))

    assert last == date.fromisoformat(day)


def test_the_scheduler_asks_for_no_day(
    reconciliation: ModuleType, world: World, context: Any
) -> None:
    world.register()

    assert reconciliation.handle({}, context) == {"different": []}
