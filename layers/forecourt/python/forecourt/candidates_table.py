"""
What matching asks the Loyalty table: who has an identity, portraits, blocks, and weights.

| item | pk | sk | attributes |
| --- | --- | --- | --- |
| weights in force | `WEIGHTS` | `IN_FORCE` | version |
| version of the weights | `WEIGHTS` | `VERSION#<version>` | document |

For the rest see `forecourt.stored_identities`. A version's document is fixed once it was in
force. An installation that has learnt no weights yet has no item here and decides by the
weights shipped with the code: version 1, learnt by `tests.bench.match_eval` from simulated
sales of a hundred thousand members (`--members 100000 --training 80000 --seed 1`).
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forecourt.attributes import Item, from_item, to_item
from forecourt.batches import batch_get
from forecourt.inquiry import Found
from forecourt.stored_identities import (
    ERASED,
    block_key,
    identity_key,
    owners_from_item,
    portrait_from_item,
    portrait_key,
)
from forecourt.weights import weights_from_document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from forecourt.identity import EvidenceKey
    from forecourt.inquiry import LookUp
    from forecourt.weighing import Weights

SHIPPED_WEIGHTS = Path(__file__).with_name("shipped_weights.json")
WEIGHTS_REMEMBERED_SECONDS = 300

IN_FORCE_KEY = {"pk": "WEIGHTS", "sk": "IN_FORCE"}


def weights_key(version: int) -> Item:
    """Return the key of a version of the weights."""
    return to_item({"pk": "WEIGHTS", "sk": f"VERSION#{version:06}"})


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

    def weights_in_force(self) -> int | None:
        """Return the version of the weights in force, `None` when none was ever activated."""
        response = self._dynamodb.get_item(TableName=self._name, Key=to_item(IN_FORCE_KEY))
        return int(from_item(response["Item"])["version"]) if "Item" in response else None

    def weights(self, version: int) -> Weights:
        """Return a version of the weights that was activated."""
        response = self._dynamodb.get_item(
            TableName=self._name,
            Key=weights_key(version),
            ConsistentRead=True,  # kept for a container's life
        )
        return weights_from_document(from_item(response["Item"])["document"])


class WeightsInForce:
    """The weights to decide by, read again when the container has had them for some minutes."""

    def __init__(
        self, candidates: CandidatesTable, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._candidates = candidates
        self._clock = clock
        self._asked_at = 0.0
        self._weights: Weights | None = None

    def __call__(self) -> Weights:
        """Return the weights in force, or those shipped while there are none."""
        now = self._clock()
        if self._weights is None or now - self._asked_at > WEIGHTS_REMEMBERED_SECONDS:
            version = self._candidates.weights_in_force()
            if version is None:
                self._weights = shipped_weights()
            elif self._weights is None or self._weights.version != version:
                self._weights = self._candidates.weights(version)
            self._asked_at = now
        return self._weights


def shipped_weights() -> Weights:
    """Return the weights a fresh installation decides by."""
    return weights_from_document(json.loads(SHIPPED_WEIGHTS.read_text(encoding="utf-8")))


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
