"""
The members as matching finds them: behind keyed hashes, each made as in operation.

`store` answers by the values themselves, so that a million sales are judged in minutes. Here a
sale comes as ingest stores it, members are filed under the hashes of what they have bound, and
what may have been meant before a slip is unsealed and hashed when an inquiry asks for it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from forecourt.conversations import in_step
from forecourt.errors import InvalidIdentity
from forecourt.evidence import evidence_to_document, spelling
from forecourt.hashes import FIRST
from forecourt.inquiry import Found, inquire
from forecourt.keyring import SECRET_CHARACTERS_MIN, KeyRing
from forecourt.sales import SURE_PERCENT, Evidence, EvidenceKind
from forecourt.sealing import Sealer
from forecourt.slips import Slips
from forecourt.stored_sales import KeyedEvidence, Status, StoredSale, keyed_under
from tests.bench.match_eval.drivers import identities_of, portrait_of, presences_of
from tests.specimens import RECEIVED_AT, SALE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from forecourt.agreement import Portrait
    from forecourt.decisions import Decision
    from forecourt.hashes import EvidenceKey
    from forecourt.inquiry import LookUp
    from forecourt.weighing import Weights
    from tests.bench.match_eval.population import Population
    from tests.bench.match_eval.sales import SimulatedSale

RING = KeyRing(current=FIRST, keys={FIRST: b"k" * SECRET_CHARACTERS_MIN})
SHORTEST = 6  # characters of a card or token; a simulated one may be `c7`
FIRST_BLOCK = 1_000_000  # numbers of blocks have seven digits


class OpenEnvelopes:
    """A KMS that hides nothing, and counts how often it is asked to open."""

    def __init__(self) -> None:
        self.opened = 0

    def encrypt(self, **call: Any) -> dict[str, bytes]:
        return {"CiphertextBlob": call["Plaintext"]}

    def decrypt(self, **call: Any) -> dict[str, bytes]:
        self.opened += 1
        return {"Plaintext": call["CiphertextBlob"]}


class KeyedMembers:
    """The members of a population under the hashes of what they have bound."""

    def __init__(self, population: Population) -> None:
        self._population = population
        self._kms = OpenEnvelopes()
        self._sealer = Sealer(self._kms, key_id="")
        self._look_ups = 0
        self._owners: dict[EvidenceKey, tuple[str, ...]] = {}
        for member in range(population.size):
            for kind, values in identities_of(population, member).items():
                for key in _hashes(kind, values):
                    self._owners[key] = (*self._owners.get(key, ()), str(member))
        self._blocks = {
            RING.block(str(FIRST_BLOCK + block), FIRST): int(population.blocks[block])
            for block in np.flatnonzero(population.blocks)
        }

    @property
    def round_trips(self) -> int:
        """Return how often a table or KMS would have been called."""
        return self._look_ups + self._kms.opened

    def received(self, sale: SimulatedSale) -> StoredSale:
        """Return what ingest stores of *sale*'s evidence."""
        told = [
            Evidence(
                kind=EvidenceKind(each.kind),
                value=_as_told(each.kind, each.digest),
                confidence=SURE_PERCENT - 1 if each.unsure else SURE_PERCENT,
            )
            for each in sale.observations
        ]
        return StoredSale(
            sale=SALE,
            status=Status.RECEIVED,
            received_at=RECEIVED_AT,
            evidence=tuple(keyed for each in told if (keyed := _keyed(each))),
            sealed=self._sealer.seal(evidence_to_document(told), context={"sale_id": SALE.sale_id}),
        )

    def judge(self, sale: SimulatedSale, weights: Weights) -> Decision:
        """Receive *sale* and decide whose it is, as ingest and matching do."""
        stored = self.received(sale)
        inquiry = inquire(
            stored.observations,
            sale.fill,
            weights=weights,
            tolerate=Slips(stored, sealer=lambda: self._sealer, ring=lambda: RING),
        )

        def look_up(asked: Mapping[int, LookUp]) -> Mapping[int, Found]:
            self._look_ups += 1
            return {place: self._found(each, stored, sale) for place, each in asked.items()}

        (decision,) = in_step([inquiry], look_up)
        return decision

    def _found(self, asked: LookUp, stored: StoredSale, sale: SimulatedSale) -> Found:
        blocks = stored.phone_blocks if asked.with_density else ()
        return Found(
            owners={key: self._owners[key] for key in asked.keys if key in self._owners},
            portraits={each: self._portrait(int(each), sale) for each in asked.portraits},
            presences={
                each: presences_of(self._population, int(each), fill=sale.fill, maker=sale.member)
                for each in asked.portraits
            },
            block_members=sum(self._blocks.get(each, 0) for each in blocks),
        )

    def _portrait(self, member: int, sale: SimulatedSale) -> Portrait:
        portrait = portrait_of(
            self._population, member, at=sale.fill.at, made_it=member == sale.member
        )
        return replace(
            portrait,
            identities={
                kind: frozenset(key.digest for key in _hashes(kind, values))
                for kind, values in portrait.identities.items()
            },
        )


def _as_told(kind: str, value: str) -> str:
    return value if kind in {"phone", "plate"} else value.rjust(SHORTEST, "0")


def _hashes(kind: str, values: frozenset[str]) -> list[EvidenceKey]:
    """Return the keys of what somebody has bound."""
    told = (Evidence(kind=EvidenceKind(kind), value=_as_told(kind, each)) for each in values)
    return [keyed.key for each in told if (keyed := _keyed(each))]


def _keyed(evidence: Evidence) -> KeyedEvidence | None:
    """Return *evidence* by its hash, `None` when neither ingest nor a binding would take it."""
    try:
        spelt = spelling(evidence)
    except InvalidIdentity:
        return None
    return keyed_under(RING, evidence.kind, spelt, confidence=evidence.confidence)
