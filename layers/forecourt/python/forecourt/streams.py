"""Working through a batch of stream records in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aws_lambda_powertools import Logger


def one_by_one(
    records: Sequence[dict[str, Any]],
    take: Callable[[dict[str, Any]], object],
    *,
    logger: Logger,
) -> dict[str, Any]:
    """
    Give each record to *take*, and stop at the first that fails.

    Lambda resumes a stream at the lowest sequence number it is told about, so what lies
    behind a failure comes again in any case: going on would only do it twice.
    """
    for record in records:
        try:
            take(record)
        except Exception:
            logger.exception("stream record failed", event_id=record.get("eventID"))
            return stopped_at(record)
    return {"batchItemFailures": []}


def stopped_at(record: dict[str, Any]) -> dict[str, Any]:
    """Return the answer that makes Lambda resume the stream at *record*."""
    number = record["dynamodb"]["SequenceNumber"]
    return {"batchItemFailures": [{"itemIdentifier": number}]}
