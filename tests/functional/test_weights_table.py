"""The versions of the weights, which is in force when, and how containers come to know."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from forecourt.attributes import to_item
from forecourt.errors import StaleWrite, VersionMismatch
from forecourt.operator_errors import RetroactiveActivation, UnknownWeights
from forecourt.proposals import proposal_to_record
from forecourt.sales import EvidenceKind
from forecourt.weights_table import (
    LEARNINGS_KNOWN,
    REQUESTS_KNOWN,
    SINCE_EVER,
    TIMELINE_KEY,
    TIMELINE_REMEMBERED_SECONDS,
    Learning,
    WeightsInForce,
    WeightsTable,
    shipped_weights,
)
from tests.functional.clients import Counting, Interrupting, Lagging, Paging, Reluctant, refusal
from tests.functional.conftest import LOYALTY_TABLE
from tests.functional.world import LEARNT_IN
from tests.specimens import RECEIVED_AT, proposal

if TYPE_CHECKING:
    from forecourt.timelines import Activation
    from forecourt.weighing import Weights
    from tests.functional.world import World

NOW = RECEIVED_AT
SECOND = replace(shipped_weights(), version=2, prior=-1500)
TOO_FEW = Learning(
    run_id=LEARNT_IN, finished_at=NOW, reason="too_few_sales", found=12, needed=2_000
)


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


_requests = itertools.count(1)


def activate(world: World, version: int, *, replaces: int = 1, **changes: Any) -> Activation:
    request_id = f"request-{next(_requests)}"
    order = {"effective_at": None, "now": NOW, "request_id": request_id, **changes}
    return world.weights.activate(version, replaces=replaces, **order)


def table(client: Any) -> WeightsTable:
    return WeightsTable(client, name=LOYALTY_TABLE)


def propose_with(client: Any, weights: Weights, run_id: str) -> int:
    return table(client).propose(
        run_id,
        lambda version: proposal_to_record(proposal(weights), version=version),
        proposed_at=NOW,
    )


# --- what decides -------------------------------------------------------------------------------


def test_the_shipped_weights_are_the_first_version_and_know_every_kind_of_evidence() -> None:
    weights = shipped_weights()

    assert weights.version == 1
    assert weights.levels.keys() >= {*EvidenceKind, "presence", "claim", "station"}


def test_a_fresh_installation_decides_by_the_shipped_weights(world: World) -> None:
    assert WeightsInForce(world.weights)() == shipped_weights()
    assert world.weights.weights(1) == shipped_weights()
    assert world.weights.timeline() == (SINCE_EVER,)


def test_what_is_activated_decides_in_every_container_within_ten_seconds(world: World) -> None:
    clock = Clock()
    in_force = WeightsInForce(world.weights, clock=clock, now=lambda: NOW)
    assert in_force().version == 1
    world.propose(SECOND)

    activate(world, 2)

    assert in_force().version == 1
    clock.seconds += TIMELINE_REMEMBERED_SECONDS + 0.1
    assert in_force() == SECOND
    assert TIMELINE_REMEMBERED_SECONDS < 10


def test_an_activation_to_come_decides_from_its_very_instant(world: World) -> None:
    world.propose(SECOND)
    at = NOW + timedelta(hours=1)
    activate(world, 2, effective_at=at)
    times = iter([at - timedelta(microseconds=1), at])
    in_force = WeightsInForce(world.weights, clock=Clock(), now=lambda: next(times))

    assert [in_force().version, in_force().version] == [1, 2]


def test_a_warm_container_reads_the_timeline_now_and_then_and_a_version_once(world: World) -> None:
    world.propose(SECOND)
    activate(world, 2)
    clock, counting = Clock(), Counting(world.dynamodb)
    in_force = WeightsInForce(table(counting), clock=clock, now=lambda: NOW)

    for _ in range(3):
        in_force()
    assert counting.calls == {"get_item": 2}
    clock.seconds += TIMELINE_REMEMBERED_SECONDS + 0.1
    in_force()
    assert counting.calls == {"get_item": 3}


def test_a_container_that_sees_an_old_timeline_goes_on_by_it(world: World) -> None:
    world.propose(SECOND)
    activate(world, 2)

    assert WeightsInForce(table(Lagging(world.dynamodb)), now=lambda: NOW)().version == 1


# --- proposing ----------------------------------------------------------------------------------


def test_a_proposal_is_kept_with_its_comparison_and_activates_nothing(world: World) -> None:
    assert world.propose(SECOND) == 2

    stored = world.weights.version(2)
    assert world.weights.weights(2) == SECOND
    assert (stored.run_id, stored.proposed_at) == (LEARNT_IN, NOW)
    assert stored.document["learnt_from"] == {"sales": 2_400, "confirmed": 130}
    assert stored.comparison is not None
    assert stored.comparison["safe"] is True
    assert world.weights.timeline() == (SINCE_EVER,)
    assert world.weights.learning(LEARNT_IN) == Learning(
        run_id=LEARNT_IN, finished_at=NOW, version=2
    )


def test_a_run_proposes_once_and_the_next_run_the_next_version(world: World) -> None:
    assert [world.propose(SECOND), world.propose(SECOND)] == [2, 2]
    assert world.propose(SECOND, run_id="2026-11-30T20:00:00Z") == 3
    assert world.propose(SECOND) == 2

    versions, before = world.weights.versions(limit=5)
    assert [each.version for each in versions] == [3, 2, 1]
    assert before is None


def test_two_runs_at_once_get_a_version_each(world: World) -> None:
    meanwhile = Interrupting(
        world.dynamodb, "transact_write_items", lambda: world.propose(SECOND, run_id="other")
    )

    assert propose_with(meanwhile, SECOND, LEARNT_IN) == 3
    assert world.weights.version(3).document["version"] == 3


def test_what_keeps_a_proposal_from_being_written_is_not_taken_for_a_rival(world: World) -> None:
    broken = Reluctant(world.dynamodb, "transact_write_items", refusal("AccessDeniedException"))

    with pytest.raises(ClientError, match="AccessDenied"):
        propose_with(broken, SECOND, LEARNT_IN)

    assert world.items(LOYALTY_TABLE) == []


def test_a_run_that_found_too_little_leaves_nothing_that_could_be_activated(world: World) -> None:
    world.weights.keep_learning(TOO_FEW)

    assert world.weights.learnings() == [TOO_FEW]
    (item,) = world.items(LOYALTY_TABLE)
    assert item["expires_at_epoch"] == int((NOW + LEARNINGS_KNOWN).timestamp())
    with pytest.raises(UnknownWeights):
        activate(world, 2)
    assert world.weights.timeline() == (SINCE_EVER,)


def test_a_proposal_is_not_forgotten_when_the_last_step_comes_twice(world: World) -> None:
    world.propose(SECOND)

    world.weights.keep_learning(TOO_FEW)

    learning = world.weights.learning(LEARNT_IN)
    assert learning is not None
    assert learning.version == 2


def test_the_latest_runs_come_first_however_they_are_named(world: World) -> None:
    for days, run_id in enumerate(("b", "c", "a")):
        world.weights.keep_learning(
            replace(TOO_FEW, run_id=run_id, finished_at=NOW + timedelta(days=days))
        )

    found = table(Paging(world.dynamodb, page=1)).learnings()

    assert [each.run_id for each in found] == ["a", "c", "b"]


def test_versions_come_in_pages_and_the_shipped_one_last(world: World) -> None:
    for run in "ab":
        world.propose(SECOND, run_id=run)

    pages, before = [], None
    for _ in range(3):
        page, before = world.weights.versions(limit=1, before=before)
        pages.append([each.version for each in page])

    assert (pages, before) == ([[3], [2], [1]], None)


# --- activating ---------------------------------------------------------------------------------


def test_activating_again_changes_nothing_and_an_older_version_may_come_back(world: World) -> None:
    world.propose(SECOND)

    first = activate(world, 2)
    again = activate(world, 2, now=NOW + timedelta(seconds=5))
    back = activate(world, 1, replaces=2, now=NOW + timedelta(minutes=5))

    assert first == again
    assert world.weights.timeline() == (SINCE_EVER, first, back)
    in_force = WeightsInForce(world.weights, now=lambda: NOW + timedelta(minutes=5))
    assert in_force() == shipped_weights()


def test_a_request_that_comes_again_is_not_carried_out_over_a_later_one(world: World) -> None:
    world.propose(SECOND)
    first = activate(world, 2, request_id="1")
    activate(world, 1, replaces=2, now=NOW + timedelta(minutes=5))
    before = world.weights.timeline()

    again = activate(world, 2, now=NOW + timedelta(minutes=9), request_id="1")

    assert again == first
    assert world.weights.timeline() == before


def test_only_so_many_requests_are_remembered(world: World) -> None:
    world.propose(SECOND)
    for number in range(REQUESTS_KNOWN + 2):
        there = 1 + number % 2
        activate(world, 3 - there, replaces=there, now=NOW + timedelta(minutes=number))

    item = world.dynamodb.get_item(TableName=LOYALTY_TABLE, Key=to_item(TIMELINE_KEY))["Item"]

    assert len(item["requests"]["L"]) == REQUESTS_KNOWN
    assert len(world.weights.timeline()) == REQUESTS_KNOWN + 3


def test_the_same_planned_activation_twice_is_one(world: World) -> None:
    world.propose(SECOND)
    at = NOW + timedelta(hours=1)

    assert activate(world, 2, effective_at=at) == activate(world, 2, effective_at=at)
    assert len(world.weights.timeline()) == 2


def test_who_decided_on_another_version_in_force_is_told(world: World) -> None:
    for run in "ab":
        world.propose(SECOND, run_id=run)
    activate(world, 2)
    before = world.weights.timeline()

    with pytest.raises(VersionMismatch) as refused:
        activate(world, 3, replaces=1, now=NOW + timedelta(seconds=1))

    assert refused.value.version == 2
    assert world.weights.timeline() == before


def test_a_colleagues_plan_is_what_a_later_activation_replaces(world: World) -> None:
    for run in "ab":
        world.propose(SECOND, run_id=run)
    activate(world, 2, effective_at=NOW + timedelta(hours=1))

    with pytest.raises(VersionMismatch):
        activate(world, 3, replaces=1, effective_at=NOW + timedelta(hours=2))
    activate(world, 3, replaces=1, effective_at=NOW + timedelta(minutes=30))

    assert [each.version for each in world.weights.timeline()] == [1, 3, 2]


def test_what_is_planned_gives_way_to_another_activation_for_the_same_moment(
    world: World,
) -> None:
    world.propose(SECOND)
    at = NOW + timedelta(hours=1)
    activate(world, 2, effective_at=at)

    instead = activate(world, 1, replaces=2, effective_at=at)

    assert world.weights.timeline() == (SINCE_EVER, instead)


@pytest.mark.parametrize("already", [False, True])
def test_of_two_operators_at_once_one_has_to_decide_again(world: World, *, already: bool) -> None:
    for run in "abc":
        world.propose(SECOND, run_id=run)
    if already:
        activate(world, 4)
    in_force = 4 if already else 1
    later = NOW + timedelta(seconds=1)
    meanwhile = Interrupting(
        world.dynamodb, "put_item", lambda: activate(world, 2, replaces=in_force, now=later)
    )

    with pytest.raises(StaleWrite):
        table(meanwhile).activate(
            3, replaces=in_force, effective_at=None, now=later, request_id="3"
        )

    assert [each.version for each in world.weights.timeline()][-1] == 2


def test_nothing_is_activated_in_the_past(world: World) -> None:
    world.propose(SECOND)

    with pytest.raises(RetroactiveActivation):
        activate(world, 2, effective_at=NOW - timedelta(seconds=1))

    assert world.weights.timeline() == (SINCE_EVER,)
