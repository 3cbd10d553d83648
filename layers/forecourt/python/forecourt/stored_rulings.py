"""
What a sale and the book of rulings hold of a person's decision, and how it is written down.

| item | table | pk | sk |
| --- | --- | --- | --- |
| ruling | Loyalty | `RULINGS#<sale id>` | `<number>` |

The sale has its last ruling, with who holds what since and what has to move; the book has all
of them and is never changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecourt.attributes import Item, from_item, to_item
from forecourt.instants import format_instant, parse_instant
from forecourt.rulings import Holding, Movement, Ruling, Share, Verdict
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedRuling:
    """A ruling, who holds what of the sale by it, and what moves to get there."""

    ruling: Ruling
    ruled_at: datetime
    held: tuple[Holding, ...] = ()
    moved: tuple[Movement, ...] = ()


def ruling_key(sale_id: str, number: int) -> Item:
    """Return the key of a ruling in the book."""
    return to_item({"pk": f"RULINGS#{sale_id}", "sk": f"{number:06}"})


def ruling_to_item(applied: AppliedRuling) -> Item:
    """Encode a ruling for the book."""
    ruling = applied.ruling
    return ruling_key(ruling.sale_id, ruling.number) | to_item(
        {"type": "ruling", **applied_to_map(applied)}
    )


def ruling_from_item(item: Mapping[str, Mapping[str, Any]]) -> AppliedRuling:
    """Decode a ruling of the book."""
    values = from_item(item)
    return applied_from_map(values, sale_id=values["pk"].removeprefix("RULINGS#"))


def applied_to_map(applied: AppliedRuling) -> dict[str, Any]:
    """Encode a ruling; whose sale it is about is said by the item."""
    ruling = applied.ruling
    values = {
        "number": ruling.number,
        "verdict": str(ruling.verdict),
        "asked": ruling.asked,
        "actor": ruling.actor,
        "reason": ruling.reason,
        "ruled_at": format_instant(applied.ruled_at),
        "held": [{**_share_to_map(each.share), "entry": each.entry_id} for each in applied.held],
        "moved": [
            {**_share_to_map(each.share), "id": each.movement_id, "reverses": each.reverses}
            for each in applied.moved
        ],
    }
    return {name: value for name, value in values.items() if value is not None}


def applied_from_map(values: Mapping[str, Any], *, sale_id: str) -> AppliedRuling:
    """Decode a ruling about the sale *sale_id*."""
    held = tuple(
        Holding(share=_share_from_map(each), entry_id=each["entry"]) for each in values["held"]
    )
    return AppliedRuling(
        ruling=Ruling(
            sale_id=sale_id,
            number=values["number"],
            verdict=Verdict(values["verdict"]),
            shares=tuple(each.share for each in held),
            asked=values.get("asked"),
            actor=values["actor"],
            reason=values["reason"],
        ),
        ruled_at=parse_instant(values["ruled_at"]),
        held=held,
        moved=tuple(
            Movement(
                movement_id=each["id"],
                share=_share_from_map(each),
                reverses=each.get("reverses"),
            )
            for each in values["moved"]
        ),
    )


def _share_to_map(share: Share) -> dict[str, Any]:
    return {
        "member": share.member_id,
        "volume_ml": share.volume_ml,
        "amount_fen": share.amount_fen,
    }


def _share_from_map(values: Mapping[str, Any]) -> Share:
    return Share(
        member_id=values["member"],
        volume_ml=values["volume_ml"],
        amount_fen=values["amount_fen"],
    )
