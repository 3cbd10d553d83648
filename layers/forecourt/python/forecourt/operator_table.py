"""
Stations and programs in the Loyalty table (see `forecourt.loyalty_table`).

| item | pk | sk | attributes |
| --- | --- | --- | --- |
| station | `STATIONS` | `<station>` | type `station`, name, zone, grades, open_since |
| version | `PROGRAM` | `VERSION#<n:06d>` | type `program`, status, document, drafted_… |
| drafting | `PROGRAM` | `DRAFTING#<request>` | type `drafting`, version, expires_at_epoch |
| activating | `PROGRAM` | `ACTIVATING#<request>` | type `activating`, version, effective_at, … |
| timeline | `PROGRAM` | `TIMELINE` | type `timeline`, activations |

A version was `drafted_at` some time, `drafted_by` a caller. It
is `draft` until its first activation and `active` from then on; an active one is
fixed. `activations` is a list of `{effective_at, version}` and only ever grows, but for an
activation that was to come and is replaced at its very instant. A drafting remembers which
version a request made, and an activating which activation, so that its retry makes no second
one; both are known for a week (`expires_at_epoch`).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from forecourt.attributes import Item, encode, from_item, to_item
from forecourt.contention import until_settled
from forecourt.errors import StaleWrite
from forecourt.instants import format_instant, parse_instant
from forecourt.loyalty_table import TIMELINE_KEY, LoyaltyTable
from forecourt.operator_errors import ProgramNotDraft, StationExists, UnknownProgram, UnknownStation
from forecourt.stations_table import Station, station_from_item, station_key, station_to_item
from forecourt.timelines import (
    Activation,
    activations_from_list,
    activations_to_list,
    after_activation,
    in_force,
)
from forecourt.transactions import FAILED, transact
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

DRAFTING_KNOWN = timedelta(days=7)
ACTIVATING_KNOWN = timedelta(days=7)
MAX_VERSION = 999_999  # what the sort key has digits for


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of the program: its document, and whether that may still be changed."""

    version: int
    active: bool
    document: Mapping[str, Any]
    drafted_at: datetime
    drafted_by: str


def version_key(version: int) -> Item:
    """Return the key of a program version."""
    return to_item({"pk": "PROGRAM", "sk": f"VERSION#{version:06}"})


def activating_key(request_id: str) -> Item:
    """Return the key of what remembers which activation a request made."""
    return to_item({"pk": "PROGRAM", "sk": f"ACTIVATING#{request_id}"})


def _version_to_item(version: Version) -> Item:
    return version_key(version.version) | to_item(
        {
            "type": "program",
            "status": "active" if version.active else "draft",
            "document": dict(version.document),
            "drafted_at": format_instant(version.drafted_at),
            "drafted_by": version.drafted_by,
        }
    )


def _version_from_item(item: Mapping[str, Mapping[str, Any]]) -> Version:
    values = from_item(item)
    return Version(
        version=_number(item),
        active=values["status"] == "active",
        document=values["document"],
        drafted_at=parse_instant(values["drafted_at"]),
        drafted_by=values["drafted_by"],
    )


def _number(item: Mapping[str, Mapping[str, Any]]) -> int:
    return int(item["sk"]["S"].removeprefix("VERSION#"))


class OperatorTable:
    """The table *name* behind the DynamoDB client *dynamodb*: one method per access pattern."""

    def __init__(self, dynamodb: Any, *, name: str) -> None:
        self._dynamodb = dynamodb
        self._name = name
        self._loyalty = LoyaltyTable(dynamodb, name=name)

    def register(self, station: Station, *, opening_stated: bool) -> Station:
        """
        Store a station once and return it as stored.

        The same station again is what a retry looks like. Unless the *opening* was *stated*,
        `open_since` is the time of the first request. Another station is `StationExists`.
        """
        try:
            self._dynamodb.put_item(
                TableName=self._name,
                Item=station_to_item(station),
                # Excludes replacing a station that reports sales already.
                ConditionExpression="attribute_not_exists(pk)",
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            stored = self.station(station.station_id)
            meant = replace(
                station,
                open_since=station.open_since if opening_stated else stored.open_since,
                retold=stored.retold,  # nobody registers that; it turns out
            )
            if meant != stored:
                raise StationExists(station.station_id) from None
            return stored
        return station

    def change_station(
        self, station_id: str, *, name: str | None, grades: frozenset[str] | None
    ) -> Station:
        """
        Change what is given of a station and return it; raise `UnknownStation`.

        The same again changes nothing. Of two who change the same the later one is right.
        """
        changes = {"name": name, "grades": sorted(grades) if grades is not None else None}
        given = {each: value for each, value in changes.items() if value is not None}
        try:
            response = self._dynamodb.update_item(
                TableName=self._name,
                Key=station_key(station_id),
                UpdateExpression="SET " + ", ".join(f"#{each} = :{each}" for each in given),
                # Excludes making a station that has neither thing nor certificate.
                ConditionExpression="attribute_exists(pk)",
                ExpressionAttributeNames={f"#{each}": each for each in given},
                ExpressionAttributeValues=to_item({f":{e}": value for e, value in given.items()}),
                ReturnValues="ALL_NEW",
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            raise UnknownStation(station_id) from None
        return station_from_item(response["Attributes"])

    def station(self, station_id: str) -> Station:
        """Return a station as of now; raise `UnknownStation`."""
        response = self._dynamodb.get_item(
            TableName=self._name, Key=station_key(station_id), ConsistentRead=True
        )
        if "Item" not in response:
            raise UnknownStation(station_id)
        return station_from_item(response["Item"])

    def stations(self, *, limit: int, after: str | None) -> tuple[list[Station], str | None]:
        """Return a page of stations by id, and the id it goes on behind."""
        items, last = self._page(
            pk="STATIONS",
            prefix=None,
            limit=limit,
            after=station_key(after) if after else None,
            forward=True,
        )
        return [station_from_item(item) for item in items], last["sk"]["S"] if last else None

    def draft(
        self,
        document: Mapping[str, Any],
        *,
        request_id: str,
        drafted_by: str,
        drafted_at: datetime,
    ) -> Version:
        """Return the next version, a draft; the same *request_id* gets the one it made before."""

        def attempt() -> Version:
            latest, _ = self.versions(limit=1, before=None)
            version = Version(
                version=latest[0].version + 1 if latest else 1,
                active=False,
                document=document,
                drafted_at=drafted_at,
                drafted_by=drafted_by,
            )
            earlier = self._store_draft(version, request_id=request_id)
            return self.version(earlier) if earlier else version

        return until_settled(attempt)

    def replace_draft(self, version: int, document: Mapping[str, Any]) -> Version:
        """Replace a draft's document; raise `UnknownProgram` or `ProgramNotDraft`."""
        try:
            response = self._dynamodb.update_item(
                TableName=self._name,
                Key=version_key(version),
                UpdateExpression="SET document = :document",
                # Excludes a version that judges sales, and one that was never drafted.
                ConditionExpression="#status = :draft",
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues=to_item({":document": dict(document), ":draft": "draft"}),
                ReturnValues="ALL_NEW",
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            stored = self.version(version)
            if stored.document == document:
                return stored
            raise ProgramNotDraft(version) from None
        return _version_from_item(response["Attributes"])

    def version(self, version: int) -> Version:
        """Return a version as of now; raise `UnknownProgram`."""
        response = self._dynamodb.get_item(
            TableName=self._name, Key=version_key(version), ConsistentRead=True
        )
        if "Item" not in response:
            raise UnknownProgram(version)
        return _version_from_item(response["Item"])

    def versions(self, *, limit: int, before: int | None) -> tuple[list[Version], int | None]:
        """Return a page of versions, latest first, and the one it goes on behind."""
        items, last = self._page(
            pk="PROGRAM",
            prefix="VERSION#",
            limit=limit,
            after=version_key(before) if before else None,
            forward=False,
        )
        return [_version_from_item(item) for item in items], _number(last) if last else None

    def timeline(self) -> tuple[Activation, ...]:
        """Return which version is in force when, as of now."""
        return self._loyalty.timeline()

    def activated(self, request_id: str) -> Activation | None:
        """Return the activation that a request made before; `None`: it made none."""
        response = self._dynamodb.get_item(
            TableName=self._name, Key=activating_key(request_id), ConsistentRead=True
        )
        if "Item" not in response:
            return None
        (activation,) = activations_from_list([from_item(response["Item"])])
        return activation

    def activate(
        self, version: Version, *, effective_at: datetime | None, now: datetime, request_id: str
    ) -> Activation:
        """
        Put *version* in force from *effective_at* on (`None`: at once); return the activation.

        *version* has been read and judged by the caller; should its document change in
        between, it is a `StaleWrite`, and also when the request has activated something before
        (`activated`). What is so already is not written again.
        """
        timeline = self.timeline()
        if effective_at is None and in_force(timeline, now) == version.version:
            return max(each for each in timeline if each.effective_at <= now)
        activation = Activation(effective_at=effective_at or now, version=version.version)
        changed = after_activation(timeline, activation, now=now)
        if changed != timeline:
            (told,) = activations_to_list([activation])
            activating = {
                "type": "activating",
                **told,
                "expires_at_epoch": int((now + ACTIVATING_KNOWN).timestamp()),
            }
            self._store_timeline(
                version,
                changed,
                before=timeline,
                activating=activating_key(request_id) | to_item(activating),
            )
        return activation

    def _store_draft(self, version: Version, *, request_id: str) -> int | None:
        """Store a draft and the request that made it; return the version it made before."""
        drafting = {
            "pk": "PROGRAM",
            "sk": f"DRAFTING#{request_id}",
            "type": "drafting",
            "version": version.version,
            "expires_at_epoch": int((version.drafted_at + DRAFTING_KNOWN).timestamp()),
        }
        refused = transact(
            self._dynamodb,
            [
                {
                    "Put": {
                        "TableName": self._name,
                        "Item": to_item(drafting),
                        # Excludes a second draft of one request.
                        "ConditionExpression": "attribute_not_exists(pk)",
                        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                    }
                },
                {
                    "Put": {
                        "TableName": self._name,
                        "Item": _version_to_item(version),
                        # Excludes a number a colleague has just taken.
                        "ConditionExpression": "attribute_not_exists(pk)",
                    }
                },
            ],
        )
        if refused and refused[0]["Code"] != FAILED:
            raise StaleWrite
        return int(from_item(refused[0]["Item"])["version"]) if refused else None

    def _store_timeline(
        self,
        version: Version,
        after: Sequence[Activation],
        *,
        before: Sequence[Activation],
        activating: Item,
    ) -> None:
        document = {**TIMELINE_KEY, "type": "timeline", "activations": activations_to_list(after)}
        unchanged: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        if before:
            unchanged = {
                "ConditionExpression": "activations = :before",
                "ExpressionAttributeValues": {":before": encode(activations_to_list(before))},
            }
        refused = transact(
            self._dynamodb,
            [
                {
                    "Update": {
                        "TableName": self._name,
                        "Key": version_key(version.version),
                        "UpdateExpression": "SET #status = :active",
                        # Excludes a document that nobody has judged.
                        "ConditionExpression": "document = :document",
                        "ExpressionAttributeNames": {"#status": "status"},
                        "ExpressionAttributeValues": to_item(
                            {":active": "active", ":document": dict(version.document)}
                        ),
                    }
                },
                {
                    "Put": {
                        "TableName": self._name,
                        "Item": to_item(document),
                        # Excludes losing an activation made since the timeline was read.
                        **unchanged,
                    }
                },
                {
                    "Put": {
                        "TableName": self._name,
                        "Item": activating,
                        # Excludes a second activation by one request.
                        "ConditionExpression": "attribute_not_exists(pk)",
                    }
                },
            ],
        )
        if refused:
            raise StaleWrite

    def _page(
        self, *, pk: str, prefix: str | None, limit: int, after: Item | None, forward: bool
    ) -> tuple[list[Item], Item | None]:
        condition, values = "pk = :pk", {":pk": pk}
        if prefix:
            condition += " AND begins_with(sk, :prefix)"
            values[":prefix"] = prefix
        response = self._dynamodb.query(
            TableName=self._name,
            KeyConditionExpression=condition,
            ExpressionAttributeValues=to_item(values),
            ScanIndexForward=forward,
            ConsistentRead=True,
            Limit=limit,
            **({"ExclusiveStartKey": after} if after else {}),
        )
        return response["Items"], response.get("LastEvaluatedKey")
