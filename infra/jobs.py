"""What happens by the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from infra.functions import PlatformFunction
from infra.queues import FailureQueue, report_failures
from infra.schedules import schedule, scheduler_role

if TYPE_CHECKING:
    from infra.functions import Runtime
    from infra.keys import Keys
    from infra.tables import Tables

__all__ = ["Jobs"]

# Late enough that a station which was offline at midnight has usually sent its readings.
RECONCILED_AT = {"hour": "2", "minute": "0"}


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
        report_failures(self.reconciliation, failures)
        tables.sales.let(self.reconciliation, "Query", leading_keys=["STATION#*"])
        tables.loyalty.let(self.reconciliation, "Query", leading_keys=["STATIONS"])
        tables.loyalty.let(self.reconciliation, "BatchGetItem", leading_keys=["MEMBER#*"])
        tables.loyalty.let(self.reconciliation, "PutItem", "DeleteItem", leading_keys=["CASES#*"])
        self.group = scheduler.ScheduleGroup(
            self, "Group", removal_policy=cdk.RemovalPolicy.DESTROY
        )
        schedule(
            self,
            "Daily",
            description="Reconciles the last seven business days of all stations",
            at=RECONCILED_AT,
            group=self.group,
            function=self.reconciliation,
            input_={},
            failures=failures,
            role=scheduler_role(self, self.reconciliation, description="starts the jobs"),
        )
