"""
What is refused about a request whatever it asks for.

* Malformed
  - InvalidCursor          a page's cursor that we did not make, or not for this list
  - MalformedBody          a request's body
  - BodyTooLarge
  - UnsupportedMediaType
  - IdempotencyKeyMissing
  - IdempotencyKeyTooLong
* Unknown
  - UnknownRoute
* Rejected
  - IdempotencyKeyReused
  - RequestInProgress
"""

from __future__ import annotations

from forecourt.errors import Malformed, Rejected, Unknown


class InvalidCursor(Malformed):
    """A cursor that was altered, or belongs to another list. Start again without one."""

    code = "invalid_cursor"


class MalformedBody(Malformed):
    """A request's body is no JSON object."""

    code = "malformed_body"

    def __init__(self, *, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class BodyTooLarge(Malformed):
    """A request's body is longer than any of our documents."""

    code = "body_too_large"

    def __init__(self, *, limit_bytes: int) -> None:
        super().__init__(limit_bytes)
        self.limit_bytes = limit_bytes


class UnsupportedMediaType(Malformed):
    """A request's body is not labelled as JSON."""

    code = "unsupported_media_type"

    def __init__(self, *, expected: str) -> None:
        super().__init__(expected)
        self.expected = expected


class IdempotencyKeyMissing(Malformed):
    """A write came without a key, so a retry of it could not be told from a second write."""

    code = "idempotency_key_missing"

    def __init__(self, *, header: str) -> None:
        super().__init__(header)
        self.header = header


class IdempotencyKeyTooLong(Malformed):
    """A write's key is longer than we keep."""

    code = "idempotency_key_too_long"

    def __init__(self, *, longest: int) -> None:
        super().__init__(longest)
        self.longest = longest


class UnknownRoute(Unknown):
    """The API has no such path, or not for that method."""

    code = "unknown_route"


class IdempotencyKeyReused(Rejected):
    """The key belongs to another request of the same caller; nothing was written."""

    code = "idempotency_key_reused"


class RequestInProgress(Rejected):
    """The first request with this key is still being worked on."""

    code = "in_progress"
