"""A small chain of stations with members, wired to the local stack."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from forecourt_simulator.cameras import Eyesight
from forecourt_simulator.clock import PacedClock
from forecourt_simulator.drivers import Habits, draw_drivers
from forecourt_simulator.station import Station, usual_nozzles
from infra.local.api_client import ApiClient
from infra.local.gateway import Gateway, free_port, mqtt_uplink
from infra.local.seed import PROGRAM, activate_program, enrol, register_station

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.local.seed import Credentials
    from infra.local.stack import LocalStack

ZONE = "Asia/Shanghai"
STATIONS = {"s0001": "West Lake Road", "s0002": "Qianjiang Bridge"}
NOZZLES = 8
DRIVERS = 24
MEMBERS_PERCENT = 60
# One of the stations has a till that tells of some of its sales as well.
RECEIPTS_PERCENT = {"s0002": 30}
SEED = 20261123


class Scene:
    """
    Stations, their gateways and their members; everything runs inside the `async with` block.

    *speed* is how much faster than life drivers drive, fuel and leave.
    """

    def __init__(
        self,
        stack: LocalStack,
        *,
        speed: float,
        arrivals_per_hour: int = 90,
        misread_percent: int = 3,
        seed: int = SEED,
        say: Callable[[str], None] = print,
    ) -> None:
        self.stack = stack
        self.operator = ApiClient(stack.api_url, stack.token("operator"))
        self.drivers = draw_drivers(
            seed=seed, count=DRIVERS, stations=list(STATIONS), members_percent=MEMBERS_PERCENT
        )
        self.members: dict[str, str] = {}
        self.gateways: list[Gateway] = []
        self.credentials: dict[str, Credentials] = {}
        self._say = say
        self.resources = AsyncExitStack()
        self._ports = {station_id: free_port() for station_id in STATIONS}
        self.stations = [
            Station(
                station_id=station_id,
                drivers=self.drivers,
                nozzles=usual_nozzles(NOZZLES, seed=seed, station_id=station_id),
                seed=seed,
                clock=PacedClock(speed=speed),
                habits=Habits(arrivals_per_hour=arrivals_per_hour),
                gateway_url=f"http://127.0.0.1:{self._ports[station_id]}",
                eyesight=Eyesight(misread_percent=misread_percent),
                receipts_percent=RECEIPTS_PERCENT.get(station_id, 0),
            )
            for station_id in STATIONS
        ]

    async def __aenter__(self) -> Self:
        try:
            await asyncio.to_thread(self._seed)
            for station in self.stations:
                await self.resources.enter_async_context(station)
                gateway = await self.gateway_of(station)
                self.gateways.append(gateway)
                gateway.start()
            self.resources.push_async_callback(self._stop_gateways)
            for gateway in self.gateways:
                await gateway.listens()
            self._say(f"{len(self.gateways)} gateways read {len(self.stations)} forecourts")
        except BaseException:
            await self._stop_gateways()
            await self.resources.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.resources.aclose()

    async def run(self, *, sales: int | None = None) -> None:
        """Let drivers come to all stations, *sales* of them in all, or until cancelled."""
        async with asyncio.TaskGroup() as running:
            for index, station in enumerate(self.stations):
                share = None if sales is None else _share(sales, len(self.stations), index)
                running.create_task(station.run(visits=share))

    async def gateway_of(self, station: Station) -> Gateway:
        """Return the gateway of *station*, which is running, not yet started."""
        return Gateway(self.configuration(station), folder=self.stack.folder)

    def configuration(self, station: Station) -> dict[str, Any]:
        """Return the configuration of the edge component at *station*."""
        return {
            **station.wiring(with_cameras=True),
            "time_zone": ZONE,
            "listen": {"host": "127.0.0.1", "port": self._ports[station.station_id]},
            # Cars come back sooner than in life.
            "joining": {"reuse_pause_seconds": 5},
            "outbox": {"path": str(self.stack.folder / f"{station.station_id}.outbox")},
            "uplink": mqtt_uplink(self.stack, self.credentials[station.station_id]),
        }

    def _seed(self) -> None:
        began = datetime.now(UTC) - timedelta(days=1)
        version = activate_program(self.operator, PROGRAM, effective_at=began)
        self._say(f"Program version {version} is in force")
        grades = {grade for rule in PROGRAM["rules"] for grade in rule["grades"]}
        for station_id, name in STATIONS.items():
            self.credentials[station_id] = register_station(
                self.operator,
                station_id=station_id,
                name=name,
                zone=ZONE,
                grades=grades,
                open_since=began,
                folder=self.stack.folder,
            )
            self._say(f"Station {station_id} ({name}) has its certificate")
        members = [driver for driver in self.drivers if driver.member_key]
        for number, driver in enumerate(members, start=1):
            identities = {str(kind): value for kind, value in driver.identities.items()}
            self.members[enrol(self.operator, identities, name=f"Driver {number}")] = driver.key
            if number % 10 == 0 or number == len(members):
                self._say(f"  {number} of {len(members)} members enrolled")

    async def _stop_gateways(self) -> None:
        for gateway in self.gateways:
            await asyncio.to_thread(gateway.stop)


def _share(total: int, parts: int, index: int) -> int:
    return total // parts + (index < total % parts)
