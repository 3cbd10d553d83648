"""What a sale tells about its maker's habits (see `forecourt.behaviour`)."""

from __future__ import annotations

from forecourt.values import dataclass

MARK_CHARACTERS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """
    What a sale tells about habits; `hour` is local to the station, `at` is epoch seconds.

    `paid_with` are marks of a means of payment, by every accepted key, if one was seen.
    """

    station_id: str
    grade: str
    volume_ml: int
    hour: int
    at: int
    paid_with: tuple[str, ...] = ()


def mark_of(digest: str) -> str:
    """Return by what a means of payment is remembered: enough to know it again, no more."""
    return digest[:MARK_CHARACTERS]
