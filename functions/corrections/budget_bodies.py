"""What the routes for budgets take and give. Of a budget of money, points are fen."""

from typing import Annotated

from pydantic import BaseModel, Field, StrictInt

from forecourt.booking_fields import Reason, Source, Wallet
from forecourt.ledger import POINTS_WALLET
from forecourt.shapes import MAX_IN_A_WALLET, Day, DayText, Document, InstantText

BUDGET_ID = r"^[a-z0-9][a-z0-9-]{0,39}$"


class BudgetOrder(Document):
    """A budget to be opened. What is in it runs out after `expires_on` (null: never)."""

    budget_id: Annotated[str, Field(pattern=BUDGET_ID, examples=["spring-2027"])]
    purpose: Annotated[
        str,
        Field(
            min_length=1,
            max_length=80,
            pattern=r"^[^\x00-\x1f\x7f]+$",
            examples=["Double points in spring"],
        ),
    ]
    wallet: Wallet = POINTS_WALLET
    expires_on: Annotated[Day | None, Field(examples=[None])] = None


class FundingOrder(Document):
    """What a budget gets; negative takes out what is left in it."""

    points: Annotated[StrictInt, Field(ge=-MAX_IN_A_WALLET, le=MAX_IN_A_WALLET, examples=[1000])]
    source: Source
    reason: Reason


class ClosingOrder(Document):
    """Closes or reopens a budget."""

    source: Source
    reason: Reason


class BudgetView(BaseModel):
    """
    A budget as it counts today.

    `points` is what it can still give, `awarded` what it gave. A `closed` one gives nothing.
    """

    budget_id: str
    purpose: str
    wallet: str
    expires_on: DayText | None
    opened_by: str
    opened_at: InstantText
    points: int
    awarded: int
    closed: bool
    version: int


class BudgetsView(BaseModel):
    """A page of budgets by id; only a null cursor ends the list."""

    budgets: list[BudgetView]
    next_cursor: str | None
