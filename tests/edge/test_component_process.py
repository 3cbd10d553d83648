"""The component as a program: its configuration, its log, its end."""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from forecourt_edge.__main__ import EXIT_UNUSABLE
from forecourt_edge.config import OutboxConfig, load_config, parse_config
from forecourt_edge.errors import InvalidConfig
from forecourt_edge.gateway_clock import system_clock_synchronised
from forecourt_edge.outbox import Lane, Outbox
from forecourt_simulator.server import ControllerServer
from tests.edge.stand_in_broker import Authority, Broker
from tests.edge.stand_in_cloud import id_of
from tests.edge.stations import config_for, controller_for, start

if TYPE_CHECKING:
    from pathlib import Path

ACKS = "forecourt/s0001/down/acks"


def document(directory: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(config_for(directory, 5020).model_dump_json())
    return loaded


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"station_id": "S 1"}, "station_id"),
        ({"station_id": None}, "station_id"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"controllers": []}, "controllers"),
        ({"colour": "red"}, "colour"),
        ({"uplink": {"kind": "pigeon"}}, "uplink"),
        ({"uplink": {"kind": "mqtt", "host": "x"}}, "uplink.mqtt.ca_path"),
        ({"poll_interval_seconds": 0}, "poll_interval_seconds"),
        ({"outbox": {"path": "x", "sales_max": 0}}, "outbox.sales_max"),
        ({"cameras": [{"name": "c", "nozzles": [1]}]}, "listen"),
        ({"cameras": [{"name": "c", "nozzles": [7]}], "listen": {}}, "unknown nozzles [7]"),
        ({"listen": {"host": "0.0.0.0"}}, "till_token"),  # noqa: S104 - is refused
        ({"listen": {"host": "not an address"}}, "listen"),
    ],
)
def test_a_wrong_configuration_names_the_field(
    tmp_path: Path, change: dict[str, Any], named: str
) -> None:
    with pytest.raises(InvalidConfig) as caught:
        parse_config(json.dumps(document(tmp_path) | change))

    assert named in "; ".join(caught.value.findings)


def test_a_nozzle_number_is_given_once(tmp_path: Path) -> None:
    changed = document(tmp_path)
    changed["controllers"].append({**changed["controllers"][0], "name": "other", "port": 5021})

    with pytest.raises(InvalidConfig) as caught:
        parse_config(json.dumps(changed))

    assert "nozzle is used twice" in caught.value.findings[0]


def test_every_wrong_field_is_named_at_once_and_no_value_is_told(tmp_path: Path) -> None:
    secret = "short-secret"
    changed = document(tmp_path) | {"time_zone": "X", "listen": {"till_token": secret}}

    with pytest.raises(InvalidConfig) as caught:
        parse_config(json.dumps(changed))

    assert len(caught.value.findings) == 2
    assert secret not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"null"])
def test_a_file_that_is_no_configuration_says_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "station.json"
    path.write_bytes(content)

    with pytest.raises(InvalidConfig) as caught:
        load_config(path)

    assert caught.value.source == str(path)


def test_a_program_that_cannot_run_says_why_in_its_log(tmp_path: Path) -> None:
    path = tmp_path / "station.json"
    path.write_text(json.dumps(document(tmp_path) | {"station_id": "?"}), "utf-8")

    with start(path) as running:
        output, _ = running.communicate(timeout=20)

    assert running.returncode == EXIT_UNUSABLE
    line = json.loads(output)
    assert (line["level"], line["event"]) == ("error", "component_unusable")
    assert line["findings"][0].startswith("station_id")


def test_check_only_looks_at_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "station.json"
    path.write_text(json.dumps(document(tmp_path)), "utf-8")

    with start(path, "--check") as running:
        running.communicate(timeout=20)

    assert running.returncode == 0
    assert not (tmp_path / "outbox.db").exists()


def test_asked_to_end_it_tells_a_last_reading_and_ends(tmp_path: Path) -> None:
    async def story() -> None:
        authority = Authority(tmp_path)
        certificate_path, key_path = authority.issue("s0001")
        controller = controller_for()
        async with Broker(authority) as broker, ControllerServer(controller) as server:
            uplink = {
                "kind": "mqtt",
                "host": "localhost",
                "port": broker.port,
                "ca_path": str(authority.ca_path),
                "certificate_path": str(certificate_path),
                "key_path": str(key_path),
            }
            path = tmp_path / "station.json"
            config = config_for(tmp_path, server.port, uplink=uplink)
            path.write_text(config.model_dump_json(), "utf-8")
            controller.dispense(1, 39_990)
            running = start(path)
            async with asyncio.timeout(20):
                await broker.subscribed.wait()
                await controller.wait_until_read()
                while not any(b'"reading/1"' in sent for _, sent in broker.published):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
                await asyncio.sleep(1.1)  # A reading is named by its second.
                answer(broker)
                running.send_signal(signal.SIGTERM)
                while running.poll() is None:
                    answer(broker)
                    await asyncio.sleep(0.05)
            output, _ = running.communicate()
            lines = [json.loads(line) for line in output.splitlines()]

            assert running.returncode == 0
            assert lines[-1]["event"] == "component_stopped"
            assert lines[-1]["waiting"] == 0
            readings = {id_of(sent) for _, sent in broker.published if b'"reading/1"' in sent}
            assert len(readings) == 2

    asyncio.run(story())


def answer(broker: Broker) -> None:
    ids = sorted({id_of(payload) for _, payload in broker.published})
    broker.send(ACKS, json.dumps({"schema": "ack/1", "accepted": ids}).encode())


def test_killed_at_any_moment_no_sale_is_lost_or_told_twice(tmp_path: Path) -> None:
    async def story() -> None:
        authority = Authority(tmp_path)
        certificate_path, key_path = authority.issue("s0001")
        controller = controller_for()
        async with Broker(authority) as broker, ControllerServer(controller) as server:
            uplink = {
                "kind": "mqtt",
                "host": "localhost",
                "port": broker.port,
                "ca_path": str(authority.ca_path),
                "certificate_path": str(certificate_path),
                "key_path": str(key_path),
            }
            path = tmp_path / "station.json"
            config = config_for(tmp_path, server.port, uplink=uplink)
            path.write_text(config.model_dump_json(), "utf-8")
            for kill in range(4):
                running = start(path)
                async with asyncio.timeout(20):
                    for _ in range(10):
                        controller.dispense(1, 10_000)
                    while controller.ring(1).unacknowledged > 8 - 2 * kill:  # noqa: ASYNC110
                        await asyncio.sleep(0.002)
                running.kill()
                running.communicate()
            running = start(path)
            async with asyncio.timeout(20):
                await controller.wait_until_read()
            running.send_signal(signal.SIGTERM)
            running.communicate(timeout=20)

        with closing(Outbox(OutboxConfig(path=config.outbox.path))) as outbox:
            waiting = [each.body for each in outbox.after(0, 1000) if each.lane is Lane.SALES]
            assert [body["transaction"] for body in waiting] == list(range(1, 41))
            assert outbox.count(Lane.GAPS) == 0
            assert waiting[-1]["totalizer_ml"] == controller.totalizer_ml(1)

    asyncio.run(story())


def test_the_state_of_the_clock_can_be_asked() -> None:
    assert system_clock_synchronised() in {True, False}
