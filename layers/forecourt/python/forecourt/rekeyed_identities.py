"""
Identities in the Loyalty table hashed anew (see `forecourt.rekeying`).

An identity moves as a whole in one transaction: owners, each owner's item and mark in their
portrait, and the count of the block. So a binding, an unbinding or a merge finds it before or
after, under one key or the other and never under both, and whichever of two that meet comes
second reads again. At `OWNERS_MAX` owners that is 99 writes, and DynamoDB takes a hundred. Who
drives a car is noted where it goes before it does, and goes with it from where it was.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from forecourt.attributes import Item, encode, from_item, to_item
from forecourt.batches import batch_get
from forecourt.contention import until_settled
from forecourt.errors import StaleWrite
from forecourt.hashes import key_id_of
from forecourt.identity_writes import IdentityWrites
from forecourt.instants import format_instant
from forecourt.portraits_table import PortraitsTable
from forecourt.rekeying import Outcome
from forecourt.sales import EvidenceKind
from forecourt.stored_identities import (
    REKEYED,
    block_key,
    bound_context,
    bound_key,
    drivers_from_item,
    drivers_key,
    evidence_key_from_item,
    identity_key,
    key_of_mark,
    owners_from_item,
    portrait_key,
    portrait_mark,
)
from forecourt.transactions import transact

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from forecourt.hashes import EvidenceKey
    from forecourt.keyring import KeyRing
    from forecourt.sealing import Sealer

# A client may name an identity by the hash it was told, and a merge is undone by the hashes it
# was made with until its record is hashed anew, too.
FORMER_KNOWN = timedelta(days=30)


class RekeyedIdentities:
    """The table *name* behind *dynamodb*; *sealer* opens and closes values, *ring* hashes them."""

    def __init__(self, dynamodb: Any, *, name: str, sealer: Sealer, ring: KeyRing) -> None:
        self._dynamodb = dynamodb
        self._name = name
        self._sealer = sealer
        self._ring = ring
        self._writes = IdentityWrites(name, block_of=ring.block)
        self._portraits = PortraitsTable(dynamodb, name=name)

    def rekey(self, item: Item, *, now: datetime) -> Outcome:
        """
        Bring an identity, a merge, a car's drivers or a block in line with the ring.

        Raise `ValueError` when the value of an identity does not give its hash.
        """
        match item["type"]["S"]:
            case "identity":
                key = evidence_key_from_item(item)
                if key_id_of(key.digest) == self._ring.current:
                    return Outcome.IN_LINE
                return until_settled(lambda: self._move(key, now=now))
            case "merge":
                return until_settled(
                    lambda: self._rekey_merge({"pk": item["pk"], "sk": item["sk"]})
                )
            case "drivers":
                return self._sweep_drivers(item)
            case _:
                return self._sweep_block(item)

    def _move(self, key: EvidenceKey, *, now: datetime) -> Outcome:
        item = self._item(identity_key(key))
        if item is None:  # unbound, or moved by a rival, since it was walked by
            return Outcome.IN_LINE
        owners = owners_from_item(item)
        bound, portraits = self._of_owners(owners, key)
        value = self._sealer.open(
            bound[owners[0]]["sealed"]["B"], context=bound_context(owners[0], key)
        )
        hashes = self._ring.hashes(EvidenceKind(key.kind), value)
        if key_id_of(key.digest) in self._ring.keys and key not in hashes:
            raise ValueError(f"what is sealed does not give the hash {key.digest}")
        writes = [
            *self._moved(key, hashes[0], value, item),
            *self._take_drivers_along(key, hashes[0]),
        ]
        for owner in owners:
            writes += [
                self._leave_trace(owner, key, hashes[0], bound[owner], now=now),
                self._put_bound(owner, hashes[0], value, bound[owner], now=now),
                self._remark(owner, key, hashes[0], portraits[owner]),
            ]
        if transact(self._dynamodb, writes):
            raise StaleWrite
        return Outcome.CHANGED

    def _take_drivers_along(self, key: EvidenceKey, current: EvidenceKey) -> list[dict[str, Any]]:
        """
        Note who drives a car under the hash that it will lie under; return what forgets the other.

        Before it moves: a run that dies in between finds the car where it was, and begins again.
        """
        item = self._item(drivers_key(key)) if key.kind == EvidenceKind.PLATE else None
        if item is None:
            return []
        for member_id, seen_at in drivers_from_item(item).items():
            self._portraits.note_driver(current, member_id, seen_at=seen_at)
        forgotten = {
            "TableName": self._name,
            "Key": drivers_key(key),
            # Excludes losing a driver who was noted since they were read.
            "ConditionExpression": "drivers = :before",
            "ExpressionAttributeValues": {":before": item["drivers"]},
        }
        return [{"Delete": forgotten}]

    def _of_owners(
        self, owners: tuple[str, ...], key: EvidenceKey
    ) -> tuple[dict[str, Item], dict[str, Item]]:
        """Return the owners' items of an identity, and their portraits."""
        wanted = {
            **{_name_of(bound_key(owner, key)): owner for owner in owners},
            **{_name_of(portrait_key(owner)): owner for owner in owners},
        }
        keys = [to_item({"pk": pk, "sk": sk}) for pk, sk in wanted]
        bound: dict[str, Item] = {}
        portraits: dict[str, Item] = {}
        for item in batch_get(self._dynamodb, self._name, keys, consistent=True):
            into = portraits if item["sk"]["S"] == "PORTRAIT" else bound
            into[wanted[_name_of(item)]] = item
        if not all("sealed" in bound.get(owner, {}) for owner in owners):
            raise StaleWrite  # somebody came or went since the owners were read
        return bound, portraits

    def _moved(
        self, key: EvidenceKey, current: EvidenceKey, value: str, item: Item
    ) -> list[dict[str, Any]]:
        """Return the writes that take an identity from one key, and a phone from its block."""
        writes = [
            self._writes.owned_by((), key, before=item),
            self._writes.owned_by(owners_from_item(item), current, before=None),
            *self._writes.counted_in_block(current, value, by=1),
        ]
        if key_id_of(key.digest) in self._ring.keys:  # of a dropped key the whole count goes
            writes += self._writes.counted_in_block(key, value, by=-1)
        return writes

    def _leave_trace(
        self, owner: str, key: EvidenceKey, current: EvidenceKey, bound: Item, *, now: datetime
    ) -> dict[str, Any]:
        trace = {
            "type": REKEYED,
            "now": portrait_mark(current),
            "expires_at_epoch": int((now + FORMER_KNOWN).timestamp()),
        }
        return {
            "Put": {
                "TableName": self._name,
                "Item": bound_key(owner, key) | to_item(trace),
                # Excludes what was unbound, and perhaps bound again, since it was read.
                "ConditionExpression": "bound_at = :since",
                "ExpressionAttributeValues": {":since": bound["bound_at"]},
            }
        }

    def _put_bound(
        self, owner: str, current: EvidenceKey, value: str, bound: Item, *, now: datetime
    ) -> dict[str, Any]:
        sealed = self._sealer.seal(value, context=bound_context(owner, current))
        # By `rekeyed_at` the relay knows that nothing new was bound.
        anew = to_item({"type": "bound", "sealed": sealed, "rekeyed_at": format_instant(now)})
        item = bound_key(owner, current) | anew | {"bound_at": bound["bound_at"]}
        return {"Put": {"TableName": self._name, "Item": item}}

    def _remark(
        self, owner: str, key: EvidenceKey, current: EvidenceKey, portrait: Item
    ) -> dict[str, Any]:
        marks = frozenset(portrait["bound"]["SS"]) - {portrait_mark(key)}
        return {
            "Update": {
                "TableName": self._name,
                "Key": portrait_key(owner),
                "UpdateExpression": "SET bound = :after",
                # Excludes losing what its member bound or unbound since it was read.
                "ConditionExpression": "bound = :before",
                "ExpressionAttributeValues": {
                    ":before": portrait["bound"],
                    ":after": encode(marks | {portrait_mark(current)}),
                },
            }
        }

    def _rekey_merge(self, key: Item) -> Outcome:
        """Let the record of a merge name identities as they are hashed now."""
        item = self._item(key)
        if item is None:
            return Outcome.IN_LINE
        values = from_item(item)
        members = (values["into"], values["pk"].removeprefix("MERGES#"))
        after = {name: self._marks_now(members, values[name]) for name in ("keys", "shared")}
        if all(after[name] == values[name] for name in after):
            return Outcome.IN_LINE
        try:
            self._dynamodb.update_item(
                TableName=self._name,
                Key=key,
                UpdateExpression="SET #keys = :keys, #shared = :shared",
                # Excludes taking back a step that the merge went since it was read.
                ConditionExpression="#keys = :before AND stage = :stage",
                ExpressionAttributeNames={"#keys": "keys", "#shared": "shared"},
                ExpressionAttributeValues={
                    ":keys": encode(after["keys"]),
                    ":shared": encode(after["shared"]),
                    ":before": item["keys"],
                    ":stage": item["stage"],
                },
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            raise StaleWrite from None
        return Outcome.CHANGED

    def _marks_now(self, members: tuple[str, ...], marks: list[str]) -> list[str]:
        """Return what *marks* are now; one under a dropped key is nobody's any more, and goes."""
        now = [self._mark_now(members, each) for each in marks]
        return [each for each in now if key_id_of(key_of_mark(each).digest) in self._ring.keys]

    def _mark_now(self, members: tuple[str, ...], mark: str) -> str:
        """Return the mark that an identity of one of *members* has now."""
        for member_id in members:
            item = self._item(bound_key(member_id, key_of_mark(mark)))
            if item is not None and item["type"]["S"] == REKEYED:
                return self._mark_now(members, item["now"]["S"])
        return mark

    def _sweep_drivers(self, item: Item) -> Outcome:
        """Remove who drives a car by a key that is accepted no more, unless it has yet to move."""
        key = evidence_key_from_item(item)
        if key_id_of(key.digest) in self._ring.keys or self._item(identity_key(key)) is not None:
            return Outcome.IN_LINE
        self._dynamodb.delete_item(TableName=self._name, Key=drivers_key(key))
        return Outcome.CHANGED

    def _sweep_block(self, item: Item) -> Outcome:
        """Remove the count of a block under a key that is accepted no more."""
        hashed = item["pk"]["S"].removeprefix("BLOCK#")
        if key_id_of(hashed) in self._ring.keys:
            return Outcome.IN_LINE
        self._dynamodb.delete_item(TableName=self._name, Key=block_key(hashed))
        return Outcome.CHANGED

    def _item(self, key: Item) -> Item | None:
        response = self._dynamodb.get_item(TableName=self._name, Key=key, ConsistentRead=True)
        item: Item | None = response.get("Item")
        return item


def _name_of(item: Mapping[str, Mapping[str, str]]) -> tuple[str, str]:
    return item["pk"]["S"], item["sk"]["S"]
