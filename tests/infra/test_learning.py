"""When weights are learnt, from what, and who starts it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from infra.learning import LEARNT_AT
from tests.infra.templates import listed, referenced

if TYPE_CHECKING:
    from tests.infra.templates import Synthesised


def test_weights_are_learnt_the_night_after_the_members_were_counted(aws: Synthesised) -> None:
    begun = {
        function: schedule["Properties"]["ScheduleExpression"]
        for schedule in aws.of_type("AWS::Scheduler::Schedule").values()
        for function in ("learning", "verification")
        if aws.functions()[function] in referenced(schedule["Properties"]["Target"]["Arn"])
    }

    assert begun == {
        "verification": "cron(0 4 ? * MON *)",
        "learning": f"cron(0 4 ? * {LEARNT_AT['week_day']} *)",
    }
    assert LEARNT_AT["week_day"] == "TUE"


def test_a_run_the_scheduler_starts_twice_is_one_run(aws: Synthesised) -> None:
    (target,) = (
        schedule["Properties"]["Target"]
        for schedule in aws.of_type("AWS::Scheduler::Schedule").values()
        if aws.functions()["learning"] in referenced(schedule["Properties"]["Target"]["Arn"])
    )

    assert json.loads(target["Input"]) == {"run_id": "<aws.scheduler.scheduled-time>"}


def test_weights_are_tried_by_the_policy_that_matching_decides_by(aws: Synthesised) -> None:
    policies = {
        aws.properties_of(function)["Environment"]["Variables"]["MATCHING_POLICY"]
        for function in ("matching", "claims", "learning")
    }

    assert policies == {"shared_vehicle"}


def test_an_operator_starts_learning_and_no_other_function(aws: Synthesised) -> None:
    (started,) = (
        referenced(statement["Resource"])
        for statement in aws.statements_of("operator")
        if "lambda:InvokeFunction" in listed(statement["Action"])
    )

    assert started == {aws.functions()["learning"]}


def test_what_was_gathered_is_gone_when_nobody_asks_for_it_any_more(aws: Synthesised) -> None:
    bucket = aws.one("AWS::S3::Bucket", "BooksWorkings")
    expires = {
        rule["Prefix"]: rule["ExpirationInDays"]
        for rule in bucket["Properties"]["LifecycleConfiguration"]["Rules"]
        if "Prefix" in rule
    }

    assert expires["learnings/"] == 90
