"""
Give unmatched sales to the member who has just bound a matching identity.

Invoked by the bus for every `IdentityBound`. Each waiting sale is decided anew with all its
evidence, so a plate bound today does not override a card that says otherwise. A repeat finds
the sales decided and changes nothing; a failure propagates and the event comes again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from forecourt.assignment import Assignment
from forecourt.loyalty_table import LoyaltyTable
from forecourt.matching import EvidenceKey, Unmatched
from forecourt.sales_table import SalesTable
from forecourt.settings import Settings
from forecourt.stored_sales import Status

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimsSettings(Settings):
    sales_table: str
    loyalty_table: str


settings = ClaimsSettings.from_env()
logger = Logger()
metrics = Metrics()

_dynamodb = boto3.client("dynamodb")
sales = SalesTable(_dynamodb, name=settings.sales_table)
assignment = Assignment(sales=sales, loyalty=LoyaltyTable(_dynamodb, name=settings.loyalty_table))


@metrics.log_metrics
@logger.inject_lambda_context
def handle(event: dict[str, Any], context: LambdaContext) -> None:
    detail = event["detail"]
    claim(EvidenceKey(kind=detail["kind"], digest=detail["digest"]))


def claim(key: EvidenceKey) -> None:
    """Decide every sale again that waits for an identity with that *key*."""
    for sale_id in sales.orphans(key):
        stored = sales.sale(sale_id)
        if stored.status is Status.UNMATCHED:
            decision = assignment.claim(stored)
            if isinstance(decision, Unmatched):
                logger.info("sale stays unmatched", sale_id=sale_id, reason=decision.reason)
                continue
            if decision is None:
                logger.info("orphan decided before", sale_id=sale_id)
            else:
                metrics.add_metric(name="OrphansClaimed", unit=MetricUnit.Count, value=1)
                logger.info("orphan claimed", sale_id=sale_id, by=decision.by)
        sales.forget_orphan(key, sale_id)
