"""
The route by which an app says that its member is at a station, now.

The instant is ours: nobody checks in where they were yesterday. What it is good for is weighed
when a sale there may be the member's; by itself it gives them nothing.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from aws_lambda_powertools.event_handler import Response

from forecourt.callers import Permission
from forecourt.doors import Door
from forecourt.instants import format_instant
from forecourt.once import Answer
from forecourt.operator_errors import UnknownStation
from forecourt.presences_table import PresencesTable
from forecourt.stations_table import StationsTable
from functions.members.pages import MemberId
from functions.members.presence_bodies import CheckInBody, CheckInView

TAG = "members"


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


class PresenceRoutes:
    """The route, the check-ins, and the stations there are."""

    def __init__(
        self,
        *,
        door: Door,
        presences: PresencesTable,
        stations: StationsTable,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._door = door
        self._presences = presences
        self._stations = stations
        self._now = now
        door.add("POST", "/members/<member_id>/presence", self.check_in, tag=TAG, status=201)

    def check_in(self, member_id: MemberId, body: CheckInBody) -> Response[CheckInView]:
        """
        Say that the caller is at a station now.

        Kept for a month, as one of the last 64, and asked for only when a sale may be theirs.
        Again within five minutes it is 200 and says nothing new.
        """
        member_id = self._door.caller.member_named(member_id, Permission.CHECK_IN)

        def perform() -> Answer:
            if self._stations.station(body.station_id) is None:
                raise UnknownStation(body.station_id)
            now = self._now()
            new = self._presences.check_in(member_id, body.station_id, at=now)
            return Answer(
                status=201 if new else 200,
                body={"station_id": body.station_id, "checked_in_at": format_instant(now)},
            )

        return self._door.once(perform)
