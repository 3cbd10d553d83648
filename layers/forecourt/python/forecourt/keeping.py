"""The program as an API needs it: by which policies accounts are kept, and whose day it is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from forecourt.program import Program
from forecourt.programs import Programs

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
        self._programs = Programs(loyalty)
        self._clock = clock
        self._read_at = 0.0
        self._program: Program | None = None

    def program(self, now: datetime) -> Program:
        """Return the program in force at *now*, or a minute before."""
        if self._program is None or self._clock() - self._read_at > REMEMBERED_SECONDS:
            self._program = self._programs.at(now) or BEFORE_THE_PROGRAM
            self._read_at = self._clock()
        return self._program
