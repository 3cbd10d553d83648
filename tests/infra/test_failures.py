"""Nothing fails silently: every hop has a place for its failures, and an alarm on it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from infra.observability import ALARMING_METRICS
from tests.infra.templates import referenced

if TYPE_CHECKING:
    from tests.infra.templates import Synthesised

ROOT = Path(__file__).parents[2]
OPERATIONS = ROOT / "docs" / "operations.md"
STREAM_READERS = {"matching", "accrual", "relay", "archive"}
# Invoked without anybody waiting for the answer.
STARTED_BY_OTHERS = {
    "closing",
    "due",
    "learning",
    "reconciliation",
    "retention",
    "verification",
}
QUEUE_READERS = {"claims", "expiry", "habits", "ingest", "learning", "reminders", "verification"}


def alarms_on(aws: Synthesised, metric: str, dimension: str) -> set[str]:
    """Return the logical ids that *metric* raises a delivered alarm for."""
    return {
        logical_id
        for alarm in aws.of_type("AWS::CloudWatch::Alarm").values()
        if alarm["Properties"]["MetricName"] == metric and alarm["Properties"]["AlarmActions"]
        for each in alarm["Properties"]["Dimensions"]
        if each["Name"] == dimension
        for logical_id in referenced(each["Value"])
    }


def failure_queues(aws: Synthesised) -> set[str]:
    """Return the logical ids of all queues something sends its failures to."""
    found: set[str] = set()
    for mapping in aws.mappings().values():
        found |= referenced(mapping.get("DestinationConfig"))
    for config in aws.of_type("AWS::Lambda::EventInvokeConfig").values():
        found |= referenced(config["Properties"]["DestinationConfig"])
    for rule in aws.of_type("AWS::Events::Rule").values():
        for target in rule["Properties"]["Targets"]:
            found |= referenced(target["DeadLetterConfig"])
    for schedule in aws.of_type("AWS::Scheduler::Schedule").values():
        found |= referenced(schedule["Properties"]["Target"]["DeadLetterConfig"])
    for queue in aws.of_type("AWS::SQS::Queue").values():
        found |= referenced(queue["Properties"].get("RedrivePolicy"))
    for rule in aws.of_type("AWS::IoT::TopicRule").values():
        error_action = rule["Properties"]["TopicRulePayload"]["ErrorAction"]
        found |= referenced(error_action["Sqs"]["QueueUrl"])
    return found


def stream_mappings(aws: Synthesised) -> dict[str, dict[str, Any]]:
    by_function = {logical_id: name for name, logical_id in aws.functions().items()}
    return {
        by_function[mapping["FunctionName"]["Ref"]]: mapping
        for mapping in aws.mappings().values()
        if "StartingPosition" in mapping
    }


def queue_mappings(aws: Synthesised) -> dict[str, dict[str, Any]]:
    by_function = {logical_id: name for name, logical_id in aws.functions().items()}
    return {
        by_function[mapping["FunctionName"]["Ref"]]: mapping
        for mapping in aws.mappings().values()
        if "StartingPosition" not in mapping
    }


def test_the_queues_are_worked_on_by_these_and_no_more(aws: Synthesised) -> None:
    assert queue_mappings(aws).keys() == QUEUE_READERS


def test_the_streams_are_read_by_these_and_no_more(aws: Synthesised) -> None:
    assert stream_mappings(aws).keys() == STREAM_READERS


def test_a_stream_serves_at_most_two_readers(aws: Synthesised) -> None:
    sources = [str(mapping["EventSourceArn"]) for mapping in stream_mappings(aws).values()]

    assert max(sources.count(source) for source in sources) <= 2


@pytest.mark.parametrize("function", sorted(STREAM_READERS))
def test_one_bad_record_does_not_hold_up_a_stream_forever(aws: Synthesised, function: str) -> None:
    mapping = stream_mappings(aws)[function]

    assert 0 < mapping["MaximumRetryAttempts"] <= 100
    assert 0 < mapping["MaximumRecordAgeInSeconds"] < 24 * 3600
    assert mapping["BisectBatchOnFunctionError"] is True
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert referenced(mapping["DestinationConfig"]["OnFailure"]) <= failure_queues(aws)


@pytest.mark.parametrize("function", sorted(STREAM_READERS))
def test_a_stream_is_read_from_its_first_record(aws: Synthesised, function: str) -> None:
    assert stream_mappings(aws)[function]["StartingPosition"] == "TRIM_HORIZON"


@pytest.mark.parametrize("function", sorted(QUEUE_READERS))
def test_a_message_that_always_fails_ends_in_a_failure_queue(
    aws: Synthesised, function: str
) -> None:
    mapping = queue_mappings(aws)[function]
    (queue,) = referenced(mapping["EventSourceArn"])
    properties = aws.resources[queue]["Properties"]

    # One at a time, or told one by one.
    alone = mapping["BatchSize"] == 1
    assert alone or mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert 1 < properties["RedrivePolicy"]["maxReceiveCount"] <= 10


@pytest.mark.parametrize(("function", "hears"), [("claims", 2), ("habits", 3)])
def test_only_its_own_rules_may_put_events_on_a_functions_queue(
    aws: Synthesised, function: str, hears: int
) -> None:
    (queue,) = referenced(queue_mappings(aws)[function]["EventSourceArn"])
    rules = {
        logical_id
        for logical_id, rule in aws.of_type("AWS::Events::Rule").items()
        for target in rule["Properties"]["Targets"]
        if queue in referenced(target["Arn"])
    }
    allowed = [
        statement
        for policy in aws.of_type("AWS::SQS::QueuePolicy").values()
        if queue in referenced(policy["Properties"]["Queues"])
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow"
    ]

    assert len(rules) == hears
    assert {each["Action"] for each in allowed} == {"sqs:SendMessage"}
    assert {
        name for each in allowed for name in referenced(each["Condition"]["ArnEquals"])
    } == rules


@pytest.mark.parametrize("function", ["claims", "habits"])
def test_a_burst_of_events_waits_in_a_queue_and_not_in_lambda(
    aws: Synthesised, function: str
) -> None:
    mapping = queue_mappings(aws)[function]

    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 10}
    invoked = [
        target
        for rule in aws.of_type("AWS::Events::Rule").values()
        for target in rule["Properties"]["Targets"]
        if aws.functions()[function] in referenced(target["Arn"])
    ]
    assert invoked == []


@pytest.mark.parametrize("function", ["learning", "verification"])
def test_a_step_may_put_the_rest_on_the_queue_it_reads(aws: Synthesised, function: str) -> None:
    assert aws.properties_of(function)["RecursiveLoop"] == "Allow"


@pytest.mark.parametrize("function", sorted(QUEUE_READERS))
def test_there_is_time_to_retry_before_a_message_shows_up_again(
    aws: Synthesised, function: str
) -> None:
    (queue,) = referenced(queue_mappings(aws)[function]["EventSourceArn"])
    visible_after = aws.resources[queue]["Properties"]["VisibilityTimeout"]

    assert visible_after >= 6 * aws.properties_of(function)["Timeout"]


@pytest.mark.parametrize("function", ["expiry", "reminders"])
def test_what_can_wait_leaves_concurrency_to_sales(aws: Synthesised, function: str) -> None:
    assert queue_mappings(aws)[function]["ScalingConfig"]["MaximumConcurrency"] <= 10


@pytest.mark.parametrize("function", sorted(STARTED_BY_OTHERS))
def test_what_is_started_asynchronously_reports_its_last_failure(
    aws: Synthesised, function: str
) -> None:
    (config,) = (
        config["Properties"]
        for config in aws.of_type("AWS::Lambda::EventInvokeConfig").values()
        if config["Properties"]["FunctionName"] == {"Ref": aws.functions()[function]}
    )

    assert referenced(config["DestinationConfig"]["OnFailure"]) <= failure_queues(aws)


def test_every_rule_and_schedule_keeps_what_it_could_not_deliver(aws: Synthesised) -> None:
    targets = [
        target
        for rule in aws.of_type("AWS::Events::Rule").values()
        for target in rule["Properties"]["Targets"]
    ]
    targets += [
        schedule["Properties"]["Target"]
        for schedule in aws.of_type("AWS::Scheduler::Schedule").values()
    ]

    assert targets
    assert all("DeadLetterConfig" in target for target in targets)


def test_every_queue_of_failures_has_an_alarm(aws: Synthesised) -> None:
    watched = alarms_on(aws, "ApproximateNumberOfMessagesVisible", "QueueName")

    assert failure_queues(aws) == watched


def test_every_queue_of_failures_has_a_documented_replay(aws: Synthesised) -> None:
    rows = re.findall(r"^\| (`[A-Z].*?) \|", OPERATIONS.read_text("utf-8"), re.MULTILINE)
    documented = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    queues = failure_queues(aws)

    assert [each for each in queues if not any(name in each for name in documented)] == []
    assert [name for name in documented if not any(name in each for each in queues)] == []


def test_every_queue_is_either_worked_on_or_a_place_for_failures(aws: Synthesised) -> None:
    worked_on = {
        queue
        for mapping in queue_mappings(aws).values()
        for queue in referenced(mapping["EventSourceArn"])
    }

    assert aws.of_type("AWS::SQS::Queue").keys() == worked_on | failure_queues(aws)


def test_waiting_messages_raise_an_alarm(aws: Synthesised) -> None:
    worked_on = {
        queue
        for mapping in queue_mappings(aws).values()
        for queue in referenced(mapping["EventSourceArn"])
    }

    assert alarms_on(aws, "ApproximateAgeOfOldestMessage", "QueueName") == worked_on


@pytest.mark.parametrize("metric", ["Errors", "Throttles"])
def test_every_function_has_an_alarm(aws: Synthesised, metric: str) -> None:
    assert alarms_on(aws, metric, "FunctionName") == set(aws.functions().values())


def test_every_stream_reader_has_an_alarm_on_its_lag(aws: Synthesised) -> None:
    readers = {aws.functions()[name] for name in STREAM_READERS}

    assert alarms_on(aws, "IteratorAge", "FunctionName") == readers


def test_the_api_has_an_alarm_on_its_own_errors(aws: Synthesised) -> None:
    assert alarms_on(aws, "5xx", "ApiId") == aws.of_type("AWS::ApiGatewayV2::Api").keys()


@pytest.mark.parametrize(
    ("function", "metric"),
    [(function, metric) for function, metrics in ALARMING_METRICS.items() for metric in metrics],
)
def test_what_a_function_finds_alarming_raises_an_alarm(
    aws: Synthesised, function: str, metric: str
) -> None:
    handler = (ROOT / "functions" / function / "handler.py").read_text()
    (alarm,) = (
        alarm["Properties"]
        for alarm in aws.of_type("AWS::CloudWatch::Alarm").values()
        if alarm["Properties"]["MetricName"] == metric
    )

    assert f'name="{metric}"' in handler
    assert alarm["Namespace"] == "Forecourt"
    assert alarm["Dimensions"] == [{"Name": "service", "Value": function}]


def test_a_service_may_write_to_the_encrypted_queues_and_the_topic(aws: Synthesised) -> None:
    key = aws.one("AWS::KMS::Key", "KeysData")["Properties"]["KeyPolicy"]["Statement"]
    (statement,) = (each for each in key if "Service" in each["Principal"])

    assert set(statement["Principal"]["Service"]) == {
        "cloudwatch.amazonaws.com",
        "events.amazonaws.com",
    }
    assert statement["Condition"] == {
        "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    }
