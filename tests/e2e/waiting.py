"""Waiting for what happens behind the scenes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

WITHIN_SECONDS = 90.0  # a shared machine may stand still for long; how fast it is, the bench says
LOOK_EVERY_SECONDS = 0.05


def wait_for(
    look: Callable[[], T],
    until: Callable[[T], bool] = bool,
    *,
    within_seconds: float = WITHIN_SECONDS,
) -> T:
    """Look again and again until what is seen satisfies *until*; return it."""
    deadline = time.monotonic() + within_seconds
    while True:
        seen = look()
        if until(seen):
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"after {within_seconds} s there is still {seen!r}")
        time.sleep(LOOK_EVERY_SECONDS)
