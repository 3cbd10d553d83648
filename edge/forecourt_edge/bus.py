"""
One Modbus connection, shared by every device behind it.

The client serialises its requests.  Nothing is retried here: a repeated write would
authorise twice, and a repeated read is the next poll.  After a time-out the connection
is dropped, so that a late answer cannot be taken for the next one.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from pymodbus import FramerType, ModbusException
from pymodbus.client import AsyncModbusTcpClient

from forecourt_edge import journal
from forecourt_edge.errors import DeviceRefused, DeviceSilent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymodbus.pdu import ModbusPDU

_BACK_OFF_SECONDS = 0.25


class BackOff:
    """Waits that double up to a limit, with jitter so that stations do not return in step."""

    def __init__(self, *, first_seconds: float, seconds_max: float) -> None:
        self._first_seconds = min(first_seconds, seconds_max)
        self._seconds_max = seconds_max
        self._next_seconds = self._first_seconds
        self._until = 0.0

    @property
    def over(self) -> bool:
        return time.monotonic() >= self._until

    def failed(self) -> float:
        """Begin the next wait and return its length."""
        seconds = self._next_seconds * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret
        self._next_seconds = min(self._next_seconds * 2, self._seconds_max)
        self._until = time.monotonic() + seconds
        return seconds

    def succeeded(self) -> None:
        self._next_seconds = self._first_seconds
        self._until = 0.0


class Bus:
    """A Modbus TCP connection that comes back by itself."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        framing: str = "socket",
        timeout_seconds: float,
        back_off_seconds_max: float,
    ) -> None:
        self.name = f"{host}:{port}"
        self.connections = 0
        self._back_off = BackOff(first_seconds=_BACK_OFF_SECONDS, seconds_max=back_off_seconds_max)
        # `reconnect_delay=0`: pymodbus would reconnect beside us and wait up to five minutes.
        self._client = AsyncModbusTcpClient(
            host,
            port=port,
            framer=FramerType(framing),
            timeout=timeout_seconds,
            retries=0,
            reconnect_delay=0,
        )

    async def ready(self) -> bool:
        """Return whether there is a connection, after trying for one when its time has come."""
        if self._client.connected:
            return True
        if not self._back_off.over:
            return False
        if await self._client.connect():
            self.connections += 1
            self._back_off.succeeded()
            journal.note("bus_connected", bus=self.name)
            return True
        self._back_off.failed()
        return False

    async def read(self, device_id: int, address: int, count: int) -> list[int]:
        """
        Return *count* holding registers.

        Raises `DeviceSilent` without an answer in time and `DeviceRefused` for an
        exception reply or a short one.
        """
        try:
            reply = await self._client.read_holding_registers(
                address, count=count, device_id=device_id
            )
        except (ModbusException, OSError) as error:
            raise self._silent(error) from error
        self._check(reply, address)
        if len(reply.registers) != count:
            reason = f"{len(reply.registers)} registers instead of {count}"
            raise DeviceRefused(bus=self.name, address=address, reason=reason)
        return list(reply.registers)

    async def write(self, device_id: int, address: int, words: Sequence[int]) -> None:
        """Write once; after `DeviceSilent` it is unknown whether the device obeyed."""
        try:
            if len(words) == 1:
                reply = await self._client.write_register(address, words[0], device_id=device_id)
            else:
                reply = await self._client.write_registers(
                    address, list(words), device_id=device_id
                )
        except (ModbusException, OSError) as error:
            raise self._silent(error) from error
        self._check(reply, address)

    def close(self) -> None:
        self._client.close()

    def _silent(self, error: Exception) -> DeviceSilent:
        self._client.close()
        return DeviceSilent(bus=self.name, reason=type(error).__name__)

    def _check(self, reply: ModbusPDU, address: int) -> None:
        if reply.isError():
            reason = f"exception code {getattr(reply, 'exception_code', 'unknown')}"
            raise DeviceRefused(bus=self.name, address=address, reason=reason)
