"""Matching, as its container opens it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from forecourt.assigning import open_assignment
from functions.matching import handler
from tests.functional.conftest import client

if TYPE_CHECKING:
    from types import ModuleType


@pytest.fixture
def matching(aws: None) -> ModuleType:  # noqa: ARG001 - what it remembers is of this AWS
    handler.assignment = open_assignment(handler.settings, client("dynamodb"))
    return handler
