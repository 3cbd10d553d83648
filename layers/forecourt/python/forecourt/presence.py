"""
Where a member's app said it was: a few check-ins, compared with a sale.

Only member, station and instant are known, and only for as long as a sale waits. Presence is
asked of those whom something else names, never of a station: however many people are there,
nobody becomes a candidate by it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecourt.fills import Fill

PRESENCE = "presence"
HERE, ELSEWHERE, UNKNOWN = "same", "differs", "none"

# Around the hang-up: the queue and the filling before it, paying after it.
BEFORE = timedelta(minutes=20)
AFTER = timedelta(minutes=10)
REPEATED_WITHIN = timedelta(minutes=5)  # an app that stands still says so again and again
KEPT = timedelta(days=31)  # a sale waits for thirty days
PRESENCES_MAX = 64  # two a day; who checks in more often is remembered for less long


class CheckIn(NamedTuple):
    """At a station, at an instant in epoch seconds."""

    at: int
    station_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Presences:
    """The check-ins of one member that are remembered, oldest first."""

    check_ins: tuple[CheckIn, ...] = ()

    def after(self, check_in: CheckIn) -> Presences | None:
        """
        Return what is remembered with one more check-in, or `None` when it says nothing new.

        What is too old and what is too much is forgotten by that.
        """
        if any(
            each.station_id == check_in.station_id
            and abs(each.at - check_in.at) < REPEATED_WITHIN.total_seconds()
            for each in self.check_ins
        ):
            return None
        remembered = sorted((*self.since(check_in.at - int(KEPT.total_seconds())), check_in))
        return Presences(check_ins=tuple(remembered[-PRESENCES_MAX:]))

    def since(self, at: int) -> tuple[CheckIn, ...]:
        """Return the check-ins from an instant on: DynamoDB removes the older ones late."""
        return tuple(each for each in self.check_ins if each.at >= at)

    def level(self, fill: Fill) -> str:
        """
        Return how the check-ins agree with a sale: `same` is here, `differs` is elsewhere.

        Nobody is at two stations within half an hour: of an app that says so nothing is known.
        """
        stations = {each.station_id for each in self.check_ins if _around(fill.at, each.at)}
        if len(stations) != 1:
            return UNKNOWN
        return HERE if fill.station_id in stations else ELSEWHERE


def window_of(check_in: CheckIn) -> tuple[int, int]:
    """Return between which instants a sale was hung up that a check-in is about."""
    return (
        check_in.at - int(AFTER.total_seconds()),
        check_in.at + int(BEFORE.total_seconds()),
    )


def presences_to_list(presences: Presences) -> list[str]:
    """Return check-ins as an item holds them: under three kilobytes, however many there were."""
    return [f"{each.at}.{each.station_id}" for each in presences.check_ins]


def presences_from_list(values: Sequence[str]) -> Presences:
    """Return the check-ins an item holds."""
    parts = (each.partition(".") for each in values)
    return Presences(
        check_ins=tuple(CheckIn(at=int(at), station_id=station) for at, _, station in parts)
    )


def _around(hung_up: int, at: int) -> bool:
    return hung_up - BEFORE.total_seconds() <= at <= hung_up + AFTER.total_seconds()
