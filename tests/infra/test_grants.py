"""Each function may do what it is for, on the partitions it works on, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.infra.templates import listed, referenced

if TYPE_CHECKING:
    from tests.infra.templates import Synthesised

EVERY_FUNCTION = {
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}
READS_STREAM = {
    "dynamodb:DescribeStream",
    "dynamodb:GetRecords",
    "dynamodb:GetShardIterator",
    "dynamodb:ListStreams",
}
READS_QUEUE = {
    "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:GetQueueUrl",
    "sqs:ReceiveMessage",
}
REPORTS_FAILURES = {"sqs:SendMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl"}

# What it takes to decide whose a sale is.
ASSIGNS: set[tuple[str, str, tuple[str, ...]]] = {
    ("BatchGetItem", "Loyalty", ("IDENTITY#*", "DRIVERS#*", "PORTRAIT#*", "PRESENCE#*", "BLOCK#*")),
    ("GetItem", "Loyalty", ("WEIGHTS",)),
    ("PutItem", "Loyalty", ("ASKED#*",)),
    ("DeleteItem", "Loyalty", ("ASKED#*",)),
    ("GetItem", "Sales", ("STATION#*",)),
    ("UpdateItem", "Sales", ("STATION#*",)),
    ("PutItem", "Sales", ("EVIDENCE#*",)),
}

# What it takes to write down what a person decided; a sale may be updated besides.
RULES: set[tuple[str, str, tuple[str, ...]]] = {
    ("PutItem", "Loyalty", ("RULINGS#*",)),
    ("ConditionCheckItem", "Loyalty", ("MEMBER#*",)),
    ("PutItem", "Loyalty", ("ASKED#*",)),
    ("DeleteItem", "Loyalty", ("ASKED#*",)),
}

# What each function may do to items: operation, table, partitions.
ITEMS: dict[str, set[tuple[str, str, tuple[str, ...]]]] = {
    "ingest": {
        ("PutItem", "Sales", ("STATION#*", "QUARANTINE#*")),
        ("Query", "Sales", ("STATION#*",)),
        ("UpdateItem", "Sales", ("STATION#*",)),
        ("GetItem", "Loyalty", ("ASKED#*",)),
        ("DeleteItem", "Loyalty", ("ASKED#*",)),
        ("GetItem", "Loyalty", ("STATIONS",)),
        ("UpdateItem", "Loyalty", ("STATIONS",)),
    },
    "matching": set(ASSIGNS),
    "accrual": {
        ("BatchGetItem", "Loyalty", ("MEMBER#*", "PROGRAM")),
        ("GetItem", "Loyalty", ("PROGRAM",)),
        ("GetItem", "Loyalty", ("MEMBER#*",)),
        ("PutItem", "Loyalty", ("MEMBER#*",)),
        ("DeleteItem", "Loyalty", ("MEMBER#*",)),
        ("ConditionCheckItem", "Loyalty", ("MEMBER#*",)),
    },
    "claims": ASSIGNS
    | RULES
    | {
        ("Query", "Sales", ("EVIDENCE#*",)),
        ("DeleteItem", "Sales", ("EVIDENCE#*",)),
    },
    "habits": {
        ("GetItem", "Sales", ("STATION#*",)),
        ("UpdateItem", "Sales", ("STATION#*",)),
        ("GetItem", "Loyalty", ("PORTRAIT#*",)),
        ("UpdateItem", "Loyalty", ("PORTRAIT#*",)),
        ("ConditionCheckItem", "Loyalty", ("PORTRAIT#*",)),
        ("GetItem", "Loyalty", ("DRIVERS#*",)),
        ("PutItem", "Loyalty", ("DRIVERS#*",)),
        ("GetItem", "Loyalty", ("RULINGS#*",)),
    },
    "due": {
        ("GetItem", "Loyalty", ("PROGRAM",)),
        ("Query", "Loyalty/index/due", ("*",)),
    },
    "expiry": {
        ("GetItem", "Loyalty", ("PROGRAM",)),
        ("BatchGetItem", "Loyalty", ("MEMBER#*",)),
        ("GetItem", "Loyalty", ("MEMBER#*",)),
        ("PutItem", "Loyalty", ("MEMBER#*",)),
    },
    "reminders": {
        ("GetItem", "Loyalty", ("PROGRAM",)),
        ("BatchGetItem", "Loyalty", ("MEMBER#*",)),
        ("PutItem", "Loyalty", ("MEMBER#*",)),
    },
    "relay": set(),
    "members": {
        ("GetItem", "Loyalty", ("MEMBER#*", "IDENTITY#*", "PROGRAM")),
        ("Query", "Loyalty", ("MEMBER#*",)),
        ("BatchGetItem", "Loyalty", ("MEMBER#*",)),
        ("Query", "Loyalty", ("BOOKS",)),
        ("UpdateItem", "Loyalty", ("PORTRAIT#*", "BLOCK#*")),
        ("ConditionCheckItem", "Loyalty", ("MEMBER#*",)),
        ("ConditionCheckItem", "Loyalty", ("IDENTITY#*",)),
        ("PutItem", "Loyalty", ("MEMBER#*", "IDENTITY#*")),
        ("UpdateItem", "Loyalty", ("MEMBER#*",)),
        ("DeleteItem", "Loyalty", ("IDENTITY#*",)),
        ("BatchGetItem", "Sales", ("STATION#*",)),
        ("Query", "Sales", ("STATION#*",)),
        ("GetItem", "Loyalty", ("PORTRAIT#*",)),
        ("GetItem", "Loyalty", ("STATIONS",)),
        ("GetItem", "Loyalty", ("PRESENCE#*",)),
        ("PutItem", "Loyalty", ("PRESENCE#*",)),
        ("Query", "Loyalty", ("ASKED#*",)),
        ("PutItem", "Loyalty", ("ASKED#*",)),
        ("UpdateItem", "Loyalty", ("ASKED#*",)),
        ("GetItem", "Requests", ("*",)),
        ("PutItem", "Requests", ("*",)),
        ("UpdateItem", "Requests", ("*",)),
        ("DeleteItem", "Requests", ("*",)),
    },
    "operator": {
        ("GetItem", "Loyalty", ("STATIONS", "PROGRAM", "WEIGHTS")),
        ("Query", "Loyalty", ("STATIONS", "PROGRAM", "WEIGHTS")),
        ("PutItem", "Loyalty", ("STATIONS", "PROGRAM", "WEIGHTS")),
        ("UpdateItem", "Loyalty", ("STATIONS", "PROGRAM")),
        ("GetItem", "Sales", ("STATION#*",)),
        ("UpdateItem", "Sales", ("STATION#*",)),
        ("Query", "Sales", ("STATION#*",)),
        (
            "Query",
            "Sales/index/review",
            ("held", "pending", "unmatched", "quarantined", "tellings"),
        ),
        ("GetItem", "Loyalty", ("ASKED#*",)),
        ("DeleteItem", "Loyalty", ("ASKED#*",)),
        ("GetItem", "Requests", ("*",)),
        ("PutItem", "Requests", ("*",)),
        ("UpdateItem", "Requests", ("*",)),
        ("DeleteItem", "Requests", ("*",)),
    },
    "erasure": {
        ("GetItem", "Loyalty", ("MEMBER#*", "IDENTITY#*")),
        ("BatchGetItem", "Loyalty", ("MEMBER#*",)),
        ("DeleteItem", "Loyalty", ("MEMBER#*",)),
        ("GetItem", "Loyalty", ("PROGRAM",)),
        ("PutItem", "Loyalty", ("MEMBER#*", "IDENTITY#*")),
        ("DeleteItem", "Loyalty", ("IDENTITY#*",)),
        ("Query", "Loyalty", ("MEMBER#*",)),
        ("UpdateItem", "Loyalty", ("MEMBER#*",)),
        ("PutItem", "Loyalty", ("PORTRAIT#*",)),
        ("UpdateItem", "Loyalty", ("PORTRAIT#*", "BLOCK#*")),
        ("Query", "Loyalty", ("ASKED#*",)),
        ("DeleteItem", "Loyalty", ("ASKED#*",)),
        ("DeleteItem", "Loyalty", ("PRESENCE#*",)),
        ("UpdateItem", "Loyalty", ("DRIVERS#*",)),
        ("GetItem", "Sales", ("STATION#*",)),
        ("BatchGetItem", "Sales", ("STATION#*",)),
        ("UpdateItem", "Sales", ("STATION#*",)),
        ("Query", "Sales", ("EVIDENCE#*",)),
        ("Query", "Sales/index/review", ("tellings",)),
        ("DeleteItem", "Sales", ("EVIDENCE#*",)),
    },
    "rekeying": {
        ("GetItem", "Loyalty", ("REKEYING",)),
        ("PutItem", "Loyalty", ("REKEYING",)),
        ("Query", "Loyalty", ("REKEYING",)),
        ("GetItem", "Loyalty", ("IDENTITY#*", "MEMBER#*", "MERGES#*")),
        ("BatchGetItem", "Loyalty", ("MEMBER#*", "PORTRAIT#*")),
        ("PutItem", "Loyalty", ("IDENTITY#*", "MEMBER#*")),
        ("UpdateItem", "Loyalty", ("PORTRAIT#*", "BLOCK#*", "MERGES#*")),
        ("DeleteItem", "Loyalty", ("IDENTITY#*", "BLOCK#*")),
        ("GetItem", "Loyalty", ("DRIVERS#*",)),
        ("PutItem", "Loyalty", ("DRIVERS#*",)),
        ("DeleteItem", "Loyalty", ("DRIVERS#*",)),
        ("ConditionCheckItem", "Loyalty", ("PORTRAIT#*",)),
        ("GetItem", "Sales", ("STATION#*", "EVIDENCE#*")),
        ("UpdateItem", "Sales", ("STATION#*",)),
        ("PutItem", "Sales", ("EVIDENCE#*",)),
        ("DeleteItem", "Sales", ("EVIDENCE#*",)),
    },
    "merging": {
        ("GetItem", "Loyalty", ("MEMBER#*", "IDENTITY#*", "PROGRAM")),
        ("BatchGetItem", "Loyalty", ("MEMBER#*",)),
        ("Query", "Loyalty", ("MEMBER#*", "MERGES#*")),
        ("PutItem", "Loyalty", ("MEMBER#*", "MERGES#*", "IDENTITY#*")),
        ("DeleteItem", "Loyalty", ("IDENTITY#*",)),
        ("UpdateItem", "Loyalty", ("MEMBER#*", "PORTRAIT#*")),
        ("GetItem", "Requests", ("*",)),
        ("PutItem", "Requests", ("*",)),
        ("UpdateItem", "Requests", ("*",)),
        ("DeleteItem", "Requests", ("*",)),
    },
    "rulings": RULES
    | {
        ("GetItem", "Sales", ("STATION#*",)),
        ("UpdateItem", "Sales", ("STATION#*",)),
        ("Query", "Loyalty", ("RULINGS#*",)),
        ("GetItem", "Requests", ("*",)),
        ("PutItem", "Requests", ("*",)),
        ("UpdateItem", "Requests", ("*",)),
        ("DeleteItem", "Requests", ("*",)),
    },
    "corrections": {
        ("GetItem", "Loyalty", ("MEMBER#*", "PROGRAM", "BUDGETS")),
        ("PutItem", "Loyalty", ("BUDGETS",)),
        ("Query", "Loyalty", ("BUDGETS",)),
        ("BatchGetItem", "Loyalty", ("MEMBER#*", "ADJUSTMENTS")),
        ("PutItem", "Loyalty", ("MEMBER#*", "ADJUSTMENTS")),
        ("DeleteItem", "Loyalty", ("MEMBER#*", "ADJUSTMENTS")),
        ("ConditionCheckItem", "Loyalty", ("MEMBER#*",)),
        ("Query", "Loyalty", ("ADJUSTMENTS",)),
        ("Query", "Loyalty", ("RULINGS#*",)),
        ("GetItem", "Sales", ("STATION#*",)),
        ("GetItem", "Requests", ("*",)),
        ("PutItem", "Requests", ("*",)),
        ("UpdateItem", "Requests", ("*",)),
        ("DeleteItem", "Requests", ("*",)),
    },
    "redemption": {
        ("GetItem", "Loyalty", ("MEMBER#*", "PROGRAM")),
        ("ConditionCheckItem", "Loyalty", ("MEMBER#*",)),
        ("BatchGetItem", "Loyalty", ("MEMBER#*",)),
        ("Query", "Loyalty", ("MEMBER#*",)),
        ("PutItem", "Loyalty", ("MEMBER#*",)),
        ("DeleteItem", "Loyalty", ("MEMBER#*",)),
        ("GetItem", "Requests", ("*",)),
        ("PutItem", "Requests", ("*",)),
        ("UpdateItem", "Requests", ("*",)),
        ("DeleteItem", "Requests", ("*",)),
    },
    "reconciliation": {
        ("Query", "Sales", ("STATION#*",)),
        ("Query", "Loyalty", ("STATIONS",)),
        ("BatchGetItem", "Loyalty", ("MEMBER#*",)),
        ("PutItem", "Loyalty", ("CASES#*",)),
        ("DeleteItem", "Loyalty", ("CASES#*",)),
    },
    "retention": {
        ("Query", "Sales/index/review", ("pending", "unmatched", "settled")),
        ("UpdateItem", "Sales", ("STATION#*",)),
    },
    "archive": set(),
    "closing": {
        ("Query", "Loyalty", ("BOOKS", "MEMBER#*")),
        ("BatchGetItem", "Loyalty", ("MEMBER#*",)),
        ("PutItem", "Loyalty", ("BOOKS",)),
    },
    "verification": {
        ("Query", "Loyalty", ("BOOKS", "MEMBER#*")),
        ("PutItem", "Loyalty", ("VERIFICATIONS",)),
    },
    "learning": {
        ("Query", "Sales", ("STATION#*",)),
        (
            "BatchGetItem",
            "Loyalty",
            ("IDENTITY#*", "DRIVERS#*", "PORTRAIT#*", "PRESENCE#*", "BLOCK#*"),
        ),
        ("Query", "Loyalty", ("STATIONS", "VERIFICATIONS", "WEIGHTS")),
        ("GetItem", "Loyalty", ("WEIGHTS",)),
        ("PutItem", "Loyalty", ("WEIGHTS",)),
    },
    "openapi": set(),
}

# Who may read a whole table, which no condition can limit.
SCANS = {"verification": {"Loyalty"}, "rekeying": {"Loyalty", "Sales"}}

# What each may do to objects: operation, bucket, prefix.
OBJECTS: dict[str, set[tuple[str, str, str]]] = {
    "archive": {("PutObject", "BooksWorkings", "arrivals/*")},
    "closing": {
        ("GetObject", "BooksWorkings", "arrivals/*"),
        ("PutObject", "BooksWorkings", "arrivals/*"),
        ("GetObject", "BooksClosed", "books/*"),
        ("PutObject", "BooksClosed", "books/*"),
    },
    "verification": {
        ("GetObject", "BooksClosed", "books/*"),
        ("GetObject", "BooksWorkings", "verifications/*"),
        ("PutObject", "BooksWorkings", "verifications/*"),
    },
    "learning": {
        ("GetObject", "BooksWorkings", "learnings/*"),
        ("PutObject", "BooksWorkings", "learnings/*"),
    },
    "members": {("GetObject", "BooksClosed", "books/*")},
}
LISTS = {
    "closing": {("BooksWorkings", "arrivals/*")},
    "verification": {("BooksWorkings", "verifications/*")},
}

# What else it may do, apart from keys.
OTHERS: dict[str, set[str]] = {
    "ingest": READS_QUEUE | {"secretsmanager:GetSecretValue", "iot:Publish"},
    "matching": READS_STREAM | REPORTS_FAILURES | {"secretsmanager:GetSecretValue"},
    "accrual": READS_STREAM | REPORTS_FAILURES,
    "claims": READS_QUEUE | {"secretsmanager:GetSecretValue"},
    "habits": READS_QUEUE,
    "due": REPORTS_FAILURES,
    "expiry": READS_QUEUE,
    "reminders": READS_QUEUE,
    "relay": READS_STREAM | REPORTS_FAILURES | {"events:PutEvents"},
    "members": {"secretsmanager:GetSecretValue"},
    "archive": READS_STREAM | REPORTS_FAILURES,
    "closing": REPORTS_FAILURES,
    "verification": READS_QUEUE | REPORTS_FAILURES,
    "operator": {
        "iot:AttachPolicy",
        "iot:AttachThingPrincipal",
        "iot:CreateCertificateFromCsr",
        "iot:CreateKeysAndCertificate",
        "iot:CreateThing",
        "iot:ListThingPrincipals",
        "lambda:InvokeFunction",
    },
    "erasure": REPORTS_FAILURES
    | {
        "secretsmanager:GetSecretValue",
        "lambda:InvokeFunction",
        "cognito-idp:ListUsers",
        "cognito-idp:AdminListGroupsForUser",
        "cognito-idp:AdminRemoveUserFromGroup",
        "cognito-idp:AdminDeleteUser",
    },
    "rekeying": REPORTS_FAILURES | {"secretsmanager:GetSecretValue", "lambda:InvokeFunction"},
    "rulings": set(),
    "merging": set(),
    "corrections": set(),
    "redemption": set(),
    "reconciliation": REPORTS_FAILURES | {"lambda:InvokeFunction"},
    "retention": REPORTS_FAILURES,
    "learning": READS_QUEUE | REPORTS_FAILURES | {"secretsmanager:GetSecretValue"},
    "openapi": set(),
}

# What it may do with the key that seals personal values.
SEALING: dict[str, set[str]] = {
    "ingest": {"kms:Encrypt"},
    "matching": {"kms:Decrypt"},
    "claims": {"kms:Decrypt"},
    "members": {"kms:Encrypt", "kms:Decrypt"},
    "operator": {"kms:Decrypt"},
    "learning": {"kms:Decrypt"},
    "erasure": {"kms:Decrypt"},
    "merging": {"kms:Encrypt", "kms:Decrypt"},
    "rekeying": {"kms:Encrypt", "kms:Decrypt"},
}
# A sale's is only opened, a member's is sealed again: it belongs to another item by then.
SEALED_PARTS = {
    ("kms:Decrypt", "sale_id"),
    ("kms:Decrypt", "member_id"),
    ("kms:Encrypt", "member_id"),
}

ITEM_OPERATION = "dynamodb:"


def is_about_items(statement: dict[str, Any]) -> bool:
    return all(
        action.startswith(ITEM_OPERATION) and action not in READS_STREAM
        for action in listed(statement["Action"])
    )


def is_a_scan(statement: dict[str, Any]) -> bool:
    return "dynamodb:Scan" in listed(statement["Action"])


def is_about_objects(statement: dict[str, Any]) -> bool:
    return all(action.startswith("s3:") for action in listed(statement["Action"]))


def bucket_in(resource: Any) -> str:
    """Return `BooksClosed`, say, for the ARN of a bucket or of objects in it."""
    (logical_id,) = referenced(resource)
    (name,) = (name for name in ("BooksClosed", "BooksWorkings") if logical_id.startswith(name))
    return name


def table_in(resource: Any) -> str:
    """Return `Sales`, or `Sales/index/review`, for a table's ARN."""
    (logical_id,) = referenced(resource)
    for table in ("Sales", "Loyalty", "Requests"):
        if logical_id.startswith(f"Tables{table}"):
            suffix = resource["Fn::Join"][1][-1] if "Fn::Join" in resource else ""
            return f"{table}{suffix}"
    raise AssertionError(resource)


def test_every_function_is_accounted_for(aws: Synthesised) -> None:
    assert aws.functions().keys() == ITEMS.keys() == OTHERS.keys()


@pytest.mark.parametrize("function", sorted(ITEMS))
def test_a_function_touches_only_its_own_partitions(aws: Synthesised, function: str) -> None:
    granted = {
        (
            action.removeprefix(ITEM_OPERATION),
            table_in(resource),
            tuple(
                listed(statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"])
            ),
        )
        for statement in aws.statements_of(function)
        if is_about_items(statement) and not is_a_scan(statement)
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    }

    assert granted == ITEMS[function]


@pytest.mark.parametrize("function", sorted(ITEMS))
def test_nobody_reads_a_whole_table_but_who_verifies_it_or_hashes_it_anew(
    aws: Synthesised, function: str
) -> None:
    scanned = {
        table_in(resource)
        for statement in aws.statements_of(function)
        if is_a_scan(statement)
        for resource in listed(statement["Resource"])
    }

    assert scanned == SCANS.get(function, set())


@pytest.mark.parametrize("function", sorted(ITEMS))
def test_a_function_touches_only_its_own_part_of_a_bucket(aws: Synthesised, function: str) -> None:
    statements = [each for each in aws.statements_of(function) if is_about_objects(each)]
    granted = {
        (action.removeprefix("s3:"), bucket_in(resource), resource["Fn::Join"][1][-1].lstrip("/"))
        for statement in statements
        if statement["Action"] != "s3:ListBucket"
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    }
    listings = {
        (bucket_in(statement["Resource"]), statement["Condition"]["StringLike"]["s3:prefix"])
        for statement in statements
        if statement["Action"] == "s3:ListBucket"
    }

    assert granted == OBJECTS.get(function, set())
    assert listings == LISTS.get(function, set())


@pytest.mark.parametrize("function", sorted(OTHERS))
def test_a_function_may_do_nothing_else(aws: Synthesised, function: str) -> None:
    granted = {
        action
        for statement in aws.statements_of(function)
        if not is_about_items(statement) and not is_about_objects(statement)
        for action in listed(statement["Action"])
        if not action.startswith("kms:")
    }

    assert granted == EVERY_FUNCTION | OTHERS[function]


@pytest.mark.parametrize("function", sorted(ITEMS))
def test_only_those_entitled_open_a_sealed_value(aws: Synthesised, function: str) -> None:
    granted = {
        action
        for statement in aws.statements_of(function)
        if any(key.startswith("KeysSeal") for key in referenced(statement["Resource"]))
        for action in listed(statement["Action"])
    }

    assert granted == SEALING.get(function, set())


@pytest.mark.parametrize("function", sorted(ITEMS))
def test_no_function_may_do_everything_of_a_service(aws: Synthesised, function: str) -> None:
    families = {
        action
        for statement in aws.statements_of(function)
        for action in listed(statement["Action"])
        if "*" in action
    }

    assert not families


@pytest.mark.parametrize("function", sorted(ITEMS))
def test_a_resource_is_named_wherever_it_can_be(aws: Synthesised, function: str) -> None:
    on_everything = {
        action
        for statement in aws.statements_of(function)
        if statement["Resource"] == "*"
        for action in listed(statement["Action"])
    }

    assert on_everything <= {
        # None of these can be limited to a resource.
        "dynamodb:ListStreams",
        "iot:AttachThingPrincipal",
        "iot:CreateCertificateFromCsr",
        "iot:CreateKeysAndCertificate",
        "xray:PutTelemetryRecords",
        "xray:PutTraceSegments",
    }


def test_no_role_carries_a_managed_policy(aws: Synthesised) -> None:
    for role in aws.of_type("AWS::IAM::Role").values():
        assert "ManagedPolicyArns" not in role["Properties"]


def test_a_role_of_a_service_serves_this_account_only(aws: Synthesised) -> None:
    roles = ("IntakeRuleRole", "JobsSchedulerRole", "ExpirySchedulerRole", "BooksSchedulerRole")
    for logical_id in roles:
        (statement,) = aws.one("AWS::IAM::Role", logical_id)["Properties"][
            "AssumeRolePolicyDocument"
        ]["Statement"]
        assert statement["Condition"] == {
            "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
        }


@pytest.mark.parametrize("function", sorted(ITEMS))
def test_the_data_key_is_used_through_the_services_it_protects_only(
    aws: Synthesised, function: str
) -> None:
    conditions = [
        statement.get("Condition", {})
        for statement in aws.statements_of(function)
        if any(key.startswith("KeysData") for key in referenced(statement["Resource"]))
    ]

    assert all("kms:ViaService" in each.get("StringEquals", {}) for each in conditions)


def test_who_hashes_anew_opens_sales_and_members_and_seals_members_only(aws: Synthesised) -> None:
    granted = {
        (action, name.removeprefix("kms:EncryptionContext:"))
        for statement in aws.statements_of("rekeying")
        if any(key.startswith("KeysSeal") for key in referenced(statement["Resource"]))
        for action in listed(statement["Action"])
        for name in statement["Condition"]["StringLike"]
    }

    assert granted == SEALED_PARTS


@pytest.mark.parametrize("function", sorted(SEALING.keys() - {"rekeying"}))
def test_what_belongs_to_a_sale_and_what_to_a_member_are_sealed_apart(
    aws: Synthesised, function: str
) -> None:
    (condition,) = (
        statement["Condition"]
        for statement in aws.statements_of(function)
        if any(key.startswith("KeysSeal") for key in referenced(statement["Resource"]))
    )

    belongs_to = "member_id" if function in {"members", "merging", "erasure"} else "sale_id"
    assert condition == {"StringLike": {f"kms:EncryptionContext:{belongs_to}": "*"}}
