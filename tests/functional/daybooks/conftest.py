"""Who posts what the books are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.functional.bookkeeping import Till

if TYPE_CHECKING:
    from tests.functional.world import World


@pytest.fixture
def till(world: World) -> Till:
    return Till(world)
