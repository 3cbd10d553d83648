"""
Times that a request tells: they begin the id of its entry, so every attempt tells the same.

Those at which it cannot have been are a mistake.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING

from forecourt.errors import InvalidRequest
from forecourt.instants import compact_instant

if TYPE_CHECKING:
    from datetime import datetime

CLOCK_MAY_BE_AHEAD = timedelta(minutes=10)  # a phone's or a till's


def require_plausible(
    at: datetime, *, field: str, now: datetime, back: timedelta | None = None
) -> None:
    """
    Raise `InvalidRequest` for what the body's *field* says is still to come, or is long over.

    How far *back* a time may lie is said by whoever asks; `None` is however far.
    """
    if at > now + CLOCK_MAY_BE_AHEAD:
        raise InvalidRequest(findings=[{"at": f"/body/{field}", "reason": "in_future"}])
    if back is not None and at < now - back:
        raise InvalidRequest(findings=[{"at": f"/body/{field}", "reason": "too_old"}])


def entry_id_for(kind: str, at: datetime, *named: str) -> str:
    """Return the id of the entry that a request becomes, in whichever attempt it *named* this."""
    digest = hashlib.sha256("\n".join(named).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{compact_instant(at)}.{kind}.{digest[:16]}"
