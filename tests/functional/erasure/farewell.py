"""A member whom sales have shown, and who asks to be forgotten."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from forecourt.bus import SOURCE, DetailType
from forecourt.events import events_of
from forecourt.sales import Evidence, EvidenceKind
from forecourt.stored_sales import Status, StoredSale
from functions.members import handler as members
from tests.functional.assigning import assignment
from tests.functional.conftest import LOYALTY_TABLE, LambdaContext
from tests.functional.http import Client
from tests.functional.world import keyed
from tests.specimens import CARD, PLATE, RECEIVED_AT, SALE, credited_to

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from forecourt.decisions import Decision
    from forecourt.sales import Sale
    from tests.functional.world import World

PHONE = Evidence(kind=EvidenceKind.PHONE, value="13812345678")
PERSONAL = (PLATE, CARD, PHONE)
ME = "/members/me"


class Farewell:
    """A member who has sold, been asked, and wants to be forgotten."""

    def __init__(self, world: World, erasure: ModuleType) -> None:
        self.world = world
        self.erasure = erasure
        self.context: Any = LambdaContext()

    def app(self, member_id: str = "m1") -> Client:
        return Client(handle=members.handle, subject=member_id, groups="[member]")

    def sold(self, told: Sale = SALE, member_id: str = "m1") -> StoredSale:
        stored = self.waiting(told, PERSONAL)
        assert self.world.decided.decide(stored, credited_to(member_id), decided_at=RECEIVED_AT)
        self.world.earn_nothing(member_id, told)
        return self.world.stored(told)

    def bare(self, told: Sale) -> StoredSale:
        return StoredSale(
            sale=replace(told, evidence=()), status=Status.RECEIVED, received_at=RECEIVED_AT
        )

    def waiting(self, told: Sale, evidence: Sequence[Evidence] = PERSONAL) -> StoredSale:
        context = {"sale_id": told.sale_id}
        stored = replace(
            self.bare(told),
            evidence=keyed(*evidence),
            sealed=self.world.sealer.seal(
                [[str(each.kind), each.value] for each in evidence], context=context
            ),
        )
        self.world.sales.add(stored)
        return stored

    def filed(self, decision: Decision, *evidence: Evidence) -> None:
        """Let the sample sale be decided, and filed under its evidence."""
        stored = self.waiting(SALE, evidence)
        self.world.decided.decide(
            stored, decision, filed_under=stored.evidence_keys, decided_at=RECEIVED_AT
        )

    def weighed(self, told: Sale = SALE) -> None:
        """Let a sale with nothing but the member's plate be weighed, as matching does."""
        stored = self.waiting(told, [PLATE])
        judge = assignment(self.world)
        (weighed,) = judge.weigh([stored])
        judge.assign(stored, weighed)

    def asks(self, client: Client | None = None) -> Any:
        return (client or self.app()).post("/members/m1/erasure")

    def events(self) -> list[dict[str, Any]]:
        return [
            {"source": SOURCE, "detail-type": str(each.detail_type), "detail": dict(each.detail)}
            for record in self.world.records(LOYALTY_TABLE)
            for each in events_of(record)
            if each.detail_type is DetailType.MEMBER_ERASED
        ]

    def forgotten(self) -> None:
        self.asks()
        (event,) = self.events()
        self.erasure.handle(event, self.context)
