"""Trying again when somebody else was faster."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, TypeVar

from forecourt.errors import StaleWrite

if TYPE_CHECKING:
    from collections.abc import Callable

# Why DynamoDB cancels a transaction that may well succeed when it is decided and sent again.
_PASSING = frozenset(
    {
        "None",
        "ConditionalCheckFailed",
        "TransactionConflict",
        "ProvisionedThroughputExceeded",
        "ThrottlingError",
    }
)

ATTEMPTS = 8
FIRST_PAUSE_SECONDS = 0.01

_T = TypeVar("_T")


def passing(codes: set[str]) -> bool:
    """Return whether the reasons a transaction was cancelled for pass by themselves."""
    return codes <= _PASSING


def until_settled(
    attempt: Callable[[], _T],
    *,
    sleep: Callable[[float], None] = time.sleep,
    jitter: Callable[[], float] = random.random,
) -> _T:
    """
    Return what *attempt* returns once it no longer raises `StaleWrite`.

    *attempt* must read again what it decides on. Pauses double, each cut short at random
    ("full jitter", M. Brooker, AWS Architecture Blog, 2015), so that rivals part. The last
    failure propagates: it is for the platform to retry, never a refusal to the caller.
    """
    pause = FIRST_PAUSE_SECONDS
    for _ in range(ATTEMPTS - 1):
        try:
            return attempt()
        except StaleWrite:
            sleep(pause * jitter())
            pause *= 2
    return attempt()
