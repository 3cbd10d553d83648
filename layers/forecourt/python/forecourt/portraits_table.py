"""
What judged sales tell of members, in the Loyalty table: their habits, and the cars they drive.

Habits are the part of a portrait that sales change, `drivers` an item of each car (see
`forecourt.stored_identities`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecourt.attributes import to_item
from forecourt.contention import until_settled
from forecourt.driving import KNOWN, with_driver
from forecourt.errors import StaleWrite
from forecourt.stored_identities import ERASED, drivers_from_item, drivers_key, portrait_key
from forecourt.stored_portraits import habits_from_item, habits_to_map
from forecourt.transactions import FAILED, transact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from forecourt.attributes import Item
    from forecourt.fills import Fill
    from forecourt.habits import Habits
    from forecourt.hashes import EvidenceKey
    from forecourt.rulings import Movement
    from forecourt.stored_rulings import AppliedRuling


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
        return self._change(member_id, lambda habits: habits.after(sale_id, fill))

    def move(self, applied: AppliedRuling, movement: Movement, fill: Fill) -> bool:
        """
        Count a sale that a ruling gives among a member's habits, or forget one it takes.

        Once; `False`: they stay as they are.
        """
        name, ruled_at, gave = movement.movement_id, applied.ruled_at, movement.reverses

        def moved(habits: Habits) -> Habits | None:
            if gave is None:
                return habits.after_gift(name, fill, ruled_at=ruled_at)
            return habits.after_taking(name, fill, gave=gave, ruled_at=ruled_at)

        return self._change(movement.share.member_id, moved)

    def _change(self, member_id: str, change: Callable[[Habits], Habits | None]) -> bool:
        key = portrait_key(member_id)

        def attempt() -> bool:
            response = self._dynamodb.get_item(TableName=self._name, Key=key, ConsistentRead=True)
            item = response.get("Item")
            if item and item["type"]["S"] == ERASED:
                return False
            after = change(habits_from_item(item))
            if after is None:
                return False
            condition, before = _as_read(item)
            values = {f":{name}": value for name, value in habits_to_map(after).items()}
            try:
                self._dynamodb.update_item(
                    TableName=self._name,
                    Key=key,
                    # What is bound is another attribute, which bindings change meanwhile.
                    UpdateExpression=(
                        "SET #type = :type, behaviour = :behaviour, counted = :counted, "
                        "ruled = :ruled"
                    ),
                    ConditionExpression=condition,
                    ExpressionAttributeNames={"#type": "type"},
                    ExpressionAttributeValues=to_item({":type": "portrait", **values, **before}),
                )
            except self._dynamodb.exceptions.ConditionalCheckFailedException:
                raise StaleWrite from None
            return True

        return until_settled(attempt)

    def note_driver(self, key: EvidenceKey, member_id: str, *, seen_at: int) -> bool:
        """
        Remember that a member was seen with a car. `False`: that is no news.

        Nor is it remembered of a member who was erased.
        """

        def attempt() -> bool:
            response = self._dynamodb.get_item(
                TableName=self._name, Key=drivers_key(key), ConsistentRead=True
            )
            before: Item | None = response.get("Item")
            known = drivers_from_item(before) if before else {}
            after = with_driver(known, member_id, seen_at=seen_at)
            if after is None:
                return False
            return self._write_drivers(key, member_id, after, before=before)

        return until_settled(attempt)

    def _write_drivers(
        self, key: EvidenceKey, member_id: str, after: dict[str, int], *, before: Item | None
    ) -> bool:
        put: dict[str, Any] = {
            "TableName": self._name,
            "Item": drivers_key(key)
            | to_item(
                {
                    "type": "drivers",
                    "drivers": after,
                    "expires_at_epoch": max(after.values()) + int(KNOWN.total_seconds()),
                }
            ),
            # Both exclude losing a driver who was noted or forgotten since it was read.
            "ConditionExpression": "attribute_not_exists(pk)",
        }
        if before is not None:
            put["ConditionExpression"] = "drivers = :before"
            put["ExpressionAttributeValues"] = {":before": before["drivers"]}
        not_erased = {
            "TableName": self._name,
            "Key": portrait_key(member_id),
            # Excludes a late event that would remember somebody who asked to be forgotten.
            "ConditionExpression": "attribute_not_exists(#type) OR #type <> :erased",
            "ExpressionAttributeNames": {"#type": "type"},
            "ExpressionAttributeValues": to_item({":erased": ERASED}),
        }
        refused = transact(self._dynamodb, [{"ConditionCheck": not_erased}, {"Put": put}])
        if refused and refused[0]["Code"] != FAILED:
            raise StaleWrite
        return not refused


def _as_read(item: Mapping[str, Mapping[str, Any]] | None) -> tuple[str, dict[str, Any]]:
    """
    Return the condition that habits are as they were read, and its values.

    Excludes losing a change made since, and beginning anew for a member erased since.
    """
    if not item or "behaviour" not in item:
        return "attribute_not_exists(behaviour) AND NOT #type = :erased", {":erased": ERASED}
    before = habits_from_item(item)
    condition, values = "counted = :counted_before", {":counted_before": list(before.counted)}
    if "ruled" not in item:  # from before rulings were followed
        return f"{condition} AND attribute_not_exists(ruled)", values
    return f"{condition} AND ruled = :ruled_before", {**values, ":ruled_before": list(before.ruled)}
