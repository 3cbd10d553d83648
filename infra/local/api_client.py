"""The HTTP API as an app calls it, over the loopback interface."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any
from urllib.parse import urlsplit

import urllib3

TIMEOUT_SECONDS = 30.0
HTTP_ERROR = 400
# Too many requests, and what a gateway says of a slow or failing function.
PASSING = {429, 502, 503, 504}
PAUSES_SECONDS = (0.5, 1.0, 2.0)


class ApiError(Exception):
    """The API refused; `problem` is its problem document."""

    def __init__(self, *, status: int, problem: Any) -> None:
        super().__init__(status, problem)
        self.status = status
        self.problem = problem


class ApiClient:
    """Calls the API at *url*, such as `LocalStack.api_url`, with *token*."""

    def __init__(self, url: str, token: str | None = None) -> None:
        parts = urlsplit(url)
        self._prefix = parts.path.rstrip("/")
        self._token = token
        self._pool = urllib3.HTTPConnectionPool(
            parts.hostname or "", port=parts.port, timeout=TIMEOUT_SECONDS, retries=False, maxsize=8
        )

    def get(self, path: str) -> Any:
        """Return what is at *path*; raise `ApiError`."""
        return self.call("GET", path)

    def post(self, path: str, body: Any = None, *, key: str | None = None) -> Any:
        """Post *body* under the idempotency *key*, a new one when none is given."""
        return self.call("POST", path, body, key=key or str(uuid.uuid4()))

    def call(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> Any:
        """
        Return the answer's document; raise `ApiError` for a refusal.

        What gets no answer, or a passing fault, is sent again: under its idempotency key it
        happens once all the same.
        """
        for pause in PAUSES_SECONDS:
            try:
                status, document = self.send(method, path, body, key=key)
            except urllib3.exceptions.HTTPError:
                time.sleep(pause)
                continue
            if status in PASSING or _in_progress(document):
                time.sleep(pause)
                continue
            break
        else:
            status, document = self.send(method, path, body, key=key)
        if status >= HTTP_ERROR:
            raise ApiError(status=status, problem=document)
        return document

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Return status and document, whatever the status. A `bytes` body goes as it is."""
        sent = {"Content-Type": "application/json"} | (headers or {})
        if self._token:
            sent["Authorization"] = f"Bearer {self._token}"
        if key is not None:
            sent["Idempotency-Key"] = key
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        response = self._pool.request(method, self._prefix + path, body=content, headers=sent)
        try:
            return response.status, json.loads(response.data) if response.data else None
        except ValueError:
            return response.status, response.data.decode("utf-8", "replace")


def _in_progress(document: Any) -> bool:
    """Return whether an earlier attempt under the same key has not ended yet."""
    return isinstance(document, dict) and document.get("code") == "in_progress"
