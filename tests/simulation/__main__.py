"""`python -m tests.simulation --seeds N`: run N histories, print the first that fails."""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.history import history_of
from tests.simulation.shrinking import describe, failure_of, shortest

CHUNK = 50


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1))
    arguments = parser.parse_args()
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    began = time.monotonic()
    commands, failing = 0, None
    with ProcessPoolExecutor(arguments.processes) as pool:
        for count, seed in pool.map(
            run_chunk, [seeds[i : i + CHUNK] for i in range(0, len(seeds), CHUNK)]
        ):
            commands += count
            if seed is not None:
                failing = seed
                pool.shutdown(cancel_futures=True)
                break
    if failing is not None:
        history = shortest(history_of(failing))
        sys.stdout.write(f"seed {failing} fails: {failure_of(history)!r}\n")
        sys.stdout.write(describe(history) + "\n")
        return 1
    seconds = time.monotonic() - began
    sys.stdout.write(f"{len(seeds)} seeds, {commands} commands, {seconds:.1f} s, no failure\n")
    return 0


def run_chunk(seeds: range) -> tuple[int, int | None]:
    """Return how many commands were sent, and the first seed that failed, if any."""
    commands = 0
    for seed in seeds:
        history = history_of(seed)
        if failure_of(history) is not None:
            return commands, seed
        commands += sum(1 for action in history.actions if hasattr(action, "command"))
    return commands, None


if __name__ == "__main__":
    sys.exit(main())
