"""Stations for tests: simulated controllers, and a component between them and a cloud."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from forecourt_edge.component import Component
from forecourt_edge.config import EdgeConfig
from forecourt_simulator.clock import ManualClock
from forecourt_simulator.controller import Controller, NozzleSetup
from forecourt_simulator.server import ControllerServer
from tests.edge.stand_in_cloud import Cloud

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from forecourt_edge.profile import Profile

OPENING = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
PROFILES = ("forecourt-controller", "preset-controller-bcd")
PATIENCE_SECONDS = 10


def start(config: Path, *more: str) -> subprocess.Popen[str]:
    """Start the component as a program; what it logs can be read from its output."""
    return subprocess.Popen(
        [sys.executable, "-m", "forecourt_edge", "--config", str(config), *more],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    )


def config_for(directory: Path, *ports: int, nozzles: int = 1, **changes: Any) -> EdgeConfig:
    """Return a configuration with one controller of *nozzles* nozzles at each of *ports*."""
    controllers = [
        {
            "name": f"island-{island}",
            "host": "127.0.0.1",
            "port": port,
            "profile": changes.get("profile", "forecourt-controller"),
            "authorise_calls": changes.get("authorise_calls", False),
            "nozzles": [
                {"nozzle": (island - 1) * nozzles + position, "position": position}
                for position in range(1, nozzles + 1)
            ],
        }
        for island, port in enumerate(ports, start=1)
    ]
    document = {
        "station_id": "s0001",
        "controllers": controllers,
        "poll_interval_seconds": 0.01,
        "device_timeout_seconds": 0.3,
        "device_back_off_seconds_max": 0.1,
        "outbox": {"path": str(directory / "outbox.db")},
        "uplink": {"kind": "greengrass"},
    }
    own = {"profile", "authorise_calls"}
    document |= {name: value for name, value in changes.items() if name not in own}
    return EdgeConfig.model_validate(document)


def controller_for(
    *,
    nozzles: int = 1,
    serial: str = "SN4711",
    clock: ManualClock | None = None,
    **changes: Any,
) -> Controller:
    setup = {
        name: changes.pop(name)
        for name in ("first_transaction", "totalizer_ml", "flow")
        if name in changes
    }
    return Controller(
        serial=serial,
        nozzles=[
            NozzleSetup(grade="92", unit_price_milli_per_litre=7560, **setup)
            for _ in range(nozzles)
        ],
        clock=clock or ManualClock(start=OPENING),
        **changes,
    )


def sell(controller: Controller, count: int, *, nozzle: int = 1, volume_ml: int = 10_000) -> None:
    for _ in range(count):
        controller.dispense(nozzle, volume_ml)


@dataclass(slots=True, kw_only=True)
class Station:
    """A running station; `poll` is the only thing that makes it read its pumps."""

    controller: Controller
    server: ControllerServer
    component: Component
    cloud: Cloud

    async def settle(self) -> None:
        """Poll until every finished sale is with the cloud and closed at the pump."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                await self.component.poll()
                if self.component.poller.settled and not self.component.outbox.count():
                    return
                await asyncio.sleep(0.005)


@asynccontextmanager
async def running(
    directory: Path,
    controller: Controller | None = None,
    *,
    cloud: Cloud | None = None,
    configure: Callable[[int], EdgeConfig] | None = None,
    profile: Profile | None = None,
    now: Callable[[], datetime] | None = None,
) -> AsyncIterator[Station]:
    """Run a component against *controller*; with *profile* it believes in another register map."""
    controller = controller or controller_for()
    cloud = cloud or Cloud()
    async with ControllerServer(controller) as server:
        nozzles = len(controller.numbers)
        config = (
            configure(server.port)
            if configure
            else config_for(
                directory, server.port, nozzles=nozzles, profile=controller.profile.name
            )
        )
        component = Component(
            config,
            now=now or controller.clock.now,
            clock_synchronised=lambda: True,
            uplink=cloud,
            poll=False,
            profiles=None if profile is None else {"island-1": profile},
        )
        async with component:
            yield Station(controller=controller, server=server, component=component, cloud=cloud)
