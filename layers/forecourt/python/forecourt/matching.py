"""
Whose sale is it: the decision, from exact evidence.

Every piece of evidence is a keyed hash that either belongs to one member or to none. All
pieces that belong to somebody must name the same member; a plate of one member beside the
card of another decides nothing, however tempting.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class EvidenceKey:
    """A keyed hash of one piece of evidence."""

    kind: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Credited:
    """The sale belongs to `member_id`; `by` are the kinds of evidence that say so."""

    member_id: str
    by: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmatched:
    """The sale belongs to nobody yet; `reason` is `no_evidence`, `unknown` or `contradiction`."""

    reason: str


def decide(
    evidence: Iterable[EvidenceKey], owners: Mapping[EvidenceKey, str]
) -> Credited | Unmatched:
    """Return whose sale it is, given the members (*owners*) the evidence points to."""
    keys = sorted(set(evidence))
    if not keys:
        return Unmatched(reason="no_evidence")
    telling = [key for key in keys if key in owners]
    members = {owners[key] for key in telling}
    if not members:
        return Unmatched(reason="unknown")
    if len(members) > 1:
        return Unmatched(reason="contradiction")
    return Credited(member_id=members.pop(), by=tuple(sorted({key.kind for key in telling})))
