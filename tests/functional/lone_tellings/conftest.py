"""When the tellings that wait are looked at, and by whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from functions.operator import handler as operator
from tests.functional.lone_tellings.waiting import LONG_AFTER, somebody

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tests.functional.http import Client


@pytest.fixture(autouse=True)
def clock(aws: None, monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:  # noqa: ARG001
    def set_clock(at: datetime) -> None:
        monkeypatch.setattr(operator.tellings, "_now", lambda: at)

    set_clock(LONG_AFTER)
    return set_clock


@pytest.fixture
def manager() -> Client:
    return somebody("manager")
