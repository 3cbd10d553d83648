"""What waits is sent in its order, again if need be, and goes only on the cloud's word."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from tests.edge.sending import Mailbox, put, sending, silent, tell, until

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


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
        cloud = silent()
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
        cloud = silent()
        async with sending(tmp_path, cloud, acknowledgement_seconds=5) as (outbox, _):
            put(outbox, 1)
            tell(outbox, 1)
            await until(lambda: cloud.ids == ["sale-1", "telling-1"])

    asyncio.run(scenario())


def test_a_telling_held_back_when_the_line_was_cut_goes_when_it_is_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        cloud = silent()
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
