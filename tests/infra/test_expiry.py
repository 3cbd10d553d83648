"""When the jobs run, and what the index they look into costs."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from forecourt.due import JobKind, job_from_event
from forecourt.ledger_table import DUE_INDEX
from infra.schedules import ZONE_DEFAULT
from tests.infra.templates import referenced

if TYPE_CHECKING:
    from tests.infra.templates import Synthesised


def schedules_of(aws: Synthesised, function: str) -> dict[JobKind, dict[str, Any]]:
    """Return the schedules that start *function*, by the job they ask for."""
    return {
        job_from_event(json.loads(schedule["Properties"]["Target"]["Input"])).kind: schedule[
            "Properties"
        ]
        for schedule in aws.of_type("AWS::Scheduler::Schedule").values()
        if aws.functions()[function] in referenced(schedule["Properties"]["Target"]["Arn"])
    }


def cron(schedule: dict[str, Any]) -> list[str]:
    match = re.fullmatch(r"cron\((.+)\)", schedule["ScheduleExpression"])
    assert match
    return match[1].split()


def test_what_is_due_is_settled_every_hour_and_first_right_after_midnight(
    aws: Synthesised,
) -> None:
    settle = schedules_of(aws, "due")[JobKind.SETTLE]

    minute, *others = cron(settle)
    assert 0 < int(minute) <= 10
    assert others == ["*", "*", "*", "?", "*"]
    assert settle["ScheduleExpressionTimezone"] == ZONE_DEFAULT


def test_members_are_reminded_once_a_day_and_by_day(aws: Synthesised) -> None:
    remind = schedules_of(aws, "due")[JobKind.REMIND]

    _, hour, *others = cron(remind)
    assert 8 <= int(hour) <= 20
    assert others == ["*", "*", "?", "*"]
    assert remind["ScheduleExpressionTimezone"] == ZONE_DEFAULT


def test_nothing_is_extended_unless_a_person_says_so(aws: Synthesised) -> None:
    assert schedules_of(aws, "due").keys() == {JobKind.SETTLE, JobKind.REMIND}


def test_a_posting_that_leaves_the_first_day_as_it_was_writes_nothing_to_the_index(
    aws: Synthesised,
) -> None:
    table = aws.one("AWS::DynamoDB::Table", "TablesLoyalty")["Properties"]

    # DynamoDB writes an index when an attribute of it changes: here the key is all there is.
    (index,) = table["GlobalSecondaryIndexes"]
    assert index["IndexName"] == DUE_INDEX
    assert index["KeySchema"] == [
        {"AttributeName": "due_on", "KeyType": "HASH"},
        {"AttributeName": "pk", "KeyType": "RANGE"},
    ]
    assert index["Projection"] == {"ProjectionType": "KEYS_ONLY"}
