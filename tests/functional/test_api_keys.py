"""Under one key a write happens once and is answered once, wherever it broke off."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError

from forecourt.batches import Unprocessed
from forecourt.door_errors import IdempotencyKeyReused, RequestInProgress
from forecourt.doors import MAX_KEY_LENGTH
from forecourt.errors import StaleWrite
from forecourt.identity import digest
from forecourt.once import KEPT, Answer, RequestKey, Requests
from forecourt.sales import EvidenceKind
from functions.members import handler
from tests.functional.clients import refusal
from tests.functional.conftest import IDENTITY_SECRET, REQUESTS_TABLE, Hurried, LambdaContext
from tests.functional.enrolling import PHONE, PLATE, items
from tests.functional.http import Client, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("aws")

THROTTLED = "ProvisionedThroughputExceededException"
IDENTITY_ID = "plate." + digest(IDENTITY_SECRET.encode(), EvidenceKind.PLATE, PLATE["value"])
WRITES: dict[str, Callable[[Client], Reply]] = {
    "enrol": lambda client: client.post("/members", {"name": "Li"}, key="crash"),
    "change": lambda client: client.patch(
        "/members/me", {"name": "Lei"}, key="crash", if_match='"1"'
    ),
    "bind": lambda client: client.post("/members/me/identities", PLATE, key="crash"),
    "unbind": lambda client: client.delete(f"/members/me/identities/{IDENTITY_ID}", key="crash"),
}


def test_a_write_without_a_key_is_refused(anna: Client, dynamodb: Any) -> None:
    for headers in ({}, {"idempotency-key": ""}):
        reply = anna.send("POST", "/members", raw="{}", headers=headers)
        assert (reply.status, reply.code) == (400, "idempotency_key_missing")
        assert reply.facts == {"header": "Idempotency-Key"}

    assert items(dynamodb) == []


def test_a_key_may_have_255_characters_and_no_more(anna: Client, dynamodb: Any) -> None:
    reply = anna.post("/members", {}, key="k" * (MAX_KEY_LENGTH + 1))

    assert (reply.status, reply.code) == (400, "idempotency_key_too_long")
    assert items(dynamodb) == []
    assert anna.post("/members", {}, key="k" * MAX_KEY_LENGTH).status == 201


def test_the_same_request_is_answered_the_same(anna: Client, dynamodb: Any) -> None:
    first = anna.post("/members", {"name": "Li", "language": "zh"}, key="1")
    before = items(dynamodb)

    # The same document, written in another order.
    again = anna.post("/members", {"language": "zh", "name": "Li"}, key="1")

    assert (again.status, again.text) == (first.status, first.text)
    assert again.headers["Location"] == first.headers["Location"]
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert items(dynamodb) == before


def test_a_key_with_another_body_is_refused(anna: Client, dynamodb: Any) -> None:
    anna.post("/members", {"name": "Li"}, key="1")
    before = items(dynamodb), items(dynamodb, REQUESTS_TABLE)

    reply = anna.post("/members", {"name": "Lei"}, key="1")

    assert (reply.status, reply.code) == (422, "idempotency_key_reused")
    assert (items(dynamodb), items(dynamodb, REQUESTS_TABLE)) == before


def test_a_key_with_another_path_or_version_is_another_request(
    anna: Client, attendant: Client, dynamodb: Any
) -> None:
    first = attendant.post("/members", {}, key="1").body["member_id"]
    second = attendant.post("/members", {}, key="2").body["member_id"]
    anna.post("/members", {})
    attendant.post(f"/members/{first}/identities", PLATE, key="3")
    anna.patch("/members/me", {"name": "Li"}, key="4", if_match='"1"')
    before = items(dynamodb)

    replies = [
        attendant.post(f"/members/{second}/identities", PLATE, key="3"),
        anna.patch("/members/me", {"name": "Li"}, key="4", if_match='"2"'),
    ]

    assert {reply.code for reply in replies} == {"idempotency_key_reused"}
    assert items(dynamodb) == before


def test_a_key_belongs_to_caller_and_route(anna: Client, bert: Client) -> None:
    assert anna.post("/members", {}, key="1").body["member_id"] == "sub-anna"
    assert bert.post("/members", {}, key="1").body["member_id"] == "sub-bert"
    assert anna.patch("/members/me", {}, key="1").status == 200
    assert anna.post("/members/me/identities", PLATE, key="1").status == 201


def test_a_refusal_is_replayed_even_when_it_would_succeed_now(anna: Client, bert: Client) -> None:
    anna.post("/members", {})
    bert.post("/members", {})
    identity = anna.post("/members/me/identities", PHONE).body["identity_id"]
    first = bert.post("/members/me/identities", PHONE, key="1")
    anna.delete(f"/members/me/identities/{identity}")

    again = bert.post("/members/me/identities", PHONE, key="1")

    assert (first.status, first.code) == (409, "identity_taken")
    assert (again.status, again.text) == (first.status, first.text)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.code == "identity_taken"
    assert bert.post("/members/me/identities", PHONE, key="2").status == 201


@pytest.mark.parametrize(
    "failure",
    [
        refusal(THROTTLED),
        ClientError({"Error": {"Code": "X"}, "ResponseMetadata": {"HTTPStatusCode": 503}}, "X"),
        ConnectTimeoutError(endpoint_url="https://x"),
        Unprocessed("loyalty"),
        StaleWrite(),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_what_fails_in_passing_is_no_refusal_and_is_not_kept(
    anna: Client, dynamodb: Any, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise failure

    with monkeypatch.context() as patched:
        patched.setattr(handler.members, "enrol", fail)
        reply = anna.post("/members", {}, key="1")

    assert reply.status == 503
    assert reply.code in {"unavailable", "stale_write"}
    assert reply.headers["Retry-After"] == "1"
    assert items(dynamodb) == items(dynamodb, REQUESTS_TABLE) == []
    retried = anna.post("/members", {}, key="1")
    assert (retried.status, "Idempotent-Replayed" in retried.headers) == (201, False)


def test_a_request_table_that_does_not_answer_refuses_nothing(
    anna: Client, dynamodb: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    call = handler.dynamodb._make_api_call

    def fail(operation: str, arguments: dict[str, Any]) -> Any:
        if arguments.get("TableName") == REQUESTS_TABLE:
            raise refusal(THROTTLED)
        return call(operation, arguments)

    with monkeypatch.context() as patched:
        patched.setattr(handler.dynamodb, "_make_api_call", fail)
        reply = anna.post("/members", {}, key="1")

    assert (reply.status, reply.code) == (503, "unavailable")
    assert "IdempotencyPersistenceLayerError" in str([record.__dict__ for record in caplog.records])
    assert items(dynamodb) == []
    assert anna.post("/members", {}, key="1").status == 201


def crash_after(method: str, monkeypatch: pytest.MonkeyPatch, *, times_out: bool) -> None:
    """Let *method* of a table do its work and the function die right after."""
    table = handler.identities if method in {"bind", "unbind"} else handler.members
    work = getattr(table, method)

    def die(*arguments: Any, **named: Any) -> Any:
        work(*arguments, **named)
        # Lambda ends a function that times out from outside, with nothing caught.
        raise KeyboardInterrupt if times_out else RuntimeError("connection lost")

    monkeypatch.setattr(table, method, die)


@pytest.mark.parametrize("times_out", [False, True])
@pytest.mark.parametrize("method", WRITES)
def test_a_crash_between_effect_and_answer_is_mended_by_the_retry(
    dynamodb: Any, monkeypatch: pytest.MonkeyPatch, method: str, *, times_out: bool
) -> None:
    client = Client(handle=handler.handle, subject="sub-anna", groups="[member]", context=Hurried())
    if method != "enrol":
        client.post("/members", {"name": "Li"})
    if method == "unbind":
        client.post("/members/me/identities", PLATE)
    with monkeypatch.context() as patched:
        crash_after(method, patched, times_out=times_out)
        if times_out:
            with pytest.raises(KeyboardInterrupt):
                WRITES[method](client)
        else:
            assert WRITES[method](client).status == 500
    after_crash = items(dynamodb)

    retried = WRITES[method](client)

    assert retried.status in {200, 201, 204}, retried.text
    assert items(dynamodb) == after_crash


@pytest.mark.parametrize("name", ["Li", "Other"])
def test_a_crashed_enrolment_by_staff_makes_one_member(
    attendant: Client, dynamodb: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with monkeypatch.context() as patched:
        crash_after("enrol", patched, times_out=False)
        attendant.post("/members", {"name": "Li"}, key="1")
    before = items(dynamodb)

    reply = attendant.post("/members", {"name": name}, key="1")

    assert reply.status == (200 if name == "Li" else 409)
    assert items(dynamodb) == before


def test_a_request_that_is_being_worked_on_is_not_begun_again(
    anna: Client, dynamodb: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        crash_after("enrol", patched, times_out=True)
        with pytest.raises(KeyboardInterrupt):
            anna.post("/members", {"name": "Li"}, key="1")
    before = items(dynamodb)

    same = anna.post("/members", {"name": "Li"}, key="1")
    other = anna.post("/members", {"name": "Lei"}, key="1")

    assert (same.status, same.code) == (409, "in_progress")
    assert same.headers["Retry-After"] == "1"
    assert (other.status, other.code) == (422, "idempotency_key_reused")
    assert items(dynamodb) == before


def test_a_rival_with_the_same_key_does_nothing_while_the_first_works(dynamodb: Any) -> None:
    requests = Requests(dynamodb, name=REQUESTS_TABLE)
    first = RequestKey(caller="c", method="POST", route="/r", key="k", fingerprint="1")
    effects = []

    def perform() -> Answer:
        with pytest.raises(RequestInProgress):
            requests.once(first, perform, context=LambdaContext())
        with pytest.raises(IdempotencyKeyReused):
            requests.once(replace(first, fingerprint="2"), perform, context=LambdaContext())
        effects.append("done")
        return Answer(status=200, body={}, once={"private": "key"})

    answer = requests.once(first, perform, context=LambdaContext())
    replayed = requests.once(first, perform, context=LambdaContext())

    assert effects == ["done"]
    assert answer.once == {"private": "key"}
    assert replayed == replace(answer, once={}, replayed=True)
    assert "private" not in str(items(dynamodb, REQUESTS_TABLE))


def test_answers_are_kept_for_more_than_a_day(anna: Client, dynamodb: Any) -> None:
    began = time.time()
    anna.post("/members", {})

    (kept,) = items(dynamodb, REQUESTS_TABLE)

    assert int(kept["expiration"]["N"]) >= began + 24 * 3600
    assert timedelta(days=1) <= KEPT
