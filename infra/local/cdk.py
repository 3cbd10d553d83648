"""The `cdk` command, run for the local target."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING, Self

from infra.local.errors import CdkFailed, CdkNotFound
from infra.local.ministack import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Cdk"]

# `cdk deploy` numbers the resources it has finished: "Forecourt |  12/130 | …".
PROGRESS = re.compile(r"\|\s*(\d+)/(\d+) \|")
PROGRESS_STEPS = 4


class Cdk:
    """
    One running `cdk` command, as a context manager: leaving it waits for its end.

    It is told to fail rather than to ask, and ended when the block is left by an exception.
    """

    def __init__(self, *arguments: str, environment: Mapping[str, str]) -> None:
        cdk = shutil.which("cdk", path=str(ROOT / "node_modules" / ".bin")) or shutil.which("cdk")
        if cdk is None:
            raise CdkNotFound
        self._name = f"cdk {arguments[0]}"
        self._lines: list[str] = []
        self._process = subprocess.Popen(
            [cdk, *arguments, "-c", "target=local"],
            cwd=ROOT,
            env={**environment, "CI": "true"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A group of its own, so that it can be ended with the synthesis it starts.
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._lines += self._output()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        if error is None and self._process.returncode != 0:
            raise CdkFailed(command=self._name, log="".join(self._lines))

    def progress(self) -> Iterator[tuple[int, int]]:
        """Yield a few times how many resources of how many are there."""
        told = 0
        for line in self._output():
            self._lines.append(line)
            match = PROGRESS.search(line)
            if match is None:
                continue
            done, total = map(int, match.groups())
            if done * PROGRESS_STEPS // total > told:
                told = done * PROGRESS_STEPS // total
                yield done, total

    def _output(self) -> Iterator[str]:
        return iter(self._process.stdout or ())
