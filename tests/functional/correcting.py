"""Staff before the corrections API, at a known time, and a sale for them to correct."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from forecourt.keeping import Keeping
from forecourt.stored_sales import Status, StoredSale
from functions.corrections import handler
from tests.functional.http import Client
from tests.specimens import RECEIVED_AT, SALE, credited_to

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import pytest

    from tests.functional.http import Reply
    from tests.functional.world import World

LIMIT = 1000  # of points, above which a second person is asked
SMALL = {"points": 100, "source": "ticket:4711", "reason": "goodwill"}
LARGE = {**SMALL, "points": 5000}


def staff(subject: str, group: str = "operator") -> Client:
    return Client(handle=handler.handle, subject=subject, groups=f"[{group}]")


def clock_of(monkeypatch: pytest.MonkeyPatch, *doors: Any) -> Callable[[datetime], None]:
    """Return what sets the time at *doors* of the API: now, an hour after the sale."""
    fresh = replace(handler.desk, keeping=Keeping(handler.loyalty))

    def set_clock(at: datetime) -> None:
        for routes in doors:
            monkeypatch.setattr(routes, "_desk", replace(fresh, now=lambda: at))

    set_clock(RECEIVED_AT + timedelta(hours=1))
    return set_clock


def asked(client: Client, body: Any = LARGE, **named: Any) -> Reply:
    return client.post("/members/m-1/adjustments", body, **named)


def sell_to(world: World, member_id: str) -> str:
    """Sell something to a member, before accrual has seen it; return the sale's id."""
    stored = StoredSale(sale=SALE, status=Status.RECEIVED, received_at=RECEIVED_AT)
    world.sales.add(stored)
    assert world.decided.decide(stored, credited_to(member_id), decided_at=RECEIVED_AT)
    return SALE.sale_id
