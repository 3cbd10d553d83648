"""Cutting a failing history down to the shortest that still fails."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.simulation.history import Start
from tests.simulation.simulator import World
from tests.simulation.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.history import Action, History


def failure_of(history: History, *, store: Callable[[], Store] = Store) -> Exception | None:
    """Return what goes wrong in *history*, or `None`. A crash of the ledger is a failure too."""
    try:
        World(history, store=store()).run()
    except Exception as failure:  # noqa: BLE001 - whatever it is, it should not have been
        return failure
    return None


def shortest(history: History, *, store: Callable[[], Store] = Store) -> History:
    """
    Return a history that fails and of which no action can be left out.

    Halves, then quarters and so on are left out as long as what remains fails (A. Zeller,
    R. Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002); at last the
    faults of each delivery.
    """
    if failure_of(history, store=store) is None:
        return history
    size = max(len(history.actions) // 2, 1)
    while True:
        smaller = _without_some(history, size, store)
        if smaller is not None:
            history = smaller
        elif size > 1:
            size //= 2
        else:
            break
    for index, action in enumerate(history.actions):
        if isinstance(action, Start):
            for calm in (replace(action, script="", skew_seconds=0), replace(action, script="")):
                tried = _with(history, index, calm)
                if failure_of(tried, store=store) is not None:
                    history = tried
                    break
    return history


def describe(history: History) -> str:
    """Return *history* as lines to be read."""
    lines = [f"{history.begins_at:%Y-%m-%dT%H:%M:%SZ} {history.policy}"]
    return "\n".join([*lines, *(f"  {action}" for action in history.actions)])


def _without_some(history: History, size: int, store: Callable[[], Store]) -> History | None:
    for start in range(0, len(history.actions), size):
        rest = history.actions[:start] + history.actions[start + size :]
        tried = replace(history, actions=rest)
        if failure_of(tried, store=store) is not None:
            return tried
    return None


def _with(history: History, index: int, action: Action) -> History:
    actions = (*history.actions[:index], action, *history.actions[index + 1 :])
    return replace(history, actions=actions)
