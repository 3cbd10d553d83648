"""Queues: sending many messages, taking each by itself, and looking at what SQS left out."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from forecourt.deadlines import while_time_lasts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from aws_lambda_powertools import Logger
    from aws_lambda_powertools.utilities.typing import LambdaContext

SEND_MAX = 10  # SQS takes no more messages in one call


class NotSent(Exception):
    """SQS refused some of a batch. The platform starts the job again; tasks are done once."""


def send(sqs: Any, queue_url: str, bodies: Iterable[str]) -> None:
    """Put messages on the queue, as many in a call as it takes."""
    waiting = iter(bodies)
    while batch := list(islice(waiting, SEND_MAX)):
        response = sqs.send_message_batch(
            QueueUrl=queue_url,
            Entries=[{"Id": str(number), "MessageBody": body} for number, body in enumerate(batch)],
        )
        if response.get("Failed"):
            raise NotSent([failed["Code"] for failed in response["Failed"]])


def each_by_itself(
    records: Sequence[dict[str, Any]],
    take: Callable[[dict[str, Any]], object],
    *,
    logger: Logger,
    context: LambdaContext,
) -> dict[str, Any]:
    """
    Give each message to *take*; return those that failed, for the queue to bring again.

    So does it with those for which time is too short.
    """
    done = set()
    begun = 0
    for record in while_time_lasts(records, context):
        begun += 1
        try:
            take(record)
        except Exception:
            # The messages beside it are none the worse.
            logger.exception("message failed", message_id=record["messageId"])
        else:
            done.add(record["messageId"])
    if begun < len(records):
        logger.warning("batch stopped in time", taken=begun, left=len(records) - begun)
    again = [record["messageId"] for record in records if record["messageId"] not in done]
    return {"batchItemFailures": [{"itemIdentifier": each} for each in again]}
