"""
A sale: what one nozzle dispensed between lift and hang-up.

The station derives a sale's id from what the pump itself counts, so every retelling of
the sale carries the same id. `sale_id_for` is that derivation; the edge component calls
it, ingest checks it. The non-resettable totalizer and the device's serial belong to the
id because transaction numbers wrap and controllers are replaced.
"""

from __future__ import annotations

import re
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from forecourt.instants import compact_instant, parse_compact_instant
from forecourt.values import dataclass

if TYPE_CHECKING:
    from datetime import datetime

STATION_ID = re.compile(r"[a-z0-9][a-z0-9-]{1,31}")
DEVICE_SERIAL = re.compile(r"[A-Za-z0-9-]{1,24}")
GRADE = re.compile(r"[A-Za-z0-9+-]{1,12}")

MAX_FLOW_ML_PER_SECOND = 4_000  # a truck's high-flow nozzle gives 130 L a minute, cars a third
MAX_PLAUSIBLE_VOLUME_ML = 2_000_000  # the tanks of the largest road tractor, with room to spare
MAX_CLOCK_OFFSET = timedelta(minutes=10)
SURE_PERCENT = 90  # what is read with less may be something else


class EvidenceKind(StrEnum):
    """What may tell whose sale it is."""

    PLATE = "plate"
    PHONE = "phone"
    CARD = "card"
    PAYMENT = "payment"
    ETC_TAG = "etc_tag"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """
    One observation at the pump or the till.

    `value` is as observed, not normalised; `confidence` is the observer's own, in percent.
    A camera may also say how sure it is of each character.
    """

    kind: EvidenceKind
    value: str
    confidence: int | None = None
    character_confidences: tuple[int, ...] = ()
    source: str | None = None


def is_unsure(confidence: int | None) -> bool:
    """Return whether an observer doubts what it saw; who gives no figure is believed."""
    return confidence is not None and confidence < SURE_PERCENT


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleKey:
    """The parts of a sale's id; `totalizer_ml` is the nozzle's reading after the sale."""

    completed_at: datetime
    station_id: str
    device_serial: str
    nozzle: int
    transaction: int
    totalizer_ml: int

    def __str__(self) -> str:
        """Return the id itself. It sorts by time and says where the sale was made."""
        return (
            f"{compact_instant(self.completed_at)}.{self.station_id}.{self.device_serial}"
            f".{self.nozzle}.{self.transaction}.{self.totalizer_ml}"
        )


def sale_id_for(
    *,
    completed_at: datetime,
    station_id: str,
    device_serial: str,
    nozzle: int,
    transaction: int,
    totalizer_ml: int,
) -> str:
    """Return the one id of the sale that left *nozzle*'s totalizer at *totalizer_ml*."""
    return str(
        SaleKey(
            completed_at=completed_at,
            station_id=station_id,
            device_serial=device_serial,
            nozzle=nozzle,
            transaction=transaction,
            totalizer_ml=totalizer_ml,
        )
    )


def parse_sale_id(sale_id: str) -> SaleKey:
    """Take an id apart; raise `ValueError` when it is not one."""
    instant, station_id, device_serial, *numbers = sale_id.split(".")
    nozzle, transaction, totalizer_ml = (int(number) for number in numbers)
    key = SaleKey(
        completed_at=parse_compact_instant(instant),
        station_id=station_id,
        device_serial=device_serial,
        nozzle=nozzle,
        transaction=transaction,
        totalizer_ml=totalizer_ml,
    )
    well_formed = STATION_ID.fullmatch(station_id) and DEVICE_SERIAL.fullmatch(device_serial)
    if not well_formed or min(nozzle, transaction, totalizer_ml) < 0 or str(key) != sale_id:
        raise ValueError(sale_id)
    return key


def is_sale_id(name: str) -> bool:
    """Return whether *name* can be a sale's id."""
    try:
        parse_sale_id(name)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """
    A sale as the station tells it.

    `completed_at` is the device's time where it has a clock, `recorded_at` the gateway's
    when it read the record; `clock_offset_seconds` is device minus gateway at that moment.
    """

    key: SaleKey
    grade: str
    unit_price_milli_per_litre: int
    volume_ml: int
    amount_fen: int
    volume_resolution_ml: int
    started_at: datetime | None
    recorded_at: datetime
    clock_offset_seconds: int | None
    clock_synchronised: bool
    test_delivery: bool
    evidence: tuple[Evidence, ...] = ()

    @property
    def sale_id(self) -> str:
        """Return the id under which the sale is known everywhere."""
        return str(self.key)

    @property
    def dispensed(self) -> bool:
        """Return whether anything left the nozzle: lifting and hanging up is no fill."""
        return self.volume_ml > 0


class Doubt(StrEnum):
    """Why a sale does not add up."""

    AMOUNT_MISMATCH = "amount_mismatch"
    IMPLAUSIBLE_VOLUME = "implausible_volume"
    IMPOSSIBLE_FLOW = "impossible_flow"
    COMPLETED_BEFORE_STARTED = "completed_before_started"
    DEVICE_CLOCK_OFF = "device_clock_off"
    GATEWAY_CLOCK_OFF = "gateway_clock_off"
    CLOCK_UNSYNCHRONISED = "clock_unsynchronised"
    COMPLETED_IN_FUTURE = "completed_in_future"
    BEFORE_STATION_OPENED = "before_station_opened"
    UNKNOWN_GRADE = "unknown_grade"
    TEST_DELIVERY = "test_delivery"


def doubts_about(
    sale: Sale,
    *,
    grades: frozenset[str],
    open_since: datetime,
    sent_at: datetime,
    received_at: datetime,
) -> list[Doubt]:
    """
    Return every reason to let a person look at *sale* before anybody profits from it.

    *grades* and *open_since* are the station's, *sent_at* is the gateway's clock when it
    sent the message and *received_at* the cloud's when it arrived. A sale may arrive late
    (the station was offline), so only clocks read at one moment are compared.
    """
    completed_at = sale.key.completed_at
    device_offset = timedelta(seconds=sale.clock_offset_seconds or 0)
    findings = {
        Doubt.AMOUNT_MISMATCH: not _amount_adds_up(sale),
        Doubt.IMPLAUSIBLE_VOLUME: sale.volume_ml > MAX_PLAUSIBLE_VOLUME_ML,
        Doubt.IMPOSSIBLE_FLOW: _flow_impossible(sale),
        Doubt.COMPLETED_BEFORE_STARTED: (
            sale.started_at is not None and completed_at < sale.started_at
        ),
        Doubt.DEVICE_CLOCK_OFF: abs(device_offset) > MAX_CLOCK_OFFSET,
        Doubt.GATEWAY_CLOCK_OFF: abs(sent_at - received_at) > MAX_CLOCK_OFFSET,
        Doubt.CLOCK_UNSYNCHRONISED: _time_unknown(sale, sent_at),
        Doubt.COMPLETED_IN_FUTURE: (
            completed_at - min(sale.recorded_at, received_at) > MAX_CLOCK_OFFSET
        ),
        Doubt.BEFORE_STATION_OPENED: completed_at < open_since,
        Doubt.UNKNOWN_GRADE: sale.grade not in grades,
        Doubt.TEST_DELIVERY: sale.test_delivery,
    }
    return [doubt for doubt, found in findings.items() if found]


def contradictions(first: Sale, again: Sale) -> list[str]:
    """
    Return in which fields *again* says of the same sale something else than *first* did.

    The id is the same, so time and totalizer are; evidence may come late, and a repeat may be
    read at another time. What is left was shown at the pump and cannot change.
    """
    shown = ("grade", "unit_price_milli_per_litre", "volume_ml", "amount_fen")
    return [name for name in shown if getattr(first, name) != getattr(again, name)]


def _amount_adds_up(sale: Sale) -> bool:
    """
    Return whether volume x price is the amount, as far as the shown figures can tell.

    Each figure stands for anything within half its last digit, and some pumps cut the
    amount off instead of rounding it: hence half a step of volume and of price, and a
    whole fen. All in ten-thousandths of a fen: 1 ml at 1/1000 yuan a litre is one.
    """
    computed = sale.volume_ml * sale.unit_price_milli_per_litre
    tolerance = (
        10_000
        + (sale.volume_resolution_ml * sale.unit_price_milli_per_litre + 1) // 2
        + (sale.volume_ml + 1) // 2
    )
    return abs(computed - sale.amount_fen * 10_000) <= tolerance


def _time_unknown(sale: Sale, sent_at: datetime) -> bool:
    """
    Return whether no clock that can be trusted says when the sale was made.

    A pump without a clock has the gateway's, which was perhaps not set yet when it read the
    record. That the clock is right at sending vouches for a sale that was read just before,
    not for one that waited while the clock may have been put right.
    """
    clocked = sale.clock_offset_seconds is not None or sale.clock_synchronised
    return not clocked and sent_at - sale.recorded_at > MAX_CLOCK_OFFSET


def _flow_impossible(sale: Sale) -> bool:
    """Return whether no nozzle is that fast; both times may be cut to whole seconds."""
    if sale.started_at is None or sale.key.completed_at < sale.started_at:
        return False
    seconds = int((sale.key.completed_at - sale.started_at).total_seconds()) + 1
    return sale.volume_ml > seconds * MAX_FLOW_ML_PER_SECOND
