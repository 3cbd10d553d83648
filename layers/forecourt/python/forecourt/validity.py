"""Validity: how long points are good, counted in months and ended by the calendar."""

from __future__ import annotations

import calendar
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping


class EndOf(StrEnum):
    """The calendar period at whose end points run out."""

    DAY = "day"
    MONTH = "month"
    QUARTER = "quarter"
    HALF_YEAR = "half_year"
    YEAR = "year"


_MONTHS_IN = {EndOf.MONTH: 1, EndOf.QUARTER: 3, EndOf.HALF_YEAR: 6, EndOf.YEAR: 12}


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """How long points are good: some months, then to the end of the period they fall in."""

    months: int
    end_of: EndOf

    def __post_init__(self) -> None:
        """Refuse points that were over before they were earned."""
        if self.months < 0:
            raise ValueError(self.months)


def validity_from_document(document: Mapping[str, Any] | None) -> Validity | None:
    """Build a validity from its document; none is points that never run out."""
    if document is None:
        return None
    return Validity(months=document["months"], end_of=EndOf(document["end_of"]))


def last_valid_day(earned_on: date, validity: Validity | None) -> date | None:
    """
    Return the last business day on which points earned on *earned_on* can be spent.

    31 January plus one month is the last of February, as everybody expects.
    """
    if validity is None:
        return None
    months = earned_on.year * 12 + earned_on.month - 1 + validity.months
    period = _MONTHS_IN.get(validity.end_of)
    if period is None:
        day = min(earned_on.day, _days_in(months))
        return date(months // 12, months % 12 + 1, day)
    last = months - months % 12 + (months % 12 // period + 1) * period - 1
    return date(last // 12, last % 12 + 1, _days_in(last))


def _days_in(months: int) -> int:
    return calendar.monthrange(months // 12, months % 12 + 1)[1]
