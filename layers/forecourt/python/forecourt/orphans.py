"""
Sales that wait for their owner.

An orphan is filed under each piece of its evidence. Whoever binds such a piece later, scans
the receipt or claims the sale finds it by key, never by search, and it is weighed anew with
what is known by then. Habits alone only suggest: a suggestion names no owner.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from forecourt.inquiry import CLAIM
from forecourt.weighing import Outcome, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from forecourt.behaviour import Behaviour, Fill
    from forecourt.evidence import Observation
    from forecourt.identity import EvidenceKey
    from forecourt.weighing import Decision

WAITING = timedelta(days=30)
POINTERS_MAX = 8  # pieces of evidence; while two keys are accepted, each by two hashes
SUGGESTIONS_MAX = 3

_FLEETING = frozenset({"presence", CLAIM})  # gone with the day; nobody binds them
_TYPICAL = {"usual": 2, "near": 1, "due": 1, "known": 0, "off": 0, "late": 0}
_TYPICAL_ENOUGH = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A sale that looks like a member's: they may be asked, nothing may be credited."""

    sale_id: str
    likeness: int


def pointers(decision: Decision, observations: Iterable[Observation]) -> tuple[EvidenceKey, ...]:
    """
    Return the keys to file a sale under that was not credited.

    A credited sale waits for nobody, and what a crowd shares would bring the sale before the
    whole crowd.
    """
    if decision.outcome is Outcome.CREDITED or decision.reason is Reason.CROWDED:
        return ()
    lasting = dict.fromkeys(each.keys for each in observations if each.kind not in _FLEETING)
    return tuple(key for keys in tuple(lasting)[:POINTERS_MAX] for key in keys)


def still_waits(completed_at: datetime, now: datetime, *, waiting: timedelta = WAITING) -> bool:
    """Return whether a sale may still find its owner; the last instant counts."""
    return now <= completed_at + waiting


def suggestions(waiting: Mapping[str, Fill], behaviour: Behaviour) -> tuple[Suggestion, ...]:
    """
    Return which *waiting* sales of a member's usual stations look like theirs, likeliest first.

    A sale that disagrees with a single habit is not suggested.
    """
    alike = []
    for sale_id, fill in waiting.items():
        levels = behaviour.levels(fill)
        if not levels or not all(level in _TYPICAL for level in levels.values()):
            continue
        likeness = sum(_TYPICAL[level] for level in levels.values())
        if likeness >= _TYPICAL_ENOUGH:
            alike.append(Suggestion(sale_id=sale_id, likeness=likeness))
    alike.sort(key=lambda each: (-each.likeness, each.sale_id))
    return tuple(alike[:SUGGESTIONS_MAX])
