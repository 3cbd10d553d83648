"""
All tests, stage by stage: `python -m tests.stages`, or some of them by name.

Every folder of tests is a stage; one that is missing here is an error, not a silence. They run
in two lanes, one for each of two cores: what starts the whole stack mostly waits, so it goes
beside something that computes.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

from rich.console import Console

ROOT = Path(__file__).parents[1]
LOGS = ROOT / "build" / "test"
PYTHON = sys.executable
PYTEST = [PYTHON, "-m", "pytest", "-q"]
COVERAGE = [PYTHON, "-m", "coverage"]
# Several at once: each with a file of its own, which the stage `coverage` combines.
COVERED = [*COVERAGE, "run", "--parallel-mode", "-m", "pytest", "-q"]
FUNCTIONAL = ROOT / "tests" / "functional"
API = [str(path.relative_to(ROOT)) for path in sorted(FUNCTIONAL.rglob("test_*api*.py"))]

Command = list[str]
Lane = tuple[str, ...]

STAGES: dict[str, list[Command]] = {
    "lint": [["ruff", "check"], ["ruff", "format", "--check"]],
    "types": [
        ["mypy", "functions", "layers/forecourt/python/forecourt", "edge", "infra", "tests", "docs"]
    ],
    "unit": [[*COVERED, "tests/unit"]],
    "functional": [[*COVERED, "tests/functional", *(f"--ignore={path}" for path in API)]],
    # The HTTP API, a half of the functional tests in time.
    "api": [[*COVERED, *API]],
    # Every branch of the shared package, by the three stages above.
    "coverage": [[*COVERAGE, "combine", "--quiet"], [*COVERAGE, "report"]],
    "simulation": [[*PYTEST, "tests/simulation"]],
    "edge": [[*PYTEST, "tests/edge"]],
    "infra": [[*PYTEST, "tests/infra"]],
    "e2e": [[*PYTEST, "tests/e2e"]],
    "demo": [[PYTHON, "-m", "infra.local.demo", "--sales", "60"]],
    "replay": [[PYTHON, "-m", "infra.local.replay", "--fills", "500"]],
}
# One after another; the lanes of each at once.
PHASES: tuple[tuple[Lane, ...], ...] = (
    (
        ("lint", "types", "infra", "edge", "e2e", "demo"),
        ("unit", "functional", "api", "simulation", "replay"),
    ),
    (("coverage",),),
)


def main(chosen: list[str]) -> int:
    forgotten = folders_of_tests() - STAGES.keys()
    if forgotten:
        print(f"Folders of tests without a stage in {__file__}: {', '.join(sorted(forgotten))}")
        return 1
    unknown = set(chosen) - STAGES.keys()
    if unknown:
        print(f"No such stage: {', '.join(sorted(unknown))}. There are: {', '.join(STAGES)}")
        return 1
    LOGS.mkdir(parents=True, exist_ok=True)
    wanted = set(chosen or STAGES)
    report = Report(len(wanted))
    # What an earlier run left.
    subprocess.run([*COVERAGE, "erase"], cwd=ROOT, check=True)

    def run_lane(lane: Lane) -> None:
        for stage in lane:
            if stage in wanted:
                run(stage, report)

    for lanes in PHASES:
        with ThreadPoolExecutor(len(lanes)) as pool:
            # Looked at, so that a fault of this file is raised.
            list(pool.map(run_lane, lanes))
    return report.conclude()


def folders_of_tests() -> set[str]:
    return {path.parent.name for path in (ROOT / "tests").glob("*/test_*.py")}


class Report:
    """What is running, on a terminal, and a line for each stage that is over."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._over = 0
        self._running: list[str] = []
        self._failed: list[str] = []
        self._lock = Lock()
        self._console = Console(highlight=False, soft_wrap=True)
        self._status = self._console.status("")
        self._status.start()

    def began(self, stage: str) -> None:
        with self._lock:
            self._running.append(stage)
            self._status.update(", ".join(self._running))

    def ended(self, stage: str, log: Path, *, passed: bool, seconds: float) -> None:
        with self._lock:
            self._over += 1
            self._running.remove(stage)
            self._status.update(", ".join(self._running))
            verdict = "ok" if passed else "FAILED"
            place = f"[{self._over}/{self._total}]"
            line = f"{place:7} {stage:10} {verdict:6} {seconds:6.1f} s  {summary(log)}"
            self._console.print(line, markup=False)
            if not passed:
                self._failed.append(stage)
                self._console.print(log.read_text(errors="replace"), markup=False)

    def conclude(self) -> int:
        """Say what failed; return the exit status."""
        self._status.stop()
        if self._failed:
            self._console.print(f"Failed: {', '.join(self._failed)}", markup=False)
        return 1 if self._failed else 0


def run(stage: str, report: Report) -> None:
    """Run a stage's commands until one fails, their output in its log."""
    report.began(stage)
    log, began = LOGS / f"{stage}.log", time.monotonic()
    with log.open("wb") as output:
        passed = all(
            subprocess.run(
                command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, check=False
            ).returncode
            == 0
            for command in STAGES[stage]
        )
    report.ended(stage, log, passed=passed, seconds=time.monotonic() - began)


def summary(log: Path) -> str:
    """Return the last line of a stage, which is where every tool here sums up."""
    lines = [line.strip("= ") for line in log.read_text(errors="replace").splitlines()]
    last = next((line for line in reversed(lines) if line), "")
    return re.sub(r" in [\d.]+s.*", "", last)[:100]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
