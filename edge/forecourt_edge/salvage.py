"""
Recovery of a damaged outbox: every row that can still be read is copied to a fresh one.

A lost cursor costs nothing: the controller keeps the number it was last told to close,
and that is where a nozzle without a cursor begins.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_KEYS = {
    "cursors": "rowid",
    "messages": "local_id",
    "sightings": "sighting_id",
    "quarantine": "quarantine_id",
    "facts": "rowid",
}


def set_aside(path: Path) -> Path:
    """Rename the database and its log files; nothing is deleted."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            os.replace(part, aside.with_name(aside.name + suffix))  # noqa: PTH105 - atomic, and says so
    return aside


def copy_readable(damaged: Path, fresh: sqlite3.Connection) -> dict[str, int]:
    """
    Copy what can be read; return the number of rows by table.

    Columns are copied by name: the damaged file may be of an older program, or of a newer one
    that was rolled back.
    """
    copied: dict[str, int] = {}
    with contextlib.closing(sqlite3.connect(damaged)) as source:
        for table, key in _KEYS.items():
            kept = set(_columns(fresh, table))
            names = [name for name in _columns(source, table) if name in kept]
            rows = {row[0]: row[1:] for row in _rows(source, table, [key, *names])}
            places = ", ".join("?" * len(names))
            insert = f"INSERT OR IGNORE INTO {table} ({', '.join(names)}) VALUES ({places})"  # noqa: S608 - our own names
            fresh.execute("BEGIN")
            for _, values in sorted(rows.items()):
                with contextlib.suppress(sqlite3.Error):
                    fresh.execute(insert, values)
            fresh.execute("COMMIT")
            copied[table] = len(rows)
    return copied


def _columns(database: sqlite3.Connection, table: str) -> list[str]:
    """Return the columns the file has; none when not even its schema can be read."""
    try:
        return [str(row[1]) for row in database.execute(f"PRAGMA table_info({table})")]
    except sqlite3.DatabaseError:
        return []


def _rows(
    source: sqlite3.Connection, table: str, columns: Sequence[str]
) -> Iterator[tuple[object, ...]]:
    """
    Read from both ends up to the damaged page, in the order of the first column.

    The caller removes what comes twice.
    """
    key, names = columns[0], ", ".join(columns)
    for direction, beyond in (("ASC", ">"), ("DESC", "<")):
        last: object = None
        while True:
            where = "" if last is None else f"WHERE {key} {beyond} ?"
            query = f"SELECT {names} FROM {table} {where} ORDER BY {key} {direction} LIMIT 1"  # noqa: S608 - fixed names
            try:
                row = source.execute(query, () if last is None else (last,)).fetchone()
            except sqlite3.DatabaseError:
                break
            if row is None:
                break
            last = row[0]
            yield row
