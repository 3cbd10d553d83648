"""
The component: reads, keeps, sends, until it is told to stop.

    async with Component(config) as component:    # everything is open and running
        await component.ended()

Business time is *now*, which a replay drives; messages are stamped with the gateway's real
clock when they are sent.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Self

from forecourt_edge import journal
from forecourt_edge.gateway_clock import system_clock_synchronised, system_now
from forecourt_edge.listener import Listener
from forecourt_edge.messages import acks_topic_for
from forecourt_edge.outbox import Outbox
from forecourt_edge.poller import Poller
from forecourt_edge.profile import load_profile
from forecourt_edge.readings import Readings
from forecourt_edge.sender import Sender
from forecourt_edge.sightings import Sightings
from forecourt_edge.takeover import TakeOver
from forecourt_edge.tellings import Tellings
from forecourt_edge.uplink import Uplink, uplink_for
from forecourt_edge.witness import Witness

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from datetime import datetime

    from forecourt_edge.config import EdgeConfig
    from forecourt_edge.profile import Profile

_READINGS_SECONDS = 1.0
_FAREWELL_SECONDS = 3.0  # The nucleus kills a component that takes more than 15 to stop.


class Component:
    """
    One station's edge component.

    With *poll* off nothing is polled by itself: the owner calls `poll`, as a replay does.
    *profiles* by controller name replace those the configuration names.
    """

    def __init__(
        self,
        config: EdgeConfig,
        *,
        now: Callable[[], datetime] = system_now,
        real_now: Callable[[], datetime] = system_now,
        clock_synchronised: Callable[[], bool] = system_clock_synchronised,
        uplink: Uplink | None = None,
        poll: bool = True,
        profiles: dict[str, Profile] | None = None,
    ) -> None:
        self._config = config
        self._poll = poll
        if profiles is None:
            profiles = {each.name: load_profile(each.profile) for each in config.controllers}
        self.uplink = uplink or uplink_for(config)
        self.outbox = Outbox(config.outbox)
        sightings = Sightings(self.outbox, config.joining)
        take_over = TakeOver(
            station_id=config.station_id,
            outbox=self.outbox,
            sightings=sightings,
            now=now,
            clock_synchronised=clock_synchronised,
        )
        self.poller = Poller(config, profiles, outbox=self.outbox, take_over=take_over, now=now)
        self.sender = Sender(
            station_id=config.station_id,
            config=config.sending,
            outbox=self.outbox,
            uplink=self.uplink,
            real_now=real_now,
        )
        self.outbox.on_stored = self.sender.wake
        self.readings = Readings(config, outbox=self.outbox, poller=self.poller, now=now)
        self.listener: Listener | None = None
        if config.listen is not None:
            witness = Witness(
                config,
                config.listen,
                sightings=sightings,
                tellings=Tellings(station_id=config.station_id, outbox=self.outbox),
                now=now,
                taken_over=self.poller.has_taken,
            )
            self.listener = Listener(
                witness.handle,
                host=config.listen.host,
                port=config.listen.port,
                body_bytes_max=config.listen.body_bytes_max,
            )
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self._closed = False
        self._failure: BaseException | None = None

    async def start(self) -> None:
        """Open everything; raises `InvalidConfig` or `OSError` for what cannot be opened."""
        if self.listener is not None:
            await self.listener.start()
        await self.uplink.start(
            subscribe_to=acks_topic_for(self._config.station_id), on_message=self._receive
        )
        self._spawn(self.sender.run())
        if self._poll:
            self._spawn(self.poller.run(self._config.poll_interval_seconds))
            self._spawn(self._read_for_ever())
        journal.note(
            "component_started",
            station_id=self._config.station_id,
            nozzles=sum(len(each.nozzles) for each in self._config.controllers),
            waiting=self.outbox.count(),
            port=None if self.listener is None else self.listener.port,
        )

    def stop(self) -> None:
        """Ask for a clean end; `ended` returns then."""
        self._stopping.set()

    async def ended(self) -> None:
        """Return when asked to stop; raise what broke the component if something did."""
        await self._stopping.wait()
        if self._failure is not None:
            raise self._failure

    async def poll(self) -> int:
        """Poll every controller once, report a reading if due; return the sales taken over."""
        taken = await self.poller.poll()
        self.readings.tell_if_due()
        return taken

    async def drained(self) -> None:
        """Return once the cloud has acknowledged everything."""
        await self.sender.drained()

    async def close(self) -> None:
        """Tell the last reading, give what waits a moment to be acknowledged, close everything."""
        if self._closed:
            return
        self._closed = True
        polling, self._tasks = self._tasks[1:], self._tasks[:1]
        await _cancel(polling)
        if self._failure is None:
            self.readings.tell()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_FAREWELL_SECONDS):
                    if self.uplink.connected:
                        await self.sender.drained()
        await _cancel(self._tasks)
        await self.uplink.stop()
        if self.listener is not None:
            await self.listener.stop()
        self.poller.close()
        waiting = self.outbox.count()
        self.outbox.close()
        journal.note("component_stopped", waiting=waiting)

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _receive(self, topic: str, payload: bytes) -> None:
        try:
            self.sender.on_message(topic, payload)
        except Exception as error:  # noqa: BLE001 - raised again by `ended`
            self._broke(error)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(self._ended_task)
        self._tasks.append(task)

    def _ended_task(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._broke(error)

    def _broke(self, error: BaseException) -> None:
        """End as a whole: whoever started the component starts it again on a sound outbox."""
        if self._failure is None:
            self._failure = error
            journal.failure("component_broken", error)
        self._stopping.set()

    async def _read_for_ever(self) -> None:
        while True:
            self.readings.tell_if_due()
            await asyncio.sleep(_READINGS_SECONDS)


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
