"""A day adds up, or the difference is found: once, and on the right day."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.messages import NozzleReading
from forecourt.reconciliation import TURN, FindingKind, Reconciliation, reconcile
from tests.specimens import sale

if TYPE_CHECKING:
    from forecourt.sales import Sale

OPENS_AT = datetime(2026, 11, 22, 16, tzinfo=UTC)
CLOSES_AT = OPENS_AT + timedelta(days=1)
HOUR = timedelta(hours=1)


def sold(at: datetime, totalizer_ml: int, volume_ml: int, **changes: Any) -> Sale:
    return sale(
        completed_at=at,
        recorded_at=changes.pop("recorded_at", at + timedelta(seconds=2)),
        totalizer_ml=totalizer_ml,
        volume_ml=volume_ml,
        **changes,
    )


def reading(at: datetime, totalizer_ml: int) -> tuple[datetime, list[NozzleReading]]:
    nozzle = NozzleReading(
        nozzle=3, device_serial="SN4711", totalizer_ml=totalizer_ml, transaction=1
    )
    return at, [nozzle]


def reconciled(*sales: Sale, **changes: Any) -> Reconciliation:
    arguments: dict[str, Any] = {
        "opens_at": OPENS_AT,
        "closes_at": CLOSES_AT,
        "sales": sales,
        "readings": [],
        "owned": [],
        "judged": [],
        "gaps": [],
    }
    return reconcile(**{**arguments, **changes})


def differences(result: Reconciliation) -> list[tuple[str, int]]:
    return [(str(each.kind), each.facts["difference_ml"]) for each in result.findings]


YESTERDAY = sold(OPENS_AT - HOUR, 100_000, 10_000)
FIRST = sold(OPENS_AT + HOUR, 140_000, 40_000)
SECOND = sold(OPENS_AT + 2 * HOUR, 170_000, 30_000)
THIRD = sold(OPENS_AT + 3 * HOUR, 190_000, 20_000)


def test_a_day_that_adds_up_has_no_findings() -> None:
    result = reconciled(YESTERDAY, FIRST, SECOND, readings=[reading(CLOSES_AT, 170_000)])

    assert result == Reconciliation(sales=2, sold_ml=70_000, metered_ml=70_000, findings=[])


def test_a_day_without_sales_adds_up_to_nothing() -> None:
    assert reconciled() == Reconciliation(sales=0, sold_ml=0, metered_ml=0, findings=[])


def test_a_missing_sale_is_found_between_its_neighbours() -> None:
    result = reconciled(FIRST, THIRD)

    (finding,) = result.findings
    assert finding.kind is FindingKind.VOLUME_WITHOUT_SALE
    assert finding.facts == {
        "device_serial": "SN4711",
        "nozzle": 3,
        "after": FIRST.sale_id,
        "before": THIRD.sale_id,
        "difference_ml": 30_000,
    }
    assert result.metered_ml - result.sold_ml == 30_000


def test_a_missing_sale_is_told_once_however_many_readings_see_it() -> None:
    readings = [reading(OPENS_AT + 2.5 * HOUR, 170_000), reading(OPENS_AT + 2.6 * HOUR, 170_000)]

    result = reconciled(FIRST, THIRD, readings=readings)

    assert differences(result) == [("reading_differs", 30_000)]


def test_a_missing_first_sale_is_found_by_what_was_known_before_the_day() -> None:
    by_sale = reconciled(YESTERDAY, SECOND)
    by_reading = reconciled(SECOND, readings=[reading(OPENS_AT - HOUR, 100_000)])

    assert differences(by_sale) == differences(by_reading) == [("volume_without_sale", 40_000)]


def test_a_missing_last_sale_is_found_by_the_reading_at_the_turn_of_the_day() -> None:
    turn = reading(CLOSES_AT, 170_000)

    result = reconciled(FIRST, readings=[turn])

    (finding,) = result.findings
    assert finding.kind is FindingKind.READING_DIFFERS
    assert (finding.facts["after"], finding.facts["before"]) == (
        FIRST.sale_id,
        "2026-11-23T16:00:00Z",
    )


def test_the_reading_at_the_turn_is_the_ending_days_and_not_the_next_ones() -> None:
    ended, turn = sold(OPENS_AT - HOUR, 100_000, 10_000), reading(OPENS_AT + TURN / 2, 130_000)
    next_day = sold(OPENS_AT + HOUR, 140_000, 10_000)

    of_the_next = reconciled(ended, next_day, readings=[turn])
    of_the_ending = reconciled(
        ended,
        next_day,
        readings=[turn],
        opens_at=OPENS_AT - timedelta(days=1),
        closes_at=OPENS_AT,
    )

    assert differences(of_the_next) == []
    assert differences(of_the_ending) == [("reading_differs", 30_000)]


def test_a_sale_between_closing_and_the_reading_at_the_turn_is_no_difference() -> None:
    just_after = sold(CLOSES_AT + timedelta(seconds=5), 190_000, 20_000)

    result = reconciled(
        FIRST, SECOND, just_after, readings=[reading(CLOSES_AT + TURN / 2, 190_000)]
    )

    assert result.findings == []
    assert result.sales == 2


def test_a_totalizer_that_went_back_is_found() -> None:
    result = reconciled(FIRST, sold(OPENS_AT + 2 * HOUR, 30_000, 30_000))

    assert differences(result) == [("totalizer_went_back", -140_000)]


def test_a_reading_that_went_back_is_found() -> None:
    result = reconciled(FIRST, readings=[reading(OPENS_AT + 2 * HOUR, 0)])

    assert differences(result) == [("totalizer_went_back", -140_000)]


@pytest.mark.parametrize(("off_ml", "found"), [(-10, 0), (10, 0), (-11, 1), (11, 1)])
def test_a_difference_within_the_pumps_last_digit_is_none(off_ml: int, found: int) -> None:
    result = reconciled(FIRST, sold(OPENS_AT + 2 * HOUR, 170_000 + off_ml, 30_000))

    assert len(result.findings) == found


def test_findings_are_about_the_day_alone() -> None:
    long_ago = sold(OPENS_AT - 3 * HOUR, 10_000, 10_000)
    tomorrow = sold(CLOSES_AT, 900_000, 10_000)

    result = reconciled(long_ago, YESTERDAY, FIRST, tomorrow)

    assert result == Reconciliation(sales=1, sold_ml=40_000, metered_ml=40_000, findings=[])


def test_sales_read_from_the_ring_in_one_second_are_taken_in_the_meters_order() -> None:
    at_once = OPENS_AT + 4 * HOUR
    sales = [replace(each, recorded_at=at_once) for each in (THIRD, FIRST, SECOND)]

    assert reconciled(*sales).findings == []


def test_a_reading_in_the_second_before_a_sale_was_recorded_is_no_difference() -> None:
    result = reconciled(FIRST, SECOND, readings=[reading(SECOND.recorded_at, 140_000)])

    assert result.findings == []


def test_a_device_clock_that_was_set_back_does_not_look_like_lost_fuel() -> None:
    set_back = replace(
        SECOND, key=replace(SECOND.key, completed_at=FIRST.key.completed_at - HOUR / 2)
    )

    assert reconciled(FIRST, set_back, THIRD).findings == []


def test_each_nozzle_and_device_has_a_meter_of_its_own() -> None:
    other_nozzle = sold(OPENS_AT + HOUR, 5_000, 5_000, nozzle=4)
    new_device = sold(OPENS_AT + 3 * HOUR, 7_000, 7_000, device_serial="SN9")

    result = reconciled(FIRST, other_nozzle, new_device)

    assert result == Reconciliation(sales=3, sold_ml=52_000, metered_ml=52_000, findings=[])


def test_a_sale_with_an_owner_that_was_never_judged_is_found() -> None:
    result = reconciled(owned=["sale-1", "sale-2", "sale-3"], judged=["sale-2"])

    assert [each.facts["sale_id"] for each in result.findings] == ["sale-1", "sale-3"]
    assert {each.kind for each in result.findings} == {FindingKind.SALE_NOT_JUDGED}


def test_lost_transactions_are_told_with_their_numbers() -> None:
    gap = {
        "pk": "STATION#s0001",
        "device_serial": "SN4711",
        "nozzle": 3,
        "first_transaction": 4001,
        "last_transaction": 4711,
        "missing_ml": 1_234_500,
    }

    (finding,) = reconciled(gaps=[gap]).findings

    assert finding.kind is FindingKind.TRANSACTIONS_LOST
    assert finding.facts == {name: value for name, value in gap.items() if name != "pk"}


@given(
    volumes=st.lists(st.integers(100, 100_000), min_size=2, max_size=12),
    lost=st.sets(st.integers(0, 11)),
    shuffled=st.randoms(use_true_random=False),
)
def test_what_was_metered_beyond_what_was_sold_is_exactly_what_was_lost(
    volumes: list[int], lost: set[int], shuffled: Any
) -> None:
    totalizer_ml, sales = 0, []
    for number, volume_ml in enumerate(volumes):
        totalizer_ml += volume_ml
        sales.append(sold(OPENS_AT + timedelta(minutes=10 * number), totalizer_ml, volume_ml))
    kept = [each for number, each in enumerate(sales) if number not in lost]
    shuffled.shuffle(kept)

    result = reconciled(
        *kept, readings=[reading(OPENS_AT - HOUR, 0), reading(CLOSES_AT, totalizer_ml)]
    )

    lost_ml = totalizer_ml - sum(each.volume_ml for each in kept)
    assert result.metered_ml - result.sold_ml == lost_ml
    assert sum(each.facts["difference_ml"] for each in result.findings) == lost_ml
