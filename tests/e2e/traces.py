"""What is stored: to see what a test wrote, and to leave the stack as it was found."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.e2e.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.local.stack import LocalStack

# Users, things and queues of these tests; nobody else's names begin like this.
PREFIX = "e2e-"
# Longer than any function takes from one table to the next.
QUIET_SECONDS = 0.5
# What the function `habits` writes into a portrait, and of a car.
HABITS = {"behaviour", "counted"}
DRIVERS = "DRIVERS#"

Key = tuple[str, str, str]
Items = dict[Key, dict[str, Any]]


class Traces:
    """All items of the three tables, by (table, partition, sort key)."""

    def __init__(self, stack: LocalStack) -> None:
        self._dynamodb = stack.client("dynamodb")
        self.names = {
            "sales": stack.outputs["SalesTableName"],
            "loyalty": stack.outputs["LoyaltyTableName"],
            "requests": requests_table(stack),
        }

    def items(self, *tables: str) -> Items:
        """Read *tables* to the end, all three unless told which."""
        found: Items = {}
        for table in tables or self.names:
            pages = self._dynamodb.get_paginator("scan").paginate(
                TableName=self.names[table], ConsistentRead=True
            )
            for page in pages:
                for item in page["Items"]:
                    pk = item["pk" if "pk" in item else "id"]["S"]
                    found[table, pk, item.get("sk", {}).get("S", "")] = item
        return found

    def settled(self, *tables: str) -> Items:
        """
        Return the items once nothing moves any more, without habits and cars' drivers.

        Nothing waits for these, and they wait for a function that starts cold.
        """
        seen = self._without_habits(*tables)

        def look() -> Items | None:
            nonlocal seen
            time.sleep(QUIET_SECONDS)
            before, seen = seen, self._without_habits(*tables)
            return seen if seen == before else None

        return wait_for(look, lambda items: items is not None) or {}

    def _without_habits(self, *tables: str) -> Items:
        return {
            key: {name: value for name, value in item.items() if name not in HABITS}
            for key, item in self.items(*tables).items()
            if not key[1].startswith(DRIVERS)
        }

    def arrived(self) -> Items:
        """Return the items once no sale is on its way any more."""
        return wait_for(
            self.items,
            lambda items: all(item.get("status") != {"S": "received"} for item in items.values()),
        )

    def written(self, before: Items) -> set[tuple[str, str]]:
        """Return table and partition of every item that is new or changed since *before*."""
        return {key[:2] for key, item in self.items().items() if before.get(key) != item}

    def restore(self, before: Items) -> None:
        """Make the tables hold what *before* says again."""
        for key, item in self.items().items():
            table, pk, sk = key
            if key not in before:
                names = ("id",) if table == "requests" else ("pk", "sk")
                self._dynamodb.delete_item(
                    TableName=self.names[table],
                    Key={name: {"S": value} for name, value in zip(names, (pk, sk), strict=False)},
                )
            elif item != before[key]:
                self._dynamodb.put_item(TableName=self.names[table], Item=before[key])


def requests_table(stack: LocalStack) -> str:
    """Return the name of the table of answered requests, which no output names."""
    configuration = stack.client("lambda").get_function_configuration(
        FunctionName=stack.function_name("members")
    )
    return str(configuration["Environment"]["Variables"]["REQUESTS_TABLE"])


@contextmanager
def nothing_left(stack: LocalStack) -> Iterator[Traces]:
    """Leave behind no item, no user, no thing and no certificate that came inside the block."""
    traces = Traces(stack)
    traces.settled()
    before = traces.items()
    certificates = _certificates(stack)
    try:
        yield traces
    finally:
        after = traces.settled()
        traces.restore(before)
        partitions = {pk for _, pk, _ in after.keys() - before.keys()}
        if "PROGRAM" in partitions:
            forget_programs(stack)
        if "WEIGHTS" in partitions:
            restart(stack, "matching", "claims")
        _remove_things(stack, _certificates(stack) - certificates)
        _remove_users(stack)


def forget_programs(stack: LocalStack) -> None:
    """Restart who keeps the versions they have read: their numbers are free again."""
    restart(
        stack,
        "accrual",
        "due",
        "expiry",
        "reminders",
        "members",
        "corrections",
        "redemption",
        "operator",
    )


def restart(stack: LocalStack, *names: str) -> None:
    """Let functions begin anew, with nothing remembered."""
    functions = stack.client("lambda")
    for function in names:
        name = stack.function_name(function)
        timeout = functions.get_function_configuration(FunctionName=name)["Timeout"]
        functions.update_function_configuration(FunctionName=name, Timeout=timeout)


def _certificates(stack: LocalStack) -> set[str]:
    pages = stack.client("iot").get_paginator("list_certificates").paginate()
    return {each["certificateArn"] for page in pages for each in page["certificates"]}


def _remove_things(stack: LocalStack, certificates: set[str]) -> None:
    iot = stack.client("iot")
    for arn in certificates:
        for policy in iot.list_attached_policies(target=arn)["policies"]:
            iot.detach_policy(policyName=policy["policyName"], target=arn)
        for thing in iot.list_principal_things(principal=arn)["things"]:
            iot.detach_thing_principal(thingName=thing, principal=arn)
        certificate_id = arn.rsplit("/", 1)[-1]
        iot.update_certificate(certificateId=certificate_id, newStatus="INACTIVE")
        iot.delete_certificate(certificateId=certificate_id)
    for page in iot.get_paginator("list_things").paginate():
        for thing in page["things"]:
            if thing["thingName"].startswith(PREFIX):
                iot.delete_thing(thingName=thing["thingName"])


def _remove_users(stack: LocalStack) -> None:
    cognito = stack.client("cognito-idp")
    pool_id = stack.outputs["UserPoolId"]
    for page in cognito.get_paginator("list_users").paginate(UserPoolId=pool_id):
        for user in page["Users"]:
            if user["Username"].startswith(PREFIX):
                cognito.admin_delete_user(UserPoolId=pool_id, Username=user["Username"])
