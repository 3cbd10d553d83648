"""
Sends what waits in the outbox, in its order, until the cloud has acknowledged it.

New messages go out at once, at a bounded rate and with a bounded number on the way, which
falls when the cloud is behind.  One that is not acknowledged in time is sent again, later each
time and with jitter.  What "in time" is follows from how long the cloud takes.  What is sent again
has a number of its own on the way: one that the cloud never answers holds up nothing new.

What a till tells goes behind the sales stored before it: it joins one of them, and the cloud
may see messages in any order.  It waits for their acknowledgement, but not for ever.
"""

from __future__ import annotations

import asyncio
import heapq
import random
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forecourt_edge import journal
from forecourt_edge.congestion import Window
from forecourt_edge.errors import OutboxFull, UplinkDown
from forecourt_edge.messages import (
    MESSAGE_BYTES_MAX,
    envelope,
    read_acknowledgement,
    topic_for,
)
from forecourt_edge.outbox import Lane
from forecourt_edge.patience import Patience
from forecourt_edge.uplink import RECONNECT_SECONDS_MIN

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from forecourt_edge.config import SendingConfig
    from forecourt_edge.outbox import Outbox, Waiting
    from forecourt_edge.uplink import Uplink

_BATCH = 50
_OFFLINE_SECONDS = 0.2
_HELD_BACK_SECONDS = 0.1
_HELD_BACK_SECONDS_MAX = 60.0  # A sale the cloud never answers must not keep the till silent.
_GLANCE_SECONDS = RECONNECT_SECONDS_MIN / 4
_JITTER = (0.8, 1.2)


@dataclass(slots=True, kw_only=True)
class _Sent:
    """
    A message on the way, sent first and last at these times; `due` is when it is sent again.

    No attempt counts that failed. What is held back has none and is as good as new.
    """

    first_at: float
    last_at: float
    attempts: int
    due: float
    on_the_way: bool = True

    @property
    def is_repeat(self) -> bool:
        return self.attempts > 1


class Sender:
    """Drains one outbox through one uplink; *real_now* is the gateway's wall clock."""

    def __init__(
        self,
        *,
        station_id: str,
        config: SendingConfig,
        outbox: Outbox,
        uplink: Uplink,
        real_now: Callable[[], datetime],
    ) -> None:
        self._station_id = station_id
        self._config = config
        self._outbox = outbox
        self._uplink = uplink
        self._real_now = real_now
        self._patience = Patience(
            least_seconds=config.acknowledgement_seconds, most_seconds=config.resend_seconds_max
        )
        self._window = Window(most=config.in_flight_max)
        self._sent: dict[int, _Sent] = {}
        # By when they are due; what became due otherwise since is passed over.
        self._due: list[tuple[float, int]] = []
        # Whose time has come, and waits for room: what was held back, what is sent again.
        self._held: deque[int] = deque()
        self._again: deque[int] = deque()
        self._new_on_the_way = 0
        self._repeats_on_the_way = 0
        self._answered_at = float("-inf")
        self._last_read = 0
        self._fresh: list[Waiting] = []
        self._wake = asyncio.Event()
        self._settled = asyncio.Event()
        self._tokens = 1.0
        self._filled_at = time.monotonic()
        self._was_connected = False

    def wake(self) -> None:
        """Say that there is something new to send, or room for it."""
        self._wake.set()

    def on_message(self, topic: str, payload: bytes) -> None:
        """Apply an acknowledgement; anything else on the topic is told and ignored."""
        try:
            accepted, refused = read_acknowledgement(payload)
        except (ValueError, RecursionError) as error:
            journal.alarm("acknowledgement_unreadable", topic=topic, reason=type(error).__name__)
            return
        try:
            settled = self._outbox.accept(accepted)
            settled += self._outbox.refuse(refused)
        except OutboxFull as error:
            # The rows stay, are sent again and acknowledged again once there is room.
            journal.alarm("acknowledgement_not_applied", reason=error.reason)
            return
        for message_id, reason in refused.items():
            journal.alarm("message_refused", message_id=message_id, reason=reason)
        now = time.monotonic()
        for local_id in settled:
            sent = self._forget(local_id)
            if sent is not None:
                self._patience.learn(now - sent.first_at)
                self._window.answered()
                self._answered_at = now
        self._settled.set()
        self.wake()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            if not self._uplink.connected:
                self._was_connected = False
                await asyncio.sleep(_OFFLINE_SECONDS)
                continue
            if not self._was_connected:
                self._was_connected = True
                self._send_all_again()
            waiting = self._next()
            if waiting is None:
                await self._sleep(self._seconds_to_next())
                continue
            await self._take_token()
            await self._send(waiting)

    async def drained(self) -> None:
        """Return once nothing waits in the outbox."""
        while self._outbox.count():
            self._settled.clear()
            await self._settled.wait()

    def _next(self) -> Waiting | None:
        """Return the next message to send: new ones in order, else one whose time has come."""
        now = time.monotonic()
        self._look_what_is_due(now)
        if self._has_room_for_new:
            while (waiting := self._waited_for(self._held)) or (waiting := self._fresh_one()):
                if not self._held_back(waiting, now):
                    return waiting
        if self._has_room_for_repeats:
            return self._waited_for(self._again)
        return None

    @property
    def _has_room_for_new(self) -> bool:
        on_the_way = self._new_on_the_way + self._repeats_on_the_way
        return self._new_on_the_way < self._window.size and on_the_way < self._config.in_flight_max

    @property
    def _has_room_for_repeats(self) -> bool:
        """Look for room among repeats: at most half of what may be on the way at all."""
        most = self._config.in_flight_max
        allowed = max(1, min(self._window.size, most // 2))
        on_the_way = self._new_on_the_way + self._repeats_on_the_way
        return self._repeats_on_the_way < allowed and on_the_way < most

    def _fresh_one(self) -> Waiting | None:
        """Return the next message that was never looked at."""
        if not self._fresh:
            self._fresh = self._outbox.after(self._last_read, _BATCH)[::-1]
        if not self._fresh:
            return None
        waiting = self._fresh.pop()
        self._last_read = waiting.local_id
        return waiting

    def _waited_for(self, line: deque[int]) -> Waiting | None:
        """Return the first in *line* that still waits in the outbox."""
        while line:
            local_id = line.popleft()
            if local_id not in self._sent:
                continue  # answered while it stood in line
            waiting = self._outbox.get(local_id)
            if waiting is not None:
                return waiting
            self._forget(local_id)
        return None

    def _held_back(self, waiting: Waiting, now: float) -> bool:
        """Put off what a till told while a sale stored before it waits; return whether it was."""
        if waiting.lane is not Lane.TELLINGS:
            return False
        sent = self._sent.get(waiting.local_id) or _Sent(
            first_at=now, last_at=now, attempts=0, due=now, on_the_way=False
        )
        held_long_enough = now - sent.first_at >= _HELD_BACK_SECONDS_MAX
        if held_long_enough or not self._outbox.waits_before(waiting.local_id, Lane.SALES):
            return False
        self._sent[waiting.local_id] = sent
        self._put_off(waiting.local_id, until=now + _HELD_BACK_SECONDS)
        return True

    def _put_off(self, local_id: int, *, until: float) -> None:
        self._sent[local_id].due = until
        heapq.heappush(self._due, (until, local_id))

    async def _send(self, waiting: Waiting) -> None:
        payload = envelope(waiting.lane, waiting.body, self._real_now().replace(microsecond=0))
        if len(payload) > MESSAGE_BYTES_MAX:
            self._outbox.refuse({waiting.message_id: "too_large"})
            self._forget(waiting.local_id)
            self._settled.set()
            journal.alarm("message_too_large", message_id=waiting.message_id, bytes=len(payload))
            return
        sent = self._sent.get(waiting.local_id)
        now = time.monotonic()
        entry = _Sent(
            first_at=sent.first_at if sent is not None and sent.attempts else now,
            last_at=now,
            attempts=1 if sent is None else sent.attempts + 1,
            due=now,
        )
        self._sent[waiting.local_id] = entry
        self._count(entry, 1)
        try:
            await self._uplink.publish(topic_for(self._station_id, waiting.lane), payload)
        except UplinkDown as error:
            journal.warn("publish_failed", message_id=waiting.message_id, reason=error.reason)
            self._postpone(waiting.local_id)
            await self._sleep(_OFFLINE_SECONDS)
            return
        if waiting.local_id in self._sent:  # not answered yet
            jitter = random.uniform(*_JITTER)  # noqa: S311 - jitter
            self._put_off(waiting.local_id, until=now + self._patience.seconds * jitter)

    def _count(self, sent: _Sent, by: int) -> None:
        if sent.is_repeat:
            self._repeats_on_the_way += by
        else:
            self._new_on_the_way += by

    def _look_what_is_due(self, now: float) -> None:
        """Let what was not acknowledged in time, and what was put off, stand in line."""
        while self._due and self._due[0][0] <= now:
            due, local_id = heapq.heappop(self._due)
            sent = self._sent.get(local_id)
            if sent is None or sent.due != due:
                continue
            if sent.on_the_way:
                self._expire(sent, now)
                if sent.is_repeat:
                    self._put_off(local_id, until=now + self._back_off(sent.attempts))
                    continue
            (self._again if sent.attempts else self._held).append(local_id)

    def _expire(self, sent: _Sent, now: float) -> None:
        """Stop counting as on the way what was not acknowledged in time."""
        sent.on_the_way = False
        self._count(sent, -1)
        # Of a repeat it says little, while others are answered: that one never is.
        if not sent.is_repeat or self._answered_at < sent.last_at:
            self._window.not_answered(sent_at=sent.last_at, now=now)

    def _back_off(self, attempts: int) -> float:
        seconds = self._patience.seconds * float(2 ** min(attempts - 2, 16))
        return min(seconds, self._config.resend_seconds_max) * random.uniform(*_JITTER)  # noqa: S311 - jitter

    def _postpone(self, local_id: int) -> None:
        """Nothing was handed over: it may go as soon as the uplink takes messages again."""
        sent = self._sent.get(local_id)
        if sent is not None and sent.on_the_way:
            sent.on_the_way = False
            self._count(sent, -1)
            sent.attempts -= 1
            self._put_off(local_id, until=time.monotonic() + _OFFLINE_SECONDS)

    def _send_all_again(self) -> None:
        """After a reconnection what was on the way may be lost: begin with the oldest."""
        self._window.begin_again()
        for kept in (self._sent, self._due, self._held, self._again, self._fresh):
            kept.clear()
        self._new_on_the_way = self._repeats_on_the_way = 0
        self._last_read = 0

    def _forget(self, local_id: int) -> _Sent | None:
        sent = self._sent.pop(local_id, None)
        if sent is not None and sent.on_the_way:
            self._count(sent, -1)
        return sent

    def _seconds_to_next(self) -> float:
        """Look up often enough to notice a connection that was lost and came back."""
        if not self._due:
            return _GLANCE_SECONDS
        return min(max(self._due[0][0] - time.monotonic(), 0.005), _GLANCE_SECONDS)

    async def _sleep(self, seconds: float) -> None:
        self._wake.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _take_token(self) -> None:
        """Bound the rate; a second's worth may go at once."""
        rate = self._config.rate_per_second
        while True:
            now = time.monotonic()
            self._tokens = min(self._tokens + (now - self._filled_at) * rate, max(rate, 1.0))
            self._filled_at = now
            if self._tokens >= 1:
                self._tokens -= 1
                return
            await asyncio.sleep((1 - self._tokens) / rate)
