"""A nozzle that sells: each sale takes number and totalizer on from the one before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from forecourt.sales import Evidence, EvidenceKind
from tests.specimens import sale, sale_document

if TYPE_CHECKING:
    from forecourt.sales import Sale

LITRES_39_99 = 39_990
PRICE_MILLI_PER_LITRE = 7_560
FUELLING = timedelta(minutes=2)


def plate(value: str) -> Evidence:
    """Return what a camera says that saw *value*."""
    return Evidence(kind=EvidenceKind.PLATE, value=value, confidence=97, source="camera-1")


def at_the_till(kind: EvidenceKind, value: str) -> Evidence:
    """Return what somebody said or showed at the till."""
    return Evidence(kind=kind, value=value, source="till")


def this_second() -> datetime:
    """Return the current time as a pump counts it."""
    return datetime.now(UTC).replace(microsecond=0)


class Pump:
    """One nozzle of a station."""

    def __init__(self, station_id: str, *, nozzle: int = 1) -> None:
        self._station_id = station_id
        self._nozzle = nozzle
        self._transaction = 100
        self.totalizer_ml = 5_000_000

    def sale(
        self,
        *evidence: Evidence,
        volume_ml: int = LITRES_39_99,
        completed_at: datetime | None = None,
        **changes: Any,
    ) -> Sale:
        """Return the next sale, which adds up unless *changes* see to it that it does not."""
        completed_at = completed_at or this_second()
        self._transaction += 1
        self.totalizer_ml += volume_ml
        fields: dict[str, Any] = {
            "station_id": self._station_id,
            "nozzle": self._nozzle,
            "transaction": self._transaction,
            "totalizer_ml": self.totalizer_ml,
            "completed_at": completed_at,
            "started_at": completed_at - FUELLING,
            "recorded_at": completed_at,
            "clock_offset_seconds": 0,
            "grade": "92",
            "unit_price_milli_per_litre": PRICE_MILLI_PER_LITRE,
            "volume_ml": volume_ml,
            "amount_fen": round(volume_ml * PRICE_MILLI_PER_LITRE, -4) // 10_000,
            "evidence": evidence,
        }
        return sale(**fields | changes)


def told(sale: Sale) -> dict[str, Any]:
    """Return the message by which a station tells *sale* now."""
    return sale_document(sale, sent_at=datetime.now(UTC))
