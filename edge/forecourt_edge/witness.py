"""
What happens to a push of a camera and a word of the till: checked, stamped, stored.

Whose sale it will be the till says before hang-up (`/evidence`), what it was afterwards
(`/tellings`, see `forecourt_edge.tellings`).

The receive time counts, because camera clocks and zones are wrong in practice.  Only of a
retransmission, which may come long after the car, the camera's own time is taken, if it
can be: within the last hour.  Else it is stored for nobody.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from forecourt.sales import EvidenceKind
from forecourt_edge import journal
from forecourt_edge.cameras import PlateRead, Unreadable, read_push
from forecourt_edge.joining import tidy_plate
from forecourt_edge.listener import Reply, Request, event_id, token_matches

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from forecourt_edge.config import CameraConfig, EdgeConfig, ListenConfig
    from forecourt_edge.sightings import Sightings
    from forecourt_edge.tellings import Tellings

_VALUE_MAX = 64  # Ingest refuses a longer one.
_RETRANSMISSION_MAX = timedelta(hours=1)
_CLOCK_TOLERANCE = timedelta(minutes=2)
_TOLD_KINDS = frozenset(EvidenceKind)


class Witness:
    """Handles the listener's requests."""

    def __init__(
        self,
        config: EdgeConfig,
        listen: ListenConfig,
        *,
        sightings: Sightings,
        tellings: Tellings,
        now: Callable[[], datetime],
        taken_over: Callable[[int, int], bool],
    ) -> None:
        self._listen = listen
        self._cameras = {camera.name: camera for camera in config.cameras}
        self._nozzles = {
            wired.nozzle for controller in config.controllers for wired in controller.nozzles
        }
        self._sightings = sightings
        self._tellings = tellings
        self._now = now
        self._taken_over = taken_over

    def handle(self, request: Request) -> Reply:
        if request.path == "/health":
            return Reply()
        if request.path == "/evidence":
            return self._from_till(request, self._told)
        if request.path == "/tellings":
            return self._from_till(request, self._tellings.take)
        camera = self._cameras.get(request.path.removeprefix("/cameras/"))
        if camera is None or not request.path.startswith("/cameras/"):
            return Reply(status=404, code="unknown_path")
        return self._pushed(camera, request) if request.method == "POST" else _not_allowed()

    def _pushed(self, camera: CameraConfig, request: Request) -> Reply:
        if camera.address is not None and request.peer != camera.address:
            journal.warn("camera_refused", camera=camera.name, reason="address")
            return Reply(status=403, code="not_this_camera")
        try:
            read = read_push(request.headers.get("content-type", ""), request.body)
        except Unreadable as error:
            journal.warn("camera_refused", camera=camera.name, reason=error.reason)
            return Reply(status=400, code="unreadable", detail=error.reason)
        if read is None or read.plate is None:
            return Reply()
        seen_at = self._seen_at(read)
        if seen_at is None:
            journal.warn("retransmission_ignored", camera=camera.name)
            return Reply()
        fresh = self._sightings.add_plate(
            event_id=f"{camera.name}-{read.event_id}",
            camera=camera.name,
            plate=read.plate,
            confidence=read.confidence,
            character_confidences=read.character_confidences,
            nozzles=camera.sees(read.lane),
            seen_at=seen_at.timestamp(),
        )
        journal.note("plate_seen", camera=camera.name, lane=read.lane, fresh=fresh)
        return Reply()

    def _seen_at(self, read: PlateRead) -> datetime | None:
        now = self._now()
        if not read.retransmitted:
            return now
        if read.shown_at is None:
            return None
        age = now - read.shown_at
        if not -_CLOCK_TOLERANCE <= age <= _RETRANSMISSION_MAX:
            return None
        return min(read.shown_at, now)

    def _from_till(self, request: Request, take: Callable[[Request], Reply]) -> Reply:
        if request.method != "POST":
            return _not_allowed()
        token = self._listen.till_token
        if token is not None and not token_matches(request, token):
            return Reply(status=401, code="unauthorised")
        return take(request)

    def _told(self, request: Request) -> Reply:
        try:
            document = json.loads(request.body)
        except ValueError:
            return Reply(status=400, code="not_json")
        fault = _fault_of(document)
        if fault:
            return Reply(status=400, code="invalid", detail=fault)
        nozzle, kind, value = document["nozzle"], document["kind"], document["value"]
        if nozzle not in self._nozzles:
            return Reply(status=404, code="unknown_nozzle")
        transaction = document.get("transaction")
        if transaction is not None and self._taken_over(nozzle, transaction):
            return Reply(status=409, code="already_taken_over")
        if kind == EvidenceKind.PLATE:
            value = tidy_plate(value)
            if value is None:
                return Reply(status=400, code="invalid", detail="value: no plate")
        self._sightings.add_told(
            event_id=event_id(),
            source="till",
            kind=kind,
            value=value,
            nozzle=nozzle,
            seen_at=self._now().timestamp(),
        )
        journal.note("evidence_told", nozzle=nozzle, kind=kind)
        return Reply()


def _fault_of(document: Any) -> str:
    """Return what is wrong with the till's document, or nothing."""
    if not isinstance(document, dict):
        return "document: must be an object"
    if unexpected := set(document) - {"nozzle", "kind", "value", "transaction"}:
        return f"{min(unexpected)[:32]}: unexpected"
    if type(document.get("nozzle")) is not int:
        return "nozzle: must be an integer"
    kind = document.get("kind")
    if not isinstance(kind, str) or kind not in _TOLD_KINDS:
        return f"kind: must be one of {', '.join(sorted(_TOLD_KINDS))}"
    value = document.get("value")
    if not isinstance(value, str) or not 1 <= len(value) <= _VALUE_MAX or not value.isprintable():
        return f"value: must be text of 1 to {_VALUE_MAX} characters"
    if type(document.get("transaction", 0)) is not int:
        return "transaction: must be an integer"
    return ""


def _not_allowed() -> Reply:
    return Reply(status=405, code="method_not_allowed")
