"""Each sale is in a member's habits once, whatever order and however often its event comes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from forecourt.fills import Fill
from forecourt.habits import COUNTED_MAX, RULED_MAX, Habits
from tests.specimens import SALE, sale

if TYPE_CHECKING:
    from collections.abc import Callable

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


# --- what rulings give and take ---------------------------------------------------------------

RULED_AT = datetime(2026, 12, 24, tzinfo=UTC)


def earned(sold: Sale) -> Callable[[Habits], Habits | None]:
    return lambda habits: habits.after(sold.sale_id, fill(sold))


def given_by(number: int, sold: Sale) -> Callable[[Habits], Habits | None]:
    return lambda habits: habits.after_gift(
        f"{sold.sale_id}~{number}+m1", fill(sold), ruled_at=RULED_AT + timedelta(hours=number)
    )


def taken_by(number: int, sold: Sale, *, gave: int = 0) -> Callable[[Habits], Habits | None]:
    """Return the change that ruling *number* takes what was earned, or what ruling *gave* gave."""
    entry = f"{sold.sale_id}~{gave}+m1" if gave else sold.sale_id
    return lambda habits: habits.after_taking(
        f"{sold.sale_id}~{number}-m1",
        fill(sold),
        gave=entry,
        ruled_at=RULED_AT + timedelta(hours=number),
    )


def through(*changes: Callable[[Habits], Habits | None], habits: Habits | None = None) -> Habits:
    habits = habits or Habits()
    for change in changes:
        habits = change(habits) or habits
    return habits


def test_a_sale_a_ruling_takes_is_forgotten_once() -> None:
    habits = after(*SALES[:3])
    taking = taken_by(1, SALES[1])

    taken = through(taking, taking, habits=habits)

    assert taken.behaviour.sales == 2
    assert through(earned(SALES[1]), habits=taken) == taken


def test_a_sale_a_ruling_gives_is_counted_once_however_old_it_is() -> None:
    habits = after(*SALES[4:])
    giving = given_by(1, SALES[0])

    given = through(giving, giving, habits=habits)

    assert given.behaviour.sales == len(SALES[4:]) + 1


def test_a_sale_older_than_all_that_are_remembered_is_forgotten_as_well() -> None:
    habits = after(*SALES)
    taking = taken_by(1, SALES[0])

    assert through(taking, taking, habits=habits).behaviour.sales == len(SALES) - 1


@given(st.permutations(range(4)), st.lists(st.integers(0, 3), max_size=8))
def test_whatever_order_events_come_in_the_sale_is_where_the_last_ruling_left_it(
    order: list[int], again: list[int]
) -> None:
    """Earned, taken, given back, and taken again."""
    sold = SALES[2]
    story = [earned(sold), taken_by(1, sold), given_by(2, sold), taken_by(3, sold, gave=2)]
    others = after(SALES[0], SALES[1])

    habits = through(*(story[each] for each in [*order, *again]), habits=others)

    assert habits.behaviour.sales == 2
    assert habits.behaviour.stations == others.behaviour.stations


@given(st.permutations(range(3)))
def test_a_sale_that_came_back_is_counted_whatever_came_first(order: list[int]) -> None:
    sold = SALES[2]
    story = [earned(sold), taken_by(1, sold), given_by(2, sold)]

    habits = through(*(story[each] for each in order), habits=after(SALES[0], SALES[1]))

    assert habits.behaviour.sales == 3


def test_a_replay_of_old_rulings_changes_nothing() -> None:
    changes = [taken_by(number, SALES[number]) for number in range(1, 9)]
    habits = through(*changes, habits=after(*SALES))
    assert habits.behaviour.sales == len(SALES) - 8

    assert through(*changes, *reversed(changes), habits=habits) == habits
    assert len(habits.ruled) == RULED_MAX


def test_a_gift_too_old_to_be_remembered_is_taken_as_one_that_was_counted() -> None:
    gifts = [given_by(number, SALES[number]) for number in range(1, RULED_MAX + 2)]
    habits = through(*gifts)

    taken = through(taken_by(RULED_MAX + 2, SALES[1], gave=1), habits=habits)

    assert taken.behaviour.sales == RULED_MAX
