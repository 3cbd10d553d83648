"""Trying again: bounded, with pauses that grow and differ, and honest about giving up."""

from __future__ import annotations

from typing import Any

import pytest

from forecourt import batches, contention
from forecourt.batches import BATCH_GET_MAX, Unprocessed, batch_get
from forecourt.contention import passing, until_settled
from forecourt.errors import StaleWrite, UnknownSale


class Pauses(list[float]):
    """Stands in for `time.sleep`, and remembers."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


class Contended:
    """Is stale a number of times, then settles."""

    def __init__(self, *, stale: int) -> None:
        self.stale = stale
        self.attempts = 0

    def __call__(self) -> str:
        self.attempts += 1
        if self.attempts <= self.stale:
            raise StaleWrite
        return "settled"


class StingyDynamo:
    """Answers `BatchGetItem` with at most so many items a call, as DynamoDB may when throttling."""

    def __init__(self, *, a_call: int) -> None:
        self.a_call = a_call
        self.calls: list[int] = []

    def batch_get_item(self, *, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        ((table, request),) = RequestItems.items()
        keys = request["Keys"]
        self.calls.append(len(keys))
        answer: dict[str, Any] = {"Responses": {table: keys[: self.a_call]}}
        if keys[self.a_call :]:
            rest = {**request, "Keys": keys[self.a_call :]}
            answer["UnprocessedKeys"] = {table: rest}
        return answer


def keys(count: int) -> list[dict[str, Any]]:
    return [{"pk": {"S": str(number)}} for number in range(count)]


@pytest.mark.parametrize("stale", [0, 1, contention.ATTEMPTS - 1])
def test_a_contended_write_settles_within_the_attempts(stale: int) -> None:
    attempt, pauses = Contended(stale=stale), Pauses()

    assert until_settled(attempt, sleep=pauses, jitter=lambda: 1.0) == "settled"
    assert attempt.attempts == stale + 1
    assert pauses == [contention.FIRST_PAUSE_SECONDS * 2**number for number in range(stale)]


def test_the_last_stale_write_propagates() -> None:
    attempt = Contended(stale=1000)

    with pytest.raises(StaleWrite):
        until_settled(attempt, sleep=Pauses())
    assert attempt.attempts == contention.ATTEMPTS


def test_any_other_refusal_is_not_tried_again() -> None:
    def refuse() -> None:
        raise UnknownSale("s")

    pauses = Pauses()

    with pytest.raises(UnknownSale):
        until_settled(refuse, sleep=pauses)
    assert pauses == []


def test_pauses_are_cut_at_random_so_that_rivals_part() -> None:
    pauses = Pauses()

    until_settled(Contended(stale=3), sleep=pauses, jitter=iter([0.5, 0.0, 0.25]).__next__)

    assert pauses == [0.005, 0.0, 0.01]


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ({"None", "TransactionConflict"}, True),
        ({"ThrottlingError", "ProvisionedThroughputExceeded"}, True),
        ({"None", "ConditionalCheckFailed"}, True),
        ({"None", "ValidationError"}, False),
        ({"ItemCollectionSizeLimitExceeded", "TransactionConflict"}, False),
    ],
)
def test_a_fault_in_the_transaction_itself_does_not_pass(
    codes: set[str], *, expected: bool
) -> None:
    assert passing(codes) is expected


@pytest.mark.parametrize("count", [0, 1, BATCH_GET_MAX, BATCH_GET_MAX + 1])
def test_no_call_asks_for_more_than_dynamodb_takes(count: int) -> None:
    dynamodb = StingyDynamo(a_call=BATCH_GET_MAX)

    found = batch_get(dynamodb, "sales", keys(count), consistent=True)

    assert found == keys(count)
    assert max(dynamodb.calls, default=0) <= BATCH_GET_MAX


def test_what_was_left_out_is_asked_for_again() -> None:
    dynamodb, pauses = StingyDynamo(a_call=4), Pauses()

    found = batch_get(
        dynamodb, "sales", keys(10), consistent=False, sleep=pauses, jitter=lambda: 1.0
    )

    assert found == keys(10)
    assert dynamodb.calls == [10, 6, 2]
    assert pauses == [0.02, 0.04]


def test_a_table_that_keeps_throttling_is_reported_and_never_an_empty_answer() -> None:
    dynamodb = StingyDynamo(a_call=0)

    with pytest.raises(Unprocessed):
        batch_get(dynamodb, "sales", keys(1), consistent=False, sleep=Pauses())
    assert len(dynamodb.calls) == batches.ATTEMPTS
