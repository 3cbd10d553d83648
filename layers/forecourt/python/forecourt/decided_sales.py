"""
Writing down whose a sale is: the Sales table, and the question to a member in the Loyalty table.

| item | table | pk | sk |
| --- | --- | --- | --- |
| sale | Sales | `STATION#<station>` | `SALE#<sale id>` |
| orphan | Sales | `EVIDENCE#<kind>#<digest>` | `SALE#<sale id>` |
| question | Loyalty | `ASKED#<member>` | `SALE#<sale id>` |

A sale that is nobody's for now is filed under each piece of its evidence that no crowd shares,
by which it is found when somebody binds that piece. One that is probably somebody's is pending
and puts a question to them; the relay tells the bus. Both are written with the sale in one
transaction of at most eleven items, nineteen while two keys of the hashes are accepted: a sale
never waits without being found, and nobody is asked about a sale that is not pending.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecourt.as_read import same_evidence, same_words
from forecourt.attributes import Item, encode, to_item
from forecourt.decisions import Outcome
from forecourt.errors import StaleWrite
from forecourt.instants import format_instant
from forecourt.orphans import WAITING
from forecourt.stored_sales import Status, decision_to_map, sale_key
from forecourt.transactions import FAILED, transact

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from forecourt.decisions import Decision
    from forecourt.hashes import EvidenceKey
    from forecourt.stored_sales import StoredSale

# Of one piece of evidence, read at once. A member fills up a dozen times while sales wait; what
# many more of them show (a taxi firm's phone) identifies nobody.
ORPHANS_MAX = 64

STATUS_OF = {
    Outcome.CREDITED: Status.MATCHED,
    Outcome.PENDING: Status.PENDING,
    Outcome.UNMATCHED: Status.UNMATCHED,
}


def question_key(member_id: str, sale_id: str) -> Item:
    """Return the key of the question whether a sale is a member's."""
    return to_item({"pk": f"ASKED#{member_id}", "sk": f"SALE#{sale_id}"})


def question(member_id: str, sale_id: str, *, asked_at: datetime) -> Item:
    """Return the question whether a sale is a member's; it is forgotten when nobody answers."""
    return question_key(member_id, sale_id) | to_item(
        {
            "type": "question",
            "asked_at": format_instant(asked_at),
            "expires_at_epoch": int((asked_at + WAITING).timestamp()),
        }
    )


class DecidedSales:
    """The tables *sales* and *loyalty* (names) behind the DynamoDB client *dynamodb*."""

    def __init__(self, dynamodb: Any, *, sales: str, loyalty: str) -> None:
        self._dynamodb = dynamodb
        self._sales = sales
        self._loyalty = loyalty

    def decide(
        self,
        stored: StoredSale,
        decision: Decision,
        *,
        filed_under: Sequence[EvidenceKey] = (),
        decided_at: datetime,
    ) -> bool:
        """
        Write what was decided about a sale.

        `False`: somebody decided it since it was read, or something was told or said of it that
        has to be weighed, too. A transaction that a rival's stands in the way of is a
        `StaleWrite`.
        """
        update = self._update(stored, decision, decided_at=decided_at)
        others = [
            *self._questions(stored, decision, asked_at=decided_at),
            *self._pointers(stored, filed_under, filed_at=decided_at),
        ]
        if not others:  # nearly every sale: half the price of a transaction
            return self._write(update)
        return self._transact([{"Update": update}, *others])

    def note_claim(self, stored: StoredSale, member_id: str) -> bool:
        """
        Remember that a member says a sale is theirs. `False`: it stands otherwise than was read.

        What comes of it is for weighing, now and whenever the sale is weighed again.
        """
        return self._note("claimed_by", stored, member_id)

    def note_denial(self, stored: StoredSale, member_id: str) -> bool:
        """
        Remember that a member says a sale is not theirs. `False`: it stands otherwise by now.

        Weighing never gives it to them.
        """
        return self._note("denied_by", stored, member_id)

    def _note(self, name: str, stored: StoredSale, member_id: str) -> bool:
        return self._write(
            {
                "TableName": self._sales,
                "Key": sale_key(stored.sale.sale_id),
                "UpdateExpression": f"ADD {name} :member",
                # Excludes a word about a sale that was decided since it was read.
                "ConditionExpression": "#status = :before",
                "ExpressionAttributeNames": {"#status": "status"},
                "ExpressionAttributeValues": to_item(
                    {":member": frozenset({member_id}), ":before": stored.status}
                ),
            }
        )

    def deny(self, stored: StoredSale, member_id: str, *, denied_at: datetime) -> bool:
        """
        Write that a member says a pending sale is not theirs: it waits for others.

        `False`: it was decided since it was read.
        """
        return self._write(
            {
                "TableName": self._sales,
                "Key": sale_key(stored.sale.sale_id),
                "UpdateExpression": (
                    "SET #status = :unmatched, #queue = :unmatched, queued_at = :now, "
                    "decided_at = :now ADD denied_by :member"
                ),
                # Excludes an answer to a question that was taken back since, or asked of another.
                "ConditionExpression": "#status = :pending AND decided_at = :decided_before",
                "ExpressionAttributeNames": {"#status": "status", "#queue": "queue"},
                "ExpressionAttributeValues": to_item(
                    {
                        ":unmatched": Status.UNMATCHED,
                        ":pending": Status.PENDING,
                        ":now": format_instant(denied_at),
                        ":decided_before": (
                            format_instant(stored.decided_at) if stored.decided_at else None
                        ),
                        ":member": frozenset({member_id}),
                    }
                ),
            }
        )

    def orphans(self, key: EvidenceKey, *, at_most: int = ORPHANS_MAX) -> list[str]:
        """Return the ids of sales that wait with that evidence, the oldest *at_most* of them."""
        response = self._dynamodb.query(
            TableName=self._sales,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": encode(f"EVIDENCE#{key.kind}#{key.digest}")},
            ConsistentRead=True,
            Limit=at_most,  # pointers are small: DynamoDB returns that many or all there are
        )
        return [item["sk"]["S"].removeprefix("SALE#") for item in response["Items"]]

    def forget_orphan(self, key: EvidenceKey, sale_id: str) -> None:
        """Remove a pointer to a sale that no longer waits."""
        self._dynamodb.delete_item(TableName=self._sales, Key=_pointer_key(key, sale_id))

    def _update(
        self, stored: StoredSale, decision: Decision, *, decided_at: datetime
    ) -> dict[str, Any]:
        status = STATUS_OF[decision.outcome]
        changes = "#status = :status, decision = :decision, decided_at = :now"
        values: dict[str, Any] = {
            ":status": status,
            ":decision": decision_to_map(decision),
            ":now": format_instant(decided_at),
            ":before": stored.status,
        }
        if status is Status.MATCHED:
            expression = f"SET {changes}, member_id = :member REMOVE #queue, queued_at"
            values[":member"] = decision.member_id
        else:
            expression = f"SET {changes}, #queue = :status, queued_at = :now"
        # Excludes a sale that is held, void or rejected, and one decided since it was read: a
        # repeat of the same stream record, or a rival decision, changes nothing.
        condition = "#status = :before"
        if stored.decided_at is not None:
            condition += " AND decided_at = :decided_before"
            values[":decided_before"] = format_instant(stored.decided_at)
        # Excludes a decision that knows less than the sale does by now: whoever wrote that has
        # the sale weighed with it.
        evidence, evidence_values = same_evidence(stored.evidence)
        words, words_values = same_words(stored)
        return {
            "TableName": self._sales,
            "Key": sale_key(stored.sale.sale_id),
            "UpdateExpression": expression,
            "ConditionExpression": f"{condition} AND {evidence} AND {words}",
            "ExpressionAttributeNames": {"#status": "status", "#queue": "queue"},
            "ExpressionAttributeValues": {**to_item(values), **evidence_values, **words_values},
        }

    def _questions(
        self, stored: StoredSale, decision: Decision, *, asked_at: datetime
    ) -> list[dict[str, Any]]:
        """Return what takes back a question that was asked, and asks a new one."""
        sale_id = stored.sale.sale_id
        before = stored.asked
        now = decision.member_id if decision.outcome is Outcome.PENDING else None
        writes: list[dict[str, Any]] = []
        if before and before != now:
            key = question_key(before, sale_id)
            writes.append({"Delete": {"TableName": self._loyalty, "Key": key}})
        if now and now not in stored.claimed_by:  # else they have said so already
            item = question(now, sale_id, asked_at=asked_at)
            writes.append({"Put": {"TableName": self._loyalty, "Item": item}})
        return writes

    def _pointers(
        self, stored: StoredSale, keys: Sequence[EvidenceKey], *, filed_at: datetime
    ) -> list[dict[str, Any]]:
        values = {"type": "orphan", "expires_at_epoch": int((filed_at + WAITING).timestamp())}
        return [
            {
                "Put": {
                    "TableName": self._sales,
                    "Item": _pointer_key(key, stored.sale.sale_id) | to_item(values),
                }
            }
            for key in keys
        ]

    def _write(self, update: Mapping[str, Any]) -> bool:
        try:
            self._dynamodb.update_item(**update)
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def _transact(self, writes: list[dict[str, Any]]) -> bool:
        refused = transact(self._dynamodb, writes)
        if refused and refused[0]["Code"] != FAILED:
            raise StaleWrite
        return not refused


def _pointer_key(key: EvidenceKey, sale_id: str) -> Item:
    return to_item({"pk": f"EVIDENCE#{key.kind}#{key.digest}", "sk": f"SALE#{sale_id}"})
