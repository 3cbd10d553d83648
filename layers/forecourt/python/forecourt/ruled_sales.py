"""
Writing down what a person decided about a sale: on the sale, in the book, and to whoever is asked.

One transaction of at most eight items, the members it names among them. The points follow
from the stream of the Sales table: whoever rules moves none, so a ruling that is written is
carried out, whatever becomes of the request that wrote it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecourt.attributes import to_item
from forecourt.contention import until_settled
from forecourt.decided_sales import question, question_key
from forecourt.errors import SaleNotRulable, StaleWrite, VersionMismatch
from forecourt.instants import format_instant
from forecourt.loyalty_table import member_key
from forecourt.member_errors import UnknownMember
from forecourt.members_table import PRESENT
from forecourt.rulings import Verdict, holdings, movements
from forecourt.stored_rulings import (
    AppliedRuling,
    applied_to_map,
    ruling_to_item,
)
from forecourt.stored_sales import QUEUED_AS, Status, sale_key
from forecourt.transactions import FAILED, transact

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from forecourt.rulings import Ruling
    from forecourt.sales_table import SalesTable
    from forecourt.stored_sales import StoredSale

STATUS_OF = {
    Verdict.ASSIGN: Status.MATCHED,
    Verdict.SPLIT: Status.MATCHED,
    Verdict.NONE: Status.NOBODYS,
    Verdict.ASK: Status.PENDING,
}
# A received sale is being weighed this moment; a void or rejected one never earns.
RULABLE = frozenset({Status.HELD, Status.PENDING, Status.UNMATCHED, Status.MATCHED, Status.NOBODYS})


class RuledSales:
    """The sales of *sales*, and the tables behind them, through the DynamoDB client *dynamodb*."""

    def __init__(
        self, dynamodb: Any, *, sales: SalesTable, sales_name: str, loyalty_name: str
    ) -> None:
        self._dynamodb = dynamodb
        self._sales = sales
        self._sales_name = sales_name
        self._loyalty_name = loyalty_name

    def rule(
        self,
        sale_id: str,
        number: int,
        decree: Callable[[StoredSale], Ruling],
        *,
        ruled_at: datetime,
    ) -> AppliedRuling:
        """
        Write the *number*-th ruling about a sale, made by *decree* from the sale as it is.

        The same ruling again is what a retry looks like: the first one is returned. Raise
        `UnknownSale`, `UnknownMember`, `SaleNotRulable`, or `VersionMismatch` when another ruling
        came first.
        """

        def attempt() -> AppliedRuling:
            stored = self._sales.sale(sale_id)
            last = stored.ruled.ruling.number if stored.ruled else 0
            ruling = decree(stored)
            if stored.ruled is not None and number == last and stored.ruled.ruling == ruling:
                return stored.ruled
            if number != last + 1:
                raise VersionMismatch(version=last)
            if not rulable(stored, ruling):
                raise SaleNotRulable(sale_id=sale_id, status=str(stored.status))
            applied = AppliedRuling(
                ruling=ruling,
                ruled_at=ruled_at,
                held=holdings(stored.held, ruling),
                moved=movements(stored.held, ruling),
            )
            self._write(stored, applied)
            return applied

        return until_settled(attempt)

    def _write(self, stored: StoredSale, applied: AppliedRuling) -> None:
        sale_id, asked = stored.sale.sale_id, applied.ruling.asked
        writes: list[dict[str, Any]] = [
            {"Update": self._update(stored, applied)},
            {
                "Put": {
                    "TableName": self._loyalty_name,
                    "Item": ruling_to_item(applied),
                    # Excludes two rulings under one number.
                    "ConditionExpression": "attribute_not_exists(pk)",
                }
            },
        ]
        if stored.asked and stored.asked != asked:
            key = question_key(stored.asked, sale_id)
            writes.append({"Delete": {"TableName": self._loyalty_name, "Key": key}})
        if asked:
            item = question(asked, sale_id, asked_at=applied.ruled_at)
            writes.append({"Put": {"TableName": self._loyalty_name, "Item": item}})
        named = sorted({each.member_id for each in applied.ruling.shares} | _some(asked))
        writes = [*map(self._enrolled, named), *writes]
        refused = transact(self._dynamodb, writes)
        for member_id, reason in zip(named, refused, strict=False):
            if reason["Code"] == FAILED:
                raise UnknownMember(member_id)
        if refused:
            raise StaleWrite

    def _enrolled(self, member_id: str) -> dict[str, Any]:
        return {
            "ConditionCheck": {
                "TableName": self._loyalty_name,
                "Key": member_key(member_id),
                # Excludes a member who was never enrolled, was erased, or goes on elsewhere.
                "ConditionExpression": PRESENT,
            }
        }

    def _update(self, stored: StoredSale, applied: AppliedRuling) -> dict[str, Any]:
        ruling = applied.ruling
        status = STATUS_OF[ruling.verdict]
        at = format_instant(applied.ruled_at)
        names = {"#status": "status", "#queue": "queue"}
        values: dict[str, Any] = {
            ":status": status,
            ":ruling": applied_to_map(applied),
            ":now": at,
            ":actor": ruling.actor,
            ":before": stored.status,
        }
        changes = "#status = :status, ruling = :ruling, decided_at = :now, decided_by = :actor"
        removed = []
        if ruling.verdict is Verdict.ASSIGN:
            changes += ", member_id = :member"
            values[":member"] = ruling.shares[0].member_id
        else:
            removed.append("member_id")
        if status in QUEUED_AS:
            changes += ", #queue = :queue, queued_at = :now"
            values[":queue"] = QUEUED_AS[status]
        else:
            removed += ["#queue", "queued_at"]
        # Excludes a sale that was decided, by weighing or by a colleague, since it was read.
        condition = "#status = :before"
        if stored.decided_at is None:
            condition += " AND attribute_not_exists(decided_at)"
        else:
            condition += " AND decided_at = :decided_before"
            values[":decided_before"] = format_instant(stored.decided_at)
        if stored.ruled is None:
            condition += " AND attribute_not_exists(ruling)"
        else:
            condition += " AND ruling.#number = :last"
            names["#number"] = "number"
            values[":last"] = stored.ruled.ruling.number
        expression = f"SET {changes}" + (f" REMOVE {', '.join(removed)}" if removed else "")
        return {
            "TableName": self._sales_name,
            "Key": sale_key(stored.sale.sale_id),
            "UpdateExpression": expression,
            "ConditionExpression": condition,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": to_item(values),
        }


def _some(asked: str | None) -> set[str]:
    return {asked} if asked else set()


def rulable(stored: StoredSale, ruling: Ruling) -> bool:
    """
    Return whether *ruling* may be made of a sale where it stands.

    Nobody is asked about a sale that somebody has: it is taken back first.
    """
    if ruling.verdict is Verdict.ASK and stored.held:
        return False
    return stored.status in RULABLE and stored.sale.dispensed
