"""The ring of finished sales: numbers that wrap, room, and acknowledgements."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt_simulator.clock import ManualClock
from forecourt_simulator.controller import Controller, NozzleSetup
from forecourt_simulator.ring import FinishedSale, Record, Ring

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def sell(ring: Ring, count: int = 1) -> list[int]:
    numbers = []
    for _ in range(count):
        sale = FinishedSale(
            nozzle=1,
            transaction=ring.next_number,
            grade="92",
            unit_price_milli_per_litre=7_560,
            volume_ml=10_000,
            amount_fen=7_560,
            totalizer_ml=10_000,
            started_at=NOON,
            completed_at=NOON,
        )
        ring.append(Record(sale=sale, words=()))
        numbers.append(sale.transaction)
    return numbers


def make_controller(*, first_transaction: int = 1) -> Controller:
    setup = NozzleSetup(
        grade="92", unit_price_milli_per_litre=7_560, first_transaction=first_transaction
    )
    return Controller(serial="SN1", nozzles=[setup], clock=ManualClock(start=NOON))


def test_numbers_wrap_from_65535_to_1() -> None:
    ring = Ring(size=51, number_max=65_535, first_number=65_534)

    assert sell(ring, 4) == [65_534, 65_535, 1, 2]
    assert ring.unacknowledged == 4


def test_a_new_controller_shows_that_nothing_was_sold() -> None:
    ring = Ring(size=51, number_max=65_535)

    assert (ring.head, ring.acknowledged, ring.unacknowledged) == (0, 0, 0)
    assert ring.has_room


@pytest.mark.parametrize("first_number", [1, 30, 65_500, 65_535])
def test_a_ring_has_room_for_exactly_its_size(first_number: int) -> None:
    ring = Ring(size=51, number_max=65_535, first_number=first_number)

    sell(ring, 50)
    assert ring.has_room
    sell(ring)
    assert not ring.has_room


def test_a_size_that_does_not_divide_the_numbers_is_full_early_at_the_wrap() -> None:
    ring = Ring(size=100, number_max=65_535, first_number=65_501)

    sell(ring, 35)

    assert ring.unacknowledged == 35
    assert not ring.has_room


def test_a_full_ring_overwrites_its_oldest_and_says_so() -> None:
    ring = Ring(size=51, number_max=65_535)
    numbers = sell(ring, 53)

    assert ring.overwritten_unread == 2
    assert not ring.knows(numbers[0])
    assert ring.knows(numbers[2])


def test_acknowledging_makes_room() -> None:
    ring = Ring(size=51, number_max=65_535, first_number=65_500)
    numbers = sell(ring, 51)

    assert ring.acknowledge(numbers[0])

    assert ring.has_room
    assert ring.unacknowledged == 50


@given(st.data())
def test_acknowledging_twice_or_out_of_range_changes_nothing(data: st.DataObject) -> None:
    ring = Ring(size=51, number_max=65_535, first_number=65_520)
    numbers = sell(ring, 30)
    ring.acknowledge(numbers[9])
    waiting = set(numbers[10:])

    number = data.draw(st.integers(0, 65_536).filter(lambda number: number not in waiting))

    assert not ring.acknowledge(number)
    assert (ring.acknowledged, ring.unacknowledged) == (numbers[9], 20)


def test_a_replay_waits_for_room_and_goes_on_when_the_reader_acknowledges() -> None:
    async def scenario() -> Controller:
        controller = make_controller(first_transaction=65_520)

        async def replay() -> None:
            for _ in range(300):
                await controller.wait_for_room(1)
                controller.dispense(1, 10_000)

        async def read() -> None:
            read = 0
            while read < 300:
                await asyncio.sleep(0)
                ring = controller.ring(1)
                if ring.unacknowledged:
                    read += ring.unacknowledged
                    controller.acknowledge(1, ring.head)

        async with asyncio.timeout(10), asyncio.TaskGroup() as both:
            both.create_task(replay())
            both.create_task(read())
        await controller.wait_until_read()
        return controller

    ring = asyncio.run(scenario()).ring(1)

    assert ring.overwritten_unread == 0
    assert ring.head == 284
    assert ring.unacknowledged == 0


def test_a_replay_stands_still_while_nobody_reads() -> None:
    async def scenario() -> None:
        controller = make_controller()
        for _ in range(51):
            controller.dispense(1, 10_000)
        await asyncio.wait_for(controller.wait_for_room(1), 0.05)

    with pytest.raises(TimeoutError):
        asyncio.run(scenario())
