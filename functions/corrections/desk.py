"""What every correction is made with: the door, the books, and the program that keeps them."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Path

from forecourt.doors import Door
from forecourt.errors import InvalidRequest
from forecourt.instants import business_day
from forecourt.keeping import Keeping
from forecourt.ledger import Entry, Policies
from forecourt.ledger.commands import Command
from forecourt.ledger.entries import BUDGET_PREFIX
from forecourt.ledger_table import LedgerTable
from forecourt.loyalty_table import LoyaltyTable
from forecourt.values import dataclass

TAG = "corrections"

MemberId = Annotated[str, Path(description="The member's id")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Where corrections are made; *now* is the time of a request."""

    door: Door
    loyalty: LoyaltyTable
    ledger: LedgerTable
    keeping: Keeping
    now: Callable[[], datetime]

    def today(self, wallet: str) -> date:
        """Return the day it is for *wallet*."""
        now = self.now()
        return business_day(now, self.keeping.program(now).policies().of(wallet).zone)

    def refuse_over(self, expires_on: date | None, *, wallet: str) -> None:
        """Raise `InvalidRequest` when the last day that a request's body names is over."""
        if expires_on is not None and expires_on < self.today(wallet):
            raise InvalidRequest(findings=[{"at": "/body/expires_on", "reason": "over"}])

    def require_owner(self, owner: str) -> None:
        """Raise `UnknownMember`, or `MemberErased`, for a member who is not there to be found."""
        if not owner.startswith(BUDGET_PREFIX):
            self.loyalty.require_member(owner)

    def is_frozen(self, owner: str, wallet: str) -> bool:
        """Return whether an account gives nothing; raise as `require_owner` does."""
        self.require_owner(owner)
        return self.loyalty.account(owner, wallet).frozen

    def policies(self, owner: str) -> Policies:
        """Return by which policies *owner*, a member or a budget, is kept now."""
        policies = self.keeping.program(self.now()).policies()
        return policies.of_budgets() if owner.startswith(BUDGET_PREFIX) else policies

    def post(self, command: Command) -> Entry:
        """Carry *command* out by the program in force; return its entry or raise the refusal."""
        return self.ledger.execute(command, policies=self.policies(command.owner)).posted()
