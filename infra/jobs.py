"""What happens by the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as scheduler_targets
from constructs import Construct

from infra.findings import accept
from infra.functions import PlatformFunction
from infra.queues import FailureQueue, accept_encrypted_sends, usable_by

if TYPE_CHECKING:
    from infra.functions import Runtime
    from infra.keys import Keys
    from infra.tables import Tables

__all__ = ["Jobs", "zone_of"]

# The zone business days are counted in, unless the context key `zone` names another.
ZONE_DEFAULT = "Asia/Shanghai"
# Late enough that a station which was offline at midnight has usually sent its readings.
RECONCILED_AT = {"hour": "2", "minute": "0"}


def zone_of(scope: Construct) -> str:
    """Return the IANA zone the jobs' clock is in."""
    return str(scope.node.try_get_context("zone") or ZONE_DEFAULT)


class Jobs(Construct):
    """The scheduler group, and the nightly check that pump, sales and ledger agree."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        tables: Tables,
        keys: Keys,
        runtime: Runtime,
    ) -> None:
        super().__init__(scope, construct_id)
        failures = FailureQueue(self, "NotDone", keys=keys, target=runtime.target)
        self.reconciliation = PlatformFunction(
            self,
            "Reconciliation",
            name="reconciliation",
            description="Compares totalizers, sales and entries of business days, opens cases",
            runtime=runtime,
            environment={
                "SALES_TABLE": tables.sales.table_name,
                "LOYALTY_TABLE": tables.loyalty.table_name,
            },
            timeout=cdk.Duration.minutes(15),  # Lambda's most: a week of its share of stations
        )
        # Apart from the role's own policy, which the function waits for: that would be a circle.
        iam.Policy(
            self,
            "HandsOut",
            roles=[self.reconciliation.execution_role],
            statements=[
                iam.PolicyStatement(
                    actions=["lambda:InvokeFunction"], resources=[self.reconciliation.function_arn]
                )
            ],
        )
        self.reconciliation.configure_async_invoke(
            on_failure=destinations.SqsDestination(usable_by(self.reconciliation, failures)),
            retry_attempts=2,
        )
        tables.sales.let(self.reconciliation, "Query", leading_keys=["STATION#*"])
        tables.loyalty.let(self.reconciliation, "Query", leading_keys=["STATIONS"])
        tables.loyalty.let(self.reconciliation, "BatchGetItem", leading_keys=["MEMBER#*"])
        tables.loyalty.let(self.reconciliation, "PutItem", "DeleteItem", leading_keys=["CASES#*"])
        self.group = scheduler.ScheduleGroup(
            self, "Group", removal_policy=cdk.RemovalPolicy.DESTROY
        )
        scheduler.Schedule(
            self,
            "Daily",
            description="Reconciles the last seven business days of all stations",
            schedule=scheduler.ScheduleExpression.cron(
                **RECONCILED_AT,
                time_zone=cdk.TimeZone.of(zone_of(self)),
            ),
            schedule_group=self.group,
            target=scheduler_targets.LambdaInvoke(
                self.reconciliation,
                input=scheduler.ScheduleTargetInput.from_object({}),
                dead_letter_queue=failures,
                max_event_age=cdk.Duration.hours(4),
                retry_attempts=10,
                role=self._role(),
            ),
        )

    def _role(self) -> iam.Role:
        role = iam.Role(
            self,
            "SchedulerRole",
            assumed_by=iam.ServicePrincipal(
                "scheduler.amazonaws.com",
                conditions={"StringEquals": {"aws:SourceAccount": cdk.Stack.of(self).account}},
            ),
            description="Forecourt scheduler: starts the jobs",
        )
        accept(
            role,
            {
                f"AwsSolutions-IAM5[Resource::{self.reconciliation.function_arn}:*]": "CDK grants "
                "the versions of a function along with it; there are none."
            },
        )
        accept_encrypted_sends(role)
        return role
