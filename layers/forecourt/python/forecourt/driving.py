"""
Who drives a car: the members who were credited with sales at which it was seen.

They need not have bound it. It is asked for when somebody claims a sale that nothing but the
car speaks for: of a household, or of whoever else shares it, the one who claims it need not be
the one who filled it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

KNOWN = timedelta(days=400)  # after the last sale at which the car was seen
DRIVERS_MAX = 5  # one more than may share a car (`inquiry.SHARED_MAX`): then it is a crowd's


def with_driver(
    drivers: Mapping[str, int], member_id: str, *, seen_at: int
) -> dict[str, int] | None:
    """
    Return who drives a car after a sale at *seen_at*, or `None` when that is no news.

    *drivers* have the instant (epoch seconds) of the last sale each was seen at. Who has not been
    seen for long, and who is too many, makes room.
    """
    if drivers.get(member_id, -1) >= seen_at:
        return None
    known = {**drivers, member_id: seen_at}
    latest = max(known.values()) - int(KNOWN.total_seconds())
    lately = sorted(
        (name for name, at in known.items() if at >= latest), key=lambda name: (-known[name], name)
    )
    after = {name: known[name] for name in lately[:DRIVERS_MAX]}
    return after if after != drivers else None
