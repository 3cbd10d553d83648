"""
Whether a decision costs the same among many members as among few.

Members of the generator of `match_eval` are written into tables like the Loyalty table, ten times
as many into one as into the other: their identities, portraits and blocks of numbers. Sales are
then judged by what matching runs, one among few and one among many in turn, so that whatever else
the machine does falls on both. A key is half a read unit, as in `cost_probe`.
"""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

import numpy as np

from forecourt.attributes import to_item
from forecourt.candidates_table import CandidatesTable
from forecourt.conversations import in_step
from forecourt.habits import Habits
from forecourt.hashes import EvidenceKey
from forecourt.inquiry import inquire
from forecourt.stored_identities import (
    block_key,
    identity_key,
    identity_to_item,
    portrait_key,
    portrait_mark,
)
from forecourt.stored_portraits import habits_to_map
from forecourt.weights_table import shipped_weights
from tests.bench.costs import copy_schema
from tests.bench.match_eval.drivers import identities_of, portrait_of
from tests.bench.match_eval.population import build
from tests.bench.match_eval.rates import Rates
from tests.bench.match_eval.sales import EPOCH, SaleMaker
from tests.bench.match_eval.store import slips

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forecourt.attributes import Item
    from infra.local.stack import LocalStack
    from tests.bench.match_eval.population import Population
    from tests.bench.match_eval.sales import SimulatedSale

FEW, MANY = 10_000, 100_000  # members; more the local stack does not hold in a few minutes
CITIES = 337
SALES = 1_000  # judged in each table
WARMING_UP = 20  # of them: connections, the first look at everything
WRITERS = 4
ITEMS_A_CALL = 25


def decisions(stack: LocalStack) -> dict[str, float]:
    """Return `matching.at_<members>.<what>` a decision, and `matching.<what>.ratio`."""
    rooms = {members: Room(stack, members) for members in (FEW, MANY)}
    for pair in zip(*(room.sales() for room in rooms.values()), strict=True):
        for room, sale in zip(rooms.values(), pair, strict=True):
            room.judge(sale)
    few, many = (room.figures() for room in rooms.values())
    return {
        **{f"matching.at_{FEW}.{name}": figure for name, figure in few.items()},
        **{f"matching.at_{MANY}.{name}": figure for name, figure in many.items()},
        **{f"matching.{name}.ratio": many[name] / few[name] for name in few},
    }


class Room:
    """A table with so many *members*, and what judging their sales has cost."""

    def __init__(self, stack: LocalStack, members: int) -> None:
        name = f"bench-matching-{members}"
        dynamodb = stack.client("dynamodb")
        copy_schema(dynamodb, stack.outputs["LoyaltyTableName"], name)
        self._population = build(members=members, cities=CITIES, rates=Rates(), seed=1)
        _fill(dynamodb, name, self._population)
        dynamodb.meta.events.register("before-parameter-build.dynamodb.BatchGetItem", self._count)
        self._candidates = CandidatesTable(dynamodb, name=name)
        self._weights = shipped_weights()
        self._counted: Counter[str] = Counter()
        self._milliseconds: list[float] = []

    def sales(self) -> Iterator[SimulatedSale]:
        return SaleMaker(self._population, stream=1).sales(SALES)

    def judge(self, sale: SimulatedSale) -> None:
        typed = (each.digest[:7] for each in sale.observations if each.kind == "phone")
        blocks = {0: tuple(typed)}
        began = time.perf_counter()
        in_step(
            [inquire(sale.observations, sale.fill, weights=self._weights, tolerate=slips)],
            lambda asked: self._candidates.look_up(asked, blocks=blocks),
        )
        self._milliseconds.append((time.perf_counter() - began) * 1000)

    def figures(self) -> dict[str, float]:
        spent = self._milliseconds[WARMING_UP:]
        return {
            "round_trips": self._counted["round_trips"] / SALES,
            "read_units": self._counted["keys"] / 2 / SALES,
            "p50_ms": median(spent),
            "p95_ms": quantiles(spent, n=20)[-1],
        }

    def _count(self, params: dict[str, Any], **_: Any) -> None:
        self._counted["round_trips"] += 1
        self._counted["keys"] += sum(len(each["Keys"]) for each in params["RequestItems"].values())


def _fill(dynamodb: Any, table: str, population: Population) -> None:
    def put(items: list[Item]) -> None:
        answer = dynamodb.batch_write_item(
            RequestItems={table: [{"PutRequest": {"Item": each}} for each in items]}
        )
        if answer.get("UnprocessedItems"):
            raise RuntimeError(table)

    items = _items(population)
    calls = iter(lambda: list(islice(items, ITEMS_A_CALL)), [])
    with ThreadPoolExecutor(WRITERS) as writers:
        # Some at a time: all of them at once would be half a million items in memory.
        while some := list(islice(calls, 10 * WRITERS)):
            list(writers.map(put, some))


def _items(population: Population) -> Iterator[Item]:
    owners: dict[EvidenceKey, list[str]] = {}
    for member in range(population.size):
        has = identities_of(population, member)
        keys = [EvidenceKey(kind=kind, digest=each) for kind in has for each in has[kind]]
        for key in keys:
            owners.setdefault(key, []).append(str(member))
        portrait = portrait_of(population, member, at=EPOCH, made_it=False)
        habits = Habits(behaviour=portrait.behaviour) if portrait.behaviour else Habits()
        bound = frozenset(portrait_mark(key) for key in keys)
        yield portrait_key(str(member)) | to_item(
            {"type": "portrait", "bound": bound, **habits_to_map(habits)}
        )
    for key, members in owners.items():
        yield identity_key(key) | identity_to_item(key, tuple(members))
    for block in np.flatnonzero(population.blocks):
        yield block_key(str(block + 1_000_000)) | to_item(
            {"type": "block", "numbers": int(population.blocks[block])}
        )
