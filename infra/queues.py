"""Queues of work and of what failed: encrypted, kept for two weeks, never without an alarm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_sqs as sqs

from infra.findings import accept

if TYPE_CHECKING:
    from aws_cdk import aws_iam as iam
    from constructs import Construct

    from infra.functions import PlatformFunction
    from infra.keys import Keys
    from infra.target import Target

__all__ = ["FailureQueue", "WorkQueue", "accept_encrypted_sends", "report_failures", "usable_by"]

# SQS keeps no message longer.
RETENTION_MAX = cdk.Duration.days(14)
RECEIVE_COUNT_MAX = 5
# Lambda's advice for a queue it polls: a batch may be retried by the poller within this time.
VISIBILITY_PER_TIMEOUT = 6


def accept_encrypted_sends(role: iam.IRole) -> None:
    """Accept how CDK spells what sending to an encrypted queue needs."""
    reason = "CDK grants the two families of actions on the one key that encrypts the queue."
    accept(
        role,
        {
            f"AwsSolutions-IAM5[Action::kms:{family}]": reason
            for family in ("GenerateDataKey*", "ReEncrypt*")
        },
    )


def usable_by(function: PlatformFunction, queue: sqs.Queue) -> sqs.IQueue:
    """
    Let *function* use the key of *queue* through SQS; return the queue as if it had no key.

    With the key, CDK's grants on the queue would let the function use it for whatever else it
    protects.
    """
    key = queue.encryption_master_key
    if key is None:
        raise ValueError(f"{queue.node.path} has no key of its own")
    function.allow(
        "kms:Decrypt",
        "kms:GenerateDataKey",
        on=key.key_arn,
        conditions={"StringEquals": {"kms:ViaService": f"sqs.{queue.stack.region}.amazonaws.com"}},
    )
    return sqs.Queue.from_queue_arn(queue, f"For{function.node.id}", queue.queue_arn)


def report_failures(function: PlatformFunction, failures: FailureQueue) -> None:
    """Leave in *failures* the events on which *function* failed three times."""
    function.configure_async_invoke(
        on_failure=destinations.SqsDestination(usable_by(function, failures)), retry_attempts=2
    )


class FailureQueue(sqs.Queue):
    """
    Where an asynchronous hop leaves what it could not do.

    `infra.observability` raises an alarm for every one of them, wherever it was made.
    """

    def __init__(self, scope: Construct, construct_id: str, *, keys: Keys, target: Target) -> None:
        super().__init__(
            scope,
            construct_id,
            encryption=sqs.QueueEncryption.KMS,
            encryption_master_key=keys.data,
            enforce_ssl=target.tls,
            retention_period=RETENTION_MAX,
            removal_policy=target.removal_policy,
        )
        accept(
            self,
            {
                "AwsSolutions-SQS3": "It is itself the destination of failures; an alarm watches "
                "its depth."
            },
        )


class WorkQueue(sqs.Queue):
    """
    A queue that a function works on; what it fails at for good goes to *failures*.

    `infra.observability` raises an alarm when its oldest message waits for longer than `age_max`.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        keys: Keys,
        target: Target,
        failures: FailureQueue,
        reader_timeout: cdk.Duration,
        age_max: cdk.Duration,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            encryption=sqs.QueueEncryption.KMS,
            encryption_master_key=keys.data,
            enforce_ssl=target.tls,
            retention_period=RETENTION_MAX,
            visibility_timeout=cdk.Duration.seconds(
                VISIBILITY_PER_TIMEOUT * int(reader_timeout.to_seconds())
            ),
            dead_letter_queue=sqs.DeadLetterQueue(
                queue=failures, max_receive_count=RECEIVE_COUNT_MAX
            ),
            removal_policy=target.removal_policy,
        )
        self.age_max = age_max
