"""Stations in the Loyalty table, and the cases that reconciliation opens about their days."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecourt.attributes import Item, encode, from_item, to_item
from forecourt.instants import format_instant, parse_instant
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

    from forecourt.reconciliation import Finding

FINDINGS_LISTED = 50  # ten events of that length are still one call of PutEvents (256 KB)


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """What ingest has to know of a station; `retold`: a till or payment provider tells, too."""

    station_id: str
    name: str
    zone: str
    grades: frozenset[str]
    open_since: datetime
    retold: bool = False


def station_key(station_id: str) -> Item:
    """Return the key of a station."""
    return to_item({"pk": "STATIONS", "sk": station_id})


def station_to_item(station: Station) -> Item:
    """Encode a station as it is registered."""
    return station_key(station.station_id) | to_item(
        {
            "type": "station",
            "name": station.name,
            "zone": station.zone,
            "grades": sorted(station.grades),
            "open_since": format_instant(station.open_since),
        }
    )


def station_from_item(item: Mapping[str, Mapping[str, Any]]) -> Station:
    """Decode a station."""
    values = from_item(item)
    return Station(
        station_id=values["sk"],
        name=values["name"],
        zone=values["zone"],
        grades=frozenset(values["grades"]),
        open_since=parse_instant(values["open_since"]),
        retold=values.get("retold", False),
    )


class StationsTable:
    """Stations in the table *name* behind the DynamoDB client *dynamodb*."""

    def __init__(self, dynamodb: Any, *, name: str) -> None:
        self._dynamodb = dynamodb
        self._name = name

    def station(self, station_id: str, *, consistent: bool = False) -> Station | None:
        """
        Return a station, or `None` when none is registered under that id.

        *consistent* sees what was registered or changed a moment ago, for twice the price.
        """
        response = self._dynamodb.get_item(
            TableName=self._name, Key=station_key(station_id), ConsistentRead=consistent
        )
        return station_from_item(response["Item"]) if "Item" in response else None

    def note_retold(self, station_id: str) -> None:
        """Remember that sales of a station are told by others than its pumps, too."""
        self._dynamodb.update_item(
            TableName=self._name,
            Key=station_key(station_id),
            UpdateExpression="SET retold = :true",
            # Excludes making a station of a name.
            ConditionExpression="attribute_exists(pk)",
            ExpressionAttributeValues=to_item({":true": True}),
        )

    def stations(self) -> list[Station]:
        """Return all stations, by id."""
        arguments: dict[str, Any] = {
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": encode("STATIONS")},
        }
        found: list[Station] = []
        while True:
            response = self._dynamodb.query(TableName=self._name, **arguments)
            found += map(station_from_item, response["Items"])
            if "LastEvaluatedKey" not in response:
                return found
            arguments["ExclusiveStartKey"] = response["LastEvaluatedKey"]

    def keep_case(
        self,
        station_id: str,
        business_day: date,
        *,
        findings: Sequence[Finding],
        opened_at: datetime,
    ) -> bool:
        """
        Record what does not agree on a station's day, or that nothing disagrees any more.

        `True`: there is something new, which the bus is told. The same findings again leave
        the case as it is, with the time it was opened. Of very many the first
        `FINDINGS_LISTED` are kept, and their number.
        """
        key = to_item({"pk": f"CASES#{station_id}", "sk": business_day.isoformat()})
        if not findings:
            self._dynamodb.delete_item(TableName=self._name, Key=key)
            return False
        listed = encode(
            [{"kind": str(each.kind), **each.facts} for each in findings[:FINDINGS_LISTED]]
        )
        item = key | {
            "type": encode("case"),
            "findings_total": encode(len(findings)),
            "findings": listed,
            "opened_at": encode(format_instant(opened_at)),
        }
        try:
            self._dynamodb.put_item(
                TableName=self._name,
                Item=item,
                # Excludes telling the bus again of a case it knows.
                ConditionExpression=(
                    "attribute_not_exists(pk) OR findings <> :findings OR findings_total <> :total"
                ),
                ExpressionAttributeValues={":findings": listed, ":total": item["findings_total"]},
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True
