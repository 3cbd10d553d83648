"""How every Lambda function of the platform is packaged and run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.findings import accept
from infra.vendor import PARQUET_REQUIREMENTS, REQUIREMENTS, vendor_layer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.target import Target

__all__ = ["METRICS_NAMESPACE", "PlatformFunction", "Runtime"]

ROOT = Path(__file__).parents[1]
METRICS_NAMESPACE = "Forecourt"

TIMEOUT = cdk.Duration.seconds(10)
LOG_RETENTION = logs.RetentionDays.THREE_MONTHS


class Runtime(Construct):
    """What all functions share: interpreter, architecture and two layers; one has a third."""

    def __init__(self, scope: Construct, construct_id: str, *, target: Target) -> None:
        super().__init__(scope, construct_id)
        self.target = target
        self.layers = [
            # The `forecourt` package, mounted at /opt/python.
            self._layer("SharedLayer", ROOT / "layers" / "forecourt"),
            self._vendored("VendorLayer", REQUIREMENTS),
        ]
        self.parquet_layer = self._vendored("ParquetLayer", PARQUET_REQUIREMENTS)

    def _vendored(self, construct_id: str, requirements: Path) -> lambda_.LayerVersion:
        target = self.target
        archive = vendor_layer(
            requirements, python=target.python, wheel_platforms=target.wheel_platforms
        )
        return self._layer(construct_id, archive)

    def _layer(self, construct_id: str, folder: Path) -> lambda_.LayerVersion:
        return lambda_.LayerVersion(
            self,
            construct_id,
            code=lambda_.Code.from_asset(str(folder), exclude=["**/__pycache__"]),
            compatible_runtimes=[self.target.runtime],
            compatible_architectures=[self.target.architecture],
        )


class PlatformFunction(lambda_.Function):
    """
    The function in `functions/<name>/`.

    The asset keeps the `functions.<name>` path, so that a module is imported under one name in
    Lambda and in the tests.  It holds no other function, so that a change to one redeploys one.
    Its role may write its own log and its own traces; every further grant is made by the
    construct that needs it.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        runtime: Runtime,
        environment: Mapping[str, str],
        memory_mb: int = 512,
        timeout: cdk.Duration = TIMEOUT,
        description: str,
    ) -> None:
        if not (ROOT / "functions" / name / "handler.py").exists():
            raise FileNotFoundError(f"functions/{name}/handler.py")
        log_group = logs.LogGroup(
            scope,
            f"{construct_id}Logs",
            retention=LOG_RETENTION,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        role = iam.Role(
            scope,
            f"{construct_id}Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=f"Forecourt {name}: what the function may do",
        )
        super().__init__(
            scope,
            construct_id,
            description=description,
            runtime=runtime.target.runtime,
            architecture=runtime.target.architecture,
            handler=f"functions.{name}.handler.handle",
            code=lambda_.Code.from_asset(
                str(ROOT),
                ignore_mode=cdk.IgnoreMode.GIT,
                # The leading slash matters: without it the asset is silently empty.
                exclude=[
                    "/*",
                    "!/functions",
                    "/functions/*",
                    "!/functions/__init__.py",
                    f"!/functions/{name}",
                    "__pycache__",
                ],
            ),
            role=role,
            layers=runtime.layers,
            memory_size=memory_mb,
            timeout=timeout,
            tracing=lambda_.Tracing.ACTIVE,
            logging_format=lambda_.LoggingFormat.JSON,
            log_group=log_group,
            environment={
                "POWERTOOLS_SERVICE_NAME": name,
                "POWERTOOLS_METRICS_NAMESPACE": METRICS_NAMESPACE,
                **environment,
            },
        )
        log_group.grant_write(role)
        self.short_name = name
        self.execution_role = role
        self.reads_a_stream = False
        accept(
            role,
            {
                "AwsSolutions-IAM5[Resource::*]": "xray:PutTraceSegments, xray:PutTelemetryRecords "
                "and dynamodb:ListStreams cannot be limited to a resource."
            },
        )

    @property
    def resource(self) -> lambda_.CfnFunction:
        """Return the function as CloudFormation knows it, for what CDK has no name for."""
        resource = self.node.default_child
        if not isinstance(resource, lambda_.CfnFunction):
            raise TypeError(resource)
        return resource

    def let_feed_itself(self) -> None:
        """
        Let a step put the next one on the queue it came from.

        Lambda takes that for a runaway loop and stops it after some sixteen rounds, unless it is
        told that the loop has an end.
        """
        self.resource.recursive_loop = "Allow"

    def allow(
        self,
        *actions: str,
        on: str,
        conditions: Mapping[str, Mapping[str, object]] | None = None,
    ) -> None:
        """Let the function call *actions* on one resource."""
        self.add_to_role_policy(
            iam.PolicyStatement(
                actions=list(actions),
                resources=[on],
                conditions={key: dict(value) for key, value in (conditions or {}).items()} or None,
            )
        )
