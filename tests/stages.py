"""
All tests, stage by stage: `python -m tests.stages`, or some of them by name.

Every folder of tests is a stage; one that is missing here is an error, not a silence.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOGS = ROOT / "build" / "test"
PYTHON = sys.executable
PYTEST = [PYTHON, "-m", "pytest", "-q"]
COVERED = [PYTHON, "-m", "coverage", "run", "--append", "-m", "pytest", "-q"]

Command = list[str]

STAGES: dict[str, list[Command]] = {
    "lint": [["ruff", "check"], ["ruff", "format", "--check"]],
    "types": [
        ["mypy", "functions", "layers/forecourt/python/forecourt", "edge", "infra", "tests", "docs"]
    ],
    "unit": [[PYTHON, "-m", "coverage", "erase"], [*COVERED, "tests/unit"]],
    "functional": [[*COVERED, "tests/functional"]],
    # Every branch of the shared package, by the two stages above.
    "coverage": [[PYTHON, "-m", "coverage", "report"]],
    "simulation": [[*PYTEST, "tests/simulation"]],
    "edge": [[*PYTEST, "tests/edge"]],
    "infra": [[*PYTEST, "tests/infra"]],
    "e2e": [[*PYTEST, "tests/e2e"]],
    "demo": [[PYTHON, "-m", "infra.local.demo", "--sales", "60"]],
    "replay": [[PYTHON, "-m", "infra.local.replay", "--fills", "500"]],
}


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
    stages = chosen or list(STAGES)
    failed = []
    for number, stage in enumerate(stages, start=1):
        print(f"[{number}/{len(stages)}] {stage:10} ", end="", flush=True)
        began = time.monotonic()
        log = LOGS / f"{stage}.log"
        passed = run(STAGES[stage], log)
        said = summary(log)
        print(f"{'ok' if passed else 'FAILED':6} {time.monotonic() - began:6.1f} s  {said}")
        if not passed:
            failed.append(stage)
            print(log.read_text(errors="replace"))
    if failed:
        print(f"Failed: {', '.join(failed)}")
    return 1 if failed else 0


def folders_of_tests() -> set[str]:
    return {path.parent.name for path in (ROOT / "tests").glob("*/test_*.py")}


def run(commands: list[Command], log: Path) -> bool:
    """Run *commands* until one fails, their output in *log*."""
    with log.open("wb") as output:
        return all(
            subprocess.run(
                command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, check=False
            ).returncode
            == 0
            for command in commands
        )


def summary(log: Path) -> str:
    """Return the last line of a stage, which is where every tool here sums up."""
    lines = [line.strip("= ") for line in log.read_text(errors="replace").splitlines()]
    last = next((line for line in reversed(lines) if line), "")
    return re.sub(r" in [\d.]+s.*", "", last)[:100]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
