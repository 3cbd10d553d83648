"""Two keys of the identities' hashes, and a world in which both are accepted."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from forecourt import rekeying_table
from forecourt.evidence import evidence_to_document
from forecourt.identities_table import IdentitiesTable
from forecourt.identity import normalise
from forecourt.rekeyed_identities import RekeyedIdentities
from forecourt.rekeyed_sales import RekeyedSales
from forecourt.stored_sales import Status, StoredSale, keyed_under
from tests.functional.conftest import (
    IDENTITY_SECRET,
    IDENTITY_SECRET_ID,
    LOYALTY_TABLE,
    SALES_TABLE,
    LambdaContext,
    client,
)
from tests.functional.world import BOUND_AT, RING
from tests.specimens import RECEIVED_AT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    import pytest

    from forecourt.hashes import EvidenceKey
    from forecourt.keyring import KeyRing
    from forecourt.sales import Evidence, Sale
    from tests.functional.world import World

INTRODUCED = RING.introducing("the second secret of these tests, which is long enough")
PROMOTED = INTRODUCED.promoting()
DROPPED = PROMOTED.dropping()


def hashes(ring: KeyRing, evidence: Evidence) -> tuple[EvidenceKey, ...]:
    """Return the hashes of *evidence*, that of the current key of *ring* first."""
    return ring.hashes(evidence.kind, normalise(evidence.kind, evidence.value))


def identities(world: World, client: Any = None) -> IdentitiesTable:
    """Return the identities as a container sees them that knows both keys."""
    return IdentitiesTable(
        client or world.dynamodb,
        name=LOYALTY_TABLE,
        sealer=world.sealer,
        block_of=PROMOTED.block,
    )


def bind(
    world: World, ring: KeyRing, member_id: str, evidence: Evidence, *, client: Any = None
) -> EvidenceKey:
    """Bind as a container does that knows *ring*; return the key it lies under."""
    key, *others = hashes(ring, evidence)
    bound = identities(world, client).bind(
        member_id, key, evidence.value, others=others, bound_at=BOUND_AT
    )
    return bound.key


def rekeyed_identities(
    world: World, ring: KeyRing = PROMOTED, client: Any = None
) -> RekeyedIdentities:
    return RekeyedIdentities(
        client or world.dynamodb, name=LOYALTY_TABLE, sealer=world.sealer, ring=ring
    )


def rekeyed_sales(world: World, ring: KeyRing, client: Any = None) -> RekeyedSales:
    return RekeyedSales(client or world.dynamodb, name=SALES_TABLE, sealer=world.sealer, ring=ring)


def observed(
    world: World, sale: Sale, ring: KeyRing, *evidence: Evidence, status: Status = Status.RECEIVED
) -> StoredSale:
    """Store a sale as an ingest does that knows *ring*."""
    context = {"sale_id": sale.sale_id}
    stored = StoredSale(
        sale=sale,
        status=status,
        received_at=RECEIVED_AT,
        evidence=tuple(
            keyed_under(
                ring,
                each.kind,
                normalise(each.kind, each.value),
                confidence=each.confidence,
                source=each.source,
            )
            for each in evidence
        ),
        sealed=world.sealer.seal(evidence_to_document(evidence), context=context),
    )
    world.sales.add(stored)
    return stored


SEGMENTS_HERE = 2


@dataclass(frozen=True, slots=True)
class Patient(LambdaContext):
    """A context in which there is time for everything."""

    def get_remaining_time_in_millis(self) -> int:
        return 900_000


@dataclass
class Operator:
    """Who rotates, with the ring in the vault and what the function has invoked."""

    handler: ModuleType
    invoked: list[dict[str, Any]] = field(default_factory=list)

    def invoke(self, **arguments: Any) -> None:
        """Note an invocation, as Lambda takes it."""
        assert arguments["InvocationType"] == "Event"
        assert arguments["FunctionName"] == LambdaContext().invoked_function_arn
        self.invoked.append(json.loads(arguments["Payload"]))

    def sets(self, ring: KeyRing) -> None:
        client("secretsmanager").put_secret_value(
            SecretId=IDENTITY_SECRET_ID, SecretString=ring.to_text()
        )

    def asks(self, **event: Any) -> dict[str, Any]:
        told: dict[str, Any] = self.handler.handle(event, LambdaContext())
        return told

    def work(self) -> None:
        """Do what was invoked, and what that invokes, until nothing is left."""
        while self.invoked:
            self.handler.handle(self.invoked.pop(0), Patient())

    def runs(self, ring: KeyRing, **event: Any) -> dict[str, Any]:
        """Have a whole run done in a state of the ring; return what is told of it."""
        self.sets(ring)
        self.asks(do="start", **event)
        self.work()
        return self.asks()


def operating(monkeypatch: pytest.MonkeyPatch) -> Iterator[Operator]:
    """Let somebody rotate in a world of few segments, whose containers learn at once."""
    from functions.rekeying import handler  # noqa: PLC0415 - its clients need the environment

    operator = Operator(handler)
    monkeypatch.setattr(handler, "other_invocations", lambda: operator)
    monkeypatch.setattr(handler, "seconds_to_settle", lambda *_, **__: 0)
    monkeypatch.setattr(rekeying_table, "SEGMENTS", SEGMENTS_HERE)
    monkeypatch.setattr(handler.table, "_page", 3)
    yield operator
    client("secretsmanager").put_secret_value(
        SecretId=IDENTITY_SECRET_ID, SecretString=IDENTITY_SECRET
    )
