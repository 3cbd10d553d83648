"""
Reading a message field by field.

A field is taken out of its object when it is read, so that what is left over at the end was
not asked for. Whatever does not fit is a `MalformedMessage` that names the field.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

from forecourt.errors import MalformedMessage
from forecourt.instants import parse_instant

if TYPE_CHECKING:
    import re
    from datetime import datetime

MAX_CHARACTERS = 16  # of a value of which a camera gives the confidence of each character
YEARS = range(1970, 2200)  # from a device clock that was never set to one that counts in 32 bits

_T = TypeVar("_T")


def json_object(payload: bytes) -> dict[str, Any]:
    try:
        document = json.loads(
            payload.decode("utf-8"),
            parse_constant=_refuse_constant,
            object_pairs_hook=_refuse_repeated_names,
        )
    except (ValueError, RecursionError) as fault:
        raise MalformedMessage(reason="not_json") from fault
    if not isinstance(document, dict):
        raise MalformedMessage(reason="not_an_object")
    return document


def _refuse_constant(name: str) -> None:
    """Refuse `NaN` and `Infinity`, which Python reads and JSON does not have."""
    raise ValueError(name)


def _refuse_repeated_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an amount said twice: readers differ in which they believe (RFC 8259, 4)."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError
    return found


def take(body: dict[str, Any], name: str, kind: type[_T], path: str = "") -> _T:
    """Remove *name* from *body*, so that what is left over at the end was not asked for."""
    if name not in body:
        raise MalformedMessage(reason="missing", field=path + name)
    value = body.pop(name)
    if type(value) is not kind:
        raise MalformedMessage(reason="wrong_type", field=path + name)
    return value


def refuse_rest(body: dict[str, Any], path: str = "") -> None:
    """Refuse what nobody asked for: a misspelt optional field must not vanish unnoticed."""
    if body:
        name = min(body).encode("ascii", "backslashreplace").decode()
        raise MalformedMessage(reason="unexpected", field=path + name[:64])


def integer(body: dict[str, Any], name: str, low: int, high: int, path: str) -> int:
    value = take(body, name, int, path)
    if not low <= value <= high:
        raise MalformedMessage(reason="out_of_range", field=path + name)
    return value


def integer_or_null(body: dict[str, Any], name: str, limit: int, path: str) -> int | None:
    if name in body and body[name] is None:
        return body.pop(name)  # type: ignore[no-any-return]
    return integer(body, name, -limit, limit, path)


def text(body: dict[str, Any], name: str, longest: int, path: str) -> str:
    value = take(body, name, str, path)
    if not 1 <= len(value) <= longest:
        raise MalformedMessage(reason="out_of_range", field=path + name)
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise MalformedMessage(reason="lone_surrogate", field=path + name)
    return value


def matching_text(body: dict[str, Any], name: str, pattern: re.Pattern[str], path: str) -> str:
    value = take(body, name, str, path)
    if not pattern.fullmatch(value):
        raise MalformedMessage(reason="out_of_range", field=path + name)
    return value


def instant(body: dict[str, Any], name: str, path: str = "") -> datetime:
    value = take(body, name, str, path)
    try:
        found = parse_instant(value)
    except ValueError:
        raise MalformedMessage(reason="not_an_instant", field=path + name) from None
    if found.year not in YEARS:
        raise MalformedMessage(reason="out_of_range", field=path + name)
    return found


def instant_or_null(body: dict[str, Any], name: str, path: str) -> datetime | None:
    if name in body and body[name] is None:
        return body.pop(name)  # type: ignore[no-any-return]
    return instant(body, name, path)


def whole_second(body: dict[str, Any], name: str, path: str) -> datetime:
    """Take an instant that becomes part of an id, which has room for whole seconds only."""
    value = instant(body, name, path)
    if value.microsecond:
        raise MalformedMessage(reason="not_a_whole_second", field=path + name)
    return value


def percentages(part: dict[str, Any], name: str, at: str) -> tuple[int, ...]:
    if name not in part:
        return ()
    values: list[Any] = take(part, name, list, at)
    if len(values) > MAX_CHARACTERS:
        raise MalformedMessage(reason="too_many", field=at + name)
    indexed = {f"{name}[{index}]": value for index, value in enumerate(values)}
    return tuple(integer(indexed, each, 0, 100, at) for each in list(indexed))
