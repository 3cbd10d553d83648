"""What nobody got is forgotten: who may have made a sale, once it can be nobody's any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from constructs import Construct

from infra.functions import PlatformFunction
from infra.queues import FailureQueue, report_failures
from infra.schedules import schedule, scheduler_role
from infra.tables import REVIEW_INDEX

if TYPE_CHECKING:
    from aws_cdk import aws_scheduler as scheduler

    from infra.functions import Runtime
    from infra.keys import Keys
    from infra.tables import Tables

__all__ = ["Retention"]

# Apart from what comes due at five past.
FORGOTTEN_AT = {"minute": "35"}
# Lambda's most, a quarter of the time: some hundred thousand sales. A day has 24 of these.
LONGEST = cdk.Duration.minutes(15)


class Retention(Construct):
    """The hourly job that takes evidence from sales nobody got."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        tables: Tables,
        group: scheduler.IScheduleGroup,
        keys: Keys,
        runtime: Runtime,
    ) -> None:
        super().__init__(scope, construct_id)
        failures = FailureQueue(self, "NotForgotten", keys=keys, target=runtime.target)
        retention = PlatformFunction(
            self,
            "Function",
            name="retention",
            description="Forgets who may have made the sales that nobody got in time",
            runtime=runtime,
            environment={"SALES_TABLE": tables.sales.table_name},
            timeout=LONGEST,
        )
        report_failures(retention, failures)
        tables.sales.let(
            retention,
            "Query",
            leading_keys=["pending", "unmatched", "settled"],
            index=REVIEW_INDEX,
        )
        # Sales, and what tills told of them.
        tables.sales.let(retention, "UpdateItem", leading_keys=["STATION#*"])
        schedule(
            self,
            "Hourly",
            description="Forgets who may have made the sales that nobody got in time",
            at=FORGOTTEN_AT,
            group=group,
            function=retention,
            input_={},
            failures=failures,
            role=scheduler_role(self, retention, description="has evidence forgotten"),
        )
