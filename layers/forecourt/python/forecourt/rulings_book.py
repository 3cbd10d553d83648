"""Reading the book of rulings in the Loyalty table (see `stored_rulings`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecourt.stored_rulings import ruling_from_item, ruling_key

if TYPE_CHECKING:
    from forecourt.stored_rulings import AppliedRuling


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
