"""How the clock starts a function: in the zone of business, tried again, and never silently not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as scheduler_targets

from infra.findings import accept
from infra.queues import accept_encrypted_sends

if TYPE_CHECKING:
    from collections.abc import Mapping

    from constructs import Construct

    from infra.functions import PlatformFunction
    from infra.queues import FailureQueue

__all__ = ["ZONE_DEFAULT", "schedule", "scheduler_role", "zone_of"]

# The zone business days are counted in, unless the context key `zone` names another.
ZONE_DEFAULT = "Asia/Shanghai"


def zone_of(scope: Construct) -> str:
    """Return the IANA zone the jobs' clock is in."""
    return str(scope.node.try_get_context("zone") or ZONE_DEFAULT)


def scheduler_role(scope: Construct, *functions: PlatformFunction, description: str) -> iam.Role:
    """Return the role in which the scheduler starts *functions*, and nothing else."""
    role = iam.Role(
        scope,
        "SchedulerRole",
        assumed_by=iam.ServicePrincipal(
            "scheduler.amazonaws.com",
            conditions={"StringEquals": {"aws:SourceAccount": cdk.Stack.of(scope).account}},
        ),
        description=f"Forecourt scheduler: {description}",
    )
    accept(
        role,
        {
            f"AwsSolutions-IAM5[Resource::{function.function_arn}:*]": "CDK grants the "
            "versions of a function along with it; there are none."
            for function in functions
        },
    )
    accept_encrypted_sends(role)
    return role


def schedule(
    scope: Construct,
    construct_id: str,
    *,
    description: str,
    at: Mapping[str, str],
    group: scheduler.IScheduleGroup,
    function: PlatformFunction,
    input_: Mapping[str, str],
    failures: FailureQueue,
    role: iam.IRole,
) -> None:
    """Start *function* with *input_* whenever the clock is *at*; leave in *failures* what fails."""
    scheduler.Schedule(
        scope,
        construct_id,
        description=description,
        schedule=scheduler.ScheduleExpression.cron(**at, time_zone=cdk.TimeZone.of(zone_of(scope))),
        schedule_group=group,
        target=scheduler_targets.LambdaInvoke(
            function,
            input=scheduler.ScheduleTargetInput.from_object(dict(input_)),
            dead_letter_queue=failures,
            max_event_age=cdk.Duration.hours(4),
            retry_attempts=10,
            role=role,
        ),
    )
