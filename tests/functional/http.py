"""HTTP requests as API Gateway hands them to a function (payload format 2.0)."""

from __future__ import annotations

import base64
import itertools
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from tests.functional.conftest import LambdaContext

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_keys = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)

    @property
    def code(self) -> str:
        """Return a problem's code, having seen that it is a problem document."""
        assert self.headers["Content-Type"] == "application/problem+json"
        assert self.body["status"] == self.status
        assert set(self.body) == {"type", "title", "status", "code", "facts"}
        code: str = self.body["code"]
        return code

    @property
    def facts(self) -> Any:
        return self.body["facts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Somebody with a token, before one function."""

    handle: Callable[[dict[str, Any], Any], dict[str, Any]]
    subject: str
    groups: str
    context: Any = field(default_factory=LambdaContext)

    def get(self, path: str, **query: Any) -> Reply:
        return self.send("GET", path, query=query)

    def post(self, path: str, body: Any = None, *, key: str | None = None) -> Reply:
        return self.write("POST", path, body, key=key)

    def put(self, path: str, body: Any, *, key: str | None = None) -> Reply:
        return self.write("PUT", path, body, key=key)

    def patch(
        self, path: str, body: Any, *, key: str | None = None, if_match: str | None = None
    ) -> Reply:
        headers = {"if-match": if_match} if if_match else {}
        return self.write("PATCH", path, body, key=key, headers=headers)

    def delete(self, path: str, *, key: str | None = None) -> Reply:
        return self.write("DELETE", path, None, key=key)

    def write(
        self,
        method: str,
        path: str,
        body: Any,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send a write under *key*, or under a new one."""
        key = f"key-{next(_keys)}" if key is None else key
        return self.send(
            method,
            path,
            raw=None if body is None else json.dumps(body),
            headers={"idempotency-key": key, **(headers or {})},
        )

    def send(
        self,
        method: str,
        path: str,
        *,
        raw: str | bytes | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send just this."""
        event = request_event(
            method, path, raw=raw, query=query, headers=headers, claims=self.claims
        )
        answer = self.handle(event, self.context)
        return Reply(status=answer["statusCode"], headers=answer["headers"], text=answer["body"])

    @property
    def claims(self) -> dict[str, str]:
        return {"sub": self.subject, "cognito:groups": self.groups}


def request_event(
    method: str,
    path: str,
    *,
    raw: str | bytes | None = None,
    query: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    claims: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return one request; bytes travel as base64, which is how binary bodies arrive."""
    texts = {name: str(value) for name, value in (query or {}).items()}
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": urlencode(texts),
        "headers": {"content-type": "application/json", **(headers or {})},
        "requestContext": {
            "stage": "$default",
            "requestId": "request-1",
            "http": {"method": method, "path": path, "sourceIp": "192.0.2.1"},
        },
        "isBase64Encoded": isinstance(raw, bytes),
    }
    if texts:
        event["queryStringParameters"] = texts
    if raw is not None:
        event["body"] = base64.b64encode(raw).decode() if isinstance(raw, bytes) else raw
    if claims is not None:
        event["requestContext"]["authorizer"] = {"jwt": {"claims": dict(claims), "scopes": None}}
    return event
