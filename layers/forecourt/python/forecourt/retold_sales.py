"""
Letting the tellings of till and payment provider join the sale they tell of.

Both sides are written first and look for the other afterwards, consistently, so whichever
comes second finds the first. A sale is joined on condition that it is as it was read: of two
tellings that come at once, one reads again. What joins brings evidence, and a sale that
waits for its owner is weighed anew; what contradicts a sale nobody has yet holds it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from forecourt.attributes import Item, to_item
from forecourt.contention import passing, until_settled
from forecourt.decided_sales import question_key
from forecourt.errors import StaleWrite
from forecourt.instants import compact_instant, format_instant
from forecourt.messages import telling_id_for
from forecourt.retellings import WINDOW, sale_of
from forecourt.stored_baskets import ToldBasket, told_basket_to_map
from forecourt.stored_sales import (
    Queue,
    Status,
    Told,
    evidence_to_map,
    sale_from_item,
    sale_key,
    told_to_map,
)
from forecourt.stored_tellings import telling_from_item, telling_to_item, told_by_pump

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from forecourt.retellings import OneSale, Telling
    from forecourt.stored_sales import StoredSale
    from forecourt.stored_tellings import StoredTelling

# A telling's sale is at most one window away, and that sale's other tellings one more.
AROUND = 2 * WINDOW


class RetoldSales:
    """The tables *sales* and *loyalty* (names) behind the DynamoDB client *dynamodb*."""

    def __init__(self, dynamodb: Any, *, sales: str, loyalty: str) -> None:
        self._dynamodb = dynamodb
        self._sales = sales
        self._loyalty = loyalty

    def add(self, telling: StoredTelling) -> StoredTelling | None:
        """Store a telling once; a repeat writes nothing and returns what is there already."""
        try:
            self._dynamodb.put_item(
                TableName=self._sales,
                Item=telling_to_item(telling),
                # Excludes a repeat: the station tells everything until it is acknowledged.
                ConditionExpression="attribute_not_exists(pk)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException as refusal:
            return telling_from_item(refusal.response["Item"])
        return None

    def reunite(self, subject: Telling, *, now: datetime) -> OneSale:
        """Let what is told around *subject* join its sale; return that sale as it is told."""

        def attempt() -> OneSale:
            sales = {
                each.sale.sale_id: each
                for each in map(sale_from_item, self._around(subject, "SALE"))
                if each.sale.dispensed
            }
            tellings = {
                each.telling: each
                for each in map(telling_from_item, self._around(subject, "TELLING"))
            }
            one = sale_of(subject, [*map(told_by_pump, sales.values()), *tellings])
            if one.pump is not None:
                told = [tellings[each] for each in one.tellings if each in tellings]
                self._join(sales[one.pump.told_id], told, one, now=now)
            return one

        return until_settled(attempt)

    def _join(
        self,
        stored: StoredSale,
        told: Sequence[StoredTelling],
        one: OneSale,
        *,
        now: datetime,
    ) -> None:
        conflict = one.contradicted_by
        known = {each.telling_id for each in stored.told}
        new = [each for each in told if each.telling_id not in known]
        doubts = list(dict.fromkeys([*stored.doubts, *([str(conflict)] if conflict else [])]))
        if not new and len(doubts) == len(stored.doubts):
            return
        evidence = list(
            dict.fromkeys([*stored.evidence, *(piece for each in new for piece in each.evidence)])
        )
        status = _status_after(
            stored, held=conflict is not None, grew=len(evidence) > len(stored.evidence)
        )
        joined = [Told(telling_id=each.telling_id, sealed=each.sealed) for each in new]
        values: dict[str, Any] = {
            ":told": [told_to_map(each) for each in (*stored.told, *joined)],
            ":evidence": [evidence_to_map(each) for each in evidence],
            ":doubts": doubts,
            ":status": status,
            ":before": stored.status,
        }
        expression = "SET told = :told, evidence = :evidence, doubts = :doubts, #status = :status"
        names = {"#status": "status"}
        if status is not stored.status:
            names["#queue"] = "queue"
            if status is Status.HELD:
                expression += ", #queue = :queue, queued_at = :now"
                values |= {":queue": Queue.HELD, ":now": format_instant(now)}
            else:
                expression += " REMOVE #queue, queued_at"
        # Excludes a sale that was decided, or joined by a rival, since it was read.
        condition = "#status = :before AND attribute_not_exists(told)"
        if stored.told:
            condition = "#status = :before AND size(told) = :known"
            values[":known"] = len(stored.told)
        update = {
            "TableName": self._sales,
            "Key": sale_key(stored.sale.sale_id),
            "UpdateExpression": expression,
            "ConditionExpression": condition,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": to_item(values),
        }
        basket = _basket_for(stored, one)
        if basket is not None:
            update = _with_basket(update, basket, stored)
        writes: list[dict[str, Any]] = [{"Update": update}]
        if stored.asked and status is not stored.status:
            key = question_key(stored.asked, stored.sale.sale_id)
            writes.append({"Delete": {"TableName": self._loyalty, "Key": key}})
        self._transact(writes)

    def _transact(self, writes: list[dict[str, Any]]) -> None:
        try:
            self._dynamodb.transact_write_items(TransactItems=writes)
        except ClientError as error:
            reasons = {each["Code"] for each in error.response.get("CancellationReasons", ())}
            if not reasons or not passing(reasons):
                raise
            raise StaleWrite from error

    def _around(self, subject: Telling, kind: str) -> list[Item]:
        arguments: dict[str, Any] = {
            "KeyConditionExpression": "pk = :pk AND sk BETWEEN :low AND :high",
            "ExpressionAttributeValues": to_item(
                {
                    ":pk": f"STATION#{subject.station_id}",
                    ":low": f"{kind}#{compact_instant(subject.at - AROUND)}",
                    # An id goes on after its instant and sorts behind the bare instant.
                    ":high": f"{kind}#{compact_instant(subject.at + AROUND)}~",
                }
            ),
            "ConsistentRead": True,
        }
        found: list[Item] = []
        while True:
            response = self._dynamodb.query(TableName=self._sales, **arguments)
            found += response["Items"]
            if "LastEvaluatedKey" not in response:
                return found
            arguments["ExclusiveStartKey"] = response["LastEvaluatedKey"]


def _basket_for(stored: StoredSale, one: OneSale) -> ToldBasket | None:
    """Return the receipt the sale gets now. It has one at most, and the first one stays."""
    receipt = one.receipt
    if stored.basket is not None or receipt is None or receipt.basket is None:
        return None
    return ToldBasket(
        basket=receipt.basket,
        telling_id=telling_id_for(receipt),
        after=tuple(each.entry_id for each in stored.held),
    )


def _with_basket(update: dict[str, Any], basket: ToldBasket, stored: StoredSale) -> dict[str, Any]:
    values = {
        ":basket": told_basket_to_map(basket),
        ":decided_before": format_instant(stored.decided_at) if stored.decided_at else None,
    }
    decided = (
        "decided_at = :decided_before" if stored.decided_at else "attribute_not_exists(decided_at)"
    )
    changes = update["UpdateExpression"].removeprefix("SET ")
    return update | {
        "UpdateExpression": f"SET basket = :basket, {changes}",
        # Excludes a ruling since the sale was read: what is given before the receipt is known
        # is judged without it, what is given after it with it, and nothing is in between.
        "ConditionExpression": (
            f"{update['ConditionExpression']} AND attribute_not_exists(basket) AND {decided}"
        ),
        "ExpressionAttributeValues": {**update["ExpressionAttributeValues"], **to_item(values)},
    }


def _status_after(stored: StoredSale, *, held: bool, grew: bool) -> Status:
    """
    Return where a sale stands when something joined it.

    Once it has an owner it keeps owner and points: the pump's figures are the ones it was
    judged by. The contradiction is written on it all the same. What a person has ruled on
    stays as ruled.
    """
    if stored.ruled is not None:
        return stored.status
    if held and stored.status in {Status.RECEIVED, Status.UNMATCHED, Status.PENDING}:
        return Status.HELD
    if grew and stored.status in {Status.UNMATCHED, Status.PENDING}:
        return Status.RECEIVED
    return stored.status
