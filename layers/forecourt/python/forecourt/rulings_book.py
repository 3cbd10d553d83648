"""Reading the book of rulings in the Loyalty table (see `stored_rulings`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecourt.attributes import encode
from forecourt.stored_rulings import ruling_from_item, ruling_key

if TYPE_CHECKING:
    from forecourt.stored_rulings import AppliedRuling

RULINGS_LISTED = 50  # nobody decides so often; what is beyond is in the table


class RulingsBook:
    """The table *name* behind the DynamoDB client *dynamodb*."""

    def __init__(self, dynamodb: Any, *, name: str) -> None:
        self._dynamodb = dynamodb
        self._name = name

    def ruling(self, sale_id: str, number: int) -> AppliedRuling:
        """Return one ruling that was made; it is never changed."""
        response = self._dynamodb.get_item(
            TableName=self._name, Key=ruling_key(sale_id, number), ConsistentRead=True
        )
        return ruling_from_item(response["Item"])

    def rulings(self, sale_id: str) -> list[AppliedRuling]:
        """Return what was ruled about a sale, first to last."""
        response = self._dynamodb.query(
            TableName=self._name,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": encode(f"RULINGS#{sale_id}")},
            ConsistentRead=True,
            Limit=RULINGS_LISTED,
        )
        return [ruling_from_item(item) for item in response["Items"]]
