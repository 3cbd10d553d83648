"""
Forget who may have made the sales that nobody got, once their time is over.

Started every hour. A run ends when its time does, and the next goes on: what was forgotten is not
found again, and what a night without runs left behind is. A sale that somebody got since it was
found keeps its evidence. Whatever is forgotten more than a day late is counted by itself, for
somebody to hear of it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from forecourt.deadlines import while_time_lasts
from forecourt.orphans import EVIDENCE_KEPT
from forecourt.outwaited_sales import OutwaitedSales
from forecourt.settings import Settings
from forecourt.values import dataclass

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

OVERDUE_AFTER = timedelta(days=1)  # then twenty runs were missed, or one an hour is not enough


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionSettings(Settings):
    sales_table: str


settings = RetentionSettings.from_env()
logger = Logger()
metrics = Metrics()
outwaited = OutwaitedSales(boto3.client("dynamodb"), name=settings.sales_table)


@metrics.log_metrics
@logger.inject_lambda_context
def handle(_event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    due_before = datetime.now(UTC) - EVIDENCE_KEPT
    forgotten = overdue = 0
    for sale in while_time_lasts(outwaited.found(before=due_before), context):
        if not outwaited.forget(sale):
            continue
        forgotten += 1
        overdue += sale.queued_at < due_before - OVERDUE_AFTER
    if forgotten:
        metrics.add_metric(name="EvidenceForgotten", unit=MetricUnit.Count, value=forgotten)
    if overdue:
        metrics.add_metric(name="EvidenceOverdue", unit=MetricUnit.Count, value=overdue)
    logger.info("evidence forgotten", sales=forgotten, overdue=overdue)
    return {"sales": forgotten}
