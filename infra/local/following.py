"""Following sales from the nozzle to the balance."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from forecourt.loyalty_table import LoyaltyTable
from forecourt.sales_table import SalesTable, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from forecourt.ledger import Entry
    from forecourt.sales_table import StoredSale
    from forecourt_simulator.station import SaleTruth
    from infra.local.stack import LocalStack

LOOK_EVERY_SECONDS = 0.05
MOST_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """A sale as the pump made it, and what the platform has made of it so far."""

    truth: SaleTruth
    stored: StoredSale | None = None
    judged: bool = False
    entry: Entry | None = None
    settled_at: datetime | None = None

    @property
    def points(self) -> int:
        return self.entry.points if self.entry else 0

    @property
    def seconds(self) -> float | None:
        """Return the time from hang-up until we saw where the sale ended."""
        if self.settled_at is None:
            return None
        return (self.settled_at - self.truth.hung_up_at).total_seconds()


class Following:
    """Looks again and again for what became of sales, until each is settled."""

    def __init__(
        self,
        stack: LocalStack,
        *,
        on_change: Callable[[Followed], None] = lambda _: None,
        every_seconds: float = LOOK_EVERY_SECONDS,
    ) -> None:
        dynamodb = stack.client("dynamodb")
        self._sales = SalesTable(dynamodb, name=stack.outputs["SalesTableName"])
        self._loyalty = LoyaltyTable(dynamodb, name=stack.outputs["LoyaltyTableName"])
        self._on_change = on_change
        self._every_seconds = every_seconds
        self._pending: dict[str, Followed] = {}
        self.settled: dict[str, Followed] = {}

    @property
    def pending(self) -> int:
        return len(self._pending)

    def follow(self, truth: SaleTruth) -> None:
        """Begin to look for the sale *truth* tells of."""
        if truth.sale_id is None:
            raise ValueError(truth)
        followed = Followed(truth=truth)
        self._pending[truth.sale_id] = followed
        self._on_change(followed)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self._look()
            await asyncio.sleep(self._every_seconds)

    async def drained(self, *, within_seconds: float) -> bool:
        """Return whether every sale is settled before *within_seconds* pass without one more."""
        left, waited = self.pending, 0.0
        while self.pending and waited < within_seconds:
            await asyncio.sleep(self._every_seconds)
            waited = 0.0 if self.pending < left else waited + self._every_seconds
            left = self.pending
        return not self.pending

    async def _look(self) -> None:
        wanted = list(self._pending)[:MOST_AT_ONCE]
        if not wanted:
            return
        stored = await asyncio.to_thread(self._sales.sales, wanted)
        owned = [
            (each.member_id, sale_id)
            for sale_id, each in stored.items()
            if each.status is Status.MATCHED and each.member_id
        ]
        judged = await asyncio.to_thread(self._loyalty.judged, owned) if owned else {}
        now = datetime.now(UTC)
        for sale_id, each in stored.items():
            before = self._pending[sale_id]
            after = replace(
                before, stored=each, judged=sale_id in judged, entry=judged.get(sale_id)
            )
            if each.status is not Status.RECEIVED and (
                each.status is not Status.MATCHED or after.judged
            ):
                after = replace(after, settled_at=now)
                self.settled[sale_id] = after
                del self._pending[sale_id]
            else:
                self._pending[sale_id] = after
            if after != before:
                self._on_change(after)


async def cancelled(task: asyncio.Task[None]) -> None:
    """Cancel *task* and wait until it is gone."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
