"""A sale's id, and the reasons to look at a sale twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.sales import (
    MAX_CLOCK_OFFSET,
    MAX_FLOW_ML_PER_SECOND,
    MAX_PLAUSIBLE_VOLUME_ML,
    Doubt,
    Sale,
    SaleKey,
    contradictions,
    doubts_about,
    parse_sale_id,
    sale_id_for,
)
from tests.specimens import OPEN_SINCE, RECEIVED_AT, SALE, sale

COMPLETED_AT = SALE.key.completed_at
SECOND = timedelta(seconds=1)

KEYS = st.builds(
    SaleKey,
    completed_at=st.datetimes(
        min_value=datetime(1970, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
        max_value=datetime(2199, 12, 31),  # noqa: DTZ001
        timezones=st.just(UTC),
    ).map(lambda instant: instant.replace(microsecond=0)),
    station_id=st.from_regex(r"[a-z0-9][a-z0-9-]{1,31}", fullmatch=True),
    device_serial=st.from_regex(r"[A-Za-z0-9-]{1,24}", fullmatch=True),
    nozzle=st.integers(1, 999),
    transaction=st.integers(0, 2**32 - 1),
    totalizer_ml=st.integers(0, 10**13),
)


def doubts(doubtful: Sale, **changes: Any) -> list[Doubt]:
    arguments = {
        "grades": frozenset({"92", "95"}),
        "open_since": OPEN_SINCE,
        "sent_at": RECEIVED_AT,
        "received_at": RECEIVED_AT,
    }
    return doubts_about(doubtful, **{**arguments, **changes})


@given(KEYS)
def test_an_id_taken_apart_gives_back_its_parts(key: SaleKey) -> None:
    assert parse_sale_id(str(key)) == key


def test_the_id_is_made_of_what_the_pump_counts() -> None:
    key = SALE.key

    sale_id = sale_id_for(
        completed_at=key.completed_at,
        station_id=key.station_id,
        device_serial=key.device_serial,
        nozzle=key.nozzle,
        transaction=key.transaction,
        totalizer_ml=key.totalizer_ml,
    )

    assert sale_id == "20261123T081500Z.s0001.SN4711.3.4711.123456789"
    assert sale_id == SALE.sale_id


@pytest.mark.parametrize(
    "sale_id",
    [
        "",
        "20261123T081500Z",
        "20261123T081500Z.s0001.SN4711.3.4711",
        "20261123T081500Z.s0001.SN4711.3.4711.1.1",
        "20261123T081500Z.S0001.SN4711.3.4711.1",
        "20261123T081500Z.s0001.SN_4711.3.4711.1",
        "20261123T081500Z.s0001.SN4711.03.4711.1",
        "20261123T081500Z.s0001.SN4711.3.4711.-1",
        "20261123T081500Z.s0001.SN4711.3.4_711.1",
        "20261123T081500Z.s0001.SN4711.3.４７１１.1",
        "20261123T081500Z.s0001.SN4711.3.4711." + "9" * 5_000,
        "20261123.s0001.SN4711.3.4711.1",
    ],
    ids=lambda value: value[:48],
)
def test_what_is_no_id_is_refused(sale_id: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the value is the message
        parse_sale_id(sale_id)


def test_an_honest_sale_raises_no_doubt() -> None:
    assert doubts(SALE) == []


def test_a_sale_sent_weeks_after_it_was_made_raises_no_doubt() -> None:
    later = RECEIVED_AT + timedelta(weeks=6)

    assert doubts(SALE, sent_at=later, received_at=later) == []


# 40 L at 7.500 yuan a litre are 30,000 fen. The pump shows 10 ml and 1/1000 yuan: half a step
# of the volume is 3.75 fen, half a step of the price 2 fen, and 1 fen may be cut off.
@pytest.mark.parametrize("amount_fen", [30_000 - 6, 30_000, 30_000 + 6])
def test_an_amount_within_the_last_digits_adds_up(amount_fen: int) -> None:
    rounded = sale(volume_ml=40_000, unit_price_milli_per_litre=7_500, amount_fen=amount_fen)

    assert doubts(rounded) == []


@pytest.mark.parametrize("amount_fen", [0, 30_000 - 7, 30_000 + 7, 300_000])
def test_an_amount_beyond_the_last_digits_is_doubted(amount_fen: int) -> None:
    wrong = sale(volume_ml=40_000, unit_price_milli_per_litre=7_500, amount_fen=amount_fen)

    assert doubts(wrong) == [Doubt.AMOUNT_MISMATCH]


@given(
    volume_ml=st.integers(0, MAX_PLAUSIBLE_VOLUME_ML),
    price=st.integers(1_000, 20_000),
    resolution_ml=st.sampled_from([1, 10, 100]),
)
def test_an_amount_cut_off_or_rounded_by_the_pump_always_adds_up(
    volume_ml: int, price: int, resolution_ml: int
) -> None:
    shown_ml = volume_ml // resolution_ml * resolution_ml
    exact = shown_ml * price
    sold = sale(
        started_at=None,
        volume_ml=shown_ml,
        unit_price_milli_per_litre=price,
        volume_resolution_ml=resolution_ml,
    )

    for amount_fen in (exact // 10_000, (exact + 5_000) // 10_000):
        assert doubts(sale_of(sold, amount_fen)) == []


def sale_of(sold: Sale, amount_fen: int) -> Sale:
    return sale(
        started_at=sold.started_at,
        volume_ml=sold.volume_ml,
        unit_price_milli_per_litre=sold.unit_price_milli_per_litre,
        volume_resolution_ml=sold.volume_resolution_ml,
        amount_fen=amount_fen,
    )


@pytest.mark.parametrize(
    ("volume_ml", "expected"),
    [(MAX_PLAUSIBLE_VOLUME_ML, []), (MAX_PLAUSIBLE_VOLUME_ML + 1, [Doubt.IMPLAUSIBLE_VOLUME])],
)
def test_a_volume_no_vehicle_holds_is_doubted(volume_ml: int, expected: list[Doubt]) -> None:
    huge = sale(volume_ml=volume_ml, amount_fen=volume_ml * 7560 // 10_000, started_at=None)

    assert doubts(huge) == expected


@pytest.mark.parametrize(
    ("volume_ml", "expected"),
    [
        (11 * MAX_FLOW_ML_PER_SECOND, []),
        (11 * MAX_FLOW_ML_PER_SECOND + 1, [Doubt.IMPOSSIBLE_FLOW]),
    ],
)
def test_ten_seconds_cut_to_whole_ones_are_less_than_eleven(
    volume_ml: int, expected: list[Doubt]
) -> None:
    fast = sale(
        volume_ml=volume_ml,
        amount_fen=volume_ml * 7560 // 10_000,
        started_at=COMPLETED_AT - 10 * SECOND,
    )

    assert doubts(fast) == expected


def test_a_sale_completed_before_it_started_is_doubted_for_that_alone() -> None:
    backwards = sale(started_at=COMPLETED_AT + SECOND)

    assert doubts(backwards) == [Doubt.COMPLETED_BEFORE_STARTED]


def test_a_sale_that_started_and_ended_in_one_second_is_not_backwards() -> None:
    quick = sale(started_at=COMPLETED_AT, volume_ml=100, amount_fen=76)

    assert doubts(quick) == []


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        (600, []),
        (-600, []),
        (601, [Doubt.DEVICE_CLOCK_OFF]),
        (-601, [Doubt.DEVICE_CLOCK_OFF]),
        (31_536_000, [Doubt.DEVICE_CLOCK_OFF]),
        (-31_536_000, [Doubt.DEVICE_CLOCK_OFF]),
        (None, []),
    ],
)
def test_a_device_clock_may_be_ten_minutes_off(offset: int | None, expected: list[Doubt]) -> None:
    assert doubts(sale(clock_offset_seconds=offset)) == expected


@pytest.mark.parametrize("sign", [1, -1])
def test_a_gateway_clock_may_be_ten_minutes_off(sign: int) -> None:
    at_the_limit = RECEIVED_AT + sign * MAX_CLOCK_OFFSET
    beyond = at_the_limit + sign * SECOND

    assert doubts(SALE, sent_at=at_the_limit) == []
    assert doubts(SALE, sent_at=beyond) == [Doubt.GATEWAY_CLOCK_OFF]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_sale_of_a_clock_that_is_a_year_off_is_held_and_not_judged(sign: int) -> None:
    off = sign * timedelta(days=365)
    began = SALE.started_at
    assert began is not None
    made = sale(
        completed_at=COMPLETED_AT + off,
        started_at=began + off,
        recorded_at=SALE.recorded_at + off,
    )

    found = doubts(made, sent_at=RECEIVED_AT + off)

    # The gateway's own clock gives it away, whichever way it is off.
    assert Doubt.GATEWAY_CLOCK_OFF in found


def test_without_any_clock_to_trust_a_sale_may_wait_ten_minutes() -> None:
    timeless = sale(clock_offset_seconds=None, clock_synchronised=False)
    limit = timeless.recorded_at + MAX_CLOCK_OFFSET
    beyond = limit + SECOND

    assert doubts(timeless, sent_at=limit, received_at=limit) == []
    assert doubts(timeless, sent_at=beyond, received_at=beyond) == [Doubt.CLOCK_UNSYNCHRONISED]


@pytest.mark.parametrize(
    ("offset", "synchronised"), [(0, False), (None, True), (0, True)], ids=["pump", "gateway", "2"]
)
def test_one_clock_to_trust_is_enough_for_a_sale_that_waited_long(
    offset: int | None, *, synchronised: bool
) -> None:
    waited = sale(clock_offset_seconds=offset, clock_synchronised=synchronised)
    later = waited.recorded_at + timedelta(weeks=6)

    assert doubts(waited, sent_at=later, received_at=later) == []


def test_a_sale_may_be_completed_ten_minutes_ahead_of_the_gateway() -> None:
    limit = SALE.recorded_at + MAX_CLOCK_OFFSET

    assert doubts(sale(completed_at=limit)) == []
    assert doubts(sale(completed_at=limit + SECOND)) == [Doubt.COMPLETED_IN_FUTURE]


def test_a_sale_completed_ahead_of_the_cloud_is_doubted_whatever_the_gateway_says() -> None:
    next_year = COMPLETED_AT + timedelta(days=365)

    found = doubts(
        sale(completed_at=next_year, recorded_at=next_year, started_at=None), sent_at=next_year
    )

    assert found == [Doubt.GATEWAY_CLOCK_OFF, Doubt.COMPLETED_IN_FUTURE]


def test_a_sale_from_before_the_station_opened_is_doubted() -> None:
    assert doubts(SALE, open_since=COMPLETED_AT) == []
    assert doubts(SALE, open_since=COMPLETED_AT + SECOND) == [Doubt.BEFORE_STATION_OPENED]


def test_a_grade_the_station_does_not_sell_is_doubted() -> None:
    assert doubts(sale(grade="98")) == [Doubt.UNKNOWN_GRADE]


def test_a_test_delivery_is_held() -> None:
    assert doubts(sale(test_delivery=True)) == [Doubt.TEST_DELIVERY]


def test_every_reason_is_told_at_once() -> None:
    dubious = sale(
        grade="98",
        amount_fen=1,
        volume_ml=MAX_PLAUSIBLE_VOLUME_ML + 1,
        clock_offset_seconds=-10_000,
        test_delivery=True,
    )

    assert doubts(dubious) == [
        Doubt.AMOUNT_MISMATCH,
        Doubt.IMPLAUSIBLE_VOLUME,
        Doubt.IMPOSSIBLE_FLOW,
        Doubt.DEVICE_CLOCK_OFF,
        Doubt.UNKNOWN_GRADE,
        Doubt.TEST_DELIVERY,
    ]


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"amount_fen": 1}, ["amount_fen"]),
        ({"volume_ml": 1}, ["volume_ml"]),
        ({"unit_price_milli_per_litre": 1}, ["unit_price_milli_per_litre"]),
        ({"grade": "95"}, ["grade"]),
        ({"grade": "95", "amount_fen": 1}, ["grade", "amount_fen"]),
    ],
)
def test_what_a_second_telling_says_otherwise_is_named(
    changes: dict[str, Any], names: list[str]
) -> None:
    assert contradictions(SALE, sale(**changes)) == names


def test_a_second_telling_may_know_more_and_be_read_later() -> None:
    later = SALE.recorded_at + timedelta(hours=1)

    assert contradictions(SALE, sale(evidence=(), recorded_at=later)) == []


@pytest.mark.parametrize(("volume_ml", "dispensed"), [(0, False), (1, True)])
def test_lifting_and_hanging_up_dispenses_nothing(volume_ml: int, *, dispensed: bool) -> None:
    assert sale(volume_ml=volume_ml).dispensed is dispensed
