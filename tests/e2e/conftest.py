"""One local stack for all end-to-end tests, deployed by the real `cdk deploy`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.local.api_client import ApiClient
from infra.local.stack import LocalStack

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def stack() -> Iterator[LocalStack]:
    with LocalStack() as running:
        yield running


@pytest.fixture(scope="session")
def operator(stack: LocalStack) -> ApiClient:
    return ApiClient(stack.api_url, stack.token("operator"))
