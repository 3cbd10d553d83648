"""What waits is sent, again if need be, and goes only on the cloud's word."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt_edge import sender as sender_module
from forecourt_edge.config import OutboxConfig, SendingConfig
from forecourt_edge.errors import UplinkDown
from forecourt_edge.messages import MESSAGE_BYTES_MAX, read_acknowledgement
from forecourt_edge.outbox import Cursor, Lane, Message, Outbox
from forecourt_edge.sender import Sender
from tests.edge.stand_in_cloud import Cloud, id_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

SENT_AT = datetime(2026, 11, 23, 8, 15, 3, 500_000, tzinfo=UTC)


class Mailbox(Cloud):
    """A cloud that does not look into the bodies and answers when told to, or told how late."""

    answers_after_seconds: float | None = None

    async def publish(self, topic: str, payload: bytes) -> None:
        await super().publish(topic, payload)
        if self.answering:
            self.answer(id_of(payload))
        if self.answers_after_seconds is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(self.answers_after_seconds, self.answer, id_of(payload))

    @property
    def ids(self) -> list[str]:
        return [id_of(payload) for _, payload in self.payloads]


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


def put(outbox: Outbox, *numbers: int, **body: Any) -> None:
    for number in numbers:
        name = f"sale-{number}"
        outbox.take_over(
            Cursor(nozzle=1, device_serial="SN1", number=number, totalizer_ml=0),
            messages=[Message(lane=Lane.SALES, message_id=name, body={"sale_id": name, **body})],
        )


def tell(outbox: Outbox, number: int) -> None:
    name = f"telling-{number}"
    outbox.put_telling(Message(lane=Lane.TELLINGS, message_id=name, body={"telling_id": name}))


@asynccontextmanager
async def sending(
    directory: Path, cloud: Mailbox, *, already: int = 0, **config: Any
) -> AsyncIterator[tuple[Outbox, Sender]]:
    settings = {"acknowledgement_seconds": 0.1, "rate_per_second": 10_000, **config}
    with closing(Outbox(OutboxConfig(path=directory / "outbox.db"))) as outbox:
        put(outbox, *range(1, already + 1))
        sender = Sender(
            station_id="s0001",
            config=SendingConfig.model_validate(settings),
            outbox=outbox,
            uplink=cloud,
            real_now=lambda: SENT_AT,
        )
        outbox.on_stored = sender.wake
        await cloud.start(subscribe_to="acks", on_message=sender.on_message)
        task = asyncio.create_task(sender.run())
        try:
            yield outbox, sender
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 - the condition is the test's own
            await asyncio.sleep(0.005)


def silent() -> Mailbox:
    return Mailbox(answering=False)


def test_messages_go_out_in_their_order_and_stamped(tmp_path: Path) -> None:
    async def story() -> None:
        cloud = silent()
        async with sending(tmp_path, cloud, already=5, acknowledgement_seconds=60):
            await until(lambda: len(cloud.payloads) == 5)

            assert cloud.ids == [f"sale-{number}" for number in range(1, 6)]
            topic, payload = cloud.payloads[0]
            assert topic == "forecourt/s0001/up/sales"
            assert json.loads(payload) == {
                "schema": "sale/1",
                "sent_at": "2026-11-23T08:15:03Z",
                "sale": {"sale_id": "sale-1"},
            }

    asyncio.run(story())


def test_what_is_not_acknowledged_is_sent_again_and_kept(tmp_path: Path) -> None:
    async def story() -> None:
        cloud = silent()
        async with sending(tmp_path, cloud, already=2) as (outbox, _):
            await until(lambda: len(cloud.payloads) >= 6)
            assert outbox.count() == 2
            cloud.say({"accepted": ["sale-1"], "refused": []})
            cloud.say({"accepted": ["sale-2"], "refused": []})

            assert outbox.count() == 0
            sent = len(cloud.payloads)
            await asyncio.sleep(0.3)
            assert len(cloud.payloads) == sent

    asyncio.run(story())


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


def test_offline_everything_stays_and_goes_when_the_uplink_is_back(tmp_path: Path) -> None:
    async def story() -> None:
        cloud = Mailbox(answering=False, connected=False)
        async with sending(tmp_path, cloud, already=3) as (outbox, sender):
            await asyncio.sleep(0.3)
            assert cloud.payloads == []
            cloud.connected = True
            await until(lambda: len(set(cloud.ids)) == 3)
            for message_id in set(cloud.ids):
                cloud.say({"accepted": [message_id]})
            await sender.drained()

            assert outbox.count() == 0

    asyncio.run(story())


def test_a_reconnection_begins_with_the_oldest(tmp_path: Path) -> None:
    async def story() -> None:
        cloud = silent()
        async with sending(tmp_path, cloud, already=2, acknowledgement_seconds=60):
            await until(lambda: len(cloud.payloads) == 2)
            cloud.connected = False
            await asyncio.sleep(0.5)
            cloud.connected = True
            await until(lambda: len(cloud.payloads) == 4)

            assert cloud.ids == ["sale-1", "sale-2"] * 2

    asyncio.run(story())


def test_what_a_till_told_goes_behind_the_sales_before_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        cloud = Mailbox(answering=False)
        async with sending(tmp_path, cloud, acknowledgement_seconds=5) as (outbox, _):
            tell(outbox, 1)
            await until(lambda: cloud.ids == ["telling-1"])
            put(outbox, 1)
            tell(outbox, 2)
            put(outbox, 2)
            await until(lambda: "sale-2" in cloud.ids)
            await asyncio.sleep(0.3)
            assert cloud.ids == ["telling-1", "sale-1", "sale-2"]

            cloud.answer("sale-1")
            await until(lambda: "telling-2" in cloud.ids)
            assert cloud.ids == ["telling-1", "sale-1", "sale-2", "telling-2"]

    asyncio.run(scenario())


def test_a_sale_that_is_never_answered_does_not_silence_the_till(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forecourt_edge.sender._HELD_BACK_SECONDS_MAX", 0.3)

    async def scenario() -> None:
        cloud = Mailbox(answering=False)
        async with sending(tmp_path, cloud, acknowledgement_seconds=5) as (outbox, _):
            put(outbox, 1)
            tell(outbox, 1)
            await until(lambda: cloud.ids == ["sale-1", "telling-1"])

    asyncio.run(scenario())


def test_a_telling_held_back_when_the_line_was_cut_goes_when_it_is_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        cloud = Mailbox(answering=False)
        async with sending(tmp_path, cloud, acknowledgement_seconds=5) as (outbox, _):
            put(outbox, 1)
            tell(outbox, 1)
            await until(lambda: cloud.ids == ["sale-1"])
            cloud.connected = False
            await asyncio.sleep(0.3)
            cloud.connected = True
            await until(lambda: cloud.ids == ["sale-1", "sale-1"])

            cloud.answer("sale-1")
            await until(lambda: cloud.ids[2:] == ["telling-1"])

    asyncio.run(scenario())


def test_a_message_beyond_128_kib_is_put_aside_and_the_rest_goes_on(tmp_path: Path) -> None:
    async def story() -> None:
        cloud = silent()
        async with sending(tmp_path, cloud, acknowledgement_seconds=60) as (outbox, _):
            put(outbox, 1, padding="x" * MESSAGE_BYTES_MAX)
            put(outbox, 2)
            await until(lambda: cloud.payloads)

            assert cloud.ids == ["sale-2"]
            [refused] = outbox.quarantined()
            assert (refused.message_id, refused.reason) == ("sale-1", "too_large")
            assert len(refused.body) > MESSAGE_BYTES_MAX

    asyncio.run(story())


def test_a_refused_message_is_put_aside_with_its_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        cloud = silent()
        async with sending(tmp_path, cloud, already=2) as (outbox, _):
            await until(lambda: cloud.payloads)
            refused = [{"id": "sale-1", "reason": "station_id_does_not_fit"}]
            cloud.say({"accepted": [], "refused": refused})

            assert outbox.count() == 1
            [kept] = outbox.quarantined()
            assert kept.reason == "station_id_does_not_fit"

    asyncio.run(story())
    assert "message_refused" in [record.msg for record in caplog.records]


def test_an_acknowledgement_for_what_we_never_sent_changes_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        cloud = silent()
        async with sending(tmp_path, cloud, already=1) as (outbox, _):
            cloud.say({"accepted": ["sale-9", ""], "refused": [{"id": "x", "reason": "y"}]})

            assert outbox.count() == 1
            assert outbox.quarantined() == []

    asyncio.run(story())


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b'"ack/1"',
        b'{"schema":"ack/2","accepted":["sale-1"]}',
        b'{"accepted":["sale-1"]}',
        b'{"schema":"ack/1","accepted":"sale-1"}',
        b'{"schema":"ack/1","accepted":[1]}',
        b'{"schema":"ack/1","refused":["sale-1"]}',
        b'{"schema":"ack/1","refused":[{"reason":"x"}]}',
        b"[" * 100_000,
    ],
)
def test_a_message_that_is_no_acknowledgement_deletes_nothing(
    tmp_path: Path, payload: bytes
) -> None:
    async def story() -> None:
        cloud = silent()
        async with sending(tmp_path, cloud, already=1) as (outbox, sender):
            sender.on_message("acks", payload)

            assert outbox.count() == 1

    asyncio.run(story())


@given(st.binary(max_size=200))
def test_whatever_arrives_is_an_acknowledgement_or_refused(payload: bytes) -> None:
    try:
        accepted, refused = read_acknowledgement(payload)
    except ValueError:
        return
    assert all(isinstance(message_id, str) for message_id in [*accepted, *refused])
