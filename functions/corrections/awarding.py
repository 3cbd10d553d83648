"""
The routes that give a member points for which somebody pays: a budget, or a partner.

What is given is good for as long as what is earned on the day it is given, and at once.
"""

from collections.abc import Callable
from datetime import date, datetime

from aws_lambda_powertools.event_handler import Response

from forecourt.booking_errors import UnknownWallet
from forecourt.budgets_table import BudgetsTable
from forecourt.callers import Permission
from forecourt.door_errors import IdempotencyKeyReused
from forecourt.errors import EntryConflict
from forecourt.instants import business_day
from forecourt.keeping import BEFORE_THE_PROGRAM
from forecourt.ledger.commands import Earn
from forecourt.ledger.entries import PARTNER
from forecourt.ledger.giving import needs_checker
from forecourt.ledger.procedure import EntryKey
from forecourt.ledger.refusals import CheckerNeeded
from forecourt.once import KEPT, Answer
from forecourt.program import Program
from forecourt.programs import Programs
from forecourt.receiving import give
from forecourt.told_times import entry_id_for, require_plausible
from forecourt.wallets import PARTNER_PREFIX
from functions.corrections.award_bodies import (
    DOCUMENTS_REACH_BACK,
    AwardOrder,
    PartnerPointsOrder,
)
from functions.corrections.bodies import PostedView, posted
from functions.corrections.desk import TAG, Desk, MemberId


class AwardRoutes:
    def __init__(self, desk: Desk, *, budgets: BudgetsTable) -> None:
        self._desk = desk
        self._budgets = budgets
        self._programs = Programs(desk.loyalty)
        member = "/members/<member_id>"
        for path, route in (
            (f"{member}/awards", self.award_points),
            (f"{member}/partner-points", self.issue_partner_points),
        ):
            desk.door.add("POST", path, route, tag=TAG, status=201)

    def award_points(self, member_id: MemberId, body: AwardOrder) -> Response[PostedView]:
        """
        Give a member points out of a budget, which gives what it has and no more.

        What is above the program's limit for a correction by one person, only those give who
        answer for budgets.
        """
        caller = self._desk.door.caller
        member_id = caller.member_named(member_id, Permission.AWARD_POINTS)

        # One key may be used at two doors; whom it is about tells these apart.
        named = (self._desk.door.request_id, member_id)
        key = EntryKey(member_id, entry_id_for("award", body.asked_at, *named))

        def order() -> Earn:
            require_plausible(body.asked_at, field="asked_at", now=self._desk.now(), back=KEPT)
            budget = self._budgets.budget(body.budget_id)
            program = self._program(body.asked_at)
            policy = program.policies().of(budget.wallet)
            if needs_checker(body.points, policy) and not caller.may(Permission.CHANGE_BUDGETS):
                raise CheckerNeeded(limit=policy.adjust_limit or 0, requested=body.points)
            return Earn(
                entry_id=key.entry_id,
                owner=member_id,
                wallet=budget.wallet,
                points=body.points,
                expires_on=_last_day(program, budget.wallet, body.asked_at),
                funded_by=budget.owner,
                source=body.source,
                reason=body.reason,
                actor=caller.subject,
                occurred_at=body.asked_at,
                program_version=program.version,
                request=self._desk.door.fingerprint,
            )

        def perform() -> Answer:
            try:
                return self._give(key, order)
            except EntryConflict:
                raise IdempotencyKeyReused from None  # the id has the key in it

        return self._desk.door.once(perform)

    def issue_partner_points(
        self, member_id: MemberId, body: PartnerPointsOrder
    ) -> Response[PostedView]:
        """
        Put points that a partner gives into the member's wallet of that partner.

        The partner's document has one effect, whatever key it is sent under.
        """
        caller = self._desk.door.caller
        member_id = caller.member_named(member_id, Permission.ISSUE_PARTNER_POINTS)
        wallet = f"{PARTNER_PREFIX}{body.partner}"

        entry_id = entry_id_for("partner", body.issued_at, wallet, body.document)
        key = EntryKey(member_id, entry_id)

        def order() -> Earn:
            now, back = self._desk.now(), DOCUMENTS_REACH_BACK
            require_plausible(body.issued_at, field="issued_at", now=now, back=back)
            program = self._program(body.issued_at)
            if wallet not in program.wallets:
                raise UnknownWallet(wallet)
            return Earn(
                entry_id=entry_id,
                owner=member_id,
                wallet=wallet,
                points=body.points,
                expires_on=_last_day(program, wallet, body.issued_at),
                funded_by=PARTNER,
                source=f"partner:{body.document}",
                reason=body.reason,
                actor=caller.subject,
                occurred_at=body.issued_at,
                program_version=program.version,
                request=self._desk.door.fingerprint,
            )

        return self._desk.door.once(lambda: self._give(key, order))

    def _program(self, at: datetime) -> Program:
        """Return the program of the moment that a request tells, whenever the request comes."""
        return self._programs.at(at) or BEFORE_THE_PROGRAM

    def _give(self, key: EntryKey, order: Callable[[], Earn]) -> Answer:
        desk = self._desk
        entry = give(
            key,
            order,
            request=desk.door.fingerprint,
            loyalty=desk.loyalty,
            ledger=desk.ledger,
            policies=desk.policies(key.owner),
        )
        return Answer(status=201, body=posted(entry))


def _last_day(program: Program, wallet: str, at: datetime) -> date | None:
    """Return how long what is given at that time is good."""
    given_on = business_day(at, program.policies().of(wallet).zone)
    return program.terms(wallet).dates(given_on)[1]
