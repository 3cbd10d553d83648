"""The program's zone, which says what day it is for a member."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from forecourt.members_table import MembersTable

REMEMBERED_SECONDS = 60
BEFORE_THE_PROGRAM = "Asia/Shanghai"  # nobody holds points yet; any zone would do


class ProgramZone:
    """Reads the zone at most once a minute, so that a balance costs one read."""

    def __init__(
        self, members: MembersTable, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._members = members
        self._clock = clock
        self._read_at = 0.0
        self._zone: ZoneInfo | None = None

    def at(self, now: datetime) -> ZoneInfo:
        """Return the zone of the program in force at *now*, or a minute before."""
        if self._zone is None or self._clock() - self._read_at > REMEMBERED_SECONDS:
            self._zone = ZoneInfo(self._members.program_zone(now) or BEFORE_THE_PROGRAM)
            self._read_at = self._clock()
        return self._zone
