"""A station connects as itself, and speaks and listens under its own topics only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.infra.templates import Synthesised

THING = "${iot:Connection.Thing.ThingName}"


@pytest.fixture(scope="module")
def statements(aws: Synthesised) -> dict[str, dict[str, Any]]:
    (policy,) = aws.of_type("AWS::IoT::Policy").values()
    return {
        statement["Action"]: statement
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
    }


def written_out(resource: Any) -> str:
    """Return an ARN without what the deployment fills in."""
    parts = resource["Fn::Join"][1]
    return "".join(part for part in parts if isinstance(part, str))


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("iot:Connect", f"client/{THING}"),
        ("iot:Publish", f"topic/forecourt/{THING}/up/*"),
        ("iot:Subscribe", f"topicfilter/forecourt/{THING}/down/*"),
        ("iot:Receive", f"topic/forecourt/{THING}/down/*"),
    ],
)
def test_a_station_may_do_this_as_itself(
    statements: dict[str, dict[str, Any]], action: str, resource: str
) -> None:
    assert statements[action]["Effect"] == "Allow"
    assert written_out(statements[action]["Resource"]) == f"arn::iot:::{resource}"


def test_a_station_may_do_nothing_else(statements: dict[str, dict[str, Any]]) -> None:
    assert statements.keys() == {"iot:Connect", "iot:Publish", "iot:Subscribe", "iot:Receive"}


def test_a_certificate_without_its_thing_opens_nothing(
    statements: dict[str, dict[str, Any]],
) -> None:
    assert statements["iot:Connect"]["Condition"] == {
        "Bool": {"iot:Connection.Thing.IsAttached": "true"}
    }


def test_every_message_reaches_ingest_as_the_bytes_that_were_sent(aws: Synthesised) -> None:
    (rule,) = aws.of_type("AWS::IoT::TopicRule").values()
    payload = rule["Properties"]["TopicRulePayload"]

    assert payload["Sql"] == (
        "SELECT encode(*, 'base64') AS payload, topic() AS topic, clientid() AS client_id, "
        "timestamp() AS received_at_ms FROM 'forecourt/+/up/+'"
    )
    assert payload["RuleDisabled"] is False
    (queue_url,) = (action["Sqs"]["QueueUrl"]["Ref"] for action in payload["Actions"])
    assert queue_url.startswith("IntakeMessages")
