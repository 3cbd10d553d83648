"""Clients that refuse or count. What a store can be made to do, moto is made to do instead."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable


def refusal(code: str) -> ClientError:
    """Return the error of a call that was refused with *code*."""
    return ClientError({"Error": {"Code": code, "Message": code}}, "Operation")


def cancellation(*codes: str) -> ClientError:
    """Return the error of a transaction cancelled for *codes*, one for each of its members."""
    return ClientError(
        {
            "Error": {"Code": "TransactionCanceledException", "Message": "cancelled"},
            "CancellationReasons": [{"Code": code} for code in codes],
        },
        "TransactWriteItems",
    )


class Reluctant:
    """
    A client whose *method* raises *refusals* one by one, then works.

    For throttling and conflicts between transactions, which moto and the local stack never
    raise.
    """

    def __init__(self, client: Any, method: str, *refusals: Exception) -> None:
        self._client = client
        self._method = method
        self.refusals = list(refusals)
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._client, name)
        return self._refusing(function) if name == self._method else function

    def _refusing(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            self.calls += 1
            if self.refusals:
                raise self.refusals.pop(0)
            return function(**arguments)

        return call


class Interrupting:
    """A client that lets something else happen just before the first call of *method*."""

    def __init__(self, client: Any, method: str, meanwhile: Callable[[], object]) -> None:
        self._client = client
        self._method = method
        self._meanwhile: Callable[[], object] | None = meanwhile

    def __getattr__(self, name: str) -> Any:
        if name == self._method and self._meanwhile is not None:
            meanwhile, self._meanwhile = self._meanwhile, None
            meanwhile()
        return getattr(self._client, name)


class Before:
    """A client that has something done before each call of *method*: it may raise."""

    def __init__(self, client: Any, method: str, first: Callable[[], object]) -> None:
        self._client = client
        self._method = method
        self._first = first

    def __getattr__(self, name: str) -> Any:
        if name == self._method:
            self._first()
        return getattr(self._client, name)


class Paging:
    """A client whose queries answer in small pages, as DynamoDB does after a megabyte."""

    def __init__(self, client: Any, *, page: int) -> None:
        self._client = client
        self._page = page

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def query(self, **arguments: Any) -> Any:
        return self._client.query(**arguments, Limit=self._page)


class Lagging:
    """A client whose reads see nothing yet, unless they ask for what is committed."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def get_item(self, **arguments: Any) -> Any:
        if not arguments.get("ConsistentRead"):
            return {}
        return self._client.get_item(**arguments)

    def batch_get_item(self, *, RequestItems: dict[str, Any]) -> Any:  # noqa: N803
        ((table, request),) = RequestItems.items()
        if not request["ConsistentRead"]:
            return {"Responses": {table: []}, "UnprocessedKeys": {}}
        return self._client.batch_get_item(RequestItems=RequestItems)


class Killed(BaseException):
    """The function is gone, and no `except` of its own will run."""


class Killing:
    """A client that does *calls* calls of *method*, and kills the function after the last."""

    def __init__(self, client: Any, method: str, *, calls: int) -> None:
        self._client = client
        self._method = method
        self._left = calls

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._client, name)
        return self._killing(function) if name == self._method else function

    def _killing(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            function(**arguments)
            self._left -= 1
            if self._left <= 0:
                raise Killed

        return call


class Starting:
    """Lambda, which moto does not run: it starts whatever it is told to, and remembers."""

    def __init__(self) -> None:
        self.started: list[dict[str, Any]] = []

    def invoke(self, **arguments: Any) -> dict[str, Any]:
        self.started.append(arguments)
        return {"StatusCode": 202}


class Counting:
    """A client that counts round trips by method, and the units DynamoDB charges for them."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._client, name)
        if name == "exceptions":
            return function

        def call(**arguments: Any) -> Any:
            self.calls[name] += 1
            return function(**arguments)

        return call
