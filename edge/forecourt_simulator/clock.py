"""
Two times a forecourt has.

The *calendar* is what the controller's own clock shows. *Running time* is what fuel, queues
and habits take; it may run faster. Keeping them apart lets a demonstration press minutes into
seconds while every sale still carries a plausible date and duration.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """Return the calendar's instant, aware and in UTC."""
        ...

    def running_ms(self) -> int:
        """Return the running time since the clock was made; it never goes back."""
        ...

    async def sleep_ms(self, duration_ms: int) -> None:
        """Return once *duration_ms* of running time have passed."""
        ...


class PacedClock:
    """The machine's own time as calendar, with running time *speed* times as fast."""

    def __init__(self, *, speed: float = 1.0) -> None:
        if not speed > 0:
            raise ValueError(speed)
        self.speed = speed
        self._started = time.monotonic()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def running_ms(self) -> int:
        return int((time.monotonic() - self._started) * self.speed * 1000)

    async def sleep_ms(self, duration_ms: int) -> None:
        # One more, because the running time is cut to whole milliseconds. Whoever is late still
        # lets others have their turn.
        await asyncio.sleep(max(0, duration_ms + 1) / 1000 / self.speed)


class ManualClock:
    """Calendar and running time that move only when told to, for tests and replays."""

    def __init__(self, *, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError(start)
        self._start = start.astimezone(UTC)
        self._running_ms = 0
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now(self) -> datetime:
        return self._start + timedelta(milliseconds=self._running_ms)

    def running_ms(self) -> int:
        return self._running_ms

    async def sleep_ms(self, duration_ms: int) -> None:
        if duration_ms <= 0:
            return
        waking: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        due_ms = self._running_ms + duration_ms
        heapq.heappush(self._sleepers, (due_ms, next(self._order), waking))
        await waking

    def advance_ms(self, duration_ms: int) -> None:
        """Jump ahead and wake, in the order of their alarms, all who were due meanwhile."""
        if duration_ms < 0:
            raise ValueError(duration_ms)
        self._running_ms += duration_ms
        while self._sleepers and self._sleepers[0][0] <= self._running_ms:
            _, _, waking = heapq.heappop(self._sleepers)
            if not waking.done():
                waking.set_result(None)
