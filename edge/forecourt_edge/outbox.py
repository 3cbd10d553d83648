"""
What waits for the cloud, on disk.

SQLite in WAL mode; a sale is taken over with `synchronous=FULL`, so that the answered
commit survives a power cut.
The cursor (how far a nozzle's transactions have been taken over) and the message move
in one transaction, so that no crash can take a sale over twice or not at all.

    cursors     nozzle, device_serial -> last transaction taken over, totalizer after it
    messages    what waits, in the order of `local_id`; never ordered by wall time
    sightings   evidence not yet joined to a sale, or joined lately
    quarantine  what the cloud refused or nobody can read any more; a technician puts the
                former back (`forecourt_edge.quarantine`)
    facts       small state by name

Lanes: `sales` and `gaps` are never dropped; at the cap `take_over` raises `OutboxFull`
and the pump keeps the sale.  Nor are `tellings`: the till keeps those beyond a cap of their
own, so that no till can stop the pumps.  Of `readings` the oldest give way.  `boot_id` and
`monotonic_ms` tell when a row was written even if the wall clock was wrong.
"""

from __future__ import annotations

import contextlib
import json
import zlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from forecourt_edge import journal
from forecourt_edge.errors import OutboxFull
from forecourt_edge.outbox_file import lock, moment, open_database, transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from forecourt_edge.config import OutboxConfig

CORRUPTED = "corrupted"


class Lane(StrEnum):
    """Which topic a message goes to, and whether it may be dropped."""

    SALES = "sales"
    GAPS = "gaps"
    READINGS = "readings"
    TELLINGS = "tellings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """`totalizer_ml` is `None` until the first transaction of the device has been taken over."""

    nozzle: int
    device_serial: str
    number: int
    totalizer_ml: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message to be stored; `message_id` is what the cloud acknowledges."""

    lane: Lane
    message_id: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A stored message."""

    local_id: int
    lane: Lane
    message_id: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """What cannot be sent as it is, kept for a person to look at."""

    lane: str
    message_id: str
    body: bytes
    reason: str


class Outbox:
    """One open outbox; calls are short and synchronous."""

    def __init__(
        self, config: OutboxConfig, *, on_stored: Callable[[], None] | None = None
    ) -> None:
        self._config = config
        self.on_stored = on_stored
        config.path.parent.mkdir(parents=True, exist_ok=True)
        self._held = lock(config.path)
        try:
            self._db = open_database(config.path)
        except BaseException:
            self._held.close()
            raise

    def close(self) -> None:
        self._db.close()
        self._held.close()

    def cursor(self, nozzle: int, device_serial: str) -> Cursor | None:
        row = self._db.execute(
            "SELECT number, totalizer_ml FROM cursors WHERE nozzle = ? AND device_serial = ?",
            (nozzle, device_serial),
        ).fetchone()
        if row is None:
            return None
        return Cursor(
            nozzle=nozzle, device_serial=device_serial, number=row[0], totalizer_ml=row[1]
        )

    def take_over(
        self,
        cursor: Cursor,
        *,
        messages: Sequence[Message] = (),
        refused: Refused | None = None,
        used_sightings: Sequence[int] = (),
        used_at: float = 0,
    ) -> None:
        """
        Move *cursor* and store what was taken over, all or nothing.

        Raises `OutboxFull` at the cap and on a full disk; then nothing was written, and
        the pump must not be told that its transaction is safe.
        """
        rows = self.count(Lane.SALES) + self.count(Lane.GAPS)
        if rows + len(messages) > self._config.sales_max:
            raise OutboxFull(reason="cap", rows=rows)
        with self.transaction(durable=True):
            for message in messages:
                self._insert(message)
            if refused is not None:
                self._insert_refused(refused)
            self._db.executemany(
                "UPDATE sightings SET used_at = ? WHERE sighting_id = ?",
                [(used_at, sighting_id) for sighting_id in used_sightings],
            )
            self._db.execute(
                "INSERT INTO cursors VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
                " number = excluded.number, totalizer_ml = excluded.totalizer_ml",
                (cursor.nozzle, cursor.device_serial, cursor.number, cursor.totalizer_ml),
            )
        self._tell_stored()

    def put_reading(self, message: Message, *, fact: tuple[str, str]) -> None:
        """Store a reading and *fact* with it; beyond the cap the oldest readings go."""
        with self.transaction():
            self._insert(message)
            self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", fact)
            self._db.execute(
                "DELETE FROM messages WHERE lane = ? AND local_id NOT IN"
                " (SELECT local_id FROM messages WHERE lane = ? ORDER BY local_id DESC LIMIT ?)",
                (message.lane, message.lane, self._config.readings_max),
            )
        self._tell_stored()

    def put_telling(self, message: Message) -> Waiting | None:
        """
        Store what a till told; return what waits under its id already, and then store nothing.

        Raises `OutboxFull` at the cap and on a full disk; then the till has to keep it.
        """
        row = self._db.execute(
            "SELECT local_id FROM messages WHERE message_id = ?", (message.message_id,)
        ).fetchone()
        waiting = None if row is None else self.get(row[0])
        if waiting is not None:
            return waiting
        rows = self.count(message.lane)
        if rows >= self._config.tellings_max:
            raise OutboxFull(reason="cap", rows=rows)
        with self.transaction(durable=True):
            self._insert(message)
        self._tell_stored()
        return None

    def waits_before(self, local_id: int, lane: Lane) -> bool:
        """Return whether a message of *lane* stored before *local_id* still waits."""
        row = self._db.execute(
            "SELECT 1 FROM messages WHERE lane = ? AND local_id < ? LIMIT 1", (lane, local_id)
        ).fetchone()
        return row is not None

    def count(self, lane: Lane | None = None) -> int:
        """Return how many messages wait."""
        where, values = ("", ()) if lane is None else (" WHERE lane = ?", (lane.value,))
        row = self._db.execute(f"SELECT count(*) FROM messages{where}", values).fetchone()  # noqa: S608 - fixed text
        return int(row[0])

    def after(self, local_id: int, limit: int) -> list[Waiting]:
        """
        Return up to *limit* messages stored after *local_id*.

        A row whose body does not match its checksum is moved to the quarantine and the
        rest goes on.
        """
        rows = self._db.execute(
            "SELECT local_id, lane, message_id, body, checksum FROM messages"
            " WHERE local_id > ? ORDER BY local_id LIMIT ?",
            (local_id, limit),
        ).fetchall()
        return [waiting for row in rows if (waiting := self._readable(row)) is not None]

    def get(self, local_id: int) -> Waiting | None:
        """Return one message, or `None` when it is no longer waiting."""
        row = self._db.execute(
            "SELECT local_id, lane, message_id, body, checksum FROM messages WHERE local_id = ?",
            (local_id,),
        ).fetchone()
        return None if row is None else self._readable(row)

    def accept(self, message_ids: Iterable[str]) -> list[int]:
        """Delete what the cloud holds; return the local ids that were waiting."""
        with self.transaction():
            found = self._local_ids(message_ids)
            self._db.executemany(
                "DELETE FROM messages WHERE local_id = ?", [(local_id,) for local_id in found]
            )
        return found

    def refuse(self, reasons: dict[str, str]) -> list[int]:
        """Move what the cloud refused to the quarantine; return the local ids."""
        moved: list[int] = []
        with self.transaction():
            for message_id, reason in reasons.items():
                for local_id in self._local_ids([message_id]):
                    self._quarantine(local_id, reason)
                    moved.append(local_id)
        return moved

    def quarantined(self) -> list[Refused]:
        rows = self._db.execute(
            "SELECT lane, message_id, body, reason FROM quarantine ORDER BY quarantine_id"
        )
        return [
            Refused(lane=lane, message_id=message_id, body=body, reason=reason)
            for lane, message_id, body, reason in rows
        ]

    def fact(self, name: str) -> str | None:
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    @property
    def connection(self) -> sqlite3.Connection:
        """The database, for the sightings that live beside the messages."""
        return self._db

    @property
    def sightings_max(self) -> int:
        return self._config.sightings_max

    def transaction(self, *, durable: bool = False) -> AbstractContextManager[None]:
        return transaction(self._db, durable=durable)

    def _tell_stored(self) -> None:
        if self.on_stored is not None:
            self.on_stored()

    def _insert(self, message: Message) -> None:
        body = json.dumps(message.body, ensure_ascii=False, separators=(",", ":")).encode()
        # A message id that is there already is the same transaction read again.
        self._db.execute(
            "INSERT INTO messages (lane, message_id, body, checksum, boot_id, monotonic_ms)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                message.lane,
                message.message_id,
                body,
                zlib.crc32(body),
                *moment(),
            ),
        )

    def _insert_refused(self, refused: Refused) -> None:
        self._db.execute(
            "INSERT INTO quarantine (lane, message_id, body, reason) VALUES (?, ?, ?, ?)",
            (refused.lane, refused.message_id, refused.body, refused.reason),
        )

    def _local_ids(self, message_ids: Iterable[str]) -> list[int]:
        found: list[int] = []
        for message_id in message_ids:
            row = self._db.execute(
                "SELECT local_id FROM messages WHERE message_id = ?", (message_id,)
            ).fetchone()
            if row is not None:
                found.append(row[0])
        return found

    def _readable(self, row: tuple[int, str, str, bytes, int]) -> Waiting | None:
        local_id, lane, message_id, body, checksum = row
        document = document_in(lane, body, checksum)
        if document is None:
            with self.transaction():
                self._quarantine(local_id, CORRUPTED)
            journal.alarm("message_corrupted", message_id=message_id)
            return None
        return Waiting(local_id=local_id, lane=Lane(lane), message_id=message_id, body=document)

    def _quarantine(self, local_id: int, reason: str) -> None:
        self._db.execute(
            "INSERT INTO quarantine (lane, message_id, body, checksum, reason)"
            " SELECT lane, message_id, body, checksum, ? FROM messages WHERE local_id = ?",
            (reason, local_id),
        )
        self._db.execute("DELETE FROM messages WHERE local_id = ?", (local_id,))


def document_in(lane: str, body: bytes, checksum: int) -> dict[str, Any] | None:
    """Return the message in a stored row, or `None` when the disk has damaged it."""
    document: object = None
    with contextlib.suppress(ValueError, TypeError):
        if lane in set(Lane) and zlib.crc32(body) == checksum:
            document = json.loads(body)
    return document if isinstance(document, dict) else None
