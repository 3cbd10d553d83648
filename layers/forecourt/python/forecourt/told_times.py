"""Times that a request tells: those at which it cannot have been are a mistake."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from forecourt.errors import InvalidRequest

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
