"""The routes for the program: draft, replace, validate, activate."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query

from forecourt.callers import Permission
from forecourt.contention import until_settled
from forecourt.cursors import MAX_CURSOR_LENGTH, make_cursor, read_cursor
from forecourt.documents import ProgramDocument, findings_about
from forecourt.doors import Door
from forecourt.instants import format_instant
from forecourt.once import Answer
from forecourt.operator_errors import InvalidProgram
from forecourt.operator_table import MAX_VERSION, OperatorTable, Version
from forecourt.shapes import Finding, Severity
from forecourt.stations_table import StationsTable
from forecourt.timelines import Activation, in_force
from functions.operator.bodies import (
    ActivationOrder,
    ActivationView,
    DetailedVersionView,
    ValidationView,
    VersionsView,
    VersionView,
)

PAGE = 10
PAGE_MAX = 50
TAG = "programs"
SCOPE = "programs"

VersionNumber = Annotated[int, Path(ge=1, le=MAX_VERSION)]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]
Cursor = Annotated[str | None, Query(max_length=MAX_CURSOR_LENGTH)]


class ProgramRoutes:
    """The routes, the versions and the stations, whose grades a program has to know."""

    def __init__(
        self,
        *,
        door: Door,
        table: OperatorTable,
        stations: StationsTable,
        now: Callable[[], datetime],
    ) -> None:
        self._door = door
        self._table = table
        self._stations = stations
        self._now = now
        version = "/programs/<version>"
        for method, path, route, status in (
            ("GET", "/programs", self.list_programs, 200),
            ("POST", "/programs", self.draft, 201),
            ("GET", version, self.show_program, 200),
            ("PUT", version, self.replace_draft, 200),
            ("POST", f"{version}/validation", self.validate, 200),
            ("POST", f"{version}/activation", self.activate, 200),
        ):
            door.add(method, path, route, tag=TAG, status=status)

    def list_programs(self, limit: Limit = PAGE, cursor: Cursor = None) -> Response[VersionsView]:
        """List the versions, latest first, and which is in force when."""
        self._door.caller.require(Permission.READ_PROGRAMS)
        position = read_cursor(cursor, scope=SCOPE, parts=1) if cursor is not None else None
        before = int(position[0]) if position else None
        versions, last = self._table.versions(limit=limit, before=before)
        timeline = self._table.timeline()
        return self._door.show(
            {
                "programs": [_version(each) for each in versions],
                "timeline": [_activation(each) for each in timeline],
                "in_force": in_force(timeline, self._now()),
                "next_cursor": make_cursor([str(last)], scope=SCOPE) if last else None,
            }
        )

    def show_program(self, version: VersionNumber) -> Response[DetailedVersionView]:
        """Show a version with its activations and what there is to know about it."""
        self._door.caller.require(Permission.READ_PROGRAMS)
        stored = self._table.version(version)
        return self._door.show(
            {
                **_version(stored),
                "activations": [
                    _activation(each) for each in self._table.timeline() if each.version == version
                ],
                "findings": _plain(self._findings(stored)),
            }
        )

    def draft(self, body: ProgramDocument) -> Response[VersionView]:
        """Draft the next version. Faults do not keep it from being saved; see its validation."""
        caller = self._door.caller
        caller.require(Permission.CHANGE_PROGRAMS)
        request_id = self._door.request_id

        def perform() -> Answer:
            version = self._table.draft(
                body.model_dump(mode="json"),
                request_id=request_id,
                drafted_by=caller.subject,
                drafted_at=self._now(),
            )
            return Answer(
                status=201,
                body=_version(version),
                headers={"Location": f"/programs/{version.version}"},
            )

        return self._door.once(perform)

    def replace_draft(self, version: VersionNumber, body: ProgramDocument) -> Response[VersionView]:
        """Replace a draft's document."""
        self._door.caller.require(Permission.CHANGE_PROGRAMS)

        def perform() -> Answer:
            replaced = self._table.replace_draft(version, body.model_dump(mode="json"))
            return Answer(status=200, body=_version(replaced))

        return self._door.once(perform)

    def validate(self, version: VersionNumber) -> Response[ValidationView]:
        """Say what is wrong or odd about a version, against the grades the stations sell now."""
        self._door.caller.require(Permission.CHANGE_PROGRAMS)

        def perform() -> Answer:
            findings = self._findings(self._table.version(version))
            return Answer(
                status=200,
                body={
                    "version": version,
                    "activatable": not _errors(findings),
                    "findings": _plain(findings),
                },
            )

        return self._door.once(perform)

    def activate(self, version: VersionNumber, body: ActivationOrder) -> Response[ActivationView]:
        """
        Put a version in force from a time on; sales completed from then on are judged by it.

        A version that was in force before may be activated again: that is the way back.
        """
        self._door.caller.require(Permission.CHANGE_PROGRAMS)
        request_id = self._door.exact_id

        def attempt() -> Activation:
            # Before all that may have changed since: what is sold, what is in force, the time.
            earlier = self._table.activated(request_id)
            if earlier is not None:
                return earlier
            stored = self._table.version(version)
            errors = _errors(self._findings(stored))
            if errors:
                raise InvalidProgram(findings=errors)
            return self._table.activate(
                stored,
                effective_at=body.effective_at,
                now=self._now(),
                request_id=request_id,
            )

        def perform() -> Answer:
            return Answer(status=200, body=_activation(until_settled(attempt)))

        return self._door.once(perform)

    def _findings(self, version: Version) -> list[Finding]:
        sold = frozenset().union(*(each.grades for each in self._stations.stations()))
        return findings_about(ProgramDocument.model_validate(version.document), sold=sold)


def _errors(findings: Iterable[Finding]) -> list[str]:
    return [f"{each.at}: {each.code}" for each in findings if each.severity is Severity.ERROR]


def _plain(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    return [each.model_dump(mode="json") for each in findings]


def _version(version: Version) -> dict[str, Any]:
    return {
        "version": version.version,
        "status": "active" if version.active else "draft",
        "document": dict(version.document),
        "drafted_at": format_instant(version.drafted_at),
        "drafted_by": version.drafted_by,
    }


def _activation(activation: Activation) -> dict[str, Any]:
    return {
        "version": activation.version,
        "effective_at": format_instant(activation.effective_at),
    }
