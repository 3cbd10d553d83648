"""A value is in all that can be seen of it what the standard library's dataclass makes."""

from __future__ import annotations

import ast
import copy
import dataclasses
import inspect
import operator
import pickle
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
SORTED = station(dataclasses.dataclass, frozen=True, order=True)
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


@given(one=SOME, other=SOME)
def test_values_that_have_an_order_have_the_standard_librarys(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    ours, theirs = (ORDERED(**one), ORDERED(**other)), (SORTED(**one), SORTED(**other))

    for compare in (operator.lt, operator.le, operator.gt, operator.ge):
        assert compare(*ours) == compare(*theirs)


def test_what_has_no_order_and_what_is_no_such_value_cannot_be_compared() -> None:
    with pytest.raises(TypeError, match="not supported"):
        assert FROZEN(number=1) < FROZEN(number=2)
    with pytest.raises(TypeError, match="not supported"):
        assert ORDERED(number=1) < SORTED(number=2)


def test_values_of_two_classes_differ() -> None:
    assert Nozzle(number=1) != Hose(number=1)
    assert FROZEN(number=1) != 1


def test_a_frozen_value_does_not_change_and_a_loose_one_has_no_hash() -> None:
    frozen, loose = FROZEN(number=1), LOOSE(number=1)

    with pytest.raises(dataclasses.FrozenInstanceError, match="number"):
        frozen.number = 2
    with pytest.raises(dataclasses.FrozenInstanceError, match="number"):
        del frozen.number
    loose.number = 2

    assert loose == LOOSE(number=2)
    with pytest.raises(TypeError, match="unhashable"):
        hash(loose)


@pytest.mark.parametrize("options", [{}, {"kw_only": True}])
def test_values_are_made_of_what_the_standard_librarys_are_made_of(
    options: dict[str, bool],
) -> None:
    def parameters(maker: Callable[..., Any]) -> list[tuple[str, object, object]]:
        class Counted:
            """Has a default of each sort, or none."""

            number: int
            bounds: tuple[int, int] = (0, 9)
            seen: dict[str, int] = dataclasses.field(default_factory=dict)

        made = maker(frozen=True, slots=True, **options)(Counted)
        assert made.__init__.__qualname__.endswith("Counted.__init__")
        assert made(number=1).seen == {}
        assert made(number=1).seen is not made(number=1).seen
        return [
            (each.name, each.kind, each.annotation)
            for each in inspect.signature(made).parameters.values()
        ]

    assert parameters(dataclass) == parameters(dataclasses.dataclass)


@pytest.mark.parametrize("maker", [dataclass, dataclasses.dataclass])
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({}, "missing 1 required keyword-only argument: 'number'"),
        ({"number": 1, "nozzle": 2}, "got an unexpected keyword argument 'nozzle'"),
    ],
)
def test_wrong_arguments_are_refused_in_the_same_words(
    maker: Callable[..., Any], arguments: dict[str, int], complaint: str
) -> None:
    with pytest.raises(TypeError, match=complaint):
        station(maker, frozen=True)(**arguments)


def test_a_value_of_nothing_is_made_and_one_that_contradicts_itself_is_not() -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Nothing:
        """Has no fields."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Positive:
        """Looks at itself."""

        number: int

        def __post_init__(self) -> None:
            """Refuse what is not positive."""
            if self.number <= 0:
                raise ValueError(self.number)

    assert Nothing() == Nothing()
    assert Positive(number=1).number == 1
    with pytest.raises(ValueError, match="-1"):
        Positive(number=-1)


def test_values_have_slots_and_can_be_copied_and_pickled() -> None:
    assert not hasattr(FROZEN(number=1), "__dict__")
    assert pickle.loads(pickle.dumps(Nozzle(number=1))) == Nozzle(number=1)  # noqa: S301
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
