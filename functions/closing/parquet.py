"""A day's entries as a Parquet file: a row each, in the order of the leaves. DuckDB writes it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Self

from forecourt.instants import format_instant
from forecourt.ledger.canonical import canonical
from forecourt.ledger.chain import content_of
from forecourt.ledger.daybook import day_of, leaf_of

if TYPE_CHECKING:
    from pathlib import Path

    from forecourt.ledger import Entry

# `leaf` is the hash of `content` behind a zero byte; whoever hashes all of them has the root.
COLUMNS = {
    "leaf": "VARCHAR",
    "member_id": "VARCHAR",
    "entry_id": "VARCHAR",
    "wallet": "VARCHAR",
    "kind": "VARCHAR",
    "points": "BIGINT",
    "source": "VARCHAR",
    "posted_on": "DATE",
    "posted_at": "TIMESTAMPTZ",
    "account_version": "BIGINT",
    "digest": "VARCHAR",
    "content": "VARCHAR",
}
MEMORY_MAX = "512MB"  # DuckDB sorts on disk beyond it


class ParquetWriter:
    """Collects rows in *folder*; memory does not grow with them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rows = (folder / "rows.jsonl").open("w", encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._rows.close()

    def add(self, entry: Entry) -> None:
        row = {
            "leaf": leaf_of(entry).hex(),
            "member_id": entry.member_id,
            "entry_id": entry.entry_id,
            "wallet": entry.wallet,
            "kind": str(entry.kind),
            "points": entry.points,
            "source": entry.source,
            "posted_on": day_of(entry).isoformat(),
            "posted_at": format_instant(entry.posted_at),
            "account_version": entry.account_version,
            "digest": entry.digest,
            "content": canonical(content_of(entry)).decode(),
        }
        self._rows.write(json.dumps(row, ensure_ascii=False) + "\n")

    def write(self) -> Path:
        """Return the file with all rows, sorted by leaf."""
        import duckdb  # noqa: PLC0415 - 60 MB, and most of what is tested here needs none of it

        parquet = self._folder / "entries.parquet"
        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": MEMORY_MAX,
            "temp_directory": str(self._folder / "spilled"),
            "home_directory": str(self._folder),
            "threads": 1,
            "autoinstall_known_extensions": False,  # nothing is fetched while a day is closed
        }
        with duckdb.connect(config=settings) as database:
            rows = database.read_json(
                str(self._folder / "rows.jsonl"), columns=COLUMNS, format="newline_delimited"
            )
            rows.order("leaf").write_parquet(str(parquet), compression="zstd")
        return parquet
