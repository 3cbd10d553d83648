"""The gateway's clock, and whether anybody keeps it right."""

from __future__ import annotations

import ctypes
import ctypes.util
from datetime import UTC, datetime

_STA_UNSYNC = 0x0040  # linux/timex.h: set until something disciplines the clock.
_TIME_ERROR = 5
_STATUS_OFFSET = 5 * ctypes.sizeof(ctypes.c_long)  # modes (padded), offset, freq, two errors
_TIMEX_BYTES = 512  # Larger than `struct timex` on any Linux.


def system_now() -> datetime:
    return datetime.now(UTC)


def system_clock_synchronised() -> bool:
    """
    Return whether the kernel knows its clock to be disciplined (by NTP or PTP).

    `False` where that cannot be told: the cloud then trusts the clock less, never more.
    """
    try:
        adjtimex = ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True).adjtimex
    except (OSError, AttributeError, TypeError):
        return False
    timex = ctypes.create_string_buffer(_TIMEX_BYTES)
    state = adjtimex(timex)  # All zero: `modes` 0 only reads.
    status = ctypes.c_int.from_buffer(timex, _STATUS_OFFSET).value
    return 0 <= state < _TIME_ERROR and not status & _STA_UNSYNC
