"""
A member's habits with a memory of which sales are in them, so that each is in them once.

Events come twice, late, and again when the bus is replayed after months. Ids of sales sort by
time, and the newest `COUNTED_MAX` that were counted are remembered: whatever was counted is
either among them or older than all of them. So the oldest of them is where counting stops,
and a sale older still is left out, counted before or not.

A person's ruling gives a sale of any age to a member, or takes it from them. The newest
`RULED_MAX` of these movements are remembered by the time of the ruling, and older ones are left
out, likewise. What is taken before the event comes that gave it is noted as if it had come:
that event then counts nothing, and nothing is taken that was never there.
"""

from __future__ import annotations

from dataclasses import field, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from forecourt.behaviour import Behaviour
from forecourt.instants import compact_instant
from forecourt.rulings import sale_of_entry
from forecourt.sales import parse_sale_id
from forecourt.values import dataclass

if TYPE_CHECKING:
    from datetime import datetime

    from forecourt.fills import Fill

COUNTED_MAX = 4
RULED_MAX = 4
_MARK_CHARACTERS = 6  # 24 bits: two sales of one member in the same second


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """Habits, and marks of the sales counted and of the movements made last, in order of time."""

    behaviour: Behaviour = field(default_factory=Behaviour)
    counted: tuple[str, ...] = ()
    ruled: tuple[str, ...] = ()

    def after(self, sale_id: str, fill: Fill) -> Habits | None:
        """Return the habits with a sale in them, or `None` when they stay as they are."""
        mark = _mark(sale_id)
        if mark in self.counted or self._is_past(mark):
            return None
        return replace(
            self,
            behaviour=self.behaviour.after(fill),
            counted=_newest(self.counted, mark, COUNTED_MAX),
        )

    def after_gift(self, movement_id: str, fill: Fill, *, ruled_at: datetime) -> Habits | None:
        """Return the habits with a sale that a ruling gave, or `None` when they stay."""
        if self._knows(movement_id, ruled_at):
            return None
        return replace(
            self,
            behaviour=self.behaviour.after(fill),
            ruled=_newest(self.ruled, _ruled_mark(movement_id, ruled_at), RULED_MAX),
        )

    def after_taking(
        self, movement_id: str, fill: Fill, *, gave: str, ruled_at: datetime
    ) -> Habits | None:
        """
        Return the habits without a sale that a ruling took, or `None` when they stay.

        *gave* is the entry by which the member had got it: the sale's own, or a movement's.
        """
        if self._knows(movement_id, ruled_at):
            return None
        mark = _ruled_mark(movement_id, ruled_at)
        taken = replace(self, ruled=_newest(self.ruled, mark, RULED_MAX))
        if sale_of_entry(gave) == gave:
            mark = _mark(gave)
            if mark not in self.counted and not self._is_past(mark):
                return replace(taken, counted=_newest(self.counted, mark, COUNTED_MAX))
        elif not self._remembers(gave) and len(self.ruled) < RULED_MAX:
            mark = _ruled_mark(gave, ruled_at)
            return replace(taken, ruled=_newest(taken.ruled, mark, RULED_MAX))
        return replace(taken, behaviour=self.behaviour.without(fill))

    def _is_past(self, mark: str) -> bool:
        """Return whether a sale is older than all that are remembered."""
        return len(self.counted) == COUNTED_MAX and mark < self.counted[0]

    def _knows(self, movement_id: str, ruled_at: datetime) -> bool:
        """Return whether a movement is remembered, or older than all that are."""
        mark = _ruled_mark(movement_id, ruled_at)
        past = len(self.ruled) == RULED_MAX and mark < self.ruled[0]
        return past or self._remembers(movement_id)

    def _remembers(self, movement_id: str) -> bool:
        digest = _digest(movement_id)
        return any(each.endswith(digest) for each in self.ruled)


def _newest(marks: tuple[str, ...], mark: str, most: int) -> tuple[str, ...]:
    return tuple(sorted((*marks, mark))[-most:])


def _mark(sale_id: str) -> str:
    """Return what a sale is remembered by: it sorts by time and is shorter than the id."""
    return f"{compact_instant(parse_sale_id(sale_id).completed_at)}.{_digest(sale_id)}"


def _ruled_mark(movement_id: str, ruled_at: datetime) -> str:
    return f"{compact_instant(ruled_at)}.{_digest(movement_id)}"


def _digest(name: str) -> str:
    return sha256(name.encode()).hexdigest()[:_MARK_CHARACTERS]
