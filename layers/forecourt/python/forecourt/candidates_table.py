"""
What matching asks the Loyalty table: who has an identity, portraits, blocks.

The items are those of `forecourt.stored_identities`; for weights see `forecourt.weights_table`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecourt.attributes import Item, from_item
from forecourt.batches import batch_get
from forecourt.inquiry import Found
from forecourt.stored_identities import (
    block_key,
    identity_key,
    owners_from_item,
    portrait_from_item,
    portrait_key,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from forecourt.identity import EvidenceKey
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
        wanted = {_name_of(identity_key(key)): key for key in keys}
        items = batch_get(
            self._dynamodb,
            self._name,
            [identity_key(key) for key in wanted.values()],
            consistent=True,
        )
        return {wanted[_name_of(item)]: owners_from_item(item) for item in items}


def _keys(asked: LookUp, blocks: Sequence[str]) -> list[Item]:
    return [
        *map(identity_key, asked.keys),
        *map(portrait_key, asked.portraits),
        *(map(block_key, blocks) if asked.with_density else ()),
    ]


def _found(asked: LookUp, blocks: Sequence[str], items: Mapping[tuple[str, str], Item]) -> Found:
    owners = {
        key: owners_from_item(item)
        for key in asked.keys
        if (item := items.get(_name_of(identity_key(key))))
    }
    portraits = {
        member_id: portrait_from_item(item)
        for member_id in asked.portraits
        if (item := items.get(_name_of(portrait_key(member_id))))
    }
    counted = [
        from_item(item)["numbers"]
        for block in blocks
        if asked.with_density and (item := items.get(_name_of(block_key(block))))
    ]
    return Found(
        owners=owners,
        portraits=portraits,
        block_members=sum(counted),
    )


def _name_of(item: Item) -> tuple[str, str]:
    return item["pk"]["S"], item["sk"]["S"]
