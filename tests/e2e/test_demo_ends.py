"""Ctrl-C ends the demo and every process it started, whenever it comes and however often."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
INTERRUPTED = 130


@contextmanager
def demo(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Run the demo with all its temporary files in *folder*, by which its processes are known."""
    with subprocess.Popen(
        [sys.executable, "-m", "infra.local.demo", *options],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "TMPDIR": str(folder),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: subprocess.Popen[str], said: str) -> None:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if said in line:
            return
    pytest.fail("".join(lines))


def processes_in(folder: Path) -> list[int]:
    """Return the processes that were started with *folder* for their temporary files."""
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            text = environment.read_bytes()
        except OSError:
            continue
        if os.fsencode(f"TMPDIR={folder}") in text:
            found.append(int(environment.parent.name))
    return found


@pytest.mark.parametrize(
    ("by", "options", "said", "code"),
    [
        (signal.SIGINT, [], "MiniStack answers", 0),
        # The terminal is closed.
        (signal.SIGHUP, [], "gateways read", 0),
        # A count that was broken off has compared nothing: it must not look like a success.
        (signal.SIGINT, ["--sales", "500"], "gateways read", INTERRUPTED),
    ],
    ids=["while deploying", "while selling", "while counting"],
)
def test_a_signal_ends_every_process_of_the_demo(
    *, tmp_path: Path, by: signal.Signals, options: list[str], said: str, code: int
) -> None:
    with demo(tmp_path, *options) as process:
        read_until(process, said)
        assert len(processes_in(tmp_path)) > 1

        # Somebody who does not like to wait.
        for _ in range(3):
            process.send_signal(by)
            time.sleep(0.2)
        told, _ = process.communicate(timeout=60)

    assert "every process of the demo has been stopped" in told
    assert "Traceback" not in told
    assert process.returncode == code
    wait_for(lambda: not processes_in(tmp_path))
    assert list(tmp_path.iterdir()) == []
