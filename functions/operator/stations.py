"""The routes for stations: register, list, show, change, certify."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query

from forecourt.callers import Permission
from forecourt.cursors import MAX_CURSOR_LENGTH, make_cursor, read_cursor
from forecourt.doors import Door
from forecourt.errors import InvalidRequest
from forecourt.instants import format_instant
from forecourt.once import Answer
from forecourt.operator_table import OperatorTable
from forecourt.shapes import zone_exists
from forecourt.stations_table import Station
from functions.operator.bodies import (
    CertificateOrder,
    CertifiedView,
    RegisteredView,
    Registration,
    StationChange,
    StationsView,
    StationView,
)
from functions.operator.things import Certificate, Things

PAGE = 50
PAGE_MAX = 100
TAG = "stations"
SCOPE = "stations"

StationIdPath = Annotated[str, Path(max_length=64)]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]
Cursor = Annotated[str | None, Query(max_length=MAX_CURSOR_LENGTH)]


class StationRoutes:
    """The routes, the table of stations and their things."""

    def __init__(
        self, *, door: Door, table: OperatorTable, things: Things, now: Callable[[], datetime]
    ) -> None:
        self._door = door
        self._table = table
        self._things = things
        self._now = now
        station = "/stations/<station_id>"
        for method, path, route, status in (
            ("GET", "/stations", self.list_stations, 200),
            ("POST", "/stations", self.register, 201),
            ("GET", station, self.show_station, 200),
            ("PATCH", station, self.change_station, 200),
            ("POST", f"{station}/certificates", self.certify, 201),
        ):
            door.add(method, path, route, tag=TAG, status=status)

    def list_stations(self, limit: Limit = PAGE, cursor: Cursor = None) -> Response[StationsView]:
        """List the stations by id."""
        self._door.caller.require(Permission.READ_STATIONS)
        after = read_cursor(cursor, scope=SCOPE, parts=1)[0] if cursor is not None else None
        stations, last = self._table.stations(limit=limit, after=after)
        return self._door.show(
            {
                "stations": [_station(each) for each in stations],
                "next_cursor": make_cursor([last], scope=SCOPE) if last else None,
            }
        )

    def show_station(self, station_id: StationIdPath) -> Response[StationView]:
        """Show a station."""
        self._door.caller.require(Permission.READ_STATIONS)
        return self._door.show(_station(self._table.station(station_id)))

    def register(self, body: Registration) -> Response[RegisteredView]:
        """
        Register a station: its record, its thing and its first certificate.

        A registration that stopped half-way goes on where it stopped when it comes again.
        """
        self._door.caller.require(Permission.CHANGE_STATIONS)
        if not zone_exists(body.zone):
            raise InvalidRequest(findings=[{"at": "/body/zone", "reason": "unknown_zone"}])
        meant = Station(
            station_id=body.station_id,
            name=body.name,
            zone=body.zone,
            grades=frozenset(body.grades),
            open_since=body.open_since or self._now(),
        )

        def perform() -> Answer:
            station = self._table.register(meant, opening_stated=body.open_since is not None)
            self._things.ensure(station.station_id)
            certified = self._things.certified(station.station_id)
            certificate = (
                None if certified else self._things.issue(station.station_id, csr=body.csr)
            )
            return Answer(
                status=200 if certified else 201,
                body={
                    "station": _station(station),
                    "thing_name": station.station_id,
                    "certificate": _certificate(certificate) if certificate else None,
                    "renewal": _renewal(station.station_id),
                },
                headers={"Location": f"/stations/{station.station_id}"},
                once=_private(certificate),
            )

        return self._door.once(perform)

    def change_station(
        self, station_id: StationIdPath, body: StationChange
    ) -> Response[StationView]:
        """
        Change a station's name, or the grades it sells.

        Its zone and when it opened stay: closed days rest on them.
        """
        self._door.caller.require(Permission.CHANGE_STATIONS)
        if body.name is None and body.grades is None:
            raise InvalidRequest(findings=[{"at": "/body", "reason": "nothing_to_change"}])
        grades = None if body.grades is None else frozenset(body.grades)

        def perform() -> Answer:
            station = self._table.change_station(station_id, name=body.name, grades=grades)
            return Answer(status=200, body=_station(station))

        return self._door.once(perform)

    def certify(self, station_id: StationIdPath, body: CertificateOrder) -> Response[CertifiedView]:
        """Give a station a new certificate; the old ones stay valid until they are revoked."""
        self._door.caller.require(Permission.CHANGE_STATIONS)

        def perform() -> Answer:
            station = self._table.station(station_id)
            self._things.ensure(station.station_id)
            certificate = self._things.issue(station.station_id, csr=body.csr)
            return Answer(
                status=201,
                body={
                    "station_id": station.station_id,
                    "certificate": _certificate(certificate),
                    "renewal": _renewal(station.station_id),
                },
                once=_private(certificate),
            )

        return self._door.once(perform)


def _station(station: Station) -> dict[str, Any]:
    return {
        "station_id": station.station_id,
        "name": station.name,
        "zone": station.zone,
        "grades": sorted(station.grades),
        "open_since": format_instant(station.open_since),
    }


def _certificate(certificate: Certificate) -> dict[str, Any]:
    return {
        "certificate_id": certificate.certificate_id,
        "certificate_pem": certificate.certificate_pem,
    }


def _private(certificate: Certificate | None) -> dict[str, Any]:
    """Return what is shown this once: a private key is not ours to keep."""
    if certificate is None or certificate.private_key_pem is None:
        return {}
    return {"private_key_pem": certificate.private_key_pem}


def _renewal(station_id: str) -> str:
    return f"/stations/{station_id}/certificates"
