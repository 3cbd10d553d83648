"""
The condition key `dynamodb:LeadingKeys`, which MiniStack does not know.

The functions' roles are limited to partitions by it.  Without it such a condition is true for
every request, and a grant that is too narrow would first be noticed in AWS.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from ministack.core import iam_actions, iam_evaluator

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["enforce_leading_keys", "leading_keys", "transaction_keys"]

CONDITION_KEY = "dynamodb:LeadingKeys"
# Between the two patched functions only; no policy names it.
TRANSACTION = "forecourt:transaction"
# The partition keys of the stack's tables and of their indexes.
PARTITION_KEYS = ("pk", "id", "queue", "due_on")
EQUALITY = re.compile(r"(#?\w+)\s*=\s*(:\w+)")
OPERATIONS = {
    "Put": "dynamodb:PutItem",
    "Update": "dynamodb:UpdateItem",
    "Delete": "dynamodb:DeleteItem",
    "Get": "dynamodb:GetItem",
    "ConditionCheck": "dynamodb:ConditionCheckItem",
}


def leading_keys(request: dict[str, Any]) -> list[str]:
    """Return the partition keys a request names; a scan, for one, names none."""
    keys = [request[name] for name in ("Key", "Item") if name in request]
    for table in request.get("RequestItems", {}).values():
        keys += table["Keys"] if "Keys" in table else [_written(write) for write in table]
    found = [_partition(key) for key in keys]
    if "KeyConditionExpression" in request:
        found.append(_queried(request))
    return found


def transaction_keys(request: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield action, table name and partition key of each member of a transaction."""
    for member in request.get("TransactItems", ()):
        for kind, detail in member.items():
            key = detail.get("Key") or detail["Item"]
            yield OPERATIONS[kind], detail["TableName"], _partition(key)


def enforce_leading_keys() -> None:
    """Give MiniStack's policy evaluation the leading keys of each DynamoDB request."""
    context_of = iam_actions.dynamodb_service_context
    enforce = iam_evaluator.enforce

    def context_with_leading_keys(body: bytes) -> dict[str, Any]:
        context: dict[str, Any] = context_of(body)
        request = json.loads(body or b"{}")
        named = leading_keys(request)
        if named:
            context[CONDITION_KEY] = named
        context[TRANSACTION] = list(transaction_keys(request))
        return context

    def enforce_per_member(  # noqa: PLR0917 - called the way MiniStack calls it
        access_key: str,
        action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        context = dict(service_context or {})
        members = context.pop(TRANSACTION, [])
        keys = [
            key
            for member_action, table, key in members
            if member_action == action and resource_arn.endswith(f"table/{table}")
        ]
        # AWS judges each member of a transaction by itself.
        for members_context in [context | {CONDITION_KEY: [key]} for key in keys] or [context]:
            denied = enforce(access_key, action, service, region, resource_arn, members_context)
            if denied is not None:
                return denied
        return None

    iam_actions.dynamodb_service_context = context_with_leading_keys
    iam_evaluator.enforce = enforce_per_member


def _written(write: dict[str, Any]) -> dict[str, Any]:
    """Return the item or key of one write of a batch."""
    detail: dict[str, Any] = next(iter(write.values()))
    key: dict[str, Any] = detail.get("Item") or detail["Key"]
    return key


def _partition(item: dict[str, dict[str, str]]) -> str:
    for name in PARTITION_KEYS:
        if name in item:
            return item[name]["S"]
    raise KeyError(PARTITION_KEYS)


def _queried(request: dict[str, Any]) -> str:
    names = request.get("ExpressionAttributeNames", {})
    for name, value in EQUALITY.findall(request["KeyConditionExpression"]):
        if names.get(name, name) in PARTITION_KEYS:
            key: str = request["ExpressionAttributeValues"][value]["S"]
            return key
    raise KeyError(PARTITION_KEYS)
