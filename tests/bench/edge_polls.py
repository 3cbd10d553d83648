"""
How many nozzles one core polls in a second, and how many Modbus requests that takes.

A request reads the nozzles of a controller whose registers lie together. The controllers run in a
process of their own; counted is the processor time of the component's process alone, over nozzles
at rest, where a station spends nearly all of it.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

from forecourt_edge.bus import Bus
from forecourt_edge.component import Component
from forecourt_edge.config import EdgeConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOZZLES = 64
CONTROLLERS = 2
ROUNDS = 400

_SERVE = """
import asyncio, json, sys
from forecourt_simulator.controller import Controller, NozzleSetup
from forecourt_simulator.server import ControllerServer

async def main(controllers, nozzles):
    servers = []
    for number in range(controllers):
        setup = NozzleSetup(grade="92", unit_price_milli_per_litre=7560, totalizer_ml=123450)
        controller = Controller(serial=f"SN{number}", nozzles=[setup] * nozzles)
        servers.append(ControllerServer(controller))
        await servers[-1].start()
    print(json.dumps([server.port for server in servers]), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
"""


class Nowhere:
    """An uplink that is never connected: nothing is to be sent here."""

    connected = False

    async def start(self, *, subscribe_to: str, on_message: Callable[[str, bytes], None]) -> None:
        """Connect to nobody."""

    async def publish(self, topic: str, payload: bytes) -> None:
        """Take nothing."""

    async def stop(self) -> None:
        """Have nothing to close."""


def measure(rounds: int = ROUNDS) -> dict[str, float]:
    """
    Return `edge.polls_per_second` and `edge.requests_per_second`, by processor time.

    The former counts nozzles.
    """
    with tempfile.TemporaryDirectory() as directory, _controllers() as ports:
        return asyncio.run(_poll(Path(directory), ports, rounds))


async def _poll(directory: Path, ports: list[int], rounds: int) -> dict[str, float]:
    async with Component(_config(directory, ports), uplink=Nowhere(), poll=False) as component:
        while not component.poller.settled:
            await component.poll()
        polls = component.poller.polls
        with _counted_requests() as requests:
            started = time.process_time()
            for _ in range(rounds):
                await component.poller.poll()
            seconds = time.process_time() - started
        return {
            "edge.polls_per_second": (component.poller.polls - polls) / seconds,
            "edge.requests_per_second": requests.total() / seconds,
        }


@contextmanager
def _counted_requests() -> Iterator[Counter[int]]:
    """Count the requests of all buses, by device."""
    requests: Counter[int] = Counter()
    read = Bus.read

    async def counted(bus: Bus, device_id: int, address: int, count: int) -> list[int]:
        requests[device_id] += 1
        return await read(bus, device_id, address, count)

    with patch.object(Bus, "read", counted):
        yield requests


def _config(directory: Path, ports: list[int]) -> EdgeConfig:
    each = NOZZLES // CONTROLLERS
    controllers = [
        {
            "name": f"island-{index}",
            "host": "127.0.0.1",
            "port": port,
            "profile": "forecourt-controller",
            "nozzles": [
                {"nozzle": index * each + position, "position": position}
                for position in range(1, each + 1)
            ],
        }
        for index, port in enumerate(ports)
    ]
    return EdgeConfig.model_validate(
        {
            "station_id": "s0001",
            "controllers": controllers,
            "outbox": {"path": str(directory / "outbox.db")},
            "uplink": {"kind": "greengrass"},
        }
    )


@contextmanager
def _controllers() -> Iterator[list[int]]:
    with subprocess.Popen(
        [sys.executable, "-c", _SERVE, str(CONTROLLERS), str(NOZZLES // CONTROLLERS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        text=True,
    ) as serving:
        assert serving.stdout is not None
        try:
            yield json.loads(serving.stdout.readline())
        finally:
            serving.terminate()


if __name__ == "__main__":
    print(json.dumps(measure()))
