"""
Taking from sales, and from what was told of them, whatever names somebody.

A sale that was matched a moment before reaches the ledger a moment after. Every matched sale
leaves one item there, an entry, an evaluation or a full wallet's refusal, and the bus is told of
each. The search for a member's sales reads these items, consistently, after the portrait says
`erased`. So an item is found by the search, or it was written after the portrait was: then
whoever hears of it reads `erased` and forgets the sale (`functions.habits`). There is no third
case, and nothing waits.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from forecourt.attributes import Item, encode, from_item
from forecourt.stored_identities import ERASED, portrait_key
from forecourt.stored_sales import Told, sale_key, told_to_map
from forecourt.stored_tellings import telling_key

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from forecourt.stored_sales import StoredSale


class AnonymousSales:
    """The tables *sales* and *loyalty* (names) behind the DynamoDB client *dynamodb*."""

    def __init__(self, dynamodb: Any, *, sales: str, loyalty: str) -> None:
        self._dynamodb = dynamodb
        self._sales = sales
        self._loyalty = loyalty

    def anonymise(self, stored: StoredSale) -> None:
        """Take from a sale, and from what was told of it, everything that names somebody."""
        told = [each.telling_id for each in stored.told]
        self._strip(sale_key(stored.sale.sale_id), told=told)
        for each in stored.told:
            self.anonymise_telling(each.telling_id)

    def anonymise_telling(self, telling_id: str) -> None:
        """Take from what waits for its sale everything that names somebody."""
        self._strip(telling_key(telling_id))

    def is_erased(self, member_id: str) -> bool:
        """Return whether a member's sales have been looked for, or are about to be."""
        response = self._dynamodb.get_item(
            TableName=self._loyalty, Key=portrait_key(member_id), ConsistentRead=True
        )
        return from_item(response.get("Item", {})).get("type") == ERASED

    def _strip(self, key: Item, *, told: Sequence[str] = ()) -> None:
        with suppress(self._dynamodb.exceptions.ConditionalCheckFailedException):
            self._dynamodb.update_item(**stripping(self._sales, key, told=told))


def stripping(table: str, key: Item, *, told: Sequence[str] = ()) -> dict[str, Any]:
    """
    Return the update that takes whatever names somebody from a sale or a telling.

    *told* are the ids of the tellings that joined the sale. The expression ends in a list of what
    is removed.
    """
    update: dict[str, Any] = {
        "TableName": table,
        "Key": key,
        "UpdateExpression": "REMOVE evidence, sealed",
        # Excludes making an item of a name.
        "ConditionExpression": "attribute_exists(pk)",
    }
    if told:
        nameless = [told_to_map(Told(telling_id=each)) for each in told]
        update["UpdateExpression"] = "SET told = :told REMOVE evidence, sealed"
        update["ExpressionAttributeValues"] = {":told": encode(nameless)}
    return update


def is_theirs(stored: StoredSale, erased: Collection[str]) -> bool:
    """Return whether a sale is still *erased* members': another's has that one's evidence."""
    holders = {each.share.member_id for each in stored.held}
    return not holders or not holders.isdisjoint(erased)
