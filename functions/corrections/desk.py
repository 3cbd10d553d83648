"""What every correction is made with: the door, the books, and the program that keeps them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Path

from forecourt.doors import Door
from forecourt.errors import UnknownMember
from forecourt.keeping import Keeping
from forecourt.ledger import Entry
from forecourt.ledger.commands import Command
from forecourt.ledger_table import LedgerTable
from forecourt.loyalty_table import LoyaltyTable

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

    def require_member(self, member_id: str) -> None:
        """Raise `UnknownMember` unless somebody is enrolled under that id."""
        if not self.loyalty.enrolled(member_id):
            raise UnknownMember(member_id)

    def post(self, command: Command) -> Entry:
        """Carry *command* out by the program in force; return its entry or raise the refusal."""
        policies = self.keeping.program(self.now()).policies()
        return self.ledger.execute(command, policies=policies).posted()
