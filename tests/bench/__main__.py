"""
`make bench`: what a sale costs and how long it takes.

    python -m tests.bench                     everything
    python -m tests.bench --only imports      one part; the figures of the others are kept

Prints its figures and writes them as one flat object to `build/bench.json`. Nothing here
passes or fails: the machine decides about times, so compare ratios, units and counts.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from infra.local.stack import LocalStack
from tests.bench import edge_polls
from tests.bench.costs import costs
from tests.bench.imports import DOORS, functions, import_ratios
from tests.bench.latency import latencies
from tests.bench.ledger import postings, pure_ledger
from tests.bench.matching import decisions
from tests.bench.throughput import throughput

if TYPE_CHECKING:
    from collections.abc import Callable

RESULTS = Path(__file__).parents[2] / "build" / "bench.json"
IMPORT_RATIO = 1.25
IMPORT_RATIO_OF_A_DOOR = 2.0

# What the project promises: figure, limit, and whether the limit is the most or the least.
GOALS = {
    "sale.write_units": ("<=", 6),
    "sale.read_units": ("<=", 4),
    "sale.round_trips": ("<=", 5),
    "balance.read_units": ("<=", 1),
    **dict.fromkeys(
        [f"ledger.{each}.write_units" for each in ("earn", "spend", "hold", "capture")],
        ("<=", 4),
    ),
    "ledger.hot.ratio": (">=", 0.7),
    "ledger.spread.ratio": (">=", 0.7),
    "ledger.posting_write_units.after_100000": ("<=", 4),
    "matching.round_trips.ratio": ("<=", 1.1),
    "matching.read_units.ratio": ("<=", 1.1),
    "matching.p50_ms.ratio": ("<=", 1.1),
    "latency.at_20.p95_ms": ("<=", 1000),
    "latency.at_20.reached_per_second": (">=", 19),
    "throughput.ratio": (">=", 0.7),
    **{
        f"import.{name}.ratio": ("<=", IMPORT_RATIO_OF_A_DOOR if name in DOORS else IMPORT_RATIO)
        for name in functions()
    },
}
ALONE: dict[str, Callable[[], dict[str, float]]] = {
    "imports": import_ratios,
    "edge": edge_polls.measure,
    "ledger": pure_ledger,
}
ON_THE_STACK: dict[str, Callable[[LocalStack], dict[str, float]]] = {
    "costs": costs,
    "postings": postings,
    "matching": decisions,
    "latency": latencies,
    "throughput": throughput,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description="Measure Forecourt.")
    parser.add_argument("--only", choices=[*ALONE, *ON_THE_STACK], action="append")
    wanted = parser.parse_args().only or [*ALONE, *ON_THE_STACK]
    console = Console(highlight=False)
    figures: dict[str, float] = {}
    for name in wanted:
        if name in ALONE:
            console.print(f"measuring {name} ...")
            figures |= ALONE[name]()
    if on_the_stack := [name for name in wanted if name in ON_THE_STACK]:
        with LocalStack() as stack:
            for name in on_the_stack:
                console.print(f"measuring {name} ...")
                figures |= ON_THE_STACK[name](stack)
    RESULTS.parent.mkdir(exist_ok=True)
    before = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    kept = json.dumps(before | figures, indent=2, sort_keys=True)
    RESULTS.write_text(kept + "\n", "utf-8")
    _show(console, figures)
    return 0


def _show(console: Console, figures: dict[str, float]) -> None:
    table = Table(title=f"written to {RESULTS.relative_to(RESULTS.parents[1])}")
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column("goal", justify="right")
    for name, value in sorted(figures.items()):
        sign, limit = GOALS.get(name, ("", 0.0))
        met = not sign or (value <= limit if sign == "<=" else value >= limit)
        goal = f"{sign} {limit:g}" if sign else ""
        table.add_row(name, f"{value:g}", goal, style=None if met else "yellow")
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
