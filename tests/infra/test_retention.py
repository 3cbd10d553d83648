"""When evidence is forgotten, of which sales, and who hears of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.stored_sales import QUEUED_AS
from tests.infra.templates import listed, referenced

if TYPE_CHECKING:
    from tests.infra.templates import Synthesised

RETENTION = "retention"


def filters_of(aws: Synthesised, function: str) -> list[dict[str, Any]]:
    """Return what *function* demands of a record's new image, one of them at least."""
    (mapping,) = (
        mapping
        for mapping in aws.mappings().values()
        if mapping["FunctionName"]["Ref"] == aws.functions()[function]
    )
    patterns = [json.loads(each["Pattern"]) for each in mapping["FilterCriteria"]["Filters"]]
    return [each["dynamodb"]["NewImage"] for each in patterns]


def lets_through(image: dict[str, str], demanded: dict[str, Any]) -> bool:
    return all(image.get(name) in allowed["S"] for name, allowed in demanded.items())


def test_evidence_is_forgotten_every_hour(aws: Synthesised) -> None:
    (schedule,) = (
        schedule["Properties"]
        for schedule in aws.of_type("AWS::Scheduler::Schedule").values()
        if aws.functions()[RETENTION] in referenced(schedule["Properties"]["Target"]["Arn"])
    )

    assert schedule["ScheduleExpression"] == "cron(35 * * * ? *)"
    assert schedule["State"] == "ENABLED"


def test_every_queue_of_what_nobody_got_is_looked_into_and_no_other(aws: Synthesised) -> None:
    (keys,) = (
        listed(statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"])
        for statement in aws.statements_of(RETENTION)
        if "dynamodb:Query" in listed(statement["Action"])
    )

    assert set(keys) == {str(each) for each in QUEUED_AS.values()}


@pytest.mark.parametrize("function", ["matching", "accrual"])
@pytest.mark.parametrize("status", [*QUEUED_AS])
def test_a_sale_that_leaves_its_queue_is_no_news(
    aws: Synthesised, function: str, status: str
) -> None:
    image = {"type": "sale", "status": str(status)}

    assert not any(lets_through(image, each) for each in filters_of(aws, function))


@pytest.mark.parametrize(
    "image", [{"status": "matched"}, {"status": "nobodys", "queue": "settled"}], ids=str
)
def test_accrual_hears_of_what_somebody_got_and_of_what_was_taken_from_everybody(
    aws: Synthesised, image: dict[str, str]
) -> None:
    assert any(lets_through(image, each) for each in filters_of(aws, "accrual"))
