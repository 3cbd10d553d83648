"""The Sales table: each access pattern, and what each condition excludes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from botocore.exceptions import ClientError

from forecourt.errors import SaleNotHeld, UnknownSale
from forecourt.instants import day_bounds
from forecourt.messages import GapMessage, ReadingMessage, SaleMessage, read_message
from forecourt.sales_table import SalesTable
from forecourt.stored_messages import QuarantinedMessage
from forecourt.stored_sales import Queue, Status, StoredSale
from tests.functional.clients import Paging, Reluctant, refusal
from tests.functional.conftest import SALES_TABLE
from tests.functional.world import keyed
from tests.specimens import CARD, PLATE, RECEIVED_AT, SALE, credited_to, payload, sale, sample

if TYPE_CHECKING:
    from forecourt.sales import Sale
    from tests.functional.world import World

STORED = StoredSale(
    sale=replace(SALE, evidence=()),
    status=Status.RECEIVED,
    received_at=RECEIVED_AT,
    local_hour=16,
    evidence=keyed(PLATE, CARD),
    sealed=b"sealed",
)
HELD = replace(STORED, status=Status.HELD, doubts=("test_delivery",))
LATER = RECEIVED_AT + timedelta(minutes=5)
SHANGHAI = ZoneInfo("Asia/Shanghai")


def stored_at(completed_at: datetime, **changes: Any) -> StoredSale:
    return replace(STORED, sale=replace(sale(completed_at=completed_at), evidence=()), **changes)


def bare(**changes: Any) -> Sale:
    return replace(sale(**changes), evidence=())


@pytest.mark.parametrize(
    "stored",
    [
        STORED,
        HELD,
        replace(STORED, status=Status.VOID, evidence=(), sealed=None),
        replace(STORED, sale=bare(started_at=None, clock_offset_seconds=None, test_delivery=True)),
        replace(STORED, received_at=RECEIVED_AT.replace(microsecond=123_000)),
    ],
    ids=["plain", "held", "void", "without a clock", "a millisecond"],
)
def test_a_sale_survives_the_table(world: World, stored: StoredSale) -> None:
    assert world.sales.add(stored) is None

    assert world.sales.sale(stored.sale.sale_id) == stored


def test_a_sale_is_added_once(world: World) -> None:
    world.sales.add(STORED)
    before = world.snapshot()

    otherwise = replace(HELD, sale=replace(STORED.sale, amount_fen=1))
    assert world.sales.add(otherwise) == STORED
    assert world.snapshot() == before


@pytest.mark.parametrize("sale_id", [SALE.sale_id, "no id", ""])
def test_a_sale_that_is_not_there_is_unknown(world: World, sale_id: str) -> None:
    with pytest.raises(UnknownSale):
        world.sales.sale(sale_id)


def test_several_sales_are_read_at_once_and_missing_ones_left_out(world: World) -> None:
    world.sales.add(STORED)

    found = world.sales.sales([SALE.sale_id, sale(transaction=1).sale_id])

    assert found == {SALE.sale_id: STORED}


def test_a_throttled_write_is_no_repeat(world: World) -> None:
    error = refusal("ProvisionedThroughputExceededException")
    table = SalesTable(Reluctant(world.dynamodb, "put_item", error), name=SALES_TABLE)

    with pytest.raises(ClientError):
        table.add(STORED)
    assert world.snapshot() == []


def test_a_released_sale_goes_its_way(world: World) -> None:
    world.sales.add(HELD)

    world.sales.release(SALE.sale_id, actor="op", decided_at=LATER)

    assert world.stored(SALE) == replace(
        HELD, status=Status.RECEIVED, decided_by="op", decided_at=LATER
    )
    assert world.sales.queue(Queue.HELD, limit=5).items == []
    assert len(world.records(SALES_TABLE, status="received")) == 1


def test_a_rejected_sale_stays_rejected(world: World) -> None:
    world.sales.add(HELD)

    world.sales.reject(SALE.sale_id, actor="op", decided_at=LATER)

    before = world.snapshot()
    with pytest.raises(SaleNotHeld) as caught:
        world.sales.release(SALE.sale_id, actor="op", decided_at=LATER)
    assert caught.value.facts() == {"sale_id": SALE.sale_id, "status": Status.REJECTED}
    assert not world.decided.decide(STORED, credited_to("m1"), decided_at=LATER)
    assert world.snapshot() == before


def test_a_sale_that_was_never_held_is_not_released(world: World) -> None:
    world.sales.add(STORED)
    before = world.snapshot()

    with pytest.raises(SaleNotHeld):
        world.sales.reject(SALE.sale_id, actor="op", decided_at=LATER)
    assert world.snapshot() == before


def test_a_sale_that_does_not_exist_is_not_released(world: World) -> None:
    with pytest.raises(UnknownSale):
        world.sales.release(SALE.sale_id, actor="op", decided_at=LATER)
    assert world.snapshot() == []


def test_a_queue_is_read_in_pages_oldest_first(world: World) -> None:
    held = [
        stored_at(SALE.key.completed_at - timedelta(hours=hour), status=Status.HELD)
        for hour in range(5)
    ]
    for hour, each in enumerate(held):
        world.sales.add(replace(each, received_at=RECEIVED_AT + timedelta(hours=hour)))

    pages = [world.sales.queue(Queue.HELD, limit=2)]
    while pages[-1].next_key:
        pages.append(world.sales.queue(Queue.HELD, limit=2, start_key=pages[-1].next_key))

    found = [item for page in pages for item in page.items]
    assert [item.sale for item in found if isinstance(item, StoredSale)] == [s.sale for s in held]
    assert {len(page.items) for page in pages[:-1]} == {2}


def test_a_quarantined_message_survives_the_table_once(world: World) -> None:
    message = QuarantinedMessage(
        station_id="s0001",
        message_id="message#1",
        topic="forecourt/s0001/up/sales",
        reason="not_json",
        field="",
        payload=b"\xff{",
        received_at=RECEIVED_AT,
    )

    assert world.sales.quarantine(message)
    assert not world.sales.quarantine(message)

    assert world.sales.queue(Queue.QUARANTINED, limit=5).items == [message]
    (item,) = world.items(SALES_TABLE)
    assert item["expires_at_epoch"] == int((RECEIVED_AT + timedelta(days=180)).timestamp())


def test_a_business_day_has_its_first_instant_and_not_the_next_days(world: World) -> None:
    opens_at, closes_at = day_bounds(date(2026, 11, 23), SHANGHAI)
    second = timedelta(seconds=1)
    for at in (opens_at - second, opens_at, closes_at - second, closes_at):
        world.sales.add(stored_at(at))

    found = world.sales.station_sales("s0001", opens_at=opens_at, closes_at=closes_at)

    assert [each.sale.key.completed_at for each in found] == [opens_at, closes_at - second]


def test_a_period_of_more_than_a_page_is_read_to_its_end(world: World) -> None:
    opens_at, closes_at = day_bounds(date(2026, 11, 23), SHANGHAI)
    for minute in range(5):
        world.sales.add(stored_at(opens_at + timedelta(minutes=minute)))
    paged = SalesTable(Paging(world.dynamodb, page=2), name=SALES_TABLE)

    found = list(paged.station_sales("s0001", opens_at=opens_at, closes_at=closes_at))

    assert len(found) == 5


def test_readings_and_gaps_of_a_period_are_found_and_sales_are_not(world: World) -> None:
    reading = read_message(payload(sample("station/samples/reading")))
    gap = read_message(payload(sample("station/samples/gap")))
    assert isinstance(reading, ReadingMessage)
    assert isinstance(gap, GapMessage)
    assert isinstance(read_message(payload(sample("station/samples/sale"))), SaleMessage)

    assert world.sales.add_reading(reading)
    assert not world.sales.add_reading(reading)
    assert world.sales.add_gap(gap)
    assert not world.sales.add_gap(gap)
    world.sales.add(STORED)

    period = {
        "opens_at": datetime(2026, 11, 23, tzinfo=UTC),
        "closes_at": datetime(2026, 11, 24, tzinfo=UTC),
    }
    assert list(world.sales.readings("s0001", **period)) == [(reading.read_at, reading.nozzles)]
    (found,) = world.sales.gaps("s0001", **period)
    assert found["missing_ml"] == gap.missing_ml
    assert list(world.sales.readings("s0002", **period)) == []
