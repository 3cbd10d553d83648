"""
Rulings: a person decides whose a sale is, or takes it from one member and gives it to another.

A write carries an `Idempotency-Key`; a retry with the same key is answered like the first time
and changes nothing. The ruling is what is written here; accrual moves the points.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger

from forecourt.doors import Door
from forecourt.once import Requests
from forecourt.ruled_sales import RuledSales
from forecourt.rulings_book import RulingsBook
from forecourt.sales_table import SalesTable
from forecourt.settings import Settings
from forecourt.values import dataclass
from functions.rulings.ruling import RulingRoutes

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@dataclass(frozen=True, slots=True, kw_only=True)
class RulingsSettings(Settings):
    loyalty_table: str
    sales_table: str
    requests_table: str


settings = RulingsSettings.from_env()
logger = Logger()
dynamodb = boto3.client("dynamodb")


def now() -> datetime:
    """Return the time of a request."""
    return datetime.now(UTC)


def fingerprint(content: bytes) -> str:
    """Return what is kept of a request's content, which holds nothing personal here."""
    return hashlib.sha256(content).hexdigest()


door = Door(
    requests=Requests(dynamodb, name=settings.requests_table),
    fingerprint=fingerprint,
    logger=logger,
)
sales = SalesTable(dynamodb, name=settings.sales_table)
rulings = RulingRoutes(
    door=door,
    sales=sales,
    ruled=RuledSales(
        dynamodb, sales=sales, sales_name=settings.sales_table, loyalty_name=settings.loyalty_table
    ),
    book=RulingsBook(dynamodb, name=settings.loyalty_table),
    now=now,
)


@logger.inject_lambda_context
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return door.handle(event, context)
