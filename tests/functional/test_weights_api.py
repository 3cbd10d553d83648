"""What head office sees of weights, and how it has them learnt and put in force."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.instants import format_instant
from forecourt.proposals import proposal_to_record
from forecourt.weights_table import Learning, shipped_weights
from functions.operator import handler
from tests.functional.clients import Starting
from tests.functional.conftest import LEARNING_FUNCTION, LOYALTY_TABLE
from tests.functional.http import Client
from tests.functional.world import LEARNT_IN
from tests.specimens import RECEIVED_AT, proposal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functional.world import World

NOW = datetime(2026, 11, 24, 8, 15, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
LEARNT = replace(shipped_weights(), prior=-1500)


@pytest.fixture(autouse=True)
def clock(aws: None, monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:  # noqa: ARG001
    def set_clock(at: datetime) -> None:
        monkeypatch.setattr(handler.weights, "_now", lambda: at)

    set_clock(NOW)
    return set_clock


@pytest.fixture
def operator() -> Client:
    return Client(handle=handler.handle, subject="sub-operator", groups="[operator]")


@pytest.fixture
def functions(monkeypatch: pytest.MonkeyPatch) -> Starting:
    functions = Starting()
    monkeypatch.setattr(handler, "functions", functions)
    return functions


def test_a_fresh_installation_shows_the_shipped_weights_in_force(operator: Client) -> None:
    listed = operator.get("/weights").body
    shown = operator.get("/weights/1").body

    assert (listed["in_force"], listed["timeline"], listed["learnings"]) == (1, [], [])
    (shipped,) = listed["weights"]
    assert (shipped["version"], shipped["status"], shipped["comparison"]) == (1, "in_force", None)
    assert shown["levels"] == {name: dict(each) for name, each in shipped_weights().levels.items()}
    assert shown["activations"] == []


def test_a_proposal_is_shown_with_what_it_rests_on_and_how_it_did(
    operator: Client, world: World
) -> None:
    world.propose(LEARNT)

    shown = operator.get("/weights/2").body

    assert (shown["status"], shown["run_id"]) == ("proposed", LEARNT_IN)
    assert shown["proposed_at"] == format_instant(RECEIVED_AT)
    assert shown["learnt_from"] == {"sales": 2_400, "confirmed": 130}
    assert shown["prior"] == -1500
    assert shown["comparison"] == proposal_to_record(proposal(LEARNT), version=2)["comparison"]


def test_versions_stand_where_the_timeline_says(operator: Client, world: World) -> None:
    for run in ("a", "b", "c"):
        world.propose(LEARNT, run_id=run)
    operator.post("/weights/2/activation", {"replaces": 1})
    operator.post("/weights/3/activation", {"replaces": 2, "effective_at": format_instant(LATER)})

    listed = operator.get("/weights").body

    assert [(each["version"], each["status"]) for each in listed["weights"]] == [
        (4, "proposed"),
        (3, "scheduled"),
        (2, "in_force"),
        (1, "retired"),
    ]
    assert listed["timeline"] == [
        {"version": 2, "effective_at": format_instant(NOW)},
        {"version": 3, "effective_at": format_instant(LATER)},
    ]


def test_the_list_goes_on_until_the_shipped_version(operator: Client, world: World) -> None:
    world.propose(LEARNT)

    first = operator.get("/weights", limit=1).body
    second = operator.get("/weights", limit=1, cursor=first["next_cursor"]).body

    assert [each["version"] for each in first["weights"] + second["weights"]] == [2, 1]
    assert second["next_cursor"] is None


def test_a_run_that_found_too_little_says_so_and_leaves_nothing_to_activate(
    operator: Client, world: World
) -> None:
    world.weights.keep_learning(
        Learning(run_id=LEARNT_IN, finished_at=NOW, reason="too_few_confirmed", found=3, needed=100)
    )

    (run,) = operator.get("/weights").body["learnings"]
    refused = operator.post("/weights/2/activation", {"replaces": 1})

    assert (run["reason"], run["found"], run["needed"]) == ("too_few_confirmed", 3, 100)
    assert run["version"] is None
    assert (refused.status, refused.code) == (404, "unknown_weights")


def test_activating_and_going_back(
    operator: Client, world: World, clock: Callable[[datetime], None]
) -> None:
    world.propose(LEARNT)

    there = operator.post("/weights/2/activation", {"replaces": 1})
    clock(LATER)
    back = operator.post("/weights/1/activation", {"replaces": 2})

    assert (there.status, there.body) == (200, {"version": 2, "effective_at": format_instant(NOW)})
    assert back.body == {"version": 1, "effective_at": format_instant(LATER)}
    assert operator.get("/weights").body["in_force"] == 1


def test_the_same_order_twice_is_one_activation(
    operator: Client, world: World, clock: Callable[[datetime], None]
) -> None:
    world.propose(LEARNT)

    first = operator.post("/weights/2/activation", {"replaces": 1}, key="k")
    again = operator.post("/weights/2/activation", {"replaces": 1}, key="k")
    clock(LATER)
    # As if the first answer had been lost before it was kept.
    anew = operator.post("/weights/2/activation", {"replaces": 1}, key="another")

    assert first.body == again.body == anew.body
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(world.weights.timeline()) == 2


def test_a_colleague_who_was_faster_is_not_overruled_unseen(
    operator: Client, world: World, clock: Callable[[datetime], None]
) -> None:
    for run in ("a", "b"):
        world.propose(LEARNT, run_id=run)
    operator.post("/weights/2/activation", {"replaces": 1})
    before = world.items(LOYALTY_TABLE)
    clock(LATER)

    refused = operator.post("/weights/3/activation", {"replaces": 1})

    assert (refused.status, refused.code, refused.facts) == (
        412,
        "version_mismatch",
        {"version": 2},
    )
    assert world.items(LOYALTY_TABLE) == before


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"replaces": 1, "effective_at": "2026-11-24T08:14:59Z"}, 409, "retroactive_activation"),
        ({}, 422, "invalid_request"),
        ({"replaces": 0}, 422, "invalid_request"),
        ({"replaces": 1, "effective_at": "soon"}, 422, "invalid_request"),
    ],
)
def test_an_order_that_cannot_be_followed_changes_nothing(
    operator: Client, world: World, body: Any, status: int, code: str
) -> None:
    world.propose(LEARNT)
    before = world.items(LOYALTY_TABLE)

    refused = operator.post("/weights/2/activation", body)

    assert (refused.status, refused.code) == (status, code)
    assert world.items(LOYALTY_TABLE) == before


def test_learning_is_started_once_for_a_request(operator: Client, functions: Starting) -> None:
    first = operator.post("/weights/learnings", key="k")
    again = operator.post("/weights/learnings", key="k")

    assert (first.status, first.body) == (202, again.body)
    (start,) = functions.started
    assert (start["FunctionName"], start["InvocationType"]) == (LEARNING_FUNCTION, "Event")
    assert json.loads(start["Payload"]) == first.body


def test_a_start_that_failed_in_passing_is_the_same_run_the_next_time(
    operator: Client, functions: Starting, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(**_: Any) -> None:
        raise ConnectionError

    monkeypatch.setattr(functions, "invoke", fails)
    assert operator.post("/weights/learnings", key="k").status == 500
    monkeypatch.undo()
    monkeypatch.setattr(handler, "functions", functions)

    run_id = operator.post("/weights/learnings", key="k").body["run_id"]

    assert [json.loads(each["Payload"])["run_id"] for each in functions.started] == [run_id]


@pytest.mark.parametrize("group", ["manager", "attendant", "member"])
def test_weights_are_no_business_of(group: str, world: World, functions: Starting) -> None:
    world.propose(LEARNT)
    caller = Client(handle=handler.handle, subject="sub-1", groups=f"[{group}]")
    before = world.items(LOYALTY_TABLE)

    replies = [
        caller.get("/weights"),
        caller.get("/weights/2"),
        caller.post("/weights/learnings"),
        caller.post("/weights/2/activation", {"replaces": 1}),
    ]

    assert {reply.code for reply in replies} == {"forbidden"}
    assert (world.items(LOYALTY_TABLE), functions.started) == (before, [])
