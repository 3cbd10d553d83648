"""
Taking a question back because more is told of its sale.

The bus takes seconds to bring an answer, and by then the sale may have been weighed with what was
told and given to who said no. So what was answered before is not taken back: it goes onto the sale
in the same transaction, and when the bus brings it it is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecourt.attributes import to_item
from forecourt.decided_sales import question_key
from forecourt.questions_table import QuestionsTable, Says

if TYPE_CHECKING:
    from collections.abc import Mapping


class TakingBack:
    """The Loyalty table *name* behind the DynamoDB client *dynamodb*."""

    def __init__(self, dynamodb: Any, *, name: str) -> None:
        self._questions = QuestionsTable(dynamodb, name=name)
        self._name = name

    def with_question(
        self, update: Mapping[str, Any], member_id: str, sale_id: str
    ) -> list[dict[str, Any]]:
        """Return the writes that do *update* of a sale and let nobody be asked about it."""
        says = self._questions.said(member_id, sale_id)
        if says is not None:
            return [{"Update": _with_word(update, member_id, says)}]
        delete = {
            "TableName": self._name,
            "Key": question_key(member_id, sale_id),
            # Excludes taking back what was answered since it was read.
            "ConditionExpression": "attribute_not_exists(answer)",
        }
        return [{"Update": update}, {"Delete": delete}]


def _with_word(update: Mapping[str, Any], member_id: str, says: Says) -> dict[str, Any]:
    name = "denied_by" if says is Says.NO else "claimed_by"
    return {
        **update,
        "UpdateExpression": f"{update['UpdateExpression']} ADD {name} :who_said",
        "ExpressionAttributeValues": {
            **update["ExpressionAttributeValues"],
            **to_item({":who_said": frozenset({member_id})}),
        },
    }
