"""
Sales whose time is over: what nobody got does not name anybody for ever.

Evidence gives a sale to somebody as long as pointers lead to it or a member is asked about it.
Both end `WAITING` after it was decided last; and then whoever asks to be forgotten does not lead
to it any more, either. So its evidence is forgotten without being asked, a day later. Litres,
money and what was decided stay, and a person may still rule on it.

Whatever nobody got is in the index `review` under the time it was decided last (`QUEUED_AS`), and
leaves it with its evidence. So nothing is searched, and what one run leaves undone, or was
decided late, the next one finds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecourt.anonymous_sales import stripping
from forecourt.attributes import from_item, to_item
from forecourt.instants import format_instant, parse_instant
from forecourt.stored_sales import QUEUED_AS, sale_key
from forecourt.stored_tellings import telling_key
from forecourt.transactions import transact
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from forecourt.attributes import Item


@dataclass(frozen=True, slots=True, kw_only=True)
class OutwaitedSale:
    """A sale as the index has it, and the ids of the tellings that joined it."""

    sale_id: str
    queue: str
    queued_at: datetime
    told: tuple[str, ...] = ()


class OutwaitedSales:
    """The Sales table *name* behind the DynamoDB client *dynamodb*."""

    def __init__(self, dynamodb: Any, *, name: str) -> None:
        self._dynamodb = dynamodb
        self._name = name

    def found(self, *, before: datetime) -> Iterator[OutwaitedSale]:
        """Yield what nobody got and was decided *before* that, the oldest of each queue first."""
        for queue in dict.fromkeys(QUEUED_AS.values()):
            yield from map(_from_item, self._queued(queue, before))

    def forget(self, outwaited: OutwaitedSale) -> bool:
        """
        Take from a sale, and from what was told of it, whatever names somebody.

        `False`: it is not as it was found. If it is still nobody's, it will be found again.
        """
        sale = stripping(self._name, sale_key(outwaited.sale_id), told=outwaited.told)
        sale["UpdateExpression"] += ", #queue, queued_at"
        # Excludes a sale that somebody got, that was decided again or joined by a telling since it
        # was found: the index lags behind.
        sale["ConditionExpression"] = "#queue = :queue AND queued_at = :queued_at AND " + (
            "size(told) = :known" if outwaited.told else "attribute_not_exists(told)"
        )
        values: dict[str, Any] = {
            ":queue": outwaited.queue,
            ":queued_at": format_instant(outwaited.queued_at),
        }
        if outwaited.told:
            values[":known"] = len(outwaited.told)
        sale["ExpressionAttributeNames"] = {"#queue": "queue"}
        sale["ExpressionAttributeValues"] = {
            **sale.get("ExpressionAttributeValues", {}),
            **to_item(values),
        }
        tellings = [stripping(self._name, telling_key(each)) for each in outwaited.told]
        if not tellings:  # half the price of a transaction
            return self._update(sale)
        return not transact(self._dynamodb, [{"Update": each} for each in (sale, *tellings)])

    def _queued(self, queue: str, before: datetime) -> Iterator[Item]:
        arguments: dict[str, Any] = {
            "IndexName": "review",
            "KeyConditionExpression": "#queue = :queue AND queued_at < :before",
            "ExpressionAttributeNames": {"#queue": "queue"},
            "ExpressionAttributeValues": to_item(
                {":queue": queue, ":before": format_instant(before)}
            ),
        }
        while True:
            response = self._dynamodb.query(TableName=self._name, **arguments)
            yield from response["Items"]
            if "LastEvaluatedKey" not in response:
                return
            arguments["ExclusiveStartKey"] = response["LastEvaluatedKey"]

    def _update(self, update: Mapping[str, Any]) -> bool:
        try:
            self._dynamodb.update_item(**update)
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True


def _from_item(item: Item) -> OutwaitedSale:
    values = from_item(item)
    return OutwaitedSale(
        sale_id=values["sk"].removeprefix("SALE#"),
        queue=values["queue"],
        queued_at=parse_instant(values["queued_at"]),
        told=tuple(each["id"] for each in values.get("told", ())),
    )
