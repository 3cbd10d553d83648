"""Instants are written and read in one way, and a business day is the zone's own day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.instants import (
    business_day,
    compact_instant,
    day_bounds,
    format_instant,
    parse_compact_instant,
    parse_instant,
)

# Half-hour offsets, midnights that do not exist (Cairo) or come twice (Havana).
ZONES = [
    ZoneInfo(name)
    for name in (
        *("Asia/Shanghai", "America/New_York", "Asia/Kolkata", "Africa/Cairo"),
        *("America/Havana", "Australia/Lord_Howe", "UTC"),
    )
]
INSTANTS = st.datetimes(
    min_value=datetime(1, 1, 3),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(9999, 12, 29),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=8)), timezone(-timedelta(hours=9))]),
)


@given(INSTANTS)
def test_an_instant_survives_being_written(instant: datetime) -> None:
    assert parse_instant(format_instant(instant)) == instant


@given(INSTANTS)
def test_a_whole_second_survives_being_compacted(instant: datetime) -> None:
    second = instant.replace(microsecond=0)

    assert parse_compact_instant(compact_instant(second)) == second


@given(INSTANTS, INSTANTS)
def test_compact_instants_sort_like_time(one: datetime, other: datetime) -> None:
    earlier, later = sorted([one, other])

    assert compact_instant(earlier) <= compact_instant(later)


def test_a_fraction_appears_only_when_there_is_one() -> None:
    second = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)

    assert format_instant(second) == "2026-11-23T08:15:00Z"
    assert format_instant(second.replace(microsecond=120_000)) == "2026-11-23T08:15:00.120000Z"


@pytest.mark.parametrize(
    "text",
    [
        *("", "2026-11-23", "2026-11-23T08:15Z", "2026-11-23T08:15:00", "2026-11-23 08:15:00Z"),
        *("2026-11-23T08:15:00+00:00", "2026-11-23T08:15:00z", "2026-11-23T08:15:00Z\n"),
        *("2026-11-23T24:00:00Z", "2026-11-23T23:59:60Z", "2026-13-01T00:00:00Z"),
        *("2026-02-29T00:00:00Z", "２０２６-11-23T08:15:00Z", "2026-11-23T08:15:00.1234567Z"),
    ],
)
def test_any_other_spelling_of_an_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the value is the message
        parse_instant(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "20261123T081500", "20261123T081500+0000", "00010101T000000+2300"),
        *("20261123T240000Z", "20260229T000000Z", "20261123t081500Z", "2026-11-23T08:15:00Z"),
    ],
)
def test_any_other_spelling_of_a_compact_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the value is the message
        parse_compact_instant(text)


def test_a_time_without_a_zone_is_never_written() -> None:
    nobodys = datetime(2026, 11, 23, 8, 15)  # noqa: DTZ001 - that is the case

    with pytest.raises(ValueError, match="2026"):
        format_instant(nobodys)
    with pytest.raises(ValueError, match="2026"):
        compact_instant(nobodys)


@given(instant=INSTANTS, zone=st.sampled_from(ZONES))
def test_an_instant_lies_within_the_bounds_of_its_business_day(
    instant: datetime, zone: ZoneInfo
) -> None:
    opens_at, closes_at = day_bounds(business_day(instant, zone), zone)

    assert opens_at <= instant < closes_at


@given(day=st.dates(date(1970, 1, 2), date(2100, 1, 1)), zone=st.sampled_from(ZONES))
def test_each_day_begins_where_the_one_before_ends(day: date, zone: ZoneInfo) -> None:
    _, closes_at = day_bounds(day, zone)
    opens_at, _ = day_bounds(day + timedelta(days=1), zone)

    assert closes_at == opens_at
    assert business_day(opens_at, zone) == day + timedelta(days=1)
    assert business_day(opens_at - timedelta(microseconds=1), zone) == day


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Asia/Shanghai", date(2026, 3, 8), 24),
        ("America/New_York", date(2026, 3, 8), 23),
        ("America/New_York", date(2026, 11, 1), 25),
        ("Africa/Cairo", date(2026, 4, 24), 23),
    ],
)
def test_a_day_is_as_long_as_the_clocks_of_its_zone_make_it(
    zone: str, day: date, hours: int
) -> None:
    opens_at, closes_at = day_bounds(day, ZoneInfo(zone))

    assert closes_at - opens_at == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("zone", "last", "first"),
    [
        ("Asia/Shanghai", "2026-11-23T15:59:59.999999Z", "2026-11-23T16:00:00Z"),
        ("Asia/Kolkata", "2026-11-23T18:29:59.999999Z", "2026-11-23T18:30:00Z"),
        ("America/New_York", "2026-11-24T04:59:59.999999Z", "2026-11-24T05:00:00Z"),
    ],
)
def test_the_day_turns_at_local_midnight(zone: str, last: str, first: str) -> None:
    assert business_day(parse_instant(last), ZoneInfo(zone)) == date(2026, 11, 23)
    assert business_day(parse_instant(first), ZoneInfo(zone)) == date(2026, 11, 24)
