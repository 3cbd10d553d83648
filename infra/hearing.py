"""What functions hear from the bus, through a queue: a burst waits there, not in Lambda."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as events_targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda_event_sources as event_sources
from aws_cdk import aws_sqs as sqs

from infra.queues import FailureQueue, WorkQueue, usable_by

if TYPE_CHECKING:
    from collections.abc import Mapping

    from constructs import Construct

    from infra.functions import PlatformFunction
    from infra.keys import Keys
    from infra.target import Target

__all__ = ["hear"]

# A station's burst, or a thousand members enrolled at once, is worked off; sales come first.
CONCURRENCY_MAX = 10
BATCH_SIZE = 10
# A member who has just bound a plate looks for the points; older than this, something stands.
AGE_MAX = cdk.Duration.minutes(5)


def hear(
    scope: Construct,
    function: PlatformFunction,
    bus: events.IEventBus,
    *,
    patterns: Mapping[str, tuple[str, events.EventPattern]],
    failures: FailureQueue,
    keys: Keys,
    target: Target,
) -> None:
    """
    Bring *function* what the bus tells it, an event a message of its queue.

    *patterns* are descriptions and patterns by the name of the rule. The bus would invoke a
    function once an event, as many at once as there are events.
    """
    timeout = function.timeout
    if timeout is None:
        raise ValueError(f"{function.node.path} has no timeout")
    queue = WorkQueue(
        scope,
        f"Heard{function.node.id}",
        keys=keys,
        target=target,
        failures=failures,
        reader_timeout=timeout,
        age_max=AGE_MAX,
    )
    # With its key at hand CDK would let EventBridge use that for anybody's account.
    keyless = sqs.Queue.from_queue_arn(scope, f"To{function.node.id}", queue.queue_arn)
    for name, (description, pattern) in patterns.items():
        rule = events.Rule(
            scope,
            name,
            event_bus=bus,
            description=description,
            event_pattern=pattern,
            targets=[events_targets.SqsQueue(keyless, dead_letter_queue=failures)],
        )
        queue.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("events.amazonaws.com")],
                actions=["sqs:SendMessage"],
                resources=[queue.queue_arn],
                conditions={"ArnEquals": {"aws:SourceArn": rule.rule_arn}},
            )
        )
    function.add_event_source(
        event_sources.SqsEventSource(
            usable_by(function, queue),
            batch_size=BATCH_SIZE,
            max_concurrency=CONCURRENCY_MAX,
            report_batch_item_failures=True,
        )
    )
