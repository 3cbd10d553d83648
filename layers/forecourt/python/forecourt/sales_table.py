"""
The Sales table.

| item | pk | sk |
| --- | --- | --- |
| sale | `STATION#<station>` | `SALE#<sale id>` |
| reading | `STATION#<station>` | `READING#<reading id>` |
| gap | `STATION#<station>` | `GAP#<gap id>` |
| orphan | `EVIDENCE#<kind>#<digest>` | `SALE#<sale id>` |
| quarantined message | `QUARANTINE#<station>` | `<received at>#<message id>` |

Index `review` (`queue`, `queued_at`) holds what waits for a person: held and unmatched
sales and quarantined messages. It is sparse, so a sale that is matched at once never pays
for it. Ids begin with an instant, so a station's business day is one range of `sk`.

A sale's `status` goes received -> matched or unmatched; held -> received or rejected;
unmatched -> matched. A zero sale is `void` from the start.

The stream feeds matching (new image `received`) and accrual (changed to `matched`).
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from forecourt.attributes import Item, encode, from_item, to_item
from forecourt.batches import batch_get
from forecourt.contention import passing
from forecourt.errors import SaleNotHeld, StaleWrite, UnknownSale
from forecourt.instants import compact_instant, format_instant, parse_instant
from forecourt.matching import EvidenceKey
from forecourt.messages import GapMessage, NozzleReading, ReadingMessage
from forecourt.sales import Evidence, EvidenceKind, Sale, parse_sale_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

ORPHANS_WAIT = timedelta(days=30)
QUARANTINE_KEPT = timedelta(days=180)


class Status(StrEnum):
    """Where a sale stands."""

    RECEIVED = "received"
    HELD = "held"
    VOID = "void"
    MATCHED = "matched"
    UNMATCHED = "unmatched"
    REJECTED = "rejected"


class Queue(StrEnum):
    """What waits for a person."""

    HELD = "held"
    UNMATCHED = "unmatched"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedEvidence:
    """One piece of evidence as it is stored: by its keyed hash, never in clear."""

    key: EvidenceKey
    confidence: int | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSale:
    """
    A sale and what became of it.

    `sale.evidence` is empty here: `evidence` has the hashes and `sealed` the values.
    """

    sale: Sale
    status: Status
    received_at: datetime
    evidence: tuple[KeyedEvidence, ...] = ()
    sealed: bytes | None = None
    doubts: tuple[str, ...] = ()
    member_id: str | None = None
    matched_by: tuple[str, ...] = ()
    unmatched_because: str | None = None
    decided_at: datetime | None = None
    decided_by: str | None = None

    @property
    def evidence_keys(self) -> tuple[EvidenceKey, ...]:
        """Return the hashes to look up."""
        return tuple(evidence.key for evidence in self.evidence)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantinedMessage:
    """A message that is no sale, as it came."""

    station_id: str
    message_id: str
    topic: str
    reason: str
    field: str
    payload: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some items, and where to go on (`None` at the end)."""

    items: Sequence[StoredSale | QuarantinedMessage]
    next_key: Mapping[str, str] | None


def sale_key(sale_id: str) -> Item:
    """Return the key of a sale; raise `UnknownSale` when the id is not one."""
    try:
        station_id = parse_sale_id(sale_id).station_id
    except ValueError:
        raise UnknownSale(sale_id) from None
    return to_item({"pk": f"STATION#{station_id}", "sk": f"SALE#{sale_id}"})


def sale_to_item(stored: StoredSale) -> Item:
    """Encode *stored*. What the id says (time, nozzle, totalizer ...) is not said twice."""
    sale = stored.sale
    queue = Queue.HELD if stored.status is Status.HELD else None
    return sale_key(sale.sale_id) | to_item(
        {
            "type": "sale",
            "status": str(stored.status),
            "grade": sale.grade,
            "unit_price": sale.unit_price_milli_per_litre,
            "volume_ml": sale.volume_ml,
            "amount_fen": sale.amount_fen,
            "resolution_ml": sale.volume_resolution_ml,
            "started_at": format_instant(sale.started_at) if sale.started_at else None,
            "recorded_at": format_instant(sale.recorded_at),
            "received_at": format_instant(stored.received_at),
            "clock_offset": sale.clock_offset_seconds,
            "clock_synchronised": sale.clock_synchronised,
            "test_delivery": sale.test_delivery or None,
            "evidence": [_evidence_to_map(each) for each in stored.evidence] or None,
            "sealed": stored.sealed,
            "doubts": list(stored.doubts) or None,
            "queue": queue,
            "queued_at": format_instant(stored.received_at) if queue else None,
        }
    )


def sale_from_item(item: Mapping[str, Mapping[str, Any]]) -> StoredSale:
    """Decode what `sale_to_item` wrote and `SalesTable` changed since."""
    values = from_item(item)
    started_at, decided_at = values.get("started_at"), values.get("decided_at")
    sealed = values.get("sealed")
    return StoredSale(
        sale=Sale(
            key=parse_sale_id(values["sk"].removeprefix("SALE#")),
            grade=values["grade"],
            unit_price_milli_per_litre=values["unit_price"],
            volume_ml=values["volume_ml"],
            amount_fen=values["amount_fen"],
            volume_resolution_ml=values["resolution_ml"],
            started_at=parse_instant(started_at) if started_at else None,
            recorded_at=parse_instant(values["recorded_at"]),
            clock_offset_seconds=values.get("clock_offset"),
            clock_synchronised=values["clock_synchronised"],
            test_delivery=values.get("test_delivery", False),
        ),
        status=Status(values["status"]),
        received_at=parse_instant(values["received_at"]),
        evidence=tuple(_evidence_from_map(each) for each in values.get("evidence", ())),
        sealed=base64.b64decode(sealed) if isinstance(sealed, str) else sealed,
        doubts=tuple(values.get("doubts", ())),
        member_id=values.get("member_id"),
        matched_by=tuple(values.get("matched_by", ())),
        unmatched_because=values.get("unmatched_because"),
        decided_at=parse_instant(decided_at) if decided_at else None,
        decided_by=values.get("decided_by"),
    )


def _evidence_to_map(evidence: KeyedEvidence) -> dict[str, Any]:
    values = {
        "kind": evidence.key.kind,
        "digest": evidence.key.digest,
        "confidence": evidence.confidence,
        "source": evidence.source,
    }
    return {name: value for name, value in values.items() if value is not None}


def _evidence_from_map(values: Mapping[str, Any]) -> KeyedEvidence:
    return KeyedEvidence(
        key=EvidenceKey(kind=values["kind"], digest=values["digest"]),
        confidence=values.get("confidence"),
        source=values.get("source"),
    )


class SalesTable:
    """The table *name* behind the DynamoDB client *dynamodb*: one method per access pattern."""

    def __init__(self, dynamodb: Any, *, name: str) -> None:
        self._dynamodb = dynamodb
        self._name = name

    def add(self, stored: StoredSale) -> bool:
        """Store a sale once. `False`: it was there already, which is what every repeat finds."""
        return self._put_new(sale_to_item(stored))

    def add_reading(self, reading: ReadingMessage) -> bool:
        """Store a totalizer reading once."""
        return self._put_new(
            to_item(
                {
                    "pk": f"STATION#{reading.station_id}",
                    "sk": f"READING#{reading.message_id}",
                    "type": "reading",
                    "read_at": format_instant(reading.read_at),
                    "nozzles": [
                        {
                            "nozzle": each.nozzle,
                            "device_serial": each.device_serial,
                            "totalizer_ml": each.totalizer_ml,
                            "transaction": each.transaction,
                        }
                        for each in reading.nozzles
                    ],
                }
            )
        )

    def add_gap(self, gap: GapMessage) -> bool:
        """Store once that transactions were lost."""
        return self._put_new(
            to_item(
                {
                    "pk": f"STATION#{gap.station_id}",
                    "sk": f"GAP#{gap.message_id}",
                    "type": "gap",
                    "device_serial": gap.device_serial,
                    "nozzle": gap.nozzle,
                    "found_at": format_instant(gap.found_at),
                    "first_transaction": gap.first_transaction,
                    "last_transaction": gap.last_transaction,
                    "missing_ml": gap.missing_ml,
                }
            )
        )

    def quarantine(self, message: QuarantinedMessage) -> bool:
        """Keep a message nobody could read, with the reason, for a person to look at."""
        received = format_instant(message.received_at)
        return self._put_new(
            to_item(
                {
                    "pk": f"QUARANTINE#{message.station_id}",
                    "sk": f"{received}#{message.message_id}",
                    "type": "quarantined",
                    "topic": message.topic,
                    "reason": message.reason,
                    "field": message.field,
                    "payload": message.payload,
                    "queue": Queue.QUARANTINED,
                    "queued_at": received,
                    "expires_at_epoch": int((message.received_at + QUARANTINE_KEPT).timestamp()),
                }
            )
        )

    def sale(self, sale_id: str) -> StoredSale:
        """Return one sale, as of now; raise `UnknownSale`."""
        response = self._dynamodb.get_item(
            TableName=self._name, Key=sale_key(sale_id), ConsistentRead=True
        )
        if "Item" not in response:
            raise UnknownSale(sale_id)
        return sale_from_item(response["Item"])

    def sales(self, sale_ids: Sequence[str]) -> dict[str, StoredSale]:
        """Return those of *sale_ids* that exist, by id."""
        keys = [sale_key(sale_id) for sale_id in sale_ids]
        items = batch_get(self._dynamodb, self._name, keys, consistent=False)
        return {stored.sale.sale_id: stored for stored in map(sale_from_item, items)}

    def credit(
        self, sale_id: str, *, member_id: str, by: Sequence[str], decided_at: datetime
    ) -> bool:
        """
        Give a sale its owner. `False`: it already has one, or must not get one.

        The condition excludes a sale that is held, void, rejected or somebody's: a repeat
        of the same stream record, or a rival decision, changes nothing.
        """
        return self._decide(
            sale_id,
            expression=(
                "SET #status = :matched, member_id = :member, matched_by = :by, "
                "decided_at = :now REMOVE #queue, queued_at, unmatched_because"
            ),
            values={
                ":matched": Status.MATCHED,
                ":member": member_id,
                ":by": list(by),
                ":now": format_instant(decided_at),
                ":received": Status.RECEIVED,
                ":unmatched": Status.UNMATCHED,
            },
            names={"#status": "status", "#queue": "queue"},
            condition="#status IN (:received, :unmatched)",
        )

    def leave_unmatched(self, stored: StoredSale, *, reason: str, decided_at: datetime) -> bool:
        """
        Put a sale among the unmatched, findable by each piece of its evidence.

        One transaction: a sale is never unmatched without its orphans' pointers. `False`:
        the sale was decided meanwhile.
        """
        sale_id = stored.sale.sale_id
        keys = stored.evidence_keys if reason == "unknown" else ()
        expires = int((decided_at + ORPHANS_WAIT).timestamp())
        pointers = [
            {
                "Put": {
                    "TableName": self._name,
                    "Item": to_item(
                        {
                            "pk": f"EVIDENCE#{key.kind}#{key.digest}",
                            "sk": f"SALE#{sale_id}",
                            "type": "orphan",
                            "expires_at_epoch": expires,
                        }
                    ),
                }
            }
            for key in sorted(set(keys))
        ]
        update = {
            "TableName": self._name,
            "Key": sale_key(sale_id),
            "UpdateExpression": (
                "SET #status = :unmatched, unmatched_because = :reason, decided_at = :now, "
                "#queue = :unmatched, queued_at = :now"
            ),
            # Excludes a sale that somebody decided since this one was read.
            "ConditionExpression": "#status = :received",
            "ExpressionAttributeNames": {"#status": "status", "#queue": "queue"},
            "ExpressionAttributeValues": to_item(
                {
                    ":unmatched": Status.UNMATCHED,
                    ":received": Status.RECEIVED,
                    ":reason": reason,
                    ":now": format_instant(decided_at),
                }
            ),
        }
        try:
            self._dynamodb.transact_write_items(TransactItems=[{"Update": update}, *pointers])
        except ClientError as error:
            reasons = [each["Code"] for each in error.response.get("CancellationReasons", ())]
            if not reasons:
                raise
            if reasons[0] == "ConditionalCheckFailed":
                return False
            if not passing(set(reasons)):
                raise
            raise StaleWrite from error
        return True

    def orphans(self, key: EvidenceKey) -> Iterator[str]:
        """Yield the ids of unmatched sales with that evidence, oldest first."""
        for item in self._query_all(
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": encode(f"EVIDENCE#{key.kind}#{key.digest}")},
            ConsistentRead=True,
        ):
            yield item["sk"]["S"].removeprefix("SALE#")

    def forget_orphan(self, key: EvidenceKey, sale_id: str) -> None:
        """Remove a pointer to a sale that is no longer unmatched."""
        self._dynamodb.delete_item(
            TableName=self._name,
            Key=to_item({"pk": f"EVIDENCE#{key.kind}#{key.digest}", "sk": f"SALE#{sale_id}"}),
        )

    def release(self, sale_id: str, *, actor: str, decided_at: datetime) -> None:
        """Let a held sale go its way; raise `UnknownSale` or `SaleNotHeld`."""
        self._resolve(sale_id, Status.RECEIVED, actor=actor, decided_at=decided_at)

    def reject(self, sale_id: str, *, actor: str, decided_at: datetime) -> None:
        """Keep a held sale from ever earning; raise `UnknownSale` or `SaleNotHeld`."""
        self._resolve(sale_id, Status.REJECTED, actor=actor, decided_at=decided_at)

    def queue(
        self, queue: Queue, *, limit: int, start_key: Mapping[str, str] | None = None
    ) -> Page:
        """Return what waits in *queue*, oldest first."""
        arguments: dict[str, Any] = {
            "IndexName": "review",
            "KeyConditionExpression": "#queue = :queue",
            "ExpressionAttributeNames": {"#queue": "queue"},
            "ExpressionAttributeValues": {":queue": encode(queue)},
            "Limit": limit,
        }
        if start_key:
            arguments["ExclusiveStartKey"] = to_item(start_key)
        response = self._dynamodb.query(TableName=self._name, **arguments)
        last = response.get("LastEvaluatedKey")
        return Page(
            items=[
                quarantined_from_item(item) if queue is Queue.QUARANTINED else sale_from_item(item)
                for item in response["Items"]
            ],
            next_key=from_item(last) if last else None,
        )

    def station_sales(
        self, station_id: str, *, opens_at: datetime, closes_at: datetime
    ) -> Iterator[StoredSale]:
        """Yield a station's sales completed from *opens_at* until before *closes_at*, in order."""
        yield from map(sale_from_item, self._range(station_id, "SALE", opens_at, closes_at))

    def last_sales_before(
        self, station_id: str, *, before: datetime, limit: int
    ) -> list[StoredSale]:
        """Return the station's *limit* latest sales completed before *before*, latest first."""
        response = self._dynamodb.query(
            TableName=self._name,
            KeyConditionExpression="pk = :pk AND sk BETWEEN :low AND :high",
            ExpressionAttributeValues=to_item(
                {
                    ":pk": f"STATION#{station_id}",
                    ":low": "SALE#",
                    ":high": f"SALE#{compact_instant(before)}",
                }
            ),
            ScanIndexForward=False,
            Limit=limit,
        )
        return [sale_from_item(item) for item in response["Items"]]

    def readings(
        self, station_id: str, *, opens_at: datetime, closes_at: datetime
    ) -> Iterator[tuple[datetime, tuple[NozzleReading, ...]]]:
        """Yield a station's totalizer readings of a period with their times, in order."""
        for item in self._range(station_id, "READING", opens_at, closes_at):
            values = from_item(item)
            yield (
                parse_instant(values["read_at"]),
                tuple(NozzleReading(**each) for each in values["nozzles"]),
            )

    def gaps(
        self, station_id: str, *, opens_at: datetime, closes_at: datetime
    ) -> Iterator[dict[str, Any]]:
        """Yield what a station reported as overwritten in a period."""
        yield from map(from_item, self._range(station_id, "GAP", opens_at, closes_at))

    def _range(
        self, station_id: str, prefix: str, opens_at: datetime, closes_at: datetime
    ) -> Iterator[Item]:
        # An id goes on after its instant and so sorts behind the bare instant: the period's
        # first instant is within, the first one after the period is not.
        return self._query_all(
            KeyConditionExpression="pk = :pk AND sk BETWEEN :low AND :high",
            ExpressionAttributeValues=to_item(
                {
                    ":pk": f"STATION#{station_id}",
                    ":low": f"{prefix}#{compact_instant(opens_at)}",
                    ":high": f"{prefix}#{compact_instant(closes_at)}",
                }
            ),
        )

    def _query_all(self, **arguments: Any) -> Iterator[Item]:
        while True:
            response = self._dynamodb.query(TableName=self._name, **arguments)
            yield from response["Items"]
            if "LastEvaluatedKey" not in response:
                return
            arguments["ExclusiveStartKey"] = response["LastEvaluatedKey"]

    def _resolve(self, sale_id: str, status: Status, *, actor: str, decided_at: datetime) -> None:
        done = self._decide(
            sale_id,
            expression=(
                "SET #status = :status, decided_by = :actor, decided_at = :now "
                "REMOVE #queue, queued_at"
            ),
            values={
                ":status": status,
                ":actor": actor,
                ":now": format_instant(decided_at),
                ":held": Status.HELD,
            },
            names={"#status": "status", "#queue": "queue"},
            # Excludes a sale that was never held, or that a colleague decided already.
            condition="#status = :held",
        )
        if not done:
            raise SaleNotHeld(sale_id=sale_id, status=self.sale(sale_id).status)

    def _decide(
        self,
        sale_id: str,
        *,
        expression: str,
        values: Mapping[str, Any],
        names: Mapping[str, str],
        condition: str,
    ) -> bool:
        try:
            self._dynamodb.update_item(
                TableName=self._name,
                Key=sale_key(sale_id),
                UpdateExpression=expression,
                ConditionExpression=condition,
                ExpressionAttributeNames=dict(names),
                ExpressionAttributeValues=to_item(values),
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def _put_new(self, item: Item) -> bool:
        try:
            self._dynamodb.put_item(
                TableName=self._name,
                Item=item,
                # Excludes a repeat: the station tells everything until it is acknowledged.
                ConditionExpression="attribute_not_exists(pk)",
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True


def quarantined_from_item(item: Mapping[str, Mapping[str, Any]]) -> QuarantinedMessage:
    """Decode a quarantined message."""
    values = from_item(item)
    _, _, message_id = values["sk"].partition("#")
    return QuarantinedMessage(
        station_id=values["pk"].removeprefix("QUARANTINE#"),
        message_id=message_id,
        topic=values["topic"],
        reason=values["reason"],
        field=values["field"],
        payload=values["payload"],
        received_at=parse_instant(values["queued_at"]),
    )


def keyed(evidence: Iterable[tuple[Evidence, str]]) -> tuple[KeyedEvidence, ...]:
    """Pair each piece of evidence with its digest, without its value."""
    return tuple(
        KeyedEvidence(
            key=EvidenceKey(kind=EvidenceKind(each.kind), digest=digest),
            confidence=each.confidence,
            source=each.source,
        )
        for each, digest in evidence
    )
