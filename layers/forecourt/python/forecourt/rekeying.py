"""
Hashing anew: what the tables hold is brought in line with the ring of keys (`keyring`).

| what | lies under |
| --- | --- |
| an identity, with everything of its owners | the current key |
| who drives a car | accepted keys; what was noted by the old one before the car moved is gone |
| the evidence of a sale that is not decided, and its pointers | every accepted key |
| the evidence of a decided sale | the current key: nobody looks for it any more |

That holds in every state of a rotation, so a run does the same in each of them: it walks both
tables and changes what is not so. While the new key is introduced, waiting sales get their
second hash; once it is current, identities move; once the old one is dropped, what is left of it
goes. A run that is done twice, or twice at once, finds nothing to do the second time.

A run is cut into segments that are walked side by side, each with a position of its own.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from forecourt.hashes import EvidenceKey, key_id_of
from forecourt.stored_sales import KeyedEvidence, Status, keyed_under
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from forecourt.keyring import KeyRing
    from forecourt.sales import EvidenceKind

SEGMENTS = 16

UNDECIDED = frozenset({Status.RECEIVED, Status.HELD, Status.PENDING, Status.UNMATCHED})


class Place(StrEnum):
    """Where a segment is."""

    IDENTITIES = "identities"
    SALES = "sales"
    DONE = "done"


FOLLOWING = {Place.IDENTITIES: Place.SALES, Place.SALES: Place.DONE}


class Outcome(StrEnum):
    """What came of one item."""

    IN_LINE = "in_line"
    CHANGED = "changed"
    # Nothing that is sealed with it gives its hash.
    UNEXPLAINED = "unexplained"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """
    How far one segment of a run is; the state of the ring names the run.

    `start` is the last item walked of the table at `place`. `version` counts the steps, so that
    of two who are at the same segment one goes on.
    """

    run: str
    number: int
    place: Place = Place.IDENTITIES
    start: Mapping[str, str] | None = None
    counts: Counter[str] = field(default_factory=Counter)
    version: int = 0

    def after(self, outcomes: Mapping[Outcome, int], *, start: Mapping[str, str] | None) -> Segment:
        """Return the segment after a page, which ended at *start* or was the table's last."""
        return replace(
            self,
            place=self.place if start else FOLLOWING[self.place],
            start=start,
            counts=self.counts + Counter({str(name): many for name, many in outcomes.items()}),
            version=self.version + 1,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is, over all its segments; one that was never begun has none."""

    run: str
    segments: Sequence[Segment]

    @property
    def done(self) -> int:
        """Return how many segments are done."""
        return sum(each.place is Place.DONE for each in self.segments)

    @property
    def finished(self) -> bool:
        """Return whether the whole run is over."""
        return bool(self.segments) and self.done == len(self.segments)

    @property
    def counts(self) -> Counter[str]:
        """Return what came of everything that was walked."""
        return sum((each.counts for each in self.segments), Counter())

    @property
    def clean(self) -> bool:
        """Return whether the run is over and left nothing behind."""
        return self.finished and not self.counts[Outcome.FAILED]


def seconds_to_settle(changed_at: datetime, now: datetime, *, remembered_seconds: int) -> int:
    """
    Return for how long containers may still go by the ring as it was before *changed_at*.

    That is until each has read it again, and half as long for the request it was at.
    """
    return max(0, remembered_seconds * 3 // 2 - int((now - changed_at).total_seconds()))


def key_ids_for(status: Status | None, ring: KeyRing) -> tuple[str, ...]:
    """Return by which keys evidence is hashed; what is told and no sale yet has no *status*."""
    undecided = status is None or status in UNDECIDED
    return ring.accepted if undecided else (ring.current,)


def in_line(evidence: Iterable[KeyedEvidence], key_ids: Sequence[str]) -> bool:
    """Return whether all of *evidence* is hashed by *key_ids* and by no others."""
    return all({*map(key_id_of, each.digests)} == {*key_ids} for each in evidence)


def lacking(evidence: Iterable[KeyedEvidence], key_ids: Sequence[str]) -> bool:
    """Return whether any of *evidence* has no hash by one of *key_ids*: values are needed."""
    return any(not {*map(key_id_of, each.digests)}.issuperset(key_ids) for each in evidence)


def hashed_anew(
    evidence: Iterable[KeyedEvidence],
    values: Iterable[tuple[EvidenceKind, str]],
    *,
    key_ids: Sequence[str],
    ring: KeyRing,
) -> tuple[KeyedEvidence, ...]:
    """
    Return *evidence* hashed by *key_ids*; *values* are the spellings that were sealed with it.

    Whose hashes no value gives stays as it is: its key is not in the ring, or it was never sealed.
    """
    made = [keyed_under(ring, kind, spelt) for kind, spelt in values]
    by_digest = {(each.key.kind, digest): each for each in made for digest in each.digests}
    return tuple(_hashed_anew(each, by_digest, key_ids) for each in evidence)


def _hashed_anew(
    piece: KeyedEvidence,
    made: Mapping[tuple[str, str], KeyedEvidence],
    key_ids: Sequence[str],
) -> KeyedEvidence:
    given = (made.get((piece.key.kind, digest)) for digest in piece.digests)
    digests, blocks = _by_key(piece)
    if (found := next(filter(None, given), None)) is not None:
        more_digests, more_blocks = _by_key(found)
        digests, blocks = digests | more_digests, blocks | more_blocks
    if not digests.keys() >= {*key_ids}:
        return piece
    first, *others = (digests[each] for each in key_ids)
    chosen = [blocks[each] for each in key_ids if each in blocks]
    return replace(
        piece,
        key=EvidenceKey(kind=piece.key.kind, digest=first),
        others=tuple(others),
        block=chosen[0] if chosen else None,
        other_blocks=tuple(chosen[1:]),
    )


def _by_key(piece: KeyedEvidence) -> tuple[dict[str, str], dict[str, str]]:
    blocks = [*([piece.block] if piece.block else []), *piece.other_blocks]
    return (
        {key_id_of(each): each for each in piece.digests},
        {key_id_of(each): each for each in blocks},
    )
