"""
`dataclass`, made in less time.

A function makes a hundred classes at its cold start. For each of them Python 3.11 compiles six
methods or more, which takes half a millisecond and is most of what a function adds to its imports.
Here `__init__` alone is compiled: comparing, ordering, hashing, showing, copying and staying frozen
are written once for all of them. What fields are and how a class comes by its slots is the standard
library's, and a type checker sees nothing but that.
"""

from __future__ import annotations

import dataclasses
import operator
from dataclasses import MISSING, FrozenInstanceError, fields
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["dataclass"]

_put = object.__setattr__


@cache
def _names(cls: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(cls))


@cache
def _compared(cls: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(cls) if field.compare)


def _values(value: Any) -> tuple[object, ...]:
    return tuple([getattr(value, name) for name in _compared(value.__class__)])


def _equal(self: Any, other: Any) -> Any:  # a bool, or that it cannot tell
    if other.__class__ is not self.__class__:
        return NotImplemented
    return _values(self) == _values(other)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], Any]:
    def ordered(self: Any, other: Any) -> Any:  # a bool, or that it cannot tell
        if other.__class__ is not self.__class__:
            return NotImplemented
        return compare(_values(self), _values(other))

    return ordered


def _hash(self: Any) -> int:
    return hash(_values(self))


def _show(self: Any) -> str:
    shown = [field.name for field in fields(self.__class__) if field.repr]
    values = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
    return f"{self.__class__.__qualname__}({values})"


def _refusing(change: str) -> Callable[..., None]:
    def refuse(_: Any, name: str, *_value: object) -> None:
        raise FrozenInstanceError(f"cannot {change} field {name!r}")

    return refuse


def _state(self: Any) -> list[object]:
    return [getattr(self, name) for name in _names(self.__class__)]


def _restore(self: Any, state: list[object]) -> None:
    for name, value in zip(_names(self.__class__), state, strict=True):
        _put(self, name, value)


_COMPARED = {"__eq__": _equal, "__repr__": _show}
_ORDERED = {
    f"__{compare.__name__}__": _ordered(compare)
    for compare in (operator.lt, operator.le, operator.gt, operator.ge)
}
_FROZEN = {
    "__hash__": _hash,
    "__setattr__": _refusing("assign to"),
    "__delattr__": _refusing("delete"),
    "__getstate__": _state,
    "__setstate__": _restore,
}


def _init(cls: Any) -> Any:
    """Compile what the standard library's `__init__` would be."""
    known: dict[str, Any] = {"_put": _put, "_MISSING": MISSING}
    by_place: list[str] = []
    by_name: list[str] = []
    body: list[str] = []
    for field in fields(cls):
        name = parameter = field.name
        if field.default is not MISSING:
            known[f"_of_{name}"] = field.default
            parameter = f"{name}=_of_{name}"
        elif field.default_factory is not MISSING:
            known[f"_of_{name}"] = field.default_factory
            parameter = f"{name}=_MISSING"
            body.append(f" if {name} is _MISSING: {name} = _of_{name}()")
        body.append(f" _put(self, {name!r}, {name})")
        (by_name if field.kw_only else by_place).append(parameter)
    if hasattr(cls, "__post_init__"):
        body.append(" self.__post_init__()")
    parameters = ", ".join(["self", *by_place, *(["*", *by_name] if by_name else ())])
    # Of names that a class statement was given, as the standard library does it.
    exec("\n".join([f"def __init__({parameters}):", *(body or [" pass"])]), known)  # noqa: S102
    init = known["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    init.__annotations__ = {field.name: field.type for field in fields(cls)} | {"return": None}
    return init


if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(
        *, frozen: bool = False, order: bool = False, **options: bool
    ) -> Callable[[type], type]:
        """Make a class a dataclass, as `dataclasses.dataclass` does; *options* are its own."""
        make = dataclasses.dataclass(init=False, eq=False, repr=False, **options)
        methods = (
            _COMPARED | (_FROZEN if frozen else {"__hash__": None}) | (_ORDERED if order else {})
        )

        def made(cls: type) -> type:
            value = make(cls)
            value.__init__ = _init(value)
            for name, method in methods.items():
                setattr(value, name, method)
            return value

        return made
