"""Run with `python -m tests.bench.match_eval --members 100000`."""

from __future__ import annotations

import argparse
import sys

from tests.bench.match_eval.rates import rates_from
from tests.bench.match_eval.run import Plan, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="match_eval", description=__doc__)
    parser.add_argument("--members", type=int, default=100_000)
    parser.add_argument("--sales", type=int, help="to judge; 1,000,000 from a million members on")
    parser.add_argument("--training", type=int, help="sales to learn the weights from")
    parser.add_argument("--cities", type=int, default=337)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rate", action="append", default=[], metavar="NAME=SHARE")
    parser.add_argument("--no-plot", action="store_true", help="leave the plot in docs/ alone")
    chosen = parser.parse_args()
    large = chosen.members >= 1_000_000
    plan = Plan(
        members=chosen.members,
        sales=chosen.sales or (1_000_000 if large else 300_000),
        training=chosen.training or (200_000 if large else 100_000),
        cities=chosen.cities,
        seed=chosen.seed,
        processes=chosen.processes,
        rates=rates_from(chosen.rate),
        plot=not chosen.no_plot,
    )
    return run(plan)


if __name__ == "__main__":
    sys.exit(main())
