"""Listening to the event bus, as a later consumer would."""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from tests.e2e.traces import PREFIX
from tests.e2e.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from infra.local.stack import LocalStack

NAME = f"{PREFIX}listener"


@contextmanager
def heard_from(
    stack: LocalStack, *, detail_type: str, **detail: str | int
) -> Iterator[Callable[[], dict[str, Any]]]:
    """Yield what waits for the next event of *detail_type* whose *detail* says so."""
    events, sqs = stack.client("events"), stack.client("sqs")
    rule = {"Name": NAME, "EventBusName": stack.outputs["EventBusName"]}
    pattern = {
        "source": ["forecourt"],
        "detail-type": [detail_type],
        "detail": {name: [value] for name, value in detail.items()},
    }
    with ExitStack() as undo:
        url = sqs.create_queue(QueueName=NAME)["QueueUrl"]
        undo.callback(sqs.delete_queue, QueueUrl=url)
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
        rule_arn = events.put_rule(
            Name=NAME, EventBusName=rule["EventBusName"], EventPattern=json.dumps(pattern)
        )["RuleArn"]
        undo.callback(events.delete_rule, **rule)
        sqs.set_queue_attributes(
            QueueUrl=url,
            Attributes={"Policy": json.dumps(_let_in(arn["QueueArn"], rule_arn))},
        )
        target = {"Id": NAME, "Arn": arn["QueueArn"]}
        events.put_targets(Rule=NAME, EventBusName=rule["EventBusName"], Targets=[target])
        undo.callback(
            events.remove_targets, Rule=NAME, EventBusName=rule["EventBusName"], Ids=[NAME]
        )
        yield lambda: _next(sqs, url)


def _let_in(queue_arn: str, rule_arn: str) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": queue_arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}},
        },
    }


def _next(sqs: Any, url: str) -> dict[str, Any]:
    (message,) = wait_for(
        lambda: sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1).get("Messages")
    )
    event: dict[str, Any] = json.loads(message["Body"])
    return event
