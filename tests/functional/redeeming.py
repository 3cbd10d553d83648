"""People before the redemption API, at a known time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from forecourt.instants import format_instant
from forecourt.keeping import Keeping
from forecourt.ledger.commands import Merge
from forecourt.ledger_table import LedgerTable
from forecourt.programs import Programs
from functions.redemption import handler
from tests.functional.conftest import LOYALTY_TABLE
from tests.functional.http import Client
from tests.specimens import RECEIVED_AT, SALE, earned

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

    from tests.functional.http import Reply
    from tests.functional.world import World

JUNE, DECEMBER = date(2027, 6, 30), date(2027, 12, 31)
BEGINS_AT = RECEIVED_AT + timedelta(hours=1)
ANNA, BERT = "sub-anna", "sub-bert"
SALES = (SALE.sale_id, "20261123T080000Z.other")


@dataclass(slots=True)
class Clock:
    """The time of every request; can be moved on."""

    now: datetime = BEGINS_AT

    def passes(self, **time: int) -> None:
        self.now += timedelta(**time)


def begin(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    *,
    dynamodb: Any = None,
    clock: Clock | None = None,
) -> Clock:
    """Let the API work at the returned clock's time, its ledger through *dynamodb* if given."""
    clock = clock or Clock()
    counter = replace(
        handler.counter,
        keeping=Keeping(handler.loyalty),
        ledger=LedgerTable(
            dynamodb or world.dynamodb,
            name=LOYALTY_TABLE,
            now=lambda: clock.now,
            sleep=lambda _: None,
        ),
        now=lambda: clock.now,
    )
    for routes in (
        handler.redemptions,
        handler.returns,
        handler.deposits,
        handler.giving,
        handler.pools,
    ):
        monkeypatch.setattr(routes, "_counter", counter)
    monkeypatch.setattr(handler.deposits, "_programs", Programs(handler.loyalty))
    return clock


def begin_with(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    program: dict[str, Any],
    *members: str,
    points: Mapping[date, int] = MappingProxyType({}),
) -> Clock:
    """Begin with members enrolled under a program; Anna has *points* until their days."""
    world.activate(program)
    for member_id in members:
        world.enrol(member_id)
    for sale_id, (expires_on, each) in zip(SALES[: len(points)], points.items(), strict=True):
        world.post(earned(ANNA, each, expires_on=expires_on, sale_id=sale_id))
    return begin(world, monkeypatch)


def merge_one_wallet(world: World, clock: Clock, wallet: str) -> None:
    """Let Anna's record be on its way into Bert's, with one of its wallets there so far."""
    world.post(
        Merge(
            entry_id="20261124T100000Z.merge",
            owner=ANNA,
            wallet=wallet,
            into=BERT,
            source="merge:1",
            reason="twice",
            actor="op",
            occurred_at=clock.now,
        )
    )


def somebody(subject: str, group: str = "member") -> Client:
    return Client(handle=handler.handle, subject=subject, groups=f"[{group}]")


def order(clock: Clock, **values: Any) -> dict[str, Any]:
    """Return what every redemption says, asked for now."""
    return {"asked_at": format_instant(clock.now), "source": "order:4711", **values}


def hold(client: Client, clock: Clock, points: int = 60, **values: Any) -> Reply:
    key = values.pop("key", None)
    return client.post("/members/me/holds", order(clock, points=points, **values), key=key)


def spend(client: Client, clock: Clock, points: int = 60, **values: Any) -> Reply:
    key = values.pop("key", None)
    return client.post("/members/me/spendings", order(clock, points=points, **values), key=key)


def capture(
    client: Client, clock: Clock, hold_id: str, points: int, member: str = ANNA, **values: Any
) -> Reply:
    key = values.pop("key", None)
    path = f"/members/{member}/holds/{hold_id}/capture"
    return client.post(path, order(clock, points=points, **values), key=key)


def release(client: Client, clock: Clock, hold_id: str, member: str = ANNA, **values: Any) -> Reply:
    return client.post(f"/members/{member}/holds/{hold_id}/release", order(clock, **values))
