"""Greengrass V2: the real SDK against a stand-in of the nucleus."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from forecourt_edge.component import Component
from forecourt_edge.config import GreengrassUplink as GreengrassUplinkConfig
from forecourt_edge.errors import InvalidConfig, UplinkDown
from forecourt_edge.uplink_greengrass import GreengrassUplink
from forecourt_simulator.server import ControllerServer
from tests.edge.stand_in_cloud import id_of
from tests.edge.stand_in_nucleus import Nucleus
from tests.edge.stations import config_for, controller_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

ACKS = "forecourt/s0001/down/acks"
SALES = "forecourt/s0001/up/sales"
CONFIG = GreengrassUplinkConfig(kind="greengrass", timeout_seconds=1, reconnect_seconds_max=1)


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(6):
        while not holds():  # noqa: ASYNC110 - another thread changes it
            await asyncio.sleep(0.01)


@asynccontextmanager
async def connected(
    nucleus: Nucleus,
) -> AsyncIterator[tuple[GreengrassUplink, list[tuple[str, bytes]]]]:
    heard: list[tuple[str, bytes]] = []
    uplink = GreengrassUplink(CONFIG, environ=nucleus.environ)
    await uplink.start(
        subscribe_to=ACKS, on_message=lambda topic, payload: heard.append((topic, payload))
    )
    try:
        await until(lambda: uplink.connected)
        yield uplink, heard
    finally:
        await uplink.stop()


def test_a_message_goes_to_the_nucleus_and_an_answer_comes_back(tmp_path: Path) -> None:
    async def story() -> None:
        async with Nucleus(tmp_path) as nucleus, connected(nucleus) as (uplink, heard):
            await uplink.publish(SALES, b"a sale")
            nucleus.deliver(ACKS, b"an answer")
            await until(lambda: heard)

            assert nucleus.published == [(SALES, "1", b"a sale")]
            assert heard == [(ACKS, b"an answer")]

    asyncio.run(story())


def test_after_a_restart_of_the_nucleus_the_component_is_back(tmp_path: Path) -> None:
    async def story() -> None:
        async with Nucleus(tmp_path) as nucleus, connected(nucleus) as (uplink, heard):
            await nucleus.stop()
            await until(lambda: not uplink.connected)
            with pytest.raises(UplinkDown):
                await uplink.publish(SALES, b"a sale")
            await nucleus.start()
            await until(lambda: uplink.connected)
            await uplink.publish(SALES, b"a sale")
            nucleus.deliver(ACKS, b"an answer")
            await until(lambda: heard)

            assert nucleus.published == [(SALES, "1", b"a sale")]

    asyncio.run(story())


@pytest.mark.parametrize("error", ["ServiceError", "UnauthorizedError"])
def test_a_full_spool_or_a_missing_grant_leaves_the_message_with_us(
    tmp_path: Path, error: str
) -> None:
    async def story() -> None:
        async with Nucleus(tmp_path) as nucleus, connected(nucleus) as (uplink, _):
            nucleus.refusing = error
            with pytest.raises(UplinkDown) as caught:
                await uplink.publish(SALES, b"a sale")
            assert caught.value.reason == error
            nucleus.refusing = ""
            await uplink.publish(SALES, b"a sale")

    asyncio.run(story())


def test_a_nucleus_that_does_not_answer_is_left_in_time(tmp_path: Path) -> None:
    async def story() -> None:
        async with Nucleus(tmp_path) as nucleus, connected(nucleus) as (uplink, _):
            nucleus.mute = True
            with pytest.raises(UplinkDown) as caught:
                await uplink.publish(SALES, b"a sale")
            assert caught.value.reason == "no answer in time"
            nucleus.mute = False
            await until(lambda: nucleus.connections == 2 and uplink.connected)

    asyncio.run(story())


def test_a_token_the_nucleus_does_not_know_gets_no_connection(tmp_path: Path) -> None:
    async def story() -> None:
        async with Nucleus(tmp_path) as nucleus:
            uplink = GreengrassUplink(CONFIG, environ=nucleus.environ | {"SVCUID": "another"})
            await uplink.start(subscribe_to=ACKS, on_message=lambda _topic, _payload: None)
            await until(lambda: nucleus.connections)
            await asyncio.sleep(0.2)

            assert not uplink.connected
            await uplink.stop()

    asyncio.run(story())


@pytest.mark.parametrize(
    "missing", ["SVCUID", "AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT"]
)
def test_without_a_nucleus_the_missing_variable_is_named(tmp_path: Path, missing: str) -> None:
    environ = Nucleus(tmp_path).environ | {missing: ""}
    uplink = GreengrassUplink(CONFIG, environ=environ)

    with pytest.raises(InvalidConfig) as caught:
        asyncio.run(uplink.start(subscribe_to=ACKS, on_message=lambda _topic, _payload: None))

    assert missing in str(caught.value)


def test_sales_reach_the_cloud_through_a_nucleus_that_restarts(tmp_path: Path) -> None:
    async def story() -> None:
        controller = controller_for()
        async with Nucleus(tmp_path) as nucleus, ControllerServer(controller) as server:
            config = config_for(tmp_path, server.port, sending={"acknowledgement_seconds": 1})
            uplink = GreengrassUplink(CONFIG, environ=nucleus.environ)
            async with Component(config, now=controller.clock.now, uplink=uplink) as component:
                for _ in range(3):
                    controller.dispense(1, 10_000)
                await until(lambda: len(nucleus.published) >= 3)
                await nucleus.stop()
                for _ in range(3):
                    controller.dispense(1, 10_000)
                await until(lambda: component.outbox.count() >= 6)
                await nucleus.start()
                await until(lambda: len({id_of(sent[2]) for sent in nucleus.published}) >= 6)

                def acknowledged() -> bool:
                    ids = sorted({id_of(payload) for _, _, payload in nucleus.published})
                    answer = {"schema": "ack/1", "accepted": ids, "refused": []}
                    nucleus.deliver(ACKS, json.dumps(answer).encode())
                    return not component.outbox.count()

                # A reading goes out beside the sales, before them or after.
                await until(acknowledged)

    asyncio.run(story())
