"""
Reports the totalizers of idle nozzles, which reconciliation compares with the sales.

At the start, each interval, at each turn of the business day and at a clean shutdown.
A reading is named by its second, so there is one a second at most.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from forecourt.instants import business_day, format_instant, parse_instant
from forecourt_edge import journal
from forecourt_edge.errors import OutboxFull
from forecourt_edge.messages import reading_message

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from forecourt_edge.config import EdgeConfig
    from forecourt_edge.outbox import Outbox
    from forecourt_edge.poller import Poller

_LAST = "last_reading_at"


class Readings:
    """Decides when to read, and stores what is to be told."""

    def __init__(
        self,
        config: EdgeConfig,
        *,
        outbox: Outbox,
        poller: Poller,
        now: Callable[[], datetime],
    ) -> None:
        self._config = config
        self._outbox = outbox
        self._poller = poller
        self._now = now
        stored = outbox.fact(_LAST)
        self._last_at = None if stored is None else parse_instant(stored)
        self._told_since_start = False

    def tell_if_due(self) -> bool:
        """Store a reading when it is time for one; return whether it was."""
        return self._due(self._now()) and self.tell()

    def tell(self) -> bool:
        """Store a reading now; `False` when no nozzle is idle or this second has one."""
        now = self._now().replace(microsecond=0)
        if self._last_at is not None and self._last_at == now:
            return False
        nozzles = [
            {
                "nozzle": number,
                "device_serial": device_serial,
                "totalizer_ml": status.totalizer_ml,
                "transaction": status.transaction,
            }
            for number, device_serial, status in self._poller.idle_nozzles()
        ]
        if not nozzles:
            return False
        message = reading_message(station_id=self._config.station_id, read_at=now, nozzles=nozzles)
        try:
            self._outbox.put_reading(message, fact=(_LAST, format_instant(now)))
        except OutboxFull as error:
            journal.alarm("outbox_full", reason=error.reason, rows=error.rows)
            return False
        self._last_at = now
        self._told_since_start = True
        return True

    def _due(self, now: datetime) -> bool:
        if not self._told_since_start:
            # Every nozzle has been seen once, else the first reading would lack some.
            return self._poller.settled
        if self._last_at is None:
            return True
        interval = self._config.readings.interval_seconds
        if interval is not None and now - self._last_at >= timedelta(seconds=interval):
            return True
        zone = self._config.zone
        turned = business_day(now, zone) > business_day(self._last_at, zone)
        return self._config.readings.day_turn and turned
