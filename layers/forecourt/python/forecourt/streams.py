"""Working through a batch of stream records in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecourt.deadlines import while_time_lasts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aws_lambda_powertools import Logger
    from aws_lambda_powertools.utilities.typing import LambdaContext


def one_by_one(
    records: Sequence[dict[str, Any]],
    take: Callable[[dict[str, Any]], object],
    *,
    logger: Logger,
    context: LambdaContext,
) -> dict[str, Any]:
    """
    Give each record to *take*, and stop at the first that fails or for which time is too short.

    Lambda resumes a stream at the lowest sequence number it is told about, so what lies
    behind a failure comes again in any case: going on would only do it twice.
    """
    taken = 0
    for record in while_time_lasts(records, context):
        try:
            take(record)
        except Exception:
            logger.exception("stream record failed", event_id=record.get("eventID"))
            return stopped_at(record)
        taken += 1
    if taken < len(records):
        logger.warning("batch stopped in time", taken=taken, left=len(records) - taken)
        return stopped_at(records[taken])
    return {"batchItemFailures": []}


def stopped_at(record: dict[str, Any]) -> dict[str, Any]:
    """Return the answer that makes Lambda resume the stream at *record*."""
    number = record["dynamodb"]["SequenceNumber"]
    return {"batchItemFailures": [{"itemIdentifier": number}]}
