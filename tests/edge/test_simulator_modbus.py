"""What a Modbus client reads from a controller, and what becomes of what it writes."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.constants import ExcCodes
from pymodbus.exceptions import ModbusIOException

from forecourt_edge.layout import (
    NozzleStatus,
    Transaction,
    decode_controller,
    decode_status,
    decode_transaction,
    encode_authorisation,
)
from forecourt_edge.profile import Profile, load_profile
from forecourt_simulator.clock import ManualClock
from forecourt_simulator.controller import Controller, NozzleSetup
from forecourt_simulator.nozzle import NozzleState
from forecourt_simulator.server import ControllerServer
from tests.edge.stations import OPENING, PROFILES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


class Reader:
    """A station's poller reduced to its reads and writes."""

    def __init__(self, client: AsyncModbusTcpClient, profile: Profile) -> None:
        self.client = client
        self.profile = profile

    async def words(self, address: int, count: int) -> list[int]:
        reply = await self.client.read_holding_registers(address, count=count, device_id=1)
        assert not reply.isError(), reply
        return list(reply.registers)

    async def status(self, number: int) -> NozzleStatus:
        address = self.profile.status_address(number)
        return decode_status(self.profile, await self.words(address, self.profile.status.length))

    async def transaction(self, number: int, transaction: int) -> Transaction:
        address = self.profile.record_address(number, transaction)
        words = await self.words(address, self.profile.ring.record.length)
        return decode_transaction(self.profile, words)

    async def write(self, address: int, values: list[int]) -> int | None:
        """Return the exception code of the reply, `None` for a success."""
        reply = await self.client.write_registers(address, values, device_id=1)
        return reply.exception_code if reply.isError() else None

    async def close_transaction(self, number: int, transaction: int) -> int | None:
        command = self.profile.command
        address = self.profile.command_address(number) + command.close.address
        return await self.write(address, [transaction])

    async def authorise(self, number: int, *, preset_fen: int = 0) -> int | None:
        command = self.profile.command
        block = self.profile.command_address(number)
        preset, authorise = encode_authorisation(self.profile, preset_fen)
        refusal = await self.write(block + command.preset.address, preset)
        assert refusal is None
        return await self.write(block + command.authorise.address, authorise)


class Bench:
    """A controller on a free port with one reader connected."""

    def __init__(self, clock: ManualClock, server: ControllerServer, reader: Reader) -> None:
        self.clock = clock
        self.controller = server.controller
        self.server = server
        self.reader = reader


@asynccontextmanager
async def bench(profile_name: str = PROFILES[0], **options: Any) -> AsyncIterator[Bench]:
    clock = ManualClock(start=OPENING)
    profile = load_profile(profile_name)
    first = options.pop("first_transaction", 1)
    controller = Controller(
        serial="SN4711",
        nozzles=[
            NozzleSetup(
                grade=grade,
                unit_price_milli_per_litre=7_560,
                totalizer_ml=123_450_000,
                first_transaction=first,
            )
            for grade in ("92", "95", "0")
        ],
        profile=profile,
        clock=clock,
        **options,
    )
    async with ControllerServer(controller) as server:
        client = AsyncModbusTcpClient("127.0.0.1", port=server.port, retries=0, timeout=0.3)
        assert await client.connect()
        try:
            yield Bench(clock, server, Reader(client, profile))
        finally:
            client.close()


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(20):
            await scenario()

    asyncio.run(limited())


@pytest.mark.parametrize("profile_name", PROFILES)
def test_the_header_names_the_device_and_its_clock(profile_name: str) -> None:
    async def scenario() -> None:
        async with bench(profile_name, clock_offset_seconds=-90) as on:
            block = on.reader.profile.controller
            on.clock.advance_ms(5_000)

            header = decode_controller(
                on.reader.profile, await on.reader.words(block.address, block.length)
            )

            assert header.serial == "SN4711"
            assert header.clock_at == OPENING + timedelta(seconds=5 - 90)
            assert (header.nozzle_count, header.ring_size) == (3, 51)

    run(scenario)


@pytest.mark.parametrize("profile_name", PROFILES)
def test_a_reader_sees_a_sale_happen_and_then_its_record(profile_name: str) -> None:
    async def scenario() -> None:
        async with bench(profile_name) as on:
            assert (await on.reader.status(2)).state == "idle"
            on.controller.lift(2)
            assert (await on.reader.status(2)).state == "started"
            on.controller.squeeze(2)
            on.clock.advance_ms(30_000)
            fuelling = await on.reader.status(2)
            sale = on.controller.hang_up(2)
            assert sale is not None
            done = await on.reader.status(2)
            record = await on.reader.transaction(2, done.transaction)

            assert fuelling.state == "fuelling"
            assert fuelling.transaction == 0
            assert fuelling.totalizer_ml == done.totalizer_ml == sale.totalizer_ml
            assert (done.state, done.transaction, done.acknowledged) == ("idle", 1, 0)
            assert on.reader.profile.grades[record.grade_code] == "95"
            assert record == Transaction(
                transaction=1,
                grade_code=record.grade_code,
                started_at=OPENING,
                completed_at=OPENING + timedelta(seconds=30),
                unit_price_milli_per_litre=7_560,
                volume_ml=sale.volume_ml,
                amount_fen=sale.amount_fen,
                totalizer_ml=sale.totalizer_ml,
            )

    run(scenario)


def test_every_state_has_its_code() -> None:
    async def scenario() -> None:
        async with bench() as on:
            for state in NozzleState:
                on.controller.nozzle(1).state = state
                assert (await on.reader.status(1)).state == state

    run(scenario)


@pytest.mark.parametrize("profile_name", PROFILES)
def test_a_whole_ring_dispensed_at_once_can_be_read_back_across_the_wrap(
    profile_name: str,
) -> None:
    async def scenario() -> None:
        async with bench(profile_name, first_transaction=65_500) as on:
            sales = [on.controller.dispense(3, 10_000 + 10 * n, at=OPENING) for n in range(51)]

            status = await on.reader.status(3)
            records = [await on.reader.transaction(3, sale.transaction) for sale in sales]

            assert status.transaction == 15
            assert [record.transaction for record in records] == [
                *range(65_500, 65_536),
                *range(1, 16),
            ]
            assert [record.volume_ml for record in records] == [sale.volume_ml for sale in sales]
            assert status.totalizer_ml == 123_450_000 + sum(sale.volume_ml for sale in sales)

    run(scenario)


@pytest.mark.parametrize("profile_name", PROFILES)
def test_what_a_sale_carries_besides_volume_is_in_its_record(profile_name: str) -> None:
    async def scenario() -> None:
        async with bench(profile_name) as on:
            on.controller.nozzle(1).test_delivery = True
            on.controller.dispense(1, 20_000, card="9558820012345678", offline=True)

            record = await on.reader.transaction(1, 1)

            assert record.test_delivery
            assert record.offline
            assert record.card == "9558820012345678"

    run(scenario)


def test_a_device_without_a_clock_shows_no_times() -> None:
    async def scenario() -> None:
        async with bench(clock_offset_seconds=None) as on:
            on.controller.dispense(1, 20_000)

            record = await on.reader.transaction(1, 1)

            assert record.started_at is None
            assert record.completed_at is None

    run(scenario)


def test_closing_a_transaction_clears_it_and_everything_before() -> None:
    async def scenario() -> None:
        async with bench(first_transaction=65_534) as on:
            for _ in range(5):
                on.controller.dispense(1, 10_000)

            assert await on.reader.close_transaction(1, 1) is None

            assert (await on.reader.status(1)).acknowledged == 1
            assert on.controller.ring(1).unacknowledged == 2

    run(scenario)


def test_closing_again_is_harmless_and_closing_what_never_was_is_refused() -> None:
    async def scenario() -> None:
        async with bench() as on:
            on.controller.dispense(1, 10_000)
            on.controller.dispense(1, 10_000)
            await on.reader.close_transaction(1, 2)

            assert await on.reader.close_transaction(1, 2) is None
            assert await on.reader.close_transaction(1, 1) is None
            assert await on.reader.close_transaction(1, 3) == ExcCodes.ILLEGAL_VALUE
            assert (await on.reader.status(1)).acknowledged == 2

    run(scenario)


@pytest.mark.parametrize("profile_name", PROFILES)
def test_a_command_authorises_up_to_its_preset(profile_name: str) -> None:
    async def scenario() -> None:
        async with bench(profile_name, auto_authorise=False) as on:
            on.controller.lift(1)
            assert (await on.reader.status(1)).state == "calling"

            assert await on.reader.authorise(1, preset_fen=10_000) is None
            assert (await on.reader.status(1)).state == "started"
            on.controller.squeeze(1)
            on.clock.advance_ms(600_000)
            sale = on.controller.hang_up(1)

            assert sale is not None
            assert 9_990 <= sale.amount_fen <= 10_000
            assert sale.volume_ml < 13_240

    run(scenario)


def test_a_preset_does_not_outlive_the_sale_it_was_for() -> None:
    async def scenario() -> None:
        async with bench(auto_authorise=False) as on:
            on.controller.lift(1)
            await on.reader.authorise(1, preset_fen=10_000)
            on.controller.hang_up(1)
            command = on.reader.profile.command

            words = await on.reader.words(on.reader.profile.command_address(1), command.stride)

            assert words[command.authorise.address] == 0
            assert words[command.preset.address : command.preset.end] == [0, 0]

    run(scenario)


def test_authorising_twice_is_refused_and_changes_nothing() -> None:
    async def scenario() -> None:
        async with bench(auto_authorise=False) as on:
            assert await on.reader.authorise(1) is None

            assert await on.reader.authorise(1) == ExcCodes.DEVICE_BUSY

            assert (await on.reader.status(1)).state == "authorised"

    run(scenario)


def test_an_unused_authorisation_can_be_withdrawn() -> None:
    async def scenario() -> None:
        async with bench(auto_authorise=False) as on:
            await on.reader.authorise(1)
            command = on.reader.profile.command
            address = on.reader.profile.command_address(1) + command.authorise.address

            assert await on.reader.write(address, [0]) is None
            assert await on.reader.write(address, [7]) == ExcCodes.ILLEGAL_VALUE

            assert (await on.reader.status(1)).state == "idle"

    run(scenario)


def test_status_and_records_cannot_be_written() -> None:
    async def scenario() -> None:
        async with bench() as on:
            on.controller.dispense(1, 10_000)
            profile = on.reader.profile

            for address in (0, profile.status_address(1), profile.record_address(1, 1)):
                assert await on.reader.write(address, [0]) == ExcCodes.ILLEGAL_ADDRESS

            assert (await on.reader.transaction(1, 1)).volume_ml == 10_000

    run(scenario)


def test_registers_of_a_nozzle_that_is_not_there_are_no_registers() -> None:
    async def scenario() -> None:
        async with bench() as on:
            address = on.reader.profile.status_address(4)

            reply = await on.reader.client.read_holding_registers(address, count=8, device_id=1)

            assert reply.exception_code == ExcCodes.ILLEGAL_ADDRESS

    run(scenario)


def test_a_silent_device_answers_nothing_and_obeys_nothing() -> None:
    async def scenario() -> None:
        async with bench() as on:
            on.controller.dispense(1, 10_000)
            on.controller.silent = True
            with pytest.raises(ModbusIOException):
                await on.reader.close_transaction(1, 1)
            assert on.controller.ring(1).unacknowledged == 1

            on.controller.silent = False

            assert (await on.reader.status(1)).acknowledged == 0

    run(scenario)


def test_a_lost_reply_leaves_a_command_obeyed() -> None:
    async def scenario() -> None:
        async with bench() as on:
            on.controller.dispense(1, 10_000)
            on.server.lose_replies = 1

            with pytest.raises(ModbusIOException):
                await on.reader.close_transaction(1, 1)

            assert (await on.reader.status(1)).acknowledged == 1

    run(scenario)


def test_a_power_cut_in_mid_sale_is_silence_and_then_the_whole_sale() -> None:
    async def scenario() -> None:
        async with bench() as on:
            on.controller.lift(1)
            on.controller.squeeze(1)
            on.clock.advance_ms(20_000)
            before = await on.reader.status(1)
            on.controller.fail_power()
            with pytest.raises(ModbusIOException):
                await on.reader.status(1)

            on.controller.restore_power()
            after = await on.reader.status(1)
            record = await on.reader.transaction(1, after.transaction)

            assert after.totalizer_ml == before.totalizer_ml == record.totalizer_ml
            assert record.volume_ml == before.totalizer_ml - 123_450_000

    run(scenario)


def test_a_taken_port_is_an_error_that_names_it() -> None:
    async def scenario() -> None:
        async with bench() as on:
            second = ControllerServer(on.controller, port=on.server.port)
            with pytest.raises(OSError, match=str(on.server.port)):
                await second.start()

    run(scenario)


def test_one_process_holds_a_hundred_and_more_controllers() -> None:
    async def scenario() -> None:
        profile = load_profile(PROFILES[0])
        setup = NozzleSetup(grade="92", unit_price_milli_per_litre=7_560)
        servers = []
        for index in range(124):
            controller = Controller(
                serial=f"SN{index}",
                nozzles=[setup] * 3,
                profile=profile,
                clock=ManualClock(start=OPENING),
            )
            servers.append(ControllerServer(controller))
            await servers[-1].start()
        try:
            for server in servers:
                server.controller.dispense(1, 10_000)
            client = AsyncModbusTcpClient("127.0.0.1", port=servers[123].port, retries=0)
            assert await client.connect()
            status = await Reader(client, profile).status(1)
            client.close()
        finally:
            for server in servers:
                await server.stop()
        assert len({server.controller.serial for server in servers}) == 124
        assert status.transaction == 1

    run(scenario)
