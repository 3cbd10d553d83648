"""One pump's behaviour: flow, states, price, meter and what a power cut leaves."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt_edge.errors import RegisterFault
from forecourt_simulator.clock import ManualClock
from forecourt_simulator.controller import Controller, NozzleSetup
from forecourt_simulator.errors import NotRepresentable, OperationRefused, UnknownNozzle
from forecourt_simulator.flow import Flow
from forecourt_simulator.nozzle import NozzleState, amount_fen_for, volume_ml_for

if TYPE_CHECKING:
    from forecourt_simulator.ring import FinishedSale

OPENING = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
MINUTE_MS = 60_000

prices = st.integers(1_000, 20_000)


def make_controller(*, clock: ManualClock | None = None, **options: object) -> Controller:
    return Controller(
        serial="SN4711",
        nozzles=[
            NozzleSetup(grade="92", unit_price_milli_per_litre=7_560, totalizer_ml=1_000_000),
            NozzleSetup(grade="95", unit_price_milli_per_litre=8_050),
        ],
        clock=clock or ManualClock(start=OPENING),
        **options,  # type: ignore[arg-type]  # tests vary one option at a time
    )


def fuel_for(controller: Controller, clock: ManualClock, *, milliseconds: int) -> None:
    controller.lift(1)
    controller.squeeze(1)
    clock.advance_ms(milliseconds)


def finished(sale: FinishedSale | None) -> FinishedSale:
    assert sale is not None
    return sale


@given(st.integers(0, 100_000))
def test_a_volume_has_flowed_at_its_duration_and_not_a_millisecond_before(volume_ml: int) -> None:
    flow = Flow()

    duration_ms = flow.duration_ms(volume_ml)

    assert flow.volume_ml(duration_ms) >= volume_ml
    assert duration_ms == 0 or flow.volume_ml(duration_ms - 1) < volume_ml


@given(st.integers(1, 80_000), st.integers(0, 300_000), st.integers(0, 5_000))
def test_flow_never_goes_back_and_stops_at_the_preset(
    preset_ml: int, elapsed_ms: int, later_ms: int
) -> None:
    flow = Flow()

    earlier = flow.volume_ml(elapsed_ms, preset_ml=preset_ml)
    later = flow.volume_ml(elapsed_ms + later_ms, preset_ml=preset_ml)

    assert 0 <= earlier <= later <= preset_ml


def test_flow_reaches_its_peak_after_the_ramp() -> None:
    flow = Flow(peak_ml_per_second=600, ramp_ms=1_000)

    assert flow.volume_ml(1_000) == 300
    assert flow.volume_ml(11_000) - flow.volume_ml(10_000) == 600


@given(st.integers(1, 200_000), prices)
def test_a_preset_amount_is_reached_as_closely_as_pulses_allow(amount_fen: int, price: int) -> None:
    volume_ml = volume_ml_for(amount_fen, price, 10)

    assert amount_fen_for(volume_ml, price) <= amount_fen
    assert amount_fen_for(volume_ml + 10, price) > amount_fen


@pytest.mark.parametrize(
    ("volume_ml", "price", "amount_fen"),
    [(39_990, 7_560, 30_232), (1_000, 7_565, 757), (1_000, 7_564, 756), (0, 7_560, 0)],
)
def test_the_amount_is_rounded_half_up(volume_ml: int, price: int, amount_fen: int) -> None:
    assert amount_fen_for(volume_ml, price) == amount_fen


def test_a_lifted_nozzle_calls_until_it_is_authorised() -> None:
    controller = make_controller(auto_authorise=False)

    controller.lift(1)
    assert controller.nozzle(1).state is NozzleState.CALLING
    with pytest.raises(OperationRefused):
        controller.squeeze(1)

    controller.authorise(1)
    assert controller.nozzle(1).state is NozzleState.STARTED


def test_hanging_up_without_authorisation_is_no_sale() -> None:
    controller = make_controller(auto_authorise=False)
    controller.lift(1)

    assert controller.hang_up(1) is None
    assert controller.ring(1).head == 0
    assert controller.nozzle(1).state is NozzleState.IDLE


def test_a_sale_carries_what_the_display_showed() -> None:
    clock = ManualClock(start=OPENING)
    controller = make_controller(clock=clock)
    fuel_for(controller, clock, milliseconds=MINUTE_MS)

    sale = finished(controller.hang_up(1))

    shown_ml = Flow().volume_ml(MINUTE_MS)
    assert sale.volume_ml == shown_ml - shown_ml % 10
    assert sale.amount_fen == amount_fen_for(sale.volume_ml, 7_560)
    assert sale.totalizer_ml == 1_000_000 + sale.volume_ml
    assert sale.started_at == OPENING
    assert sale.completed_at == OPENING + timedelta(minutes=1)


def test_the_meter_moves_while_fuel_flows() -> None:
    clock = ManualClock(start=OPENING)
    controller = make_controller(clock=clock)
    fuel_for(controller, clock, milliseconds=10_000)

    half_way = controller.totalizer_ml(1)
    clock.advance_ms(10_000)
    sale = finished(controller.hang_up(1))

    assert 1_000_000 < half_way < sale.totalizer_ml == controller.totalizer_ml(1)


def test_a_preset_stops_the_flow_by_itself() -> None:
    clock = ManualClock(start=OPENING)
    controller = make_controller(clock=clock, auto_authorise=False)
    controller.lift(1)
    controller.authorise(1, preset_fen=10_000)
    controller.squeeze(1)
    clock.advance_ms(10 * MINUTE_MS)

    sale = finished(controller.hang_up(1))

    assert sale.volume_ml == 13_220
    assert sale.amount_fen == 9_994


def test_a_price_change_during_a_sale_applies_to_the_next_one() -> None:
    clock = ManualClock(start=OPENING)
    controller = make_controller(clock=clock)
    fuel_for(controller, clock, milliseconds=10_000)
    controller.set_price(1, 7_990)
    clock.advance_ms(10_000)

    first = finished(controller.hang_up(1))
    second = controller.dispense(1, 10_000)

    assert first.unit_price_milli_per_litre == 7_560
    assert first.amount_fen == amount_fen_for(first.volume_ml, 7_560)
    assert second.unit_price_milli_per_litre == 7_990


def test_lifting_and_hanging_up_is_a_sale_of_nothing() -> None:
    controller = make_controller()
    controller.lift(1)

    sale = finished(controller.hang_up(1))

    assert (sale.volume_ml, sale.amount_fen, sale.transaction) == (0, 0, 1)


def test_a_controller_may_keep_no_record_of_nothing() -> None:
    controller = make_controller(record_zero_sales=False)
    controller.lift(1)

    assert controller.hang_up(1) is None
    assert controller.ring(1).head == 0


def test_suspending_keeps_what_has_flowed() -> None:
    clock = ManualClock(start=OPENING)
    controller = make_controller(clock=clock)
    fuel_for(controller, clock, milliseconds=10_000)
    controller.suspend(1)
    before_ml = controller.nozzle(1).dispensed_ml(clock.running_ms())
    clock.advance_ms(MINUTE_MS)
    assert controller.nozzle(1).dispensed_ml(clock.running_ms()) == before_ml

    controller.resume(1)
    clock.advance_ms(10_000)

    assert finished(controller.hang_up(1)).volume_ml == 2 * before_ml


@pytest.mark.parametrize("resume", [False, True])
def test_a_power_failure_during_a_sale_loses_no_millilitre(*, resume: bool) -> None:
    clock = ManualClock(start=OPENING)
    controller = make_controller(clock=clock)
    sales: list[FinishedSale] = []
    controller.on_sale(sales.append)
    fuel_for(controller, clock, milliseconds=10_000)
    dispensed_ml = controller.nozzle(1).dispensed_ml(clock.running_ms())

    controller.fail_power()
    clock.advance_ms(MINUTE_MS)
    closed = controller.restore_power(resume=resume)

    if resume:
        assert closed == []
        clock.advance_ms(10_000)
        controller.hang_up(1)
        assert sales[0].volume_ml == 2 * dispensed_ml
    else:
        assert closed == sales
        assert sales[0].volume_ml == dispensed_ml
        assert controller.nozzle(1).state is NozzleState.IDLE
    assert sales[0].totalizer_ml == controller.totalizer_ml(1) == 1_000_000 + sales[0].volume_ml


def test_a_power_failure_takes_back_an_unused_authorisation() -> None:
    controller = make_controller()
    controller.authorise(1)

    assert controller.reset() == []

    assert controller.nozzle(1).state is NozzleState.IDLE


def test_a_broken_nozzle_keeps_the_sale_it_broke_down_in() -> None:
    clock = ManualClock(start=OPENING)
    controller = make_controller(clock=clock)
    fuel_for(controller, clock, milliseconds=10_000)

    sale = finished(controller.break_down(1))

    assert sale.volume_ml > 0
    assert controller.nozzle(1).state is NozzleState.INOPERATIVE
    with pytest.raises(OperationRefused):
        controller.lift(1)


@given(st.lists(st.integers(0, 9_999).map(lambda pulses: pulses * 10), max_size=30))
def test_the_meter_is_the_sum_of_its_sales(volumes_ml: list[int]) -> None:
    controller = make_controller()

    sales = [controller.dispense(1, volume_ml) for volume_ml in volumes_ml]

    assert controller.totalizer_ml(1) == 1_000_000 + sum(sale.volume_ml for sale in sales)
    assert [sale.transaction for sale in sales] == list(range(1, len(sales) + 1))


def test_a_replayed_sale_keeps_its_recorded_time_price_and_amount() -> None:
    recorded_at = datetime(2016, 11, 23, 17, 4, 5, tzinfo=UTC)
    controller = make_controller()

    sale = controller.dispense(
        1, 30_000, amount_fen=12_345, unit_price_milli_per_litre=4_115, at=recorded_at
    )

    assert sale.completed_at == recorded_at
    assert sale.started_at < recorded_at
    assert (sale.amount_fen, sale.unit_price_milli_per_litre) == (12_345, 4_115)


@pytest.mark.parametrize(
    ("volume_ml", "refusal"), [(12_345, NotRepresentable), (50_000_000_000, RegisterFault)]
)
def test_a_volume_the_registers_cannot_hold_is_refused_and_nothing_is_dispensed(
    volume_ml: int, refusal: type[Exception]
) -> None:
    controller = make_controller()

    with pytest.raises(refusal):
        controller.dispense(1, volume_ml)

    assert controller.totalizer_ml(1) == 1_000_000
    assert controller.ring(1).head == 0


def test_an_instant_sale_is_refused_while_somebody_fuels() -> None:
    controller = make_controller()
    controller.lift(1)

    with pytest.raises(OperationRefused):
        controller.dispense(1, 10_000)


def test_a_nozzle_that_does_not_exist_is_named() -> None:
    with pytest.raises(UnknownNozzle) as refusal:
        make_controller().lift(3)

    assert refusal.value.nozzle == 3


def test_a_driver_gets_exactly_the_wanted_volume() -> None:
    async def scenario() -> FinishedSale | None:
        clock = ManualClock(start=OPENING)
        controller = make_controller(clock=clock)
        driver = asyncio.create_task(controller.fuel(1, 42_170, dawdle_ms=5_000))
        while not driver.done():
            await asyncio.sleep(0)
            clock.advance_ms(700)
        return await driver

    sale = finished(asyncio.run(scenario()))

    assert sale.volume_ml == 42_170


def test_a_driver_waits_for_authorisation_and_for_a_suspended_flow() -> None:
    async def scenario() -> FinishedSale | None:
        clock = ManualClock(start=OPENING)
        controller = make_controller(clock=clock, auto_authorise=False)
        driver = asyncio.create_task(controller.fuel(1, 20_000))
        await asyncio.sleep(0)
        assert controller.nozzle(1).state is NozzleState.CALLING
        controller.authorise(1, preset_fen=5_000)
        await controller.wait_for(1, NozzleState.FUELLING)
        clock.advance_ms(3_000)
        controller.suspend(1)
        for _ in range(10):
            await asyncio.sleep(0)
        clock.advance_ms(MINUTE_MS)
        assert not driver.done()
        controller.resume(1)
        while not driver.done():
            await asyncio.sleep(0)
            clock.advance_ms(500)
        return await driver

    sale = finished(asyncio.run(scenario()))

    assert sale.amount_fen == 4_997
    assert sale.volume_ml == 6_610


def test_a_driver_cut_off_by_a_power_failure_gets_the_sale_that_was_closed() -> None:
    async def scenario() -> FinishedSale | None:
        clock = ManualClock(start=OPENING)
        controller = make_controller(clock=clock)
        driver = asyncio.create_task(controller.fuel(1, 40_000))
        await controller.wait_for(1, NozzleState.FUELLING)
        clock.advance_ms(10_000)
        (closed,) = controller.reset()
        assert await driver == closed
        return closed

    sale = finished(asyncio.run(scenario()))

    assert 0 < sale.volume_ml < 40_000


def test_a_cancelled_driver_hangs_up_with_what_has_flowed() -> None:
    async def scenario() -> Controller:
        clock = ManualClock(start=OPENING)
        controller = make_controller(clock=clock)
        driver = asyncio.create_task(controller.fuel(1, 40_000))
        await controller.wait_for(1, NozzleState.FUELLING)
        clock.advance_ms(10_000)
        driver.cancel()
        await asyncio.gather(driver, return_exceptions=True)
        return controller

    controller = asyncio.run(scenario())

    assert controller.ring(1).head == 1
    assert controller.nozzle(1).state is NozzleState.IDLE


def test_nothing_ticks_while_nobody_fuels() -> None:
    async def scenario() -> int:
        controllers = [make_controller() for _ in range(124)]
        for controller in controllers:
            controller.dispense(1, 10_000)
        await asyncio.sleep(0)
        return len(asyncio.all_tasks())

    assert asyncio.run(scenario()) == 1
