"""
Keep every entry in S3 as it was committed, for the book of its day.

Reads the Loyalty table's stream, so nothing that was posted is left out and nothing done to an
item later is seen. A batch that fails comes again as a whole; what was kept of it is kept twice
and counted once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger

from forecourt.arrivals import Arrivals, arrival_from_item
from forecourt.settings import Settings
from forecourt.values import dataclass

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveSettings(Settings):
    workings_bucket: str


settings = ArchiveSettings.from_env()
logger = Logger()
arrivals = Arrivals(boto3.client("s3"), bucket=settings.workings_bucket)


@logger.inject_lambda_context
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    arrived = [arrival_from_item(record["dynamodb"]["NewImage"]) for record in event["Records"]]
    arrivals.keep(arrived)
    logger.info("entries archived", entries=len(arrived))
    return {"batchItemFailures": []}
