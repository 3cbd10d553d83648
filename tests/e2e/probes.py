"""
Calls that tell what a role may do and change nothing, made for real.

Writes carry a condition that never holds, or name something that does not exist: whoever may make
the call is refused for that reason, and whoever may not is refused access before.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from infra.local.ministack import ACCOUNT, REGION
from tests.e2e.traces import PREFIX, requests_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.local.stack import LocalStack

NOBODY = f"{PREFIX}nobody"
# How the services spell that the caller may not do it.
DENIED = {"AccessDenied", "AccessDeniedException", "ForbiddenException"}

PARTITIONS = {
    "loyalty": (
        "MEMBER#",
        "IDENTITY#",
        "PORTRAIT#",
        "BLOCK#",
        "PRESENCE#",
        "DRIVERS#",
        "ASKED#",
        "RULINGS#",
        "MERGES#",
        "STATIONS",
        "PROGRAM",
        "WEIGHTS",
        "CASES#",
        "ADJUSTMENTS",
        "BUDGETS",
        "BOOKS",
        "VERIFICATIONS",
        "REKEYING",
    ),
    "sales": ("STATION#", "EVIDENCE#", "QUARANTINE#"),
}
# An id in the template: the capability, the construct and a hash.
CAPABILITY = re.compile(r"^[A-Z][a-z]+")
HASH = re.compile(r"[0-9A-F]{8}$")
QUEUES = ("held", "pending", "unmatched", "quarantined", "tellings", "settled")
SALE_CONTEXT = {"sale_id": NOBODY}
MEMBER_CONTEXT = {"member_id": NOBODY, "item": "PROFILE"}


@dataclass(frozen=True, slots=True)
class Probe:
    """One call of a service."""

    service: str
    operation: str
    arguments: dict[str, Any] = field(default_factory=dict)


class Guise:
    """Clients that act as one caller after the other: to make them takes longer than to call."""

    def __init__(self, stack: LocalStack) -> None:
        self._session = boto3.Session(
            aws_access_key_id=NOBODY, aws_secret_access_key=NOBODY, region_name=REGION
        )
        self._endpoint_url = stack.endpoint_url
        self._clients: dict[str, Any] = {}

    def become(self, client: Any) -> None:
        """Act from now on with the rights of *client*."""
        rights = client._request_signer._credentials.get_frozen_credentials()
        shared = self._session.get_credentials()
        shared.access_key = rights.access_key
        shared.secret_key = rights.secret_key
        shared.token = rights.token

    def client(self, probe: Probe) -> Any:
        """Return the client for *probe*."""
        if probe.service not in self._clients:
            self._clients[probe.service] = self._session.client(
                probe.service, endpoint_url=self._endpoint_url
            )
        return self._clients[probe.service]


def passes(client: Any, probe: Probe) -> bool:
    """Return whether the caller may make the call, whatever becomes of it then."""
    try:
        getattr(client, probe.operation)(**probe.arguments)
    except ClientError as error:
        return error.response["Error"]["Code"] not in DENIED
    return True


def probes(stack: LocalStack, *, other_secret: str) -> dict[str, Probe]:
    """Return all calls by the names the tests know them by; *other_secret* is none of ours."""
    return {
        **dict(_tables(stack)),
        **dict(_keys(stack)),
        **dict(_secrets(stack, other_secret)),
        **dict(_bus(stack)),
        **dict(_stations(stack)),
        **dict(_queues(stack)),
        **dict(_buckets(stack)),
        **dict(_neighbours(stack)),
    }


def _tables(stack: LocalStack) -> Iterator[tuple[str, Probe]]:
    names = {
        "loyalty": stack.outputs["LoyaltyTableName"],
        "sales": stack.outputs["SalesTableName"],
        "requests": requests_table(stack),
    }
    for table, partitions in PARTITIONS.items():
        for partition in partitions:
            pk = partition + (NOBODY if partition.endswith("#") else "")
            key = {"pk": {"S": pk}, "sk": {"S": NOBODY}}
            for operation, probe in _items(names[table], key):
                yield f"{table} {partition} {operation}", probe
    for operation, probe in _items(names["requests"], {"id": {"S": NOBODY}}):
        yield f"requests {operation}", probe
    for queue in QUEUES:
        yield (
            f"sales queue {queue}",
            Probe(
                "dynamodb",
                "query",
                {
                    "TableName": names["sales"],
                    "IndexName": "review",
                    "KeyConditionExpression": "#queue = :queue",
                    "ExpressionAttributeNames": {"#queue": "queue"},
                    "ExpressionAttributeValues": {":queue": {"S": queue}},
                    "Limit": 1,
                },
            ),
        )
    yield (
        "loyalty days due",
        Probe(
            "dynamodb",
            "query",
            {
                "TableName": names["loyalty"],
                "IndexName": "due",
                "KeyConditionExpression": "due_on = :key",
                "ExpressionAttributeValues": {":key": {"S": NOBODY}},
                "Limit": 1,
            },
        ),
    )
    # A batch is allowed as a whole: one foreign key among its keys is one too many.
    for name, partition in (("member", f"MEMBER#{NOBODY}"), ("identity", f"IDENTITY#{NOBODY}")):
        yield (
            f"a batch of {name} and stations",
            Probe(
                "dynamodb",
                "batch_get_item",
                {
                    "RequestItems": {
                        names["loyalty"]: {
                            "Keys": [
                                {"pk": {"S": pk}, "sk": {"S": NOBODY}}
                                for pk in (partition, "STATIONS")
                            ]
                        }
                    }
                },
            ),
        )
    for table, name in names.items():
        named = {"TableName": name}
        yield f"{table} scan", Probe("dynamodb", "scan", {**named, "Limit": 1})
        yield f"{table} delete", Probe("dynamodb", "delete_table", named)
        yield f"{table} update", Probe("dynamodb", "update_table", named)


def _items(table: str, key: dict[str, dict[str, str]]) -> Iterator[tuple[str, Probe]]:
    """Yield what can be done to the items of a partition, such that nothing is done."""
    named = {"TableName": table}
    pk = next(iter(key))
    never = {"ConditionExpression": f"attribute_exists({pk})"}
    queried = {
        "KeyConditionExpression": f"{pk} = :{pk}",
        "ExpressionAttributeValues": {f":{pk}": key[pk]},
        "Limit": 1,
    }
    update = {"UpdateExpression": "REMOVE probed", **never}
    check = {"ConditionCheck": {**named, "Key": key, **never}}
    for operation, method, arguments in (
        ("GetItem", "get_item", {**named, "Key": key}),
        ("BatchGetItem", "batch_get_item", {"RequestItems": {table: {"Keys": [key]}}}),
        ("Query", "query", {**named, **queried}),
        ("PutItem", "put_item", {**named, "Item": key, **never}),
        ("UpdateItem", "update_item", {**named, "Key": key, **update}),
        ("DeleteItem", "delete_item", {**named, "Key": key, **never}),
        ("ConditionCheckItem", "transact_write_items", {"TransactItems": [check]}),
    ):
        yield operation, Probe("dynamodb", method, arguments)


def _keys(stack: LocalStack) -> Iterator[tuple[str, Probe]]:
    kms = stack.client("kms")
    seal = _environment(stack, "ingest")["SEAL_KEY_ID"]
    data = resources(stack, "AWS::KMS::Key")["KeysData"]
    for name, context in (("a sale's", SALE_CONTEXT), ("a member's", MEMBER_CONTEXT)):
        sealing = {"KeyId": seal, "EncryptionContext": context}
        sealed = kms.encrypt(**sealing, Plaintext=b"{}")["CiphertextBlob"]
        yield f"seal {name}", Probe("kms", "encrypt", {**sealing, "Plaintext": b"{}"})
        yield f"open {name}", Probe("kms", "decrypt", {**sealing, "CiphertextBlob": sealed})
    sealed = kms.encrypt(KeyId=data, Plaintext=b"{}")["CiphertextBlob"]
    yield "open with the data key", Probe("kms", "decrypt", {"CiphertextBlob": sealed})
    for name, key in (("seal", seal), ("data", data)):
        keyed = {"KeyId": key}
        yield f"{name} key policy", Probe("kms", "get_key_policy", keyed)
        yield f"{name} key grants", Probe("kms", "list_grants", keyed)


def _secrets(stack: LocalStack, other: str) -> Iterator[tuple[str, Probe]]:
    ours = _environment(stack, "ingest")["IDENTITY_SECRET_ID"]
    yield (
        "read the identity secret",
        Probe("secretsmanager", "get_secret_value", {"SecretId": ours}),
    )
    yield "read another secret", Probe("secretsmanager", "get_secret_value", {"SecretId": other})
    # Written with what it holds, so that even a grant too many would change nothing.
    value = stack.client("secretsmanager").get_secret_value(SecretId=ours)["SecretString"]
    yield (
        "write the identity secret",
        Probe("secretsmanager", "put_secret_value", {"SecretId": ours, "SecretString": value}),
    )


def _bus(stack: LocalStack) -> Iterator[tuple[str, Probe]]:
    bus = stack.outputs["EventBusName"]
    event = {"Source": NOBODY, "DetailType": "Nothing", "Detail": "{}"}
    for name, target in (("our", bus), ("the default", "default")):
        entries = [{**event, "EventBusName": target}]
        yield f"put events on {name} bus", Probe("events", "put_events", {"Entries": entries})
    rule = {"Name": NOBODY, "EventBusName": bus}
    yield "remove a rule", Probe("events", "delete_rule", rule)
    yield "list the rules", Probe("events", "list_rules", {"EventBusName": bus})


def _stations(stack: LocalStack) -> Iterator[tuple[str, Probe]]:
    for name, topic in (
        ("acknowledge", f"forecourt/{NOBODY}/down/acks"),
        ("publish to a station's other topics", f"forecourt/{NOBODY}/down/commands"),
        ("publish as a station", f"forecourt/{NOBODY}/up/sales"),
    ):
        yield name, Probe("iot-data", "publish", {"topic": topic, "qos": 1, "payload": b"{}"})
    nobodys = {"thingName": NOBODY}
    policy = stack.outputs["StationPolicyName"]
    arn = f"arn:aws:iot:{REGION}:{ACCOUNT}:cert/{'0' * 64}"
    for name, operation, arguments in (
        ("make a thing", "create_thing", nobodys),
        ("list a thing's certificates", "list_thing_principals", nobodys),
        ("describe a thing", "describe_thing", nobodys),
        ("remove a thing", "delete_thing", nobodys),
        ("make a certificate", "create_keys_and_certificate", {"setAsActive": False}),
        ("sign a certificate", "create_certificate_from_csr", {"certificateSigningRequest": "-"}),
        ("attach the policy", "attach_policy", {"policyName": policy, "target": arn}),
        ("detach the policy", "detach_policy", {"policyName": policy, "target": arn}),
        ("attach a certificate", "attach_thing_principal", {**nobodys, "principal": arn}),
        ("detach a certificate", "detach_thing_principal", {**nobodys, "principal": arn}),
        (
            "revoke a certificate",
            "update_certificate",
            {"certificateId": "0" * 64, "newStatus": "REVOKED"},
        ),
        ("remove a certificate", "delete_certificate", {"certificateId": "0" * 64}),
        ("write a policy", "create_policy_version", {"policyName": NOBODY, "policyDocument": "{}"}),
        ("write a topic rule", "delete_topic_rule", {"ruleName": "nobody"}),
    ):
        yield name, Probe("iot", operation, arguments)


def _queues(stack: LocalStack) -> Iterator[tuple[str, Probe]]:
    ingest = stack.outputs["IngestQueueUrl"]
    # An empty message is refused by the queue itself.
    yield (
        "send to the ingest queue",
        Probe("sqs", "send_message", {"QueueUrl": ingest, "MessageBody": ""}),
    )
    yield (
        "take from the ingest queue",
        Probe("sqs", "delete_message", {"QueueUrl": ingest, "ReceiptHandle": NOBODY}),
    )
    for name, url in other_queues(stack).items():
        yield f"leave in {name}", Probe("sqs", "send_message", {"QueueUrl": url, "MessageBody": ""})
        yield (
            f"take from {name}",
            Probe("sqs", "delete_message", {"QueueUrl": url, "ReceiptHandle": NOBODY}),
        )


def _buckets(stack: LocalStack) -> Iterator[tuple[str, Probe]]:
    """Yield what can be done to objects, such that nothing is done."""
    never = {"IfMatch": "0" * 32}
    for name, bucket, prefixes in (
        ("books", stack.outputs["BooksBucketName"], ("books/", "other/")),
        (
            "workings",
            stack.outputs["WorkingsBucketName"],
            ("arrivals/", "verifications/", "learnings/"),
        ),
    ):
        for prefix in prefixes:
            place = {"Bucket": bucket, "Key": f"{prefix}{NOBODY}"}
            listed = {"Bucket": bucket, "Prefix": prefix, "MaxKeys": 1}
            for operation, arguments in (
                ("get_object", place),
                ("put_object", {**place, **never}),
                ("delete_object", place),
                ("list_objects_v2", listed),
            ):
                yield f"{name} {prefix} {operation}", Probe("s3", operation, arguments)


def other_queues(stack: LocalStack) -> dict[str, str]:
    """Return the addresses of the queues of tasks and failures, by the ids of their constructs."""
    return {
        CAPABILITY.sub("", name): url
        for name, url in resources(stack, "AWS::SQS::Queue").items()
        if url != stack.outputs["IngestQueueUrl"]
    }


def resources(stack: LocalStack, kind: str) -> dict[str, str]:
    """Return the names of the stack's resources of a *kind* by their ids in the template."""
    cloudformation = stack.client("cloudformation")
    deployed = cloudformation.describe_stack_resources(StackName="Forecourt")["StackResources"]
    return {
        HASH.sub("", each["LogicalResourceId"]): each["PhysicalResourceId"]
        for each in deployed
        if each["ResourceType"] == kind
    }


def _neighbours(stack: LocalStack) -> Iterator[tuple[str, Probe]]:
    """Yield what no function has any business with, but for those that start themselves."""
    name = stack.function_name("openapi")
    nightly, farewell, anew, weekly = map(
        stack.function_name, ("reconciliation", "erasure", "rekeying", "learning")
    )
    configuration = stack.client("lambda").get_function_configuration(FunctionName=name)
    user = {"UserPoolId": stack.outputs["UserPoolId"], "Username": NOBODY}
    role, policy = configuration["Role"], {"RoleName": NOBODY, "PolicyName": NOBODY}
    for said, service, operation, arguments in (
        ("call a function", "lambda", "invoke", {"FunctionName": name, "InvocationType": "DryRun"}),
        (
            "start reconciliation",
            "lambda",
            "invoke",
            {"FunctionName": nightly, "InvocationType": "DryRun"},
        ),
        (
            "start erasure",
            "lambda",
            "invoke",
            {"FunctionName": farewell, "InvocationType": "DryRun"},
        ),
        (
            "start rekeying",
            "lambda",
            "invoke",
            {"FunctionName": anew, "InvocationType": "DryRun"},
        ),
        (
            "start learning",
            "lambda",
            "invoke",
            {"FunctionName": weekly, "InvocationType": "DryRun"},
        ),
        ("read a function", "lambda", "get_function_configuration", {"FunctionName": name}),
        ("promote a user", "cognito-idp", "admin_add_user_to_group", {**user, "GroupName": NOBODY}),
        ("read a user", "cognito-idp", "admin_get_user", user),
        (
            "find a user",
            "cognito-idp",
            "list_users",
            {"UserPoolId": user["UserPoolId"], "Filter": f'sub = "{NOBODY}"'},
        ),
        ("read a user's groups", "cognito-idp", "admin_list_groups_for_user", user),
        (
            "take a user out of a group",
            "cognito-idp",
            "admin_remove_user_from_group",
            {**user, "GroupName": NOBODY},
        ),
        ("delete a user", "cognito-idp", "admin_delete_user", user),
        ("take another role", "sts", "assume_role", {"RoleArn": role, "RoleSessionName": NOBODY}),
        ("write a policy of roles", "iam", "put_role_policy", {**policy, "PolicyDocument": "{}"}),
        ("read buckets", "s3", "list_buckets", {}),
    ):
        yield said, Probe(service, operation, arguments)


def _environment(stack: LocalStack, function: str) -> dict[str, str]:
    configuration = stack.client("lambda").get_function_configuration(
        FunctionName=stack.function_name(function)
    )
    variables: dict[str, str] = json.loads(json.dumps(configuration["Environment"]["Variables"]))
    return variables
