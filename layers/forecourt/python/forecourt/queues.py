"""Queues: sending many messages, taking each by itself, and looking at what SQS left out."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from aws_lambda_powertools import Logger

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
) -> dict[str, Any]:
    """Give each message to *take*; return those that failed, for the queue to bring again."""
    failed = []
    for record in records:
        try:
            take(record)
        except Exception:
            logger.exception("message failed", message_id=record["messageId"])
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}
