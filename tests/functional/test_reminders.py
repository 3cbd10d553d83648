"""Reminders before points run out: everybody, every day that ends, once each, by local day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.bus import DetailType
from forecourt.events import events_of
from forecourt.ledger import commands as c
from tests.functional.clients import Counting, Killed, Killing, Reluctant, refusal
from tests.functional.conftest import LOYALTY_TABLE
from tests.functional.nights import NIGHT, TODAY, Nights

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functional.world import World

Told = list[tuple[str, str, int, int]]


@pytest.fixture
def told(world: World) -> Callable[[], Told]:
    """Return what the bus was told since the last call: whom, of which day, when, how many."""

    def read() -> Told:
        return sorted(
            (
                each.detail["member_id"],
                each.detail["expires_on"],
                each.detail["days_before"],
                each.detail["points"],
            )
            for record in world.records(LOYALTY_TABLE)
            for each in events_of(record)
            if each.detail_type is DetailType.POINTS_EXPIRING
        )

    return read


def in_days(days: int) -> date:
    return TODAY + timedelta(days=days)


def remind(nights: Nights) -> None:
    nights.find("remind")
    assert nights.remind() == []


def test_every_day_that_ends_is_announced_however_many_end_before_it(
    nights: Nights, told: Any
) -> None:
    for days, points in ((1, 2), (2, 3), (7, 4), (12, 5), (30, 6), (31, 7)):
        nights.earn(points, in_days(days))
    nights.earn(9, in_days(30), "bo")
    nights.earn(8, None, "cy")

    remind(nights)

    assert told() == [
        ("ann", "2026-11-24", 1, 2),
        ("ann", "2026-11-30", 7, 4),
        ("ann", "2026-12-23", 30, 6),
        ("bo", "2026-12-23", 30, 9),
    ]


def test_a_day_is_announced_thirty_seven_and_one_days_before_and_never_else(
    nights: Nights, told: Any
) -> None:
    nights.earn(10, in_days(31))
    nights.earn(5, in_days(31))
    for days in (2, 20, 28, 30):
        nights.earn(1, in_days(days))
    heard: dict[int, Told] = {}

    for left in (31, 30, 28, 7, 6, 1, 0):
        nights.now = NIGHT + timedelta(days=31 - left)
        nights.night()
        remind(nights)
        heard[left] = [each for each in told() if each[1] == in_days(31).isoformat()]

    assert {left: found for left, found in heard.items() if found} == {
        30: [("ann", "2026-12-24", 30, 15)],
        7: [("ann", "2026-12-24", 7, 15)],
        1: [("ann", "2026-12-24", 1, 15)],
    }


def test_a_job_that_runs_again_reminds_nobody_again_though_the_points_changed(
    nights: Nights, told: Any
) -> None:
    nights.earn(10, in_days(7))
    nights.find("remind")
    tasks = nights.waiting("reminders-tasks")
    assert nights.remind(tasks) == []
    assert len(told()) == 1
    nights.earn(5, in_days(7))

    assert nights.remind(tasks) == []
    remind(nights)

    assert told() == []


def test_a_job_killed_in_the_middle_reminds_the_others_when_it_comes_again(
    nights: Nights, world: World, told: Any
) -> None:
    for owner in ("ann", "bo", "cy"):
        nights.earn(10, in_days(7), owner)
    nights.find("remind")
    tasks = nights.waiting("reminders-tasks")
    nights.reach_through(Killing(world.dynamodb, "put_item", calls=2))
    with pytest.raises(Killed):
        nights.remind(tasks)
    nights.reach_through(world.dynamodb)

    assert nights.remind(tasks) == []

    assert [each[0] for each in told()] == ["ann", "bo", "cy"]


@pytest.mark.parametrize(("late", "reminded"), [(1, True), (3, True), (4, False)])
def test_a_reminder_missed_for_some_days_is_given_late_and_one_missed_for_longer_is_not(
    nights: Nights, told: Any, late: int, *, reminded: bool
) -> None:
    nights.earn(10, in_days(7))
    nights.pass_days(late)

    remind(nights)

    assert told() == ([("ann", "2026-11-30", 7, 10)] if reminded else [])


@pytest.mark.parametrize(
    ("now", "reminded"),
    [
        (datetime(2026, 11, 23, 15, 59, 59, tzinfo=UTC), False),
        (datetime(2026, 11, 23, 16, 0, 0, tzinfo=UTC), True),
    ],
)
def test_the_days_are_those_of_the_programs_zone(
    nights: Nights, told: Any, now: datetime, *, reminded: bool
) -> None:
    nights.earn(10, in_days(8))
    nights.now = now

    remind(nights)

    assert bool(told()) is reminded


def test_what_is_spent_or_over_by_now_is_not_announced(nights: Nights, told: Any) -> None:
    nights.earn(10, in_days(1))
    nights.run(c.Spend, points=10)
    nights.earn(5, in_days(-1), "bo")
    nights.earn(6, in_days(7), "cy")
    nights.run(c.SetAside, "cy", points=2, hold_expires_at=nights.now + timedelta(days=9))

    remind(nights)

    assert told() == [("cy", "2026-11-30", 7, 4)]


def test_who_has_nothing_to_be_told_costs_a_shared_read_and_no_write(
    nights: Nights, world: World
) -> None:
    for owner in ("ann", "bo", "cy"):
        nights.earn(10, in_days(12), owner)
    nights.find("remind")
    counting = Counting(world.dynamodb)
    nights.reach_through(counting)

    assert nights.remind() == []

    assert counting.calls == {"batch_get_item": 1}


def test_points_that_begin_before_their_last_day_are_announced_with_it(
    nights: Nights, told: Any
) -> None:
    nights.earn(10, in_days(7), activates_on=in_days(2))
    nights.earn(1, in_days(7))

    remind(nights)

    assert told() == [("ann", "2026-11-30", 7, 11)]


def test_each_wallet_is_announced_by_itself(nights: Nights, told: Any) -> None:
    nights.earn(10, in_days(7))
    nights.earn(20, in_days(7), wallet="partner-airline")

    remind(nights)

    assert told() == [("ann", "2026-11-30", 7, 10), ("ann", "2026-11-30", 7, 20)]


def test_a_reminder_that_could_not_be_written_comes_again(
    nights: Nights, world: World, told: Any
) -> None:
    nights.earn(10, in_days(7))
    nights.find("remind")
    tasks = nights.waiting("reminders-tasks")
    nights.reach_through(Reluctant(world.dynamodb, "put_item", refusal("ThrottlingException")))

    assert nights.remind(tasks) == [tasks[0]["messageId"]]
    assert nights.remind(tasks) == []

    assert len(told()) == 1


def test_a_reminder_is_forgotten_when_nobody_can_be_reminded_again(
    nights: Nights, world: World
) -> None:
    nights.earn(10, in_days(7))

    remind(nights)

    (item,) = (each for each in world.items(LOYALTY_TABLE) if each["type"] == "reminder")
    goes_at = datetime.fromtimestamp(item["expires_at_epoch"], UTC)
    assert goes_at == datetime(2026, 12, 31, tzinfo=UTC)
    assert (item["pk"], item["sk"]) == ("MEMBER#ann", "N#2026-11-30#07#points")
