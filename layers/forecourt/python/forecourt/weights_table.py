"""
The weights in the Loyalty table: versions, which is in force when, and what was learnt.

| item | pk | sk | attributes |
| --- | --- | --- | --- |
| version | `WEIGHTS` | `VERSION#<n:06d>` | type `weights`, document, comparison, run_id, … |
| timeline | `WEIGHTS` | `TIMELINE` | type `weights_timeline`, activations, requests |
| learning | `WEIGHTS` | `LEARNING#<run>` | type `learning`, version or reason, … |

A version is fixed when it is proposed. `activations` is a list of `{effective_at, version}`, as
of the program, and `requests` names the last requests that made some, so that one which comes
again makes no second one over what a colleague did since. A learning says what a run came to,
so that a step that comes twice proposes nothing twice; it is forgotten after `LEARNINGS_KNOWN`.

Version 1 has no item: it is shipped with the code and in force before any other. It was learnt
by `tests.bench.match_eval`, as that was on 2026-11-25, from 80,000 simulated sales of a hundred
thousand members.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forecourt.attributes import Item, encode, from_item, to_item
from forecourt.contention import until_settled
from forecourt.errors import StaleWrite, VersionMismatch
from forecourt.instants import format_instant, parse_instant
from forecourt.operator_errors import UnknownWeights
from forecourt.timelines import (
    Activation,
    activations_from_list,
    activations_to_list,
    after_activation,
    in_force,
)
from forecourt.transactions import transact
from forecourt.values import dataclass
from forecourt.weights import weights_from_document

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from forecourt.weighing import Weights

PARTITION = "WEIGHTS"
SHIPPED_WEIGHTS = Path(__file__).with_name("shipped_weights.json")
SHIPPED_VERSION = 1
SINCE_EVER = Activation(effective_at=datetime.min.replace(tzinfo=UTC), version=SHIPPED_VERSION)
MAX_VERSION = 999_999  # what the sort key has digits for
LEARNINGS_KNOWN = timedelta(days=90)
REQUESTS_KNOWN = 16  # a retry comes before so many other activations
# What is activated decides within ten seconds; half of it is left for a read that lags.
TIMELINE_REMEMBERED_SECONDS = 5

TIMELINE_KEY = {"pk": PARTITION, "sk": "TIMELINE"}


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsVersion:
    """
    A version of the weights.

    `comparison` is how it did beside the weights in force when it was proposed; the shipped
    version was not proposed by anybody.
    """

    version: int
    document: Mapping[str, Any]
    comparison: Mapping[str, Any] | None = None
    run_id: str | None = None
    proposed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """
    What a run came to: the `version` it proposed, or the `reason` why it proposed none.

    For that there were `found` sales, say, and had to be `needed`.
    """

    run_id: str
    finished_at: datetime
    version: int | None = None
    reason: str | None = None
    found: int | None = None
    needed: int | None = None


def weights_key(version: int) -> Item:
    """Return the key of a version of the weights."""
    return to_item({"pk": PARTITION, "sk": f"VERSION#{version:06}"})


def learning_key(run_id: str) -> Item:
    """Return the key of what a run came to."""
    return to_item({"pk": PARTITION, "sk": f"LEARNING#{run_id}"})


@cache
def shipped_document() -> Mapping[str, Any]:
    """Return the document of the weights a fresh installation decides by."""
    document: dict[str, Any] = json.loads(SHIPPED_WEIGHTS.read_text(encoding="utf-8"))
    return document


def shipped_weights() -> Weights:
    """Return the weights a fresh installation decides by."""
    return weights_from_document(dict(shipped_document()))


def _timeline_of(stored: Mapping[str, Any]) -> tuple[Activation, ...]:
    return (SINCE_EVER, *activations_from_list(stored.get("activations", ())))


class WeightsTable:
    """The table *name* behind the DynamoDB client *dynamodb*."""

    def __init__(self, dynamodb: Any, *, name: str) -> None:
        self._dynamodb = dynamodb
        self._name = name

    def timeline(self, *, consistent: bool = True) -> tuple[Activation, ...]:
        """Return which version is in force when; it begins with the shipped one."""
        return _timeline_of(self._timeline(consistent=consistent))

    def weights(self, version: int) -> Weights:
        """Return the weights of a version; raise `UnknownWeights`."""
        return weights_from_document(dict(self.version(version).document))

    def version(self, version: int) -> WeightsVersion:
        """Return a version; raise `UnknownWeights`."""
        response = self._dynamodb.get_item(
            TableName=self._name, Key=weights_key(version), ConsistentRead=True
        )
        if "Item" in response:
            return _version_from_item(response["Item"])
        if version != SHIPPED_VERSION:
            raise UnknownWeights(version)
        return _shipped()

    def versions(
        self, *, limit: int, before: int | None = None
    ) -> tuple[list[WeightsVersion], int | None]:
        """Return a page of versions, latest first, and the one it goes on behind."""
        start = {"ExclusiveStartKey": weights_key(before)} if before else {}
        response = self._query("VERSION#", ScanIndexForward=False, Limit=limit, **start)
        found = list(map(_version_from_item, response["Items"]))
        if len(found) == limit:
            return found, found[-1].version
        return [*found, _shipped()], None  # the one that has no item

    def learnings(self) -> list[Learning]:
        """Return what the runs of the last months came to, latest first."""
        found: list[Learning] = []
        start: dict[str, Any] = {}
        while True:
            response = self._query("LEARNING#", **start)
            found += map(_learning_from_item, response["Items"])
            if "LastEvaluatedKey" not in response:
                return sorted(found, key=lambda each: each.finished_at, reverse=True)
            start = {"ExclusiveStartKey": response["LastEvaluatedKey"]}

    def learning(self, run_id: str) -> Learning | None:
        """Return what a run came to, `None` while it goes on."""
        response = self._dynamodb.get_item(
            TableName=self._name, Key=learning_key(run_id), ConsistentRead=True
        )
        return _learning_from_item(response["Item"]) if "Item" in response else None

    def propose(
        self, run_id: str, record_of: Callable[[int], Mapping[str, Any]], *, proposed_at: datetime
    ) -> int:
        """
        Keep what a run proposes as the next version, once, and return its number.

        *record_of* returns document and comparison of the version with that number.
        """

        def attempt() -> int:
            before = self.learning(run_id)
            if before is not None and before.version is not None:
                return before.version
            latest, _ = self.versions(limit=1)
            version = latest[0].version + 1
            item = weights_key(version) | to_item(
                {
                    "type": "weights",
                    **record_of(version),
                    "run_id": run_id,
                    "proposed_at": format_instant(proposed_at),
                }
            )
            learning = Learning(run_id=run_id, finished_at=proposed_at, version=version)
            self._put_together(_learning_to_item(learning), item)
            return version

        return until_settled(attempt)

    def keep_learning(self, learning: Learning) -> None:
        """Keep why a run proposes nothing."""
        with suppress(self._dynamodb.exceptions.ConditionalCheckFailedException):
            self._dynamodb.put_item(
                TableName=self._name,
                Item=_learning_to_item(learning),
                # Excludes forgetting what the run has proposed, if its last step comes twice.
                ConditionExpression="attribute_not_exists(version)",
            )

    def activate(
        self,
        version: int,
        *,
        replaces: int,
        effective_at: datetime | None,
        now: datetime,
        request_id: str,
    ) -> Activation:
        """
        Put a version in force from *effective_at* on (`None`: at once); return the activation.

        A request that comes again is answered like the first time. *replaces* is what would be in
        force then without it; when a colleague was faster, that is another one and a
        `VersionMismatch`. What is so already is not written again. Raise `UnknownWeights`,
        `RetroactiveActivation`, or `StaleWrite` to decide again.
        """
        self.version(version)
        stored = self._timeline(consistent=True)
        requests = list(stored.get("requests", ()))
        known = [each for each in requests if each["request_id"] == request_id]
        if known:
            (earlier,) = activations_from_list(known)
            return earlier
        timeline = _timeline_of(stored)
        if effective_at is None and in_force(timeline, now) == version:
            return max(each for each in timeline if each.effective_at <= now)
        activation = Activation(effective_at=effective_at or now, version=version)
        changed = after_activation(timeline, activation, now=now)
        if changed == timeline:
            return activation
        there = in_force(timeline, activation.effective_at) or SHIPPED_VERSION
        if there != replaces:
            raise VersionMismatch(version=there)
        (told,) = activations_to_list([activation])
        requests.append({"request_id": request_id, **told})
        self._put_timeline(changed[1:], before=timeline[1:], requests=requests[-REQUESTS_KNOWN:])
        return activation

    def _timeline(self, *, consistent: bool) -> Mapping[str, Any]:
        response = self._dynamodb.get_item(
            TableName=self._name, Key=to_item(TIMELINE_KEY), ConsistentRead=consistent
        )
        return from_item(response.get("Item", {}))

    def _put_timeline(
        self,
        after: Sequence[Activation],
        *,
        before: Sequence[Activation],
        requests: Sequence[Mapping[str, Any]],
    ) -> None:
        activations = activations_to_list(after)
        unchanged: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        if before:
            unchanged = {
                "ConditionExpression": "activations = :before",
                "ExpressionAttributeValues": {":before": encode(activations_to_list(before))},
            }
        try:
            self._dynamodb.put_item(
                TableName=self._name,
                Item=to_item(
                    {
                        **TIMELINE_KEY,
                        "type": "weights_timeline",
                        "activations": activations,
                        "requests": list(requests),
                    }
                ),
                # Excludes losing an activation made since the timeline was read.
                **unchanged,
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            raise StaleWrite from None

    def _put_together(self, learning: Item, version: Item) -> None:
        refused = transact(
            self._dynamodb,
            [
                {
                    "Put": {
                        "TableName": self._name,
                        "Item": learning,
                        # Excludes a second proposal of one run, but not one after there was
                        # too little.
                        "ConditionExpression": "attribute_not_exists(version)",
                    }
                },
                {
                    "Put": {
                        "TableName": self._name,
                        "Item": version,
                        # Excludes a number that another run has just taken.
                        "ConditionExpression": "attribute_not_exists(pk)",
                    }
                },
            ],
        )
        if refused:
            raise StaleWrite

    def _query(self, prefix: str, **more: Any) -> Any:
        return self._dynamodb.query(
            TableName=self._name,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :prefix)",
            ExpressionAttributeValues=to_item({":pk": PARTITION, ":prefix": prefix}),
            ConsistentRead=True,
            **more,
        )


class WeightsInForce:
    """The weights to decide by. The timeline is read every few seconds, a version once."""

    def __init__(
        self,
        table: WeightsTable,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._table = table
        self._clock = clock
        self._now = now
        self._asked_at = 0.0
        self._timeline: tuple[Activation, ...] = ()
        self._known: dict[int, Weights] = {}

    def __call__(self) -> Weights:
        """Return the weights in force at this moment."""
        clock = self._clock()
        if not self._timeline or clock - self._asked_at > TIMELINE_REMEMBERED_SECONDS:
            self._timeline = self._table.timeline(consistent=False)
            self._asked_at = clock
        version = in_force(self._timeline, self._now()) or SHIPPED_VERSION
        if version not in self._known:
            self._known[version] = (
                shipped_weights() if version == SHIPPED_VERSION else self._table.weights(version)
            )
        return self._known[version]


def _shipped() -> WeightsVersion:
    return WeightsVersion(version=SHIPPED_VERSION, document=shipped_document())


def _version_from_item(item: Mapping[str, Mapping[str, Any]]) -> WeightsVersion:
    values = from_item(item)
    return WeightsVersion(
        version=int(values["sk"].removeprefix("VERSION#")),
        document=values["document"],
        comparison=values["comparison"],
        run_id=values["run_id"],
        proposed_at=parse_instant(values["proposed_at"]),
    )


def _learning_to_item(learning: Learning) -> Item:
    return learning_key(learning.run_id) | to_item(
        {
            "type": "learning",
            "finished_at": format_instant(learning.finished_at),
            "version": learning.version,
            "reason": learning.reason,
            "found": learning.found,
            "needed": learning.needed,
            "expires_at_epoch": int((learning.finished_at + LEARNINGS_KNOWN).timestamp()),
        }
    )


def _learning_from_item(item: Mapping[str, Mapping[str, Any]]) -> Learning:
    values = from_item(item)
    return Learning(
        run_id=values["sk"].removeprefix("LEARNING#"),
        finished_at=parse_instant(values["finished_at"]),
        version=values.get("version"),
        reason=values.get("reason"),
        found=values.get("found"),
        needed=values.get("needed"),
    )
