"""The whole of Forecourt in one stack: capabilities, connected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk

from infra.api import Api
from infra.books import Books
from infra.earning import Earning
from infra.expiry import Expiry
from infra.forgetting import Forgetting
from infra.functions import Runtime
from infra.identity import IdentitySecret
from infra.intake import Intake
from infra.jobs import Jobs
from infra.keys import Keys
from infra.learning import Learning
from infra.observability import Observability
from infra.rekeying import Rekeying
from infra.relay import Bus, Relay
from infra.retention import Retention
from infra.tables import Tables
from infra.users import Users

if TYPE_CHECKING:
    from constructs import Construct

    from infra.target import Target

__all__ = ["ForecourtStack"]


class ForecourtStack(cdk.Stack):
    def __init__(self, scope: Construct, construct_id: str, *, target: Target) -> None:
        super().__init__(
            scope,
            construct_id,
            description="Forecourt: loyalty and customer platform for petrol stations",
            synthesizer=target.synthesizer(),
        )
        keys = Keys(self, "Keys", target=target)
        self.tables = Tables(self, "Tables", keys=keys, target=target)
        identity_secret = IdentitySecret(self, "IdentitySecret", keys=keys, target=target)
        runtime = Runtime(self, "Runtime", target=target)
        self.bus = Bus(self, "Bus", archived=target.archives_events)
        self.users = Users(self, "Users", target=target)
        self.intake = Intake(
            self,
            "Intake",
            tables=self.tables,
            keys=keys,
            identity_secret=identity_secret,
            runtime=runtime,
        )
        Earning(
            self,
            "Earning",
            tables=self.tables,
            bus=self.bus,
            keys=keys,
            identity_secret=identity_secret,
            runtime=runtime,
        )
        Forgetting(
            self,
            "Forgetting",
            tables=self.tables,
            users=self.users,
            bus=self.bus,
            keys=keys,
            identity_secret=identity_secret,
            runtime=runtime,
        )
        self.rekeying = Rekeying(
            self,
            "Rekeying",
            tables=self.tables,
            keys=keys,
            identity_secret=identity_secret,
            runtime=runtime,
        )
        self.identity_secret = identity_secret
        Relay(self, "Relay", tables=self.tables, bus=self.bus, keys=keys, runtime=runtime)
        jobs = Jobs(self, "Jobs", tables=self.tables, keys=keys, runtime=runtime)
        Retention(
            self,
            "Retention",
            tables=self.tables,
            group=jobs.group,
            keys=keys,
            runtime=runtime,
        )
        self.books = Books(
            self, "Books", tables=self.tables, keys=keys, group=jobs.group, runtime=runtime
        )
        Expiry(
            self,
            "Expiry",
            tables=self.tables,
            group=jobs.group,
            keys=keys,
            runtime=runtime,
        )
        learning = Learning(
            self,
            "Learning",
            tables=self.tables,
            books=self.books,
            keys=keys,
            identity_secret=identity_secret,
            group=jobs.group,
            runtime=runtime,
        )
        self.api = Api(
            self,
            "Api",
            tables=self.tables,
            books=self.books,
            users=self.users,
            keys=keys,
            identity_secret=identity_secret,
            station_policy=self.intake.station_policy,
            learning=learning,
            runtime=runtime,
        )
        observability = Observability(
            self,
            "Observability",
            watched=self,
            ingest_queue=self.intake.queue,
            http_stage=self.api.stage,
            keys=keys,
            target=target,
        )
        self._outputs(alarm_topic_arn=observability.topic.topic_arn)
        if target.nag:
            from cdk_nag import AwsSolutionsChecks  # noqa: PLC0415 - loading it takes a second

            # A finding that nobody accepted fails the synthesis.
            cdk.Validations.of(self).add_plugins(AwsSolutionsChecks(self))

    def _outputs(self, *, alarm_topic_arn: str) -> None:
        for name, value in {
            "ApiUrl": self.api.url,
            "UserPoolId": self.users.pool.user_pool_id,
            "UserPoolClientId": self.users.client.user_pool_client_id,
            "SalesTableName": self.tables.sales.table_name,
            "LoyaltyTableName": self.tables.loyalty.table_name,
            "EventBusName": self.bus.event_bus_name,
            "IngestQueueUrl": self.intake.queue.queue_url,
            "StationPolicyName": self.intake.station_policy.ref,
            "AlarmTopicArn": alarm_topic_arn,
            "BooksBucketName": self.books.closed.bucket_name,
            "WorkingsBucketName": self.books.workings.bucket_name,
            "ClosingFunctionName": self.books.closing.function_name,
            "VerificationFunctionName": self.books.verification.function_name,
            "RekeyingFunctionName": self.rekeying.function.function_name,
            "IdentitySecretArn": self.identity_secret.arn,
        }.items():
            cdk.CfnOutput(self, name, value=value)
