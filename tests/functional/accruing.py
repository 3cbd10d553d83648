"""Sales before accrual, with what else happens to them and to their members."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from forecourt.growing import Growing
from forecourt.ledger import Policies
from forecourt.ledger.commands import Merge, Reverse, Share
from forecourt.ledger_table import LedgerTable
from forecourt.stored_sales import Status, StoredSale
from tests.functional.conftest import LOYALTY_TABLE, SALES_TABLE
from tests.functional.world import LITRES, keyed
from tests.specimens import CARD, OPEN_SINCE, RECEIVED_AT, SALE, credited_to, nobodys

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

    from tests.functional.world import World


class Books:
    """A sale, its members, and accrual before the stream."""

    def __init__(self, world: World, accrual: ModuleType, context: Any) -> None:
        self.world = world
        self.accrual = accrual
        self.context = context
        self.ledger = LedgerTable(world.dynamodb, name=LOYALTY_TABLE)
        for member_id in ("m1", "m2", "m3"):
            world.enrol(member_id)

    def received(self) -> StoredSale:
        """Let a sale have come in, with nobody found yet whose it is."""
        stored = StoredSale(
            sale=replace(SALE, evidence=()),
            status=Status.RECEIVED,
            received_at=RECEIVED_AT,
            evidence=keyed(CARD),
        )
        self.world.sales.add(stored)
        return stored

    def sold(self, member_id: str | None = "m1") -> None:
        decision = credited_to(member_id) if member_id else nobodys()
        assert self.world.decided.decide(self.received(), decision, decided_at=RECEIVED_AT)

    def judged(self, document: Mapping[str, Any] = LITRES) -> None:
        """Put a program in force, sell to m1 under it, and let accrual judge the sale."""
        self.world.activate(document)
        self.sold()
        self.catch_up()

    def records(self) -> list[dict[str, Any]]:
        """Return what the stream brings accrual since the last call: the mapping's filter."""
        return list(filter(self.is_for_accrual, self.world.records(SALES_TABLE)))

    def is_for_accrual(self, record: Mapping[str, Any]) -> bool:
        """Return whether the mapping's filter lets a record through (`infra.earning`)."""
        if record["eventName"] != "MODIFY":
            return False
        image = {name: value.get("S") for name, value in record["dynamodb"]["NewImage"].items()}
        taken = (image.get("status"), image.get("queue")) == ("nobodys", "settled")
        return taken or image.get("status") == "matched"

    def catch_up(self, records: list[dict[str, Any]] | None = None) -> list[dict[str, Any]]:
        """Let accrual see the stream; return what it saw."""
        seen = self.records() if records is None else records
        assert self.accrual.handle({"Records": seen}, self.context) == {"batchItemFailures": []}
        return seen

    def growth(self, *member_ids: str) -> list[int]:
        """Return the growth value that members have."""
        accounts = [self.world.loyalty.account(each, "growth") for each in member_ids]
        return [sum(each.buckets.values()) for each in accounts]

    def points(self, *member_ids: str) -> list[int]:
        """Return what members have, their debt taken off."""
        accounts = [self.world.loyalty.account(each) for each in member_ids]
        return [sum(each.buckets.values()) - each.debt for each in accounts]


def refund(books: Books, *, part: int, whole: int, growth: bool = False) -> None:
    command = Reverse(
        entry_id="20261123T100000Z.refund",
        owner="m1",
        reverses=SALE.sale_id,
        document="R-1",
        part=Share(part=part, whole=whole),
        source="refund:R-1",
        reason="refund",
        actor="op",
        occurred_at=RECEIVED_AT,
    )
    books.ledger.execute(command, policies=Policies()).posted()
    if growth:
        assert Growing(ledger=books.ledger, policies=Policies()).take_back(command)


def merge(books: Books, member_id: str, *, into: str, wallet: str = "points") -> None:
    books.ledger.execute(
        Merge(
            entry_id=f"20261124T100000Z.merge.{member_id}.{wallet}",
            owner=member_id,
            wallet=wallet,
            into=into,
            source="merge:1",
            reason="same_person",
            actor="op",
            occurred_at=OPEN_SINCE,
        ),
        policies=Policies(),
    ).posted()
