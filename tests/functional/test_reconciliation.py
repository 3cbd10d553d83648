"""The nightly comparison, from stations' messages to a case on the bus."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.bus import DetailType
from forecourt.events import events_of
from forecourt.instants import compact_instant, format_instant
from tests.functional.conftest import LOYALTY_TABLE, SALES_TABLE
from tests.functional.world import sqs_record
from tests.specimens import CARD, PLATE, payload, sale, sample

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
    world.enrol("m1", PLATE, CARD)
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


def test_a_sale_matching_never_saw_opens_a_case_until_it_is_judged(
    reconciliation: ModuleType, earned: Any, told: Any, world: World, context: Any
) -> None:
    earned(FIRST)
    told(SECOND)

    different(reconciliation, context)
    (told_before,) = cases_told(world)
    earned()

    assert told_before == ["sale_not_matched"]
    assert different(reconciliation, context) == []


@pytest.mark.parametrize("hours", [-1, 25], ids=["the day before", "the day after"])
def test_an_undecided_sale_of_another_day_is_that_days_case(
    reconciliation: ModuleType, earned: Any, told: Any, context: Any, hours: int
) -> None:
    earned(FIRST)
    told(sold(hours, 100_000 if hours < 0 else 150_000, 10_000))

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
    ("now", "last"),
    [
        ("2026-11-23T15:59:59+00:00", "2026-11-22"),
        ("2026-11-23T16:00:00+00:00", "2026-11-23"),
        ("2026-11-24T15:59:59+00:00", "2026-11-23"),
    ],
)
def test_without_a_day_the_last_seven_over_at_the_station_are_compared(
    reconciliation: ModuleType, world: World, now: str, last: str
) -> None:
    station = world.register()

    days = reconciliation.last_full_days(station, datetime.fromisoformat(now))

    assert days == [date.fromisoformat(last) - timedelta(days=back) for back in range(6, -1, -1)]


@pytest.fixture
def night(
    reconciliation: ModuleType, context: Any, monkeypatch: pytest.MonkeyPatch
) -> Callable[[date], list[str]]:
    """Return what the scheduler does in the night after a day; the stations that differ."""

    def begin(day: date) -> list[str]:
        after = datetime.combine(day + timedelta(days=1), datetime.min.time(), tzinfo=UTC)

        class Clock(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> Any:
                return after.astimezone(tz)

        monkeypatch.setattr(reconciliation, "datetime", Clock)
        return list(reconciliation.handle({}, context)["different"])

    return begin


@pytest.mark.parametrize(("later", "found"), [(0, ["s0001"]), (6, ["s0001"]), (7, [])])
def test_a_day_is_compared_again_for_a_week(
    night: Any, earned: Any, later: int, found: list[str]
) -> None:
    earned(FIRST, THIRD)

    assert night(DAY + timedelta(days=later)) == found


def test_a_day_gives_the_same_case_every_night_and_the_bus_and_the_alarm_hear_it_once(
    night: Any, earned: Any, world: World, counted: Any
) -> None:
    earned(FIRST, THIRD)
    counted()

    alarmed = []
    for later in range(7):
        night(DAY + timedelta(days=later))
        alarmed.append(counted()["StationDaysDifferent"])

    assert cases_told(world) == [["volume_without_sale"]]
    assert alarmed == [1, 0, 0, 0, 0, 0, 0]


def test_a_sale_told_days_late_clears_its_days_case_by_itself(
    night: Any, earned: Any, world: World
) -> None:
    earned(FIRST, THIRD)
    night(DAY)
    assert cases_told(world) == [["volume_without_sale"]]

    earned(SECOND)

    assert night(DAY + timedelta(days=5)) == []
    assert "case" not in {item["type"] for item in world.items(LOYALTY_TABLE)}


def test_a_day_that_is_asked_for_is_compared_alone(
    reconciliation: ModuleType, earned: Any, context: Any
) -> None:
    earned(FIRST, THIRD)

    next_day = (DAY + timedelta(days=1)).isoformat()
    answer = reconciliation.handle({"business_day": next_day}, context)

    assert answer == {"different": []}


def test_a_station_that_fails_keeps_none_after_it_from_being_compared(
    *,
    reconciliation: ModuleType,
    earned: Any,
    world: World,
    context: Any,
    counted: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for station_id in ("s0000", "s0002"):
        world.register(station_id)
    earned(FIRST, THIRD)
    counted()
    compare = reconciliation.reconcile_day

    def unreadable(station: Any, day: date) -> Any:
        if station.station_id != "s0001":
            raise ValueError(station.station_id)
        return compare(station, day)

    monkeypatch.setattr(reconciliation, "reconcile_day", unreadable)

    with pytest.raises(ExceptionGroup, match="not reconciled: s0000, s0002") as caught:
        different(reconciliation, context)
    assert [str(each) for each in caught.value.exceptions] == ["s0000", "s0002"]
    assert cases_told(world) == [["volume_without_sale"]]
    assert counted()["StationDaysDifferent"] == 1


def test_what_is_no_day_is_refused_before_anything_is_compared(
    reconciliation: ModuleType, earned: Any, world: World, context: Any
) -> None:
    earned(FIRST, THIRD)
    before = world.snapshot()

    with pytest.raises(ValueError, match="yesterday"):
        reconciliation.handle({"business_day": "yesterday"}, context)
    assert world.snapshot() == before


class Invoker:
    """A Lambda client that notes what was to be started."""

    def __init__(self) -> None:
        self.started: list[dict[str, Any]] = []

    def invoke(self, **arguments: Any) -> None:
        self.started.append(arguments)


def test_more_stations_than_one_invocation_can_compare_are_handed_out_once_each(
    reconciliation: ModuleType,
    world: World,
    context: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = {f"s{number:04}" for number in range(2 * reconciliation.STATIONS_AT_ONCE + 1)}
    for name in names:
        world.register(name)
    before = world.snapshot()
    invoker = Invoker()
    monkeypatch.setattr(reconciliation.boto3, "client", lambda _name: invoker)

    answer = reconciliation.handle({"business_day": DAY.isoformat()}, context)

    parts = [json.loads(each["Payload"]) for each in invoker.started]
    assert answer == {"handed_out": len(names)}
    assert [len(part["stations"]) for part in parts] == [25, 25, 1]
    assert {name for part in parts for name in part["stations"]} == names
    assert {part["business_day"] for part in parts} == {DAY.isoformat()}
    assert {(each["FunctionName"], each["InvocationType"]) for each in invoker.started} == {
        (context.invoked_function_arn, "Event")
    }
    assert world.snapshot() == before


def test_of_the_stations_handed_out_no_other_is_compared(
    reconciliation: ModuleType, earned: Any, world: World, context: Any
) -> None:
    world.register("s0002")
    earned(FIRST, THIRD)
    event = {"business_day": DAY.isoformat()}

    assert reconciliation.handle(event | {"stations": ["s0002"]}, context) == {"different": []}
    assert cases_told(world) == []

    found = reconciliation.handle(event | {"stations": ["s0001"]}, context)
    assert found == {"different": ["s0001"]}


def test_the_scheduler_asks_for_no_day(
    reconciliation: ModuleType, world: World, context: Any
) -> None:
    world.register()

    assert reconciliation.handle({}, context) == {"different": []}
