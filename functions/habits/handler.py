"""
Keep members' habits: where, when and what they fill, and in which car, as judged sales tell.

Hears from the bus, through a queue, of every entry a sale made, of every sale that earned
nothing, and of every ruling: whose sale it is by that counts it, whose it was forgets it. A sale
is in its member's habits once, however often and in whatever order events come; one that fails
comes again. Nothing waits for this: a sale is weighed by the habits there are.

Of somebody who was forgotten nothing is counted. A sale of theirs that reached the ledger too late
for being forgotten with them is forgotten here (see `forecourt.anonymous_sales`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger

from forecourt.anonymous_sales import AnonymousSales, is_theirs
from forecourt.portraits_table import PortraitsTable
from forecourt.queues import each_by_itself
from forecourt.rulings import sale_of_entry
from forecourt.rulings_book import RulingsBook
from forecourt.sales import is_sale_id
from forecourt.sales_table import SalesTable
from forecourt.settings import Settings
from forecourt.values import dataclass

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
book = RulingsBook(_dynamodb, name=settings.loyalty_table)
anonymous = AnonymousSales(_dynamodb, sales=settings.sales_table, loyalty=settings.loyalty_table)
portraits = PortraitsTable(_dynamodb, name=settings.loyalty_table)


@logger.inject_lambda_context
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return each_by_itself(event["Records"], hear, logger=logger, context=context)


def hear(record: dict[str, Any]) -> None:
    """Count the sale that the event in *record* tells of, or let it change hands."""
    event = json.loads(record["body"])
    detail = event["detail"]
    if event["detail-type"] == "SaleRuled":
        follow(detail["sale_id"], detail["number"])
        return
    member_id, entry_id = detail["member_id"], detail["entry_id"]
    if not is_sale_id(sale_of_entry(entry_id)):
        logger.info("no sale gave it", entry_id=entry_id)  # whatever somebody says is its source
    elif anonymous.is_erased(member_id):
        forget(sale_of_entry(entry_id))
    elif sale_of_entry(entry_id) == entry_id:
        learn(member_id, entry_id)
    # Else a ruling gave it, of which there is an event of its own.


def learn(member_id: str, sale_id: str) -> None:
    """Count a sale among the habits of the member it was judged for, who drove the car."""
    stored = sales.sale(sale_id)
    if stored.ruled is None and stored.member_id != member_id:
        logger.info("sale went with an account", sale_id=sale_id)
        return
    # Whom a person took the sale from meanwhile has not driven the car.
    if member_id in {each.share.member_id for each in stored.held}:
        for key in stored.cars:
            portraits.note_driver(key, member_id, seen_at=stored.fill.at)
    counted = portraits.count(member_id, sale_id, stored.fill)
    logger.info("sale counted" if counted else "sale counted before", sale_id=sale_id)


def follow(sale_id: str, number: int) -> None:
    """Let whoever a ruling gave a sale to count it, and whoever it was taken from forget it."""
    stored, applied = sales.sale(sale_id), book.ruling(sale_id, number)
    for each in applied.moved:
        # A part of a sale is nobody's habit.
        if (each.share.volume_ml, each.share.amount_fen) != (
            stored.sale.volume_ml,
            stored.sale.amount_fen,
        ):
            continue
        moved = portraits.move(applied, each, stored.fill)
        logger.info("sale moved" if moved else "sale moved before", movement=each.movement_id)


def forget(sale_id: str) -> None:
    """Take from a sale whatever names somebody, unless it is another's by now."""
    stored = sales.sale(sale_id)
    holders = {each.share.member_id for each in stored.held}
    if is_theirs(stored, [each for each in holders if anonymous.is_erased(each)]):
        anonymous.anonymise(stored)
        logger.info("sale forgotten with its member", sale_id=sale_id)
