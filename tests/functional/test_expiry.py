"""What ran out is written down once, in the night after its last day or in any later one."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.ledger import commands as c
from forecourt.ledger.refusals import InsufficientPoints
from tests.functional.clients import (
    Counting,
    Interrupting,
    Killed,
    Killing,
    Reluctant,
    cancellation,
    refusal,
)
from tests.functional.nights import CROWD, TODAY, YEAR_END, Nights
from tests.functional.world import LITRES

if TYPE_CHECKING:
    from tests.functional.world import World


def test_what_ran_out_is_written_down_in_the_night_after_its_last_day(nights: Nights) -> None:
    nights.earn(40, TODAY)
    nights.earn(60, YEAR_END)

    assert nights.find() == 0
    nights.pass_days(1)
    assert nights.find() == 1
    assert nights.settle() == []

    assert (nights.account().buckets, nights.ran_out()) == ({YEAR_END: 60}, 40)
    assert nights.find() == 0


def test_the_day_begins_at_the_midnight_of_the_programs_zone(nights: Nights) -> None:
    nights.earn(40, TODAY)

    nights.now = datetime(2026, 11, 23, 15, 59, 59, tzinfo=UTC)
    assert nights.find() == 0
    nights.now += timedelta(seconds=1)

    assert nights.find() == 1


@pytest.mark.parametrize("runs", [(), (1,), (1, 1), (4,), (1, 2, 3, 4)])
def test_the_job_run_never_once_twice_or_late_gives_the_same(
    nights: Nights, runs: tuple[int, ...]
) -> None:
    nights.earn(40, TODAY)
    nights.earn(60, YEAR_END)
    nights.earn(7, YEAR_END, activates_on=TODAY + timedelta(days=2))
    nights.earn(5, TODAY + timedelta(days=2))
    nights.run(c.Spend, points=10)
    began = nights.now
    for days in runs:
        nights.now = began + timedelta(days=days)
        nights.night()
    nights.now = began + timedelta(days=5)

    counts = nights.view()
    nights.run(c.Spend, points=67)

    assert (counts.buckets, counts.pending) == ({YEAR_END: 67}, {})
    assert nights.account().buckets == {}
    assert nights.ran_out() == 35


@pytest.mark.parametrize("calls", [1, 2, 3, 4])
def test_a_job_killed_in_the_middle_is_finished_by_the_next_and_nothing_is_done_twice(
    nights: Nights, world: World, calls: int
) -> None:
    for owner in CROWD:
        nights.earn(10, TODAY, owner)
    nights.pass_days(1)
    nights.find()
    tasks = nights.waiting()
    nights.reach_through(Killing(world.dynamodb, "transact_write_items", calls=calls))

    with pytest.raises(Killed):
        nights.settle(tasks)
    nights.reach_through(world.dynamodb)
    left = nights.find()
    assert nights.settle(tasks) == []
    assert nights.settle() == []

    assert left == len(CROWD) - calls
    assert {nights.ran_out(owner) for owner in CROWD} == {10}
    assert {len(nights.entries(owner)) for owner in CROWD} == {2}


def test_a_task_that_comes_again_at_once_finds_its_own_entry(nights: Nights, world: World) -> None:
    nights.earn(10, TODAY)
    hold = nights.run(c.SetAside, points=4, hold_expires_at=nights.now + timedelta(days=1, hours=9))
    nights.pass_days(1)
    nights.find()
    tasks = nights.waiting()
    assert nights.settle(tasks) == []
    before = world.snapshot()

    nights.now += timedelta(hours=10)  # the hold has timed out, and so there would be something

    assert nights.settle(tasks) == []
    assert world.snapshot() == before
    assert hold.entry_id in nights.account().holds


def test_a_hold_that_outlives_its_points_is_settled_by_a_later_night(nights: Nights) -> None:
    nights.earn(10, TODAY)
    nights.run(c.SetAside, points=4, hold_expires_at=nights.now + timedelta(days=1, hours=9))
    nights.pass_days(1)
    nights.night()
    nights.pass_days(1)

    nights.night()

    assert (nights.account().holds, nights.ran_out()) == ({}, 10)


def test_the_job_takes_what_remains_of_each_day_and_not_what_was_given(nights: Nights) -> None:
    nights.earn(40, TODAY)
    nights.run(c.Spend, points=30)
    nights.pass_days(1)

    nights.night()

    assert nights.ran_out() == 10


def test_of_a_spend_and_the_job_at_midnight_exactly_one_has_the_points(
    nights: Nights, world: World
) -> None:
    nights.earn(40, TODAY)
    midnight = datetime(2026, 11, 23, 16, tzinfo=UTC)
    nights.now = midnight
    nights.find()

    def spend_by_a_clock_behind() -> None:
        nights.now = midnight - timedelta(milliseconds=1)
        nights.run(c.Spend, points=25)
        nights.now = midnight

    nights.reach_through(
        Interrupting(world.dynamodb, "transact_write_items", spend_by_a_clock_behind)
    )
    assert nights.settle() == []

    assert (nights.account().buckets, nights.ran_out()) == ({}, 15)
    with pytest.raises(InsufficientPoints):
        nights.run(c.Spend, points=1)


def test_points_that_were_over_when_they_were_earned_are_found_the_next_night(
    nights: Nights,
) -> None:
    nights.earn(10, date(2024, 12, 31))
    assert nights.view().buckets == {}
    nights.pass_days(1)

    nights.night()

    assert nights.ran_out() == 10


def test_every_wallet_of_a_member_is_settled(nights: Nights) -> None:
    nights.earn(10, TODAY)
    nights.earn(20, TODAY, wallet="growth")
    nights.pass_days(1)

    nights.night()

    assert [nights.account(wallet=name).buckets for name in ("points", "growth")] == [{}, {}]
    assert nights.ran_out() == 30


def test_an_account_that_fails_keeps_no_other_from_being_settled_and_comes_again(
    nights: Nights, world: World
) -> None:
    for owner in ("ann", "bo", "cy"):
        nights.earn(10, TODAY, owner)
    nights.pass_days(1)
    nights.find()
    tasks = nights.waiting()
    throttled = [cancellation("None", "ThrottlingError")] * 8
    nights.reach_through(Reluctant(world.dynamodb, "transact_write_items", *throttled))

    failed = nights.settle(tasks)

    assert failed == [record["messageId"] for record in tasks]
    assert sum(nights.ran_out(owner) for owner in ("ann", "bo", "cy")) == 20
    assert nights.settle(tasks) == []
    assert sum(nights.ran_out(owner) for owner in ("ann", "bo", "cy")) == 30


def test_a_message_that_fails_keeps_no_other_from_being_worked_on(
    nights: Nights, world: World
) -> None:
    for owner in CROWD:
        nights.earn(10, TODAY, owner)
    nights.pass_days(1)
    nights.find()
    first, second = nights.waiting()
    nights.reach_through(Reluctant(world.dynamodb, "batch_get_item", refusal("AccessDenied")))

    assert nights.settle([first, second]) == [first["messageId"]]


def test_the_accounts_of_a_task_are_read_at_once_and_each_is_one_transaction(
    nights: Nights, world: World
) -> None:
    for owner in ("ann", "bo", "cy"):
        nights.earn(10, TODAY, owner)
    nights.pass_days(1)
    nights.find()
    counting = Counting(world.dynamodb)
    nights.reach_through(counting)

    assert nights.settle() == []

    assert counting.calls == {"batch_get_item": 1, "transact_write_items": 3}


def test_what_ran_out_is_counted(nights: Nights, counted: Any) -> None:
    nights.earn(40, TODAY)
    nights.earn(2, TODAY, "bo")
    nights.pass_days(1)
    counted()

    nights.night()

    assert counted()["PointsExpired"] == 42


def test_a_program_that_changes_its_validity_leaves_what_was_given_as_it_was(
    nights: Nights, world: World
) -> None:
    nights.earn(10, YEAR_END)
    before = nights.account()
    world.activate(
        {**LITRES, "validity": {"months": 1, "end_of": "day"}},
        effective_at=nights.now + timedelta(seconds=1),
    )

    nights.pass_days(1)
    nights.night()

    assert nights.account() == before
