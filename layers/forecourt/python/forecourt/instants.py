"""Instants and business days. Instants are aware and in UTC; a business day belongs to a zone."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z"
)
_COMPACT = re.compile(r"[0-9]{8}T(?:[01][0-9]|2[0-3])[0-9]{4}Z")


def parse_instant(text: str) -> datetime:
    """
    Read ISO 8601 in UTC, written with `Z`: `2026-11-23T08:15:00Z`.

    Any other offset, or none, raises `ValueError`: a time without a zone has been
    somebody's local time too often. So does 24:00, which some Pythons read and some do not.
    """
    if not _INSTANT.fullmatch(text):
        raise ValueError(text)
    return datetime.fromisoformat(text)


def format_instant(instant: datetime) -> str:
    """Write *instant* as ISO 8601 with `Z`; a fraction appears only when there is one."""
    if instant.tzinfo is None:
        raise ValueError(instant)
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def compact_instant(instant: datetime) -> str:
    """Write *instant* as `20261123T081500Z`, which sorts like the time it names."""
    if instant.tzinfo is None:
        raise ValueError(instant)
    utc = instant.astimezone(UTC)
    return f"{utc.year:04}{utc:%m%dT%H%M%SZ}"  # `%Y` would write the year 1 as `1`


def parse_compact_instant(text: str) -> datetime:
    """Read what `compact_instant` wrote; raise `ValueError` for anything else."""
    if not _COMPACT.fullmatch(text):
        raise ValueError(text)
    return datetime.fromisoformat(text)


def business_day(instant: datetime, zone: ZoneInfo) -> date:
    """Return the day *instant* falls on for somebody in *zone*."""
    return instant.astimezone(zone).date()


def day_bounds(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """
    Return the first instant of *day* in *zone* and the first of the next day, in UTC.

    They lie 23 or 25 hours apart on the days the clocks change.
    """
    opens = datetime.combine(day, time.min, zone)
    closes = datetime.combine(day + timedelta(days=1), time.min, zone)
    return opens.astimezone(UTC), closes.astimezone(UTC)
