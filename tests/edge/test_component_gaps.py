"""What a pump's counters say is missing, and what a reading tells of them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from forecourt_edge.profile import load_profile
from forecourt_simulator.clock import ManualClock
from tests.edge.stations import OPENING, PROFILES, controller_for, running, sell

if TYPE_CHECKING:
    from pathlib import Path

RING = 51


@pytest.mark.parametrize("name", PROFILES)
def test_no_sale_is_lost_where_the_transaction_numbers_wrap(tmp_path: Path, name: str) -> None:
    async def story() -> None:
        controller = controller_for(profile=load_profile(name), first_transaction=65_520)
        async with running(tmp_path, controller) as station:
            for _ in range(6):
                sell(controller, 7)
                await station.settle()

            numbers = [sale.key.transaction for sale in station.cloud.sales]
            assert numbers == [*range(65_520, 65_536), *range(1, 27)]
            assert station.cloud.gaps == []

    asyncio.run(story())


def test_more_sales_than_the_ring_holds_are_a_gap_with_its_litres(tmp_path: Path) -> None:
    async def story() -> None:
        controller = controller_for()
        async with running(tmp_path, controller) as station:
            sell(controller, 1)
            await station.settle()
            sell(controller, RING + 9, volume_ml=20_000)
            await station.settle()

            [gap] = station.cloud.gaps
            assert (gap.first_transaction, gap.last_transaction) == (2, 10)
            assert gap.missing_ml == 9 * 20_000
            assert len(station.cloud.sales) == 1 + RING
            sold_ml = sum(sale.volume_ml for sale in station.cloud.sales)
            assert sold_ml + gap.missing_ml == controller.totalizer_ml(1)

    asyncio.run(story())


def test_litres_without_a_transaction_are_a_gap_too(tmp_path: Path) -> None:
    async def story() -> None:
        controller = controller_for()
        async with running(tmp_path, controller) as station:
            sell(controller, 1)
            await station.settle()
            controller.nozzle(1)._metered_ml += 7_500
            sell(controller, 1)
            await station.settle()

            [gap] = station.cloud.gaps
            assert (gap.first_transaction, gap.last_transaction) == (2, 2)
            assert gap.missing_ml == 7_500
            assert len(station.cloud.sales) == 2

    asyncio.run(story())


def test_a_totalizer_that_rolls_over_misses_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        controller = controller_for(totalizer_ml=(2**32 - 1) * 10 - 15_000)
        async with running(tmp_path, controller) as station:
            sell(controller, 1)
            await station.settle()
            # The register is full: the counter starts over.
            controller.nozzle(1)._metered_ml -= 2**32 * 10
            sell(controller, 1)
            await station.settle()

            assert station.cloud.gaps == []
            assert len(station.cloud.sales) == 2

    asyncio.run(story())


def test_a_controller_that_counts_from_one_again_loses_no_sale(tmp_path: Path) -> None:
    async def story() -> None:
        before = controller_for(first_transaction=4_000)
        clock = before.clock
        assert isinstance(clock, ManualClock)
        async with running(tmp_path, before) as station:
            sell(before, 3)
            await station.settle()
            after = controller_for(clock=clock, totalizer_ml=30_000)
            station.server.controller = after
            sell(after, 2)
            await station.settle()

            assert [sale.key.transaction for sale in station.cloud.sales] == [
                4000,
                4001,
                4002,
                1,
                2,
            ]
            assert station.cloud.gaps == []

    asyncio.run(story())


def test_another_device_has_a_cursor_of_its_own(tmp_path: Path) -> None:
    async def story() -> None:
        old, new = controller_for(serial="OLD"), controller_for(serial="NEW")
        async with running(tmp_path, old) as station:
            sell(old, 2)
            await station.settle()
            station.server.controller = new
            sell(new, 1)
            await station.settle()
            station.server.controller = old
            sell(old, 1)
            await station.settle()

            keys = [sale.key for sale in station.cloud.sales]
            assert [(key.device_serial, key.transaction) for key in keys] == [
                ("OLD", 1),
                ("OLD", 2),
                ("NEW", 1),
                ("OLD", 3),
            ]
            assert station.cloud.gaps == []

    asyncio.run(story())


def test_what_was_closed_before_we_came_is_not_told_again(tmp_path: Path) -> None:
    async def story() -> None:
        controller = controller_for()
        sell(controller, 10)
        assert controller.acknowledge(1, 8)
        async with running(tmp_path, controller) as station:
            await station.settle()

            assert [sale.key.transaction for sale in station.cloud.sales] == [9, 10]

    asyncio.run(story())


def test_a_record_that_makes_no_sense_is_put_aside_and_the_next_sale_told(tmp_path: Path) -> None:
    async def story() -> None:
        controller = controller_for()
        async with running(tmp_path, controller) as station:
            sell(controller, 1)
            await station.settle()
            controller.dispense(1, 39_990, amount_fen=42_000_000)
            controller.dispense(1, 10_000)
            await station.settle()

            assert [sale.key.transaction for sale in station.cloud.sales] == [1, 3]
            [refused] = station.component.outbox.quarantined()
            assert "amount_fen" in refused.reason
            [gap] = station.cloud.gaps
            assert (gap.first_transaction, gap.last_transaction) == (2, 2)
            assert gap.missing_ml == 39_990

    asyncio.run(story())


def test_readings_come_at_start_each_hour_at_the_day_turn_and_at_the_end(tmp_path: Path) -> None:
    async def story() -> None:
        clock = ManualClock(start=OPENING)
        controller = controller_for(clock=clock, nozzles=2)
        async with running(tmp_path, controller) as station:
            sell(controller, 1)
            await station.settle()
            clock.advance_ms(59 * 60_000)
            await station.settle()
            clock.advance_ms(60_000)
            await station.settle()
            clock.advance_ms(30 * 60_000)
            await station.component.close()
            clock_times = [reading.read_at - OPENING for reading in station.cloud.readings]

            assert clock_times == [timedelta(0), timedelta(hours=1), timedelta(minutes=90)]
            last = {each.nozzle: each for each in station.cloud.readings[-1].nozzles}
            assert last[1].totalizer_ml == 10_000
            assert last[1].transaction == 1
            assert last[2].transaction == 0

    asyncio.run(story())


def test_a_nozzle_in_use_is_left_out_of_a_reading(tmp_path: Path) -> None:
    async def story() -> None:
        controller = controller_for(nozzles=2)
        async with running(tmp_path, controller) as station:
            controller.lift(2)
            await station.settle()

            [reading] = station.cloud.readings
            assert [each.nozzle for each in reading.nozzles] == [1]

    asyncio.run(story())
