"""Members with an app, asked about the sample sale, and the functions behind it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from forecourt.bus import DetailType
from forecourt.stored_sales import Status, StoredSale
from functions.members import handler as members
from tests.functional.assigning import assignment
from tests.functional.hearing import hear, heard
from tests.functional.http import Client
from tests.functional.world import keyed
from tests.specimens import PLATE, RECEIVED_AT, SALE

if TYPE_CHECKING:
    from types import ModuleType

    from forecourt.sales import Sale
    from tests.functional.world import World

QUESTION = f"/members/me/questions/{SALE.sale_id}"


class Dialogue:
    """Members with an app, and the functions behind it."""

    def __init__(self, world: World, claims: ModuleType, context: Any) -> None:
        self.world = world
        self.claims = claims
        self.context = context

    def app(self, member_id: str = "m1") -> Client:
        return Client(handle=members.handle, subject=member_id, groups="[member]")

    def told(self, told: Sale = SALE, **changes: Any) -> StoredSale:
        """Let a sale be told and weighed."""
        stored = StoredSale(
            sale=replace(told, evidence=()),
            status=Status.RECEIVED,
            received_at=RECEIVED_AT,
            local_hour=16,
            **{"evidence": keyed(PLATE), **changes},
        )
        self.world.sales.add(stored)
        judge = assignment(self.world)
        (weighed,) = judge.weigh([stored])
        judge.assign(stored, weighed)
        return self.world.stored(told)

    def heard(self) -> list[dict[str, Any]]:
        """Return what the bus brings of what members said since the last call."""
        return heard(self.world, DetailType.CONFIRMATION_ANSWERED)

    def catch_up(self, events: list[dict[str, Any]] | None = None) -> list[dict[str, Any]]:
        messages = self.heard() if events is None else events
        assert hear(self.claims, messages, self.context) == []
        return messages

    def status(self, member_id: str = "m1") -> list[tuple[str, str | None]]:
        listed = self.app(member_id).get("/members/me/questions").body["questions"]
        return [(each["status"], each["says"]) for each in listed]
