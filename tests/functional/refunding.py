"""Refunds as a manager makes them, of the sample sale."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from forecourt.keeping import Keeping
from forecourt.programs import Programs
from functions.corrections import handler
from tests.functional.correcting import staff
from tests.specimens import RECEIVED_AT, SALE

if TYPE_CHECKING:
    import pytest

    from tests.functional.http import Client, Reply
    from tests.functional.world import World


def desk_of(world: World, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Return the manager's desk, an hour after the sale."""
    at = RECEIVED_AT + timedelta(hours=1)
    fresh = replace(handler.desk, keeping=Keeping(world.loyalty), now=lambda: at)
    monkeypatch.setattr(handler.refunds, "_desk", fresh)
    monkeypatch.setattr(handler.refunds, "_programs", Programs(world.loyalty))
    return staff("sub-manager", "manager")


def refund_at(desk: Client, document: str = "R-1", *, key: str | None = None, **body: Any) -> Reply:
    """Refund the sale, wholly unless the rest says otherwise."""
    return desk.post(
        f"/sales/{SALE.sale_id}/refunds",
        {"document": document, "refunded_at": "2026-11-23T09:00:00Z", **body},
        key=key,
    )
