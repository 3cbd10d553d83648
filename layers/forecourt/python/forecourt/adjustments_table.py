"""
Adjustments in the Loyalty table (see `forecourt.loyalty_table`).

| item | pk | sk | attributes |
| --- | --- | --- | --- |
| asking | `ADJUSTMENTS` | `REQUEST#<request>` | type `asking`, what it asked, expires_at_epoch |
| open adjustment | `ADJUSTMENTS` | `OPEN#<id>` | type `adjustment`, the adjustment |
| decided adjustment | `ADJUSTMENTS` | `DONE#<id>` | the same |

Ids begin with an instant, so what is open is listed oldest first. An asking remembers what a
request asked for, and when, so that its retry asks for the same and not a second time. What
needs no second person is never open: its entry tells of it. Of a request that freezes or
unfreezes there is only when it asked (`asked_at`).
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from forecourt.adjustments import Adjustment, Status
from forecourt.attributes import Item, encode, from_item, to_item
from forecourt.batches import batch_get
from forecourt.booking_errors import AdjustmentDecided, UnknownAdjustment
from forecourt.door_errors import IdempotencyKeyReused
from forecourt.errors import StaleWrite
from forecourt.instants import format_instant, parse_instant
from forecourt.transactions import FAILED, transact

if TYPE_CHECKING:
    from collections.abc import Mapping

ASKING_KNOWN = timedelta(days=7)
PARTITION = "ADJUSTMENTS"


def asking_key(request_id: str) -> Item:
    """Return the key of what a request asked for."""
    return to_item({"pk": PARTITION, "sk": f"REQUEST#{request_id}"})


def open_key(adjustment_id: str) -> Item:
    """Return the key of an adjustment that somebody has to decide about."""
    return to_item({"pk": PARTITION, "sk": f"OPEN#{adjustment_id}"})


def done_key(adjustment_id: str) -> Item:
    """Return the key of an adjustment that was decided about."""
    return to_item({"pk": PARTITION, "sk": f"DONE#{adjustment_id}"})


def adjustment_to_item(adjustment: Adjustment) -> Item:
    """Encode an adjustment under the key its status gives it."""
    key = open_key if adjustment.open else done_key
    return key(adjustment.adjustment_id) | to_item({"type": "adjustment", **adjustment.to_record()})


def adjustment_from_item(item: Mapping[str, Mapping[str, Any]]) -> Adjustment:
    """Decode an adjustment, or what an asking asked for."""
    values = from_item(item)
    last, decided_at = values.get("expires_on"), values.get("decided_at")
    return Adjustment(
        adjustment_id=values["adjustment_id"],
        member_id=values["member_id"],
        wallet=values["wallet"],
        points=values["points"],
        expires_on=date.fromisoformat(last) if last else None,
        source=values["source"],
        reason=values["reason"],
        asked_by=values["asked_by"],
        asked_at=parse_instant(values["asked_at"]),
        status=Status(values["status"]),
        decided_by=values.get("decided_by"),
        decided_at=parse_instant(decided_at) if decided_at else None,
    )


class AdjustmentsTable:
    """The table *name* behind the DynamoDB client *dynamodb*: one method per access pattern."""

    def __init__(self, dynamodb: Any, *, name: str) -> None:
        self._dynamodb = dynamodb
        self._name = name

    def ask(self, adjustment: Adjustment, *, request_id: str, fingerprint: str) -> Adjustment:
        """
        Keep what is asked for, and return it; a retry gets what its request asked for first.

        Raise `IdempotencyKeyReused` where that had another *fingerprint*.
        """
        asking = asking_key(request_id) | to_item(
            {
                "type": "asking",
                **adjustment.to_record(),
                "fingerprint": fingerprint,
                "expires_at_epoch": int((adjustment.asked_at + ASKING_KNOWN).timestamp()),
            }
        )
        writes = [
            {
                "Put": {
                    "TableName": self._name,
                    "Item": asking,
                    # Excludes asking twice by one request.
                    "ConditionExpression": "attribute_not_exists(pk)",
                    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                }
            }
        ]
        if adjustment.open:
            writes.append(
                {"Put": {"TableName": self._name, "Item": adjustment_to_item(adjustment)}}
            )
        refused = transact(self._dynamodb, writes)
        if refused and refused[0]["Code"] != FAILED:
            raise StaleWrite
        return self._first(refused[0]["Item"], fingerprint) if refused else adjustment

    def asked(self, request_id: str, *, fingerprint: str) -> Adjustment | None:
        """
        Return what a request asked for first, as it is now; `None`: it never did.

        Raise as `ask` does.
        """
        items = batch_get(self._dynamodb, self._name, [asking_key(request_id)], consistent=True)
        return self._first(items[0], fingerprint) if items else None

    def begin(self, request_id: str, *, at: datetime) -> datetime:
        """Keep that a request asks *at* that time; return when it did first."""
        asking = {
            "type": "asking",
            "asked_at": format_instant(at),
            "expires_at_epoch": int((at + ASKING_KNOWN).timestamp()),
        }
        try:
            self._dynamodb.put_item(
                TableName=self._name,
                Item=asking_key(request_id) | to_item(asking),
                # Excludes another time for a request that asked before.
                ConditionExpression="attribute_not_exists(pk)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException as known:
            return _asked_at(known.response["Item"])
        return at

    def begun_at(self, request_id: str) -> datetime | None:
        """Return when a request asked first; `None`: it never did."""
        items = batch_get(self._dynamodb, self._name, [asking_key(request_id)], consistent=True)
        return _asked_at(items[0]) if items else None

    def waiting(self, *, limit: int, after: str | None) -> tuple[list[Adjustment], str | None]:
        """Return a page of what somebody has to decide about, oldest first, and where it ends."""
        response = self._dynamodb.query(
            TableName=self._name,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :open)",
            ExpressionAttributeValues=to_item({":pk": PARTITION, ":open": "OPEN#"}),
            ConsistentRead=True,
            Limit=limit,
            **({"ExclusiveStartKey": open_key(after)} if after else {}),
        )
        last = response.get("LastEvaluatedKey")
        return (
            [adjustment_from_item(item) for item in response["Items"]],
            last["sk"]["S"].removeprefix("OPEN#") if last else None,
        )

    def adjustment(self, adjustment_id: str) -> Adjustment:
        """Return an adjustment as of now; raise `UnknownAdjustment`."""
        keys = [open_key(adjustment_id), done_key(adjustment_id)]
        items = batch_get(self._dynamodb, self._name, keys, consistent=True)
        if not items:
            raise UnknownAdjustment(adjustment_id)
        return adjustment_from_item(items[0])

    def approve(self, approved: Adjustment) -> None:
        """Note that somebody approved it, if it still waits; it is open until it is posted."""
        self._replace(
            [{"Put": {"Item": adjustment_to_item(approved), **_while_waiting()}}], approved
        )

    def reject(self, rejected: Adjustment) -> None:
        """Note that somebody rejected it, if it still waits."""
        self._replace(
            [
                {"Delete": {"Key": open_key(rejected.adjustment_id), **_while_waiting()}},
                {"Put": {"Item": adjustment_to_item(rejected)}},
            ],
            rejected,
        )

    def finish(self, finished: Adjustment) -> None:
        """Note what became of an approved one; again changes nothing."""
        self._replace(
            [
                {"Delete": {"Key": open_key(finished.adjustment_id)}},
                {"Put": {"Item": adjustment_to_item(finished)}},
            ],
            finished,
        )

    def _first(self, asking: Mapping[str, Mapping[str, Any]], fingerprint: str) -> Adjustment:
        # An asking that is older than fingerprints has none.
        if asking.get("fingerprint", {"S": fingerprint}) != {"S": fingerprint}:
            raise IdempotencyKeyReused
        return self._now(adjustment_from_item(asking))

    def _now(self, asked: Adjustment) -> Adjustment:
        """Return what became of what was *asked*; what waits for nobody is only asked."""
        return self.adjustment(asked.adjustment_id) if asked.open else asked

    def _replace(self, writes: list[dict[str, Any]], adjustment: Adjustment) -> None:
        for write in writes:
            for arguments in write.values():
                arguments["TableName"] = self._name
        refused = transact(self._dynamodb, writes)
        if refused and refused[0]["Code"] != FAILED:
            raise StaleWrite
        if refused:
            stored = self.adjustment(adjustment.adjustment_id)
            raise AdjustmentDecided(adjustment_id=stored.adjustment_id, status=str(stored.status))


def _asked_at(asking: Mapping[str, Mapping[str, Any]]) -> datetime:
    return parse_instant(from_item(asking)["asked_at"])


def _while_waiting() -> dict[str, Any]:
    return {
        # Excludes two decisions about one adjustment.
        "ConditionExpression": "#status = :waiting",
        "ExpressionAttributeNames": {"#status": "status"},
        "ExpressionAttributeValues": {":waiting": encode(str(Status.WAITING))},
    }
