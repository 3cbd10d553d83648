"""
Turn a member's litres into points.

Reads the stream of the Sales table, sales that became `matched` only. The program version
in force at the sale's business time judges it. The entry's id is the sale's, so a record
that comes again finds its entry and changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from forecourt.contention import until_settled
from forecourt.ledger import earn
from forecourt.loyalty_table import LoyaltyTable, trace_to_map
from forecourt.program import Program, evaluate, in_force, program_from_document
from forecourt.sales_table import sale_from_item
from forecourt.settings import Settings
from forecourt.streams import one_by_one

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from forecourt.loyalty_table import Standings
    from forecourt.sales_table import StoredSale


@dataclass(frozen=True, slots=True, kw_only=True)
class AccrualSettings(Settings):
    loyalty_table: str


settings = AccrualSettings.from_env()
logger = Logger()
metrics = Metrics()
loyalty = LoyaltyTable(boto3.client("dynamodb"), name=settings.loyalty_table)


@metrics.log_metrics
@logger.inject_lambda_context
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    records = event["Records"]
    # One look-up for the whole batch: under load it is what keeps up.
    owners = [sale_of(record).member_id for record in records]
    standings = loyalty.standings(filter(None, owners))
    return one_by_one(records, partial(accrue, standings=standings), logger=logger)


def sale_of(record: dict[str, Any]) -> StoredSale:
    """Return the sale in *record*'s new image."""
    return sale_from_item(record["dynamodb"]["NewImage"])


def accrue(record: dict[str, Any], *, standings: Standings) -> None:
    """Post what the sale in *record* earns."""
    stored = sale_of(record)
    points = until_settled(lambda: post(stored, standings))
    if points is None:
        logger.info("sale judged before", sale_id=stored.sale.sale_id)
        return
    metrics.add_metric(name="PointsIssued", unit=MetricUnit.Count, value=points)
    logger.info("sale judged", sale_id=stored.sale.sale_id, points=points)


def post(stored: StoredSale, standings: Standings) -> int | None:
    """
    Judge and post once; return the points, or `None` when that had happened before.

    Raises `StaleWrite` when the account changed meanwhile: judge again. What was looked up
    for the batch is good for one attempt; a second one, or the member's second sale in the
    batch, reads the account again.
    """
    sale, member_id = stored.sale, stored.member_id
    if member_id is None:
        raise ValueError(sale.sale_id)  # the stream's filter lets only matched sales through
    account = standings.accounts.pop(member_id, None) or loyalty.account(member_id)
    version = in_force(standings.timeline, sale.key.completed_at)
    if version is None:
        new = loyalty.record_evaluation(member_id, sale, version=None, evaluation=None)
        return 0 if new else None
    evaluation = evaluate(program(version), sale)
    if evaluation.points == 0:
        new = loyalty.record_evaluation(member_id, sale, version=version, evaluation=evaluation)
        return 0 if new else None
    entry, account_after = earn(
        account,
        entry_id=sale.sale_id,
        points=evaluation.points,
        expires_on=evaluation.expires_on,
        program_version=version,
        trace=tuple(trace_to_map(each) for each in evaluation.trace),
        occurred_at=sale.key.completed_at,
        posted_at=datetime.now(UTC),
    )
    return evaluation.points if loyalty.post(entry, account_after) else None


@cache
def program(version: int) -> Program:
    """Return an activated version; it never changes, so it is read once in a container's life."""
    return program_from_document(loyalty.program_document(version), version=version)
