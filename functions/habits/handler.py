"""
Keep members' habits: where, when and what they fill, as their judged sales tell.

Hears from the bus, through a queue, of every entry a sale made and of every sale that earned
nothing. A sale is in its member's habits once, however often its event comes; one that fails
comes again. Nothing waits for this: a sale is weighed by the habits there are.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger

from forecourt.portraits_table import PortraitsTable
from forecourt.queues import each_by_itself
from forecourt.sales_table import SalesTable
from forecourt.settings import Settings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@dataclass(frozen=True, slots=True, kw_only=True)
class HabitsSettings(Settings):
    sales_table: str
    loyalty_table: str


settings = HabitsSettings.from_env()
logger = Logger()

_dynamodb = boto3.client("dynamodb")
sales = SalesTable(_dynamodb, name=settings.sales_table)
portraits = PortraitsTable(_dynamodb, name=settings.loyalty_table)


@logger.inject_lambda_context
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return each_by_itself(event["Records"], hear, logger=logger)


def hear(record: dict[str, Any]) -> None:
    """Count the sale that the event in *record* tells of."""
    detail = json.loads(record["body"])["detail"]
    sale_id = detail["sale_id"] if "sale_id" in detail else detail["source"].removeprefix("sale:")
    learn(detail["member_id"], sale_id)


def learn(member_id: str, sale_id: str) -> None:
    """Count a sale among the habits of the member it was judged for."""
    stored = sales.sale(sale_id)
    if stored.member_id != member_id:
        logger.info("sale changed hands", sale_id=sale_id)
        return
    counted = portraits.count(member_id, sale_id, stored.fill)
    logger.info("sale counted" if counted else "sale counted before", sale_id=sale_id)
