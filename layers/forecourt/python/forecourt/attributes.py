"""
Plain values to and from DynamoDB attribute values.

Our own few lines instead of boto3's serializer, which turns every integer into a `Decimal`
and would take a float's word for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

Item = dict[str, dict[str, Any]]


def to_item(values: Mapping[str, Any]) -> Item:
    """Encode *values*; those that are `None` are left out. A float raises `TypeError`."""
    return {name: encode(value) for name, value in values.items() if value is not None}


def from_item(item: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Decode *item*; numbers are integers, since nothing else is ever written."""
    return {name: decode(value) for name, value in item.items()}


def encode(value: Any) -> dict[str, Any]:
    """
    Encode one value: str, bool, int, bytes, None, a list or dict of these, or a set of strings.

    DynamoDB has no empty set: a set without members is an attribute that is not there.
    """
    match value:
        case str():
            return {"S": value}
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case bytes():
            return {"B": value}
        case None:
            return {"NULL": True}
        case list() | tuple():
            return {"L": [encode(element) for element in value]}
        case frozenset():
            return {"SS": sorted(value)}
        case dict():
            return {"M": {name: encode(element) for name, element in value.items()}}
        case _:
            raise TypeError(type(value).__name__)


def decode(value: Mapping[str, Any]) -> Any:
    """Decode one attribute value."""
    ((kind, content),) = value.items()
    match kind:
        case "N":
            return int(content)
        case "NULL":
            return None
        case "L":
            return [decode(element) for element in content]
        case "M":
            return {name: decode(element) for name, element in content.items()}
        case "SS":
            return frozenset(content)
        case "S" | "BOOL" | "B":
            return content
        case _:
            raise TypeError(kind)
