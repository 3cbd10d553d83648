"""Who drives a car is a small memory that keeps the latest and never grows with a fleet."""

from __future__ import annotations

from functools import reduce
from itertools import permutations

from forecourt.driving import DRIVERS_MAX, KNOWN, with_driver
from forecourt.inquiry import SHARED_MAX

AT = 1_790_000_000
NOBODY: dict[str, int] = {}
LONG = int(KNOWN.total_seconds())


def noted(drivers: dict[str, int], seen: tuple[str, int]) -> dict[str, int]:
    member_id, at = seen
    after = with_driver(drivers, member_id, seen_at=at)
    return drivers if after is None else after


def test_whoever_is_seen_with_a_car_is_remembered_with_the_last_time() -> None:
    assert reduce(noted, [("a", AT), ("b", AT + 1), ("a", AT + 2)], NOBODY) == {
        "a": AT + 2,
        "b": AT + 1,
    }


def test_a_sale_that_comes_again_or_late_is_no_news() -> None:
    assert with_driver({"a": AT}, "a", seen_at=AT) is None
    assert with_driver({"a": AT}, "a", seen_at=AT - 1) is None


def test_in_whatever_order_sales_are_told_the_same_is_remembered() -> None:
    seen = [("a", AT), ("b", AT + 5), ("c", AT + LONG), ("a", AT + 9)]

    assert {str(sorted(reduce(noted, each, NOBODY).items())) for each in permutations(seen)} == {
        str([("a", AT + 9), ("b", AT + 5), ("c", AT + LONG)])
    }


def test_who_was_not_seen_for_long_is_forgotten() -> None:
    assert noted({"a": AT}, ("b", AT + LONG)) == {"a": AT, "b": AT + LONG}
    assert noted({"a": AT}, ("b", AT + LONG + 1)) == {"b": AT + LONG + 1}
    assert with_driver({"b": AT + LONG + 1}, "a", seen_at=AT) is None


def test_of_a_crowd_as_many_are_remembered_as_it_takes_to_see_that_it_is_one() -> None:
    crowd = [(f"m{number}", AT + number) for number in range(DRIVERS_MAX + 3)]

    remembered = reduce(noted, crowd, NOBODY)

    assert remembered == dict(crowd[-DRIVERS_MAX:])
    assert len(remembered) > SHARED_MAX
