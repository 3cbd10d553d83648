"""One local stack for all end-to-end tests, deployed by the real `cdk deploy`."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from infra.local.api_client import ApiClient
from infra.local.stack import LocalStack
from tests.e2e.drivers import enrolled
from tests.e2e.schedules import switch_off

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.drivers import Driver


@pytest.fixture(scope="session")
def stack() -> Iterator[LocalStack]:
    with LocalStack() as running:
        switch_off(running)
        yield running


@pytest.fixture(scope="session")
def operator(stack: LocalStack) -> ApiClient:
    return ApiClient(stack.api_url, stack.token("operator"))


@pytest.fixture
def driver(stack: LocalStack) -> Driver:
    return enrolled(stack)


@pytest.fixture
def other(stack: LocalStack) -> Driver:
    return enrolled(stack)


@pytest.fixture
def phone() -> str:
    """Return a number nobody has bound yet."""
    return f"139{secrets.randbelow(10**8):08}"


@pytest.fixture
def car() -> str:
    """Return a plate nobody has bound yet."""
    return f"浙A{secrets.randbelow(100_000):05}"
