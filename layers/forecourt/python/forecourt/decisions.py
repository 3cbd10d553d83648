"""What came of weighing whose a sale is (see `forecourt.weighing`)."""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum
from typing import NamedTuple

from forecourt.values import dataclass

UNSEEN = "none"  # the level of a field that tells nothing


class Outcome(StrEnum):
    """What becomes of the sale."""

    CREDITED = "credited"
    PENDING = "pending"
    UNMATCHED = "unmatched"


class Reason(StrEnum):
    """Why a sale was not credited."""

    NO_EVIDENCE = "no_evidence"
    UNKNOWN = "unknown"
    CROWDED = "crowded"
    UNCONVINCING = "unconvincing"
    UNSURE = "unsure"
    NEEDS_SECOND_IDENTITY = "needs_second_identity"
    CONTRADICTION = "contradiction"
    IMPLAUSIBLE = "implausible"
    DENIED = "denied"


class Piece(NamedTuple):
    """What one field contributed to the decision."""

    field: str
    level: str
    centibits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """
    Whose sale it is and why; `member_id` is the likeliest member, also of a pending sale.

    `alternatives` are the other candidates with their posteriors, likeliest first.
    """

    outcome: Outcome
    weights_version: int
    member_id: str | None = None
    posterior_ppm: int = 0
    reason: Reason | None = None
    pieces: tuple[Piece, ...] = ()
    alternatives: tuple[tuple[str, int], ...] = field(default=())

    @property
    def by(self) -> tuple[str, ...]:
        """Return the fields that spoke for the member."""
        return tuple(sorted(each.field for each in self.pieces if each.centibits > 0))
