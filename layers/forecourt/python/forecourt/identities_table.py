"""
Binding identities to members in the Loyalty table (see `forecourt.stored_identities`).

One transaction moves identity, member's item, portrait and count of the block, so they cannot
disagree; it has at most six writes, however many share an identity. What an identity says is
read first and must not have changed when it is written. An unbound identity leaves its trace
for some days, by which a retry of the unbinding is recognised.

While two keys of the hashes are accepted, an identity is changed where it lies, under either; one
that nobody has begins under the current key, and only if it does not begin under the other at the
same time. What was hashed anew (`rekeyed_identities`) is found by the key it had before, too.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from forecourt.attributes import Item, from_item, to_item
from forecourt.contention import until_settled
from forecourt.errors import StaleWrite
from forecourt.identity_writes import IDENTITIES_MAX, IdentityWrites, unbound_to_item
from forecourt.instants import parse_instant
from forecourt.loyalty_table import member_key
from forecourt.member_errors import IdentityTaken, TooManyIdentities, UnknownIdentity
from forecourt.members_table import absence
from forecourt.sales import EvidenceKind
from forecourt.stored_identities import (
    REKEYED,
    bound_context,
    bound_key,
    evidence_key_from_item,
    identity_key,
    key_of_mark,
    owners_from_item,
    owners_max,
)
from forecourt.transactions import FAILED, transact
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from forecourt.hashes import EvidenceKey
    from forecourt.sealing import Sealer

UNBOUND_KNOWN = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundIdentity:
    """An identity of a member; `value` is personal and in clear."""

    key: EvidenceKey
    value: str
    bound_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """What came of binding: under which key, since when, and whether that is new."""

    key: EvidenceKey
    bound_at: datetime
    new: bool


class IdentitiesTable:
    """
    The table *name* behind *dynamodb*; *sealer* closes and opens the values.

    *block_of* returns the hash of a phone number's block by the key of that number.
    """

    def __init__(
        self, dynamodb: Any, *, name: str, sealer: Sealer, block_of: Callable[[str, str], str]
    ) -> None:
        self._dynamodb = dynamodb
        self._name = name
        self._sealer = sealer
        self._writes = IdentityWrites(name, block_of=block_of)

    def bind(
        self,
        member_id: str,
        key: EvidenceKey,
        value: str,
        *,
        others: Sequence[EvidenceKey] = (),
        bound_at: datetime,
    ) -> Binding:
        """
        Bind an identity under *key*, or under that of *others* under which it lies already.

        *others* are its hashes by the other accepted keys. Raise `UnknownMember`, `MemberErased`,
        `MemberMerged`, `TooManyIdentities`, or `IdentityTaken` when as many have it as may. The
        same again is what a retry looks like and changes nothing.
        """

        def attempt() -> Binding:
            place, item = self._lies_under(key, others)
            owners = owners_from_item(item)
            if member_id in owners:
                since = self._bound_at(member_id, place)
                return Binding(key=place, bound_at=since, new=False)
            if len(owners) >= owners_max(place.kind):
                raise IdentityTaken(kind=place.kind)
            sealed = self._sealer.seal(value, context=bound_context(member_id, place))
            codes = self._transact(
                [
                    self._writes.owned_by((*owners, member_id), place, before=item),
                    self._writes.enrolled(member_id),
                    self._writes.portrayed(member_id, place),
                    self._writes.put_bound(member_id, place, sealed, bound_at),
                    *self._writes.counted_in_block(place, value, by=1),
                    *(self._writes.unowned(each) for each in others if item is None),
                ]
            )
            if not codes:
                return Binding(key=place, bound_at=bound_at, new=True)
            if codes[1] == FAILED:
                raise absence(member_id, from_item(self._item(member_key(member_id)) or {}))
            if codes[2] == FAILED:
                raise TooManyIdentities(limit=IDENTITIES_MAX)
            raise StaleWrite

        return until_settled(attempt)

    def unbind(
        self,
        member_id: str,
        key: EvidenceKey,
        *,
        unbound_at: datetime,
        known_for: timedelta = UNBOUND_KNOWN,
    ) -> bool:
        """
        Unbind an identity. `False`: it was unbound lately, which is what a retry finds.

        That it was is known for *known_for*. Raise `UnknownIdentity` when the member never had
        it.
        """

        def attempt() -> bool:
            place, bound = self._bound(member_id, key)
            if bound is None:
                raise UnknownIdentity(f"{key.kind}.{key.digest}")
            if bound["type"]["S"] != "bound":
                return False
            item = self._item(identity_key(place))
            left = tuple(each for each in owners_from_item(item) if each != member_id)
            # Only a phone's value is opened: it says which block has one number less.
            value = self._open(bound, member_id) if key.kind == EvidenceKind.PHONE else ""
            codes = self._transact(
                [
                    self._writes.put_unbound(member_id, place, unbound_at, known_for),
                    self._writes.owned_by(left, place, before=item),
                    self._writes.unportrayed(member_id, place),
                    *self._writes.counted_in_block(place, value, by=-1),
                ]
            )
            if codes:
                raise StaleWrite
            return True

        return until_settled(attempt)

    def move(
        self,
        giver: str,
        receiver: str,
        key: EvidenceKey,
        *,
        keeps: bool = False,
        moved_at: datetime,
    ) -> bool:
        """
        Give an identity of one member's to another, who may have it already.

        With *keeps* the giver has it, too, afterwards. `False`: the giver has it no more, which is
        what a retry finds. How many the receiver may have is for the caller to see to.
        """

        def attempt() -> bool:
            place, bound = self._bound(giver, key)
            if bound is None or bound["type"]["S"] != "bound":
                return False
            there = self._item(bound_key(receiver, place))
            has = there is not None and there["type"]["S"] == "bound"
            item = self._item(identity_key(place))
            owners = [each for each in owners_from_item(item) if keeps or each != giver]
            after = (*owners, *([] if receiver in owners else [receiver]))
            writes = [self._writes.owned_by(after, place, before=item)]
            if not has:
                value, bound_at = self._open(bound, giver), parse_instant(bound["bound_at"]["S"])
                sealed = self._sealer.seal(value, context=bound_context(receiver, place))
                writes += [
                    self._writes.put_bound(receiver, place, sealed, bound_at),
                    self._writes.marked(receiver, place),
                ]
            if not keeps:
                writes += [
                    self._writes.put_unbound(giver, place, moved_at, timedelta(0)),
                    self._writes.unportrayed(giver, place),
                ]
            if self._transact(writes):
                raise StaleWrite
            return True

        return until_settled(attempt)

    def owners(self, member_id: str, key: EvidenceKey) -> tuple[str, ...]:
        """Return who has an identity of a member's, even if it was hashed anew since then."""
        item = self._item(identity_key(key)) or self._item(
            identity_key(self.place_of(member_id, key))
        )
        return owners_from_item(item)

    def place_of(self, member_id: str, key: EvidenceKey) -> EvidenceKey:
        """Return under which key a member has what they had under *key*."""
        place, _ = self._bound(member_id, key)
        return place

    def forget_former(self, member_id: str, *, forgotten_at: datetime) -> None:
        """Let the table forget at once under which keys a member had what they have."""
        for key in self.former_keys(member_id):
            forgotten = unbound_to_item(member_id, key, forgotten_at, timedelta(0))
            self._dynamodb.put_item(TableName=self._name, Item=forgotten)

    def keys(self, member_id: str) -> list[EvidenceKey]:
        """Return the keys of what is bound to a member; nothing is opened for that."""
        return [
            evidence_key_from_item(item)
            for item in self._query_all(f"MEMBER#{member_id}", "IDENTITY#")
            if item["type"]["S"] == "bound"
        ]

    def former_keys(self, member_id: str) -> list[EvidenceKey]:
        """Return the keys under which a member had what was hashed anew since."""
        return [
            evidence_key_from_item(item)
            for item in self._query_all(f"MEMBER#{member_id}", "IDENTITY#")
            if item["type"]["S"] == REKEYED
        ]

    def identities(self, member_id: str) -> list[BoundIdentity]:
        """Return what is bound to a member, in clear, oldest first."""
        bound = [
            BoundIdentity(
                key=evidence_key_from_item(item),
                value=self._open(item, member_id),
                bound_at=parse_instant(item["bound_at"]["S"]),
            )
            for item in self._query_all(f"MEMBER#{member_id}", "IDENTITY#")
            if item["type"]["S"] == "bound"
        ]
        return sorted(bound, key=lambda each: (each.bound_at, each.key))

    def _lies_under(
        self, key: EvidenceKey, others: Sequence[EvidenceKey]
    ) -> tuple[EvidenceKey, Item | None]:
        """Return under which of its keys an identity lies; what nobody has lies under the first."""
        for each in (key, *others):
            item = self._item(identity_key(each))
            if item is not None:
                return each, item
        return key, None

    def _bound(self, member_id: str, key: EvidenceKey) -> tuple[EvidenceKey, Item | None]:
        """Return a member's item of an identity, and the key it has now if it had *key* once."""
        item = self._item(bound_key(member_id, key))
        while item is not None and item["type"]["S"] == REKEYED:
            key = key_of_mark(item["now"]["S"])
            item = self._item(bound_key(member_id, key))
        return key, item

    def _open(self, item: Item, member_id: str) -> str:
        key, sealed = evidence_key_from_item(item), from_item(item)["sealed"]
        value: str = self._sealer.open(sealed, context=bound_context(member_id, key))
        return value

    def _bound_at(self, member_id: str, key: EvidenceKey) -> datetime:
        item = self._item(bound_key(member_id, key))
        if item is None or item["type"]["S"] != "bound":
            raise StaleWrite  # unbound since the identity was read
        return parse_instant(item["bound_at"]["S"])

    def _item(self, key: Item) -> Item | None:
        response = self._dynamodb.get_item(TableName=self._name, Key=key, ConsistentRead=True)
        item: Item | None = response.get("Item")
        return item

    def _query_all(self, pk: str, prefix: str) -> list[Item]:
        arguments: dict[str, Any] = {
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :prefix)",
            "ExpressionAttributeValues": to_item({":pk": pk, ":prefix": prefix}),
            "ConsistentRead": True,
        }
        found: list[Item] = []
        while True:
            response = self._dynamodb.query(TableName=self._name, **arguments)
            found += response["Items"]
            if "LastEvaluatedKey" not in response:
                return found
            arguments["ExclusiveStartKey"] = response["LastEvaluatedKey"]

    def _transact(self, writes: list[dict[str, Any]]) -> list[str]:
        """Return nothing, or for each write why it did not happen."""
        return [each["Code"] for each in transact(self._dynamodb, writes)]
