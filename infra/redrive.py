"""
Do again what failed for good, once its cause is mended.

    python -m infra.redrive QUEUE_URL

Takes each message of a failure queue, does what it stands for, and deletes it when that
succeeded. Everything here can be done twice without harm. A queue of undelivered SQS messages
is moved back by SQS itself: `aws sqs start-message-move-task`.

Two kinds of message are understood, as Lambda writes them: a batch of stream records, which
is read from the stream again (DynamoDB keeps it for 24 hours), and an asynchronous
invocation, which carries its event.

Ends with 0 when all is done, 1 when a message is left, and 3 when what is asked could not be: no
such queue, no credentials, a network that does not lead there.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
from collections import Counter
from enum import IntEnum, StrEnum
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

RECEIVE_MAX = 10  # SQS hands out no more in one call


class Ending(IntEnum):
    """The exit code."""

    DONE = 0
    LEFT = 1
    NOT_REACHED = 3


class Outcome(StrEnum):
    """What became of a message."""

    DONE = "done"
    FAILED_AGAIN = "failed again"
    TOO_OLD = "no longer in the stream"
    NOT_UNDERSTOOD = "not understood"


class Redrive:
    """Works through failure queues with the given clients."""

    def __init__(self, *, sqs: Any, lambda_: Any, streams: Any) -> None:
        self._sqs = sqs
        self._lambda = lambda_
        self._streams = streams

    def work_through(self, queue_url: str) -> Counter[Outcome]:
        """Try every message that is visible now, once; return how many ended how."""
        outcomes: Counter[Outcome] = Counter()
        seen: set[str] = set()
        while messages := self._sqs.receive_message(
            QueueUrl=queue_url, MaxNumberOfMessages=RECEIVE_MAX
        ).get("Messages"):
            fresh = [message for message in messages if message["MessageId"] not in seen]
            if not fresh:
                break
            for message in fresh:
                seen.add(message["MessageId"])
                outcome = self._again(_failure_in(message["Body"]))
                outcomes[outcome] += 1
                if outcome is Outcome.DONE:
                    self._sqs.delete_message(
                        QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"]
                    )
        return outcomes

    def _again(self, failure: dict[str, Any]) -> Outcome:
        context = failure.get("requestContext")
        function = context.get("functionArn") if isinstance(context, dict) else None
        if function is None:
            return Outcome.NOT_UNDERSTOOD
        if "DDBStreamBatchInfo" in failure:
            records = self._records(failure["DDBStreamBatchInfo"])
            if records is None:
                return Outcome.TOO_OLD
            return self._invoke(function, {"Records": records})
        if "requestPayload" in failure:
            return self._invoke(function, failure["requestPayload"])
        return Outcome.NOT_UNDERSTOOD

    def _invoke(self, function: str, event: dict[str, Any]) -> Outcome:
        answer = self._lambda.invoke(FunctionName=function, Payload=json.dumps(event).encode())
        result = json.loads(answer["Payload"].read() or b"null")
        failed = "FunctionError" in answer or (result or {}).get("batchItemFailures")
        return Outcome.FAILED_AGAIN if failed else Outcome.DONE

    def _records(self, batch: dict[str, Any]) -> list[dict[str, Any]] | None:
        """Return the batch's records, or `None` when the stream has forgotten them."""
        try:
            iterator = self._streams.get_shard_iterator(
                StreamArn=batch["streamArn"],
                ShardId=batch["shardId"],
                ShardIteratorType="AT_SEQUENCE_NUMBER",
                SequenceNumber=batch["startSequenceNumber"],
            )["ShardIterator"]
        except self._streams.exceptions.TrimmedDataAccessException:
            return None
        last = int(batch["endSequenceNumber"])
        found: list[dict[str, Any]] = []
        while iterator:
            answer = self._streams.get_records(ShardIterator=iterator)
            for record in answer["Records"]:
                if int(record["dynamodb"]["SequenceNumber"]) > last:
                    return found
                found.append(as_lambda_writes_it(record))
            if not answer["Records"] or int(found[-1]["dynamodb"]["SequenceNumber"]) == last:
                return found
            iterator = answer.get("NextShardIterator")
        return found


def _failure_in(body: str) -> dict[str, Any]:
    """Return what a message says of a failure: nothing, when it is none of Lambda's."""
    try:
        failure = json.loads(body)
    except ValueError:
        return {}
    return failure if isinstance(failure, dict) else {}


def as_lambda_writes_it(record: dict[str, Any]) -> dict[str, Any]:
    """Return a stream record as a function gets it: bytes in base64, times as numbers."""
    plain: dict[str, Any] = json.loads(json.dumps(record, default=_plain))
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.timestamp()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.redrive", description=__doc__)
    parser.add_argument("queue_url", help="the failure queue, as its alarm names it")
    options = parser.parse_args(arguments)
    try:
        redrive = Redrive(
            sqs=boto3.client("sqs"),
            lambda_=boto3.client("lambda"),
            streams=boto3.client("dynamodbstreams"),
        )
        outcomes = redrive.work_through(options.queue_url)
    except (BotoCoreError, ClientError) as error:
        # What was done before is deleted from the queue; to call again does the rest.
        sys.stderr.write(f"{options.queue_url} could not be worked through: {error}\n")
        return Ending.NOT_REACHED
    told = [f"{count} {outcome}" for outcome, count in outcomes.items()]
    sys.stdout.write("\n".join(told or ["the queue is empty"]) + "\n")
    return Ending.DONE if set(outcomes) <= {Outcome.DONE} else Ending.LEFT


if __name__ == "__main__":
    sys.exit(main())
