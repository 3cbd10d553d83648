"""Buckets: encrypted, private, versioned, and open to single functions below a prefix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_s3 as s3

from infra.findings import accept

if TYPE_CHECKING:
    from collections.abc import Sequence

    from constructs import Construct

    from infra.functions import PlatformFunction
    from infra.keys import Keys
    from infra.target import Target

__all__ = ["FileBucket"]

# A multipart upload that nobody finished costs and shows nowhere.
ABANDONED_AFTER = cdk.Duration.days(7)


class FileBucket(s3.Bucket):
    """
    A bucket that keeps its objects when the stack goes.

    With *locked_for*, nobody overwrites or deletes a version before that time is over, but who may
    bypass governance, which no role of ours may.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        keys: Keys,
        target: Target,
        locked_for: cdk.Duration | None = None,
        expiring: Sequence[s3.LifecycleRule] = (),
    ) -> None:
        lock = locked_for if target.locks_objects else None
        super().__init__(
            scope,
            construct_id,
            encryption=s3.BucketEncryption.KMS,
            encryption_key=keys.data,
            bucket_key_enabled=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=target.tls,
            versioned=True,
            object_lock_enabled=True if lock else None,
            object_lock_default_retention=s3.ObjectLockRetention.governance(lock) if lock else None,
            lifecycle_rules=[
                *expiring,
                s3.LifecycleRule(abort_incomplete_multipart_upload_after=ABANDONED_AFTER),
            ],
            removal_policy=target.removal_policy,
        )
        accept(
            self,
            {
                "AwsSolutions-S1": "Functions of this stack are its only readers and writers, and "
                "each logs what it did; a trail of data events tells of anybody else."
            },
        )

    def let(self, function: PlatformFunction, *operations: str, below: str) -> None:
        """Let *function* call *operations* (`GetObject`, `PutObject`) on keys that begin so."""
        objects = f"{self.bucket_arn}/{below}*"
        function.allow(*(f"s3:{operation}" for operation in operations), on=objects)
        accept(
            function.execution_role,
            {f"AwsSolutions-IAM5[Resource::{objects}]": "Its part of the bucket, by prefix."},
        )
        writes = "PutObject" in operations
        function.allow(
            "kms:Decrypt",
            *(["kms:GenerateDataKey"] if writes else []),
            on=self._key_arn,
            conditions={
                "StringEquals": {"kms:ViaService": f"s3.{self.stack.region}.amazonaws.com"}
            },
        )

    def let_list(self, function: PlatformFunction, *, below: str) -> None:
        """Let *function* list keys that begin so."""
        function.allow(
            "s3:ListBucket",
            on=self.bucket_arn,
            conditions={"StringLike": {"s3:prefix": f"{below}*"}},
        )

    @property
    def _key_arn(self) -> str:
        key = self.encryption_key
        if key is None:
            raise ValueError(f"{self.node.path} has no key of its own")
        return str(key.key_arn)
