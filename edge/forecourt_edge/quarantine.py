"""
What the cloud refused, for a technician to look at and to send again.

    with closing(Quarantine(config.outbox)) as quarantine:
        quarantine.kept()                           # ids and reasons; no body, so no evidence
        quarantine.put_back(reason="unknown_station")

Works on the file of the outbox, beside the component that holds it.  What is put back is stored
anew behind all that waits, and a running component sends it within a moment: it looks for what
came after the message it read last.
"""

from __future__ import annotations

import contextlib
import sqlite3
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forecourt_edge.errors import NothingRefused, OutboxFull, OutboxUnusable
from forecourt_edge.outbox import CORRUPTED, Lane, document_in
from forecourt_edge.outbox_file import moment, open_beside, transaction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forecourt_edge.config import OutboxConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """
    A message in the quarantine.

    One that is not `readable` was damaged on the disk, or is a pump's record that made no sense:
    it is no message that could be sent.
    """

    quarantine_id: int
    lane: str
    message_id: str
    reason: str
    refused_at: str
    readable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PutBack:
    """How many messages are on their way again, and how many stayed, by why they did."""

    count: int
    unreadable: int
    waiting_already: int


class Quarantine:
    """The quarantine of one outbox; raises `OutboxUnusable` when there is none to open."""

    def __init__(self, config: OutboxConfig) -> None:
        self._config = config
        if not config.path.is_file():
            raise OutboxUnusable(path=str(config.path), reason="there is no such file")
        with self._usable():
            self._db = open_beside(config.path)
            self._db.create_function("crc32", 1, zlib.crc32, deterministic=True)

    def close(self) -> None:
        self._db.close()

    def kept(self) -> list[Kept]:
        """Return what is kept, the oldest first."""
        with self._usable():
            rows = self._db.execute(
                "SELECT quarantine_id, lane, message_id, reason, quarantined_at, body, checksum"
                " FROM quarantine ORDER BY quarantine_id"
            )
            return [
                Kept(
                    quarantine_id=quarantine_id,
                    lane=lane,
                    message_id=message_id,
                    reason=reason,
                    refused_at=refused_at,
                    readable=_readable(lane, reason, body, checksum),
                )
                for quarantine_id, lane, message_id, reason, refused_at, body, checksum in rows
            ]

    def put_back(self, *, reason: str | None = None) -> PutBack:
        """
        Move what was refused, for any *reason* or for one, back into the outbox, all or nothing.

        Once moved it is no longer here, so a repeat moves nothing twice.  One whose id waits in
        the outbox already stays: neither may replace the other.  Raises `NothingRefused` for a
        reason that no message has, and `OutboxFull` when the caps or the disk leave no room.
        """
        everything = self.kept()
        chosen = [each for each in everything if reason in {None, each.reason}]
        if reason is not None and not chosen:
            raise NothingRefused(
                reason=reason, reasons=sorted({each.reason for each in everything})
            )
        # The till tells of sales, so what it told goes behind them, as it does at first.
        readable = sorted(
            (each for each in chosen if each.readable), key=lambda each: each.lane == Lane.TELLINGS
        )
        with self._usable(), transaction(self._db, durable=True):
            count = sum(self._move(each.quarantine_id) for each in readable)
            self._check_room({each.lane for each in readable} if count else set())
        return PutBack(
            count=count,
            unreadable=len(chosen) - len(readable),
            waiting_already=len(readable) - count,
        )

    def _move(self, quarantine_id: int) -> bool:
        """Move one message, unless its id waits or somebody else has moved it meanwhile."""
        moved = self._db.execute(
            "INSERT INTO messages (lane, message_id, body, checksum, boot_id, monotonic_ms)"
            " SELECT lane, message_id, body, coalesce(checksum, crc32(body)), ?, ?"
            " FROM quarantine WHERE quarantine_id = ? ON CONFLICT DO NOTHING",
            (*moment(), quarantine_id),
        )
        if not moved.rowcount:
            return False
        self._db.execute("DELETE FROM quarantine WHERE quarantine_id = ?", (quarantine_id,))
        return True

    def _check_room(self, lanes: set[str]) -> None:
        """Raise `OutboxFull` when more waits in *lanes* than pumps or till could add to."""
        for together, most in (
            ((Lane.SALES, Lane.GAPS), self._config.sales_max),
            ((Lane.TELLINGS,), self._config.tellings_max),
        ):
            rows = sum(self._waiting(lane) for lane in together)
            if lanes.intersection(together) and rows > most:
                raise OutboxFull(reason="cap", rows=rows)

    def _waiting(self, lane: Lane) -> int:
        (count,) = self._db.execute(
            "SELECT count(*) FROM messages WHERE lane = ?", (lane.value,)
        ).fetchone()
        return int(count)

    @contextlib.contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise OutboxUnusable(path=str(self._config.path), reason=str(error)) from error


def _readable(lane: str, reason: str, body: bytes, checksum: int | None) -> bool:
    """Without *checksum*, of an older program, the *reason* alone tells of damage."""
    if checksum is None:
        return reason != CORRUPTED and document_in(lane, body, zlib.crc32(body)) is not None
    return document_in(lane, body, checksum) is not None
