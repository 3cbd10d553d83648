"""What is refused is put aside, and what is no acknowledgement changes nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt_edge.messages import MESSAGE_BYTES_MAX, read_acknowledgement
from tests.edge.sending import put, sending, silent, until

if TYPE_CHECKING:
    from pathlib import Path


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
