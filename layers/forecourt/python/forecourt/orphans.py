"""
Sales that wait for their owner.

An orphan is filed under each piece of its evidence but what a crowd shares. Whoever binds such
a piece later, scans the receipt or claims the sale finds it by key, never by search, and it is
weighed anew with what is known by then. Habits, and having been there, only suggest: a
suggestion names no owner.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from forecourt.decisions import Outcome
from forecourt.presence import ELSEWHERE, HERE
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from forecourt.behaviour import Behaviour
    from forecourt.decisions import Decision
    from forecourt.fills import Fill
    from forecourt.hashes import EvidenceKey, Observation
    from forecourt.presence import Presences

WAITING = timedelta(days=30)
# How long after it was decided last the evidence of a sale is kept that nobody got: a day more than
# pointers and questions live, for clocks that differ and answers that are still on their way.
EVIDENCE_KEPT = WAITING + timedelta(days=1)
POINTERS_MAX = 8  # pieces of evidence; while two keys are accepted, each by two hashes
SUGGESTIONS_MAX = 3

_TYPICAL = {"usual": 2, "near": 1, "due": 1, "known": 0, "off": 0, "late": 0}
_TYPICAL_ENOUGH = 6
_BEING_THERE = 6  # says as much as all habits together


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A sale that looks like a member's: they may be asked, nothing may be credited."""

    sale_id: str
    likeness: int


def pointers(decision: Decision, observations: Iterable[Observation]) -> tuple[EvidenceKey, ...]:
    """
    Return the keys to file a sale under that was not credited; a credited sale waits for nobody.

    *observations* are all but what a crowd shares (see `forecourt.assignment`). However many
    candidates they have together, each may yet find the owner: who binds a number exactly is the
    one, and whoever had its neighbours is a candidate no more.
    """
    if decision.outcome is Outcome.CREDITED:
        return ()
    pieces = dict.fromkeys(each.keys for each in observations)
    return tuple(key for keys in tuple(pieces)[:POINTERS_MAX] for key in keys)


def still_waits(completed_at: datetime, now: datetime, *, waiting: timedelta = WAITING) -> bool:
    """Return whether a sale may still find its owner; the last instant counts."""
    return now <= completed_at + waiting


def suggestions(
    waiting: Mapping[str, Fill], behaviour: Behaviour, presences: Presences
) -> tuple[Suggestion, ...]:
    """
    Return which *waiting* sales look like a member's, likeliest first.

    They agree with all the member's habits, or with none known and the member was there. A sale
    that disagrees with a single habit is not suggested, nor one while the member was elsewhere.
    """
    alike = []
    for sale_id, fill in waiting.items():
        levels = behaviour.levels(fill)
        presence = presences.level(fill)
        if presence == ELSEWHERE or not all(level in _TYPICAL for level in levels.values()):
            continue
        likeness = sum(_TYPICAL[level] for level in levels.values())
        likeness += _BEING_THERE * (presence == HERE)
        if likeness >= _TYPICAL_ENOUGH:
            alike.append(Suggestion(sale_id=sale_id, likeness=likeness))
    alike.sort(key=lambda each: (-each.likeness, each.sale_id))
    return tuple(alike[:SUGGESTIONS_MAX])
