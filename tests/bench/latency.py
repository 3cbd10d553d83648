"""Hang-up to balance through everything: pump registers, polling, MQTT, queue, streams."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from itertools import cycle
from statistics import quantiles
from typing import TYPE_CHECKING

from forecourt.sales import Evidence, EvidenceKind
from forecourt_simulator.station import SaleTruth
from infra.local.following import Following, cancelled
from infra.local.scene import Scene

if TYPE_CHECKING:
    from infra.local.stack import LocalStack

SECONDS = 20.0
WARM_UP_SALES = 20
LOOK_EVERY_SECONDS = 0.02
VOLUME_ML = 30_000


class Rush(Scene):
    """Stations without drivers: sales at a given rate, each with a member's card and account."""

    async def sell(self, *, per_second: float, seconds: float) -> list[float]:
        """Return the seconds to the balance of each sale."""
        following = Following(self.stack, every_seconds=LOOK_EVERY_SECONDS)
        looking = asyncio.create_task(following.run())
        loop = asyncio.get_running_loop()
        count = max(1, round(per_second * seconds))
        began = loop.time()
        try:
            for number in range(count):
                await asyncio.sleep(began + number / per_second - loop.time())
                following.follow(await self._sale())
            if not await following.drained(within_seconds=120):
                raise RuntimeError(f"{following.pending} sales never settled")
        finally:
            await cancelled(looking)
        return [each.seconds for each in following.settled.values() if each.seconds is not None]

    async def _sale(self) -> SaleTruth:
        station, nozzle = next(self._places)
        payer = next(self._payers)
        await station.controller.wait_for_room(nozzle)
        if station.till is None:
            raise RuntimeError(station.station_id)
        account = payer.identities[EvidenceKind.PAYMENT]
        await station.till.report(nozzle, Evidence(kind=EvidenceKind.PAYMENT, value=account))
        sale = station.controller.dispense(
            nozzle,
            VOLUME_ML,
            at=datetime.now(UTC).replace(microsecond=0),
            card=payer.identities[EvidenceKind.CARD],
        )
        hung_up_at = datetime.now(UTC)
        truth = station.truth[-1]
        if truth.sale != sale:
            raise RuntimeError(sale)
        return SaleTruth(
            station_id=truth.station_id,
            device_serial=truth.device_serial,
            sale=sale,
            sale_id=truth.sale_id,
            hung_up_at=hung_up_at,
        )

    def prepare(self) -> None:
        """Lay out who sells and who pays."""
        self._places = cycle(
            [
                (station, nozzle)
                for nozzle in self.stations[0].controller.numbers
                for station in self.stations
            ]
        )
        self._payers = cycle([driver for driver in self.drivers if driver.member_key is not None])


def latencies(stack: LocalStack, rates: tuple[float, ...] = (10, 20, 40)) -> dict[str, float]:
    """Return `latency.<at>.p50_ms`, `p95_ms` and `p99_ms`, at rest and at each rate a second."""
    return asyncio.run(_measure(stack, rates))


async def _measure(stack: LocalStack, rates: tuple[float, ...]) -> dict[str, float]:
    figures: dict[str, float] = {}
    async with Rush(stack, speed=1) as rush:
        rush.prepare()
        await rush.sell(per_second=5, seconds=WARM_UP_SALES / 5)
        for name, rate in (("at_rest", 1.0), *((f"at_{rate:g}", rate) for rate in rates)):
            seconds = await rush.sell(per_second=rate, seconds=SECONDS)
            cuts = quantiles(seconds, n=100, method="inclusive")
            for percent in (50, 95, 99):
                figures[f"latency.{name}.p{percent}_ms"] = round(cuts[percent - 1] * 1000, 1)
    return figures
