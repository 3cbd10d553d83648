"""A whole station: drivers, pumps, cameras and the truth it tells about its sales."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.sales import parse_sale_id
from forecourt_edge.cameras import read_push
from forecourt_edge.config import EdgeConfig
from forecourt_edge.listener import Listener, Reply, Request
from forecourt_simulator.cameras import Eyesight
from forecourt_simulator.clock import PacedClock
from forecourt_simulator.drivers import Habits, draw_drivers
from forecourt_simulator.errors import DeliveryFailed
from forecourt_simulator.station import SaleTruth, Station, usual_nozzles

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

SHARP = Eyesight(misread_percent=0, missed_percent=0, repeated_percent=0)


def make_station(
    *, seed: int = 7, speed: float = 2_000, nozzles: int = 4, **options: Any
) -> Station:
    return Station(
        station_id="s0001",
        drivers=draw_drivers(seed=seed, count=100, stations=["s0001"]),
        nozzles=usual_nozzles(nozzles, seed=seed, station_id="s0001"),
        seed=seed,
        clock=PacedClock(speed=speed),
        habits=Habits(arrivals_per_hour=240),
        **options,
    )


def run_station(visits: int, **options: Any) -> Station:
    async def scenario() -> Station:
        async with asyncio.timeout(30), make_station(**options) as station:
            await station.run(visits=visits)
            return station

    return asyncio.run(scenario())


def bought(station: Station) -> dict[int, list[tuple[Any, ...]]]:
    """Return what was bought at each nozzle, without the times."""
    sales = defaultdict(list)
    for truth in station.truth:
        sale = truth.sale
        sales[sale.nozzle].append((sale.transaction, sale.volume_ml, sale.amount_fen, truth.plate))
    return dict(sales)


def test_the_same_seed_sells_the_same_however_fast_it_runs() -> None:
    slow = run_station(20, speed=1_500)
    fast = run_station(20, speed=6_000)
    other = run_station(20, speed=6_000, seed=8)

    assert bought(slow) == bought(fast)
    assert bought(fast) != bought(other)


def test_every_visit_is_one_sale_and_the_meters_moved_by_exactly_their_sum() -> None:
    station = run_station(40)

    assert len(station.truth) == 40
    assert len({truth.sale_id for truth in station.truth}) == 40
    sold = Counter[int]()
    for truth in station.truth:
        sold[truth.sale.nozzle] += truth.sale.volume_ml
    for number, totals in station.totals.items():
        moved_ml = station.controller.totalizer_ml(number) - totals.totalizer_at_start_ml
        assert sold[number] == totals.volume_ml == moved_ml


def test_the_truth_names_driver_member_and_the_id_of_the_sale() -> None:
    station = run_station(20)
    drivers = {driver.key: driver for driver in station.drivers}

    for truth in station.truth:
        driver = drivers[truth.driver_key or ""]
        key = parse_sale_id(truth.sale_id or "")
        assert (truth.plate, truth.member_key) == (driver.plate, driver.member_key)
        assert truth.sale.grade == driver.grade
        assert (key.nozzle, key.transaction) == (truth.sale.nozzle, truth.sale.transaction)
        assert key.totalizer_ml == truth.sale.totalizer_ml


def test_pressed_time_still_records_a_plausible_duration() -> None:
    station = run_station(10)

    for truth in station.truth:
        took = (truth.sale.completed_at - truth.sale.started_at).total_seconds()
        assert truth.sale.volume_ml / took < 1_000
        assert abs((truth.hung_up_at - truth.sale.completed_at).total_seconds()) < 5


def test_listeners_hear_every_sale_as_it_happens() -> None:
    heard: list[SaleTruth] = []

    async def scenario() -> Station:
        station = make_station()
        station.on_sale(heard.append)
        async with asyncio.timeout(30), station:
            await station.run(visits=5)
            await station.run(visits=5)
        return station

    station = asyncio.run(scenario())

    assert heard == station.truth
    assert [truth.visit for truth in sorted(heard, key=lambda truth: truth.visit or 0)] == list(
        range(1, 11)
    )


def test_drivers_wait_at_a_full_ring_until_the_reader_acknowledges() -> None:
    async def scenario() -> Station:
        station = make_station(nozzles=1, speed=20_000)
        for _ in range(51):
            station.controller.dispense(1, 10_000)
        async with asyncio.timeout(30), station:
            serving = asyncio.create_task(station.run(visits=3))
            done, _ = await asyncio.wait({serving}, timeout=0.3)
            assert not done
            assert len(station.truth) == 51
            station.controller.acknowledge(1, station.controller.ring(1).head)
            await serving
        return station

    station = asyncio.run(scenario())

    assert len(station.truth) == 54
    assert station.controller.ring(1).overwritten_unread == 0


def test_ending_in_mid_sale_still_adds_up() -> None:
    async def scenario() -> Station:
        async with make_station(speed=200) as station:
            sold = asyncio.Event()
            station.on_sale(lambda _: sold.set())
            serving = asyncio.create_task(station.run())
            await sold.wait()
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            return station

    station = asyncio.run(asyncio.wait_for(scenario(), 30))

    for number, totals in station.totals.items():
        moved_ml = station.controller.totalizer_ml(number) - totals.totalizer_at_start_ml
        assert totals.volume_ml == moved_ml
        assert not station.controller.nozzle(number).lifted


def with_gateway(
    handle: Callable[[Request], Reply], scenario: Callable[[str], Awaitable[Station]]
) -> Station:
    async def serve() -> Station:
        listener = Listener(handle, host="127.0.0.1", port=0, body_bytes_max=1 << 20)
        await listener.start()
        try:
            async with asyncio.timeout(30):
                return await scenario(f"http://127.0.0.1:{listener.port}")
        finally:
            await listener.stop()

    return asyncio.run(serve())


def test_the_gateway_sees_each_car_in_its_lane_and_hears_from_the_till() -> None:
    plates: Counter[tuple[str, int | None, str | None]] = Counter()
    told: list[Request] = []

    def handle(request: Request) -> Reply:
        if request.path == "/evidence":
            told.append(request)
        else:
            read = read_push(request.headers["content-type"], request.body)
            assert read is not None
            plates[request.path, read.lane, read.plate] += 1
        return Reply()

    async def scenario(url: str) -> Station:
        options: dict[str, Any] = {"gateway_url": url, "eyesight": SHARP, "changeover_seconds": 0}
        async with make_station(**options) as station:
            await station.run(visits=20)
            return station

    station = with_gateway(handle, scenario)

    expected: Counter[tuple[str, int | None, str | None]] = Counter()
    for truth in station.truth:
        island, lane = divmod(truth.sale.nozzle - 1, 2)
        expected[f"/cameras/camera-{island + 1}", lane + 1, truth.plate] += 1
        assert truth.plate_read == truth.plate
    assert plates == expected
    assert len(told) == sum(len(truth.evidence) for truth in station.truth) > 0
    assert station.undelivered == 0


def test_the_till_tells_of_its_share_of_the_sales_until_the_gateway_has_them() -> None:
    told: list[dict[str, Any]] = []
    answers = [Reply(status=503, code="full"), Reply()]

    def handle(request: Request) -> Reply:
        if request.path != "/tellings":
            return Reply()
        told.append(json.loads(request.body))
        return answers[len(told) % 2]

    async def scenario(url: str) -> Station:
        options: dict[str, Any] = {"gateway_url": url, "eyesight": SHARP, "changeover_seconds": 0}
        async with make_station(receipts_percent=40, **options) as station:
            await station.run(visits=20)
            return station

    station = with_gateway(handle, scenario)

    sold = {truth.sale.totalizer_ml: truth.sale for truth in station.truth}
    assert 3 < len(station.receipts) < 17
    assert len(told) > len(station.receipts)
    assert {each["told_id"] for each in told} == {each.told_id for each in station.receipts}
    for receipt in station.receipts:
        assert sold[receipt.sale.totalizer_ml] == receipt.sale
        assert receipt.told_at > receipt.sale.completed_at
        assert receipt.sale.volume_ml > 0


def test_a_receipt_that_is_refused_is_a_fault_and_not_told_for_ever() -> None:
    def handle(request: Request) -> Reply:
        refused = request.path == "/tellings"
        return Reply(status=400, code="invalid") if refused else Reply()

    async def scenario(url: str) -> Station:
        options: dict[str, Any] = {"gateway_url": url, "eyesight": SHARP, "changeover_seconds": 0}
        async with make_station(receipts_percent=100, **options) as station:
            with pytest.raises(ExceptionGroup) as caught:
                await station.run(visits=2)
            assert caught.group_contains(DeliveryFailed)
            return station

    assert with_gateway(handle, scenario).receipts == []


def test_a_gateway_that_is_down_holds_nobody_up() -> None:
    async def scenario(_: str) -> Station:
        station = make_station(gateway_url="http://127.0.0.1:9", changeover_seconds=0)
        for camera in station.cameras.values():
            camera.pause_seconds = 0
        async with station:
            await station.run(visits=5)
            return station

    station = with_gateway(lambda _: Reply(), scenario)

    assert len(station.truth) == 5
    assert station.undelivered > 0
    assert all(truth.plate_read is None for truth in station.truth)


def test_the_wiring_is_an_edge_configuration() -> None:
    async def scenario() -> EdgeConfig:
        async with make_station(nozzles=5) as station:
            return EdgeConfig.model_validate(
                station.wiring(with_cameras=True)
                | {
                    "listen": {"port": 8090},
                    "outbox": {"path": "outbox.sqlite"},
                    "uplink": {"kind": "greengrasssdk"},
                }
            )

    config = asyncio.run(scenario())

    assert [wired.nozzle for wired in config.controllers[0].nozzles] == [1, 2, 3, 4, 5]
    assert [camera.nozzles for camera in config.cameras] == [[1, 2], [3, 4], [5]]
    assert config.cameras[1].sees(2) == [4]
