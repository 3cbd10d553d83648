"""The routes for the weights: what was proposed, how it did, and which decides from when."""

from collections.abc import Callable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query

from forecourt.callers import Permission
from forecourt.contention import until_settled
from forecourt.cursors import MAX_CURSOR_LENGTH, make_cursor, read_cursor
from forecourt.doors import Door
from forecourt.instants import format_instant
from forecourt.once import Answer
from forecourt.timelines import Activation, activations_to_list, in_force
from forecourt.weights_table import (
    MAX_VERSION,
    SINCE_EVER,
    Learning,
    WeightsTable,
    WeightsVersion,
)
from functions.operator.weights_bodies import (
    AllWeightsView,
    DetailedWeightsView,
    LearningStartedView,
    WeightsActivationOrder,
    WeightsActivationView,
)

PAGE = 10
PAGE_MAX = 50
LEARNINGS_SHOWN = 10
TAG = "weights"
SCOPE = "weights"

VersionNumber = Annotated[int, Path(ge=1, le=MAX_VERSION)]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]
Cursor = Annotated[str | None, Query(max_length=MAX_CURSOR_LENGTH)]


class Standing(StrEnum):
    """Where a version stands."""

    PROPOSED = "proposed"
    SCHEDULED = "scheduled"
    IN_FORCE = "in_force"
    RETIRED = "retired"


class WeightsRoutes:
    """
    The routes, the versions, and what starts learning new ones.

    *learn* begins the run of an id; begun twice, it is the same run.
    """

    def __init__(
        self,
        *,
        door: Door,
        table: WeightsTable,
        learn: Callable[[str], None],
        now: Callable[[], datetime],
    ) -> None:
        self._door = door
        self._table = table
        self._learn = learn
        self._now = now
        for method, path, route, status in (
            ("GET", "/weights", self.list_weights, 200),
            ("POST", "/weights/learnings", self.learn_weights, 202),
            ("GET", "/weights/<version>", self.show_weights, 200),
            ("POST", "/weights/<version>/activation", self.activate_weights, 200),
        ):
            door.add(method, path, route, tag=TAG, status=status)

    def list_weights(self, limit: Limit = PAGE, cursor: Cursor = None) -> Response[AllWeightsView]:
        """List the versions, latest first, which is in force when, and what was learnt lately."""
        self._door.caller.require(Permission.READ_WEIGHTS)
        position = read_cursor(cursor, scope=SCOPE, parts=1) if cursor is not None else None
        before = int(position[0]) if position else None
        versions, last = self._table.versions(limit=limit, before=before)
        timeline, now = self._table.timeline(), self._now()
        return self._door.show(
            {
                "weights": [_version(each, timeline, now) for each in versions],
                "timeline": activations_to_list(_stated(timeline)),
                "in_force": in_force(timeline, now),
                "learnings": [
                    _learning(each) for each in self._table.learnings()[:LEARNINGS_SHOWN]
                ],
                "next_cursor": make_cursor([str(last)], scope=SCOPE) if last else None,
            }
        )

    def show_weights(self, version: VersionNumber) -> Response[DetailedWeightsView]:
        """Show what a version weighs how much, and how it did beside the one it would replace."""
        self._door.caller.require(Permission.READ_WEIGHTS)
        stored, timeline = self._table.version(version), self._table.timeline()
        return self._door.show(
            {
                **_version(stored, timeline, self._now()),
                "members": stored.document["members"],
                "prior": stored.document["prior"],
                "levels": stored.document["levels"],
                "activations": activations_to_list(
                    [each for each in _stated(timeline) if each.version == version]
                ),
            }
        )

    def learn_weights(self) -> Response[LearningStartedView]:
        """
        Have new weights learnt now instead of on the next Tuesday.

        That takes minutes. What comes of it is among the `learnings`; nothing is activated.
        """
        caller = self._door.caller
        caller.require(Permission.CHANGE_WEIGHTS)
        run_id = self._door.request_id

        def perform() -> Answer:
            self._learn(run_id)
            return Answer(status=202, body={"run_id": run_id})

        return self._door.once(perform)

    def activate_weights(
        self, version: VersionNumber, body: WeightsActivationOrder
    ) -> Response[WeightsActivationView]:
        """
        Let sales be decided by a version from a time on, at once unless told.

        A version that was in force before may be activated again: that is the way back.
        Sales that were decided stay decided.
        """
        self._door.caller.require(Permission.CHANGE_WEIGHTS)
        request_id = self._door.exact_id

        def attempt() -> Activation:
            return self._table.activate(
                version,
                replaces=body.replaces,
                effective_at=body.effective_at,
                now=self._now(),
                request_id=request_id,
            )

        def perform() -> Answer:
            (activation,) = activations_to_list([until_settled(attempt)])
            return Answer(status=200, body=activation)

        return self._door.once(perform)


def standing_of(version: int, timeline: Sequence[Activation], now: datetime) -> Standing:
    """Return where a version stands: in force before all else, and to come before over."""
    if in_force(timeline, now) == version:
        return Standing.IN_FORCE
    activated = [each.effective_at for each in timeline if each.version == version]
    if not activated:
        return Standing.PROPOSED
    return Standing.SCHEDULED if max(activated) > now else Standing.RETIRED


def _stated(timeline: Sequence[Activation]) -> list[Activation]:
    """Return what somebody has activated: the shipped version is in force without that."""
    return [each for each in timeline if each != SINCE_EVER]


def _version(
    stored: WeightsVersion, timeline: Sequence[Activation], now: datetime
) -> dict[str, Any]:
    return {
        "version": stored.version,
        "status": str(standing_of(stored.version, timeline, now)),
        "run_id": stored.run_id,
        "proposed_at": format_instant(stored.proposed_at) if stored.proposed_at else None,
        "learnt_from": stored.document["learnt_from"],
        "comparison": stored.comparison,
    }


def _learning(learning: Learning) -> dict[str, Any]:
    return {
        "run_id": learning.run_id,
        "finished_at": format_instant(learning.finished_at),
        "version": learning.version,
        "reason": learning.reason,
        "found": learning.found,
        "needed": learning.needed,
    }
