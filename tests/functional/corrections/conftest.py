"""Who corrects by hand, under which program, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from functions.corrections import handler
from tests.functional.correcting import LIMIT, clock_of, staff
from tests.functional.world import with_wallets

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tests.functional.http import Client
    from tests.functional.world import World


@pytest.fixture(autouse=True)
def clock(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Begin with a program that asks for a second person, and members, at a known time."""
    world.activate(with_wallets(points={"adjust_limit": LIMIT}))
    world.enrol("m-1")
    world.enrol("m-2")
    return clock_of(monkeypatch, handler.adjustments, handler.freezing, handler.refunds)


@pytest.fixture
def manager() -> Client:
    return staff("sub-manager", "manager")


@pytest.fixture
def operator() -> Client:
    return staff("sub-operator", "operator")
