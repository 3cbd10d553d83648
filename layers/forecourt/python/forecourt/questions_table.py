"""
Questions to members and what they say: "is this sale yours?", in the Loyalty table.

| item | pk | sk | attributes |
| --- | --- | --- | --- |
| question | `ASKED#<member>` | `SALE#<sale id>` | type `question`, asked_at, expires_at_epoch |
| answer | the same | the same | type `answer`, answer, answered_at, answered_by, … |

Who decides a sale puts the question, in the same transaction (`decided_sales`, `ruled_sales`).
The answer takes its place, and so does a claim nobody asked for; the relay tells the bus, and
what comes of it is decided there. An answer is given once.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from forecourt.attributes import encode, from_item, to_item
from forecourt.decided_sales import question_key
from forecourt.errors import AlreadyAnswered, TooManyClaims, UnknownQuestion
from forecourt.instants import format_instant, parse_instant
from forecourt.orphans import WAITING
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

ASKED_MAX = 100  # more than a page is not shown, and not looked at for the limit below
CLAIMS_MAX = 20  # within the time sales wait: more is no forgetful driver


class Says(StrEnum):
    """What a member says of a sale; a claim is a yes nobody asked for."""

    YES = "yes"
    NO = "no"
    CLAIMED = "claimed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question to a member, or a sale they claimed, and what they said so far."""

    sale_id: str
    asked_at: datetime | None
    says: Says | None = None
    answered_at: datetime | None = None
    answered_by: str | None = None


class QuestionsTable:
    """The table *name* behind the DynamoDB client *dynamodb*."""

    def __init__(self, dynamodb: Any, *, name: str) -> None:
        self._dynamodb = dynamodb
        self._name = name

    def asked(self, member_id: str, *, now: datetime) -> list[Asked]:
        """Return what a member is or was asked, latest sale first, as far as it still counts."""
        response = self._dynamodb.query(
            TableName=self._name,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": encode(f"ASKED#{member_id}")},
            ConsistentRead=True,
            ScanIndexForward=False,
            Limit=ASKED_MAX,
        )
        # DynamoDB removes what has expired when it comes to it.
        alive = now.timestamp()
        return [
            _asked(values)
            for values in map(from_item, response["Items"])
            if values["expires_at_epoch"] > alive
        ]

    def everything(self, member_id: str) -> list[Asked]:
        """Return all that is stored of what a member was asked and said, expired or not."""
        arguments: dict[str, Any] = {
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": encode(f"ASKED#{member_id}")},
            "ConsistentRead": True,
        }
        found: list[Asked] = []
        while True:
            response = self._dynamodb.query(TableName=self._name, **arguments)
            found += map(_asked, map(from_item, response["Items"]))
            if "LastEvaluatedKey" not in response:
                return found
            arguments["ExclusiveStartKey"] = response["LastEvaluatedKey"]

    def said(self, member_id: str, sale_id: str) -> Says | None:
        """Return what a member has said of a sale, as of now."""
        response = self._dynamodb.get_item(
            TableName=self._name, Key=question_key(member_id, sale_id), ConsistentRead=True
        )
        return _asked(from_item(response["Item"])).says if "Item" in response else None

    def answer(
        self, member_id: str, sale_id: str, says: Says, *, answered_by: str, answered_at: datetime
    ) -> bool:
        """
        Keep what a member says to a question. `False`: they have said so before.

        Raise `UnknownQuestion`, or `AlreadyAnswered` when they said something else.
        """
        values = {
            ":answer": "answer",
            ":question": "question",
            ":says": says,
            ":now": format_instant(answered_at),
            ":by": answered_by,
            ":end": int((answered_at + WAITING).timestamp()),
        }
        try:
            self._dynamodb.update_item(
                TableName=self._name,
                Key=question_key(member_id, sale_id),
                UpdateExpression=(
                    "SET #type = :answer, answer = :says, answered_at = :now, answered_by = :by, "
                    "expires_at_epoch = :end"
                ),
                # Excludes answering what nobody asks, and answering twice.
                ConditionExpression="#type = :question",
                ExpressionAttributeNames={"#type": "type"},
                ExpressionAttributeValues=to_item(values),
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException as refusal:
            if "Item" not in refusal.response:
                raise UnknownQuestion(sale_id) from None
            _require_the_same(from_item(refusal.response["Item"]), sale_id, says)
            return False
        return True

    def claim(
        self, member_id: str, sale_id: str, *, answered_by: str, answered_at: datetime
    ) -> bool:
        """
        Keep that a member says a sale is theirs, asked or not. `False`: they have said so before.

        Raise `AlreadyAnswered` when they said it is not, and `TooManyClaims`.
        """
        known = self.asked(member_id, now=answered_at)
        before = next((each for each in known if each.sale_id == sale_id), None)
        if before is not None and before.says is None:
            return self.answer(
                member_id, sale_id, Says.YES, answered_by=answered_by, answered_at=answered_at
            )
        if before is None and sum(each.says is Says.CLAIMED for each in known) >= CLAIMS_MAX:
            raise TooManyClaims(limit=CLAIMS_MAX)
        item = question_key(member_id, sale_id) | to_item(
            {
                "type": "answer",
                "answer": Says.CLAIMED,
                "answered_at": format_instant(answered_at),
                "answered_by": answered_by,
                "expires_at_epoch": int((answered_at + WAITING).timestamp()),
            }
        )
        try:
            self._dynamodb.put_item(
                TableName=self._name,
                Item=item,
                # Excludes writing over a question or an answer there is.
                ConditionExpression="attribute_not_exists(pk)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException as refusal:
            found = from_item(refusal.response["Item"])
            _require_the_same(found, sale_id, Says.CLAIMED)
            return False
        return True


def _asked(values: Mapping[str, Any]) -> Asked:
    asked_at, answered_at = values.get("asked_at"), values.get("answered_at")
    return Asked(
        sale_id=values["sk"].removeprefix("SALE#"),
        asked_at=parse_instant(asked_at) if asked_at else None,
        says=Says(values["answer"]) if "answer" in values else None,
        answered_at=parse_instant(answered_at) if answered_at else None,
        answered_by=values.get("answered_by"),
    )


def _require_the_same(values: Mapping[str, Any], sale_id: str, says: Says) -> None:
    """Raise `AlreadyAnswered` unless what was answered before comes to the same."""
    before = _asked(values).says
    if before is None or (before is Says.NO) is not (says is Says.NO):
        raise AlreadyAnswered(sale_id=sale_id, answer=str(before or ""))
