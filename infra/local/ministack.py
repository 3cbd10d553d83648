"""The emulator's process: free ports, its own folder, IAM enforced, gone when we are gone."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from infra.local.errors import EmulatorDidNotStart

__all__ = ["ACCOUNT", "ADMINISTRATOR", "REGION", "MiniStack", "environment_without_aws"]

ROOT = Path(__file__).parents[2]
LOOPBACK = "127.0.0.1"
# The emulator removes its folder by itself only when its name begins like this.
FOLDER_PREFIX = "forecourt-"
ACCOUNT = "000000000000"
REGION = "ap-southeast-1"
# MiniStack's root user: key and secret alike.  All other keys are judged by their policies.
ADMINISTRATOR = "test"
STARTS_WITHIN_SECONDS = 60
ENDS_WITHIN_SECONDS = 5
POLL_SECONDS = 0.05
# Another program may take a port between our looking and MiniStack's binding.
ATTEMPTS = 3
# A proxy of the environment must not be asked for this machine.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    http: int
    mqtt: int


class MiniStack:
    """
    A running emulator, as a context manager.

    The caller's AWS profile, credentials and endpoints are kept out of it, and out of what is
    started with `environment()`: nothing here can reach a real account.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX))
        self._ports = Ports(http=0, mqtt=0)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._start_on_free_ports()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def endpoint_url(self) -> str:
        return f"http://{LOOPBACK}:{self._ports.http}"

    @property
    def mqtt_port(self) -> int:
        return self._ports.mqtt

    @property
    def log_path(self) -> Path:
        return self.folder / "ministack.log"

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def fetch(self, path: str) -> bytes:
        with DIRECT.open(f"{self.endpoint_url}{path}", timeout=5) as response:
            return bytes(response.read())

    def settings(self) -> dict[str, str]:
        """Return the variables by which a process finds this emulator as its administrator."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": ADMINISTRATOR,
            "AWS_SECRET_ACCESS_KEY": ADMINISTRATOR,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
        }

    def environment(self) -> dict[str, str]:
        """Return the environment in which AWS is this emulator and the caller its administrator."""
        return {**environment_without_aws(), **self.settings()}

    def close(self) -> None:
        self._stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            _end(process)

    def _start_on_free_ports(self) -> None:
        for _ in range(ATTEMPTS):
            self._ports = _free_ports()
            self._start()
            if self._came_up():
                return
            self._stop()
        raise EmulatorDidNotStart(log=self.log())

    def _start(self) -> None:
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "infra.local.emulator"],
                # It ends when this pipe closes: when we end, however we end.
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env=self._emulator_environment(),
                # Ctrl-C is for us; the emulator is ended after those who use it.
                start_new_session=True,
            )

    def _emulator_environment(self) -> dict[str, str]:
        return {
            **self.environment(),
            "AUTH": "true",
            "BIND_HOST": LOOPBACK,
            "GATEWAY_PORT": str(self._ports.http),
            "IOT_MTLS_PORT": str(self._ports.mqtt),
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "MINISTACK_REGION": REGION,
            "TMPDIR": str(self.folder),
            "S3_DATA_DIR": str(self.folder / "s3"),
            "STATE_DIR": str(self.folder / "state"),
            # Functions run as processes; a Docker daemon that happens to be here is left alone.
            "DOCKER_HOST": f"unix://{self.folder}/no-docker.sock",
            "LAMBDA_EXECUTOR": "local",
            "LOG_LEVEL": "WARNING",
            # Layers and handlers come from the deployment, not from this repository.
            "PYTHONPATH": "",
        }

    def _came_up(self) -> bool:
        """Wait until it answers; `False` when it ended, which a taken port makes it do."""
        deadline = time.monotonic() + STARTS_WITHIN_SECONDS
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                return False
            try:
                ready = json.loads(self.fetch("/_ministack/ready"))
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(POLL_SECONDS)
                continue
            return bool(ready["iot_mtls"] == "listening")
        raise EmulatorDidNotStart(log=self.log())


def environment_without_aws() -> dict[str, str]:
    """Return our environment without profile, credentials or endpoint of any AWS."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    loopback = ",".join(filter(None, [kept.get("NO_PROXY", ""), LOOPBACK, "localhost"]))
    return {
        **kept,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", "")]),
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": loopback,
        "no_proxy": loopback,
    }


def _free_ports() -> Ports:
    with socket.socket() as http, socket.socket() as mqtt:
        http.bind((LOOPBACK, 0))
        mqtt.bind((LOOPBACK, 0))
        return Ports(http=http.getsockname()[1], mqtt=mqtt.getsockname()[1])


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=ENDS_WITHIN_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdin is not None:
        process.stdin.close()
