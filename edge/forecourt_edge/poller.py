"""
Reads controllers and takes finished transactions over.

A poll of a controller is one request for the status of as many nozzles as fit, and none
more while nothing has changed.  A finished transaction costs the header (whose device is
it, what does its clock say), its record, the commit of the outbox, and only then the
command that closes it at the device.  A command that got lost is given again at the next
poll, because the device shows what was last closed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from forecourt_edge import journal
from forecourt_edge.bus import BackOff, Bus
from forecourt_edge.errors import (
    DeviceRefused,
    DeviceSilent,
    OutboxFull,
    ProfileMismatch,
    RegisterFault,
)
from forecourt_edge.layout import encode_authorisation
from forecourt_edge.plausibility import checked_controller, checked_status
from forecourt_edge.registers import READ_REGISTERS_MAX
from forecourt_edge.takeover import HEAD_ATTEMPTS, Handover, Taken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from forecourt_edge.config import ControllerConfig, EdgeConfig
    from forecourt_edge.layout import Controller, NozzleStatus
    from forecourt_edge.outbox import Cursor, Outbox
    from forecourt_edge.profile import Profile
    from forecourt_edge.takeover import TakeOver

IDLE_STATES = frozenset({"idle", "closed", "inoperative"})
_BACK_OFF_SECONDS = 0.25
_HEADER_SECONDS = 30.0  # A swapped controller is noticed at its next sale, at the latest.


@dataclass(slots=True, kw_only=True)
class _Nozzle:
    """What is known of one nozzle; `cursor` is `None` until the device has been identified."""

    number: int
    position: int
    words: Sequence[int] = ()
    status: NozzleStatus | None = None
    cursor: Cursor | None = None
    settled: bool = False
    absent_heads: int = 0
    unclosable: int = 0


@dataclass(slots=True, kw_only=True)
class _Device:
    """A controller behind a bus."""

    config: ControllerConfig
    profile: Profile
    bus: Bus
    nozzles: list[_Nozzle]
    back_off: BackOff
    header: Controller | None = None
    header_due: float = 0.0
    connection: int = 0
    fault: str = ""
    spans: list[_Span] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class _Span:
    """One read of neighbouring status blocks; each nozzle with where its block lies in it."""

    address: int
    count: int
    nozzles: list[tuple[_Nozzle, slice]]


class Poller:
    """All controllers of a station."""

    def __init__(
        self,
        config: EdgeConfig,
        profiles: dict[str, Profile],
        *,
        outbox: Outbox,
        take_over: TakeOver,
        now: Callable[[], datetime],
    ) -> None:
        self._outbox = outbox
        self._take_over = take_over
        self._now = now
        self.polls = 0
        buses: dict[tuple[str, int], Bus] = {}
        self._devices: list[_Device] = []
        for controller in config.controllers:
            address = (controller.host, controller.port)
            if address not in buses:
                buses[address] = Bus(
                    *address,
                    framing=controller.framing,
                    timeout_seconds=config.device_timeout_seconds,
                    back_off_seconds_max=config.device_back_off_seconds_max,
                )
            back_off = BackOff(
                first_seconds=_BACK_OFF_SECONDS,
                seconds_max=config.device_back_off_seconds_max,
            )
            profile = profiles[controller.name]
            self._devices.append(_device(controller, profile, buses[address], back_off))
        self._buses = list(buses.values())

    async def poll(self) -> int:
        """
        Poll every controller once, buses side by side; return how many sales were taken over.

        A device that fails is left alone for a while and its failure told once.
        """
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._poll_bus(bus)) for bus in self._buses]
        return sum(task.result() for task in tasks)

    async def run(self, interval_seconds: float) -> None:
        """Poll until cancelled; a bus that hangs delays no other."""

        def cancelled() -> bool:
            # Up to Python 3.11 `wait_for`, which pymodbus waits with, can swallow a cancellation
            # that arrives together with the answer.
            task = asyncio.current_task()
            return task is not None and task.cancelling() > 0

        async def poll_for_ever(bus: Bus) -> None:
            while True:
                await self._poll_bus(bus)
                if cancelled():
                    return
                await asyncio.sleep(interval_seconds)

        async with asyncio.TaskGroup() as group:
            for bus in self._buses:
                group.create_task(poll_for_ever(bus))

    def close(self) -> None:
        for bus in self._buses:
            bus.close()

    def idle_nozzles(self) -> Iterator[tuple[int, str, NozzleStatus]]:
        """Yield number, device serial and status of nozzles at rest with nothing pending."""
        for device in self._devices:
            for nozzle in device.nozzles:
                if device.header is None or nozzle.status is None or not nozzle.settled:
                    continue
                if nozzle.status.state in IDLE_STATES:
                    yield nozzle.number, device.header.serial, nozzle.status

    def has_taken(self, number: int, transaction: int) -> bool:
        """Return whether *transaction* of nozzle *number* has been taken over already."""
        device, nozzle = self._find(number)
        if nozzle.cursor is None or nozzle.cursor.number == 0:
            return False
        ahead = device.profile.distance(transaction, nozzle.cursor.number)
        return ahead < device.profile.ring.number_max // 2

    @property
    def settled(self) -> bool:
        """Whether every nozzle has been read and nothing is left to take over or to close."""
        return all(nozzle.settled for device in self._devices for nozzle in device.nozzles)

    async def authorise(self, number: int, *, preset_fen: int = 0) -> None:
        """
        Authorise one delivery, up to *preset_fen* unless that is 0.

        Never repeated, and read back: raises `DeviceSilent` when it is unknown whether
        the device obeyed and `DeviceRefused` when it did not.
        """
        device, nozzle = self._find(number)
        preset, authorise = encode_authorisation(device.profile, preset_fen)
        command = device.profile.command
        base = device.profile.command_address(nozzle.position)
        unit = device.config.device_id
        await device.bus.write(unit, base + command.preset.address, preset)
        address = base + command.preset.address
        if await device.bus.read(unit, address, len(preset)) != preset:
            raise DeviceRefused(bus=device.bus.name, address=address, reason="preset not kept")
        await device.bus.write(unit, base + command.authorise.address, authorise)
        address = device.profile.status_address(nozzle.position)
        words = await device.bus.read(unit, address, device.profile.status.length)
        if checked_status(device.profile, words).state in {*IDLE_STATES, "calling"}:
            raise DeviceRefused(bus=device.bus.name, address=address, reason="not authorised")

    async def _poll_bus(self, bus: Bus) -> int:
        devices = [each for each in self._devices if each.bus is bus and each.back_off.over]
        taken = 0
        for device in devices:
            if not await bus.ready():
                self._failed(device, "no_connection", "cannot connect")
                continue
            try:
                taken += await self._poll_device(device)
            except (DeviceSilent, DeviceRefused) as error:
                self._failed(device, "device_unreachable", error.reason)
            except (ProfileMismatch, RegisterFault) as error:
                self._failed(device, "profile_mismatch", str(error))
            except OutboxFull as error:
                self._failed(device, "outbox_full", error.reason)
            else:
                self._succeeded(device)
        return taken

    async def _poll_device(self, device: _Device) -> int:
        now = asyncio.get_running_loop().time()
        if device.connection != device.bus.connections or now >= device.header_due:
            await self._identify(device)
            device.connection = device.bus.connections
        taken = 0
        for span in device.spans:
            words = await device.bus.read(device.config.device_id, span.address, span.count)
            self.polls += len(span.nozzles)
            for nozzle, place in span.nozzles:
                block = words[place]
                if block != nozzle.words or not nozzle.settled:
                    nozzle.settled = False
                    nozzle.status = checked_status(device.profile, block)
                    taken += await self._attend(device, nozzle, nozzle.status)
                    nozzle.words = block
        return taken

    async def _identify(self, device: _Device) -> Controller:
        """Read the header; another serial than before is another device with other cursors."""
        block = device.profile.controller
        words = await device.bus.read(device.config.device_id, block.address, block.length)
        header = checked_controller(device.profile, words, self._now())
        if any(nozzle.position > header.nozzle_count for nozzle in device.nozzles):
            reason = f"nozzle_count: device {header.nozzle_count}, configuration uses more"
            raise ProfileMismatch(profile=device.profile.name, reason=reason)
        if device.header is None or device.header.serial != header.serial:
            journal.note(
                "device_identified", controller=device.config.name, device_serial=header.serial
            )
            for nozzle in device.nozzles:
                nozzle.cursor, nozzle.settled = None, False
                nozzle.absent_heads, nozzle.unclosable = 0, 0
        device.header = header
        device.header_due = asyncio.get_running_loop().time() + _HEADER_SECONDS
        return header

    async def _attend(self, device: _Device, nozzle: _Nozzle, status: NozzleStatus) -> int:
        """Take over what is finished at one nozzle, close it, and authorise who calls."""
        taken = 0
        cursor = self._cursor(device, nozzle, status)
        if device.profile.distance(cursor.number, status.transaction):
            header = await self._identify(device)
            cursor = self._cursor(device, nozzle, status)
            taken = await self._take(device, nozzle, status, header, cursor)
            cursor = self._cursor(device, nozzle, status)
        if status.transaction and cursor.number not in {status.acknowledged, nozzle.unclosable}:
            await self._close(device, nozzle, cursor.number)
        calling = device.config.authorise_calls and status.state == "calling"
        if calling:
            await self._answer_call(nozzle)
        pending = device.profile.distance(cursor.number, status.transaction)
        closed = cursor.number in {status.acknowledged, nozzle.unclosable} or not status.transaction
        nozzle.settled = closed and not pending and not calling
        return taken

    async def _take(
        self,
        device: _Device,
        nozzle: _Nozzle,
        status: NozzleStatus,
        header: Controller,
        cursor: Cursor,
    ) -> int:
        async def read_record(number: int) -> list[int]:
            address = device.profile.record_address(nozzle.position, number)
            length = device.profile.ring.record.length
            return await device.bus.read(device.config.device_id, address, length)

        handover = Handover(
            profile=device.profile,
            grades=device.config.grades or device.profile.grades,
            header=header,
            status=status,
            cursor=cursor,
            read_record=read_record,
            give_up_on_head=nozzle.absent_heads + 1 >= HEAD_ATTEMPTS,
        )
        # Should it stop halfway, what has been stored by then is on disk only.
        nozzle.cursor = None
        outcome: Taken = await self._take_over.nozzle(handover)
        nozzle.cursor = outcome.cursor
        nozzle.absent_heads = nozzle.absent_heads + 1 if outcome.head_absent else 0
        return outcome.sales

    def _cursor(self, device: _Device, nozzle: _Nozzle, status: NozzleStatus) -> Cursor:
        if nozzle.cursor is None:
            if device.header is None:
                raise DeviceSilent(bus=device.bus.name, reason="not identified")
            nozzle.cursor = self._take_over.cursor_for(nozzle.number, device.header, status)
        return nozzle.cursor

    async def _close(self, device: _Device, nozzle: _Nozzle, number: int) -> None:
        command = device.profile.command
        address = device.profile.command_address(nozzle.position) + command.close.address
        try:
            await device.bus.write(device.config.device_id, address, [number])
        except DeviceRefused as error:
            # It has forgotten the number, after a reset for instance. The sale is safe here.
            nozzle.unclosable = number
            journal.warn("close_refused", nozzle=nozzle.number, number=number, reason=error.reason)

    async def _answer_call(self, nozzle: _Nozzle) -> None:
        try:
            await self.authorise(nozzle.number)
        except DeviceRefused as error:
            # The driver may have hung up meanwhile; whoever still calls is answered next time.
            journal.warn("authorisation_refused", nozzle=nozzle.number, reason=error.reason)

    def _find(self, number: int) -> tuple[_Device, _Nozzle]:
        for device in self._devices:
            for nozzle in device.nozzles:
                if nozzle.number == number:
                    return device, nozzle
        raise KeyError(number)

    def _failed(self, device: _Device, fault: str, reason: str) -> None:
        device.back_off.failed()
        for nozzle in device.nozzles:
            nozzle.settled = False
        if device.fault != fault:
            device.fault = fault
            journal.alarm(fault, controller=device.config.name, reason=reason)

    def _succeeded(self, device: _Device) -> None:
        device.back_off.succeeded()
        if device.fault:
            journal.note("device_recovered", controller=device.config.name, fault=device.fault)
            device.fault = ""


def _device(controller: ControllerConfig, profile: Profile, bus: Bus, back_off: BackOff) -> _Device:
    nozzles = [
        _Nozzle(number=wired.nozzle, position=wired.position) for wired in controller.nozzles
    ]
    device = _Device(
        config=controller, profile=profile, bus=bus, nozzles=nozzles, back_off=back_off
    )
    device.spans = _spans(profile, nozzles)
    return device


def _spans(profile: Profile, nozzles: Sequence[_Nozzle]) -> list[_Span]:
    """Group nozzles into reads of neighbouring status blocks, as many as one read holds."""
    length = profile.status.length
    spans: list[_Span] = []
    for nozzle in sorted(nozzles, key=lambda each: each.position):
        address = profile.status_address(nozzle.position)
        if not spans or address + length - spans[-1].address > READ_REGISTERS_MAX:
            spans.append(_Span(address=address, count=length, nozzles=[]))
        span = spans[-1]
        offset = address - span.address
        span.count = offset + length
        span.nozzles.append((nozzle, slice(offset, offset + length)))
    return spans
