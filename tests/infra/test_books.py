"""When the books are closed and verified, and at what pace the archive is written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.infra.templates import referenced

if TYPE_CHECKING:
    from tests.infra.templates import Synthesised


def schedule_of(aws: Synthesised, function: str) -> dict[str, Any]:
    found: dict[str, Any]
    (found,) = (
        schedule["Properties"]
        for schedule in aws.of_type("AWS::Scheduler::Schedule").values()
        if aws.functions()[function] in referenced(schedule["Properties"]["Target"]["Arn"])
    )
    return found


def test_a_day_is_closed_in_the_night_after_it_in_the_zone_of_business(aws: Synthesised) -> None:
    schedule = schedule_of(aws, "closing")

    assert schedule["ScheduleExpression"] == "cron(0 3 * * ? *)"
    assert schedule["ScheduleExpressionTimezone"] == "Asia/Shanghai"
    assert aws.properties_of("closing")["Environment"]["Variables"]["ZONE"] == "Asia/Shanghai"


def test_a_verification_the_scheduler_starts_twice_is_one_run(aws: Synthesised) -> None:
    schedule = schedule_of(aws, "verification")

    assert json.loads(schedule["Target"]["Input"]) == {"run_id": "<aws.scheduler.scheduled-time>"}


def test_the_archive_writes_few_large_objects(aws: Synthesised) -> None:
    (mapping,) = (
        mapping
        for mapping in aws.mappings().values()
        if mapping["FunctionName"] == {"Ref": aws.functions()["archive"]}
    )

    # 1,440 objects a day and shard at most, each as late as a minute.
    assert mapping["MaximumBatchingWindowInSeconds"] == 60
    assert mapping["ParallelizationFactor"] == 1
    (pattern,) = mapping["FilterCriteria"]["Filters"]
    assert json.loads(pattern["Pattern"]) == {
        "eventName": ["INSERT"],
        "dynamodb": {"NewImage": {"type": {"S": ["entry"]}}},
    }
