"""
The size of an item by DynamoDB's rules (Developer Guide, "DynamoDB item sizes and formats").

Names and strings count in UTF-8, a number about half a byte a digit, a list or map three bytes
and one for each element of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

WRITE_UNIT_BYTES = 1024


def size(item: Mapping[str, Mapping[str, Any]]) -> int:
    """Return the bytes DynamoDB counts for *item*."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: Mapping[str, Any]) -> int:
    kind: str
    content: Any
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(str(content).encode())
        case "N":
            digits: str = content.lstrip("-").strip("0")
            return (len(digits) + 1) // 2 + 1 + int(content.startswith("-"))
        case "B":
            return len(bytes(content))
        case "SS":
            return sum(len(each.encode()) for each in content)
        case "BOOL" | "NULL":
            return 1
        case "L":
            return 3 + sum(1 + _value_size(each) for each in content)
        case _:
            return 3 + sum(1 + len(k.encode()) + _value_size(v) for k, v in content.items())
