"""
The writes of which transactions on identities are made (see `forecourt.stored_identities`).

Each says in its condition which situation it excludes; what they are put together to is up to
`identities_table` and `rekeyed_identities`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecourt.attributes import Item, encode, to_item
from forecourt.hashes import key_id_of
from forecourt.instants import format_instant
from forecourt.loyalty_table import member_key
from forecourt.members_table import PRESENT
from forecourt.sales import EvidenceKind
from forecourt.stored_identities import (
    block_key,
    bound_key,
    identity_key,
    identity_to_item,
    portrait_key,
    portrait_mark,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta

    from forecourt.hashes import EvidenceKey

IDENTITIES_MAX = 16  # a family's cars, phones and cards; also what one list has to unseal


class IdentityWrites:
    """
    Writes to the table *name*.

    *block_of* returns the hash of a phone number's block by the key of that number.
    """

    def __init__(self, name: str, *, block_of: Callable[[str, str], str]) -> None:
        self._name = name
        self._block_of = block_of

    def owned_by(
        self, owners: tuple[str, ...], key: EvidenceKey, *, before: Item | None
    ) -> dict[str, Any]:
        """Return the write that makes *owners* those of an identity, if it is as it was read."""
        # Both exclude losing an owner who came or went since it was read.
        if before is None:
            condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        else:
            name = "owners" if "owners" in before else "member_id"
            condition = {
                "ConditionExpression": f"{name} = :before",
                "ExpressionAttributeValues": {":before": before[name]},
            }
        if not owners:
            delete = {"TableName": self._name, "Key": identity_key(key), **condition}
            return {"Delete": delete}
        item = identity_to_item(key, owners)
        return {"Put": {"TableName": self._name, "Item": item, **condition}}

    def unowned(self, key: EvidenceKey) -> dict[str, Any]:
        return {
            "ConditionCheck": {
                "TableName": self._name,
                "Key": identity_key(key),
                # Excludes that the same value begins under two keys at once, each somebody else's.
                "ConditionExpression": "attribute_not_exists(pk)",
            }
        }

    def enrolled(self, member_id: str) -> dict[str, Any]:
        return {
            "ConditionCheck": {
                "TableName": self._name,
                "Key": member_key(member_id),
                # Excludes a member who was never enrolled, was erased, or goes on elsewhere.
                "ConditionExpression": PRESENT,
            }
        }

    def portrayed(self, member_id: str, key: EvidenceKey) -> dict[str, Any]:
        return {
            "Update": {
                "TableName": self._name,
                "Key": portrait_key(member_id),
                "UpdateExpression": "SET #type = :type ADD bound :mark",
                # Excludes a member with as many as allowed, however many bind at once.
                "ConditionExpression": "attribute_not_exists(bound) OR size(bound) < :limit",
                "ExpressionAttributeNames": {"#type": "type"},
                "ExpressionAttributeValues": to_item(
                    {
                        ":type": "portrait",
                        ":mark": frozenset({portrait_mark(key)}),
                        ":limit": IDENTITIES_MAX,
                    }
                ),
            }
        }

    def marked(self, member_id: str, key: EvidenceKey) -> dict[str, Any]:
        return {
            "Update": {
                "TableName": self._name,
                "Key": portrait_key(member_id),
                "UpdateExpression": "SET #type = :type ADD bound :mark",
                "ExpressionAttributeNames": {"#type": "type"},
                "ExpressionAttributeValues": to_item(
                    {":type": "portrait", ":mark": frozenset({portrait_mark(key)})}
                ),
            }
        }

    def unportrayed(self, member_id: str, key: EvidenceKey) -> dict[str, Any]:
        mark = encode(frozenset({portrait_mark(key)}))
        return {
            "Update": {
                "TableName": self._name,
                "Key": portrait_key(member_id),
                "UpdateExpression": "DELETE bound :mark",
                "ExpressionAttributeValues": {":mark": mark},
            }
        }

    def put_bound(
        self, member_id: str, key: EvidenceKey, sealed: bytes, bound_at: datetime
    ) -> dict[str, Any]:
        bound = {"type": "bound", "sealed": sealed, "bound_at": format_instant(bound_at)}
        item = bound_key(member_id, key) | to_item(bound)
        return {"Put": {"TableName": self._name, "Item": item}}

    def put_unbound(
        self, member_id: str, key: EvidenceKey, unbound_at: datetime, known_for: timedelta
    ) -> dict[str, Any]:
        return {
            "Put": {
                "TableName": self._name,
                "Item": unbound_to_item(member_id, key, unbound_at, known_for),
                # Excludes what somebody else unbound since it was read.
                "ConditionExpression": "#type = :bound",
                "ExpressionAttributeNames": {"#type": "type"},
                "ExpressionAttributeValues": {":bound": encode("bound")},
            }
        }

    def counted_in_block(self, key: EvidenceKey, value: str, *, by: int) -> list[dict[str, Any]]:
        """Return the write that counts a phone in or out of its block; nothing else is counted."""
        if key.kind != EvidenceKind.PHONE:
            return []
        update = {
            "TableName": self._name,
            "Key": block_key(self._block_of(value, key_id_of(key.digest))),
            "UpdateExpression": "SET #type = :type ADD numbers :by",
            "ExpressionAttributeNames": {"#type": "type"},
            "ExpressionAttributeValues": to_item({":type": "block", ":by": by}),
        }
        return [{"Update": update}]


def unbound_to_item(
    member_id: str, key: EvidenceKey, unbound_at: datetime, known_for: timedelta
) -> Item:
    """Encode the trace of an unbound identity."""
    unbound = {
        "type": "unbound",
        "unbound_at": format_instant(unbound_at),
        "expires_at_epoch": int((unbound_at + known_for).timestamp()),
    }
    return bound_key(member_id, key) | to_item(unbound)
