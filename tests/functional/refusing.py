"""Requests that are refused, and leave nothing behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functional.http import Reply
    from tests.functional.world import World

# How far ahead of now nobody can have asked, and what is said of it.
IMPOSSIBLE_TIMES = pytest.mark.parametrize(
    ("minutes", "reason"), [(11, "in_future"), (-2 * 24 * 60 - 1, "too_old")]
)


def assert_refused_for_its_time(world: World, ask: Callable[[], Reply], reason: str) -> None:
    before = world.snapshot()

    reply = ask()

    assert (reply.status, reply.facts["findings"][0]["reason"]) == (422, reason)
    assert world.snapshot() == before
