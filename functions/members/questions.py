"""
The routes by which a member says which sales are theirs: asked, suggested, or of their own accord.

What they say is kept here and weighed by `functions.claims`: a member's word alone is no proof.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path

from forecourt.assignment import WAITING_STATUSES
from forecourt.behaviour import Behaviour
from forecourt.callers import Permission
from forecourt.doors import Door
from forecourt.errors import SaleNotWaiting, UnknownSale
from forecourt.instants import format_instant
from forecourt.loyalty_table import LoyaltyTable
from forecourt.once import Answer
from forecourt.orphans import suggestions
from forecourt.portraits_table import PortraitsTable
from forecourt.presence import Presences, window_of
from forecourt.presences_table import PresencesTable
from forecourt.questions_table import Asked, QuestionsTable, Says
from forecourt.sales_table import SalesTable
from forecourt.stored_sales import StoredSale
from functions.members.question_bodies import (
    QuestionsView,
    SaidView,
    SaleClaim,
    SuggestionsView,
)

TAG = "questions"
# What is looked at for suggestions: a drive's worth of a few pumps, not a station's history.
STATIONS_LOOKED_AT = 2
CHECK_INS_LOOKED_AT = 3
SALES_LOOKED_AT = 100
SUGGESTED_FOR = timedelta(days=3)

MemberId = Annotated[str, Path(description="The member's id, or `me`")]
SaleId = Annotated[str, Path(max_length=128)]


def _now() -> datetime:
    return datetime.now(UTC)


class QuestionRoutes:
    """The routes, the questions, the sales they are about, and members' habits."""

    def __init__(
        self,
        *,
        door: Door,
        questions: QuestionsTable,
        sales: SalesTable,
        portraits: PortraitsTable,
        presences: PresencesTable,
        loyalty: LoyaltyTable,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._door = door
        self._questions = questions
        self._sales = sales
        self._portraits = portraits
        self._presences = presences
        self._loyalty = loyalty
        self._now = now
        member = "/members/<member_id>"
        question = f"{member}/questions/<sale_id>"
        for method, path, route, status in (
            ("GET", f"{member}/questions", self.list_questions, 200),
            ("POST", f"{question}/confirmation", self.confirm, 202),
            ("POST", f"{question}/denial", self.deny, 202),
            ("GET", f"{member}/suggestions", self.list_suggestions, 200),
            ("POST", f"{member}/claims", self.claim_sale, 202),
        ):
            door.add(method, path, route, tag=TAG, status=status)

    def list_questions(self, member_id: MemberId) -> Response[QuestionsView]:
        """List the sales a member is asked about or claimed, and what came of it."""
        member_id = self._door.caller.member_named(member_id, Permission.ANSWER_QUESTIONS)
        self._loyalty.refuse_erased(member_id)
        asked = self._questions.asked(member_id, now=self._now())
        stored = self._sales.sales([each.sale_id for each in asked])
        return self._door.show(
            {
                "questions": [
                    _question(each, stored[each.sale_id], member_id)
                    for each in asked
                    if each.sale_id in stored
                ]
            }
        )

    def confirm(self, member_id: MemberId, sale_id: SaleId) -> Response[SaidView]:
        """Say that a sale asked about is the member's; points follow if nothing contradicts."""
        return self._answer(member_id, sale_id, Says.YES)

    def deny(self, member_id: MemberId, sale_id: SaleId) -> Response[SaidView]:
        """Say that a sale asked about is not the member's; it will not become theirs by itself."""
        return self._answer(member_id, sale_id, Says.NO)

    def claim_sale(self, member_id: MemberId, body: SaleClaim) -> Response[SaidView]:
        """Say that a sale nobody has is the member's: a receipt they scanned, or a suggestion."""
        caller = self._door.caller
        member_id = caller.member_named(member_id, Permission.ANSWER_QUESTIONS)

        def perform() -> Answer:
            # What they said after they were forgotten, nobody would forget.
            self._loyalty.refuse_erased(member_id)
            now = self._now()
            known = self._sales.sales([body.sale_id]).get(body.sale_id)
            if known is None:
                raise UnknownSale(body.sale_id)
            if known.status not in WAITING_STATUSES:
                raise SaleNotWaiting(body.sale_id)
            self._questions.claim(
                member_id, body.sale_id, answered_by=caller.subject, answered_at=now
            )
            return Answer(status=202, body={"sale_id": body.sale_id, "says": str(Says.CLAIMED)})

        return self._door.once(perform)

    def list_suggestions(self, member_id: MemberId) -> Response[SuggestionsView]:
        """List waiting sales of the last days that look like the member's: habits, or presence."""
        member_id = self._door.caller.member_named(member_id, Permission.ANSWER_QUESTIONS)
        self._loyalty.refuse_erased(member_id)
        now = self._now()
        behaviour = self._portraits.habits(member_id).behaviour
        presences = self._presences.presences(member_id)
        known = {each.sale_id for each in self._questions.asked(member_id, now=now)}
        waiting = {
            stored.sale.sale_id: stored
            for stored in self._looked_at(behaviour, presences, since=now - SUGGESTED_FOR)
            if may_be_suggested(stored, member_id) and stored.sale.sale_id not in known
        }
        fills = {name: each.fill for name, each in waiting.items()}
        alike = suggestions(fills, behaviour, presences)
        return self._door.show({"sales": [_offered(waiting[each.sale_id]) for each in alike]})

    def _looked_at(
        self, behaviour: Behaviour, presences: Presences, *, since: datetime
    ) -> Iterator[StoredSale]:
        """Yield the latest sales at a member's usual stations, and those they checked in for."""
        frequent = sorted(behaviour.stations, key=lambda each: (-behaviour.stations[each], each))
        for station_id in frequent[:STATIONS_LOOKED_AT]:
            yield from self._sales.latest(station_id, since=since, limit=SALES_LOOKED_AT)
        for each in presences.since(int(since.timestamp()))[-CHECK_INS_LOOKED_AT:]:
            opens_at, closes_at = (datetime.fromtimestamp(at, UTC) for at in window_of(each))
            yield from self._sales.latest(
                each.station_id, since=opens_at, until=closes_at, limit=SALES_LOOKED_AT
            )

    def _answer(self, member_id: str, sale_id: str, says: Says) -> Response[SaidView]:
        caller = self._door.caller
        member_id = caller.member_named(member_id, Permission.ANSWER_QUESTIONS)

        def perform() -> Answer:
            self._loyalty.refuse_erased(member_id)
            self._questions.answer(
                member_id, sale_id, says, answered_by=caller.subject, answered_at=self._now()
            )
            return Answer(status=202, body={"sale_id": sale_id, "says": str(says)})

        return self._door.once(perform)


def may_be_suggested(stored: StoredSale, member_id: str) -> bool:
    """Return whether a sale waits with nobody in particular and the member has not spoken of it."""
    return (
        stored.status in WAITING_STATUSES
        and stored.asked is None
        and stored.ruled is None
        and not stored.claimed_by
        and member_id not in stored.denied_by
    )


def status_for(asked: Asked, stored: StoredSale, member_id: str) -> str:
    """Return how a question stands: `open`, `waiting`, `credited` or `closed`."""
    if member_id in {each.share.member_id for each in stored.held}:
        return "credited"
    if asked.says is None:
        return "open" if stored.asked == member_id else "closed"
    waits = stored.status in WAITING_STATUSES and asked.says is not Says.NO
    return "waiting" if waits else "closed"


def _question(asked: Asked, stored: StoredSale, member_id: str) -> dict[str, Any]:
    return {
        "sale": _offered(stored),
        "asked_at": format_instant(asked.asked_at) if asked.asked_at else None,
        "says": str(asked.says) if asked.says else None,
        "answered_at": format_instant(asked.answered_at) if asked.answered_at else None,
        "status": status_for(asked, stored, member_id),
    }


def _offered(stored: StoredSale) -> dict[str, Any]:
    sale = stored.sale
    return {
        "sale_id": sale.sale_id,
        "station_id": sale.key.station_id,
        "grade": sale.grade,
        "volume_ml": sale.volume_ml,
        "amount_fen": sale.amount_fen,
        "completed_at": format_instant(sale.key.completed_at),
    }
