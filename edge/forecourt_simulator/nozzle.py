"""
One nozzle of a dispenser: a state machine after the IFSF dispenser application.

                lift               authorise             squeeze
    IDLE ─────────────▶ CALLING ─────────────▶ STARTED ─────────────▶ FUELLING
     │  authorise                      lift       ▲                      │
     └─────────────▶ AUTHORISED ──────────────────┘          hang up ────┴───▶ IDLE
                                                                               + a finished sale

STARTED and FUELLING can be suspended and resumed; a shut nozzle is CLOSED and a broken one
INOPERATIVE. Pure: the time comes in as running milliseconds, and what has flowed is computed
from it when asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from forecourt.rounding import Rounding, divide
from forecourt_simulator.errors import NotRepresentable, OperationRefused
from forecourt_simulator.flow import Flow


class NozzleState(StrEnum):
    INOPERATIVE = "inoperative"
    CLOSED = "closed"
    IDLE = "idle"
    CALLING = "calling"
    AUTHORISED = "authorised"
    STARTED = "started"
    SUSPENDED_STARTED = "suspended_started"
    FUELLING = "fuelling"
    SUSPENDED_FUELLING = "suspended_fuelling"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What one lift of the nozzle came to."""

    unit_price_milli_per_litre: int
    volume_ml: int
    amount_fen: int
    totalizer_ml: int
    duration_ms: int
    test_delivery: bool


def amount_fen_for(volume_ml: int, unit_price_milli_per_litre: int) -> int:
    """
    Return what the display shows for *volume_ml*: price times volume, rounded half up to the fen.

    39.990 L at 7.560 a litre are 302.3244 yuan and show as 302.32.
    """
    return divide(volume_ml * unit_price_milli_per_litre, 10_000, Rounding.HALF_UP)


def volume_ml_for(amount_fen: int, unit_price_milli_per_litre: int, resolution_ml: int) -> int:
    """Return the largest volume in steps of *resolution_ml* that shows at most *amount_fen*."""
    # Half a fen more still rounds down to the amount, so the bound lies just under it.
    most_ml = (amount_fen * 10_000 + 4_999) // unit_price_milli_per_litre
    return most_ml - most_ml % resolution_ml


_LIFTED = frozenset(
    {
        NozzleState.CALLING,
        NozzleState.STARTED,
        NozzleState.SUSPENDED_STARTED,
        NozzleState.FUELLING,
        NozzleState.SUSPENDED_FUELLING,
    }
)


class Nozzle:
    """
    State, price, meter and the sale in progress of one nozzle.

    The meter is the non-resettable totalizer: it moves with every pulse, also while a sale is
    still running. *resolution_ml* is what one pulse stands for.
    """

    def __init__(
        self,
        *,
        number: int,
        grade: str,
        unit_price_milli_per_litre: int,
        totalizer_ml: int = 0,
        resolution_ml: int = 10,
        flow: Flow | None = None,
    ) -> None:
        if unit_price_milli_per_litre <= 0:
            raise ValueError(unit_price_milli_per_litre)
        if totalizer_ml < 0 or resolution_ml <= 0:
            raise ValueError((totalizer_ml, resolution_ml))
        self.number = number
        self.grade = grade
        self.unit_price_milli_per_litre = unit_price_milli_per_litre
        self.resolution_ml = resolution_ml
        self.flow = flow or Flow()
        self.state = NozzleState.IDLE
        self.test_delivery = False
        self._metered_ml = totalizer_ml
        self._price_at_start = unit_price_milli_per_litre
        self._preset_ml: int | None = None
        self._lifted_ms = 0
        self._flowing_since_ms: int | None = None
        self._before_suspension_ml = 0
        self._released_at_ml: int | None = None

    @property
    def lifted(self) -> bool:
        return self.state in _LIFTED

    @property
    def preset_ml(self) -> int | None:
        """Where this delivery stops by itself, or `None` when only the driver decides."""
        return self._preset_ml

    @property
    def sale_price_milli_per_litre(self) -> int:
        """The price of the sale in progress; without one, that of the next."""
        if self.state in (NozzleState.IDLE, NozzleState.CLOSED, NozzleState.INOPERATIVE):
            return self.unit_price_milli_per_litre
        return self._price_at_start

    def dispensed_ml(self, at_ms: int) -> int:
        """Return what this delivery has dispensed so far, in whole pulses."""
        flowed_ml = self._before_suspension_ml
        if self._flowing_since_ms is not None:
            left_ml = None if self._preset_ml is None else self._preset_ml - flowed_ml
            flowed_ml += self.flow.volume_ml(at_ms - self._flowing_since_ms, preset_ml=left_ml)
        if self._released_at_ml is not None:
            flowed_ml = min(flowed_ml, self._released_at_ml)
        return flowed_ml - flowed_ml % self.resolution_ml

    def totalizer_ml(self, at_ms: int) -> int:
        return self._metered_ml + self.dispensed_ml(at_ms)

    def milliseconds_until(self, volume_ml: int, at_ms: int) -> int:
        """Return how long from *at_ms* until this delivery has dispensed *volume_ml*."""
        if self._flowing_since_ms is None:
            raise OperationRefused(nozzle=self.number, operation="dispense", state=self.state)
        if self._preset_ml is not None:
            volume_ml = min(volume_ml, self._preset_ml)
        flowed_ml = self._before_suspension_ml
        left_ml = None if self._preset_ml is None else self._preset_ml - flowed_ml
        done_ms = self.flow.duration_ms(max(0, volume_ml - flowed_ml), preset_ml=left_ml)
        return max(0, self._flowing_since_ms + done_ms - at_ms)

    def lift(self, at_ms: int) -> None:
        """Take the nozzle off its hook."""
        if self.state is NozzleState.IDLE:
            self.state = NozzleState.CALLING
        elif self.state is NozzleState.AUTHORISED:
            self.state = NozzleState.STARTED
        else:
            self._refuse("be lifted")
        self._lifted_ms = at_ms

    def authorise(self, *, preset_ml: int | None = None, preset_fen: int | None = None) -> None:
        """
        Allow one delivery, up to a volume or an amount if given.

        The price is fixed here: a change during the sale applies to the next one.
        """
        if self.state not in (NozzleState.IDLE, NozzleState.CALLING):
            self._refuse("be authorised")
        price = self.unit_price_milli_per_litre
        limits = []
        if preset_ml is not None:
            if preset_ml <= 0 or preset_ml % self.resolution_ml:
                raise NotRepresentable(field="preset", value=preset_ml, step=self.resolution_ml)
            limits.append(preset_ml)
        if preset_fen is not None:
            limits.append(volume_ml_for(preset_fen, price, self.resolution_ml))
        self._price_at_start = price
        self._preset_ml = min(limits, default=None)
        lifted = self.state is NozzleState.CALLING
        self.state = NozzleState.STARTED if lifted else NozzleState.AUTHORISED

    def withdraw(self) -> None:
        """Take back an authorisation nobody has used."""
        if self.state is not NozzleState.AUTHORISED:
            self._refuse("lose its authorisation")
        self._clear()

    def squeeze(self, at_ms: int, *, until_ml: int | None = None) -> None:
        """Let fuel flow until the driver lets go at *until_ml*, or preset or hang-up end it."""
        if self.state is not NozzleState.STARTED:
            self._refuse("dispense")
        self._released_at_ml = until_ml
        self.state = NozzleState.FUELLING
        self._flowing_since_ms = at_ms

    def suspend(self, at_ms: int) -> None:
        """Stop the flow and keep the sale open."""
        if self.state is NozzleState.STARTED:
            self.state = NozzleState.SUSPENDED_STARTED
        elif self.state is NozzleState.FUELLING:
            self._before_suspension_ml = self.dispensed_ml(at_ms)
            self._flowing_since_ms = None
            self.state = NozzleState.SUSPENDED_FUELLING
        else:
            self._refuse("be suspended")

    def resume(self, at_ms: int) -> None:
        if self.state is NozzleState.SUSPENDED_STARTED:
            self.state = NozzleState.STARTED
        elif self.state is NozzleState.SUSPENDED_FUELLING:
            self.state = NozzleState.FUELLING
            self._flowing_since_ms = at_ms
        else:
            self._refuse("be resumed")

    def hang_up(self, at_ms: int) -> Delivery | None:
        """
        Put the nozzle back and return the delivery, of zero litres if none flowed.

        `None` when it had not been authorised: then there was no sale.
        """
        if not self.lifted:
            self._refuse("be hung up")
        if self.state is NozzleState.CALLING:
            self._clear()
            return None
        delivery = self._finish(at_ms)
        self._clear()
        return delivery

    def instant_delivery(
        self, volume_ml: int, *, amount_fen: int | None, unit_price_milli_per_litre: int | None
    ) -> Delivery:
        """
        Return the delivery of *volume_ml* without taking the time; `meter` makes it happen.

        Amount and price are those the display would show unless they are given.
        """
        if self.state is not NozzleState.IDLE:
            self._refuse("dispense")
        if volume_ml < 0 or volume_ml % self.resolution_ml:
            raise NotRepresentable(field="volume", value=volume_ml, step=self.resolution_ml)
        price = unit_price_milli_per_litre or self.unit_price_milli_per_litre
        return Delivery(
            unit_price_milli_per_litre=price,
            volume_ml=volume_ml,
            amount_fen=amount_fen_for(volume_ml, price) if amount_fen is None else amount_fen,
            totalizer_ml=self._metered_ml + volume_ml,
            duration_ms=self.flow.duration_ms(volume_ml),
            test_delivery=self.test_delivery,
        )

    def meter(self, delivery: Delivery) -> None:
        """Let the meter count an instant delivery."""
        if delivery.totalizer_ml != self._metered_ml + delivery.volume_ml:
            raise ValueError(delivery)
        self._metered_ml = delivery.totalizer_ml

    def close(self) -> None:
        """Take the nozzle out of service; a sale in progress has to end first."""
        if self.state is not NozzleState.IDLE:
            self._refuse("be closed")
        self.state = NozzleState.CLOSED

    def open(self) -> None:
        """Return to service after `close` or a repair."""
        if self.state not in (NozzleState.CLOSED, NozzleState.INOPERATIVE):
            self._refuse("be opened")
        self.state = NozzleState.IDLE

    def break_down(self, at_ms: int) -> Delivery | None:
        """Become inoperative; what an open sale had dispensed is its delivery."""
        sale_open = self.lifted and self.state is not NozzleState.CALLING
        delivery = self._finish(at_ms) if sale_open else None
        self._clear()
        self.state = NozzleState.INOPERATIVE
        return delivery

    def _finish(self, at_ms: int) -> Delivery:
        volume_ml = self.dispensed_ml(at_ms)
        self._metered_ml += volume_ml
        return Delivery(
            unit_price_milli_per_litre=self._price_at_start,
            volume_ml=volume_ml,
            amount_fen=amount_fen_for(volume_ml, self._price_at_start),
            totalizer_ml=self._metered_ml,
            duration_ms=at_ms - self._lifted_ms,
            test_delivery=self.test_delivery,
        )

    def _clear(self) -> None:
        self.state = NozzleState.IDLE
        self._preset_ml = None
        self._flowing_since_ms = None
        self._before_suspension_ml = 0
        self._released_at_ml = None

    def _refuse(self, operation: str) -> None:
        raise OperationRefused(nozzle=self.number, operation=operation, state=self.state)
