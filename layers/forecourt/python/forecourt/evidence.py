"""
Evidence as it is spelled for hashing, what it may have been before a slip, and how it is sealed.

Ingest and matching share this: a key is found only if both spell a value alike.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

from forecourt.errors import InvalidIdentity
from forecourt.identity import EvidenceKey, normalise
from forecourt.sales import Evidence, EvidenceKind
from forecourt.values import dataclass
from forecourt.variants import (
    SURE_PERCENT,
    meant_phones,
    plate_variants,
    read_plate,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_DIGITS = frozenset("0123456789")


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """
    One piece of evidence as a keyed hash.

    `unsure` is a reading the camera itself doubts: that it differs says less. `others` are the
    hashes by another key that is accepted, too: whoever has any of them has the identity.
    """

    kind: str
    digest: str
    unsure: bool = False
    others: tuple[str, ...] = ()

    @property
    def digests(self) -> tuple[str, ...]:
        """Return the hashes by every accepted key."""
        return (self.digest, *self.others)

    @property
    def keys(self) -> tuple[EvidenceKey, ...]:
        """Return everything to look up for this piece."""
        return tuple(EvidenceKey(kind=self.kind, digest=each) for each in self.digests)


def spelling(evidence: Evidence) -> str:
    """
    Return the one spelling of an observation; raise `InvalidIdentity` when it tells nothing.

    A phone with a digit too few or too many is no number, and nobody can have bound it, but
    what was meant can be found: it is spelled by its digits.
    """
    match evidence.kind:
        case EvidenceKind.PLATE:
            return read_plate(evidence.value)
        case EvidenceKind.PHONE:
            try:
                return normalise(EvidenceKind.PHONE, evidence.value)
            except InvalidIdentity:
                meant_phones(evidence.value)
                text = unicodedata.normalize("NFKC", evidence.value)
                return "".join(each for each in text if each in _DIGITS)
        case kind:
            return normalise(kind, evidence.value)


def before_a_slip(evidence: Evidence) -> tuple[str, ...]:
    """Return the spellings *evidence* may have had before one slip, likeliest first."""
    try:
        match evidence.kind:
            case EvidenceKind.PHONE:
                return meant_phones(evidence.value)
            case EvidenceKind.PLATE:
                plate = read_plate(evidence.value)
                return plate_variants(plate, evidence.character_confidences)
            case _:
                return ()
    except InvalidIdentity:
        return ()


def is_unsure(confidence: int | None) -> bool:
    """Return whether an observer doubts what it saw; who gives no figure is believed."""
    return confidence is not None and confidence < SURE_PERCENT


def evidence_to_document(evidence: Iterable[Evidence]) -> list[list[Any]]:
    """Return what is sealed of a sale's evidence: kind, value, and doubts about characters."""
    return [
        [str(each.kind), each.value, *([list(confidences)] if confidences else [])]
        for each in evidence
        for confidences in (each.character_confidences,)
    ]


def evidence_from_document(document: Sequence[Sequence[Any]]) -> tuple[Evidence, ...]:
    """Return the evidence that was sealed; what is stored in clear beside it is not in it."""
    return tuple(
        Evidence(
            kind=EvidenceKind(kind),
            value=value,
            character_confidences=tuple(confidences[0]) if confidences else (),
        )
        for kind, value, *confidences in document
    )
