"""
AWS in memory (moto): the tables, key, secret, bus and policy of the stack, new for every test.

The environment is set when this file is loaded, because a handler reads its settings and
opens its clients at import. Names match `infra/`; what holds them is made by `aws`.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.client import BaseClient
from moto import mock_aws
from moto.core.model_instances import reset_model_data
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodbstreams.models import dynamodbstreams_backends
from moto.events.models import events_backends
from moto.iot.models import iot_backends
from moto.iotdata.models import iotdata_backends
from moto.s3.models import s3_backends
from moto.sqs.models import sqs_backends

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from forecourt.sales import Sale
    from tests.functional.accruing import Books
    from tests.functional.http import Client
    from tests.functional.nights import Nights
    from tests.functional.world import World

REGION = "ap-southeast-1"
ACCOUNT_ID = "123456789012"
SALES_TABLE = "sales"
LOYALTY_TABLE = "loyalty"
REQUESTS_TABLE = "requests"
IDENTITY_SECRET_ID = "identity-secret"
IDENTITY_SECRET = "a secret for tests, 32 bytes long"
SEAL_KEY_ID = "alias/forecourt-seal"
EVENT_BUS = "forecourt"
STATION_POLICY = "forecourt-station"
MESSAGES_QUEUE = "messages"
SEGMENTS_QUEUE = "segments"
LEARNING_QUEUE = "learning-steps"
LEARNING_FUNCTION = "learning"
BOOKS_BUCKET = "books"
WORKINGS_BUCKET = "workings"
ZONE = "Asia/Shanghai"
EXPIRY_QUEUE = "expiry-tasks"
REMINDERS_QUEUE = "reminders-tasks"
QUEUE_URL = f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT_ID}/"

for _name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[_name]  # a profile or an endpoint of the developer's must not reach a test
os.environ.update(
    AWS_ACCESS_KEY_ID="testing",
    AWS_SECRET_ACCESS_KEY="testing",
    AWS_DEFAULT_REGION=REGION,
    AWS_REGION=REGION,
    POWERTOOLS_SERVICE_NAME="forecourt",
    POWERTOOLS_METRICS_NAMESPACE="Forecourt",
    SALES_TABLE=SALES_TABLE,
    LOYALTY_TABLE=LOYALTY_TABLE,
    REQUESTS_TABLE=REQUESTS_TABLE,
    IDENTITY_SECRET_ID=IDENTITY_SECRET_ID,
    RING_REMEMBERED_SECONDS="60",
    SEAL_KEY_ID=SEAL_KEY_ID,
    USER_POOL_ID=f"{REGION}_pool",
    EVENT_BUS=EVENT_BUS,
    STATION_POLICY=STATION_POLICY,
    SEGMENTS_QUEUE_URL=f"{QUEUE_URL}{SEGMENTS_QUEUE}",
    LEARNING_QUEUE_URL=f"{QUEUE_URL}{LEARNING_QUEUE}",
    LEARNING_FUNCTION=LEARNING_FUNCTION,
    BOOKS_BUCKET=BOOKS_BUCKET,
    WORKINGS_BUCKET=WORKINGS_BUCKET,
    ZONE=ZONE,
    MATCHING_POLICY="shared_vehicle",
    EXPIRY_QUEUE_URL=f"{QUEUE_URL}{EXPIRY_QUEUE}",
    REMINDERS_QUEUE_URL=f"{QUEUE_URL}{REMINDERS_QUEUE}",
)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        # A replay has nothing to count; Powertools remarks on it.
        "filterwarnings",
        "ignore:No application metrics to publish:UserWarning",
    )


@dataclass(frozen=True, slots=True)
class LambdaContext:
    """What Lambda tells a handler of its invocation, as far as Powertools reads it."""

    function_name: str = "forecourt-under-test"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:under-test"
    aws_request_id: str = "11111111-2222-3333-4444-555555555555"

    def get_remaining_time_in_millis(self) -> int:
        return 10_000


class Hurried(LambdaContext):
    """An invocation whose time is up."""

    def get_remaining_time_in_millis(self) -> int:
        return -1000


@pytest.fixture
def context() -> Any:
    return LambdaContext()


@pytest.fixture
def hurried() -> Any:
    return Hurried()


@pytest.fixture
def counted(capsys: pytest.CaptureFixture[str]) -> Callable[[], Counter[str]]:
    """Return what the metrics emitted since the last call add up to, by name."""

    def read() -> Counter[str]:
        total: Counter[str] = Counter()
        for line in capsys.readouterr().out.splitlines():
            document = json.loads(line)
            for directive in document.get("_aws", {}).get("CloudWatchMetrics", ()):
                for metric in directive["Metrics"]:
                    total[metric["Name"]] += int(sum(document[metric["Name"]]))
        return total

    return read


@pytest.fixture(scope="package", autouse=True)
def unwatched_aws() -> Iterator[None]:
    """
    Let coverage look away while moto works.

    Nearly all of a test's time passes there, none of our code runs there, and watching it would
    take as long again.
    """
    call = BaseClient._make_api_call

    def unwatched(*args: Any) -> Any:
        watching = sys.gettrace()
        sys.settrace(None)
        try:
            return call(*args)
        finally:
            sys.settrace(watching)
            _taken_over()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", unwatched)
        yield


def _taken_over() -> None:
    """Coverage takes over from the interpreter with the first call that it sees: with this."""


@pytest.fixture(scope="package")
def account() -> Iterator[None]:
    """Make what no function changes and takes long to make: the account, its key, a secret."""
    with mock_aws():
        kms = client("kms")
        key_id = kms.create_key()["KeyMetadata"]["KeyId"]
        kms.create_alias(AliasName=SEAL_KEY_ID, TargetKeyId=key_id)
        client("secretsmanager").create_secret(
            Name=IDENTITY_SECRET_ID, SecretString=IDENTITY_SECRET
        )
        yield


@pytest.fixture
def aws(account: None) -> Iterator[None]:  # noqa: ARG001 - everything below is in it
    """Everything the functions find in their account; empty, and gone after the test."""
    make_item_table(
        SALES_TABLE,
        indexes=[
            {
                "IndexName": "review",
                "KeySchema": key_schema("queue", "queued_at"),
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    make_item_table(
        LOYALTY_TABLE,
        indexes=[
            {
                "IndexName": "due",
                "KeySchema": key_schema("due_on", "pk"),
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
    )
    client("dynamodb").create_table(
        TableName=REQUESTS_TABLE,
        KeySchema=key_schema("id"),
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    client("iot").create_policy(
        policyName=STATION_POLICY,
        policyDocument=json.dumps({"Version": "2012-10-17", "Statement": []}),
    )
    for queue in (
        MESSAGES_QUEUE,
        EXPIRY_QUEUE,
        REMINDERS_QUEUE,
        SEGMENTS_QUEUE,
        LEARNING_QUEUE,
    ):
        client("sqs").create_queue(QueueName=queue)
    for bucket in (BOOKS_BUCKET, WORKINGS_BUCKET):
        client("s3").create_bucket(
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
    client("events").create_event_bus(Name=EVENT_BUS)
    yield
    for backends in (
        dynamodb_backends,
        dynamodbstreams_backends,
        iot_backends,
        iotdata_backends,
        sqs_backends,
        events_backends,
    ):
        backends[ACCOUNT_ID][REGION].reset()
    s3_backends[ACCOUNT_ID]["aws"].reset()
    # Every model ever made is listed for moto's dashboard, and would be kept to the last test.
    reset_model_data()


@pytest.fixture
def dynamodb(aws: None) -> Any:  # noqa: ARG001 - the client is good for nothing without it
    return client("dynamodb")


@pytest.fixture
def world(dynamodb: Any) -> World:
    from tests.functional.world import World  # noqa: PLC0415 - it needs the names above

    return World(dynamodb)


@pytest.fixture
def told(world: World, context: Any) -> Callable[..., None]:
    """Return what a station does: tell sales, one queue record each, to a fresh ingest."""
    from functions.ingest import handler  # noqa: PLC0415 - its clients need the environment
    from tests.functional.world import sale_record  # noqa: PLC0415

    handler._stations.clear()
    handler.identity_keys.forget()
    world.register()

    def tell(*sales: Sale) -> None:
        records = [
            sale_record(each, message_id=f"message-{number}") for number, each in enumerate(sales)
        ]
        if records:  # SQS sends no empty batch
            assert handler.handle({"Records": records}, context) == {"batchItemFailures": []}

    return tell


@pytest.fixture
def tell(told: Any, context: Any) -> Callable[..., None]:  # noqa: ARG001 - it registers the station
    """Return what a station does: put records on the queue, which ingest takes."""
    from functions.ingest import handler  # noqa: PLC0415 - its clients need the environment

    def take(*records: dict[str, Any]) -> None:
        answer = handler.handle({"Records": list(records)}, context)
        assert answer == {"batchItemFailures": []}

    return take


@pytest.fixture
def match(world: World, context: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return what matching does with the sales received since the last call."""
    from functions.matching import handler  # noqa: PLC0415 - its clients need the environment
    from tests.functional.assigning import assignment  # noqa: PLC0415

    monkeypatch.setattr(handler, "assignment", assignment(world))

    def work() -> None:
        records = world.records(SALES_TABLE, status="received")
        assert handler.handle({"Records": records}, context) == {"batchItemFailures": []}

    return work


@pytest.fixture
def books(world: World, context: Any) -> Books:
    """Return accrual before its stream, with a sale to judge."""
    from functions.accrual import handler  # noqa: PLC0415 - its clients need the environment
    from tests.functional.accruing import Books  # noqa: PLC0415

    handler.program.cache_clear()
    return Books(world, handler, context)


@pytest.fixture
def nights(world: World, context: Any, monkeypatch: pytest.MonkeyPatch) -> Nights:
    """Return nights under a program, with three accounts in a task."""
    from tests.functional.nights import Nights  # noqa: PLC0415 - it needs the environment

    monkeypatch.setattr("forecourt.due.ACCOUNTS_PER_TASK", 3)
    nights = Nights(world, context, monkeypatch)
    nights.under()
    return nights


@pytest.fixture
def desk(world: World, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Return the manager's desk, an hour after the sale."""
    from tests.functional.refunding import desk_of  # noqa: PLC0415 - it needs the environment

    return desk_of(world, monkeypatch)


def member_client(subject: str, group: str) -> Client:
    """Return somebody before the members API."""
    from functions.members import handler  # noqa: PLC0415 - its clients need the environment
    from tests.functional.http import Client  # noqa: PLC0415

    return Client(handle=handler.handle, subject=subject, groups=f"[{group}]")


@pytest.fixture
def anna() -> Client:
    return member_client("sub-anna", "member")


@pytest.fixture
def bert() -> Client:
    return member_client("sub-bert", "member")


@pytest.fixture
def attendant() -> Client:
    return member_client("sub-attendant", "attendant")


@pytest.fixture
def till() -> Client:
    """Return a till before the redemption API."""
    from tests.functional.redeeming import somebody  # noqa: PLC0415 - it needs the environment

    return somebody("sub-till", "attendant")


@pytest.fixture
def manager() -> Client:
    """Return a station's manager before the redemption API."""
    from tests.functional.redeeming import somebody  # noqa: PLC0415 - the same

    return somebody("sub-manager", "manager")


@cache
def client(service: str) -> Any:
    """Return the one client for *service*: to make one takes longer than most tests."""
    return boto3.client(service)


def make_item_table(name: str, *, indexes: list[dict[str, Any]] | None = None) -> None:
    """Create a table of items with the keys and the stream `infra.tables.ItemTable` gives it."""
    indexes = indexes or []
    keys = [*key_schema("pk", "sk"), *(key for each in indexes for key in each["KeySchema"])]
    named = {key["AttributeName"]: None for key in keys}
    client("dynamodb").create_table(
        TableName=name,
        KeySchema=key_schema("pk", "sk"),
        AttributeDefinitions=[{"AttributeName": each, "AttributeType": "S"} for each in named],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        **({"GlobalSecondaryIndexes": indexes} if indexes else {}),
    )


def key_schema(*names: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": name, "KeyType": kind}
        for name, kind in zip(names, ("HASH", "RANGE"), strict=False)
    ]
