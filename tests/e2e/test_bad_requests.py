"""A request that cannot be met is refused by a stable code, and writes nothing."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import pytest
import urllib3

from forecourt.doors import MAX_BODY_BYTES, MAX_KEY_LENGTH
from infra.local.seed import PROGRAM
from tests.e2e.traces import PREFIX, nothing_left

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.local.api_client import ApiClient
    from infra.local.stack import LocalStack
    from tests.e2e.traces import Items, Traces

STATION = {
    "station_id": f"{PREFIX}new",
    "name": "New",
    "zone": "Asia/Shanghai",
    "grades": ["92"],
}
FACE = {"kind": "face", "value": "X"}
NO_PLATE = {"kind": "plate", "value": "X"}


@pytest.fixture(scope="module", autouse=True)
def traces(stack: LocalStack) -> Iterator[Traces]:
    with nothing_left(stack) as traces:
        yield traces


@pytest.fixture
def before(traces: Traces) -> Items:
    """Everything stored before the test."""
    return traces.items()


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/members", b'{"name":', 400, "malformed_body"),
        ("POST", "/members", b'"name"', 400, "malformed_body"),
        ("POST", "/members", b'{"name":NaN}', 400, "malformed_body"),
        ("POST", "/members", b"\xff", 400, "malformed_body"),
        ("POST", "/members", b"[" * 10_000, 400, "malformed_body"),
        ("POST", "/members", b"{}" + b" " * MAX_BODY_BYTES, 413, "body_too_large"),
        ("POST", "/members", {"name": 7}, 422, "invalid_request"),
        ("POST", "/members", {"name": "x" * 65}, 422, "invalid_request"),
        ("POST", "/members", {"points": 1_000_000}, 422, "invalid_request"),
        ("POST", "/members", {"member_id": "somebody"}, 422, "invalid_request"),
        (
            "POST",
            "/members/me/identities",
            {"kind": "plate", "value": "X"},
            422,
            "invalid_identity",
        ),
        ("POST", "/members/me/identities", FACE, 422, "invalid_request"),
        ("PATCH", "/members/me", {"birth_on": "2026-02-30"}, 422, "invalid_request"),
        ("DELETE", "/members/me/identities/plate", None, 404, "unknown_identity"),
        ("GET", "/members/me/entries?limit=0", None, 422, "invalid_request"),
        ("GET", "/members/me/entries?limit=many", None, 422, "invalid_request"),
        ("GET", "/members/me/entries?cursor=forged", None, 400, "invalid_cursor"),
        ("GET", "/members/%2e%2e", None, 404, "unknown_member"),
        ("POST", "/stations", STATION | {"station_id": "UPPER"}, 422, "invalid_request"),
        ("POST", "/stations", STATION | {"zone": "Moon/Crater"}, 422, "invalid_request"),
        ("POST", "/stations", STATION | {"grades": []}, 422, "invalid_request"),
        ("POST", "/stations", STATION | {"open_since": 7}, 422, "invalid_request"),
        ("POST", "/stations", STATION | {"csr": "mine"}, 422, "invalid_request"),
        ("POST", "/programs", PROGRAM | {"validity": {"months": 1.5}}, 422, "invalid_request"),
        ("POST", "/programs", PROGRAM | {"zone": None}, 422, "invalid_request"),
        ("POST", "/programs/0/activation", {}, 422, "invalid_request"),
        ("POST", "/programs/one/activation", {}, 422, "invalid_request"),
        ("POST", "/sales/no-sale/release", None, 404, "unknown_sale"),
        ("GET", "/sales?queue=everything", None, 422, "invalid_request"),
        ("GET", "/sales", None, 422, "invalid_request"),
    ],
    ids=lambda value: None if isinstance(value, bytes | dict) else str(value),
)
def test_a_request_that_cannot_be_met_is_refused_and_writes_nothing(
    *,
    operator: ApiClient,
    traces: Traces,
    before: Items,
    method: str,
    path: str,
    body: Any,
    status: int,
    code: str,
) -> None:
    answered, problem = operator.send(method, path, body, key=secrets.token_hex(8))

    assert (answered, problem["code"]) == (status, code)
    # A final refusal is kept for the retry of the request; nothing else is.
    assert {table for table, _ in traces.written(before)} <= {"requests"}


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (None, "idempotency_key_missing"),
        ("", "idempotency_key_missing"),
        ("k" * (MAX_KEY_LENGTH + 1), "idempotency_key_too_long"),
    ],
    ids=["none", "empty", "too long"],
)
@pytest.mark.parametrize(("path", "body"), [("/members", {}), ("/stations", STATION)])
def test_a_write_without_a_usable_key_is_refused(
    *,
    operator: ApiClient,
    traces: Traces,
    before: Items,
    path: str,
    body: Any,
    key: str | None,
    code: str,
) -> None:
    status, problem = operator.send("POST", path, body, key=key)

    assert (status, problem["code"]) == (400, code)
    assert not traces.written(before)


def test_a_key_of_the_longest_kind_is_taken(operator: ApiClient) -> None:
    status, _ = operator.send("POST", "/members", {}, key="k" * MAX_KEY_LENGTH)

    assert status == 201


def test_a_key_used_again_with_another_body_is_refused_and_changes_nothing(
    operator: ApiClient, traces: Traces
) -> None:
    key = secrets.token_hex(8)
    _, enrolled = operator.send("POST", "/members", {"name": "First"}, key=key)
    before = traces.settled()

    status, problem = operator.send("POST", "/members", {"name": "Second"}, key=key)
    repeated = operator.send("POST", "/members", {"name": "First"}, key=key)

    assert (status, problem["code"]) == (422, "idempotency_key_reused")
    assert repeated == (201, enrolled)
    assert traces.settled() == before


def test_a_body_that_is_not_labelled_as_json_is_refused(
    operator: ApiClient, traces: Traces, before: Items
) -> None:
    status, problem = operator.send(
        "POST", "/members", b"name=x", key="k", headers={"Content-Type": "text/plain"}
    )

    assert (status, problem["code"]) == (415, "unsupported_media_type")
    assert not traces.written(before)


def test_a_refusal_is_a_problem_document_and_repeats_nothing_that_was_sent(
    stack: LocalStack,
) -> None:
    sent = {"kind": "phone", "value": "13800138000-and-more"}

    answer = urllib3.request(
        "POST",
        f"{stack.api_url}/members/me/identities",
        json=sent,
        headers={"Authorization": f"Bearer {stack.token('operator')}", "Idempotency-Key": "k1"},
    )

    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert set(answer.json()) == {"type", "title", "status", "code", "facts"}
    assert answer.json()["status"] == answer.status == 422
    assert "13800138000" not in answer.data.decode()


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", "/member"), ("PUT", "/members/me"), ("DELETE", "/stations/e2e-ours")],
)
def test_what_is_no_route_is_not_found(operator: ApiClient, method: str, path: str) -> None:
    assert operator.send(method, path, key="k")[0] == 404
