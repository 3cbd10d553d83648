"""A batch of stream records stops at its first failure, and says where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from aws_lambda_powertools import Logger

from forecourt.streams import one_by_one, stopped_at

if TYPE_CHECKING:
    from collections.abc import Callable

RECORDS = [
    {"eventID": f"e{number}", "dynamodb": {"SequenceNumber": str(number)}} for number in range(4)
]


def failing_at(number: str, taken: list[str]) -> Callable[[dict[str, Any]], None]:
    def take(record: dict[str, Any]) -> None:
        if record["dynamodb"]["SequenceNumber"] == number:
            raise LookupError("torn")
        taken.append(record["dynamodb"]["SequenceNumber"])

    return take


def test_a_batch_without_failures_reports_none() -> None:
    taken: list[str] = []

    answer = one_by_one(RECORDS, failing_at("none", taken), logger=Logger(service="test"))

    assert answer == {"batchItemFailures": []}
    assert taken == ["0", "1", "2", "3"]


@pytest.mark.parametrize("number", ["0", "2", "3"])
def test_the_stream_resumes_at_the_first_failure_and_nothing_behind_it_was_taken(
    number: str, caplog: pytest.LogCaptureFixture
) -> None:
    taken: list[str] = []

    answer = one_by_one(RECORDS, failing_at(number, taken), logger=Logger(service="test"))

    assert answer == {"batchItemFailures": [{"itemIdentifier": number}]}
    assert taken == [str(earlier) for earlier in range(int(number))]
    assert [vars(line)["event_id"] for line in caplog.records] == [f"e{number}"]


def test_a_record_is_named_by_its_sequence_number() -> None:
    assert stopped_at(RECORDS[1]) == {"batchItemFailures": [{"itemIdentifier": "1"}]}
