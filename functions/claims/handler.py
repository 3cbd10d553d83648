"""
Weigh the sales anew that waited for an identity which a member has just bound.

Invoked by the bus for every `IdentityBound`. Each waiting sale is decided with all its
evidence, so a plate bound today does not override a card that says otherwise; one that is
probably the member's puts a question to them. A repeat finds nothing new and changes nothing;
a failure propagates and the event comes again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from forecourt.assigning import AssignmentSettings, open_assignment
from forecourt.assignment import WAITING_STATUSES
from forecourt.decided_sales import DecidedSales
from forecourt.identity import EvidenceKey
from forecourt.sales_table import SalesTable
from forecourt.weighing import Outcome

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

METRICS = {Outcome.CREDITED: "OrphansClaimed", Outcome.PENDING: "OrphansAskedAbout"}

settings = AssignmentSettings.from_env()
logger = Logger()
metrics = Metrics()

_dynamodb = boto3.client("dynamodb")
sales = SalesTable(_dynamodb, name=settings.sales_table)
decided = DecidedSales(_dynamodb, sales=settings.sales_table, loyalty=settings.loyalty_table)
assignment = open_assignment(settings, _dynamodb)


@metrics.log_metrics
@logger.inject_lambda_context
def handle(event: dict[str, Any], context: LambdaContext) -> None:
    detail = event["detail"]
    claim(EvidenceKey(kind=detail["kind"], digest=detail["digest"]))


def claim(key: EvidenceKey) -> None:
    """Decide every sale again that waits for an identity with that *key*."""
    for sale_id in decided.orphans(key):
        stored = sales.sale(sale_id)
        if stored.status not in WAITING_STATUSES:
            decided.forget_orphan(key, sale_id)
            continue
        decision = assignment.claim(stored)
        if decision is None:
            logger.info("orphan waits on", sale_id=sale_id)
            continue
        metrics.add_metric(name=METRICS[decision.outcome], unit=MetricUnit.Count, value=1)
        logger.info(
            "orphan weighed",
            sale_id=sale_id,
            outcome=decision.outcome,
            by=decision.by,
            reason=decision.reason,
        )
        if decision.outcome is Outcome.CREDITED:
            decided.forget_orphan(key, sale_id)
