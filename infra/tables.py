"""The three tables: what was sold, who holds what, and which requests were already answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from infra.findings import accept

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.functions import PlatformFunction
    from infra.keys import Keys
    from infra.target import Target

__all__ = ["DUE_INDEX", "REVIEW_INDEX", "ItemTable", "Tables"]

REVIEW_INDEX = "review"
DUE_INDEX = "due"

STRING = dynamodb.AttributeType.STRING
# With a customer-managed key the caller needs these, through DynamoDB only.
KEY_ACTIONS_TO_READ = ("kms:Decrypt", "kms:DescribeKey")
KEY_ACTIONS_TO_WRITE = (
    *KEY_ACTIONS_TO_READ,
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)
READS = frozenset({"GetItem", "BatchGetItem", "Query"})


class GrantingTable(dynamodb.Table):
    """A table that hands out single operations, limited to the partitions they are meant for."""

    def let(
        self,
        function: PlatformFunction,
        *operations: str,
        leading_keys: Sequence[str] = ("*",),
        index: str | None = None,
    ) -> None:
        """
        Let *function* call *operations* (`GetItem`, …) on the partitions *leading_keys* match.

        A transaction needs the operations of its members and no other.  All keys of one batch
        must be matched here, by one call: a statement allows the whole request or nothing of it.
        Scan is not grantable this way: a request without a key has no leading key to compare,
        and would pass.
        """
        if "Scan" in operations:
            raise ValueError("a scan has no leading key, so the condition would not limit it")
        function.allow(
            *(f"dynamodb:{operation}" for operation in operations),
            on=self.table_arn if index is None else f"{self.table_arn}/index/{index}",
            conditions={"ForAllValues:StringLike": {"dynamodb:LeadingKeys": list(leading_keys)}},
        )
        writes = not READS.issuperset(operations)
        self._let_use_key(function, *(KEY_ACTIONS_TO_WRITE if writes else KEY_ACTIONS_TO_READ))

    def let_scan(self, function: PlatformFunction) -> None:
        """
        Let *function* read everything there is: for who audits the whole table, and nobody else.

        `let` cannot, because a condition would not limit it.
        """
        function.allow("dynamodb:Scan", on=self.table_arn)
        self._let_use_key(function, *KEY_ACTIONS_TO_READ)

    def stream_for(self, function: PlatformFunction) -> dynamodb.ITable:
        """
        Let *function* read the stream's records; return the table as if it had no key.

        With the key, CDK's grant on the stream would let the function use it for whatever else it
        protects.
        """
        self._let_use_key(function, *KEY_ACTIONS_TO_READ)
        return dynamodb.Table.from_table_attributes(
            function,
            "Stream",
            table_arn=self.table_arn,
            table_stream_arn=self.table_stream_arn,
        )

    def _let_use_key(self, function: PlatformFunction, *actions: str) -> None:
        key = self.encryption_key
        if key is None:
            raise ValueError(f"{self.node.path} has no key of its own")
        function.allow(
            *actions,
            on=key.key_arn,
            conditions={
                "StringEquals": {"kms:ViaService": f"dynamodb.{self.stack.region}.amazonaws.com"}
            },
        )


class ItemTable(GrantingTable):
    """Items under `pk` and `sk`, with a stream; kept and recoverable when the stack goes."""

    def __init__(self, scope: Construct, construct_id: str, *, keys: Keys, target: Target) -> None:
        super().__init__(
            scope,
            construct_id,
            partition_key=dynamodb.Attribute(name="pk", type=STRING),
            sort_key=dynamodb.Attribute(name="sk", type=STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED,
            encryption_key=keys.data,
            stream=dynamodb.StreamViewType.NEW_AND_OLD_IMAGES,
            time_to_live_attribute="expires_at_epoch",
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=not target.disposable,
            removal_policy=target.removal_policy,
        )


class RequestTable(GrantingTable):
    """Answers to requests with an `Idempotency-Key`; they expire, and may go at any time."""

    def __init__(self, scope: Construct, construct_id: str, *, keys: Keys) -> None:
        super().__init__(
            scope,
            construct_id,
            partition_key=dynamodb.Attribute(name="id", type=STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED,
            encryption_key=keys.data,
            time_to_live_attribute="expiration",
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        accept(
            self,
            {"AwsSolutions-DDB3": "Its items live for a day and are rebuilt by the next request."},
        )


class Tables(Construct):
    def __init__(self, scope: Construct, construct_id: str, *, keys: Keys, target: Target) -> None:
        super().__init__(scope, construct_id)
        self.sales = ItemTable(self, "Sales", keys=keys, target=target)
        self.sales.add_global_secondary_index(
            index_name=REVIEW_INDEX,
            partition_key=dynamodb.Attribute(name="queue", type=STRING),
            sort_key=dynamodb.Attribute(name="queued_at", type=STRING),
            projection_type=dynamodb.ProjectionType.ALL,
        )
        self.loyalty = ItemTable(self, "Loyalty", keys=keys, target=target)
        # Accounts, and refunds that wait, and of these only keys: a posting writes here when the
        # next day on which something is due changes, and not otherwise.
        self.loyalty.add_global_secondary_index(
            index_name=DUE_INDEX,
            partition_key=dynamodb.Attribute(name="due_on", type=STRING),
            sort_key=dynamodb.Attribute(name="pk", type=STRING),
            projection_type=dynamodb.ProjectionType.KEYS_ONLY,
        )
        self.requests = RequestTable(self, "Requests", keys=keys)
