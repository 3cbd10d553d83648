"""The routes for adjustments: ask, list, approve, reject."""

from dataclasses import replace
from datetime import date
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query

from forecourt.adjustments import Adjustment, Status
from forecourt.adjustments_table import AdjustmentsTable
from forecourt.booking_errors import AdjustmentDecided
from forecourt.callers import Permission
from forecourt.cursors import MAX_CURSOR_LENGTH, make_cursor, read_cursor
from forecourt.errors import InvalidRequest
from forecourt.ledger import Entry
from forecourt.ledger.giving import refuse_last_day
from forecourt.ledger.refusals import LedgerRefusal
from forecourt.once import Answer
from functions.corrections.asking import adjusted, ask
from functions.corrections.bodies import AdjustedView, AdjustmentOrder, AdjustmentsView
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

        def last_day() -> date | None:
            self._desk.require_owner(member_id)
            return self._last_day(body)

        def perform() -> Answer:
            return ask(
                self._desk,
                self._table,
                owner=member_id,
                wallet=body.wallet,
                points=body.points,
                last_day=last_day,
                source=body.source,
                reason=body.reason,
            )

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
            return Answer(status=200, body=adjusted(*self._finish(adjustment)))

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
            return Answer(status=200, body=adjusted(adjustment, None))

        return self._desk.door.once(perform)

    def _last_day(self, body: AdjustmentOrder) -> date | None:
        """Return how long the points given are good; it is fixed when they are asked for."""
        if isinstance(body.expires_on, date):
            self._desk.refuse_over(body.expires_on, wallet=body.wallet)
            refuse_last_day(
                body.expires_on,
                wallet=body.wallet,
                policy=self._desk.keeping.program(self._desk.now()).policies().of(body.wallet),
            )
            return body.expires_on
        if body.expires_on is not None or body.points < 0:
            return None
        terms = self._desk.keeping.program(self._desk.now()).terms(body.wallet)
        return terms.dates(self._desk.today(body.wallet))[1]

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
