"""
The routes for budgets: open, fill, read, close.

A budget is an account that the program gives out of and that is never overdrawn. To close it is
to freeze its account, so whether it is open has one truth, the ledger's.
"""

from datetime import date
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query

from forecourt.adjustments_table import AdjustmentsTable
from forecourt.booking_errors import BudgetOver
from forecourt.budgets_table import Budget, BudgetsTable
from forecourt.callers import Permission
from forecourt.cursors import MAX_CURSOR_LENGTH, make_cursor, read_cursor
from forecourt.errors import InvalidRequest
from forecourt.instants import format_instant
from forecourt.ledger import Account, settled
from forecourt.ledger.commands import Freeze, Unfreeze
from forecourt.ledger.procedure import AccountKey
from forecourt.once import Answer
from functions.corrections.asking import Freezing, ask
from functions.corrections.bodies import AdjustedView
from functions.corrections.budget_bodies import (
    BUDGET_ID,
    BudgetOrder,
    BudgetsView,
    BudgetView,
    ClosingOrder,
    FundingOrder,
)
from functions.corrections.desk import Desk

TAG = "budgets"
PAGE = 20
PAGE_MAX = 100  # also what one BatchGetItem reads
SCOPE = "budgets"

BudgetId = Annotated[str, Path(pattern=BUDGET_ID, examples=["spring-2027"])]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]
Cursor = Annotated[str | None, Query(max_length=MAX_CURSOR_LENGTH)]


class BudgetRoutes:
    def __init__(self, desk: Desk, *, budgets: BudgetsTable, table: AdjustmentsTable) -> None:
        self._desk = desk
        self._budgets = budgets
        self._table = table
        one = "/budgets/<budget_id>"
        for method, path, route, status in (
            ("POST", "/budgets", self.open_budget, 201),
            ("GET", "/budgets", self.list_budgets, 200),
            ("GET", one, self.show_budget, 200),
            ("POST", f"{one}/fundings", self.fund_budget, 201),
            ("POST", f"{one}/closing", self.close_budget, 200),
            ("POST", f"{one}/reopening", self.reopen_budget, 200),
        ):
            desk.door.add(method, path, route, tag=TAG, status=status)

    def open_budget(self, body: BudgetOrder) -> Response[BudgetView]:
        """Open a budget; it has nothing to give until it is funded."""
        caller = self._desk.door.caller
        caller.require(Permission.CHANGE_BUDGETS)

        def perform() -> Answer:
            if self._budgets.find(body.budget_id) is None:
                self._desk.refuse_over(body.expires_on, wallet=body.wallet)
            budget, new = self._budgets.open(
                Budget(
                    budget_id=body.budget_id,
                    purpose=body.purpose,
                    wallet=body.wallet,
                    expires_on=body.expires_on,
                    opened_by=caller.subject,
                    opened_at=self._desk.now(),
                    request=self._desk.door.request_id,
                )
            )
            return Answer(
                status=201 if new else 200,
                body=self._view(budget, self._account(budget)),
                headers={"Location": f"/budgets/{budget.budget_id}"},
            )

        return self._desk.door.once(perform)

    def list_budgets(self, limit: Limit = PAGE, cursor: Cursor = None) -> Response[BudgetsView]:
        """List budgets by id, with what each has left and has given."""
        self._desk.door.caller.require(Permission.READ_BUDGETS)
        after = read_cursor(cursor, scope=SCOPE, parts=1)[0] if cursor is not None else None
        budgets, last = self._budgets.budgets(limit=limit, after=after)
        keys = [AccountKey(each.owner, each.wallet) for each in budgets]
        accounts = {each.member_id: each for each in self._desk.ledger.accounts(keys)}
        return self._desk.door.show(
            {
                "budgets": [self._view(each, accounts.get(each.owner)) for each in budgets],
                "next_cursor": make_cursor([last], scope=SCOPE) if last else None,
            }
        )

    def show_budget(self, budget_id: BudgetId) -> Response[BudgetView]:
        """Show what a budget has left, and what it has given."""
        self._desk.door.caller.require(Permission.READ_BUDGETS)
        budget = self._budgets.budget(budget_id)
        return self._desk.door.show(self._view(budget, self._account(budget)))

    def fund_budget(self, budget_id: BudgetId, body: FundingOrder) -> Response[AdjustedView]:
        """
        Put points into a budget, or take out what it has left; like an adjustment.

        Above the program's limit it waits among the adjustments for somebody else's approval.
        """
        self._desk.door.caller.require(Permission.CHANGE_BUDGETS)
        if body.points == 0:
            raise InvalidRequest(findings=[{"at": "/body/points", "reason": "nothing"}])

        def perform() -> Answer:
            budget = self._budgets.budget(budget_id)

            def last_day() -> date | None:
                last = budget.expires_on
                if last is not None and last < self._desk.today(budget.wallet):
                    raise BudgetOver(budget_id, expires_on=last)
                return last if body.points > 0 else None

            return ask(
                self._desk,
                self._table,
                owner=budget.owner,
                wallet=budget.wallet,
                points=body.points,
                last_day=last_day,
                source=body.source,
                reason=body.reason,
            )

        return self._desk.door.once(perform)

    def close_budget(self, budget_id: BudgetId, body: ClosingOrder) -> Response[BudgetView]:
        """Close a budget: it gives nothing more, and keeps what is left and what comes back."""
        return self._set(Freeze, budget_id, body)

    def reopen_budget(self, budget_id: BudgetId, body: ClosingOrder) -> Response[BudgetView]:
        """Let a closed budget give again."""
        return self._set(Unfreeze, budget_id, body)

    def _set(
        self, kind: type[Freeze | Unfreeze], budget_id: str, body: ClosingOrder
    ) -> Response[BudgetView]:
        self._desk.door.caller.require(Permission.CHANGE_BUDGETS)

        def perform() -> Answer:
            budget = self._budgets.budget(budget_id)
            Freezing(
                desk=self._desk,
                table=self._table,
                kind=kind,
                owner=budget.owner,
                wallet=budget.wallet,
                source=body.source,
                reason=body.reason,
            ).carry_out()
            return Answer(status=200, body=self._view(budget, self._account(budget)))

        return self._desk.door.once(perform)

    def _account(self, budget: Budget) -> Account:
        return self._desk.loyalty.account(budget.owner, budget.wallet)

    def _view(self, budget: Budget, account: Account | None) -> dict[str, Any]:
        """Return a budget as it counts now; without an account nothing was ever put into it."""
        account = account or Account(member_id=budget.owner, wallet=budget.wallet, buckets={})
        now, policies = self._desk.now(), self._desk.policies(budget.owner)
        account = settled(account, now=now, policies=policies)
        today = policies.of(budget.wallet).day_of(account, now)
        return {
            "budget_id": budget.budget_id,
            "purpose": budget.purpose,
            "wallet": budget.wallet,
            "expires_on": budget.expires_on.isoformat() if budget.expires_on else None,
            "opened_by": budget.opened_by,
            "opened_at": format_instant(budget.opened_at),
            "points": account.available(today),
            "awarded": account.awarded,
            "closed": account.frozen,
            "version": account.version,
        }
