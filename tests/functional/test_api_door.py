"""What every request to an API passes, signed in and within limits; and how failures leave."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from forecourt.doors import MAX_BODY_BYTES, Door
from forecourt.once import Requests
from functions.members import handler
from tests.functional.clients import refusal
from tests.functional.conftest import REQUESTS_TABLE
from tests.functional.enrolling import PLATE, items
from tests.functional.http import Client, request_event

pytestmark = pytest.mark.usefixtures("aws")


# --- before the route -------------------------------------------------------------------------


@pytest.mark.parametrize("claims", [None, {}, {"sub": "not an id"}, {"sub": ""}])
def test_without_a_usable_subject_nobody_gets_in(
    dynamodb: Any, context: Any, claims: dict[str, str] | None
) -> None:
    event = request_event(
        "POST", "/members", raw="{}", headers={"idempotency-key": "1"}, claims=claims
    )

    answer = handler.handle(event, context)

    assert answer["statusCode"] == 401
    assert json.loads(answer["body"])["code"] == "unauthenticated"
    assert items(dynamodb) == items(dynamodb, REQUESTS_TABLE) == []


@pytest.mark.parametrize("as_bytes", [False, True])
def test_a_body_may_be_as_long_as_the_limit_and_no_longer(
    anna: Client, dynamodb: Any, *, as_bytes: bool
) -> None:
    anna.post("/members", {})
    before = items(dynamodb)
    text = '{"name":"Li"' + " " * (MAX_BODY_BYTES - 13) + "}"
    longer = text[:-1] + " }"

    def send(content: str) -> Any:
        raw = content.encode() if as_bytes else content
        headers = {"idempotency-key": str(len(content))}
        return anna.send("PATCH", "/members/me", raw=raw, headers=headers)

    refused = send(longer)

    assert (refused.status, refused.code) == (413, "body_too_large")
    assert refused.facts == {"limit_bytes": MAX_BODY_BYTES}
    assert items(dynamodb) == before
    assert send(text).status == 200


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("{", "not_json"),
        ("{'name': 1}", "not_json"),
        ('{"name": NaN}', "not_json"),
        ("[" * 20_000, "not_json"),
        ("1" * 5_000, "not_json"),
        (b"\xff\xfe", "not_json"),
        ("\ud800", "not_json"),
        ("[]", "not_an_object"),
        ("null", "not_an_object"),
        ('"text"', "not_an_object"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(
    anna: Client, dynamodb: Any, raw: str | bytes, reason: str
) -> None:
    reply = anna.send("POST", "/members", raw=raw, headers={"idempotency-key": "1"})

    assert (reply.status, reply.code, reply.facts) == (400, "malformed_body", {"reason": reason})
    assert items(dynamodb) == items(dynamodb, REQUESTS_TABLE) == []


def test_a_body_that_is_no_base64_is_refused(dynamodb: Any, context: Any) -> None:
    event = request_event(
        "POST",
        "/members",
        raw="not base64",
        headers={"idempotency-key": "1"},
        claims={"sub": "sub-anna", "cognito:groups": "[member]"},
    )
    event["isBase64Encoded"] = True

    answer = handler.handle(event, context)

    assert answer["statusCode"] == 400
    assert json.loads(answer["body"])["facts"] == {"reason": "not_base64"}
    assert items(dynamodb) == []


@pytest.mark.parametrize("label", ["text/plain", "application/x-www-form-urlencoded", "a;b"])
def test_a_body_that_is_not_labelled_as_json_is_refused(
    anna: Client, dynamodb: Any, label: str
) -> None:
    headers = {"idempotency-key": "1", "content-type": label}

    reply = anna.send("POST", "/members", raw="{}", headers=headers)

    assert (reply.status, reply.code) == (415, "unsupported_media_type")
    assert items(dynamodb) == []


@pytest.mark.parametrize("label", ["application/json; charset=utf-8", "Application/JSON"])
def test_json_may_be_labelled_in_any_way_that_means_it(anna: Client, label: str) -> None:
    headers = {"idempotency-key": "1", "content-type": label}

    assert anna.send("POST", "/members", raw="{}", headers=headers).status == 201


@pytest.mark.parametrize(
    ("body", "at"),
    [
        ({"name": 5}, "/body/name"),
        ({"name": ""}, "/body/name"),
        ({"name": "x" * 65}, "/body/name"),
        ({"name": "a\x00b"}, "/body/name"),
        ({"name": "\ud800"}, "/body/name"),
        ({"language": "ZH"}, "/body/language"),
        ({"birth_on": "1990-02-30"}, "/body/birth_on"),
        ({"birth_on": 0}, "/body/birth_on"),
        ({"nmae": "Li"}, "/body/nmae"),
        ({"member_id": "sub-bert"}, "/body/member_id"),
    ],
)
def test_what_the_schema_does_not_allow_is_refused_by_place_and_reason(
    anna: Client, dynamodb: Any, body: dict[str, Any], at: str
) -> None:
    reply = anna.post("/members", body)

    assert (reply.status, reply.code) == (422, "invalid_request")
    assert [finding["at"] for finding in reply.facts["findings"]] == [at]
    assert items(dynamodb) == items(dynamodb, REQUESTS_TABLE) == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/members"),
        ("POST", "/members/me"),
        ("GET", "/members/me/coupons"),
        ("GET", "/stations"),
    ],
)
def test_what_is_no_route_is_not_found(anna: Client, method: str, path: str) -> None:
    reply = anna.send(method, path, headers={"idempotency-key": "1"})

    assert (reply.status, reply.code) == (404, "unknown_route")


# --- failures ---------------------------------------------------------------------------------


def test_a_failure_shows_nothing_but_that_there_was_one(
    anna: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ValueError("浙A12345 is not what was expected")

    anna.post("/members", {})
    monkeypatch.setattr(handler.identities, "bind", fail)
    reply = anna.post("/members/me/identities", PLATE)

    assert (reply.status, reply.code, reply.facts) == (500, "internal_error", {})
    logged = str([record.__dict__ for record in caplog.records])
    assert "test_api_door.py" in logged
    assert "ValueError" in logged
    assert "12345" not in logged


def test_an_answer_that_does_not_fit_its_schema_is_our_failure_not_the_callers(
    anna: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna.post("/members", {})
    monkeypatch.setattr(handler.identities, "identities", lambda _: [])
    monkeypatch.setattr("functions.members.api.IDENTITIES_MAX", "many")

    reply = anna.get("/members/me/identities")

    assert (reply.status, reply.code) == (500, "internal_error")


def test_nothing_is_cached_on_the_way(anna: Client) -> None:
    replies = [
        anna.post("/members", {}),
        anna.get("/members/me"),
        anna.get("/members/sub-bert"),
        anna.get("/nowhere"),
    ]

    assert {reply.headers["Cache-Control"] for reply in replies} == {"no-store"}


def test_a_secret_that_cannot_be_read_now_is_a_passing_failure(
    anna: Client, dynamodb: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise refusal("ProvisionedThroughputExceededException")

    handler.identity_keys.forget()
    monkeypatch.setattr(handler.identity_keys, "_client", SimpleNamespace(get_secret_value=fail))
    reply = anna.post("/members", {})

    assert (reply.status, reply.code) == (503, "unavailable")
    assert items(dynamodb) == []


def test_there_is_no_caller_before_a_request() -> None:
    door = Door(
        requests=Requests(handler.dynamodb, name=REQUESTS_TABLE),
        fingerprint=handler.fingerprint,
        logger=handler.logger,
    )

    with pytest.raises(LookupError):
        door.caller  # noqa: B018 - reading it is the claim
