"""
Verification against thousands of commands: silent on what they leave, loud on what is forged.

Histories are those of the simulation, so reversals of reversals, merges and parked refunds are
among them in every order.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.ledger import Account
from forecourt.ledger.decisions import Parked, Reversals
from forecourt.ledger.entries import TRANSFER, Entry
from forecourt.ledger.verifying import Holdings, differences, passing
from tests.simulation.history import BUDGET, history_of
from tests.simulation.simulator import World
from tests.simulation.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from forecourt.ledger.decisions import Decision

SEEDS = 150
FORGERIES = 60


def owned(items: dict[Any, Any]) -> dict[str, Holdings]:
    """Return what a table with *items* in it has, by owner."""
    found: defaultdict[str, defaultdict[type, list[Any]]]
    found = defaultdict(lambda: defaultdict(list))
    for key, item in items.items():
        found[key.owner][type(item)].append(item)
    return {
        owner: Holdings(
            owner=owner,
            accounts={account.wallet: account for account in kinds[Account]},
            parked=tuple(kinds[Parked]),
            reversals=tuple(kinds[Reversals]),
            entries=tuple(kinds[Entry]),
        )
        for owner, kinds in found.items()
    }


def lived(seed: int) -> dict[Any, Any]:
    world = World(history_of(seed))
    world.run()
    return world.store.items


def found_in(items: dict[Any, Any]) -> list[Any]:
    return [each for holdings in owned(items).values() for each in differences(holdings)]


class Camera(Store):
    """A store that keeps what it held after every transaction."""

    def __init__(self) -> None:
        super().__init__()
        self.moments: list[dict[Any, Any]] = []

    def write(self, decision: Decision) -> None:
        super().write(decision)
        self.moments.append(dict(self.items))


def test_no_history_leaves_a_difference() -> None:
    for seed in range(SEEDS):
        assert found_in(lived(seed)) == [], f"seed {seed}"


def test_no_history_leaves_anything_where_points_only_pass_through() -> None:
    seen: set[str] = set()
    for seed in range(SEEDS):
        entries = [item for item in lived(seed).values() if isinstance(item, Entry)]
        left = passing(entries, settled_before=date.max)
        seen |= left.keys()
        assert not any(left.values()), f"seed {seed}"
    assert seen == {TRANSFER, BUDGET}


def test_no_history_has_a_difference_for_who_reads_while_it_goes_on() -> None:
    """Accounts as they were, notes as they were a little later, entries later still."""
    for seed in range(SEEDS):
        camera = Camera()
        World(history_of(seed), store=camera).run()
        chance = random.Random(seed)
        # A history in which next to nothing was possible has few moments, perhaps one.
        moments = sorted(chance.choices(range(len(camera.moments)), k=3))
        early, later, last = (owned(camera.moments[moment]) for moment in moments)
        for owner, holdings in early.items():
            read = replace(
                holdings,
                parked=later[owner].parked,
                reversals=later[owner].reversals,
                entries=last[owner].entries,
            )
            made_meanwhile = last[owner].accounts.keys() - holdings.accounts.keys()
            found = [
                each
                for each in differences(read)
                if each.kind != "account_missing" or each.facts["wallet"] not in made_meanwhile
            ]
            assert found == [], f"seed {seed}"


def removed(items: dict[Any, Any], chance: random.Random) -> None:
    del items[chance.choice([key for key, item in items.items() if isinstance(item, Entry)])]


def points_added(items: dict[Any, Any], chance: random.Random) -> None:
    keys = [key for key, item in items.items() if isinstance(item, Entry) and item.legs]
    key = chance.choice(keys)
    one, *others = items[key].legs
    (other, *rest) = others or (replace(one, points=-one.points),)
    legs = (replace(one, points=one.points + 1), replace(other, points=other.points - 1), *rest)
    items[key] = replace(items[key], legs=legs)


def account_enriched(items: dict[Any, Any], chance: random.Random) -> None:
    keys = [key for key, item in items.items() if isinstance(item, Account) and item.buckets]
    key = chance.choice(keys)
    day = chance.choice(list(items[key].buckets))
    items[key] = replace(
        items[key], buckets={**items[key].buckets, day: items[key].buckets[day] + 1}
    )


def account_removed(items: dict[Any, Any], chance: random.Random) -> None:
    del items[chance.choice([key for key, item in items.items() if isinstance(item, Account)])]


def note_lowered(items: dict[Any, Any], chance: random.Random) -> None:
    keys = [
        key
        for key, item in items.items()
        # Another account's reversals are in that account's partition.
        if isinstance(item, Reversals) and item.reversed and _reversed_by_itself(items, key)
    ]
    key = chance.choice(keys)
    items[key] = replace(items[key], reversed=0)


def _reversed_by_itself(items: dict[Any, Any], key: Any) -> bool:
    return any(
        isinstance(item, Entry)
        and (item.member_id, item.refers_to) == (key.owner, key.entry_id)
        and any(leg.points for leg in item.legs)
        for item in items.values()
    )


@pytest.mark.parametrize(
    "forge", [removed, points_added, account_enriched, account_removed, note_lowered]
)
def test_whatever_is_forged_in_any_history_is_found(
    forge: Callable[[dict[Any, Any], random.Random], None],
) -> None:
    forged = 0
    for seed in range(SEEDS):
        items = lived(seed)
        before = dict(items)
        try:
            forge(items, random.Random(seed))
        except IndexError:
            continue  # nothing of that kind in this history
        forged += 1
        assert items != before
        assert found_in(items) != [], f"seed {seed}"
    assert forged >= FORGERIES
