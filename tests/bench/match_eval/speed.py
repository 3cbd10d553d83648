"""How fast: decisions a second, and against comparing with every member."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rapidfuzz import process
from rapidfuzz.distance import DamerauLevenshtein

from forecourt.inquiry import DEFAULT_POLICY, inquire
from forecourt.weighing import Candidate, Weights, decide
from tests.bench.match_eval.sales import SaleMaker
from tests.bench.match_eval.store import Store, slips

if TYPE_CHECKING:
    from tests.bench.match_eval.population import Population

ROUNDS = 20_000
SCANNED = 200
SPEED_STREAM = 999


def decisions_a_second(weights: Weights) -> float:
    """Return how many decisions with three candidates, all fields known, one core makes."""
    best = 0.0
    levels = {name: sorted(each) for name, each in weights.levels.items()}
    candidates = [
        Candidate(
            member_id=str(place),
            levels={name: each[place % len(each)] for name, each in levels.items()},
        )
        for place in range(3)
    ]
    for _ in range(3):
        started = time.process_time()
        for _ in range(ROUNDS):
            decide(candidates, weights=weights, policy=DEFAULT_POLICY)
        best = max(best, ROUNDS / (time.process_time() - started))
    return best


def times_faster_than_a_scan(population: Population, weights: Weights) -> float:
    """
    Return how much faster sales with a phone are decided than rapidfuzz finds its neighbours.

    rapidfuzz compares the phone with every member's, which is less than deciding; the
    inquiry does everything, the simulation of portraits included.
    """
    phones = [str(each) for each in population.phones]
    sales = [
        sale
        for sale in SaleMaker(population, stream=SPEED_STREAM).sales(4 * SCANNED)
        if any(each.kind == "phone" for each in sale.observations)
    ][:SCANNED]
    store = Store(population)
    started = time.process_time()
    for sale in sales:
        store.converse(inquire(sale.observations, sale.fill, weights=weights, tolerate=slips), sale)
    keyed = time.process_time() - started
    started = time.process_time()
    for sale in sales:
        phone = next(each.digest for each in sale.observations if each.kind == "phone")
        process.extract(
            phone, phones, scorer=DamerauLevenshtein.distance, score_cutoff=1, limit=None
        )
    return (time.process_time() - started) / keyed
