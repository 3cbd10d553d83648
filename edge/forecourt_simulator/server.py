"""
A controller on Modbus TCP, laid out by its register profile.

Registers are computed when somebody reads them: a request fills the part of the image it asks
for. Status and records are read-only, commands are obeyed as they are written, and a register
the profile does not know answers "illegal address".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, cast

from pymodbus.constants import ExcCodes
from pymodbus.exceptions import NoSuchIdException
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from forecourt_edge import layout
from forecourt_edge.errors import RegisterFault
from forecourt_simulator.errors import OperationRefused
from forecourt_simulator.nozzle import NozzleState

if TYPE_CHECKING:
    from asyncio import Server
    from collections.abc import Sequence

    from forecourt_edge.profile import CommandBlock, StatusBlock
    from forecourt_simulator.controller import Controller

_ANY_DEVICE = 0  # pymodbus: answers whatever unit id a gateway was told to use.
_IN_USE = (
    NozzleState.AUTHORISED,
    NozzleState.STARTED,
    NozzleState.SUSPENDED_STARTED,
    NozzleState.FUELLING,
    NozzleState.SUSPENDED_FUELLING,
)


class ControllerServer:
    """
    Serve *controller* on *host* and *port*; port 0 takes a free one.

    `lose_replies` says how many of the next replies get lost on the way back: their requests
    were obeyed, and their sender cannot know.
    """

    def __init__(self, controller: Controller, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.controller = controller
        self.host = host
        self.lose_replies = 0
        self.requests = 0
        self._wanted_port = port
        self._server: ModbusTcpServer | None = None
        self._encoded: dict[int, tuple[layout.NozzleStatus, list[int]]] = {}

    @property
    def port(self) -> int:
        """The port listened on; meaningful once started."""
        if self._server is None:
            return self._wanted_port
        listening = cast("Server", self._server.transport)
        return cast("int", listening.sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Listen; raises `OSError` when the address is taken or not ours."""
        device = SimDevice(id=_ANY_DEVICE, simdata=self._blocks(), action=self._on_access)
        server = ModbusTcpServer(
            device,
            address=(self.host, self._wanted_port),
            ignore_missing_devices=True,
            trace_packet=self._on_packet,
        )
        try:
            await server.serve_forever(background=True)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {self.host}:{self._wanted_port}") from error
        self._server = server

    async def stop(self) -> None:
        if self._server is not None:
            server, self._server = self._server, None
            await server.shutdown()  # type: ignore[no-untyped-call]  # pymodbus types it half

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _blocks(self) -> list[SimData]:
        profile = self.controller.profile
        count = len(self.controller.numbers)
        spans = (
            (profile.controller.address, profile.controller.length, True),
            (profile.status.address, count * profile.status.stride, True),
            (profile.command.address, count * profile.command.stride, False),
            (profile.ring.address, count * profile.ring.size * profile.ring.stride, True),
        )
        # pymodbus packs values of type REGISTERS one by one, and thrice: 20 ms a controller.
        # BITS takes them as they are.
        return [
            SimData(address, values=[0] * length, datatype=DataType.BITS, readonly=readonly)
            for address, length, readonly in spans
        ]

    def _on_packet(self, sending: bool, data: bytes) -> bytes:  # noqa: FBT001 - pymodbus calls it
        if sending and self.lose_replies:
            self.lose_replies -= 1
            return b""
        return data

    async def _on_access(
        self,
        _function_code: int,
        start: int,
        address: int,
        count: int,
        registers: list[int],
        values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        """
        Bring *registers*, the image from *start* on, up to date for what is asked, or obey.

        Must not wait: a late reply would be taken for the answer to a newer request.
        """
        if self.controller.silent:
            # To pymodbus a device that is not on the bus, and nobody answers for it.
            raise NoSuchIdException
        self.requests += 1
        if values is None:
            self._refresh(start, range(address, address + count), registers)
            return None
        return self._obey(start, address, cast("list[int]", values), registers)

    def _refresh(self, start: int, asked: range, registers: list[int]) -> None:
        profile = self.controller.profile
        header, status, ring = profile.controller, profile.status, profile.ring
        if asked.start < header.address + header.length and asked.stop > header.address:
            _put(registers, header.address - start, self._header_words())
        for number in self._positions_of(status, asked):
            _put(registers, profile.status_address(number) - start, self._status_words(number))
        for number in self._positions_of(profile.command, asked):
            self._command_words(number, registers, profile.command_address(number) - start)
        slots = len(self.controller.numbers) * ring.size
        for index in _touched(ring.address, ring.stride, slots, asked):
            position, slot = divmod(index, ring.size)
            record = self.controller.ring(position + 1).record_in(slot)
            if record is not None:
                _put(registers, ring.address + index * ring.stride - start, record.words)

    def _header_words(self) -> list[int]:
        controller = self.controller
        header = layout.Controller(
            serial=controller.serial,
            clock_at=controller.device_time(),
            nozzle_count=len(controller.numbers),
            ring_size=controller.profile.ring.size,
        )
        return layout.encode_controller(controller.profile, header)

    def _status_words(self, number: int) -> list[int]:
        controller = self.controller
        nozzle, ring = controller.nozzle(number), controller.ring(number)
        status = layout.NozzleStatus(
            state=nozzle.state.value,
            transaction=ring.head,
            acknowledged=ring.acknowledged,
            totalizer_ml=controller.totalizer_ml(number),
            unit_price_milli_per_litre=nozzle.sale_price_milli_per_litre,
            grade_code=controller.grade_codes[nozzle.grade],
        )
        encoded = self._encoded.get(number)
        if encoded is None or encoded[0] != status:
            encoded = status, layout.encode_status(controller.profile, status)
            self._encoded[number] = encoded
        return encoded[1]

    def _obey(
        self, start: int, address: int, values: list[int], registers: list[int]
    ) -> ExcCodes | None:
        command = self.controller.profile.command
        written = range(address, address + len(values))
        for number in self._positions_of(command, written):
            block = self.controller.profile.command_address(number)
            words = self._command_words(number, registers, block - start)
            for word_address in written:
                if block <= word_address < block + command.stride:
                    words[word_address - block] = values[word_address - address]
            offsets = range(address - block, address - block + len(values))
            refusal = self._obey_one(number, words, offsets)
            if refusal is not None:
                return refusal
        return None

    def _obey_one(self, number: int, words: list[int], written: range) -> ExcCodes | None:
        """Obey one nozzle's command block, of which the offsets *written* are new."""
        profile = self.controller.profile
        command = profile.command
        if command.close.address in written:
            transaction = words[command.close.address]
            ring = self.controller.ring(number)
            # A repeated acknowledgement is what a lost reply leads to; a number never
            # given is a reader that talks to the wrong nozzle.
            if not (self.controller.acknowledge(number, transaction) or ring.knows(transaction)):
                return ExcCodes.ILLEGAL_VALUE
        if command.authorise.address not in written:
            return None
        try:
            match words[command.authorise.address]:
                case 0:
                    self.controller.withdraw(number)
                case layout.AUTHORISE:
                    preset_fen = layout.decode_preset_fen(profile, words)
                    self.controller.authorise(number, preset_fen=preset_fen or None)
                case _:
                    return ExcCodes.ILLEGAL_VALUE
        except OperationRefused:
            return ExcCodes.DEVICE_BUSY
        except RegisterFault:
            return ExcCodes.ILLEGAL_VALUE
        return None

    def _command_words(self, number: int, registers: list[int], offset: int) -> list[int]:
        """
        Return a copy of a command block as it was last written.

        An authorisation that has been used up, or withdrawn, has left it with its preset.
        """
        command = self.controller.profile.command
        words = registers[offset : offset + command.stride]
        authorised = words[command.authorise.address] == layout.AUTHORISE
        if authorised and self.controller.nozzle(number).state not in _IN_USE:
            words[command.authorise.address] = 0
            words[command.preset.address : command.preset.end] = [0] * command.preset.words
            _put(registers, offset, words)
        return words

    def _positions_of(self, block: StatusBlock | CommandBlock, asked: range) -> range:
        touched = _touched(block.address, block.stride, len(self.controller.numbers), asked)
        return range(touched.start + 1, touched.stop + 1)


def _touched(base: int, stride: int, count: int, asked: range) -> range:
    """Return which of *count* blocks of *stride* registers from *base* on *asked* touches."""
    first = (asked.start - base) // stride
    last = (asked.stop - 1 - base) // stride
    return range(max(0, first), min(count, last + 1))


def _put(registers: list[int], offset: int, words: Sequence[int]) -> None:
    registers[offset : offset + len(words)] = words
