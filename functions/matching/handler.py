"""
Decide whose sale it is.

Reads the stream of the Sales table, new images in status `received` only. A record that
comes again finds the sale decided and changes nothing; so does one behind which more was told
or said of its sale, which has a record of its own. At the first failure the batch stops
there: Lambda replays a stream from its lowest failure anyway.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from forecourt.assigning import AssignmentSettings, open_assignment
from forecourt.decisions import Outcome
from forecourt.stored_sales import sale_from_item
from forecourt.streams import one_by_one

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from forecourt.assignment import Weighed
    from forecourt.stored_sales import StoredSale

METRICS = {
    Outcome.CREDITED: "SalesMatched",
    Outcome.PENDING: "SalesPending",
    Outcome.UNMATCHED: "SalesUnmatched",
}

settings = AssignmentSettings.from_env()
logger = Logger()
metrics = Metrics()
assignment = open_assignment(settings, boto3.client("dynamodb"))


@metrics.log_metrics
@logger.inject_lambda_context
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    records = event["Records"]
    # All sales of a batch ask together: under load it is what keeps up.
    weighed = assignment.weigh([sale_of(record) for record in records])
    by_record = {
        record["dynamodb"]["SequenceNumber"]: each
        for record, each in zip(records, weighed, strict=True)
    }
    return one_by_one(records, partial(match, weighed=by_record), logger=logger, context=context)


def sale_of(record: dict[str, Any]) -> StoredSale:
    """Return the sale in *record*'s new image."""
    return sale_from_item(record["dynamodb"]["NewImage"])


def match(record: dict[str, Any], *, weighed: Mapping[str, Weighed]) -> None:
    """Assign the sale in *record*."""
    stored = sale_of(record)
    decision = assignment.assign(stored, weighed[record["dynamodb"]["SequenceNumber"]])
    if decision is None:
        logger.info("sale decided before, or changed since", sale_id=stored.sale.sale_id)
        return
    metrics.add_metric(name=METRICS[decision.outcome], unit=MetricUnit.Count, value=1)
    logger.info(
        "sale weighed",
        sale_id=stored.sale.sale_id,
        outcome=decision.outcome,
        by=decision.by,
        reason=decision.reason,
        posterior_ppm=decision.posterior_ppm,
        weights_version=decision.weights_version,
    )
