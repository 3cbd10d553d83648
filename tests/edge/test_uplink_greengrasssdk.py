"""
`greengrasssdk`: the real SDK against a stand-in of the core's daemon.

It reads its environment when imported and sets a time-out for the whole process, so each
test has a process of its own.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import queue
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from forecourt_edge.config import GreengrassSdkUplink as GreengrassSdkUplinkConfig
from forecourt_edge.errors import InvalidConfig
from forecourt_edge.uplink_greengrasssdk import GreengrassSdkUplink
from forecourt_simulator.server import ControllerServer
from tests.edge.stand_in_cloud import id_of
from tests.edge.stations import config_for, controller_for

if TYPE_CHECKING:
    from collections.abc import Iterator

ARN = "arn:aws:lambda:eu-central-1:123456789012:function:forecourt-edge:1"
ROUTER = "/2016-11-01/functions/arn:aws:lambda:::function:GGRouter"
ACKS = "forecourt/s0001/down/acks"
RUNTIME = Path(__file__).parent / "lambda_runtime"
PUBLISH = """
import asyncio
from forecourt_edge.config import GreengrassSdkUplink as Config
from forecourt_edge.errors import UplinkDown
from forecourt_edge.uplink_greengrasssdk import GreengrassSdkUplink

async def main():
    uplink = GreengrassSdkUplink(Config(kind="greengrasssdk", timeout_seconds=0.3))
    await uplink.start(subscribe_to="t", on_message=print)
    try:
        await uplink.publish("forecourt/s0001/up/sales", b"a sale")
    except UplinkDown as error:
        print("down", error.reason)
    else:
        print("taken")
    await uplink.stop()

asyncio.run(main())
"""


class Daemon(ThreadingHTTPServer):
    """The core's daemon: takes posts for the router and hands out work; `mute` answers nothing."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        self.mute = False
        self.posts: list[tuple[str, dict[str, str], bytes]] = []
        self.work: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
        super().__init__(("localhost", 0), _Exchange)

    def environ(self, **changes: str) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(RUNTIME), *sys.path]),
            "GG_DAEMON_PORT": str(self.server_port),
            "MY_FUNCTION_ARN": ARN,
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": "token",
            **changes,
        }


class _Exchange(BaseHTTPRequestHandler):
    server: Daemon

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posts.append((self.path, dict(self.headers), body))
        if self.server.mute:
            time.sleep(3)
        self.send_response(200)
        self.send_header("X-Amz-InvocationId", "1")
        self.end_headers()

    def do_GET(self) -> None:
        topic, document = self.server.work.get()
        body = json.dumps(document).encode()
        context = json.dumps({"custom": {"subject": topic}}).encode()
        self.send_response(200)
        self.send_header("X-Amz-Client-Context", base64.b64encode(context).decode())
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with Daemon() as served:
        thread = threading.Thread(target=served.serve_forever, daemon=True)
        thread.start()
        yield served
        served.shutdown()
        thread.join()


@contextmanager
def function(daemon: Daemon, config: Path) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, str(RUNTIME / "run_function.py")],
        env=daemon.environ(FORECOURT_EDGE_CONFIG=str(config)),
        stdout=subprocess.DEVNULL,
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def publish(daemon: Daemon) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PUBLISH],
        env=daemon.environ(),
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    return done.stdout.strip()


def test_a_message_goes_to_the_router_with_everything_it_wants(daemon: Daemon) -> None:
    assert publish(daemon) == "taken"

    [(path, headers, body)] = daemon.posts
    context = json.loads(base64.b64decode(headers["X-Amz-Client-Context"]))
    assert path == ROUTER
    assert headers["Authorization"] == "token"
    assert headers["X-Amz-Invocation-Type"] == "Event"
    assert body == b"a sale"
    assert context["custom"] == {
        "source": ARN,
        "subject": "forecourt/s0001/up/sales",
        "queueFullPolicy": "AllOrError",
    }


def test_a_daemon_that_does_not_answer_is_left_in_time(daemon: Daemon) -> None:
    daemon.mute = True

    assert publish(daemon).startswith("down")


@pytest.mark.parametrize("missing", ["MY_FUNCTION_ARN", "GG_DAEMON_PORT"])
def test_outside_a_core_it_refuses_to_start_instead_of_sending_nowhere(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MY_FUNCTION_ARN", "GG_DAEMON_PORT", "AWS_CONTAINER_AUTHORIZATION_TOKEN"):
        monkeypatch.setenv(name, "1")
    monkeypatch.delenv(missing)
    uplink = GreengrassSdkUplink(GreengrassSdkUplinkConfig(kind="greengrasssdk"))

    with pytest.raises(InvalidConfig) as caught:
        asyncio.run(uplink.start(subscribe_to="t", on_message=lambda _topic, _payload: None))

    assert missing in str(caught.value)


def test_sales_go_out_and_acknowledgements_come_in_as_invocations(
    tmp_path: Path, daemon: Daemon
) -> None:
    async def story() -> None:
        controller = controller_for()
        async with ControllerServer(controller) as server:
            config = config_for(tmp_path, server.port, uplink={"kind": "greengrasssdk"})
            path = tmp_path / "station.json"
            path.write_text(config.model_dump_json(), "utf-8")
            controller.dispense(1, 39_990)
            with function(daemon, path):
                async with asyncio.timeout(15):
                    sale = await first_sale(daemon)
                    await controller.wait_until_read()
                    daemon.work.put((ACKS, {"schema": "ack/1", "accepted": [id_of(sale)]}))
                    await until_no_sale_waits(config.outbox.path)

    asyncio.run(story())


async def first_sale(daemon: Daemon) -> bytes:
    while True:
        for _, _, body in daemon.posts:
            if b'"sale/1"' in body:
                return body
        await asyncio.sleep(0.02)


async def until_no_sale_waits(path: Path) -> None:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as outbox:
        waiting = "SELECT count(*) FROM messages WHERE lane = 'sales'"
        while outbox.execute(waiting).fetchone() != (0,):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)
