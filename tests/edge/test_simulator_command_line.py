"""The simulator alone in a terminal."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def command(*arguments: str) -> subprocess.Popen[str]:
    paths = [str(ROOT / "edge"), str(ROOT / "layers/forecourt/python")]
    return subprocess.Popen(
        [sys.executable, "-m", "forecourt_simulator", *arguments],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_it_sells_until_the_wanted_number_has_been_served(tmp_path: Path) -> None:
    wiring = tmp_path / "wiring.json"
    process = command(
        *("--port", "0", "--nozzles", "3", "--speed", "2000", "--arrivals", "600"),
        *("--visits", "12", "--wiring", str(wiring)),
    )

    out, err = process.communicate(timeout=30)

    assert (process.returncode, err) == (0, "")
    assert sum("  nozzle " in line for line in out.splitlines()) == 12
    assert "sold in this run" in out
    assert json.loads(wiring.read_text("utf-8"))["station_id"] == "s0001"


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_it_with_its_totals(stop: signal.Signals) -> None:
    process = command("--port", "0", "--speed", "50")
    assert process.stdout is not None
    first = process.stdout.readline()

    process.send_signal(stop)
    out, err = process.communicate(timeout=10)

    assert "nozzles on 127.0.0.1:" in first
    assert (process.returncode, err) == (0, "")
    assert "sold in this run" in out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--port", "99999"], "--port: '99999' is no whole number 0 to 65535"),
        (["--nozzles", "0"], "--nozzles: '0' is no whole number 1 to 999"),
        (["--nozzles", "60"], "forecourt-controller has at most 48 nozzles"),
        (["--speed", "0"], "--speed: '0' is no positive number"),
        (["--speed", "nan"], "--speed: 'nan' is no positive number"),
        (["--cameras", "camera.local"], "--cameras: not an http:// address: camera.local"),
        (["--station", "S 1"], "--station: 'S 1' does not match"),
        (["--profile", "unheard-of"], "unheard-of: no such profile"),
    ],
)
def test_a_wrong_argument_is_named_and_nothing_is_started(
    arguments: list[str], complaint: str
) -> None:
    out, err = command(*arguments).communicate(timeout=20)

    assert complaint in err
    assert "Traceback" not in err
    assert out == ""


def test_a_taken_port_is_said_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = command("--port", str(port))
        _, err = process.communicate(timeout=20)

    assert process.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in err
