"""The one way in which content is written down before it is hashed."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from forecourt.ledger.commands import Command

_JSON = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def fingerprint(command: Command) -> str:
    """
    Return what *command* is known by: the request it carries out, if it names one.

    Otherwise the SHA-256 of its name and content, in hexadecimal.
    """
    if command.request:
        return command.request
    content = _plain(command)
    del content["request"]  # commands had fingerprints before they named requests
    return sha256(canonical([type(command).__name__, content])).hexdigest()


def canonical(content: Any) -> bytes:
    """Write *content* as JSON in the one way in which equal content is equal text."""
    return _JSON.encode(content).encode()


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)} | {
            "": type(value).__name__
        }
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value
