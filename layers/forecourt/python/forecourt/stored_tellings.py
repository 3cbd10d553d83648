"""What the Sales table holds of tills' and payment providers' tellings (see `sales_table`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from forecourt.attributes import Item, from_item, to_item
from forecourt.instants import format_instant, parse_instant
from forecourt.messages import telling_id_for
from forecourt.retellings import Source, Telling
from forecourt.stored_baskets import basket_from_map, basket_to_map
from forecourt.stored_sales import KeyedEvidence, evidence_from_map, evidence_to_map

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from forecourt.stored_sales import StoredSale


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTelling:
    """A telling, and the evidence in it: hashes, and the values under KMS."""

    telling: Telling
    received_at: datetime
    evidence: tuple[KeyedEvidence, ...] = ()
    sealed: bytes | None = None

    @property
    def telling_id(self) -> str:
        """Return the id the telling is stored under."""
        return telling_id_for(self.telling)


def told_by_pump(stored: StoredSale) -> Telling:
    """Return a sale as the pump's telling; its id is the sale's."""
    return Telling(
        source=Source.PUMP,
        told_id=stored.sale.sale_id,
        station_id=stored.sale.key.station_id,
        at=stored.sale.key.completed_at,
        amount_fen=stored.sale.amount_fen,
        nozzle=stored.sale.key.nozzle,
        volume_ml=stored.sale.volume_ml,
    )


def telling_to_item(stored: StoredTelling) -> Item:
    """Encode a telling."""
    telling = stored.telling
    return to_item(
        {
            "pk": f"STATION#{telling.station_id}",
            "sk": f"TELLING#{stored.telling_id}",
            "type": "telling",
            "source": str(telling.source),
            "told_id": telling.told_id,
            "told_at": format_instant(telling.at),
            "amount_fen": telling.amount_fen,
            "nozzle": telling.nozzle,
            "volume_ml": telling.volume_ml,
            "basket": basket_to_map(telling.basket) if telling.basket else None,
            "received_at": format_instant(stored.received_at),
            "evidence": [evidence_to_map(each) for each in stored.evidence] or None,
            "sealed": stored.sealed,
        }
    )


def telling_from_item(item: Mapping[str, Mapping[str, Any]]) -> StoredTelling:
    """Decode a telling."""
    values = from_item(item)
    return StoredTelling(
        telling=Telling(
            source=Source(values["source"]),
            told_id=values["told_id"],
            station_id=values["pk"].removeprefix("STATION#"),
            at=parse_instant(values["told_at"]),
            amount_fen=values["amount_fen"],
            nozzle=values.get("nozzle"),
            volume_ml=values.get("volume_ml"),
            basket=basket_from_map(values["basket"]) if "basket" in values else None,
        ),
        received_at=parse_instant(values["received_at"]),
        evidence=tuple(map(evidence_from_map, values.get("evidence", ()))),
        sealed=values.get("sealed"),
    )
