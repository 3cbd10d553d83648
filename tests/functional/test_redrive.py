"""Failures are done again from what Lambda left of them."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError, NoCredentialsError, NoRegionError

from infra import redrive
from infra.redrive import Ending, Outcome, Redrive

if TYPE_CHECKING:
    from tests.functional.world import World

FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:matching"


class Functions:
    """Stands for Lambda, which moto would run in Docker; answers what it is told to."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.answer: dict[str, Any] = {"batchItemFailures": []}
        self.error: dict[str, str] = {}

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803 - AWS's
        assert FunctionName == FUNCTION
        self.events.append(json.loads(Payload))
        return {"Payload": io.BytesIO(json.dumps(self.answer).encode()), **self.error}


@pytest.fixture
def functions() -> Functions:
    return Functions()


@pytest.fixture
def queue_url(world: World) -> str:  # noqa: ARG001 - nothing reaches AWS within it
    url: str = boto3.client("sqs").create_queue(QueueName="not-matched")["QueueUrl"]
    return url


def work_through(functions: Functions, queue_url: str) -> dict[Outcome, int]:
    command = Redrive(
        sqs=boto3.client("sqs"), lambda_=functions, streams=boto3.client("dynamodbstreams")
    )
    return dict(command.work_through(queue_url))


def left(queue_url: str) -> int:
    attributes = boto3.client("sqs").get_queue_attributes(
        QueueUrl=queue_url, AttributeNames=["All"]
    )["Attributes"]
    return int(attributes["ApproximateNumberOfMessages"]) + int(
        attributes["ApproximateNumberOfMessagesNotVisible"]
    )


def fail(queue_url: str, **failure: Any) -> None:
    body = {"requestContext": {"functionArn": FUNCTION}, **failure}
    boto3.client("sqs").send_message(QueueUrl=queue_url, MessageBody=json.dumps(body))


def test_an_asynchronous_event_is_sent_again_and_its_message_deleted(
    functions: Functions, queue_url: str
) -> None:
    functions.answer = {}
    fail(queue_url, requestPayload={"detail": {"kind": "plate"}})

    assert work_through(functions, queue_url) == {Outcome.DONE: 1}

    assert functions.events == [{"detail": {"kind": "plate"}}]
    assert left(queue_url) == 0


def test_exactly_the_records_of_the_failed_batch_are_read_from_the_stream(
    functions: Functions, queue_url: str, dynamodb: Any
) -> None:
    table = dynamodb.create_table(
        TableName="streamed",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )["TableDescription"]
    for name in ("a", "b", "c", "d"):
        dynamodb.put_item(
            TableName="streamed", Item={"pk": {"S": name}, "sealed": {"B": b"\x00\xff"}}
        )
    batch = stream_batch(table["LatestStreamArn"], first=1, last=2)
    fail(queue_url, DDBStreamBatchInfo=batch)

    assert work_through(functions, queue_url) == {Outcome.DONE: 1}

    images = [record["dynamodb"]["NewImage"] for record in functions.events[0]["Records"]]
    assert images == [{"pk": {"S": name}, "sealed": {"B": "AP8="}} for name in ("b", "c")]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"batchItemFailures": [{"itemIdentifier": "1"}]}, {}),
        ({"errorMessage": "it still cannot"}, {"FunctionError": "Unhandled"}),
    ],
)
def test_what_fails_again_stays_in_the_queue(
    functions: Functions, queue_url: str, answer: dict[str, Any], error: dict[str, str]
) -> None:
    functions.answer, functions.error = answer, error
    fail(queue_url, requestPayload={})

    assert work_through(functions, queue_url) == {Outcome.FAILED_AGAIN: 1}

    assert left(queue_url) == 1


@pytest.mark.parametrize(
    "body", ['{"hello": "world"}', "hello", "[]", '{"requestContext": "hello"}']
)
def test_a_message_of_another_kind_is_left_alone(
    functions: Functions, queue_url: str, body: str
) -> None:
    boto3.client("sqs").send_message(QueueUrl=queue_url, MessageBody=body)

    assert work_through(functions, queue_url) == {Outcome.NOT_UNDERSTOOD: 1}

    assert functions.events == []
    assert left(queue_url) == 1


@pytest.mark.parametrize("body", [None, "hello"], ids=["nothing", "not understood"])
def test_the_command_ends_with_one_when_a_message_is_left(
    queue_url: str, capsys: pytest.CaptureFixture[str], body: str | None
) -> None:
    if body:
        boto3.client("sqs").send_message(QueueUrl=queue_url, MessageBody=body)

    code = redrive.main([queue_url])

    said = "1 not understood\n" if body else "the queue is empty\n"
    assert (code, capsys.readouterr().out) == (Ending.LEFT if body else Ending.DONE, said)


@pytest.mark.parametrize(
    "failure",
    [
        NoRegionError(),
        NoCredentialsError(),
        ClientError({"Error": {"Code": "QueueDoesNotExist"}}, "ReceiveMessage"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_the_command_says_what_keeps_it_from_the_queue(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], failure: Exception
) -> None:
    def client(_: str) -> None:
        raise failure

    monkeypatch.setattr(redrive, "boto3", SimpleNamespace(client=client))

    code = redrive.main(["a-queue"])

    assert code == Ending.NOT_REACHED
    assert capsys.readouterr().err == f"a-queue could not be worked through: {failure}\n"


def test_the_command_says_that_there_is_no_such_queue(
    queue_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = redrive.main([f"{queue_url}-of-another-name"])

    assert code == Ending.NOT_REACHED
    assert "does not exist" in capsys.readouterr().err


def stream_batch(stream_arn: str, *, first: int, last: int) -> dict[str, Any]:
    """Return how Lambda names the records *first* to *last* of the stream."""
    streams = boto3.client("dynamodbstreams")
    shard = streams.describe_stream(StreamArn=stream_arn)["StreamDescription"]["Shards"][0]
    iterator = streams.get_shard_iterator(
        StreamArn=stream_arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    records = streams.get_records(ShardIterator=iterator)["Records"]
    numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
    return {
        "streamArn": stream_arn,
        "shardId": shard["ShardId"],
        "startSequenceNumber": numbers[first],
        "endSequenceNumber": numbers[last],
        "batchSize": last - first + 1,
    }
