"""One run: build, learn, judge on all processes, report."""

from __future__ import annotations

import json
import multiprocessing
import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.match_eval.calibration import draw
from tests.bench.match_eval.evaluation import Result, evaluate
from tests.bench.match_eval.population import Population, build
from tests.bench.match_eval.report import report
from tests.bench.match_eval.speed import PROMISED_AT, decisions_a_second, race_with_a_scan
from tests.bench.match_eval.training import learn

if TYPE_CHECKING:
    from forecourt.weighing import Weights
    from tests.bench.match_eval.rates import Rates

PARTS = 20  # streams of sales, so that the result does not depend on the number of processes
PLOT = Path("docs/calibration.svg")
KEPT = Path("build/match_eval")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to run."""

    members: int
    sales: int
    training: int
    cities: int
    seed: int
    processes: int
    rates: Rates
    plot: bool


_shared: dict[str, tuple[Population, Weights]] = {}


def run(plan: Plan) -> int:
    """Run *plan*, print what came of it, return how many targets were missed."""
    started = time.monotonic()
    population = build(members=plan.members, cities=plan.cities, rates=plan.rates, seed=plan.seed)
    print(f"{plan.members:,} members in {plan.cities} cities", _since(started), flush=True)
    weights, document, comparison = learn(population, sales=plan.training)
    KEPT.mkdir(parents=True, exist_ok=True)
    (KEPT / f"weights-{plan.members}.json").write_text(json.dumps(document, indent=1))
    print(f"weights learnt from {plan.training:,} sales", _since(started), flush=True)
    result = _judged(plan, population, weights)
    print(f"{plan.sales:,} sales judged", _since(started), flush=True)
    speed = decisions_a_second(weights)
    race = race_with_a_scan(population, weights) if plan.members <= PROMISED_AT else None
    if plan.plot:
        print(f"calibration drawn to {PLOT}")
        PLOT.parent.mkdir(exist_ok=True)
        PLOT.write_text(draw(result, members=plan.members))
    return report(
        result,
        members=plan.members,
        weights=weights,
        comparison=comparison,
        speed=speed,
        race=race,
        seconds=time.monotonic() - started,
        gib=_peak_gib(),
    )


def _judged(plan: Plan, population: Population, weights: Weights) -> Result:
    _shared["run"] = (population, weights)  # forked processes share it without a copy
    jobs = [(1 + part, plan.sales // PARTS) for part in range(PARTS)]
    total = Result()
    if plan.processes == 1:
        parts = map(_part, jobs)
        for each in parts:
            total.absorb(each)
        return total
    with multiprocessing.get_context("fork").Pool(plan.processes) as pool:
        for each in pool.imap(_part, jobs):
            total.absorb(each)
    return total


def _part(job: tuple[int, int]) -> Result:
    stream, sales = job
    population, weights = _shared["run"]
    return evaluate(population, weights, stream=stream, sales=sales)


def _since(started: float) -> str:
    return f"({time.monotonic() - started:,.0f} s, {_peak_gib():.1f} GiB)"


def _peak_gib() -> float:
    """Return the most memory held by this process plus the largest of its children."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return float(own + child) / 1024 / 1024
