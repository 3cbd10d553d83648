"""The program as an API needs it: by which policies accounts are kept, and whose day it is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from forecourt.program import Program, in_force, program_from_document

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from forecourt.loyalty_table import LoyaltyTable

REMEMBERED_SECONDS = 60
# Nobody holds points yet; any zone would do.
BEFORE_THE_PROGRAM = Program(
    version=0, zone=ZoneInfo("Asia/Shanghai"), rules=(), validity=None, wallets={}
)


class Keeping:
    """Reads the program at most once a minute, so that a balance costs one read."""

    def __init__(
        self, loyalty: LoyaltyTable, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._loyalty = loyalty
        self._clock = clock
        self._read_at = 0.0
        self._program: Program | None = None

    def program(self, now: datetime) -> Program:
        """Return the program in force at *now*, or a minute before."""
        if self._program is None or self._clock() - self._read_at > REMEMBERED_SECONDS:
            self._program = self._in_force(now)
            self._read_at = self._clock()
        return self._program

    def _in_force(self, now: datetime) -> Program:
        version = in_force(self._loyalty.timeline(), now)
        if version is None:
            return BEFORE_THE_PROGRAM
        return program_from_document(self._loyalty.program_document(version), version=version)
