"""
The door of an HTTP API: what every request passes before and after its route.

Before: who calls, how long the body is and whether it is JSON, whether a write has its key.
After: every refusal leaves as a problem document, one line is logged per answer, and
nothing of a failure shows but that there was one. Neither log nor problem repeats what the
caller sent: it may be somebody's number.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import inspect
import json
import traceback
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError

from forecourt.batches import Unprocessed
from forecourt.callers import Caller, caller_of
from forecourt.door_errors import (
    BodyTooLarge,
    IdempotencyKeyMissing,
    IdempotencyKeyTooLong,
    MalformedBody,
    UnknownRoute,
    UnsupportedMediaType,
)
from forecourt.errors import ForecourtError, InvalidRequest, Unavailable
from forecourt.once import Answer, RequestKey
from forecourt.problems import INTERNAL_ERROR, problem, problem_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aws_lambda_powertools import Logger
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from forecourt.once import Requests

MAX_BODY_BYTES = 32 * 1024
KEY_HEADER = "Idempotency-Key"
MAX_KEY_LENGTH = 255
REPLAYED_HEADER = "Idempotent-Replayed"
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
JSON = "application/json"
MAX_FINDINGS = 32

# What AWS calls "not now" where it does not say so with a status of 500 and above.
PASSING = frozenset(
    {
        "KMSInternalException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)


def plain_fingerprint(content: bytes) -> str:
    """Return what is kept of a request's content where that holds nothing personal."""
    return hashlib.sha256(content).hexdigest()


class Door:
    """
    The way in and out of one API function.

    *fingerprint* turns a request's content into what may be kept of it; where the content is
    personal, it has to be keyed.
    """

    def __init__(
        self, *, requests: Requests, fingerprint: Callable[[bytes], str], logger: Logger
    ) -> None:
        self.app = APIGatewayHttpResolver(
            enable_validation=True, response_validation_error_http_code=500
        )
        self._requests = requests
        self._fingerprint = fingerprint
        self._logger = logger
        self._context: Any = None
        self._caller: Caller | None = None
        self._body: dict[str, Any] = {}
        self._key = ""
        self._noted: dict[str, Any] = {}
        self.app.exception_handler(ForecourtError)(self._refuse)
        self.app.exception_handler(RequestValidationError)(self._refuse_invalid)
        self.app.exception_handler(NotFoundError)(self._refuse_unknown)
        self.app.exception_handler(_Refused)(self._replay_refusal)
        self.app.exception_handler(Exception)(self._fail)

    def handle(self, event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Answer one request of an HTTP API (payload format 2.0)."""
        self._context = context
        self._caller = None
        self._noted = {}
        headers = {name.lower(): value for name, value in event["headers"].items()}
        event = {**event, "headers": headers}
        try:
            self._admit(event)
        except ForecourtError as refusal:
            answer = _plain_answer(self._refusal(refusal))
        else:
            answer = self.app.resolve(event, context)
            # An answer without a body has an empty one: null is no text to send.
            answer["body"] = answer["body"] or ""
        self._logger.info(
            "answered",
            method=event["requestContext"]["http"]["method"],
            status=answer["statusCode"],
            **self._noted,
        )
        return answer

    def add(
        self, method: str, path: str, route: Callable[..., Response[Any]], *, tag: str, status: int
    ) -> None:
        """
        Register a route; its docstring is what the API's description says of it.

        *status* is that of a success. Placeholders in *path* are written `<name>`.
        """
        summary, _, description = inspect.cleandoc(route.__doc__ or "").partition("\n\n")
        self.app.route(
            path,
            method=method,
            operation_id=route.__name__,
            summary=summary,
            description=description or None,
            status_code=status,
            tags=[tag],
        )(route)

    @property
    def caller(self) -> Caller:
        """Return who made the request that is being answered."""
        if self._caller is None:
            raise LookupError("no request is being answered")
        return self._caller

    @property
    def key(self) -> str:
        """Return the key of the write that is being answered."""
        return self._key

    @property
    def request_id(self) -> str:
        """Return a name for the write that is being answered: its retries have the same."""
        named = f"{self.caller.subject}\n{self._key}".encode("utf-8", "surrogatepass")
        return hashlib.sha256(named).hexdigest()[:32]

    @property
    def exact_id(self) -> str:
        """Return a name for the write and what it says, to be remembered beside its work."""
        return self.id_about(self.fingerprint)

    def id_about(self, *what: str) -> str:
        """Return a name for the write and *what* it is about: one key may be used at many doors."""
        named = "\n".join((self.request_id, *what)).encode("utf-8", "surrogatepass")
        return hashlib.sha256(named).hexdigest()[:32]

    @property
    def fingerprint(self) -> str:
        """Return what the write that is being answered has in common with its retries."""
        event = self.app.current_event
        content = [event.path, self._body, event.headers.get("if-match")]
        return self._fingerprint(json.dumps(content, sort_keys=True).encode())

    def once(self, perform: Callable[[], Answer]) -> Response[Any]:
        """Answer a write with what *perform* returns, or returned to this request before."""
        request = self._note_route()
        answer = self._requests.once(
            RequestKey(
                caller=self.caller.subject,
                method=request.method,
                route=request.route,
                key=self._key,
                fingerprint=self.fingerprint,
            ),
            perform,
            context=self._context,
        )
        if answer.replayed:
            self._noted["replayed"] = True
        if answer.refused:
            raise _Refused(answer)
        if answer.body is None:
            return Response(status_code=answer.status, headers=_headers_of(answer))
        return Response(
            status_code=answer.status,
            content_type=JSON,
            body={**answer.body, **answer.once},
            headers=_headers_of(answer),
        )

    def show(
        self, body: Mapping[str, Any], *, headers: Mapping[str, str] | None = None
    ) -> Response[Any]:
        """Answer a read with *body*."""
        self._note_route()
        return Response(
            status_code=200,
            content_type=JSON,
            body=dict(body),
            headers={"Cache-Control": "no-store", **(headers or {})},
        )

    def _admit(self, event: dict[str, Any]) -> None:
        self._caller = caller_of(event)
        self._noted["caller"] = self._caller.subject
        content = _content_of(event)
        if len(content) > MAX_BODY_BYTES:
            raise BodyTooLarge(limit_bytes=MAX_BODY_BYTES)
        headers = event["headers"]
        label = headers.get("content-type", JSON).partition(";")[0].strip().lower()
        if content and label != JSON:
            raise UnsupportedMediaType(expected=JSON)
        headers["content-type"] = JSON  # in the one spelling the resolver knows
        self._body = _json_object(content) if content else {}
        self._key = headers.get(KEY_HEADER.lower(), "")
        if event["requestContext"]["http"]["method"] not in WRITES:
            return
        if not self._key:
            raise IdempotencyKeyMissing(header=KEY_HEADER)
        if len(self._key) > MAX_KEY_LENGTH:
            raise IdempotencyKeyTooLong(longest=MAX_KEY_LENGTH)

    def _note_route(self) -> Any:
        request = self.app.request
        self._noted["route"] = request.route
        return request

    def _refuse(self, refusal: ForecourtError) -> Response[Any]:
        self._note_route()
        if isinstance(refusal.__cause__, Exception):
            self._log_failure(refusal.__cause__)
        return self._refusal(refusal)

    def _refuse_invalid(self, failure: RequestValidationError) -> Response[Any]:
        return self._refuse(InvalidRequest(findings=_findings(failure)))

    def _refuse_unknown(self, _: NotFoundError) -> Response[Any]:
        return self._refusal(UnknownRoute())  # there is no route to note, and a path may tell

    def _refusal(self, refusal: ForecourtError) -> Response[Any]:
        self._noted["code"] = refusal.code
        return _problem_response(problem(refusal))

    def _replay_refusal(self, refused: _Refused) -> Response[Any]:
        document = dict(refused.answer.body or {})
        self._noted["code"] = document["code"]
        response = _problem_response(document)
        response.headers.update(_headers_of(refused.answer))
        return response

    def _fail(self, failure: Exception) -> Response[Any]:
        self._note_route()
        self._log_failure(failure)
        if _passing(failure):
            return self._refusal(Unavailable())
        self._noted["code"] = INTERNAL_ERROR["code"]
        return _problem_response(INTERNAL_ERROR)

    def _log_failure(self, failure: Exception) -> None:
        # Not the message: a validation error, for one, quotes what it was given.
        self._logger.error(
            "request failed",
            error=type(failure).__name__,
            error_code=_aws_code(failure),
            at=[
                f"{frame.filename}:{frame.lineno} {frame.name}"
                for frame in traceback.extract_tb(failure.__traceback__)
            ],
        )


class _Refused(Exception):
    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def _content_of(event: Mapping[str, Any]) -> bytes:
    body = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return str(body).encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error:
        raise MalformedBody(reason="not_base64") from None


def _json_object(content: bytes) -> dict[str, Any]:
    try:
        document = json.loads(content.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise MalformedBody(reason="not_json") from None
    if not isinstance(document, dict):
        raise MalformedBody(reason="not_an_object")
    return document


def _refuse_constant(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are JavaScript, not JSON


def _findings(failure: RequestValidationError) -> list[dict[str, str]]:
    return [
        {
            "at": "/" + "/".join(str(part) for part in error["loc"]),
            "reason": str(error["type"]),
        }
        for error in failure.errors()[:MAX_FINDINGS]
    ]


def _headers_of(answer: Answer) -> dict[str, str]:
    replayed = {REPLAYED_HEADER: "true"} if answer.replayed else {}
    return {"Cache-Control": "no-store", **answer.headers, **replayed}


def _problem_response(document: Mapping[str, Any]) -> Response[Any]:
    return Response(
        status_code=document["status"],
        body=json.dumps(document, sort_keys=True),
        headers=problem_headers(document["status"], code=document["code"]),
    )


def _plain_answer(response: Response[Any]) -> dict[str, Any]:
    return {
        "statusCode": response.status_code,
        "body": response.body,
        "isBase64Encoded": False,
        "headers": response.headers,
        "cookies": [],
    }


def _aws_code(failure: Exception) -> str | None:
    return failure.response["Error"]["Code"] if isinstance(failure, ClientError) else None


def _passing(failure: Exception) -> bool:
    """Return whether the same request may well succeed in a moment."""
    if isinstance(failure, ClientError):
        status = failure.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return _aws_code(failure) in PASSING or status >= 500  # noqa: PLR2004
    return isinstance(failure, HTTPClientError | NoConnectionError | Unprocessed)
