"""A batch stops in time or at its first failure, and says where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from aws_lambda_powertools import Logger

from forecourt.deadlines import RESERVED_MS
from forecourt.queues import each_by_itself
from forecourt.streams import one_by_one, stopped_at

if TYPE_CHECKING:
    from collections.abc import Callable

RECORDS = [
    {"eventID": f"e{number}", "dynamodb": {"SequenceNumber": str(number)}} for number in range(4)
]

MESSAGES = [{"messageId": f"m{number}"} for number in range(4)]
LOGGER = Logger(service="test")


class Invocation:
    """An invocation for whose further records there is time *lasting* times."""

    def __init__(self, lasting: int) -> None:
        self._lasting = lasting

    def get_remaining_time_in_millis(self) -> int:
        self._lasting -= 1
        return RESERVED_MS if self._lasting >= 0 else RESERVED_MS - 1


def patient() -> Any:
    return Invocation(len(RECORDS))


def failing_at(number: str, taken: list[str]) -> Callable[[dict[str, Any]], None]:
    def take(record: dict[str, Any]) -> None:
        if record["dynamodb"]["SequenceNumber"] == number:
            raise LookupError("torn")
        taken.append(record["dynamodb"]["SequenceNumber"])

    return take


def test_a_batch_without_failures_reports_none() -> None:
    taken: list[str] = []

    answer = one_by_one(RECORDS, failing_at("none", taken), logger=LOGGER, context=patient())

    assert answer == {"batchItemFailures": []}
    assert taken == ["0", "1", "2", "3"]


@pytest.mark.parametrize("number", ["0", "2", "3"])
def test_the_stream_resumes_at_the_first_failure_and_nothing_behind_it_was_taken(
    number: str, caplog: pytest.LogCaptureFixture
) -> None:
    taken: list[str] = []

    answer = one_by_one(RECORDS, failing_at(number, taken), logger=LOGGER, context=patient())

    assert answer == {"batchItemFailures": [{"itemIdentifier": number}]}
    assert taken == [str(earlier) for earlier in range(int(number))]
    assert [vars(line)["event_id"] for line in caplog.records] == [f"e{number}"]


def test_a_record_is_named_by_its_sequence_number() -> None:
    assert stopped_at(RECORDS[1]) == {"batchItemFailures": [{"itemIdentifier": "1"}]}


@pytest.mark.parametrize("lasting", [0, 1, 2])
def test_the_stream_resumes_at_the_first_record_there_was_no_time_for(lasting: int) -> None:
    context: Any = Invocation(lasting)
    taken: list[str] = []

    answer = one_by_one(RECORDS, failing_at("none", taken), logger=LOGGER, context=context)

    assert taken == [str(number) for number in range(lasting + 1)]
    assert answer == {"batchItemFailures": [{"itemIdentifier": str(lasting + 1)}]}


def test_a_failure_is_where_the_stream_resumes_even_when_time_is_up_behind_it() -> None:
    context: Any = Invocation(1)

    answer = one_by_one(RECORDS, failing_at("1", []), logger=LOGGER, context=context)

    assert answer == {"batchItemFailures": [{"itemIdentifier": "1"}]}


@pytest.mark.parametrize("lasting", [0, 1, 2])
def test_a_queue_brings_again_what_failed_and_what_there_was_no_time_for(lasting: int) -> None:
    context: Any = Invocation(lasting)
    taken: list[str] = []

    def take(record: dict[str, Any]) -> None:
        taken.append(record["messageId"])
        if record["messageId"] == "m0":
            raise LookupError("torn")

    answer = each_by_itself(MESSAGES, take, logger=LOGGER, context=context)

    assert taken == [f"m{number}" for number in range(lasting + 1)]
    again = ["m0", *(f"m{number}" for number in range(lasting + 1, 4))]
    assert answer == {"batchItemFailures": [{"itemIdentifier": each} for each in again]}
