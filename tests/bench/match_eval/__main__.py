"""Run with `python -m tests.bench.match_eval --members 100000`."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from tests.bench.match_eval.rates import rates_from
from tests.bench.match_eval.run import Plan, run

if TYPE_CHECKING:
    from collections.abc import Sequence


PLOTTED_FROM = 10_000_000  # members: the plot in docs/ is of the whole country


def plan_from(arguments: Sequence[str] | None = None) -> Plan:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(prog="match_eval", description=__doc__)
    parser.add_argument("--members", type=int, default=100_000)
    parser.add_argument("--sales", type=int, help="to judge; 1,000,000 from a million members on")
    parser.add_argument("--training", type=int, help="sales to learn the weights from")
    parser.add_argument("--cities", type=int, default=337)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rate", action="append", default=[], metavar="NAME=SHARE")
    parser.add_argument(
        "--plot",
        action=argparse.BooleanOptionalAction,
        help="draw the plot in docs/; unless told otherwise, from ten million members on",
    )
    chosen = parser.parse_args(arguments)
    large = chosen.members >= 1_000_000
    return Plan(
        members=chosen.members,
        sales=chosen.sales or (1_000_000 if large else 300_000),
        training=chosen.training or (200_000 if large else 100_000),
        cities=chosen.cities,
        seed=chosen.seed,
        processes=chosen.processes,
        rates=rates_from(chosen.rate),
        plot=chosen.members >= PLOTTED_FROM if chosen.plot is None else chosen.plot,
    )


def main() -> int:
    return run(plan_from())


if __name__ == "__main__":
    sys.exit(main())
