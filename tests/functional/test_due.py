"""The search by day finds whatever a night has to work on: late, killed, or for a migration."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.due import LOOK_BACK_DAYS
from forecourt.instants import compact_instant
from forecourt.ledger import commands as c
from forecourt.queues import NotSent
from functions.due import handler as due
from tests.functional.clients import Killed, Killing
from tests.functional.nights import CROWD, TODAY, YEAR_END, Nights

if TYPE_CHECKING:
    from tests.functional.world import World

TOMORROW = TODAY + timedelta(days=1)


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


# --- migrations -------------------------------------------------------------------------------


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
