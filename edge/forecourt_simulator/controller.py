"""
A forecourt controller: nozzles, prices, finished sales and a clock of its own.

What it shows in registers, and how it takes commands over Modbus, is `server`'s part. Nothing
runs while nobody fuels or reads: states and volumes are computed when they are asked for.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from forecourt_edge.layout import Transaction, encode_transaction
from forecourt_edge.profile import Profile, load_profile
from forecourt_simulator.clock import Clock, PacedClock
from forecourt_simulator.errors import UnknownNozzle
from forecourt_simulator.flow import Flow
from forecourt_simulator.nozzle import Delivery, Nozzle, NozzleState
from forecourt_simulator.ring import FinishedSale, Record, Ring

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

DEFAULT_PROFILE = "forecourt-controller"


@dataclass(frozen=True, slots=True, kw_only=True)
class NozzleSetup:
    """How one nozzle begins; `first_transaction` is the number its first sale will get."""

    grade: str
    unit_price_milli_per_litre: int
    totalizer_ml: int = 0
    first_transaction: int = 1
    flow: Flow = field(default_factory=Flow)


class Controller:
    """
    The controller of one forecourt; nozzles are numbered from 1 in the order given.

    `clock_offset_seconds` is how far its clock is ahead of the truth, `None` a controller
    without one. With `auto_authorise` a lifted nozzle may dispense at once, else the reader's
    command has to come first. `silent` is a device that answers nothing and obeys nothing.
    """

    def __init__(
        self,
        *,
        serial: str,
        nozzles: Sequence[NozzleSetup],
        profile: Profile | None = None,
        clock: Clock | None = None,
        clock_offset_seconds: int | None = 0,
        auto_authorise: bool = True,
        record_zero_sales: bool = True,
    ) -> None:
        self.serial = serial
        self.profile = profile or load_profile(DEFAULT_PROFILE)
        self.clock = clock or PacedClock()
        self.clock_offset_seconds = clock_offset_seconds
        self.auto_authorise = auto_authorise
        self.record_zero_sales = record_zero_sales
        self.silent = False
        self.grade_codes = {grade: code for code, grade in self.profile.grades.items()}
        if not 1 <= len(nozzles) <= self.profile.max_nozzles:
            raise ValueError(f"{self.profile.name} has 1 to {self.profile.max_nozzles} nozzles")
        for setup in nozzles:
            if setup.grade not in self.grade_codes:
                raise ValueError(f"{self.profile.name} has no grade {setup.grade}")
        self._forecourt = {
            number: _Place(number, setup, self.profile)
            for number, setup in enumerate(nozzles, start=1)
        }
        self._listeners: list[Callable[[FinishedSale], None]] = []

    @property
    def numbers(self) -> range:
        return range(1, len(self._forecourt) + 1)

    def nozzle(self, number: int) -> Nozzle:
        return self._place(number).nozzle

    def ring(self, number: int) -> Ring:
        return self._place(number).ring

    def totalizer_ml(self, number: int) -> int:
        """Return the meter as it stands, a running sale included."""
        return self.nozzle(number).totalizer_ml(self.clock.running_ms())

    def device_time(self, instant: datetime | None = None) -> datetime | None:
        """Return what the device's clock shows now, or showed at *instant*; `None` without one."""
        if self.clock_offset_seconds is None:
            return None
        true_time = self.clock.now() if instant is None else instant
        return true_time + timedelta(seconds=self.clock_offset_seconds)

    def on_sale(self, listener: Callable[[FinishedSale], None]) -> None:
        """Call *listener* with every sale the moment it is finished."""
        self._listeners.append(listener)

    # What a driver does.

    def lift(self, number: int) -> None:
        place = self._place(number)
        place.nozzle.lift(self.clock.running_ms())
        if self.auto_authorise and place.nozzle.state is NozzleState.CALLING:
            self.authorise(number)
        place.changed.set()

    def squeeze(self, number: int, *, until_ml: int | None = None) -> None:
        """Let fuel flow; the driver lets go at *until_ml*, if given."""
        place = self._place(number)
        place.nozzle.squeeze(self.clock.running_ms(), until_ml=until_ml)
        place.changed.set()

    def hang_up(self, number: int, *, card: str = "") -> FinishedSale | None:
        """
        Put the nozzle back and return the sale.

        `None` when there was none: not authorised, or nothing flowed and the controller keeps
        no record of that.
        """
        place = self._place(number)
        delivery = place.nozzle.hang_up(self.clock.running_ms())
        place.changed.set()
        return None if delivery is None else self._file(place, delivery, card=card)

    async def fuel(
        self,
        number: int,
        volume_ml: int,
        *,
        preset_fen: int | None = None,
        dawdle_ms: int = 0,
        card: str = "",
    ) -> FinishedSale | None:
        """
        Lift, dispense up to *volume_ml*, wait *dawdle_ms* and hang up, in running time.

        *preset_fen* is keyed in at the pump and applies when the controller authorises by
        itself; otherwise the preset is the authorising reader's. A suspended flow is waited for,
        and a sale that something else ends meanwhile is returned as it was ended. A driver who
        is cancelled hangs up with what has flowed.
        """
        place = self._place(number)
        nozzle, earlier = place.nozzle, place.latest
        if self.auto_authorise:
            nozzle.authorise(preset_fen=preset_fen)
        self.lift(number)
        try:
            await self.wait_for(number, NozzleState.STARTED)
            if volume_ml > 0:
                self.squeeze(number, until_ml=volume_ml)
                await self._flow(place, volume_ml)
            await self.clock.sleep_ms(dawdle_ms)
        except asyncio.CancelledError:
            if nozzle.lifted:
                self.hang_up(number, card=card)
            raise
        if nozzle.lifted:
            return self.hang_up(number, card=card)
        return place.latest if place.latest is not earlier else None

    async def wait_for(self, number: int, *states: NozzleState) -> None:
        """Return once the nozzle is in one of *states*."""
        place = self._place(number)
        while place.nozzle.state not in states:
            place.changed.clear()
            await place.changed.wait()

    # What its operator does.

    def set_price(self, number: int, unit_price_milli_per_litre: int) -> None:
        """Change the price on the display; a sale in progress keeps the one it began with."""
        if unit_price_milli_per_litre <= 0:
            raise ValueError(unit_price_milli_per_litre)
        self.nozzle(number).unit_price_milli_per_litre = unit_price_milli_per_litre

    def authorise(self, number: int, *, preset_fen: int | None = None) -> None:
        place = self._place(number)
        place.nozzle.authorise(preset_fen=preset_fen)
        place.changed.set()

    def withdraw(self, number: int) -> None:
        place = self._place(number)
        place.nozzle.withdraw()
        place.changed.set()

    def suspend(self, number: int) -> None:
        place = self._place(number)
        place.nozzle.suspend(self.clock.running_ms())
        place.changed.set()

    def resume(self, number: int) -> None:
        place = self._place(number)
        place.nozzle.resume(self.clock.running_ms())
        place.changed.set()

    def dispense(
        self,
        number: int,
        volume_ml: int,
        *,
        amount_fen: int | None = None,
        unit_price_milli_per_litre: int | None = None,
        at: datetime | None = None,
        started_at: datetime | None = None,
        card: str = "",
        offline: bool = False,
    ) -> FinishedSale:
        """
        Make a whole sale at once, completed at *at*, as if its time had passed.

        It goes through meter, ring and transaction number like any other, over unread records
        if the ring is full: `wait_for_room` first where none may be lost. Raises
        `OperationRefused` on a nozzle in use, `NotRepresentable` for a volume between two
        pulses and the codec's `RegisterFault` for a value its register cannot hold; then
        nothing has happened.
        """
        place = self._place(number)
        delivery = place.nozzle.instant_delivery(
            volume_ml, amount_fen=amount_fen, unit_price_milli_per_litre=unit_price_milli_per_litre
        )
        record = self._record(
            place, delivery, completed_at=at, started_at=started_at, card=card, offline=offline
        )
        place.nozzle.meter(delivery)
        self._keep(place, record)
        return record.sale

    # What happens to it.

    def break_down(self, number: int) -> FinishedSale | None:
        """Put the nozzle out of order; an open sale is closed with what it had dispensed."""
        place = self._place(number)
        delivery = place.nozzle.break_down(self.clock.running_ms())
        place.changed.set()
        return None if delivery is None else self._file(place, delivery)

    def fail_power(self) -> None:
        """Lose power: flow stops, nothing answers, meters and records stay."""
        self.silent = True
        for number, place in self._forecourt.items():
            if place.nozzle.state in (NozzleState.STARTED, NozzleState.FUELLING):
                self.suspend(number)
                place.interrupted = True
            elif place.nozzle.state is NozzleState.AUTHORISED:
                self.withdraw(number)

    def restore_power(self, *, resume: bool = False) -> list[FinishedSale]:
        """
        Come back. A sale that was cut off is closed with what had been dispensed.

        With *resume* it goes on instead. Returns the sales it closed.
        """
        self.silent = False
        closed = []
        for number, place in self._forecourt.items():
            if not place.interrupted:
                continue
            place.interrupted = False
            if resume:
                self.resume(number)
            elif (sale := self.hang_up(number)) is not None:
                closed.append(sale)
        return closed

    def reset(self) -> list[FinishedSale]:
        """Restart: lose power and come back at once."""
        self.fail_power()
        return self.restore_power()

    # What its reader does.

    def acknowledge(self, number: int, transaction: int) -> bool:
        """Take it that the reader has safely got everything up to *transaction*."""
        place = self._place(number)
        cleared = place.ring.acknowledge(transaction)
        if cleared:
            place.acknowledged.set()
        return cleared

    async def wait_for_room(self, number: int) -> None:
        """Return once the next sale overwrites nothing the reader has not acknowledged."""
        place = self._place(number)
        while not place.ring.has_room:
            place.acknowledged.clear()
            await place.acknowledged.wait()

    async def wait_until_read(self) -> None:
        """Return once the reader has acknowledged every sale of every nozzle."""
        for place in self._forecourt.values():
            while place.ring.unacknowledged:
                place.acknowledged.clear()
                await place.acknowledged.wait()

    async def _flow(self, place: _Place, volume_ml: int) -> None:
        """Wait until *volume_ml* or the preset has flowed, or the sale was ended meanwhile."""
        nozzle = place.nozzle
        target_ml = volume_ml if nozzle.preset_ml is None else min(volume_ml, nozzle.preset_ml)
        while nozzle.lifted:
            now_ms = self.clock.running_ms()
            if nozzle.dispensed_ml(now_ms) >= target_ml - target_ml % nozzle.resolution_ml:
                return
            place.changed.clear()
            if nozzle.state is not NozzleState.FUELLING:
                await place.changed.wait()
                continue
            flowing = asyncio.ensure_future(
                self.clock.sleep_ms(nozzle.milliseconds_until(target_ml, now_ms))
            )
            interruption = asyncio.ensure_future(place.changed.wait())
            try:
                await asyncio.wait({flowing, interruption}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                flowing.cancel()
                interruption.cancel()

    def _file(self, place: _Place, delivery: Delivery, *, card: str = "") -> FinishedSale | None:
        if delivery.volume_ml == 0 and not self.record_zero_sales:
            return None
        record = self._record(place, delivery, card=card)
        self._keep(place, record)
        return record.sale

    def _keep(self, place: _Place, record: Record) -> None:
        place.ring.append(record)
        place.latest = record.sale
        for listener in self._listeners:
            listener(record.sale)

    def _record(
        self,
        place: _Place,
        delivery: Delivery,
        *,
        completed_at: datetime | None = None,
        started_at: datetime | None = None,
        card: str = "",
        offline: bool = False,
    ) -> Record:
        completed_at = completed_at or self.clock.now()
        started_at = started_at or completed_at - timedelta(milliseconds=delivery.duration_ms)
        sale = FinishedSale(
            nozzle=place.nozzle.number,
            transaction=place.ring.next_number,
            grade=place.nozzle.grade,
            unit_price_milli_per_litre=delivery.unit_price_milli_per_litre,
            volume_ml=delivery.volume_ml,
            amount_fen=delivery.amount_fen,
            totalizer_ml=delivery.totalizer_ml,
            started_at=started_at,
            completed_at=completed_at,
            test_delivery=delivery.test_delivery,
            offline=offline,
            card=card,
        )
        recorded = Transaction(
            transaction=sale.transaction,
            grade_code=self.grade_codes[sale.grade],
            started_at=self.device_time(sale.started_at),
            completed_at=self.device_time(sale.completed_at),
            unit_price_milli_per_litre=sale.unit_price_milli_per_litre,
            volume_ml=sale.volume_ml,
            amount_fen=sale.amount_fen,
            totalizer_ml=sale.totalizer_ml,
            test_delivery=sale.test_delivery,
            offline=sale.offline,
            card=sale.card,
        )
        return Record(sale=sale, words=tuple(encode_transaction(self.profile, recorded)))

    def _place(self, number: int) -> _Place:
        try:
            return self._forecourt[number]
        except KeyError:
            raise UnknownNozzle(nozzle=number) from None


class _Place:
    """A nozzle with its ring and the events its waiters wait for."""

    def __init__(self, number: int, setup: NozzleSetup, profile: Profile) -> None:
        self.nozzle = Nozzle(
            number=number,
            grade=setup.grade,
            unit_price_milli_per_litre=setup.unit_price_milli_per_litre,
            totalizer_ml=setup.totalizer_ml,
            resolution_ml=profile.volume_resolution_ml,
            flow=setup.flow,
        )
        self.ring = Ring(
            size=profile.ring.size,
            number_max=profile.ring.number_max,
            first_number=setup.first_transaction,
        )
        self.changed = asyncio.Event()
        self.acknowledged = asyncio.Event()
        self.interrupted = False
        self.latest: FinishedSale | None = None
