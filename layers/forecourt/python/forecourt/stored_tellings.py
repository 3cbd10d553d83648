"""
What the Sales table holds of tills' and payment providers' tellings (see `sales_table`).

A telling has joined a sale (`sale_id`), or a person has said that there was none
(`decided_by`, no `sale_id`), or it is looked for by whatever sale comes. Once it was looked for
in vain it is in the index `review` under `QUEUE`, until it is settled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecourt.attributes import Item, from_item, to_item
from forecourt.errors import UnknownTelling
from forecourt.instants import format_instant, parse_instant
from forecourt.retellings import Conflict, Source, Telling, telling_id_for
from forecourt.sales import STATION_ID
from forecourt.stored_baskets import basket_from_map, basket_to_map
from forecourt.stored_sales import KeyedEvidence, evidence_from_map, evidence_to_map
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from forecourt.stored_sales import StoredSale


QUEUE = "tellings"

_ID_PARTS = 4  # instant, station, source, the source's own id; none of them has a dot


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTelling:
    """
    A telling, the evidence in it (hashes, and the values under KMS), and what became of it.

    `queued` is whether it waits for a person, `waits_because` what keeps it from the sales
    around it, `None` when there are none it could be told of.
    """

    telling: Telling
    received_at: datetime
    evidence: tuple[KeyedEvidence, ...] = ()
    sealed: bytes | None = None
    sale_id: str | None = None
    queued: bool = False
    waits_because: Conflict | None = None
    decided_at: datetime | None = None
    decided_by: str | None = None

    @property
    def telling_id(self) -> str:
        """Return the id the telling is stored under."""
        return telling_id_for(self.telling)

    @property
    def settled(self) -> bool:
        """Return whether it has a sale, or a person has said that there is none."""
        return self.sale_id is not None or self.decided_by is not None


def telling_key(telling_id: str) -> Item:
    """Return the key of a telling; raise `UnknownTelling` when the id is not one."""
    parts = telling_id.split(".")
    if len(parts) != _ID_PARTS or not STATION_ID.fullmatch(parts[1]):
        raise UnknownTelling(telling_id)
    return to_item({"pk": f"STATION#{parts[1]}", "sk": f"TELLING#{telling_id}"})


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
    """Encode a telling as it comes."""
    telling = stored.telling
    return telling_key(stored.telling_id) | to_item(
        {
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
    """Decode what `telling_to_item` wrote, and what became of it since."""
    values = from_item(item)
    because, decided_at = values.get("waits_because"), values.get("decided_at")
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
        sale_id=values.get("sale_id"),
        queued="queue" in values,
        waits_because=Conflict(because) if because else None,
        decided_at=parse_instant(decided_at) if decided_at else None,
        decided_by=values.get("decided_by"),
    )
