"""
Weights learnt from sales of their own: no truth but the confirmed, as the job learns.

Unlike the job it also compares some sales with a member drawn at random, and nothing of presence
is learnt from these: with as few sales, look-ups alone find too few strangers.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np

from forecourt.agreement import compare, density_class
from forecourt.inquiry import DEFAULT_POLICY, gather
from forecourt.learning import Scope, estimate, phone_floors
from forecourt.pairs import pairs_from_candidates
from forecourt.trials import Comparison, TriedSale, compare_weights
from forecourt.weighing import Candidate
from forecourt.weights import weights_to_document
from tests.bench.match_eval.drivers import portrait_of
from tests.bench.match_eval.population import NUMBERS_A_BLOCK
from tests.bench.match_eval.sales import SaleMaker
from tests.bench.match_eval.store import Store, slips

if TYPE_CHECKING:
    from collections.abc import Mapping

    from forecourt.weighing import Weights
    from tests.bench.match_eval.population import Population
    from tests.bench.match_eval.sales import SimulatedSale

TRAINING_STREAM = 0
CONFIRMED = 0.05  # of the training sales: the member answered in the app
HELD_BACK = 0.2
CONTROLS = 0.1  # of the training sales: compared with a member drawn at random, too
MISTYPED_GUESS = 0.05  # an operator's guess from above, not the simulation's rate
SCOPES = dict.fromkeys(("phone", "plate", "payment", "card", "etc_tag"), Scope.KEYED)


def learn(population: Population, *, sales: int) -> tuple[Weights, dict[str, Any], Comparison]:
    """Return weights, their document, and how they did on held-back sales beside a first half."""
    store = Store(population)
    rng = Random(population.seed)
    candidates: list[list[Candidate]] = []
    truths: list[str] = []
    observed: list[set[str]] = []
    classes: Counter[int] = Counter()
    for sale in SaleMaker(population, stream=TRAINING_STREAM).sales(sales):
        found = store.converse(gather(sale.observations, sale.fill, tolerate=slips), sale)
        if rng.random() < CONTROLS:
            found.append(_control(population, sale, rng))
        candidates.append(found)
        truths.append("" if sale.member is None else str(sale.member))
        observed.append({each.kind for each in sale.observations})
        for each in sale.observations:
            if each.kind == "phone":
                classes[density_class(store.block_members(each.digest))] += 1
    train = int(sales * (1 - HELD_BACK))
    labels = [truth if rng.random() < CONFIRMED else None for truth in truths]
    floors = {"phone": _floors(population, classes)}

    def estimated(last: int, version: int) -> Weights:
        pairs = pairs_from_candidates(candidates[:last], labels[:last], observed=observed[:last])
        return estimate(pairs, members=population.size, scopes=SCOPES, floors=floors).weights(
            version
        )

    active = estimated(train // 4, 1)
    proposed = estimated(train, 2)
    held_back = [
        TriedSale(candidates=found, member_id=truth)
        for found, truth in zip(candidates[train:], truths[train:], strict=True)
    ]
    comparison = compare_weights(held_back, active=active, proposed=proposed, policy=DEFAULT_POLICY)
    confirmed = sum(label is not None for label in labels[:train])
    proposed = replace(proposed, levels={**proposed.levels, **_by_agreement()})
    return proposed, weights_to_document(proposed, sales=train, confirmed=confirmed), comparison


def _control(population: Population, sale: SimulatedSale, rng: Random) -> Candidate:
    """
    Return anybody, compared with a sale they have nothing to do with.

    Look-ups seldom find somebody who did not make the sale and has not the car of who did. From
    these few alone it would not be learnt how strangers differ. Where such a one was at the time
    is left open: what presence is worth is learnt from those whom it has to tell apart.
    """
    member = rng.randrange(population.size)
    levels = compare(
        sale.observations,
        sale.fill,
        weights=None,
        block_members=0,
        owned={},
        portrait=portrait_of(population, member, at=sale.fill.at, made_it=False),
        presences=None,
        tolerate=slips,
    )
    return Candidate(member_id=str(member), levels=levels)


def _by_agreement() -> dict[str, dict[str, int]]:
    """
    Return the weights of what the training sales cannot show, as an operator would set them.

    Who is shown a sale and claims it is its maker 60 times likelier than not.
    """
    return {"claim": {"same": round(100 * math.log2(60))}}


def _floors(population: Population, classes: Mapping[int, int]) -> dict[str, float]:
    """Return u of phones from how many members each block of numbers has, a count the job keeps."""
    blocks = population.blocks
    used = blocks[blocks > 0]
    of_block = np.minimum(4, np.maximum(0, (np.floor(np.log2(used)).astype(np.int64) - 2) // 2))
    density = {
        each: float(used[of_block == each].mean()) / NUMBERS_A_BLOCK
        for each in range(5)
        if (of_block == each).any()
    }
    return phone_floors(
        classes,
        density,
        mean_density=float(used.mean()) / NUMBERS_A_BLOCK,
        slip_share=MISTYPED_GUESS,
        members=population.size,
    )
