"""From a pump's register to the cloud: what is taken over, in which order, and what is missing."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from forecourt.sales import EvidenceKind
from forecourt_edge.component import Component
from forecourt_edge.errors import DeviceSilent
from forecourt_edge.profile import load_profile
from forecourt_edge.registers import WordOrder
from forecourt_simulator.clock import ManualClock
from forecourt_simulator.flow import Flow
from forecourt_simulator.nozzle import NozzleState
from forecourt_simulator.server import ControllerServer
from tests.edge.stand_in_cloud import Cloud
from tests.edge.stations import OPENING, config_for, controller_for, running

if TYPE_CHECKING:
    from pathlib import Path

    from forecourt_simulator.controller import Controller

PROFILES = ("forecourt-controller", "preset-controller-bcd")
RING = 51


def sell(controller: Controller, count: int, *, nozzle: int = 1, volume_ml: int = 10_000) -> None:
    for _ in range(count):
        controller.dispense(nozzle, volume_ml)


@pytest.mark.parametrize("name", PROFILES)
def test_a_sale_reaches_the_cloud_as_the_pump_recorded_it(tmp_path: Path, name: str) -> None:
    async def story() -> None:
        controller = controller_for(profile=load_profile(name), totalizer_ml=500_000)
        async with running(tmp_path, controller) as station:
            told = controller.dispense(1, 39_990, card="C-00042")
            await station.settle()

            [sale] = station.cloud.sales
            assert sale.volume_ml == told.volume_ml
            assert sale.amount_fen == told.amount_fen == 30_232
            assert sale.unit_price_milli_per_litre == 7560
            assert sale.key.totalizer_ml == 539_990
            assert sale.key.completed_at == told.completed_at.replace(microsecond=0)
            assert sale.grade == "92"
            assert sale.volume_resolution_ml == controller.profile.volume_resolution_ml
            assert sale.clock_offset_seconds == 0
            [card] = sale.evidence
            assert (card.kind, card.value) == (EvidenceKind.CARD, "C-00042")
            assert controller.ring(1).unacknowledged == 0

    asyncio.run(story())


def test_sales_are_told_once_and_in_their_order(tmp_path: Path) -> None:
    async def story() -> None:
        controller = controller_for(nozzles=3)
        async with running(tmp_path, controller) as station:
            for nozzle in (1, 2, 3):
                sell(controller, 5, nozzle=nozzle)
            await station.settle()

            for nozzle in (1, 2, 3):
                keys = [sale.key for sale in station.cloud.sales if sale.key.nozzle == nozzle]
                assert [key.transaction for key in keys] == [1, 2, 3, 4, 5]
            assert len(station.cloud.payloads) == len(station.cloud.held)

    asyncio.run(story())


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


def test_lost_replies_neither_lose_nor_repeat_a_sale(tmp_path: Path) -> None:
    async def story() -> None:
        controller = controller_for()
        async with running(
            tmp_path,
            controller,
            configure=lambda port: config_for(tmp_path, port, device_timeout_seconds=0.08),
        ) as station:
            for lost in range(1, 6):
                sell(controller, 2)
                station.server.lose_replies = lost
                await station.settle()

            assert [sale.key.transaction for sale in station.cloud.sales] == list(range(1, 11))
            assert len(station.cloud.payloads) == len(station.cloud.held)
            assert controller.ring(1).unacknowledged == 0

    asyncio.run(story())


def test_a_device_lost_between_two_records_is_resumed_behind_the_first(tmp_path: Path) -> None:
    """What was stored before the loss may be acknowledged and gone by the time it is back."""

    async def story() -> None:
        controller = controller_for()
        async with running(tmp_path, controller) as station:
            await station.settle()
            sell(controller, 3)
            read = station.component.poller._buses[0].read

            async def lose_the_second_record(device_id: int, address: int, count: int) -> list[int]:
                if address == controller.profile.record_address(1, 2):
                    raise DeviceSilent(bus="test", reason="cable")
                return await read(device_id, address, count)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(station.component.poller._buses[0], "read", lose_the_second_record)
                await station.component.poll()
                await station.component.drained()
            await station.settle()

            told = [topic for topic, _ in station.cloud.payloads if topic.endswith("sales")]
            assert len(told) == len(station.cloud.sales) == 3

    asyncio.run(story())


def test_a_pump_that_goes_silent_in_mid_sale_tells_it_when_it_is_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        clock = ManualClock(start=OPENING)
        controller = controller_for(clock=clock, flow=Flow())
        async with running(tmp_path, controller) as station:
            await station.settle()
            controller.lift(1)
            controller.squeeze(1)
            clock.advance_ms(20_000)
            await station.component.poll()
            controller.fail_power()
            await station.component.poll()
            assert station.cloud.sales == []
            assert "device_unreachable" in [record.msg for record in caplog.records]
            controller.restore_power()
            await station.settle()

            [sale] = station.cloud.sales
            assert 0 < sale.volume_ml == controller.totalizer_ml(1)
            assert station.cloud.gaps == []

    asyncio.run(story())


def test_a_silent_controller_does_not_hold_up_another(tmp_path: Path) -> None:
    async def story() -> None:
        silent, other = controller_for(serial="SILENT"), controller_for(serial="OTHER")
        silent.silent = True
        cloud = Cloud()
        async with ControllerServer(silent) as first, ControllerServer(other) as second:
            config = config_for(tmp_path, first.port, second.port, device_timeout_seconds=30)
            async with Component(config, now=other.clock.now, uplink=cloud):
                sell(other, 3)
                async with asyncio.timeout(5):
                    await other.wait_until_read()

    asyncio.run(story())


@pytest.mark.parametrize(
    ("name", "order"),
    [
        (name, order)
        for name in PROFILES
        for order in WordOrder
        if order is not load_profile(name).word_order
    ],
)
def test_a_wrong_word_order_is_noticed_and_nothing_is_taken_over(
    tmp_path: Path, name: str, order: WordOrder, caplog: pytest.LogCaptureFixture
) -> None:
    right = load_profile(name)

    async def story() -> None:
        controller = controller_for(profile=right, totalizer_ml=123_000)
        wrong = right.model_copy(update={"word_order": order})
        async with running(tmp_path, controller, profile=wrong) as station:
            controller.dispense(1, 45_230)
            for _ in range(3):
                await station.component.poll()
                await asyncio.sleep(0.06)

            assert station.cloud.held == {}
            assert station.component.outbox.count() == 0
            assert controller.ring(1).unacknowledged == 1

    asyncio.run(story())
    reasons = [vars(record)["facts"]["reason"] for record in caplog.records if "mis" in record.msg]
    assert reasons
    assert f"fitting word order: {right.word_order}" in reasons[0]


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


def test_a_sale_that_does_not_add_up_is_the_clouds_to_judge(tmp_path: Path) -> None:
    async def story() -> None:
        controller = controller_for()
        async with running(tmp_path, controller) as station:
            controller.dispense(1, 10_000, amount_fen=8_000)
            await station.settle()

            assert [sale.amount_fen for sale in station.cloud.sales] == [8_000]

    asyncio.run(story())


def test_at_the_cap_the_pump_keeps_its_sales_until_there_is_room(tmp_path: Path) -> None:
    async def story() -> None:
        controller = controller_for()
        cloud = Cloud(connected=False)
        outbox = {"path": str(tmp_path / "outbox.db"), "sales_max": 3}

        async with running(
            tmp_path,
            controller,
            cloud=cloud,
            configure=lambda port: config_for(tmp_path, port, outbox=outbox),
        ) as station:
            sell(controller, 5)
            for _ in range(4):
                await station.component.poll()
                await asyncio.sleep(0.05)
            assert station.component.outbox.count() == 3
            assert controller.ring(1).unacknowledged == 5
            cloud.connected = True
            await station.settle()

            assert [sale.key.transaction for sale in cloud.sales] == [1, 2, 3, 4, 5]
            assert controller.ring(1).unacknowledged == 0

    asyncio.run(story())


def test_a_device_clock_is_compared_when_the_record_is_read(tmp_path: Path) -> None:
    async def story() -> None:
        controller = controller_for(clock_offset_seconds=-95)
        async with running(tmp_path, controller) as station:
            controller.dispense(1, 10_000)
            await station.settle()

            [sale] = station.cloud.sales
            assert sale.clock_offset_seconds == -95
            assert sale.key.completed_at == OPENING - timedelta(seconds=95)
            assert sale.recorded_at == OPENING

    asyncio.run(story())


def test_a_device_without_a_clock_gets_the_gateways_time(tmp_path: Path) -> None:
    async def story() -> None:
        controller = controller_for(clock_offset_seconds=None)
        async with running(tmp_path, controller) as station:
            controller.dispense(1, 10_000)
            await station.settle()

            [sale] = station.cloud.sales
            assert sale.clock_offset_seconds is None
            assert sale.key.completed_at == sale.recorded_at == OPENING

    asyncio.run(story())


def test_who_calls_is_authorised_where_the_station_wants_it(tmp_path: Path) -> None:
    async def story() -> None:
        controller = controller_for(auto_authorise=False)
        async with running(
            tmp_path,
            controller,
            configure=lambda port: config_for(tmp_path, port, authorise_calls=True),
        ) as station:
            await station.settle()
            controller.lift(1)
            await station.component.poll()

            assert controller.nozzle(1).state is NozzleState.STARTED

    asyncio.run(story())


def test_a_preset_is_kept_by_the_pump(tmp_path: Path) -> None:
    async def story() -> None:
        controller = controller_for(auto_authorise=False)
        async with running(tmp_path, controller) as station:
            await station.settle()
            await station.component.poller.authorise(1, preset_fen=20_000)

            assert controller.nozzle(1).state is NozzleState.AUTHORISED
            preset_ml = controller.nozzle(1).preset_ml
            assert preset_ml is not None
            assert preset_ml * 7560 <= 20_000 * 10_000 + 5_000

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


def test_a_message_says_when_it_was_sent_by_the_gateways_own_clock(tmp_path: Path) -> None:
    async def story() -> None:
        controller = controller_for()
        async with running(tmp_path, controller) as station:
            sell(controller, 1)
            await station.settle()

            for topic, payload in station.cloud.payloads:
                assert topic in {"forecourt/s0001/up/sales", "forecourt/s0001/up/readings"}
                assert json.loads(payload)["sent_at"] > "2026"

    asyncio.run(story())


def test_a_ring_of_another_size_is_another_profile(tmp_path: Path) -> None:
    async def story() -> None:
        controller = controller_for()
        ring = controller.profile.ring.model_copy(update={"size": 40})
        other = controller.profile.model_copy(update={"ring": ring})
        async with running(tmp_path, controller, profile=other) as station:
            sell(controller, 1)
            await station.component.poll()

            assert station.component.outbox.count() == 0
            assert controller.ring(1).unacknowledged == 1

    asyncio.run(story())
