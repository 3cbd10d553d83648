"""
Answering a write once: the same key gets the same answer, and one effect.

A request is known by caller, method, route and `Idempotency-Key`. Its first answer is kept for
two days and replayed, refusals included: a retry learns what was decided then, and a new key
asks for a new decision. What failed in passing (a throttled table, a lost connection) is
not kept. A function that dies between effect and answer leaves no answer either; so
every effect behind this door has to recognise its own repetition.

What is kept is no place for personal data or private keys. Answers name things and hold no
profile; what is shown a single time goes into `Answer.once` and is never stored; of the
request only a fingerprint is kept.
"""

from __future__ import annotations

from dataclasses import field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyAlreadyInProgressError,
    IdempotencyInconsistentStateError,
    IdempotencyPersistenceLayerError,
    IdempotencyValidationError,
)
from aws_lambda_powertools.utilities.idempotency.serialization.base import (
    BaseIdempotencySerializer,
)

from forecourt.door_errors import IdempotencyKeyReused, RequestInProgress
from forecourt.errors import ForecourtError, Unavailable
from forecourt.problems import outcome_of, problem
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

KEPT = timedelta(days=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a request is answered; `once` is added to the body of the first answer only."""

    status: int
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    once: Mapping[str, Any] = field(default_factory=dict)
    replayed: bool = False

    @property
    def refused(self) -> bool:
        """Return whether the body is a problem document."""
        return self.status >= 400  # noqa: PLR2004


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestKey:
    """What a request is known by, and the fingerprint a retry has to have in common with it."""

    caller: str
    method: str
    route: str
    key: str
    fingerprint: str


class Requests:
    """The Requests table *name*: answers to requests that were made before."""

    def __init__(self, dynamodb: Any, *, name: str) -> None:
        self._config = IdempotencyConfig(
            event_key_jmespath="scope",
            payload_validation_jmespath="fingerprint",
            raise_on_no_idempotency_key=True,
            expires_after_seconds=int(KEPT.total_seconds()),
            hash_function="sha256",
        )
        self._perform = idempotent_function(
            _perform,
            data_keyword_argument="request",
            persistence_store=DynamoDBPersistenceLayer(table_name=name, boto3_client=dynamodb),
            config=self._config,
            output_serializer=_Kept(),
            key_prefix="forecourt",
        )

    def once(self, request: RequestKey, perform: Callable[[], Answer], *, context: Any) -> Answer:
        """
        Return what *perform* answers, or what it answered to this request before.

        Raise `IdempotencyKeyReused` for another request under the key and
        `RequestInProgress` while the first one lasts; that ends at the latest with the time
        *context* has left.
        """
        self._config.register_lambda_context(context)
        scope = [request.caller, request.method, request.route, request.key]
        try:
            answer: Answer = self._perform(
                request={"scope": scope, "fingerprint": request.fingerprint}, perform=perform
            )
        except IdempotencyValidationError:
            raise IdempotencyKeyReused from None
        except IdempotencyAlreadyInProgressError:
            raise RequestInProgress from None
        except (IdempotencyPersistenceLayerError, IdempotencyInconsistentStateError) as failure:
            raise Unavailable from failure
        return answer


def _perform(*, request: Mapping[str, Any], perform: Callable[[], Answer]) -> Answer:  # noqa: ARG001
    """Return what is decided; a decision against the caller is one too."""
    try:
        return perform()
    except ForecourtError as refusal:
        if not outcome_of(refusal).final:
            raise
        document = problem(refusal)
        return Answer(status=document["status"], body=document)


class _Kept(BaseIdempotencySerializer):
    """An answer as it is stored: without what is shown once."""

    def to_dict(self, data: Answer) -> dict[str, Any]:
        return {"status": data.status, "body": data.body, "headers": dict(data.headers)}

    def from_dict(self, data: dict[str, Any]) -> Answer:
        return replace(Answer(**data), replayed=True)
