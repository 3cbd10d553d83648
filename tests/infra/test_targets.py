"""What the two targets have in common is everything, but for a list that is short."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_lambda as lambda_

from infra.target import AWS, target_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.infra.templates import Synthesised

# Resources only AWS has: what refuses connections without TLS, and the archive.
ONLY_IN_AWS = {
    "AWS::Events::Archive",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
}
# Properties that differ; a path ends where the difference begins.
DIFFERENT = (
    r"AWS::Lambda::Function\.(Runtime|Architectures)",
    r"AWS::Lambda::Function\.Layers",
    r"AWS::Lambda::Function\.Environment\.Variables\.RING_REMEMBERED_SECONDS",
    r"AWS::Lambda::LayerVersion\.(CompatibleRuntimes|CompatibleArchitectures|Content)",
    r"AWS::DynamoDB::Table\.DeletionProtectionEnabled",
    r"AWS::S3::Bucket\.(ObjectLockConfiguration|ObjectLockEnabled)",
    r"AWS::Cognito::UserPool\.DeletionProtection",
)


def differences(here: Any, there: Any, path: str) -> Iterator[str]:
    if isinstance(here, dict) and isinstance(there, dict):
        for key in here.keys() | there.keys():
            yield from differences(here.get(key), there.get(key), f"{path}.{key}")
    elif here != there:
        yield path


def by_path(synthesised: Synthesised) -> dict[str, dict[str, Any]]:
    """Return the resources by construct path, for a layer's id carries its content's hash."""
    return {
        resource["Metadata"]["aws:cdk:path"]: resource
        for resource in synthesised.resources.values()
    }


def test_only_tls_and_the_archive_are_missing_locally(aws: Synthesised, local: Synthesised) -> None:
    missing = by_path(aws).keys() - by_path(local).keys()

    assert {by_path(aws)[path]["Type"] for path in missing} <= ONLY_IN_AWS
    assert any(by_path(aws)[path]["Type"] == "AWS::Events::Archive" for path in missing)


def test_nothing_exists_locally_that_does_not_exist_in_aws(
    aws: Synthesised, local: Synthesised
) -> None:
    assert by_path(local).keys() <= by_path(aws).keys()


def test_the_rest_differs_in_runtime_platform_and_protection_only(
    aws: Synthesised, local: Synthesised
) -> None:
    there = by_path(local)
    found = {
        difference
        for path, resource in by_path(aws).items()
        if path in there and resource["Type"] not in ONLY_IN_AWS
        for difference in differences(
            resource["Properties"], there[path]["Properties"], resource["Type"]
        )
    }

    unexpected = {
        difference
        for difference in found
        if not any(re.match(pattern, difference) for pattern in DIFFERENT)
    }
    assert unexpected == set()


def test_aws_gets_the_newest_runtime_on_arm(aws: Synthesised) -> None:
    # The CDK declares runtimes that AWS supports, in order.
    newest = max(
        int(name.rsplit("_", 1)[1]) for name in dir(lambda_.Runtime) if "PYTHON_3_" in name
    )

    for function in aws.functions():
        assert aws.properties_of(function)["Runtime"] == f"python3.{newest}"
        assert aws.properties_of(function)["Architectures"] == ["arm64"]


def test_nothing_of_this_machine_is_in_the_aws_template(aws: Synthesised) -> None:
    text = json.dumps(aws.template)

    for local_only in ("localhost", "127.0.0.1", "000000000000", "x86_64", "AWS_ENDPOINT", "test"):
        assert local_only not in text
    if (sys.version_info.major, sys.version_info.minor) != tuple(map(int, AWS.python.split("."))):
        assert f"python{sys.version_info.major}.{sys.version_info.minor}" not in text


def test_the_aws_template_is_published_with_the_roles_of_the_bootstrap(aws: Synthesised) -> None:
    manifest = json.loads((aws.assembly / "manifest.json").read_text())
    stack = manifest["artifacts"]["Forecourt"]["properties"]

    assert "deploy-role" in stack["assumeRoleArn"]
    assert "BootstrapVersion" in aws.template["Parameters"]


def test_a_misspelt_target_is_refused() -> None:
    with pytest.raises(ValueError, match="'locla', but must be one of aws, local"):
        target_of(cdk.App(context={"target": "locla"}))


def test_the_outputs_are_what_the_tools_read(aws: Synthesised) -> None:
    assert aws.template["Outputs"].keys() == {
        "AlarmTopicArn",
        "ApiUrl",
        "BooksBucketName",
        "ClosingFunctionName",
        "EventBusName",
        "IdentitySecretArn",
        "IngestQueueUrl",
        "LoyaltyTableName",
        "RekeyingFunctionName",
        "SalesTableName",
        "StationPolicyName",
        "UserPoolClientId",
        "UserPoolId",
        "VerificationFunctionName",
        "WorkingsBucketName",
    }
