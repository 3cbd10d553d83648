"""Doing what the scheduler does, without waiting for its time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from infra.local.stack import LocalStack


def scheduled(stack: LocalStack, function: str, **said: str) -> Any:
    """Invoke *function* as the one schedule does that starts it and says so; return the answer."""
    scheduler, name = stack.client("scheduler"), stack.function_name(function)
    (target,) = (
        target
        for each in scheduler.list_schedules()["Schedules"]
        for target in [
            scheduler.get_schedule(Name=each["Name"], GroupName=each["GroupName"])["Target"]
        ]
        if target["Arn"].endswith(f":{name}") and json.loads(target["Input"]) == said
    )
    return invoked(stack, function, json.loads(target["Input"]))


def invoked(stack: LocalStack, function: str, event: dict[str, Any]) -> Any:
    """Invoke *function* as a person does, and return its answer."""
    answer = stack.client("lambda").invoke(
        FunctionName=stack.function_name(function), Payload=json.dumps(event).encode()
    )
    result = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, result
    return result
