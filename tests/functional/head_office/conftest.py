"""Who speaks to the operator API, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from functions.operator import handler
from tests.functional.head_office.documents import NOW
from tests.functional.http import Client

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime


@pytest.fixture(autouse=True)
def clock(aws: None, monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:  # noqa: ARG001
    def set_clock(at: datetime) -> None:
        for routes in (handler.stations, handler.programs, handler.reviews, handler.quotes):
            monkeypatch.setattr(routes, "_now", lambda: at)

    set_clock(NOW)
    return set_clock


@pytest.fixture
def operator() -> Client:
    return Client(handle=handler.handle, subject="sub-operator", groups="[operator]")


@pytest.fixture
def manager() -> Client:
    return Client(handle=handler.handle, subject="sub-manager", groups="[manager]")


@pytest.fixture
def auditor() -> Client:
    return Client(handle=handler.handle, subject="sub-auditor", groups="[auditor]")
