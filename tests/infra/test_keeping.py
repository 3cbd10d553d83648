"""What must not be lost survives the stack, a mistake and a thief."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.infra.templates import Synthesised

KEPT_TYPES = (
    "AWS::Cognito::UserPool",
    "AWS::KMS::Key",
    "AWS::S3::Bucket",
    "AWS::SecretsManager::Secret",
    "AWS::SQS::Queue",
)
OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
LEDGERS = ("TablesSales", "TablesLoyalty")


@pytest.mark.parametrize("table", LEDGERS)
def test_a_ledger_survives_a_deletion_of_the_stack(aws: Synthesised, table: str) -> None:
    resource = aws.one("AWS::DynamoDB::Table", table)

    assert resource["DeletionPolicy"] == "Retain"
    assert resource["UpdateReplacePolicy"] == "Retain"
    assert resource["Properties"]["DeletionProtectionEnabled"] is True


@pytest.mark.parametrize("table", LEDGERS)
def test_a_ledger_can_be_taken_back_to_any_second(aws: Synthesised, table: str) -> None:
    properties = aws.one("AWS::DynamoDB::Table", table)["Properties"]

    assert properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True


@pytest.mark.parametrize("kind", KEPT_TYPES)
def test_keys_secret_users_and_messages_survive_too(aws: Synthesised, kind: str) -> None:
    resources = aws.of_type(kind)

    assert resources
    assert {resource["DeletionPolicy"] for resource in resources.values()} == {"Retain"}


def test_a_closed_day_is_locked_for_ten_years(aws: Synthesised) -> None:
    properties = aws.one("AWS::S3::Bucket", "BooksClosed")["Properties"]

    assert properties["ObjectLockEnabled"] is True
    retention = properties["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]
    assert retention == {"Mode": "GOVERNANCE", "Days": 3653}
    assert not [
        rule for rule in properties["LifecycleConfiguration"]["Rules"] if "ExpirationInDays" in rule
    ]


def test_no_role_may_lift_the_lock_of_a_closed_day(aws: Synthesised) -> None:
    assert "BypassGovernance" not in str(aws.of_type("AWS::IAM::Policy"))


def test_every_bucket_is_private_versioned_and_encrypted_with_our_key(aws: Synthesised) -> None:
    (key,) = (name for name in aws.of_type("AWS::KMS::Key") if name.startswith("KeysData"))
    buckets = aws.of_type("AWS::S3::Bucket").values()

    for properties in (bucket["Properties"] for bucket in buckets):
        (rule,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        encryption = rule["ServerSideEncryptionByDefault"]
        assert encryption["KMSMasterKeyID"] == {"Fn::GetAtt": [key, "Arn"]}
        assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
        assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}


def test_users_cannot_be_deleted_by_accident(aws: Synthesised) -> None:
    (pool,) = aws.of_type("AWS::Cognito::UserPool").values()

    assert pool["Properties"]["DeletionProtection"] == "ACTIVE"


def test_every_table_and_queue_is_encrypted_with_our_key(aws: Synthesised) -> None:
    (key,) = (name for name in aws.of_type("AWS::KMS::Key") if name.startswith("KeysData"))
    arn = {"Fn::GetAtt": [key, "Arn"]}

    for table in aws.of_type("AWS::DynamoDB::Table").values():
        assert table["Properties"]["SSESpecification"]["KMSMasterKeyId"] == arn
    for queue in aws.of_type("AWS::SQS::Queue").values():
        assert queue["Properties"]["KmsMasterKeyId"] == arn


def test_keys_are_rotated(aws: Synthesised) -> None:
    keys = aws.of_type("AWS::KMS::Key").values()

    assert all(key["Properties"]["EnableKeyRotation"] is True for key in keys)


def test_the_identity_secret_is_generated_and_stands_in_no_template(aws: Synthesised) -> None:
    (secret,) = aws.of_type("AWS::SecretsManager::Secret").values()

    assert secret["Properties"]["GenerateSecretString"]["PasswordLength"] >= 32
    assert "SecretString" not in secret["Properties"]


def test_every_queue_topic_and_bucket_refuses_unencrypted_connections(aws: Synthesised) -> None:
    refusals = [
        (statement["Resource"], statement["Action"])
        for kind in ("AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy", "AWS::S3::BucketPolicy")
        for policy in aws.of_type(kind).values()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Deny"
        and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    ]

    guarded = [
        logical_id
        for kind in ("AWS::SQS::Queue", "AWS::SNS::Topic", "AWS::S3::Bucket")
        for logical_id in aws.of_type(kind)
    ]
    assert len(refusals) == len(guarded)


def test_every_log_ends(aws: Synthesised) -> None:
    groups = aws.of_type("AWS::Logs::LogGroup").values()

    assert all(group["Properties"]["RetentionInDays"] > 0 for group in groups)


def test_events_can_be_replayed(aws: Synthesised) -> None:
    (archive,) = aws.of_type("AWS::Events::Archive").values()

    assert archive["Properties"]["EventPattern"] == {"source": ["forecourt"]}
    assert archive["Properties"]["RetentionDays"] >= 30


def test_what_operations_says_of_the_archive_is_so(aws: Synthesised) -> None:
    (archive,) = aws.of_type("AWS::Events::Archive").values()
    (row,) = (
        line
        for line in OPERATIONS.read_text("utf-8").splitlines()
        if line.startswith("| bus archive |")
    )

    assert row.endswith(f"| {archive['Properties']['RetentionDays']} days |")
