"""
What matching asks the Loyalty table: who has an identity, who they are, and blocks.

The items are those of `forecourt.stored_identities`; for weights see `forecourt.weights_table`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecourt.attributes import Item, from_item
from forecourt.batches import batch_get
from forecourt.inquiry import Found
from forecourt.sales import EvidenceKind
from forecourt.stored_identities import (
    ERASED,
    block_key,
    drivers_from_item,
    drivers_key,
    identity_key,
    owners_from_item,
    portrait_key,
    presence_key,
)
from forecourt.stored_portraits import portrait_from_item, presences_from_item

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from forecourt.hashes import EvidenceKey
    from forecourt.inquiry import LookUp


class CandidatesTable:
    """The table *name* behind the DynamoDB client *dynamodb*, as matching reads it."""

    def __init__(self, dynamodb: Any, *, name: str) -> None:
        self._dynamodb = dynamodb
        self._name = name

    def look_up(
        self,
        asked: Mapping[int, LookUp],
        *,
        blocks: Mapping[int, Sequence[str]],
        consistent: bool = False,
    ) -> dict[int, Found]:
        """
        Answer the questions of several sales at once, in one call for each hundred keys.

        *blocks* has for each sale the block its typed phone is in, by each key of the hashes.
        What several ask for is read once. *consistent* sees every binding committed before, for
        twice the read units.
        """
        wanted: dict[tuple[str, str], Item] = {}
        for place, each in asked.items():
            for key in _keys(each, blocks[place]):
                wanted[_name_of(key)] = key
        if not wanted:
            return dict.fromkeys(asked, Found())
        items = {
            _name_of(item): item
            for item in batch_get(
                self._dynamodb, self._name, list(wanted.values()), consistent=consistent
            )
        }
        return {place: _found(each, blocks[place], items) for place, each in asked.items()}

    def owners(self, keys: Iterable[EvidenceKey]) -> dict[EvidenceKey, tuple[str, ...]]:
        """Return who has which of *keys* as of now; a key nobody has is absent."""
        return self.as_of_now(keys, asked=None)[0]

    def as_of_now(
        self, keys: Iterable[EvidenceKey], *, asked: str | None
    ) -> tuple[dict[EvidenceKey, tuple[str, ...]], bool]:
        """Return who has which of *keys*, and whether the member *asked* was erased meanwhile."""
        wanted = {_name_of(identity_key(key)): key for key in keys}
        read = [identity_key(key) for key in wanted.values()]
        if asked is not None:
            read.append(portrait_key(asked))
        items = batch_get(self._dynamodb, self._name, read, consistent=True)
        owners = {
            wanted[name]: owners_from_item(item)
            for item in items
            if (name := _name_of(item)) in wanted
        }
        return owners, any(item["type"]["S"] == ERASED for item in items)


def _keys(asked: LookUp, blocks: Sequence[str]) -> list[Item]:
    return [
        *map(identity_key, asked.keys),
        *map(drivers_key, _cars(asked)),
        *map(portrait_key, asked.portraits),
        *map(presence_key, asked.portraits),
        *(map(block_key, blocks) if asked.with_density else ()),
    ]


def _found(asked: LookUp, blocks: Sequence[str], items: Mapping[tuple[str, str], Item]) -> Found:
    owners = {
        key: owners_from_item(item)
        for key in asked.keys
        if (item := items.get(_name_of(identity_key(key))))
    }
    drivers = {
        key: drivers_from_item(item)
        for key in _cars(asked)
        if (item := items.get(_name_of(drivers_key(key))))
    }
    portraits = {
        member_id: portrait_from_item(item)
        for member_id in asked.portraits
        if (item := items.get(_name_of(portrait_key(member_id))))
    }
    presences = {
        member_id: presences_from_item(item)
        for member_id in asked.portraits
        if (item := items.get(_name_of(presence_key(member_id))))
    }
    counted = [
        from_item(item)["numbers"]
        for block in blocks
        if asked.with_density and (item := items.get(_name_of(block_key(block))))
    ]
    return Found(
        owners=owners,
        drivers=drivers,
        portraits=portraits,
        presences=presences,
        block_members=sum(counted),
    )


def _cars(asked: LookUp) -> list[EvidenceKey]:
    """Return the cars of which it is asked who drives them."""
    return [each for each in asked.keys if asked.with_drivers and each.kind == EvidenceKind.PLATE]


def _name_of(item: Item) -> tuple[str, str]:
    return item["pk"]["S"], item["sk"]["S"]
