"""
Taking from a sale that another member has to answer only what somebody forgotten alone has.

A family's car may be bound by one of them and driven by both. Of the other's sale the plate goes
when the one is forgotten, and the phone stays with which the other is asked.

Nothing that is sealed is opened for it. Whoever tells seals all they tell together: what a till
has sealed goes when it told a piece of theirs, and what the station has in any case, since a
sale does not say which pieces the station told. Only how a value was mistyped is lost with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecourt.as_read import same_evidence
from forecourt.attributes import to_item
from forecourt.errors import StaleWrite
from forecourt.retold_sales import RetoldSales
from forecourt.stored_sales import Told, evidence_to_map, sale_key, told_to_map
from forecourt.stored_tellings import telling_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from forecourt.attributes import Item
    from forecourt.hashes import EvidenceKey
    from forecourt.stored_sales import KeyedEvidence, StoredSale


class PartedSales:
    """The tables *sales* and *loyalty* (names) behind the DynamoDB client *dynamodb*."""

    def __init__(self, dynamodb: Any, *, sales: str, loyalty: str) -> None:
        self._dynamodb = dynamodb
        self._sales = sales
        self._retold = RetoldSales(dynamodb, sales=sales, loyalty=loyalty)

    def part(self, stored: StoredSale, theirs: AbstractSet[EvidenceKey]) -> None:
        """
        Take from a sale, and from what was told of it, the pieces that have one of *theirs*.

        The tellings come first: a sale that still has a piece is found again. Raise `StaleWrite`
        when more was told of it since it was read.
        """
        told = [self._part_telling(each, theirs) for each in stored.told]
        left = without(stored.evidence, theirs)
        if len(left) < len(stored.evidence):
            changes: dict[str, Any] = {"told": list(map(told_to_map, told))} if told else {}
            self._write(sale_key(stored.sale.sale_id), stored.evidence, left, changes)

    def _part_telling(self, told: Told, theirs: AbstractSet[EvidenceKey]) -> Told:
        """Take *theirs* from a telling; return it as the sale has it from then on."""
        telling = self._retold.telling(told.telling_id)
        left = without(telling.evidence, theirs)
        if len(left) == len(telling.evidence):
            return Told(telling_id=told.telling_id, sealed=telling.sealed)
        self._write(telling_key(told.telling_id), telling.evidence, left, {})
        return Told(telling_id=told.telling_id)

    def _write(
        self,
        key: Item,
        before: Sequence[KeyedEvidence],
        left: Sequence[KeyedEvidence],
        changes: Mapping[str, Any],
    ) -> None:
        condition, values = same_evidence(before)
        changes = {"evidence": list(map(evidence_to_map, left)), **changes}
        try:
            self._dynamodb.update_item(
                TableName=self._sales,
                Key=key,
                UpdateExpression=(
                    f"SET {', '.join(f'{name} = :{name}' for name in changes)} REMOVE sealed"
                ),
                # Excludes losing what was told, and bringing back what was forgotten or hashed
                # anew, since it was read.
                ConditionExpression=condition,
                ExpressionAttributeValues={
                    **to_item({f":{name}": value for name, value in changes.items()}),
                    **values,
                },
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            raise StaleWrite from None


def without(
    evidence: Sequence[KeyedEvidence], theirs: AbstractSet[EvidenceKey]
) -> tuple[KeyedEvidence, ...]:
    """Return the pieces that have none of *theirs*, by whichever of their hashes."""
    return tuple(each for each in evidence if theirs.isdisjoint(each.keys))


def is_anothers_to_answer(stored: StoredSale, erased: AbstractSet[str]) -> bool:
    """
    Return whether nobody has a sale, and somebody else than *erased* members is to answer.

    They are asked, or were likeliest when it was weighed last, or have claimed it; and they have
    not said no.
    """
    if stored.held:
        return False
    likeliest = stored.asked
    if likeliest is None and stored.ruled is None and stored.decision is not None:
        likeliest = stored.decision.member_id
    answering = stored.claimed_by | ({likeliest} if likeliest else frozenset())
    return not answering <= stored.denied_by | erased
