"""
What cameras saw and the till was told, kept on disk until a sale takes it.

It shares the outbox's database so that a sale and the evidence it used move in one
transaction, and so that a restart between arrival and hang-up loses neither.  Of
sightings the oldest give way: a plate is worth less than a sale.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from forecourt_edge.joining import PLATE, Joined, Sighting, better_read, join, same_read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecourt_edge.config import JoiningConfig
    from forecourt_edge.outbox import Outbox

_COLUMNS = (
    "sighting_id, camera, kind, value, confidence, nozzles, seen_at, used_at, character_confidences"
)
_Row = tuple[int, str, str, str, int | None, str, float, float | None, str | None]


class Sightings:
    """Evidence by time; one instance per outbox."""

    def __init__(self, outbox: Outbox, config: JoiningConfig) -> None:
        self._outbox = outbox
        self._config = config

    def add_plate(
        self,
        *,
        event_id: str,
        camera: str,
        plate: str,
        confidence: int | None,
        nozzles: Sequence[int],
        seen_at: float,
        character_confidences: Sequence[int] = (),
    ) -> bool:
        """
        Store a read of a plate; `False` means it told nothing new.

        The same event again is recognised by its id, the same car read twice by one
        camera by likeness and time: then the better read stands.
        """
        database = self._outbox.connection
        with self._outbox.transaction():
            known = database.execute("SELECT 1 FROM sightings WHERE event_id = ?", (event_id,))
            if known.fetchone() is not None:
                return False
            earlier = self._same_car(camera, plate, nozzles, seen_at)
            if earlier is not None:
                if better_read(earlier, plate, confidence):
                    database.execute(
                        "UPDATE sightings SET value = ?, confidence = ?,"
                        " character_confidences = ? WHERE sighting_id = ?",
                        (
                            plate,
                            confidence,
                            _percentages(character_confidences),
                            earlier.sighting_id,
                        ),
                    )
                return False
            self._insert(
                event_id=event_id,
                camera=camera,
                kind=PLATE,
                value=plate,
                confidence=confidence,
                nozzles=nozzles,
                seen_at=seen_at,
                character_confidences=character_confidences,
            )
        return True

    def add_told(
        self, *, event_id: str, source: str, kind: str, value: str, nozzle: int, seen_at: float
    ) -> None:
        """Store what was told at the till for the sale now at, or next at, *nozzle*."""
        with self._outbox.transaction():
            self._insert(
                event_id=event_id,
                camera=source,
                kind=kind,
                value=value,
                confidence=None,
                nozzles=[nozzle],
                seen_at=seen_at,
            )

    def for_sale(self, *, nozzle: int, lifted_at: float | None, completed_at: float) -> Joined:
        """Return what was seen of the driver of a sale; times are the gateway's."""
        oldest = (lifted_at or completed_at) - max(
            self._config.arrival_window_seconds, self._config.reuse_pause_seconds
        )
        rows = self._outbox.connection.execute(
            f"SELECT {_COLUMNS} FROM sightings WHERE used_at > ?"  # noqa: S608 - fixed names
            " OR (used_at IS NULL AND seen_at > ?) ORDER BY seen_at, sighting_id",
            (oldest, oldest),
        )
        return join(
            [_sighting(row) for row in rows],
            nozzle=nozzle,
            lifted_at=lifted_at,
            completed_at=completed_at,
            config=self._config,
        )

    def _same_car(
        self, camera: str, plate: str, nozzles: Sequence[int], seen_at: float
    ) -> Sighting | None:
        rows = self._outbox.connection.execute(
            f"SELECT {_COLUMNS} FROM sightings WHERE camera = ? AND kind = ?"  # noqa: S608
            " AND nozzles = ? AND seen_at BETWEEN ? AND ? ORDER BY seen_at DESC",
            (
                camera,
                PLATE,
                json.dumps(list(nozzles)),
                seen_at - self._config.duplicate_seconds,
                seen_at + self._config.duplicate_seconds,
            ),
        )
        return next(
            (each for row in rows if same_read((each := _sighting(row)).value, plate)), None
        )

    def _insert(
        self,
        *,
        event_id: str,
        camera: str,
        kind: str,
        value: str,
        confidence: int | None,
        nozzles: Sequence[int],
        seen_at: float,
        character_confidences: Sequence[int] = (),
    ) -> None:
        database = self._outbox.connection
        places = json.dumps(list(nozzles))
        inserted = database.execute(
            "INSERT INTO sightings (event_id, camera, kind, value, confidence, nozzles, seen_at,"
            " character_confidences) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                event_id,
                camera,
                kind,
                value,
                confidence,
                places,
                seen_at,
                _percentages(character_confidences),
            ),
        )
        database.execute(
            "DELETE FROM sightings WHERE sighting_id <= ?",
            ((inserted.lastrowid or 0) - self._outbox.sightings_max,),
        )


def _percentages(character_confidences: Sequence[int]) -> str | None:
    return json.dumps(list(character_confidences)) if character_confidences else None


def _sighting(row: _Row) -> Sighting:
    sighting_id, camera, kind, value, confidence, nozzles, seen_at, used_at, characters = row
    return Sighting(
        sighting_id=sighting_id,
        camera=camera,
        kind=kind,
        value=value,
        confidence=confidence,
        nozzles=tuple(json.loads(nozzles)),
        seen_at=seen_at,
        used_at=used_at,
        character_confidences=tuple(json.loads(characters)) if characters else (),
    )
