"""
A member's habits with a memory of which sales are in them, so that each is in them once.

Events come twice, late, and again when the bus is replayed after months. Ids of sales sort by
time, and the newest `COUNTED_MAX` that were counted are remembered: whatever was counted is
either among them or older than all of them. So the oldest of them is where counting stops,
and a sale older still is left out, counted before or not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

from forecourt.behaviour import Behaviour
from forecourt.instants import compact_instant
from forecourt.sales import parse_sale_id

if TYPE_CHECKING:
    from forecourt.behaviour import Fill

COUNTED_MAX = 4
_MARK_CHARACTERS = 6  # 24 bits: two sales of one member in the same second


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """Habits, and marks of the sales counted last, in order of time."""

    behaviour: Behaviour = field(default_factory=Behaviour)
    counted: tuple[str, ...] = ()

    def after(self, sale_id: str, fill: Fill) -> Habits | None:
        """Return the habits with a sale in them, or `None` when they stay as they are."""
        mark = _mark(sale_id)
        full = len(self.counted) == COUNTED_MAX
        if mark in self.counted or (full and mark < self.counted[0]):
            return None
        return Habits(
            behaviour=self.behaviour.after(fill),
            counted=tuple(sorted((*self.counted, mark))[-COUNTED_MAX:]),
        )


def _mark(sale_id: str) -> str:
    """Return what a sale is remembered by: it sorts by time and is shorter than the id."""
    at = compact_instant(parse_sale_id(sale_id).completed_at)
    return f"{at}.{sha256(sale_id.encode()).hexdigest()[:_MARK_CHARACTERS]}"
