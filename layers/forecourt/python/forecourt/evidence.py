"""
Evidence as it is spelled for hashing, what it may have been before a slip, and how it is sealed.

Ingest and matching share this: a key is found only if both spell a value alike.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

from forecourt.errors import InvalidIdentity
from forecourt.identity import normalise
from forecourt.sales import Evidence, EvidenceKind
from forecourt.variants import meant_phones, plate_variants, read_plate

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_DIGITS = frozenset("0123456789")


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
