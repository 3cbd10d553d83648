"""
Forgetting a member: what of them lies in the two tables beside their identities.

| item | table | what becomes of it |
| --- | --- | --- |
| member | Loyalty | sealed profile goes at once, status `erasing`, then `erased` |
| identities, traces of unbound ones | Loyalty | `identities_table` unbinds them |
| check-ins | Loyalty | deleted |
| cars they were seen with | Loyalty | no longer name them |
| portrait | Loyalty | replaced by one that says `erased`: no late event begins a new one |
| questions and answers | Loyalty | deleted |
| sales, tellings | Sales | `anonymous_sales` takes hashes and sealed values from them; they stay |
| sales another has to answer | Sales | `parted_sales` takes theirs alone |
| accounts, entries | Loyalty | stay, frozen, under the member's id, which names nobody any more |
| pools they are in | Loyalty | no longer name them |
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from forecourt.attributes import from_item, to_item
from forecourt.decided_sales import question_key
from forecourt.instants import parse_instant
from forecourt.loyalty_table import member_key
from forecourt.rulings import sale_of_entry
from forecourt.sales import is_sale_id
from forecourt.stored_identities import ERASED, drivers_key, portrait_key, presence_key

if TYPE_CHECKING:
    from datetime import datetime

    from forecourt.hashes import EvidenceKey


class Erasing:
    """The tables *sales* and *loyalty* (names) behind the DynamoDB client *dynamodb*."""

    def __init__(self, dynamodb: Any, *, sales: str, loyalty: str) -> None:
        self._dynamodb = dynamodb
        self._sales = sales
        self._loyalty = loyalty

    def sale_ids(
        self, member_id: str, *, after: str | None, limit: int
    ) -> tuple[list[str], str | None]:
        """
        Return a page of the sales a member's entries are about, and where to go on.

        `None` is the end. A sale that several entries are about is named once a page.
        """
        arguments: dict[str, Any] = {
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :prefix)",
            "ExpressionAttributeValues": to_item({":pk": f"MEMBER#{member_id}", ":prefix": "T#"}),
            "ProjectionExpression": "sk",
            "ConsistentRead": True,
            "Limit": limit,
        }
        if after is not None:
            start = {"pk": f"MEMBER#{member_id}", "sk": f"T#{after}"}
            arguments["ExclusiveStartKey"] = to_item(start)
        response = self._dynamodb.query(TableName=self._loyalty, **arguments)
        entry_ids = [item["sk"]["S"].removeprefix("T#") for item in response["Items"]]
        last = response.get("LastEvaluatedKey")
        return (
            list(dict.fromkeys(filter(is_sale_id, map(sale_of_entry, entry_ids)))),
            last["sk"]["S"].removeprefix("T#") if last else None,
        )

    def forget_question(self, member_id: str, sale_id: str) -> None:
        """Remove a question to a member, or what they said."""
        self._dynamodb.delete_item(TableName=self._loyalty, Key=question_key(member_id, sale_id))

    def close_portrait(self, member_id: str) -> None:
        """
        Write on a portrait that its member is erased; from then on nothing is counted in it.

        What is bound stays until it is unbound: hashing it anew needs it.
        """
        self._dynamodb.update_item(
            TableName=self._loyalty,
            Key=portrait_key(member_id),
            UpdateExpression="SET #type = :erased REMOVE behaviour, counted, ruled",
            ExpressionAttributeNames={"#type": "type"},
            ExpressionAttributeValues=to_item({":erased": ERASED}),
        )

    def forget_portrait(self, member_id: str) -> None:
        """Leave of a portrait that its member was erased."""
        self._dynamodb.put_item(
            TableName=self._loyalty, Item=portrait_key(member_id) | to_item({"type": ERASED})
        )

    def forget_presence(self, member_id: str) -> None:
        """Remove where a member checked in."""
        self._dynamodb.delete_item(TableName=self._loyalty, Key=presence_key(member_id))

    def forget_driver(self, key: EvidenceKey, member_id: str) -> None:
        """Forget that a member was seen with a car."""
        with suppress(self._dynamodb.exceptions.ConditionalCheckFailedException):
            self._dynamodb.update_item(
                TableName=self._loyalty,
                Key=drivers_key(key),
                UpdateExpression="REMOVE drivers.#member",
                # Excludes making an item of a name.
                ConditionExpression="attribute_exists(drivers)",
                ExpressionAttributeNames={"#member": member_id},
            )

    def finish(self, member_id: str) -> bool:
        """Write that a member is erased. `False`: that is written, or nobody is being erased."""
        try:
            self._dynamodb.update_item(
                TableName=self._loyalty,
                Key=member_key(member_id),
                UpdateExpression="SET #status = :erased, version = version + :one",
                # Excludes erasing somebody who did not ask for it, and telling it twice.
                ConditionExpression="#status = :erasing",
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues=to_item(
                    {":erased": ERASED, ":erasing": "erasing", ":one": 1}
                ),
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def absorbed(self, member_id: str) -> list[str]:
        """Return whose records went into a member's, directly or by way of others."""
        found: list[str] = []
        waiting = [member_id]
        while waiting:
            response = self._dynamodb.get_item(
                TableName=self._loyalty, Key=member_key(waiting.pop()), ConsistentRead=True
            )
            more = sorted(from_item(response.get("Item", {})).get("absorbed", frozenset()))
            found += more
            waiting += more
        return found

    def forget_profile(self, member_id: str) -> None:
        """Destroy the profile of somebody whose record went into one that is erased."""
        with suppress(self._dynamodb.exceptions.ConditionalCheckFailedException):
            self._dynamodb.update_item(
                TableName=self._loyalty,
                Key=member_key(member_id),
                UpdateExpression="SET version = version + :one REMOVE sealed, #zone",
                ExpressionAttributeNames={"#zone": "zone"},
                # Excludes making a member of a name, and telling it twice.
                ConditionExpression="attribute_exists(sealed)",
                ExpressionAttributeValues=to_item({":one": 1}),
            )

    def asked_at(self, member_id: str) -> datetime | None:
        """Return since when a member is being erased, or was; `None`: nobody has asked for it."""
        response = self._dynamodb.get_item(
            TableName=self._loyalty, Key=member_key(member_id), ConsistentRead=True
        )
        erased_at = from_item(response.get("Item", {})).get("erased_at")
        return parse_instant(erased_at) if erased_at else None
