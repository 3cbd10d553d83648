"""Each sale is in a member's habits once, whatever order and however often its event comes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from forecourt.behaviour import Fill
from forecourt.habits import COUNTED_MAX, Habits
from tests.specimens import SALE, sale

if TYPE_CHECKING:
    from forecourt.sales import Sale

SALES = [
    sale(
        completed_at=SALE.key.completed_at + timedelta(days=number),
        transaction=number,
        totalizer_ml=SALE.key.totalizer_ml + 40_000 * number,
    )
    for number in range(12)
]


def fill(sale: Sale) -> Fill:
    return Fill(
        station_id=sale.key.station_id,
        grade=sale.grade,
        volume_ml=sale.volume_ml,
        hour=16,
        at=int(sale.key.completed_at.timestamp()),
    )


def after(*sales: Sale) -> Habits:
    habits = Habits()
    for each in sales:
        habits = habits.after(each.sale_id, fill(each)) or habits
    return habits


def test_sales_in_order_are_all_counted() -> None:
    assert after(*SALES).behaviour.sales == len(SALES)


def test_a_sale_that_comes_again_at_once_changes_nothing() -> None:
    assert after(SALES[0]).after(SALES[0].sale_id, fill(SALES[0])) is None


def test_a_replay_of_everything_changes_nothing() -> None:
    habits = after(*SALES)

    assert all(habits.after(each.sale_id, fill(each)) is None for each in SALES)


def test_two_sales_of_one_second_are_two() -> None:
    other = sale(nozzle=4, totalizer_ml=1)

    assert after(SALE, other).behaviour.sales == 2


def test_a_sale_that_comes_a_little_late_is_counted_and_a_very_late_one_left_out() -> None:
    habits = after(*SALES[2:])

    assert habits.after(SALES[0].sale_id, fill(SALES[0])) is None
    assert after(SALES[0], *SALES[2 : 2 + COUNTED_MAX - 1], SALES[1]).behaviour.sales == (
        COUNTED_MAX + 1
    )


@given(st.lists(st.integers(0, len(SALES) - 1), max_size=60))
def test_no_order_of_events_counts_a_sale_twice(order: list[int]) -> None:
    counted: list[int] = []
    habits = Habits()
    for place in order:
        grown = habits.after(SALES[place].sale_id, fill(SALES[place]))
        if grown:
            counted.append(place)
            habits = grown

    assert len(counted) == len(set(counted)) == habits.behaviour.sales
    assert len(habits.counted) <= COUNTED_MAX
