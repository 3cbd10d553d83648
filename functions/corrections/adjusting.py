"""The routes for adjustments: ask, list, approve, reject."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query

from forecourt.adjustments import Adjustment, Status, adjustment_id_for
from forecourt.adjustments_table import AdjustmentsTable
from forecourt.callers import Permission
from forecourt.cursors import MAX_CURSOR_LENGTH, make_cursor, read_cursor
from forecourt.doors import Door
from forecourt.errors import AdjustmentDecided, InvalidRequest, UnknownMember
from forecourt.instants import business_day, format_instant
from forecourt.keeping import Keeping
from forecourt.ledger import Entry
from forecourt.ledger.giving import needs_checker
from forecourt.ledger.refusals import LedgerRefusal
from forecourt.ledger_table import LedgerTable
from forecourt.loyalty_table import LoyaltyTable
from forecourt.once import Answer
from functions.corrections.bodies import (
    AdjustedView,
    AdjustmentOrder,
    AdjustmentsView,
    posted,
)

PAGE = 20
PAGE_MAX = 100
TAG = "corrections"
SCOPE = "adjustments"

MemberId = Annotated[str, Path(description="The member's id")]
AdjustmentId = Annotated[
    str,
    Path(max_length=64, examples=["20261123T081500Z.adjustment.9f86d081884c7d65"]),
]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]
Cursor = Annotated[str | None, Query(max_length=MAX_CURSOR_LENGTH)]


class AdjustmentRoutes:
    """The routes, what waits for a second person, and the ledger."""

    def __init__(
        self,
        *,
        door: Door,
        table: AdjustmentsTable,
        loyalty: LoyaltyTable,
        ledger: LedgerTable,
        keeping: Keeping,
        now: Callable[[], datetime],
    ) -> None:
        self._door = door
        self._table = table
        self._loyalty = loyalty
        self._ledger = ledger
        self._keeping = keeping
        self._now = now
        one = "/adjustments/<adjustment_id>"
        for method, path, route, status in (
            ("POST", "/members/<member_id>/adjustments", self.adjust, 201),
            ("GET", "/adjustments", self.list_adjustments, 200),
            ("POST", f"{one}/approval", self.approve_adjustment, 200),
            ("POST", f"{one}/rejection", self.reject_adjustment, 200),
        ):
            door.add(method, path, route, tag=TAG, status=status)

    def adjust(self, member_id: MemberId, body: AdjustmentOrder) -> Response[AdjustedView]:
        """
        Correct a member's wallet; above the program's limit, ask somebody else to approve it.

        The answer has no entry then, and the correction is in the list of what waits.
        """
        caller = self._door.caller
        member_id = caller.member_named(member_id, Permission.ADJUST_POINTS)
        if body.points == 0:
            raise InvalidRequest(findings=[{"at": "/body/points", "reason": "nothing"}])
        request = hashlib.sha256(
            f"{caller.subject}\n{self._door.key}".encode("utf-8", "surrogatepass")
        ).hexdigest()

        def perform() -> Answer:
            if not self._loyalty.enrolled(member_id):
                raise UnknownMember(member_id)
            meant = self._meant(member_id, body, request_id=request, asked_by=caller.subject)
            asked = self._table.ask(meant, request_id=request)
            entry = self._post(asked) if asked.status is Status.ALLOWED else None
            return Answer(status=201, body=_adjusted(asked, entry))

        return self._door.once(perform)

    def list_adjustments(
        self, limit: Limit = PAGE, cursor: Cursor = None
    ) -> Response[AdjustmentsView]:
        """List what waits for a second person, oldest first."""
        self._door.caller.require(Permission.READ_ADJUSTMENTS)
        after = read_cursor(cursor, scope=SCOPE, parts=1)[0] if cursor is not None else None
        waiting, last = self._table.waiting(limit=limit, after=after)
        return self._door.show(
            {
                "adjustments": [_adjustment(each) for each in waiting],
                "next_cursor": make_cursor([last], scope=SCOPE) if last else None,
            }
        )

    def approve_adjustment(self, adjustment_id: AdjustmentId) -> Response[AdjustedView]:
        """
        Approve what somebody else asked for; it is posted at once.

        An approval that stopped half-way is finished by the next one, whoever sends it.
        """
        caller = self._door.caller
        caller.require(Permission.DECIDE_ADJUSTMENTS)

        def perform() -> Answer:
            adjustment = self._table.adjustment(adjustment_id)
            if adjustment.status is Status.WAITING:
                adjustment = adjustment.decided(Status.APPROVED, by=caller.subject, at=self._now())
                self._table.approve(adjustment)
            elif adjustment.status is not Status.APPROVED:
                _only_a_repeat(adjustment, {Status.POSTED, Status.REFUSED}, caller.subject)
            return Answer(status=200, body=_adjusted(*self._finish(adjustment)))

        return self._door.once(perform)

    def reject_adjustment(self, adjustment_id: AdjustmentId) -> Response[AdjustedView]:
        """Reject what somebody asked for; it never happens."""
        caller = self._door.caller
        caller.require(Permission.DECIDE_ADJUSTMENTS)

        def perform() -> Answer:
            adjustment = self._table.adjustment(adjustment_id)
            if adjustment.status is Status.WAITING:
                adjustment = adjustment.decided(Status.REJECTED, by=caller.subject, at=self._now())
                self._table.reject(adjustment)
            else:
                _only_a_repeat(adjustment, {Status.REJECTED}, caller.subject)
            return Answer(status=200, body=_adjusted(adjustment, None))

        return self._door.once(perform)

    def _meant(
        self, member_id: str, body: AdjustmentOrder, *, request_id: str, asked_by: str
    ) -> Adjustment:
        now = self._now()
        program = self._keeping.program(now)
        policy = program.policies().of(body.wallet)
        today = business_day(now, policy.zone)
        last: date | None = None
        if isinstance(body.expires_on, date):
            last = body.expires_on
            if last < today:
                raise InvalidRequest(findings=[{"at": "/body/expires_on", "reason": "over"}])
        elif body.expires_on is None and body.points > 0:
            _, last = program.terms(body.wallet).dates(today)
        waits = needs_checker(body.points, policy)
        return Adjustment(
            adjustment_id=adjustment_id_for(now, request_id),
            member_id=member_id,
            wallet=body.wallet,
            points=body.points,
            expires_on=last,
            source=body.source,
            reason=body.reason,
            asked_by=asked_by,
            asked_at=now,
            status=Status.WAITING if waits else Status.ALLOWED,
        )

    def _finish(self, approved: Adjustment) -> tuple[Adjustment, Entry]:
        """Post what was approved and note it; a refusal is noted, too, and raised."""
        try:
            entry = self._post(approved)
        except LedgerRefusal:
            self._table.finish(replace(approved, status=Status.REFUSED))
            raise
        finished = replace(approved, status=Status.POSTED)
        self._table.finish(finished)
        return finished, entry

    def _post(self, adjustment: Adjustment) -> Entry:
        policies = self._keeping.program(self._now()).policies()
        return self._ledger.execute(adjustment.command, policies=policies).posted()


def _only_a_repeat(adjustment: Adjustment, outcomes: set[Status], caller: str) -> None:
    """Refuse to decide again, unless it is the caller's own decision that comes again."""
    if adjustment.status not in outcomes or adjustment.decided_by != caller:
        raise AdjustmentDecided(
            adjustment_id=adjustment.adjustment_id, status=str(adjustment.status)
        )


def _adjusted(adjustment: Adjustment, entry: Entry | None) -> dict[str, Any]:
    return {"adjustment": _adjustment(adjustment), "entry": posted(entry) if entry else None}


def _adjustment(adjustment: Adjustment) -> dict[str, Any]:
    decided_at = adjustment.decided_at
    return {
        "adjustment_id": adjustment.adjustment_id,
        "member_id": adjustment.member_id,
        "wallet": adjustment.wallet,
        "points": adjustment.points,
        "expires_on": adjustment.expires_on.isoformat() if adjustment.expires_on else None,
        "source": adjustment.source,
        "reason": adjustment.reason,
        "asked_by": adjustment.asked_by,
        "asked_at": format_instant(adjustment.asked_at),
        "status": str(adjustment.status),
        "decided_by": adjustment.decided_by,
        "decided_at": format_instant(decided_at) if decided_at else None,
    }
