"""How fast: decisions a second, and against comparing with every member."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rapidfuzz import process
from rapidfuzz.distance import OSA, DamerauLevenshtein

from forecourt.inquiry import DEFAULT_POLICY
from forecourt.weighing import Candidate, Weights, decide
from tests.bench.match_eval.keyed import KeyedMembers
from tests.bench.match_eval.sales import SaleMaker

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.bench.match_eval.population import Population

ROUNDS = 20_000
PROMISED_AT = 100_000  # members: with more a scan takes too long, with fewer it may be quicker
DECIDED = 2_000  # sales with a phone
SCANNED = 200  # of them
SPEED_STREAM = 999
# The median of whole decisions against the local stack (`tests/bench/matching.py`). Most of them
# make a single call, which takes less.
ROUND_TRIP_SECONDS = 0.0026


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """
    What a sale takes to decide, and to compare its phone with every member's instead.

    Seconds are those of one core. `round_trips` are calls of the table and of KMS.
    """

    decision_seconds: float
    round_trips: float
    scan_seconds: float
    quicker_scan_seconds: float

    @property
    def answered_seconds(self) -> float:
        """Return what a decision takes with its round trips, none of them a quick one."""
        return self.decision_seconds + self.round_trips * ROUND_TRIP_SECONDS


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


def race_with_a_scan(population: Population, weights: Weights) -> Race:
    """
    Return what deciding sales with a phone takes, and what rapidfuzz takes to find its neighbours.

    rapidfuzz compares the phone with every member's, which is less than deciding. A decision pays
    for all that ingest and matching do on the processor: they hash what was observed and what may
    have been meant, and weigh. Instead of decoding what a table returns it makes that up, which
    takes longer: it simulates portraits and hashes what is bound in them. What is not in its
    seconds are the calls of the table, and of KMS, which unseals what was typed.
    """
    phones = [str(each) for each in population.phones]
    sales = [
        sale
        for sale in SaleMaker(population, stream=SPEED_STREAM).sales(2 * DECIDED)
        if any(each.kind == "phone" for each in sale.observations)
    ][:DECIDED]
    typed = [
        next(each.digest for each in sale.observations if each.kind == "phone")
        for sale in sales[:SCANNED]
    ]
    members = KeyedMembers(population)
    started = time.process_time()
    for sale in sales:
        members.judge(sale, weights)
    decided = time.process_time()

    def seconds_a_scan(scorer: Callable[..., float]) -> float:
        started = time.process_time()
        for phone in typed:
            process.extract(phone, phones, scorer=scorer, score_cutoff=1, limit=None)
        return (time.process_time() - started) / len(typed)

    return Race(
        decision_seconds=(decided - started) / len(sales),
        round_trips=members.round_trips / len(sales),
        scan_seconds=seconds_a_scan(DamerauLevenshtein.distance),
        quicker_scan_seconds=seconds_a_scan(OSA.distance),
    )
