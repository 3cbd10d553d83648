"""Writing several items of DynamoDB, all or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from forecourt.contention import passing

if TYPE_CHECKING:
    from collections.abc import Sequence

FAILED = "ConditionalCheckFailed"


def transact(dynamodb: Any, writes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """
    Do all of *writes*, or none: then return for each why it was not done.

    That is its `Code`, of which `FAILED` says that its condition does not hold, and its `Item`
    where it asks for that. What does not pass by itself propagates.
    """
    try:
        dynamodb.transact_write_items(TransactItems=writes)
    except ClientError as error:
        reasons: list[dict[str, Any]] = error.response.get("CancellationReasons", [])
        if not reasons or not passing({each["Code"] for each in reasons}):
            raise
        return reasons
    return []
