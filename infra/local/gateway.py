"""A station's gateway: the edge component as a process of its own, as at a real station."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infra.local.seed import Credentials
    from infra.local.stack import LocalStack

ROOT = Path(__file__).parents[2]
LOOPBACK = "127.0.0.1"
ENDS_WITHIN_SECONDS = 15
LISTENS_WITHIN_SECONDS = 60.0
LOOK_EVERY_SECONDS = 0.05
PORTS = range(20_000, 32_000)


def free_port() -> int:
    """
    Return a port nobody listens on just now.

    It lies below those the system hands out for outgoing connections: one of these could
    take it between a gateway's death and its restart.
    """
    for port in random.sample(PORTS, k=len(PORTS)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((LOOPBACK, port))
            return port
    raise OSError(f"no port of {PORTS} is free")


def mqtt_uplink(
    stack: LocalStack, credentials: Credentials, *, port: int | None = None
) -> dict[str, Any]:
    """Return the uplink part of a configuration; *port* goes through a relay instead."""
    return {
        "kind": "mqtt",
        "host": stack.mqtt_host,
        "port": port or stack.mqtt_port,
        "ca_path": str(stack.ca_pem_path),
        "certificate_path": str(credentials.certificate_path),
        "key_path": str(credentials.key_path),
    }


class Gateway:
    """
    The edge component of one station, from `start` to `stop`.

    Its outbox lies in *folder* and outlives the process, as it does at a station.
    """

    def __init__(
        self,
        configuration: Mapping[str, Any],
        *,
        folder: Path,
        command: Sequence[str] = ("-m", "forecourt_edge"),
    ) -> None:
        station_id = configuration["station_id"]
        self._command = command
        self._config_path = folder / f"{station_id}.json"
        self._config_path.write_text(json.dumps(configuration), "utf-8")
        self.log_path = folder / f"{station_id}.log"
        self._port: int = configuration["listen"]["port"]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        paths = [str(ROOT), str(ROOT / "edge"), str(ROOT / "layers" / "forecourt" / "python")]
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *self._command, "--config", str(self._config_path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
                # Ctrl-C is for whoever started us; gateways are stopped in order.
                start_new_session=True,
            )

    async def listens(self) -> None:
        """Wait until cameras and the till are heard; raise `TimeoutError` when they never are."""
        async with asyncio.timeout(LISTENS_WITHIN_SECONDS):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection(LOOPBACK, self._port)
                    writer.close()
                    return
                await asyncio.sleep(LOOK_EVERY_SECONDS)

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """Ask it to end, and make sure that it has."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(timeout=ENDS_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
