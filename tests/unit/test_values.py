"""A value is in all that can be seen of it what the standard library's dataclass makes."""

from __future__ import annotations

import ast
import copy
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
OURS = [ROOT / "layers" / "forecourt" / "python" / "forecourt", ROOT / "functions"]


def station(maker: Callable[..., Any], **options: bool) -> Any:
    """Return a class that *maker* made, under the same name whoever makes it."""

    class Station:
        """Where somebody fuels."""

        number: int
        grades: tuple[str, ...] = ()
        note: str = dataclasses.field(default="", compare=False)
        key: str = dataclasses.field(default="", repr=False)

    return maker(slots=True, kw_only=True, **options)(Station)


THEIRS = station(dataclasses.dataclass, frozen=True)
FROZEN = station(dataclass, frozen=True)
ORDERED = station(dataclass, frozen=True, order=True)
LOOSE = station(dataclass)

SOME = st.fixed_dictionaries(
    {
        "number": st.integers(0, 2),
        "grades": st.lists(st.sampled_from("ab"), max_size=1).map(tuple),
        "note": st.sampled_from(["", "x"]),
        "key": st.sampled_from(["", "y"]),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Nozzle:
    """Something with a number."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hose(Nozzle):
    """A nozzle with nothing of its own."""


@given(one=SOME, other=SOME)
def test_values_are_equal_hashed_and_shown_as_the_standard_librarys_are(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    ours, theirs = FROZEN(**one), THEIRS(**one)

    assert (ours == FROZEN(**other)) == (theirs == THEIRS(**other))
    assert hash(ours) == hash(theirs)
    assert repr(ours) == repr(theirs)
    assert repr(dataclasses.replace(ours, **other)) == repr(THEIRS(**other))
    assert dataclasses.astuple(ours) == dataclasses.astuple(theirs)


def test_values_of_two_classes_differ() -> None:
    assert Nozzle(number=1) != Hose(number=1)
    assert FROZEN(number=1) != 1


def test_a_frozen_value_does_not_change_and_a_loose_one_has_no_hash() -> None:
    frozen, loose = FROZEN(number=1), LOOSE(number=1)

    with pytest.raises(dataclasses.FrozenInstanceError):
        frozen.number = 2
    loose.number = 2

    assert loose == LOOSE(number=2)
    with pytest.raises(TypeError, match="unhashable"):
        hash(loose)


def test_values_have_slots_and_can_be_ordered_and_copied() -> None:
    assert not hasattr(FROZEN(number=1), "__dict__")
    assert ORDERED(number=1) < ORDERED(number=2)
    assert copy.deepcopy(Nozzle(number=1)) == Nozzle(number=1)


def test_nothing_in_a_function_makes_its_values_the_slower_way() -> None:
    slow = [
        path.name
        for root in OURS
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module == "dataclasses"
        if "dataclass" in [alias.name for alias in node.names]
    ]

    assert slow == ["values.py"]  # for the type checker
