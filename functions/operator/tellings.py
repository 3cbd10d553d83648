"""The routes for what tills and payment providers told, and no pump."""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query

from forecourt.callers import Permission
from forecourt.cursors import MAX_CURSOR_LENGTH, make_cursor, read_cursor
from forecourt.doors import Door
from forecourt.errors import InvalidRequest, TellingSettled
from forecourt.evidence import evidence_from_document
from forecourt.identity import mask
from forecourt.instants import day_bounds, format_instant
from forecourt.lone_tellings import LoneTellings, TellingsPage
from forecourt.once import Answer
from forecourt.operator_table import OperatorTable
from forecourt.retold_sales import RetoldSales
from forecourt.sealing import Sealer
from forecourt.stored_tellings import QUEUE, StoredTelling
from functions.operator.bodies import SettledView, TellingOrder, TellingsView

PAGE = 20
PAGE_MAX = 50  # each telling's evidence is unsealed one by one
TAG = "tellings"

TellingId = Annotated[
    str, Path(max_length=128, examples=["20261123T081730Z.s0001.till.R-20261123-0815"])
]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]
Cursor = Annotated[str | None, Query(max_length=MAX_CURSOR_LENGTH)]
AtStation = Annotated[
    str | None, Query(max_length=64, description="Goes with `business_day`", examples=["s0001"])
]
OnDay = Annotated[
    str | None,
    Query(
        pattern=r"^20[0-9]{2}-[0-9]{2}-[0-9]{2}$",
        description="A day in the station's zone; goes with `station_id`",
        examples=["2026-11-23"],
    ),
]


class TellingRoutes:
    """The routes, the queue, what settles what is in it, and what opens its evidence."""

    def __init__(
        self,
        *,
        door: Door,
        stations: OperatorTable,
        lone: LoneTellings,
        retold: RetoldSales,
        sealer: Sealer,
        now: Callable[[], datetime],
    ) -> None:
        self._door = door
        self._stations = stations
        self._lone = lone
        self._retold = retold
        self._sealer = sealer
        self._now = now
        for method, path, route in (
            ("GET", "/tellings", self.list_tellings),
            ("POST", "/tellings/<telling_id>/assignment", self.assign_telling),
            ("POST", "/tellings/<telling_id>/dismissal", self.dismiss_telling),
        ):
            door.add(method, path, route, tag=TAG, status=200)

    def list_tellings(
        self,
        station_id: AtStation = None,
        business_day: OnDay = None,
        limit: Limit = PAGE,
        cursor: Cursor = None,
    ) -> Response[TellingsView]:
        """
        List what was told of sales that no pump has told of for an hour; evidence is masked.

        Of one station's day in order of time, or of all stations, what waits longest first. A
        page may be empty and not the last.
        """
        caller = self._door.caller
        caller.require(Permission.READ_QUEUES)
        if station_id is None and business_day is None:
            page, next_cursor = self._everywhere(limit=limit, cursor=cursor)
        elif station_id is not None and business_day is not None:
            page, next_cursor = self._at_station(
                station_id, _day(business_day), limit=limit, cursor=cursor
            )
        else:
            raise _refused("station_id" if station_id is None else "business_day", "missing")
        opens = caller.may(Permission.READ_EVIDENCE)
        return self._door.show(
            {
                "tellings": [self._telling(each, opens=opens) for each in page.tellings],
                "next_cursor": next_cursor,
            }
        )

    def assign_telling(self, telling_id: TellingId, body: TellingOrder) -> Response[SettledView]:
        """
        Say which sale of the station was told of: whom the telling names is evidence for it.

        A sale that waits for its owner is weighed anew. That the figures differ is known then.
        """

        def settle(actor: str) -> None:
            self._retold.unite(telling_id, body.sale_id, actor=actor, decided_at=self._now())

        return self._settle(telling_id, body.sale_id, settle)

    def dismiss_telling(self, telling_id: TellingId) -> Response[SettledView]:
        """Say that there was no sale; whom the telling named is forgotten."""

        def settle(actor: str) -> None:
            self._retold.dismiss(telling_id, actor=actor, decided_at=self._now())

        return self._settle(telling_id, None, settle)

    def _settle(
        self, telling_id: str, sale_id: str | None, settle: Callable[[str], None]
    ) -> Response[SettledView]:
        caller = self._door.caller
        caller.require(Permission.DECIDE_SALES)

        def perform() -> Answer:
            try:
                settle(caller.subject)
            except TellingSettled:
                # The caller's own earlier decision is what a retry finds.
                stored = self._retold.telling(telling_id)
                if (stored.decided_by, stored.sale_id) != (caller.subject, sale_id):
                    raise
            return Answer(
                status=200,
                body={
                    "telling_id": telling_id,
                    "sale_id": sale_id,
                    "decided_by": caller.subject,
                },
            )

        return self._door.once(perform)

    def _everywhere(self, *, limit: int, cursor: str | None) -> tuple[TellingsPage, str | None]:
        names = ("pk", "sk", "queued_at")
        start_key = _position(cursor, names, scope=TAG)
        page = self._lone.everywhere(
            now=self._now(),
            limit=limit,
            start_key={**start_key, "queue": QUEUE} if start_key else None,
        )
        return page, _cursor(page, names, scope=TAG)

    def _at_station(
        self, station_id: str, day: date, *, limit: int, cursor: str | None
    ) -> tuple[TellingsPage, str | None]:
        names = ("pk", "sk")
        scope = f"{TAG}/{station_id}/{day}"
        zone = ZoneInfo(self._stations.station(station_id).zone)
        opens_at, closes_at = day_bounds(day, zone)
        page = self._lone.at_station(
            station_id,
            opens_at=opens_at,
            closes_at=closes_at,
            now=self._now(),
            limit=limit,
            start_key=_position(cursor, names, scope=scope),
        )
        return page, _cursor(page, names, scope=scope)

    def _telling(self, stored: StoredTelling, *, opens: bool) -> dict[str, Any]:
        telling = stored.telling
        because = stored.waits_because
        return {
            "telling_id": stored.telling_id,
            "station_id": telling.station_id,
            "source": str(telling.source),
            "told_id": telling.told_id,
            "told_at": format_instant(telling.at),
            "received_at": format_instant(stored.received_at),
            "amount_fen": telling.amount_fen,
            "nozzle": telling.nozzle,
            "volume_ml": telling.volume_ml,
            "waits_because": str(because) if because else None,
            "evidence": [
                {
                    "kind": str(each.key.kind),
                    "confidence": each.confidence,
                    "source": each.source,
                }
                for each in stored.evidence
            ],
            "observed": self._observed(stored) if opens else None,
        }

    def _observed(self, stored: StoredTelling) -> list[dict[str, str]]:
        if stored.sealed is None:
            return []
        # What a telling brings is sealed as a sale's is, under its own id.
        opened = self._sealer.open(stored.sealed, context={"sale_id": stored.telling_id})
        return [
            {"kind": str(each.kind), "masked": mask(each.value)}
            for each in evidence_from_document(opened)
        ]


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise _refused("business_day", "no_day") from None


def _refused(name: str, reason: str) -> InvalidRequest:
    return InvalidRequest(findings=[{"at": f"/query/{name}", "reason": reason}])


def _position(cursor: str | None, names: tuple[str, ...], *, scope: str) -> dict[str, str] | None:
    if cursor is None:
        return None
    return dict(zip(names, read_cursor(cursor, scope=scope, parts=len(names)), strict=True))


def _cursor(page: TellingsPage, names: tuple[str, ...], *, scope: str) -> str | None:
    last: Mapping[str, str] | None = page.next_key
    return make_cursor([last[name] for name in names], scope=scope) if last else None
