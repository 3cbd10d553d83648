"""
Where members' apps checked in, in the Loyalty table (see `forecourt.stored_identities`).

One small item a member, `PRESENCE#<member>`: found by whoever is asked about, never by station.
It is removed when its newest check-in is as old as `presence.KEPT`, or with its member.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecourt.attributes import from_item, to_item
from forecourt.contention import until_settled
from forecourt.errors import StaleWrite
from forecourt.loyalty_table import member_key
from forecourt.members_table import PRESENT, absence
from forecourt.presence import KEPT, CheckIn, Presences, presences_to_list
from forecourt.stored_identities import presence_key
from forecourt.stored_portraits import presences_from_item
from forecourt.transactions import FAILED, transact

if TYPE_CHECKING:
    from datetime import datetime

    from forecourt.attributes import Item


class PresencesTable:
    """The table *name* behind the DynamoDB client *dynamodb*."""

    def __init__(self, dynamodb: Any, *, name: str) -> None:
        self._dynamodb = dynamodb
        self._name = name

    def presences(self, member_id: str) -> Presences:
        """Return where a member checked in, perhaps without this moment."""
        response = self._dynamodb.get_item(TableName=self._name, Key=presence_key(member_id))
        return presences_from_item(response.get("Item"))

    def check_in(self, member_id: str, station_id: str, *, at: datetime) -> bool:
        """
        Remember that a member is at a station. `False`: that was known some minutes ago.

        Raise `UnknownMember`, `MemberErased` or `MemberMerged`.
        """
        check_in = CheckIn(at=int(at.timestamp()), station_id=station_id)

        def attempt() -> bool:
            response = self._dynamodb.get_item(
                TableName=self._name, Key=presence_key(member_id), ConsistentRead=True
            )
            before: Item | None = response.get("Item")
            after = presences_from_item(before).after(check_in)
            if after is None:
                return False
            self._write(member_id, after, before=before, expires_at=at + KEPT)
            return True

        return until_settled(attempt)

    def _write(
        self, member_id: str, after: Presences, *, before: Item | None, expires_at: datetime
    ) -> None:
        item = presence_key(member_id) | to_item(
            {
                "type": "presence",
                "check_ins": presences_to_list(after),
                "expires_at_epoch": int(expires_at.timestamp()),
            }
        )
        put: dict[str, Any] = {
            "TableName": self._name,
            "Item": item,
            # Both exclude losing what another request of the member's wrote since it was read.
            "ConditionExpression": "attribute_not_exists(pk)",
        }
        if before is not None:
            put["ConditionExpression"] = "check_ins = :before"
            put["ExpressionAttributeValues"] = {":before": before["check_ins"]}
        enrolled = {
            "TableName": self._name,
            "Key": member_key(member_id),
            # Excludes a member who was never enrolled, was erased, or goes on elsewhere: nothing
            # is left behind of whoever asked to be forgotten.
            "ConditionExpression": PRESENT,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        refused = transact(self._dynamodb, [{"ConditionCheck": enrolled}, {"Put": put}])
        if refused and refused[0]["Code"] == FAILED:
            raise absence(member_id, from_item(refused[0].get("Item", {})))
        if refused:
            raise StaleWrite
