"""
`dataclass`, made in less time.

Python 3.11 compiles six methods for every class, which takes half a millisecond, and a function
makes a hundred classes at its cold start. Here comparing, hashing and showing are written once
for all of them, so that `__init__` and what keeps a value frozen are all there is to compile.
Everything else is the standard library's, and a type checker sees nothing but that.
"""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["dataclass"]


@cache
def _compared(cls: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(cls) if field.compare)


def _fields(value: Any) -> tuple[object, ...]:
    return tuple([getattr(value, name) for name in _compared(value.__class__)])


def _equal(self: Any, other: Any) -> Any:  # a bool, or that it cannot tell
    if other.__class__ is not self.__class__:
        return NotImplemented
    return _fields(self) == _fields(other)


def _hash(self: Any) -> int:
    return hash(_fields(self))


def _show(self: Any) -> str:
    shown = [field.name for field in dataclasses.fields(self.__class__) if field.repr]
    values = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
    return f"{self.__class__.__qualname__}({values})"


if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(
        *, frozen: bool = False, order: bool = False, **options: bool
    ) -> Callable[[type], type]:
        """Make a class a dataclass, as `dataclasses.dataclass` does; *options* are its own."""
        if order:  # rare: not worth writing out
            return dataclasses.dataclass(frozen=frozen, order=order, **options)
        make = dataclasses.dataclass(frozen=frozen, eq=False, repr=False, **options)

        def made(cls: type) -> type:
            value = make(cls)
            value.__eq__, value.__repr__ = _equal, _show
            value.__hash__ = _hash if frozen else None
            return value

        return made
