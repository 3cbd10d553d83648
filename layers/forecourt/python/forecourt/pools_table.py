"""
Pools in the Loyalty table (see `forecourt.loyalty_table`).

| item | pk | sk | attributes |
| --- | --- | --- | --- |
| pool | `MEMBER#pool:<pool>` | `POOL` | type `pool`, wallet, head, limits, version, … |
| membership | `MEMBER#<member>` | `POOL#<pool>` | type `membership`, wallet, head |

A pool was `opened_at` some time, and remembers by which requests it was changed last
(`changes`): one that comes again finds its work done, though others have gone on from there.
A pool and the memberships that say so to its members change in one transaction. What a pool
has is beside it, under `ACCOUNT#<wallet>`, and is the ledger's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecourt.attributes import Item, encode, from_item, to_item
from forecourt.booking_errors import UnknownPool
from forecourt.contention import until_settled
from forecourt.errors import StaleWrite
from forecourt.instants import format_instant, parse_instant
from forecourt.ledger.entries import POOL_PREFIX
from forecourt.pools import Pool
from forecourt.transactions import transact
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """That a member is in a pool."""

    pool_id: str
    wallet: str
    head: str | None


def pool_key(pool_id: str) -> Item:
    """Return the key of a pool."""
    return to_item({"pk": f"MEMBER#{POOL_PREFIX}{pool_id}", "sk": "POOL"})


def membership_key(member_id: str, pool_id: str) -> Item:
    """Return the key of what says that a member is in a pool."""
    return to_item({"pk": f"MEMBER#{member_id}", "sk": f"POOL#{pool_id}"})


def pool_to_item(pool: Pool) -> Item:
    """Encode a pool."""
    return pool_key(pool.pool_id) | to_item(
        {
            "type": "pool",
            "wallet": pool.wallet,
            "head": pool.head,
            "limits": dict(pool.limits),
            "version": pool.version,
            "opened_at": format_instant(pool.opened_at),
            "changes": list(pool.changes),
        }
    )


def pool_from_item(item: Mapping[str, Mapping[str, Any]]) -> Pool:
    """Decode a pool."""
    values = from_item(item)
    return Pool(
        pool_id=values["pk"].removeprefix(f"MEMBER#{POOL_PREFIX}"),
        wallet=values["wallet"],
        head=values.get("head"),
        limits=values["limits"],
        version=values["version"],
        opened_at=parse_instant(values["opened_at"]),
        changes=tuple(values.get("changes", ())),  # pools from before remember none
    )


def membership_from_item(item: Mapping[str, Mapping[str, Any]]) -> Membership:
    """Decode what says that a member is in a pool."""
    values = from_item(item)
    return Membership(
        pool_id=values["sk"].removeprefix("POOL#"),
        wallet=values["wallet"],
        head=values.get("head"),
    )


class PoolsTable:
    """The table *name* behind the DynamoDB client *dynamodb*: one method per access pattern."""

    def __init__(self, dynamodb: Any, *, name: str) -> None:
        self._dynamodb = dynamodb
        self._name = name

    def open(self, pool: Pool) -> Pool:
        """Open a pool; its id is its request's, so the one there is was opened by an attempt."""

        def attempt() -> Pool:
            stored = self._find(pool.pool_id)
            if stored is not None:
                return stored
            self._write(pool, before=None)
            return pool

        return until_settled(attempt)

    def pool(self, pool_id: str) -> Pool:
        """Return a pool as of now; raise `UnknownPool`."""
        pool = self._find(pool_id)
        if pool is None:
            raise UnknownPool(pool_id)
        return pool

    def change(self, pool_id: str, change: Callable[[Pool], Pool], *, request_id: str = "") -> Pool:
        """
        Return a pool after *change*, which is decided again when somebody was faster.

        One that the request has changed before is returned as it is now. What may be done twice
        names none.
        """

        def attempt() -> Pool:
            before = self.pool(pool_id)
            if request_id in before.changes:
                return before
            after = change(before)
            if after != before:
                after = after.changed_by(request_id) if request_id else after
                self._write(after, before=before)
            return after

        return until_settled(attempt)

    def memberships(self, member_id: str) -> list[Membership]:
        """Return the pools a member is in, by id."""
        arguments: dict[str, Any] = {
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :pool)",
            "ExpressionAttributeValues": to_item({":pk": f"MEMBER#{member_id}", ":pool": "POOL#"}),
            "ConsistentRead": True,
        }
        found: list[Membership] = []
        while True:
            response = self._dynamodb.query(TableName=self._name, **arguments)
            found += map(membership_from_item, response["Items"])
            if "LastEvaluatedKey" not in response:
                return found
            arguments["ExclusiveStartKey"] = response["LastEvaluatedKey"]

    def _find(self, pool_id: str) -> Pool | None:
        response = self._dynamodb.get_item(
            TableName=self._name, Key=pool_key(pool_id), ConsistentRead=True
        )
        return pool_from_item(response["Item"]) if "Item" in response else None

    def _write(self, pool: Pool, *, before: Pool | None) -> None:
        known = before.limits if before else {}
        put: dict[str, Any] = {"TableName": self._name, "Item": pool_to_item(pool)}
        if before is None:
            # Excludes opening a pool over one that another attempt opened meanwhile.
            put["ConditionExpression"] = "attribute_not_exists(pk)"
        else:
            # Excludes undoing what was changed since the pool was read.
            put["ConditionExpression"] = "version = :before"
            put["ExpressionAttributeValues"] = {":before": encode(before.version)}
        writes: list[dict[str, Any]] = [{"Put": put}]
        says = {"type": "membership", "wallet": pool.wallet, "head": pool.head}
        unchanged = before is not None and before.head == pool.head
        for member_id in sorted(pool.limits.keys() - (known.keys() if unchanged else set())):
            item = membership_key(member_id, pool.pool_id) | to_item(says)
            writes.append({"Put": {"TableName": self._name, "Item": item}})
        for member_id in sorted(known.keys() - pool.limits.keys()):
            key = membership_key(member_id, pool.pool_id)
            writes.append({"Delete": {"TableName": self._name, "Key": key}})
        if transact(self._dynamodb, writes):
            raise StaleWrite
