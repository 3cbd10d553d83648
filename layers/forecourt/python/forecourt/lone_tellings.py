"""
The queue of tellings without a sale: a till or payment provider told of what no pump did.

`retold_sales` puts a telling into the queue and takes it out. Listed is what has waited for
`LISTED_AFTER`: by then it is the pump's telling that is missing, or the figures do not agree.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from forecourt.attributes import from_item, to_item
from forecourt.instants import compact_instant, format_instant
from forecourt.stored_tellings import QUEUE, telling_from_item
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from datetime import datetime

    from forecourt.hashes import EvidenceKey
    from forecourt.stored_tellings import StoredTelling

LISTED_AFTER = timedelta(hours=1)  # a gateway that was cut off brings its sales late


@dataclass(frozen=True, slots=True, kw_only=True)
class TellingsPage:
    """Some tellings, and the key to go on behind (`None` at the end)."""

    tellings: Sequence[StoredTelling]
    next_key: Mapping[str, str] | None


class LoneTellings:
    """The Sales table *name* behind the DynamoDB client *dynamodb*."""

    def __init__(self, dynamodb: Any, *, name: str) -> None:
        self._dynamodb = dynamodb
        self._name = name

    def everywhere(
        self, *, now: datetime, limit: int, start_key: Mapping[str, str] | None = None
    ) -> TellingsPage:
        """Return what waits at all stations, longest first."""
        return self._page(
            start_key=start_key,
            Limit=limit,
            IndexName="review",
            KeyConditionExpression="#queue = :queue AND queued_at <= :before",
            ExpressionAttributeNames={"#queue": "queue"},
            ExpressionAttributeValues=to_item({":queue": QUEUE, ":before": _before(now)}),
        )

    def naming(self, keys: AbstractSet[EvidenceKey]) -> Iterator[StoredTelling]:
        """
        Yield what waits, however short, and names one of *keys*; reads the whole queue.

        While two keys are accepted a telling has both hashes of a value, and an identity lies
        under either of them.
        """
        start_key: Mapping[str, str] | None = None
        while True:
            page = self._page(
                start_key=start_key,
                IndexName="review",
                KeyConditionExpression="#queue = :queue",
                ExpressionAttributeNames={"#queue": "queue"},
                ExpressionAttributeValues=to_item({":queue": QUEUE}),
            )
            for each in page.tellings:
                if any(not keys.isdisjoint(piece.keys) for piece in each.evidence):
                    yield each
            if page.next_key is None:
                return
            start_key = page.next_key

    def at_station(
        self,
        station_id: str,
        *,
        opens_at: datetime,
        closes_at: datetime,
        now: datetime,
        limit: int,
        start_key: Mapping[str, str] | None = None,
    ) -> TellingsPage:
        """
        Return what waits of what was told of a station's period, in order.

        Reads *limit* of the period's tellings, so a page may hold none and not be the last.
        """
        return self._page(
            start_key=start_key,
            Limit=limit,
            # An id goes on after its instant and so sorts behind the bare instant.
            KeyConditionExpression="pk = :pk AND sk BETWEEN :low AND :high",
            FilterExpression="#queue = :queue AND queued_at <= :before",
            ExpressionAttributeNames={"#queue": "queue"},
            ExpressionAttributeValues=to_item(
                {
                    ":pk": f"STATION#{station_id}",
                    ":low": f"TELLING#{compact_instant(opens_at)}",
                    ":high": f"TELLING#{compact_instant(closes_at)}",
                    ":queue": QUEUE,
                    ":before": _before(now),
                }
            ),
        )

    def _page(self, *, start_key: Mapping[str, str] | None, **query: Any) -> TellingsPage:
        if start_key:
            query["ExclusiveStartKey"] = to_item(start_key)
        response = self._dynamodb.query(TableName=self._name, **query)
        last = response.get("LastEvaluatedKey")
        return TellingsPage(
            tellings=[telling_from_item(item) for item in response["Items"]],
            next_key=from_item(last) if last else None,
        )


def _before(now: datetime) -> str:
    return format_instant(now - LISTED_AFTER)
