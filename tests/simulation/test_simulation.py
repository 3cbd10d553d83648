"""
A short run of the simulation, and proof that it sees.

The long run is `python -m tests.simulation --seeds 10000`.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from forecourt.ledger import EntryKind
from forecourt.ledger.entries import Entry
from forecourt.ledger.procedure import KeptRefusal
from tests.simulation.bugs import BUGS
from tests.simulation.history import history_of
from tests.simulation.shrinking import describe, failure_of, shortest
from tests.simulation.simulator import Violation, World

ROOT = Path(__file__).parents[2]
SEEDS_TO_FIND_A_BUG = 200


def test_no_history_breaks_the_books() -> None:
    for seed in range(150):
        failure = failure_of(history_of(seed))

        assert failure is None, f"seed {seed}: {failure!r}"


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_found_within_200_seeds(name: str) -> None:
    with BUGS[name].planted() as store:
        found = next(
            (
                seed
                for seed in range(SEEDS_TO_FIND_A_BUG)
                if failure_of(history_of(seed), store=store) is not None
            ),
            None,
        )

    assert found is not None


def test_a_seed_is_the_same_history_every_time() -> None:
    assert history_of(7) == history_of(7)
    assert history_of(7) != history_of(8)


def test_the_histories_meet_every_kind_of_entry_and_most_refusals() -> None:
    kinds: set[EntryKind] = set()
    refusals: set[str] = set()

    for seed in range(100):
        world = World(history_of(seed))
        world.run()
        for item in world.store.items.values():
            if isinstance(item, Entry):
                kinds.add(item.kind)
            if isinstance(item, KeptRefusal):
                refusals.add(item.code)

    assert kinds == set(EntryKind)
    assert refusals >= {
        "account_frozen",
        "account_merged",
        "already_reversed",
        "below_minimum",
        "capture_exceeds_hold",
        "ceiling_exceeded",
        "checker_is_maker",
        "checker_needed",
        "hold_not_open",
        "insufficient_points",
        "limit_exceeded",
        "not_a_multiple",
        "not_reversible",
        "nothing_pending",
        "nothing_to_extend",
        "nothing_to_reverse",
        "over_reversed",
        "too_many",
        "transfer_to_self",
    }


def test_a_failing_history_is_cut_down_to_what_fails() -> None:
    with BUGS["the entry's id is not checked"].planted() as store:
        seed = next(s for s in range(200) if failure_of(history_of(s), store=store) is not None)
        history = history_of(seed)
        short = shortest(history, store=store)

        assert len(short.actions) <= 6 < len(history.actions)
        assert failure_of(short, store=store) is not None
        for index in range(len(short.actions)):
            rest = short.actions[:index] + short.actions[index + 1 :]
            assert failure_of(replace(short, actions=rest), store=store) is None
    assert len(describe(short).splitlines()) == len(short.actions) + 1


def test_a_row_edited_behind_the_ledgers_back_is_found() -> None:
    world = World(history_of(3))
    world.run()
    key, entry = next(
        (key, item) for key, item in world.store.items.items() if isinstance(item, Entry)
    )

    world.store.items[key] = replace(entry, reason="edited")

    with pytest.raises(Violation):
        world._check_everything()


def test_the_command_line_runs_seeds_in_two_processes() -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--seeds", "20"],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT / 'layers/forecourt/python'}"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.startswith("20 seeds, ")
