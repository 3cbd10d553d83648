"""Members' habits in the Loyalty table: the part of a portrait that sales change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecourt.attributes import to_item
from forecourt.contention import until_settled
from forecourt.errors import StaleWrite
from forecourt.stored_identities import ERASED, habits_from_item, habits_to_map, portrait_key

if TYPE_CHECKING:
    from forecourt.behaviour import Fill
    from forecourt.habits import Habits


class PortraitsTable:
    """The table *name* behind the DynamoDB client *dynamodb*."""

    def __init__(self, dynamodb: Any, *, name: str) -> None:
        self._dynamodb = dynamodb
        self._name = name

    def habits(self, member_id: str) -> Habits:
        """Return a member's habits, perhaps without what was counted this moment."""
        response = self._dynamodb.get_item(TableName=self._name, Key=portrait_key(member_id))
        return habits_from_item(response.get("Item"))

    def count(self, member_id: str, sale_id: str, fill: Fill) -> bool:
        """Count a sale among a member's habits, once; `False`: they stay as they are."""
        key = portrait_key(member_id)

        def attempt() -> bool:
            response = self._dynamodb.get_item(TableName=self._name, Key=key, ConsistentRead=True)
            item = response.get("Item")
            if item and item["type"]["S"] == ERASED:
                return False
            before = habits_from_item(item)
            after = before.after(sale_id, fill)
            if after is None:
                return False
            habits = habits_to_map(after)
            values = {
                ":type": "portrait",
                ":behaviour": habits["behaviour"],
                ":counted": habits["counted"],
            }
            # Both exclude losing a sale that was counted since the habits were read, and
            # beginning anew for a member erased since then.
            if before.counted:
                condition = "counted = :before"
                values[":before"] = list(before.counted)
            else:
                condition = "attribute_not_exists(counted) AND NOT #type = :erased"
                values[":erased"] = ERASED
            try:
                self._dynamodb.update_item(
                    TableName=self._name,
                    Key=key,
                    # What is bound is another attribute, which bindings change meanwhile.
                    UpdateExpression=(
                        "SET #type = :type, behaviour = :behaviour, counted = :counted"
                    ),
                    ConditionExpression=condition,
                    ExpressionAttributeNames={"#type": "type"},
                    ExpressionAttributeValues=to_item(values),
                )
            except self._dynamodb.exceptions.ConditionalCheckFailedException:
                raise StaleWrite from None
            return True

        return until_settled(attempt)
