"""What ingest knows of stations, and what becomes of a sale that it refused for want of it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.stations_table import StationsTable
from forecourt.stored_sales import Queue, Status
from tests.functional.clients import Lagging
from tests.functional.conftest import LOYALTY_TABLE, SALES_TABLE
from tests.functional.world import acknowledgements, sale_record, sqs_record
from tests.specimens import RECEIVED_AT, SALE, payload, sale, sale_document

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from forecourt.stations_table import Station
    from tests.functional.world import World

OTHER = sale(transaction=4712, totalizer_ml=123_500_000)
OF_ANOTHER_GRADE = sale(transaction=4712, totalizer_ml=123_500_000, grade="98")
OF_A_STRANGER = sale(station_id="s0002")
STRANGERS_TOPIC = "forecourt/s0002/up/sales"


@pytest.fixture
def ingest(tell: Any) -> ModuleType:  # noqa: ARG001 - has a fresh one, and a station registered
    from functions.ingest import handler  # noqa: PLC0415 - its clients need the environment

    return handler


@pytest.fixture
def fall_behind(
    ingest: ModuleType, world: World, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], None]:
    """Let plain reads see nothing yet of what was written to the stations a moment ago."""

    def begin() -> None:
        behind = StationsTable(Lagging(world.dynamodb), name=LOYALTY_TABLE)
        monkeypatch.setattr(ingest, "stations", behind)

    return begin


def accepted() -> list[str]:
    return [each for _, document in acknowledgements() for each in document["accepted"]]


def refused() -> list[tuple[str, str]]:
    return [
        (each["id"], each["reason"])
        for _, document in acknowledgements()
        for each in document["refused"]
    ]


def sell_as_well(world: World, grade: str) -> None:
    grades = frozenset({SALE.grade, grade})
    world.operator.change_station(SALE.key.station_id, name=None, grades=grades)


def test_a_station_is_remembered_for_a_minute(
    ingest: ModuleType, world: World, tell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell(sale_record(SALE))
    for item in world.dynamodb.scan(TableName=LOYALTY_TABLE)["Items"]:
        world.dynamodb.delete_item(
            TableName=LOYALTY_TABLE, Key={"pk": item["pk"], "sk": item["sk"]}
        )
    now = ingest.time.monotonic()

    tell(sale_record(OTHER))
    monkeypatch.setattr(ingest.time, "monotonic", lambda: now + 61)
    tell(sale_record(sale(transaction=1)))

    assert OTHER.sale_id in accepted()
    assert [reason for _, reason in refused()] == ["unknown_station"]


def test_a_station_that_is_known_and_sells_the_grade_costs_half_a_read_unit_a_minute(
    ingest: ModuleType, world: World, tell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    consistently: list[bool] = []

    class Watched(StationsTable):
        def station(self, station_id: str, *, consistent: bool = False) -> Station | None:
            consistently.append(consistent)
            return super().station(station_id, consistent=consistent)

    monkeypatch.setattr(ingest, "stations", Watched(world.dynamodb, name=LOYALTY_TABLE))

    tell(sale_record(SALE), sale_record(OTHER, message_id="message-2"))

    assert accepted() == [SALE.sale_id, OTHER.sale_id]
    assert consistently == [False]


def test_a_station_that_was_registered_a_moment_ago_is_no_stranger(
    world: World, tell: Any, fall_behind: Callable[[], None]
) -> None:
    fall_behind()

    tell(sale_record(SALE))

    assert (accepted(), refused()) == ([SALE.sale_id], [])
    assert world.stored(SALE).status is Status.RECEIVED


def test_a_station_that_sells_another_grade_since_a_moment_ago_is_believed(
    world: World, tell: Any
) -> None:
    tell(sale_record(SALE))
    sell_as_well(world, "98")

    tell(sale_record(OF_ANOTHER_GRADE))

    stored = world.stored(OF_ANOTHER_GRADE)
    assert (stored.status, stored.doubts) == (Status.RECEIVED, ())


def test_a_grade_that_is_new_is_not_looked_for_in_an_old_row(
    world: World, tell: Any, fall_behind: Callable[[], None]
) -> None:
    tell(sale_record(SALE))
    sell_as_well(world, "98")
    fall_behind()

    tell(sale_record(OF_ANOTHER_GRADE))

    stored = world.stored(OF_ANOTHER_GRADE)
    assert (stored.status, stored.doubts) == (Status.RECEIVED, ())
    assert refused() == []


@pytest.mark.parametrize("taken_from", ["memory", "the table"])
def test_a_grade_that_was_taken_away_is_believed_for_another_minute_at_most(
    ingest: ModuleType,
    world: World,
    tell: Any,
    monkeypatch: pytest.MonkeyPatch,
    taken_from: str,
) -> None:
    tell(sale_record(SALE))
    world.operator.change_station(SALE.key.station_id, name=None, grades=frozenset({"98"}))
    later = ingest.time.monotonic() + ingest.STATION_REMEMBERED_SECONDS + 1
    if taken_from == "the table":
        monkeypatch.setattr(ingest.time, "monotonic", lambda: later)

    tell(sale_record(OTHER))

    doubts = () if taken_from == "memory" else ("unknown_grade",)
    assert world.stored(OTHER).doubts == doubts


def test_a_sale_that_was_refused_is_stored_when_it_comes_again_after_the_fault_is_mended(
    world: World, tell: Any
) -> None:
    of_a_newer_program = payload(sale_document(OTHER)).replace(b'"sale/1"', b'"sale/9"')
    tell(
        sale_record(OF_A_STRANGER, topic=STRANGERS_TOPIC),
        sqs_record(of_a_newer_program, message_id="message-2"),
    )
    assert refused() == [
        (OF_A_STRANGER.sale_id, "unknown_station"),
        (OTHER.sale_id, "unknown_schema"),
    ]
    assert {item["type"] for item in world.items(SALES_TABLE)} == {"quarantined"}

    world.register("s0002")
    again = {
        "sent_at": RECEIVED_AT + timedelta(days=3),
        "received_at": RECEIVED_AT + timedelta(days=3),
    }
    tell(
        sale_record(OF_A_STRANGER, message_id="message-3", topic=STRANGERS_TOPIC, **again),
        sale_record(OTHER, message_id="message-4", **again),
    )

    assert sorted(accepted()) == sorted([OF_A_STRANGER.sale_id, OTHER.sale_id])
    for each in (OF_A_STRANGER, OTHER):
        stored = world.stored(each)
        assert (stored.status, stored.doubts) == (Status.RECEIVED, ())
    # The quarantine keeps what it was told, for whoever looks into the fault.
    assert len(world.sales.queue(Queue.QUARANTINED, limit=5).items) == 2
