"""From a pump's register to the cloud: what is taken over, in which order, and when."""

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
from forecourt_simulator.server import ControllerServer
from tests.edge.stand_in_cloud import Cloud
from tests.edge.stations import OPENING, PROFILES, config_for, controller_for, running, sell

if TYPE_CHECKING:
    from pathlib import Path


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
