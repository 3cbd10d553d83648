"""
One station: its controller, its cameras, its till and the drivers who come.

Everything that is sold is also told in the process as `SaleTruth`, so that whoever runs the
station can compare what arrives elsewhere with what really left the nozzles.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any, Self

from forecourt.sales import sale_id_for
from forecourt_simulator.cameras import Camera, Eyesight, Receipt, Till
from forecourt_simulator.clock import Clock, PacedClock
from forecourt_simulator.controller import Controller, NozzleSetup
from forecourt_simulator.drivers import Driver, Habits, Offer, Visit, plan_visits
from forecourt_simulator.errors import DeliveryFailed
from forecourt_simulator.server import ControllerServer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from forecourt.sales import Evidence
    from forecourt_edge.profile import Profile
    from forecourt_simulator.ring import FinishedSale

USUAL_PRICES = {"92": 7_560, "95": 8_050, "98": 9_120, "0": 7_210}
_GRADES_BY_NOZZLE = ("92", "95", "92", "95", "92", "98", "0", "95")
_NOZZLES_PER_CAMERA = 2
_CAMERA_PATIENCE_SECONDS = 2.0  # Nobody waits at the pump for a gateway that is down.
_TILL_TRIES_AGAIN_SECONDS = 0.2
_REFUSALS = range(400, 500)  # said again, it would be refused again
_PRINTED_AFTER = timedelta(seconds=20)  # hanging up, walking to the till
_METERED_BEFORE_ML = (50_000_000, 2_000_000_000)
_TRANSACTIONS_BEFORE = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleTruth:
    """
    What really happened at a nozzle.

    `sale` is as metered, in true time. `plate` is the car's own and `plate_read` what a camera
    made of it; both are `None` for a sale that no driver of ours made. `hung_up_at` is the
    machine's time. `sale_id` is what the sale has to be known as everywhere, `None` when the
    controller has no clock to take part of it from.
    """

    station_id: str
    device_serial: str
    sale: FinishedSale
    sale_id: str | None
    hung_up_at: datetime
    visit: int | None = None
    driver_key: str | None = None
    member_key: str | None = None
    plate: str | None = None
    plate_read: str | None = None
    evidence: tuple[Evidence, ...] = ()


@dataclass(slots=True, kw_only=True)
class NozzleTotals:
    """What one nozzle has sold since the station began, and its meter then."""

    totalizer_at_start_ml: int
    sales: int = 0
    volume_ml: int = 0
    amount_fen: int = 0


@dataclass(slots=True)
class _Customer:
    visit: Visit
    plate_read: str | None = None
    evidence: list[Evidence] = field(default_factory=list)


class Station:
    """
    A station that can be read over Modbus while drivers come and go.

    *clock* sets the pace for pumps and drivers alike. With *waits_for_reader* a driver waits at
    a pump whose ring of unread sales is full, so that none is ever lost; without it sales
    overwrite each other as they would in the field.

    Of *receipts_percent* of its sales the till tells the gateway afterwards as well, until
    the gateway has them: `receipts` says which.

    Between two cars at a nozzle pass at least *changeover_seconds* of the machine's time if
    cameras are watching: controllers count whole seconds, and at a high speed the next car's
    plate would otherwise be seen within the last second of the sale before.
    """

    def __init__(
        self,
        *,
        station_id: str,
        drivers: Sequence[Driver],
        nozzles: Sequence[NozzleSetup],
        seed: int = 0,
        serial: str | None = None,
        profile: Profile | None = None,
        clock: Clock | None = None,
        clock_offset_seconds: int | None = 0,
        auto_authorise: bool = True,
        habits: Habits | None = None,
        gateway_url: str | None = None,
        till_token: str | None = None,
        eyesight: Eyesight | None = None,
        receipts_percent: int = 0,
        waits_for_reader: bool = True,
        changeover_seconds: float = 1.5,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.station_id = station_id
        self.drivers = drivers
        self.seed = seed
        self.habits = habits or Habits()
        self.waits_for_reader = waits_for_reader
        self.receipts_percent = receipts_percent
        self.receipts: list[Receipt] = []
        self.controller = Controller(
            serial=serial or f"FC-{station_id.upper()}",
            nozzles=nozzles,
            profile=profile,
            clock=clock or PacedClock(),
            clock_offset_seconds=clock_offset_seconds,
            auto_authorise=auto_authorise,
        )
        self.server = ControllerServer(self.controller, host=host, port=port)
        self.cameras: dict[int, Camera] = {}
        self.till: Till | None = None
        self.changeover_seconds = changeover_seconds
        if gateway_url is not None:
            self.connect_gateway(gateway_url, till_token=till_token, eyesight=eyesight)
        self.truth: list[SaleTruth] = []
        self.undelivered = 0
        self.totals = {
            number: NozzleTotals(totalizer_at_start_ml=self.controller.totalizer_ml(number))
            for number in self.controller.numbers
        }
        self._at_nozzle: dict[int, _Customer] = {}
        self._free = {number: asyncio.Lock() for number in self.controller.numbers}
        self._listeners: list[Callable[[SaleTruth], None]] = []
        self._visits = plan_visits(
            seed=seed,
            station_id=station_id,
            drivers=drivers,
            offers={
                number: Offer(
                    grade=setup.grade, unit_price_milli_per_litre=setup.unit_price_milli_per_litre
                )
                for number, setup in enumerate(nozzles, start=1)
            },
            habits=self.habits,
            resolution_ml=self.controller.profile.volume_resolution_ml,
        )
        self.controller.on_sale(self._note)

    @property
    def port(self) -> int:
        return self.server.port

    async def __aenter__(self) -> Self:
        await self.server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.server.stop()

    def on_sale(self, listener: Callable[[SaleTruth], None]) -> None:
        """Call *listener* with the truth about every sale the moment it is finished."""
        self._listeners.append(listener)

    def connect_gateway(
        self,
        gateway_url: str,
        *,
        till_token: str | None = None,
        eyesight: Eyesight | None = None,
    ) -> None:
        """
        Let cameras and till push to the gateway at *gateway_url*.

        One camera hangs over each island: two nozzles, one in each of its lanes.
        """
        for name, nozzles in self._islands():
            camera = Camera(
                name=name,
                url=gateway_url,
                lanes=dict(enumerate(nozzles, start=1)),
                seed=self.seed,
                eyesight=eyesight,
            )
            self.cameras |= dict.fromkeys(nozzles, camera)
        self.till = Till(url=gateway_url, token=till_token)

    async def run(self, *, visits: int | None = None) -> None:
        """
        Let drivers come, *visits* of them or until cancelled; returns when the last has left.

        Called again it goes on with the drivers after those.
        """
        clock = self.controller.clock
        began_ms: int | None = None
        served = 0
        async with asyncio.TaskGroup() as visitors:
            while visits is None or served < visits:
                visit = next(self._visits)
                if began_ms is None:
                    began_ms = clock.running_ms() - visit.arrives_at_ms
                await clock.sleep_ms(began_ms + visit.arrives_at_ms - clock.running_ms())
                visitors.create_task(self._serve(visit))
                served += 1

    def wiring(self, *, name: str = "forecourt", with_cameras: bool) -> dict[str, Any]:
        """
        Return the parts of an edge component's configuration that describe this station.

        The port is the one listened on, so start first. Cameras need a component that listens.
        """
        profile = self.controller.profile
        numbers = list(self.controller.numbers)
        wiring: dict[str, Any] = {
            "station_id": self.station_id,
            "controllers": [
                {
                    "name": name,
                    "host": self.server.host,
                    "port": self.port,
                    "profile": profile.name,
                    "authorise_calls": not self.controller.auto_authorise,
                    "nozzles": [{"nozzle": number, "position": number} for number in numbers],
                }
            ],
            "cameras": [],
        }
        if with_cameras:
            wiring["cameras"] = [
                {
                    "name": camera,
                    "nozzles": nozzles,
                    "lanes": {str(lane): [nozzle] for lane, nozzle in enumerate(nozzles, start=1)},
                }
                for camera, nozzles in self._islands()
            ]
        return wiring

    def _islands(self) -> list[tuple[str, list[int]]]:
        numbers = list(self.controller.numbers)
        return [
            (f"camera-{index + 1}", numbers[first : first + _NOZZLES_PER_CAMERA])
            for index, first in enumerate(range(0, len(numbers), _NOZZLES_PER_CAMERA))
        ]

    async def _serve(self, visit: Visit) -> None:
        """Take one driver from arrival to departure; at a busy nozzle they queue in order."""
        clock = self.controller.clock
        async with self._free[visit.nozzle]:
            if self.waits_for_reader:
                await self.controller.wait_for_room(visit.nozzle)
            customer = _Customer(visit)
            self._at_nozzle[visit.nozzle] = customer
            try:
                async with asyncio.TaskGroup() as arriving:
                    arriving.create_task(self._recognise(customer))
                    arriving.create_task(clock.sleep_ms(visit.walks_ms))
                await self._identify(customer)
                sold = await self.controller.fuel(
                    visit.nozzle,
                    visit.volume_ml,
                    preset_fen=visit.preset_fen,
                    dawdle_ms=visit.dawdles_ms,
                )
            finally:
                del self._at_nozzle[visit.nozzle]
            async with asyncio.TaskGroup() as leaving:
                leaving.create_task(clock.sleep_ms(visit.leaves_ms))
                leaving.create_task(asyncio.sleep(self.changeover_seconds if self.cameras else 0))
        if sold is not None and sold.volume_ml:
            await self._print_receipt(visit, sold)

    async def _recognise(self, customer: _Customer) -> None:
        visit = customer.visit
        camera = self.cameras.get(visit.nozzle)
        if camera is None:
            return
        event = camera.look(
            visit.driver.plate,
            nozzle=visit.nozzle,
            at=datetime.now(UTC),
            occasion=visit.number,
            truck=visit.driver.grade == "0",
        )
        if event is not None and await self._deliver(camera.push(event)):
            customer.plate_read = event.plate

    async def _identify(self, customer: _Customer) -> None:
        """Tell the till, before fuelling: what comes after hang-up belongs to the next sale."""
        if self.till is None:
            return
        for evidence in customer.visit.evidence():
            if await self._deliver(self.till.report(customer.visit.nozzle, evidence)):
                customer.evidence.append(evidence)

    async def _print_receipt(self, visit: Visit, sold: FinishedSale) -> None:
        """Tell the gateway what was paid, until it has it: the till keeps what it does not take."""
        rng = Random(f"{visit.driver.key} {visit.number} receipt")
        if self.till is None or rng.randrange(100) >= self.receipts_percent:
            return
        receipt = Receipt(
            told_id=f"R-{visit.number:06}", told_at=sold.completed_at + _PRINTED_AFTER, sale=sold
        )
        while True:
            try:
                await self.till.tell(receipt)
            except DeliveryFailed as failure:
                if failure.status is not None and failure.status in _REFUSALS:
                    raise
                await asyncio.sleep(_TILL_TRIES_AGAIN_SECONDS)
            else:
                self.receipts.append(receipt)
                return

    async def _deliver(self, delivery: Coroutine[Any, Any, None]) -> bool:
        try:
            async with asyncio.timeout(_CAMERA_PATIENCE_SECONDS):
                await delivery
        except (DeliveryFailed, TimeoutError):
            self.undelivered += 1
            return False
        return True

    def _note(self, sale: FinishedSale) -> None:
        totals = self.totals[sale.nozzle]
        totals.sales += 1
        totals.volume_ml += sale.volume_ml
        totals.amount_fen += sale.amount_fen
        truth = self._truth_about(sale, self._at_nozzle.get(sale.nozzle))
        self.truth.append(truth)
        for listener in self._listeners:
            listener(truth)

    def _truth_about(self, sale: FinishedSale, customer: _Customer | None) -> SaleTruth:
        shown_at = self.controller.device_time(sale.completed_at)
        sale_id = None
        if shown_at is not None:
            sale_id = sale_id_for(
                completed_at=shown_at,
                station_id=self.station_id,
                device_serial=self.controller.serial,
                nozzle=sale.nozzle,
                transaction=sale.transaction,
                totalizer_ml=sale.totalizer_ml,
            )
        driver = customer.visit.driver if customer else None
        return SaleTruth(
            station_id=self.station_id,
            device_serial=self.controller.serial,
            sale=sale,
            sale_id=sale_id,
            hung_up_at=datetime.now(UTC),
            visit=customer.visit.number if customer else None,
            driver_key=driver.key if driver else None,
            member_key=driver.member_key if driver else None,
            plate=driver.plate if driver else None,
            plate_read=customer.plate_read if customer else None,
            evidence=tuple(customer.evidence) if customer else (),
        )


def usual_nozzles(
    count: int,
    *,
    seed: int,
    station_id: str,
    prices: Mapping[str, int] | None = None,
    first_transaction: int | None = None,
) -> list[NozzleSetup]:
    """Return *count* nozzles with the grades a station usually sells and years on their meters."""
    rng = Random(f"{seed} {station_id} nozzles")
    prices = USUAL_PRICES if prices is None else prices
    nozzles = []
    for index in range(count):
        grade = _GRADES_BY_NOZZLE[index % len(_GRADES_BY_NOZZLE)]
        metered_ml = rng.randrange(*_METERED_BEFORE_ML, 10)
        drawn = rng.randrange(1, _TRANSACTIONS_BEFORE)
        nozzles.append(
            NozzleSetup(
                grade=grade,
                unit_price_milli_per_litre=prices[grade],
                totalizer_ml=metered_ml,
                first_transaction=first_transaction or drawn,
            )
        )
    return nozzles
