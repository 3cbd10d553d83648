"""
Budgets in the Loyalty table: which there are, and what each is for.

| item | pk | sk | attributes |
| --- | --- | --- | --- |
| budget | `BUDGETS` | `<budget>` | type `budget`, purpose, wallet, expires_on, opened_…, request |

A budget was `opened_at` some time, `opened_by` a caller, whose `request` finds it again.
What a budget has is an account of the owner `budget:<budget>`, written by the ledger and by
nobody else. This item never changes.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

from forecourt.attributes import Item, encode, from_item, to_item
from forecourt.booking_errors import BudgetExists, UnknownBudget
from forecourt.instants import format_instant, parse_instant
from forecourt.ledger.entries import BUDGET_PREFIX
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

PARTITION = "BUDGETS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """
    What may be given for one purpose: out of which wallet, and until when.

    `request` names the one that opened it, which says in every attempt that it is new.
    """

    budget_id: str
    purpose: str
    wallet: str
    expires_on: date | None
    opened_by: str
    opened_at: datetime
    request: str = ""

    @property
    def owner(self) -> str:
        """Return under which name the ledger has its account."""
        return f"{BUDGET_PREFIX}{self.budget_id}"


def budget_key(budget_id: str) -> Item:
    """Return the key of a budget."""
    return to_item({"pk": PARTITION, "sk": budget_id})


def budget_to_item(budget: Budget) -> Item:
    """Encode a budget."""
    return budget_key(budget.budget_id) | to_item(
        {
            "type": "budget",
            "purpose": budget.purpose,
            "wallet": budget.wallet,
            "expires_on": budget.expires_on.isoformat() if budget.expires_on else None,
            "opened_by": budget.opened_by,
            "opened_at": format_instant(budget.opened_at),
            "request": budget.request or None,
        }
    )


def budget_from_item(item: Mapping[str, Mapping[str, Any]]) -> Budget:
    """Decode a budget."""
    values = from_item(item)
    last = values.get("expires_on")
    return Budget(
        budget_id=values["sk"],
        purpose=values["purpose"],
        wallet=values["wallet"],
        expires_on=date.fromisoformat(last) if last else None,
        opened_by=values["opened_by"],
        opened_at=parse_instant(values["opened_at"]),
        request=values.get("request", ""),
    )


class BudgetsTable:
    """The table *name* behind the DynamoDB client *dynamodb*: one method per access pattern."""

    def __init__(self, dynamodb: Any, *, name: str) -> None:
        self._dynamodb = dynamodb
        self._name = name

    def open(self, budget: Budget) -> tuple[Budget, bool]:
        """
        Open a budget; return it as stored, and whether its request opened it.

        The same again, whoever asks and whenever, is the one there is. Another one under its id
        is `BudgetExists`.
        """
        try:
            self._dynamodb.put_item(
                TableName=self._name,
                Item=budget_to_item(budget),
                # Excludes giving a budget that is being used another purpose or last day.
                ConditionExpression="attribute_not_exists(pk)",
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            stored = self.budget(budget.budget_id)
            opened = {name: getattr(stored, name) for name in ("opened_by", "opened_at", "request")}
            if replace(budget, **opened) != stored:
                raise BudgetExists(budget.budget_id) from None
            return stored, stored.request == budget.request
        return budget, True

    def budget(self, budget_id: str) -> Budget:
        """Return a budget as of now; raise `UnknownBudget`."""
        budget = self.find(budget_id)
        if budget is None:
            raise UnknownBudget(budget_id)
        return budget

    def find(self, budget_id: str) -> Budget | None:
        """Return a budget as of now, if there is one."""
        response = self._dynamodb.get_item(
            TableName=self._name, Key=budget_key(budget_id), ConsistentRead=True
        )
        return budget_from_item(response["Item"]) if "Item" in response else None

    def budgets(self, *, limit: int, after: str | None) -> tuple[list[Budget], str | None]:
        """Return a page of budgets by id, and the id it goes on behind."""
        response = self._dynamodb.query(
            TableName=self._name,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": encode(PARTITION)},
            ConsistentRead=True,
            Limit=limit,
            **({"ExclusiveStartKey": budget_key(after)} if after else {}),
        )
        last = response.get("LastEvaluatedKey")
        return [budget_from_item(item) for item in response["Items"]], last["sk"][
            "S"
        ] if last else None
