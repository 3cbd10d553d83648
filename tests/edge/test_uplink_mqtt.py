"""MQTT with mutual TLS, against a broker that can be cut off and made to refuse."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from forecourt_edge.component import Component
from forecourt_edge.config import MqttUplink as MqttUplinkConfig
from forecourt_edge.errors import InvalidConfig, UplinkDown
from forecourt_edge.uplink_mqtt import MqttUplink
from forecourt_simulator.server import ControllerServer
from tests.edge.stand_in_broker import Authority, Broker
from tests.edge.stand_in_cloud import id_of
from tests.edge.stations import config_for, controller_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ACKS = "forecourt/s0001/down/acks"
SALES = "forecourt/s0001/up/sales"


def settings(
    directory: Path, authority: Authority, broker: Broker, **changes: Any
) -> dict[str, Any]:
    certificate_path, key_path = authority.issue("s0001")
    del directory
    return {
        "kind": "mqtt",
        "host": "localhost",
        "port": broker.port,
        "ca_path": str(authority.ca_path),
        "certificate_path": str(certificate_path),
        "key_path": str(key_path),
        "reconnect_seconds_max": 1,
        **changes,
    }


@asynccontextmanager
async def connected(
    directory: Path, **changes: Any
) -> AsyncIterator[tuple[Broker, MqttUplink, list[tuple[str, bytes]]]]:
    authority = Authority(directory)
    heard: list[tuple[str, bytes]] = []
    async with Broker(authority) as broker:
        document = settings(directory, authority, broker, **changes)
        uplink = MqttUplink(MqttUplinkConfig.model_validate(document), client_id="s0001")
        await uplink.start(
            subscribe_to=ACKS, on_message=lambda topic, payload: heard.append((topic, payload))
        )
        try:
            async with asyncio.timeout(5):
                await until(lambda: uplink.connected)
            yield broker, uplink, heard
        finally:
            await uplink.stop()


def told(caplog: pytest.LogCaptureFixture) -> dict[str, dict[str, Any]]:
    """Return the facts of what the component said, by event."""
    return {each.msg: vars(each)["facts"] for each in caplog.records if "facts" in vars(each)}


async def until(holds: Any) -> None:
    while not holds():  # noqa: ASYNC110 - another thread changes it
        await asyncio.sleep(0.01)


def test_a_message_goes_out_and_the_stations_own_topic_comes_in(tmp_path: Path) -> None:
    async def story() -> None:
        async with connected(tmp_path) as (broker, uplink, heard):
            await uplink.publish(SALES, b"a sale")
            broker.send(ACKS, b"an answer")
            async with asyncio.timeout(5):
                await until(lambda: broker.published and heard)

            assert broker.published == [(SALES, b"a sale")]
            assert heard == [(ACKS, b"an answer")]
            assert broker.clients == ["s0001"]
            assert broker.topics == [ACKS]

    asyncio.run(story())


def test_after_a_cut_the_station_is_back_within_seconds(tmp_path: Path) -> None:
    async def story() -> None:
        async with connected(tmp_path) as (broker, uplink, _):
            broker.cut()
            async with asyncio.timeout(5):
                await until(lambda: not uplink.connected)
            with pytest.raises(UplinkDown):
                await uplink.publish(SALES, b"a sale")
            async with asyncio.timeout(5):
                await until(lambda: uplink.connected)
            await uplink.publish(SALES, b"a sale")

            assert broker.connections == 2

    asyncio.run(story())


def test_a_broker_that_is_not_there_yet_is_no_error(tmp_path: Path) -> None:
    async def story() -> None:
        authority = Authority(tmp_path)
        broker = Broker(authority)
        await broker.listen()
        await broker.shut()
        config = MqttUplinkConfig.model_validate(settings(tmp_path, authority, broker))
        uplink = MqttUplink(config, client_id="s0001")
        await uplink.start(subscribe_to=ACKS, on_message=lambda _topic, _payload: None)
        assert not uplink.connected
        await broker.listen()
        async with asyncio.timeout(5):
            await until(lambda: uplink.connected)
        await uplink.stop()
        await broker.shut()

    asyncio.run(story())


# paho leaves the socket of a failed handshake to the garbage collector.
UNCLOSED = pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")


@UNCLOSED
def test_a_broker_of_another_authority_is_not_believed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        authority, foreign = Authority(tmp_path), Authority(tmp_path, "foreign")
        async with Broker(foreign) as broker:
            config = MqttUplinkConfig.model_validate(settings(tmp_path, authority, broker))
            uplink = MqttUplink(config, client_id="s0001")
            await uplink.start(subscribe_to=ACKS, on_message=lambda _topic, _payload: None)
            async with asyncio.timeout(5):
                await until(lambda: "uplink_refused" in told(caplog))

            assert "CERTIFICATE_VERIFY_FAILED" in told(caplog)["uplink_refused"]["reason"]
            assert not uplink.connected
            assert broker.clients == []
            await uplink.stop()

    asyncio.run(story())


@UNCLOSED
def test_a_certificate_that_is_not_ours_gets_no_connection(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        authority, foreign = Authority(tmp_path), Authority(tmp_path, "foreign")
        async with Broker(authority) as broker:
            certificate_path, key_path = foreign.issue("impostor")
            document = settings(tmp_path, authority, broker) | {
                "certificate_path": str(certificate_path),
                "key_path": str(key_path),
            }
            uplink = MqttUplink(MqttUplinkConfig.model_validate(document), client_id="s0001")
            await uplink.start(subscribe_to=ACKS, on_message=lambda _topic, _payload: None)
            async with asyncio.timeout(15):
                await until(lambda: "uplink_refused" in told(caplog))

            assert not uplink.connected
            assert broker.clients == []
            await uplink.stop()
        # However often it tried: a gateway's log is small, and one line says it.
        assert [each.msg for each in caplog.records].count("uplink_refused") == 1

    asyncio.run(story())


def test_a_station_without_network_says_so_once_and_is_no_refusal(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        authority = Authority(tmp_path)
        async with Broker(authority) as broker:
            config = MqttUplinkConfig.model_validate(settings(tmp_path, authority, broker))
        uplink = MqttUplink(config, client_id="s0001")
        await uplink.start(subscribe_to=ACKS, on_message=lambda _topic, _payload: None)
        async with asyncio.timeout(5):
            await until(lambda: "uplink_not_reached" in told(caplog))
        async with broker:
            async with asyncio.timeout(10):
                await until(lambda: uplink.connected)
            await uplink.stop()

        assert [each.msg for each in caplog.records].count("uplink_not_reached") == 1
        assert "uplink_refused" not in told(caplog)

    asyncio.run(story())


def test_without_its_own_topic_a_station_does_not_count_as_connected(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        authority = Authority(tmp_path)
        async with Broker(authority) as broker:
            broker.granting = False
            config = MqttUplinkConfig.model_validate(settings(tmp_path, authority, broker))
            uplink = MqttUplink(config, client_id="s0001")
            await uplink.start(subscribe_to=ACKS, on_message=lambda _topic, _payload: None)
            async with asyncio.timeout(5):
                await until(lambda: any("subscription" in each.msg for each in caplog.records))
            assert not uplink.connected
            await uplink.stop()

    asyncio.run(story())


def test_certificates_that_cannot_be_read_stop_the_component(tmp_path: Path) -> None:
    async def story() -> None:
        authority = Authority(tmp_path)
        document = settings(tmp_path, authority, Broker(authority)) | {"port": 8883}
        document["key_path"] = str(tmp_path / "missing.key")
        uplink = MqttUplink(MqttUplinkConfig.model_validate(document), client_id="s0001")

        with pytest.raises(InvalidConfig):
            await uplink.start(subscribe_to=ACKS, on_message=lambda _topic, _payload: None)

    asyncio.run(story())


def test_sales_survive_cuts_and_are_deleted_on_the_clouds_word_only(tmp_path: Path) -> None:
    async def story() -> None:
        authority = Authority(tmp_path)
        controller = controller_for()
        async with Broker(authority) as broker, ControllerServer(controller) as server:
            config = config_for(
                tmp_path,
                server.port,
                uplink=settings(tmp_path, authority, broker),
                sending={"acknowledgement_seconds": 1, "rate_per_second": 1000},
            )
            async with Component(config, now=controller.clock.now) as component:
                async with asyncio.timeout(5):
                    await broker.subscribed.wait()
                for cut in range(4):
                    for _ in range(5):
                        controller.dispense(1, 10_000)
                    async with asyncio.timeout(5):
                        await controller.wait_until_read()
                    if cut % 2:
                        broker.cut()
                        await broker.subscribed.wait()
                assert component.outbox.count() >= 20
                async with asyncio.timeout(10):
                    while component.outbox.count():
                        ids = sorted({id_of(payload) for _, payload in broker.published})
                        answer = {"schema": "ack/1", "accepted": ids, "refused": []}
                        broker.send(ACKS, json.dumps(answer).encode())
                        await asyncio.sleep(0.05)

            sales = {id_of(payload) for topic, payload in broker.published if topic == SALES}
            assert len(sales) == 20

    asyncio.run(story())
