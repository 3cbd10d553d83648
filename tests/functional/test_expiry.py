"""The expiry job: found by day, done once, whatever is repeated, late or killed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.due import LOOK_BACK_DAYS
from forecourt.instants import compact_instant
from forecourt.ledger import commands as c
from forecourt.ledger.refusals import InsufficientPoints
from forecourt.queues import NotSent
from functions.due import handler as due
from tests.functional.clients import (
    Counting,
    Interrupting,
    Killed,
    Killing,
    Reluctant,
    cancellation,
    refusal,
)
from tests.functional.nights import TODAY, Nights
from tests.functional.world import LITRES

if TYPE_CHECKING:
    from tests.functional.world import World

TOMORROW = TODAY + timedelta(days=1)
YEAR_END = date(2026, 12, 31)
CROWD = ["ann", "bo", "cy", "di", "ed"]


@pytest.fixture
def nights(world: World, context: Any, monkeypatch: pytest.MonkeyPatch) -> Nights:
    monkeypatch.setattr("forecourt.due.ACCOUNTS_PER_TASK", 3)
    nights = Nights(world, context, monkeypatch)
    nights.under()
    return nights


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


def test_a_job_that_stood_still_finds_every_day_it_missed(nights: Nights) -> None:
    for days in range(LOOK_BACK_DAYS):
        nights.earn(1, TODAY + timedelta(days=days), f"m{days:02}")
    nights.pass_days(LOOK_BACK_DAYS)

    assert nights.find() == LOOK_BACK_DAYS
    assert nights.settle() == []
    assert nights.find() == 0


def test_a_job_that_stood_still_for_longer_is_told_since_when(nights: Nights) -> None:
    nights.earn(1, TODAY)
    nights.pass_days(LOOK_BACK_DAYS + 2)

    assert nights.find() == 0
    assert nights.find(since=TODAY.isoformat()) == 1


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


def test_a_search_killed_in_the_middle_is_begun_again_and_nothing_is_done_twice(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    for owner in CROWD:
        nights.earn(10, TODAY, owner)
    nights.pass_days(1)
    monkeypatch.setattr("forecourt.queues.SEND_MAX", 1)
    with monkeypatch.context() as dying:
        dying.setattr(due, "sqs", Killing(due.sqs, "send_message_batch", calls=1))
        with pytest.raises(Killed):
            nights.find()

    assert nights.find() == len(CROWD)
    tasks = nights.waiting()
    assert nights.settle(tasks) == []

    assert len(tasks) == 3  # one from the search that died
    assert {len(nights.entries(owner)) for owner in CROWD} == {2}
    assert {nights.ran_out(owner) for owner in CROWD} == {10}


def test_tasks_that_the_queue_refuses_fail_the_job(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def send_message_batch(self, **_arguments: Any) -> dict[str, Any]:
            return {"Successful": [], "Failed": [{"Id": "0", "Code": "Throttled"}]}

    nights.earn(10, TODAY)
    nights.pass_days(1)
    monkeypatch.setattr(due, "sqs", Full())

    with pytest.raises(NotSent) as caught:
        nights.find()
    assert caught.value.args == (["Throttled"],)


def test_before_the_program_begins_there_is_nothing_to_find_and_nothing_to_do(
    world: World, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    nights = Nights(world, context, monkeypatch)

    assert nights.find() == 0
    with pytest.raises(ValueError, match="Records"):
        nights.settle([])
    with pytest.raises(ValueError, match="Records"):
        nights.remind([])


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


def test_a_migration_on_purpose_extends_one_last_day_of_everybody_who_has_it(
    nights: Nights, world: World
) -> None:
    nights.earn(10, YEAR_END)
    nights.earn(3, TODAY)  # so that the account is found under another day
    nights.earn(20, YEAR_END, "bo", activates_on=TOMORROW)
    nights.earn(30, TOMORROW, "cy")
    nights.earn(40, YEAR_END, wallet="growth")
    later = YEAR_END + timedelta(days=90)
    order = {"wallet": "points", "expires_on": YEAR_END.isoformat(), "until": later.isoformat()}

    assert nights.find("extend", **order) == 3
    tasks = nights.waiting()
    assert nights.settle(tasks) == []
    before = world.snapshot()
    assert nights.settle(tasks) == []
    nights.pass_days(1)
    nights.find("extend", **order)
    assert nights.settle() == []

    assert nights.view().buckets == {later: 10}
    assert nights.view("bo").buckets == {later: 20}
    assert nights.account("cy").buckets == {TOMORROW: 30}
    assert nights.account(wallet="growth").buckets == {YEAR_END: 40}
    assert world.snapshot() == before


def test_a_migration_run_again_extends_what_came_with_the_day_since(
    nights: Nights, world: World
) -> None:
    later = YEAR_END + timedelta(days=90)
    order = {"wallet": "points", "expires_on": YEAR_END.isoformat(), "until": later.isoformat()}
    for points in (10, 5):
        nights.earn(points, YEAR_END)
        nights.find("extend", **order)
        assert nights.settle() == []
    before = world.snapshot()
    nights.find("extend", **order)
    assert nights.settle() == []

    assert nights.view().buckets == {later: 15}
    assert world.snapshot() == before


def test_a_migration_that_would_shorten_is_refused_before_anything_is_sent(nights: Nights) -> None:
    nights.earn(10, YEAR_END)

    with pytest.raises(ValueError, match="2026-12-31"):
        nights.find("extend", wallet="points", expires_on="2026-12-31", until="2026-12-31")

    assert nights.waiting() == []


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


# --- refunds that wait ------------------------------------------------------------------------


def test_a_refund_that_waits_for_a_whole_day_is_told_until_its_sale_comes(
    nights: Nights, counted: Any
) -> None:
    sale = f"{compact_instant(nights.now)}.sale"
    for number in (1, 2):
        nights.run(c.Reverse, reverses=sale, document=f"R-{number}")
    told = []

    for days in (0, 1, 1, 1):
        nights.pass_days(days)
        counted()
        assert nights.find() == 0
        told.append(counted()["RefundsWaiting"])
    nights.ledger.execute(
        c.EarnNothing(
            entry_id=sale,
            owner="ann",
            source="sale:1",
            reason="fuel",
            actor="accrual",
            occurred_at=nights.now,
        ),
        policies=nights.policies,
    )
    counted()
    nights.find()

    assert told == [0, 0, 1, 1]
    assert counted()["RefundsWaiting"] == 0


def test_a_refund_that_waits_is_no_account_to_settle_remind_or_extend(
    nights: Nights, counted: Any
) -> None:
    nights.earn(40, YEAR_END)
    nights.run(c.Reverse, reverses="never", document="R-1")
    nights.pass_days(2)
    before = nights.world.snapshot()
    counted()

    assert nights.find("remind") == 0
    extension = {"wallet": "points", "expires_on": "2026-11-30", "until": "2026-12-31"}
    assert nights.find("extend", **extension) == 0

    assert counted()["RefundsWaiting"] == 0
    assert nights.world.snapshot() == before


def test_a_refund_that_waits_for_longer_than_the_job_looks_back_is_told_when_asked_for(
    nights: Nights, counted: Any
) -> None:
    nights.run(c.Reverse, reverses="never", document="R-1")
    nights.pass_days(LOOK_BACK_DAYS + 3)
    counted()

    nights.find()
    assert counted()["RefundsWaiting"] == 0
    nights.find(since=TODAY.isoformat())
    assert counted()["RefundsWaiting"] == 1
