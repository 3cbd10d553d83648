"""
The outbox's file: held by one process, opened, and mended when it is damaged.

A second process may read and change it in transactions of its own, as a technician's does.
"""

from __future__ import annotations

import contextlib
import fcntl
import sqlite3
import time
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING

from forecourt_edge import journal, salvage
from forecourt_edge.errors import OutboxFull, OutboxInUse

if TYPE_CHECKING:
    from collections.abc import Iterator

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_BUSY_SECONDS = 5.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS cursors (
    nozzle INTEGER NOT NULL,
    device_serial TEXT NOT NULL,
    number INTEGER NOT NULL,
    totalizer_ml INTEGER,
    PRIMARY KEY (nozzle, device_serial)
) STRICT;
CREATE TABLE IF NOT EXISTS messages (
    local_id INTEGER PRIMARY KEY AUTOINCREMENT,
    lane TEXT NOT NULL,
    message_id TEXT NOT NULL UNIQUE,
    body BLOB NOT NULL,
    checksum INTEGER NOT NULL,
    boot_id TEXT NOT NULL,
    monotonic_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS sightings (
    sighting_id INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL UNIQUE,
    camera TEXT NOT NULL,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    confidence INTEGER,
    nozzles TEXT NOT NULL,
    seen_at REAL NOT NULL,
    used_at REAL,
    character_confidences TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS quarantine (
    quarantine_id INTEGER PRIMARY KEY AUTOINCREMENT,
    lane TEXT NOT NULL,
    message_id TEXT NOT NULL,
    body BLOB NOT NULL,
    reason TEXT NOT NULL,
    quarantined_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
    checksum INTEGER
) STRICT;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
"""
# Columns that came later: the file of a gateway outlives the program that made it. A new one
# may be null, so that the program before it can still write the file after a roll-back.
_ADDED = {
    ("sightings", "character_confidences"): "TEXT",
    ("quarantine", "checksum"): "INTEGER",
}


def lock(path: Path) -> IO[bytes]:
    """Hold the outbox for this process; the system lets go of it however the process ends."""
    handle = path.with_name(f"{path.name}.lock").open("ab")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        handle.close()
        raise OutboxInUse(path=str(path)) from error
    return handle


def open_database(path: Path) -> sqlite3.Connection:
    """Open the database; one that is damaged is set aside and what is readable copied over."""
    try:
        return _connect(path)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise
    journal.alarm("outbox_damaged", path=str(path))
    set_aside = salvage.set_aside(path)
    fresh = _connect(path)
    copied = salvage.copy_readable(set_aside, fresh)
    journal.alarm("outbox_salvaged", set_aside=str(set_aside), **copied)
    return fresh


def open_beside(path: Path) -> sqlite3.Connection:
    """
    Open the database of an outbox that is there, beside the process that holds it.

    It is neither made nor mended; raises `sqlite3.Error` when it cannot be used as it is.
    """
    address = f"{path.absolute().as_uri()}?mode=rw"
    database = sqlite3.connect(address, uri=True, isolation_level=None, timeout=_BUSY_SECONDS)
    try:
        _add_columns(database)
    except sqlite3.Error:
        database.close()
        raise
    return database


@contextlib.contextmanager
def transaction(database: sqlite3.Connection, *, durable: bool) -> Iterator[None]:
    """
    All or nothing; *durable* when somebody is told afterwards that it is safe.

    The others survive a crash of the process as well. A power cut may undo the last of
    them: an acknowledged message is sent once more, the plate of a moment ago is gone.
    Raises `OutboxFull` on a full disk.
    """
    try:
        database.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            # SQLite has rolled back by itself after some errors, a full disk among them.
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise
        database.execute("COMMIT")
    except sqlite3.OperationalError as error:
        if database.in_transaction:
            database.execute("ROLLBACK")
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            (rows,) = database.execute("SELECT count(*) FROM messages").fetchone()
            raise OutboxFull(reason="disk", rows=rows) from error
        raise


def moment() -> tuple[str, int]:
    """Return the boot and its monotonic milliseconds: now, even if the wall clock is wrong."""
    return _boot_id(), time.monotonic_ns() // 1_000_000


@cache
def _boot_id() -> str:
    return _BOOT_ID.read_text("ascii").strip() if _BOOT_ID.exists() else ""


def _connect(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_SECONDS)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        _check(database)
        database.executescript(_SCHEMA)
        _add_columns(database)
    except sqlite3.DatabaseError:
        database.close()
        raise
    return database


def _add_columns(database: sqlite3.Connection) -> None:
    for (table, name), kind in _ADDED.items():
        known = {row[1] for row in database.execute(f"PRAGMA table_info({table})")}
        if name not in known:
            database.execute(f"ALTER TABLE {table} ADD COLUMN {name} {kind}")


def _check(database: sqlite3.Connection) -> None:
    if database.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
        damage = sqlite3.DatabaseError("quick_check")
        damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise damage
