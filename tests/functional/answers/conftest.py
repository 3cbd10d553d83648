"""Who is asked, and about what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from functions.claims import handler as claims
from functions.members import handler as members
from tests.functional.answers.dialogue import Dialogue
from tests.functional.assigning import NOW, assignment
from tests.specimens import PLATE

if TYPE_CHECKING:
    from tests.functional.world import World


@pytest.fixture
def dialogue(world: World, context: Any, monkeypatch: pytest.MonkeyPatch) -> Dialogue:
    monkeypatch.setattr(claims, "assignment", assignment(world))
    monkeypatch.setattr(members.questions, "_now", lambda: NOW)
    return Dialogue(world, claims, context)


@pytest.fixture
def pending(dialogue: Dialogue) -> Dialogue:
    """Return a dialogue in which m1 is asked about a sale that has their plate."""
    dialogue.world.enrol("m1", PLATE)
    assert dialogue.told().asked == "m1"
    return dialogue
