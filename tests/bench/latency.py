"""
Hang-up to balance through everything: pump registers, polling, MQTT, queue, streams.

The gateways poll at the pace they ship with.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
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
PERCENTILES = (50, 95, 99)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """When each sale was hung up, in order, and how long each took to its balance."""

    hung_up_at: list[datetime]
    seconds: list[float]

    @property
    def reached_per_second(self) -> float:
        """What was really sold: a machine that is too slow for the rate falls behind it."""
        lasted = self.hung_up_at[-1] - self.hung_up_at[0]
        return (len(self.hung_up_at) - 1) / lasted.total_seconds()

    def figures(self, name: str) -> dict[str, float]:
        """Return the figures `latency.<name>.*`."""
        cuts = quantiles(self.seconds, n=100, method="inclusive")
        percentiles = {f"p{each}_ms": round(cuts[each - 1] * 1000, 1) for each in PERCENTILES}
        reached = {"reached_per_second": round(self.reached_per_second, 2)}
        return {f"latency.{name}.{each}": value for each, value in (percentiles | reached).items()}


class Rush(Scene):
    """Stations without drivers: sales at a given rate, each with a member's card and account."""

    async def sell(self, *, per_second: float, seconds: float) -> Run:
        """Sell at the rate, or as near to it as this machine comes, and follow each sale."""
        following = Following(self.stack, every_seconds=LOOK_EVERY_SECONDS)
        looking = asyncio.create_task(following.run())
        loop = asyncio.get_running_loop()
        count = max(2, round(per_second * seconds))
        hung_up_at: list[datetime] = []
        began = loop.time()
        try:
            for number in range(count):
                await asyncio.sleep(began + number / per_second - loop.time())
                truth = await self._sale()
                hung_up_at.append(truth.hung_up_at)
                following.follow(truth)
            if not await following.drained(within_seconds=120):
                raise RuntimeError(f"{following.pending} sales never settled")
        finally:
            await cancelled(looking)
        took = [each.seconds for each in following.settled.values() if each.seconds is not None]
        return Run(hung_up_at=hung_up_at, seconds=took)

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
    """
    Return `latency.<at>.p50_ms`, `p95_ms` and `p99_ms`, at rest and at each rate a second.

    `reached_per_second` says how near to the rate the machine came.
    """
    return asyncio.run(_measure(stack, rates))


async def _measure(stack: LocalStack, rates: tuple[float, ...]) -> dict[str, float]:
    figures: dict[str, float] = {}
    async with Rush(stack, speed=1) as rush:
        rush.prepare()
        await rush.sell(per_second=5, seconds=WARM_UP_SALES / 5)
        for name, rate in (("at_rest", 1.0), *((f"at_{rate:g}", rate) for rate in rates)):
            figures |= (await rush.sell(per_second=rate, seconds=SECONDS)).figures(name)
    return figures
