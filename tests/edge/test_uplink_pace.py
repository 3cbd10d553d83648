"""What goes out is as much as the cloud keeps up with, and nothing new waits behind repeats."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from forecourt_edge import sender as sender_module
from forecourt_edge.errors import UplinkDown
from tests.edge.sending import Mailbox, put, sending, silent, until

if TYPE_CHECKING:
    from pathlib import Path


class Queue(Mailbox):
    """A cloud that works on one message after the other, repeats as well, *each_seconds* each."""

    def __init__(self, *, each_seconds: float) -> None:
        super().__init__(answering=False)
        self._each_seconds = each_seconds

    async def work(self) -> None:
        done = 0
        while True:
            await asyncio.sleep(self._each_seconds)
            if done < len(self.ids):
                self.answer(self.ids[done])
                done += 1


class Spool(Mailbox):
    """An uplink that is connected and takes nothing while it is full, as Greengrass's spooler."""

    is_full = True
    not_taken = 0

    async def publish(self, topic: str, payload: bytes) -> None:
        if self.is_full:
            self.not_taken += 1
            raise UplinkDown(uplink="stand-in", reason="spool full")
        await super().publish(topic, payload)


def test_one_that_is_never_acknowledged_does_not_hold_up_the_others(tmp_path: Path) -> None:
    async def story() -> None:
        cloud = silent()
        async with sending(tmp_path, cloud, already=3, in_flight_max=2) as (outbox, _):
            await until(lambda: "sale-3" in cloud.ids)
            for number in range(4, 8):
                put(outbox, number)
            await until(lambda: "sale-7" in cloud.ids)

            assert outbox.count() == 7

    asyncio.run(story())


@pytest.mark.parametrize("never", [1, 5])
def test_new_messages_go_at_once_though_others_are_never_acknowledged(
    tmp_path: Path, never: int
) -> None:
    async def story() -> None:
        cloud = silent()
        async with sending(tmp_path, cloud, already=never, acknowledgement_seconds=0.5) as (
            outbox,
            _,
        ):
            # All of them are repeats by now, and the window is as small as it gets.
            await until(lambda: cloud.ids.count(f"sale-{never}") > 1)
            loop = asyncio.get_running_loop()
            waited = []
            for number in range(never + 1, never + 21):
                put_at = loop.time()
                put(outbox, number)
                await until(lambda: f"sale-{number}" in cloud.ids)  # noqa: B023 - looked up at once
                waited.append(loop.time() - put_at)
                cloud.say({"accepted": [f"sale-{number}"]})
                await asyncio.sleep(0.05)

            assert max(waited) < 0.25, waited
            assert outbox.count() == never

    asyncio.run(story())


def test_an_uplink_that_takes_nothing_for_long_leaves_nothing_behind_but_the_messages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module, "_OFFLINE_SECONDS", 0.001)

    async def story() -> None:
        cloud = Spool(answering=False)
        cloud.answers_after_seconds = 0.01
        async with sending(tmp_path, cloud, already=3) as (outbox, sender):
            await until(lambda: cloud.not_taken > 300)
            assert len(sender._due) <= 3

            cloud.is_full = False
            await until(lambda: outbox.count() == 0)
            assert sorted(cloud.ids) == ["sale-1", "sale-2", "sale-3"]

    asyncio.run(story())


def test_a_cloud_that_is_behind_is_not_told_everything_again(tmp_path: Path) -> None:
    async def story() -> None:
        cloud = silent()
        behind_seconds = 0.5
        async with sending(tmp_path, cloud) as (outbox, sender):
            put(outbox, 1)
            await until(lambda: cloud.ids.count("sale-1") > 1)
            await asyncio.sleep(behind_seconds)
            cloud.say({"accepted": ["sale-1"]})
            told = len(cloud.payloads)
            cloud.answers_after_seconds = behind_seconds
            put(outbox, *range(2, 12))
            await sender.drained()

            # Five times the wait it began with, and nothing was said twice.
            assert cloud.ids[told:] == [f"sale-{number}" for number in range(2, 12)]

    asyncio.run(story())


def test_a_cloud_that_is_slower_than_the_gateway_is_not_flooded_with_repeats(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        cloud = Queue(each_seconds=0.005)
        # All at once, they are answered after one and a half seconds: long after they are due.
        settings = {"acknowledgement_seconds": 0.1, "resend_seconds_max": 0.3}
        async with sending(tmp_path, cloud, already=300, **settings) as (outbox, sender):
            working = asyncio.create_task(cloud.work())
            async with asyncio.timeout(20):
                await sender.drained()
            working.cancel()

            assert outbox.count() == 0
            assert len(cloud.payloads) < 2 * 300

    asyncio.run(story())


def test_no_more_is_on_the_way_than_allowed(tmp_path: Path) -> None:
    async def story() -> None:
        cloud = silent()
        async with sending(
            tmp_path, cloud, already=10, in_flight_max=3, acknowledgement_seconds=60
        ):
            await until(lambda: len(cloud.payloads) == 3)
            await asyncio.sleep(0.1)
            assert len(cloud.payloads) == 3
            cloud.say({"accepted": ["sale-1"], "refused": []})
            await until(lambda: len(cloud.payloads) == 4)

    asyncio.run(story())


def test_after_an_outage_the_outbox_drains_no_faster_than_allowed(tmp_path: Path) -> None:
    async def story() -> None:
        cloud = silent()
        async with sending(tmp_path, cloud, already=40, rate_per_second=10):
            await asyncio.sleep(0.5)

            # A second's worth may go at once, then ten a second.
            assert 1 <= len(cloud.payloads) <= 16

    asyncio.run(story())
