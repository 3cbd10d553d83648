"""The emulator is this machine's alone, enforces IAM, and ends with whoever started it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.exceptions import ClientError

from infra.local import ministack
from infra.local.errors import EmulatorDidNotStart
from infra.local.ministack import REGION, ROOT, MiniStack

if TYPE_CHECKING:
    from collections.abc import Iterator

# Starts an emulator, says which, and waits to be killed.
HOLDER = """
from infra.local.ministack import MiniStack
with MiniStack() as emulator:
    print(emulator._process.pid, emulator.folder, flush=True)
    input()
"""
GONE_WITHIN_SECONDS = 20


@pytest.fixture(scope="module")
def emulator() -> Iterator[MiniStack]:
    with MiniStack() as running:
        yield running


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + GONE_WITHIN_SECONDS
    while is_running(pid):
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.05)


def addresses_listening(pid: int) -> set[str]:
    """Return the addresses a process listens on, from `/proc`."""
    inodes = set()
    for descriptor in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208 - links to no files
        try:
            target = os.readlink(f"/proc/{pid}/fd/{descriptor}")  # noqa: PTH115
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            inodes.add(target.removeprefix("socket:[").removesuffix("]"))
    found = set()
    for table in ("tcp", "tcp6"):
        with open(f"/proc/{pid}/net/{table}") as lines:  # noqa: PTH123
            for line in list(lines)[1:]:
                fields = line.split()
                if fields[3] == "0A" and fields[9] in inodes:
                    found.add(fields[1].split(":")[0])
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_it_listens_to_this_machine_only(emulator: MiniStack) -> None:
    assert emulator._process is not None

    loopback = socket.inet_aton("127.0.0.1")[::-1].hex().upper()
    assert addresses_listening(emulator._process.pid) == {loopback}


def test_a_stranger_is_refused(emulator: MiniStack) -> None:
    stranger = boto3.client(
        "sts",
        endpoint_url=emulator.endpoint_url,
        region_name=REGION,
        aws_access_key_id="AKIASTRANGER",
        aws_secret_access_key="unknown",
    )

    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        stranger.get_caller_identity()


def test_what_it_starts_cannot_reach_a_real_account(
    emulator: MiniStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "real")

    environment = emulator.environment()

    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN"} & environment.keys()
    assert environment["AWS_ENDPOINT_URL"] == emulator.endpoint_url
    assert environment["AWS_CONFIG_FILE"] == os.devnull


def test_nothing_is_left_when_it_was_left() -> None:
    with MiniStack() as emulator:
        assert emulator._process is not None
        pid, folder = emulator._process.pid, emulator.folder
        assert folder.exists()

    assert not is_running(pid)
    assert not folder.exists()


def test_it_ends_and_cleans_up_when_its_parent_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        pid, folder = holder.stdout.readline().split()
        assert is_running(int(pid))

        holder.send_signal(signal.SIGKILL)

    wait_until_gone(int(pid))
    assert not Path(folder).exists()


def test_a_taken_port_is_left_to_whoever_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        free = ministack._free_ports
        offered = iter([ministack.Ports(http=port, mqtt=port)])
        monkeypatch.setattr(ministack, "_free_ports", lambda: next(offered, None) or free())

        with MiniStack() as emulator:
            assert emulator.endpoint_url != f"http://127.0.0.1:{port}"


def test_an_emulator_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr(ministack, "_free_ports", lambda: ministack.Ports(http=port, mqtt=port))
        emulator = MiniStack()

        with pytest.raises(EmulatorDidNotStart, match="already in use"), emulator:
            pass

    assert not emulator.folder.exists()
