"""
The evidence of sales and tellings hashed anew, and the pointers to sales that wait for an owner.

See `forecourt.rekeying` for what has to be hashed by which key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecourt.attributes import Item, encode, from_item
from forecourt.contention import until_settled
from forecourt.errors import InvalidIdentity, StaleWrite
from forecourt.evidence import evidence_from_document, spelling
from forecourt.hashes import key_id_of
from forecourt.rekeying import Outcome, hashed_anew, in_line, key_ids_for, lacking
from forecourt.stored_sales import (
    Status,
    evidence_from_map,
    evidence_to_map,
    sale_from_item,
    sale_key,
)
from forecourt.stored_tellings import telling_from_item

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from forecourt.keyring import KeyRing
    from forecourt.sales import EvidenceKind
    from forecourt.sealing import Sealer
    from forecourt.stored_sales import KeyedEvidence


class RekeyedSales:
    """The table *name* behind *dynamodb*; *sealer* opens values, *ring* hashes them."""

    def __init__(self, dynamodb: Any, *, name: str, sealer: Sealer, ring: KeyRing) -> None:
        self._dynamodb = dynamodb
        self._name = name
        self._sealer = sealer
        self._ring = ring

    def rekey(self, item: Item) -> Outcome:
        """Bring a sale, a telling or a pointer in line with the ring."""
        if item["type"]["S"] == "orphan":
            return self._refile(item)
        try:
            return self._rekey_evidence(item)
        except StaleWrite:
            return until_settled(lambda: self._rekey_evidence(self._item(_key_of(item)) or item))

    def _rekey_evidence(self, item: Item) -> Outcome:
        evidence, key_ids = self._evidence(item)
        if in_line(evidence, key_ids):
            return Outcome.IN_LINE
        values = self._values(item) if lacking(evidence, key_ids) else ()
        after = hashed_anew(evidence, values, key_ids=key_ids, ring=self._ring)
        if after == evidence:
            return Outcome.UNEXPLAINED
        try:
            self._dynamodb.update_item(
                TableName=self._name,
                Key=_key_of(item),
                UpdateExpression="SET evidence = :after",
                # Excludes evidence that was forgotten with its member, or that more was told of,
                # since it was read.
                ConditionExpression="evidence = :before",
                ExpressionAttributeValues={
                    ":before": item["evidence"],
                    ":after": encode([evidence_to_map(each) for each in after]),
                },
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            raise StaleWrite from None
        return Outcome.CHANGED if in_line(after, key_ids) else Outcome.UNEXPLAINED

    def _evidence(self, item: Item) -> tuple[tuple[KeyedEvidence, ...], tuple[str, ...]]:
        """Return what an item holds, and by which keys it has to be hashed."""
        values = from_item(item)
        status = Status(values["status"]) if values["type"] == "sale" else None
        evidence = tuple(map(evidence_from_map, values.get("evidence", ())))
        return evidence, key_ids_for(status, self._ring)

    def _values(self, item: Item) -> Iterator[tuple[EvidenceKind, str]]:
        """Yield the spellings of everything that is sealed with a sale or telling."""
        for name, sealed in _sealed(item):
            document = self._sealer.open(sealed, context={"sale_id": name})
            for each in evidence_from_document(document):
                try:
                    yield each.kind, spelling(each)
                except InvalidIdentity:
                    continue  # a misread was never hashed

    def _refile(self, pointer: Item) -> Outcome:
        """Let a sale that waits be found by every accepted key, and by no other."""
        _, kind, digest = pointer["pk"]["S"].split("#")
        sale = self._item(sale_key(pointer["sk"]["S"].removeprefix("SALE#")))
        outcome = Outcome.IN_LINE
        if sale is not None:
            # The sale itself may not have been walked by yet.
            if self.rekey(sale) is Outcome.CHANGED:
                sale = self._item(_key_of(sale)) or sale
            evidence, _ = self._evidence(sale)
            if self._file(pointer, _twins(evidence, kind, digest)):
                outcome = Outcome.CHANGED
        if key_id_of(digest) not in self._ring.keys:
            self._dynamodb.delete_item(TableName=self._name, Key=_key_of(pointer))
            outcome = Outcome.CHANGED
        return outcome

    def _file(self, pointer: Item, twins: Sequence[KeyedEvidence]) -> bool:
        """Put a pointer like *pointer* under the other hashes of its piece; `False`: all there."""
        filed = False
        for key in {key for each in twins for key in each.keys}:
            pk = f"EVIDENCE#{key.kind}#{key.digest}"
            if pk == pointer["pk"]["S"] or key_id_of(key.digest) not in self._ring.keys:
                continue
            item = pointer | {"pk": encode(pk)}
            if self._item(_key_of(item)) is None:
                self._dynamodb.put_item(TableName=self._name, Item=item)
                filed = True
        return filed

    def _item(self, key: Item) -> Item | None:
        response = self._dynamodb.get_item(TableName=self._name, Key=key, ConsistentRead=True)
        item: Item | None = response.get("Item")
        return item


def _key_of(item: Item) -> Item:
    return {"pk": item["pk"], "sk": item["sk"]}


def _twins(evidence: Sequence[KeyedEvidence], kind: str, digest: str) -> list[KeyedEvidence]:
    return [each for each in evidence if each.key.kind == kind and digest in each.digests]


def _sealed(item: Item) -> tuple[tuple[str, bytes], ...]:
    if item["type"]["S"] == "sale":
        return sale_from_item(item).sealed_values
    told = telling_from_item(item)
    return ((told.telling_id, told.sealed),) if told.sealed else ()
