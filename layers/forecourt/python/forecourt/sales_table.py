"""
The Sales table.

| item | pk | sk |
| --- | --- | --- |
| sale | `STATION#<station>` | `SALE#<sale id>` |
| reading | `STATION#<station>` | `READING#<reading id>` |
| gap | `STATION#<station>` | `GAP#<gap id>` |
| telling | `STATION#<station>` | `TELLING#<telling id>` |
| orphan | `EVIDENCE#<kind>#<digest>` | `SALE#<sale id>` |
| quarantined message | `QUARANTINE#<station>` | `<received at>#<message id>` |

Index `review` (`queue`, `queued_at`) holds what waits for a person: held, pending and unmatched
sales, quarantined messages, and tellings that found no sale (`lone_tellings`); and, as `settled`,
what a person decided is nobody's. Whatever nobody got leaves the index when its time is over, and
its evidence is forgotten then (`outwaited_sales`). It is sparse, so a sale that is matched at once
never pays for it. Ids begin with an instant, so a station's business day is one range of `sk`.

A sale's `status` goes received -> matched, pending or unmatched; held -> received or rejected;
unmatched -> pending or matched; pending -> matched, or unmatched when who is asked says no. A
person may rule it matched, pending or nobodys from any of held, pending, unmatched, matched and
nobodys; after that no other decides. A telling of till or payment provider may
take it from unmatched or pending back to received, or, from any of these three, to held. A
zero sale is `void` from the start.

The stream feeds matching (new image `received`) and accrual (changed to `matched` or `nobodys`).

What an item holds and how it is encoded is in `stored_sales`; whose a sale is, is written by
`decided_sales` and `ruled_sales`, and what else is told of it by `retold_sales`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecourt.attributes import Item, encode, from_item, to_item
from forecourt.batches import batch_get
from forecourt.errors import SaleNotHeld, UnknownSale
from forecourt.instants import compact_instant, format_instant
from forecourt.stored_messages import (
    gap_to_item,
    quarantined_from_item,
    quarantined_to_item,
    reading_from_item,
    reading_to_item,
)
from forecourt.stored_sales import SETTLED, Queue, Status, sale_from_item, sale_key, sale_to_item
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from forecourt.messages import GapMessage, NozzleReading, ReadingMessage
    from forecourt.stored_messages import QuarantinedMessage
    from forecourt.stored_sales import StoredSale


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some items, and where to go on (`None` at the end)."""

    items: Sequence[StoredSale | QuarantinedMessage]
    next_key: Mapping[str, str] | None


class SalesTable:
    """The table *name* behind the DynamoDB client *dynamodb*: one method per access pattern."""

    def __init__(self, dynamodb: Any, *, name: str) -> None:
        self._dynamodb = dynamodb
        self._name = name

    def add(self, stored: StoredSale) -> StoredSale | None:
        """Store a sale once; a repeat writes nothing and returns what is there already."""
        found = self._put_new(sale_to_item(stored))
        return sale_from_item(found) if found else None

    def add_reading(self, reading: ReadingMessage) -> bool:
        """Store a totalizer reading once."""
        return self._put_new(reading_to_item(reading)) is None

    def add_gap(self, gap: GapMessage) -> bool:
        """Store once that transactions were lost."""
        return self._put_new(gap_to_item(gap)) is None

    def quarantine(self, message: QuarantinedMessage) -> bool:
        """Keep a message nobody could read, with the reason, for a person to look at."""
        return self._put_new(quarantined_to_item(message)) is None

    def sale(self, sale_id: str) -> StoredSale:
        """Return one sale, as of now; raise `UnknownSale`."""
        response = self._dynamodb.get_item(
            TableName=self._name, Key=sale_key(sale_id), ConsistentRead=True
        )
        if "Item" not in response:
            raise UnknownSale(sale_id)
        return sale_from_item(response["Item"])

    def sales(self, sale_ids: Sequence[str]) -> dict[str, StoredSale]:
        """Return those of *sale_ids* that exist, by id; raise `UnknownSale` for what is no id."""
        keys = [sale_key(sale_id) for sale_id in dict.fromkeys(sale_ids)]
        items = batch_get(self._dynamodb, self._name, keys, consistent=False)
        return {stored.sale.sale_id: stored for stored in map(sale_from_item, items)}

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

    def latest(
        self, station_id: str, *, since: datetime, until: datetime | None = None, limit: int
    ) -> list[StoredSale]:
        """Return a station's latest sales completed in a period, newest first."""
        response = self._dynamodb.query(
            TableName=self._name,
            KeyConditionExpression="pk = :pk AND sk BETWEEN :low AND :high",
            ExpressionAttributeValues=to_item(
                {
                    ":pk": f"STATION#{station_id}",
                    ":low": f"SALE#{compact_instant(since)}",
                    # Behind every id of that second, or behind every instant.
                    ":high": f"SALE#{compact_instant(until) if until else ''}~",
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
        yield from map(reading_from_item, self._range(station_id, "READING", opens_at, closes_at))

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
        expression = "SET #status = :status, decided_by = :actor, decided_at = :now"
        values = {
            ":status": status,
            ":actor": actor,
            ":now": format_instant(decided_at),
            ":held": Status.HELD,
        }
        if status is Status.REJECTED:
            expression += ", #queue = :settled, queued_at = :now"
            values[":settled"] = SETTLED
        else:
            expression += " REMOVE #queue, queued_at"
        done = self._decide(
            sale_id,
            expression=expression,
            values=values,
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

    def _put_new(self, item: Item) -> Item | None:
        """Write *item*, or return the one that has its key, in the same round trip."""
        try:
            self._dynamodb.put_item(
                TableName=self._name,
                Item=item,
                # Excludes a repeat: the station tells everything until it is acknowledged.
                ConditionExpression="attribute_not_exists(pk)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException as refusal:
            found: Item = refusal.response["Item"]
            return found
        return None
