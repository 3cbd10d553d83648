"""The routes for adjustments: ask, list, approve, reject."""

from dataclasses import replace
from datetime import date
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query

from forecourt.adjustments import Adjustment, Status, adjustment_id_for
from forecourt.adjustments_table import AdjustmentsTable
from forecourt.callers import Permission
from forecourt.cursors import MAX_CURSOR_LENGTH, make_cursor, read_cursor
from forecourt.errors import AdjustmentDecided, InvalidRequest
from forecourt.instants import business_day
from forecourt.ledger import Entry
from forecourt.ledger.giving import needs_checker
from forecourt.ledger.refusals import LedgerRefusal
from forecourt.once import Answer
from functions.corrections.bodies import (
    AdjustedView,
    AdjustmentOrder,
    AdjustmentsView,
    posted,
)
from functions.corrections.desk import TAG, Desk, MemberId

PAGE = 20
PAGE_MAX = 100
SCOPE = "adjustments"

AdjustmentId = Annotated[
    str,
    Path(max_length=64, examples=["20261123T081500Z.adjustment.9f86d081884c7d65"]),
]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]
Cursor = Annotated[str | None, Query(max_length=MAX_CURSOR_LENGTH)]


class AdjustmentRoutes:
    def __init__(self, desk: Desk, *, table: AdjustmentsTable) -> None:
        self._desk = desk
        self._table = table
        one = "/adjustments/<adjustment_id>"
        for method, path, route, status in (
            ("POST", "/members/<member_id>/adjustments", self.adjust, 201),
            ("GET", "/adjustments", self.list_adjustments, 200),
            ("POST", f"{one}/approval", self.approve_adjustment, 200),
            ("POST", f"{one}/rejection", self.reject_adjustment, 200),
        ):
            desk.door.add(method, path, route, tag=TAG, status=status)

    def adjust(self, member_id: MemberId, body: AdjustmentOrder) -> Response[AdjustedView]:
        """
        Correct a member's wallet; above the program's limit, ask somebody else to approve it.

        The answer has no entry then, and the correction is in the list of what waits.
        """
        caller = self._desk.door.caller
        member_id = caller.member_named(member_id, Permission.ADJUST_POINTS)
        if body.points == 0:
            raise InvalidRequest(findings=[{"at": "/body/points", "reason": "nothing"}])
        request_id = self._desk.door.request_id

        def perform() -> Answer:
            self._desk.require_member(member_id)
            meant = self._meant(member_id, body, request_id=request_id, asked_by=caller.subject)
            asked = self._table.ask(meant, request_id=request_id)
            entry = self._desk.post(asked.command) if asked.status is Status.ALLOWED else None
            return Answer(status=201, body=_adjusted(asked, entry))

        return self._desk.door.once(perform)

    def list_adjustments(
        self, limit: Limit = PAGE, cursor: Cursor = None
    ) -> Response[AdjustmentsView]:
        """List what waits for a second person, oldest first."""
        self._desk.door.caller.require(Permission.READ_ADJUSTMENTS)
        after = read_cursor(cursor, scope=SCOPE, parts=1)[0] if cursor is not None else None
        waiting, last = self._table.waiting(limit=limit, after=after)
        return self._desk.door.show(
            {
                "adjustments": [each.to_record() for each in waiting],
                "next_cursor": make_cursor([last], scope=SCOPE) if last else None,
            }
        )

    def approve_adjustment(self, adjustment_id: AdjustmentId) -> Response[AdjustedView]:
        """
        Approve what somebody else asked for; it is posted at once.

        An approval that stopped half-way is finished by the next one, whoever sends it.
        """
        caller = self._desk.door.caller
        caller.require(Permission.DECIDE_ADJUSTMENTS)

        def perform() -> Answer:
            adjustment = self._table.adjustment(adjustment_id)
            if adjustment.status is Status.WAITING:
                adjustment = adjustment.decided(
                    Status.APPROVED, by=caller.subject, at=self._desk.now()
                )
                self._table.approve(adjustment)
            elif adjustment.status is not Status.APPROVED:
                _only_a_repeat(adjustment, {Status.POSTED, Status.REFUSED}, caller.subject)
            return Answer(status=200, body=_adjusted(*self._finish(adjustment)))

        return self._desk.door.once(perform)

    def reject_adjustment(self, adjustment_id: AdjustmentId) -> Response[AdjustedView]:
        """Reject what somebody asked for; it never happens."""
        caller = self._desk.door.caller
        caller.require(Permission.DECIDE_ADJUSTMENTS)

        def perform() -> Answer:
            adjustment = self._table.adjustment(adjustment_id)
            if adjustment.status is Status.WAITING:
                adjustment = adjustment.decided(
                    Status.REJECTED, by=caller.subject, at=self._desk.now()
                )
                self._table.reject(adjustment)
            else:
                _only_a_repeat(adjustment, {Status.REJECTED}, caller.subject)
            return Answer(status=200, body=_adjusted(adjustment, None))

        return self._desk.door.once(perform)

    def _meant(
        self, member_id: str, body: AdjustmentOrder, *, request_id: str, asked_by: str
    ) -> Adjustment:
        now = self._desk.now()
        program = self._desk.keeping.program(now)
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
            entry = self._desk.post(approved.command)
        except LedgerRefusal:
            self._table.finish(replace(approved, status=Status.REFUSED))
            raise
        finished = replace(approved, status=Status.POSTED)
        self._table.finish(finished)
        return finished, entry


def _only_a_repeat(adjustment: Adjustment, outcomes: set[Status], caller: str) -> None:
    """Refuse to decide again, unless it is the caller's own decision that comes again."""
    if adjustment.status not in outcomes or adjustment.decided_by != caller:
        raise AdjustmentDecided(
            adjustment_id=adjustment.adjustment_id, status=str(adjustment.status)
        )


def _adjusted(adjustment: Adjustment, entry: Entry | None) -> dict[str, Any]:
    return {"adjustment": adjustment.to_record(), "entry": posted(entry) if entry else None}
