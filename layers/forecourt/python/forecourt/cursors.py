"""
Cursors: where a list goes on, opaque to whoever carries them.

A cursor is bound to the list it was made for, and one that was altered or carried to another
list is refused. It guards against mistakes, not against thieves: a list takes its partition
from the request and never from the cursor, so a forged one leads nowhere new.
"""

from __future__ import annotations

import base64
import hashlib
import json

from forecourt.door_errors import InvalidCursor

MAX_CURSOR_LENGTH = 1024
_CHECK_BYTES = 9


def make_cursor(position: list[str], *, scope: str) -> str:
    """Return the cursor that leads the list *scope* to behind *position*."""
    content = json.dumps(position, ensure_ascii=False, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_check(content, scope) + content).rstrip(b"=").decode()


def read_cursor(cursor: str, *, scope: str, parts: int) -> list[str]:
    """Return the position in *cursor*, *parts* long; raise `InvalidCursor`."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        position: list[str] = json.loads(raw[_CHECK_BYTES:])
    except (ValueError, RecursionError):
        raise InvalidCursor from None
    well_formed = (
        type(position) is list
        and len(position) == parts
        and all(type(part) is str for part in position)
    )
    # Made again and compared as a whole: base64 and JSON have several spellings of one thing.
    if not well_formed or make_cursor(position, scope=scope) != cursor:
        raise InvalidCursor
    return position


def _check(content: bytes, scope: str) -> bytes:
    return hashlib.sha256(scope.encode() + b"\n" + content).digest()[:_CHECK_BYTES]
