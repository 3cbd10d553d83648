"""Doing what the scheduler does, without waiting for its time, and without its doing it beside."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.local.stack import LocalStack

# What a schedule is told with, and does not take when it is replaced.
READ_ONLY = {"Arn", "CreationDate", "LastModificationDate", "ResponseMetadata"}


def scheduled(stack: LocalStack, function: str, **said: str) -> Any:
    """Invoke *function* as the one schedule does that starts it and says so; return the answer."""
    name = stack.function_name(function)
    (target,) = (
        target
        for target in (each["Target"] for each in _schedules(stack))
        if target["Arn"].endswith(f":{name}") and json.loads(target["Input"]) == said
    )
    return invoked(stack, function, json.loads(target["Input"]))


def switch_off(stack: LocalStack) -> None:
    """
    Let no schedule start anything: the tests do, each when it is ready.

    At three o'clock the emulator would close the day that a test is about to write entries of.
    """
    scheduler = stack.client("scheduler")
    for each in _schedules(stack):
        kept = {name: value for name, value in each.items() if name not in READ_ONLY}
        scheduler.update_schedule(**kept | {"State": "DISABLED"})


def invoked(stack: LocalStack, function: str, event: dict[str, Any]) -> Any:
    """Invoke *function* as a person does, and return its answer."""
    answer = stack.client("lambda").invoke(
        FunctionName=stack.function_name(function), Payload=json.dumps(event).encode()
    )
    result = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, result
    return result


def _schedules(stack: LocalStack) -> Iterator[dict[str, Any]]:
    scheduler = stack.client("scheduler")
    for page in scheduler.get_paginator("list_schedules").paginate():
        for each in page["Schedules"]:
            yield scheduler.get_schedule(Name=each["Name"], GroupName=each["GroupName"])
