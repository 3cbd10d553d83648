"""
Decide whose sale it is.

Reads the stream of the Sales table, new images in status `received` only. A record that
comes again finds the sale decided and changes nothing. At the first failure the batch stops
there: Lambda replays a stream from its lowest failure anyway.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from forecourt.assignment import Assignment
from forecourt.loyalty_table import LoyaltyTable
from forecourt.matching import Credited
from forecourt.sales_table import SalesTable
from forecourt.settings import Settings
from forecourt.stored_sales import sale_from_item
from forecourt.streams import one_by_one

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from forecourt.matching import EvidenceKey
    from forecourt.stored_sales import StoredSale


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchingSettings(Settings):
    sales_table: str
    loyalty_table: str


settings = MatchingSettings.from_env()
logger = Logger()
metrics = Metrics()

_dynamodb = boto3.client("dynamodb")
assignment = Assignment(
    sales=SalesTable(_dynamodb, name=settings.sales_table),
    loyalty=LoyaltyTable(_dynamodb, name=settings.loyalty_table),
)


@metrics.log_metrics
@logger.inject_lambda_context
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    records = event["Records"]
    # One look-up for the whole batch: under load it is what keeps up.
    owners = assignment.owners([sale_of(record) for record in records])
    return one_by_one(records, partial(match, owners=owners), logger=logger)


def sale_of(record: dict[str, Any]) -> StoredSale:
    """Return the sale in *record*'s new image."""
    return sale_from_item(record["dynamodb"]["NewImage"])


def match(record: dict[str, Any], *, owners: Mapping[EvidenceKey, str]) -> None:
    """Assign the sale in *record*."""
    stored = sale_of(record)
    decision = assignment.assign(stored, owners=owners)
    if decision is None:
        logger.info("sale decided before", sale_id=stored.sale.sale_id)
        return
    credited = isinstance(decision, Credited)
    metrics.add_metric(
        name="SalesMatched" if credited else "SalesUnmatched", unit=MetricUnit.Count, value=1
    )
    logger.info(
        "sale matched" if credited else "sale unmatched",
        sale_id=stored.sale.sale_id,
        by=decision.by if isinstance(decision, Credited) else decision.reason,
    )
