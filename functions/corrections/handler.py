"""
Changes of the books by hand: adjustments, freezing, refunds, budgets, awards, partners' points.

A write carries an `Idempotency-Key`; a retry with the same key is answered like the first time
and changes nothing. Routes are in the modules beside this one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger

from forecourt.adjustments_table import AdjustmentsTable
from forecourt.budgets_table import BudgetsTable
from forecourt.doors import Door, plain_fingerprint
from forecourt.keeping import Keeping
from forecourt.ledger_table import LedgerTable
from forecourt.loyalty_table import LoyaltyTable
from forecourt.once import Requests
from forecourt.rulings_book import RulingsBook
from forecourt.sales_table import SalesTable
from forecourt.settings import Settings
from forecourt.values import dataclass
from functions.corrections.adjusting import AdjustmentRoutes
from functions.corrections.awarding import AwardRoutes
from functions.corrections.budgeting import BudgetRoutes
from functions.corrections.desk import Desk
from functions.corrections.freezing import FreezingRoutes
from functions.corrections.refunding import RefundRoutes

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionsSettings(Settings):
    loyalty_table: str
    sales_table: str
    requests_table: str


settings = CorrectionsSettings.from_env()
logger = Logger()
dynamodb = boto3.client("dynamodb")


def now() -> datetime:
    """Return the time of a request."""
    return datetime.now(UTC)


door = Door(
    requests=Requests(dynamodb, name=settings.requests_table),
    fingerprint=plain_fingerprint,
    logger=logger,
)
loyalty = LoyaltyTable(dynamodb, name=settings.loyalty_table)
desk = Desk(
    door=door,
    loyalty=loyalty,
    ledger=LedgerTable(dynamodb, name=settings.loyalty_table),
    keeping=Keeping(loyalty),
    now=now,
)
asked = AdjustmentsTable(dynamodb, name=settings.loyalty_table)
adjustments = AdjustmentRoutes(desk, table=asked)
opened = BudgetsTable(dynamodb, name=settings.loyalty_table)
budgets = BudgetRoutes(desk, budgets=opened, table=asked)
awards = AwardRoutes(desk, budgets=opened)
freezing = FreezingRoutes(desk, table=asked)
refunds = RefundRoutes(
    desk,
    sales=SalesTable(dynamodb, name=settings.sales_table),
    book=RulingsBook(dynamodb, name=settings.loyalty_table),
)


@logger.inject_lambda_context
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return door.handle(event, context)
