"""
How far hashing anew is, in the Loyalty table, and the items it walks by, in both tables.

| item | pk | sk | attributes |
| --- | --- | --- | --- |
| segment of a run | `REKEYING` | `<state of the ring>#<segment>` | place, start, counts, version |
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from forecourt.attributes import Item, from_item, to_item
from forecourt.rekeying import SEGMENTS, Place, Progress, Segment

if TYPE_CHECKING:
    from collections.abc import Mapping

PK = "REKEYING"
# What is hashed anew. Everything else of an identity goes along with it.
TYPES = {
    Place.IDENTITIES: ("identity", "merge", "drivers", "block"),
    Place.SALES: ("sale", "telling", "orphan"),
}


class RekeyingTable:
    """The tables *loyalty* and *sales* (names) behind the DynamoDB client *dynamodb*."""

    def __init__(self, dynamodb: Any, *, loyalty: str, sales: str, page: int) -> None:
        self._dynamodb = dynamodb
        self._names = {Place.IDENTITIES: loyalty, Place.SALES: sales}
        self._page = page

    def begin(self, run: str, *, anew: bool) -> Progress:
        """Begin a run, or go on with it; *anew* walks by everything once more."""
        before = {each.number: each for each in self.progress(run).segments}
        for number in range(SEGMENTS):
            if number not in before:
                # Excludes setting back a segment that a rival began, and that somebody is at.
                self._keep(Segment(run=run, number=number), "attribute_not_exists(pk)")
            elif anew:
                fresh = Segment(run=run, number=number, version=before[number].version + 1)
                self.keep(fresh)
        return self.progress(run)

    def progress(self, run: str) -> Progress:
        """Return how far a run is, as of now."""
        response = self._dynamodb.query(
            TableName=self._names[Place.IDENTITIES],
            KeyConditionExpression="pk = :pk AND begins_with(sk, :run)",
            ExpressionAttributeValues=to_item({":pk": PK, ":run": f"{run}#"}),
            ConsistentRead=True,
        )
        return Progress(run=run, segments=tuple(map(_segment_from_item, response["Items"])))

    def segment(self, run: str, number: int) -> Segment:
        """Return how far one segment is, as of now."""
        response = self._dynamodb.get_item(
            TableName=self._names[Place.IDENTITIES],
            Key=_segment_key(run, number),
            ConsistentRead=True,
        )
        return _segment_from_item(response["Item"])

    def keep(self, segment: Segment) -> bool:
        """Write how far a segment is now. `False`: somebody else is at it, and further."""
        # Excludes setting back a segment that went on since it was read.
        return self._keep(segment, "version = :before")

    def walk(self, segment: Segment) -> tuple[list[Item], dict[str, str] | None]:
        """
        Return the next page of what is hashed, and where it ends; `None` is the table's end.

        A replica may lag. A run begins when nobody has written by an older ring for a while.
        """
        types = {f":t{number}": each for number, each in enumerate(TYPES[segment.place])}
        response = self._dynamodb.scan(
            TableName=self._names[segment.place],
            Segment=segment.number,
            TotalSegments=SEGMENTS,
            Limit=self._page,
            FilterExpression=f"#type IN ({', '.join(types)})",
            ExpressionAttributeNames={"#type": "type"},
            ExpressionAttributeValues=to_item(types),
            **({"ExclusiveStartKey": to_item(segment.start)} if segment.start else {}),
        )
        last = response.get("LastEvaluatedKey")
        return response["Items"], from_item(last) if last else None

    def _keep(self, segment: Segment, condition: str) -> bool:
        compares = ":before" in condition
        values = to_item({":before": segment.version - 1}) if compares else None
        try:
            self._dynamodb.put_item(
                TableName=self._names[Place.IDENTITIES],
                Item=_segment_to_item(segment),
                ConditionExpression=condition,
                **({"ExpressionAttributeValues": values} if values else {}),
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True


def _segment_key(run: str, number: int) -> Item:
    return to_item({"pk": PK, "sk": f"{run}#{number:02}"})


def _segment_to_item(segment: Segment) -> Item:
    return _segment_key(segment.run, segment.number) | to_item(
        {
            "type": "rekeying",
            "place": str(segment.place),
            "start": dict(segment.start) if segment.start else None,
            "counts": dict(segment.counts),
            "version": segment.version,
        }
    )


def _segment_from_item(item: Mapping[str, Mapping[str, Any]]) -> Segment:
    values = from_item(item)
    run, _, number = values["sk"].partition("#")
    return Segment(
        run=run,
        number=int(number),
        place=Place(values["place"]),
        start=values.get("start"),
        counts=Counter(values["counts"]),
        version=values["version"],
    )
