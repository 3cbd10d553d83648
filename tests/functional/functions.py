"""The description of the API as it is served, and which function is behind an operation."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from functions.corrections import handler as corrections
from functions.members import handler as members
from functions.merging import handler as merging
from functions.openapi import handler as openapi
from functions.operator import handler as operator
from functions.redemption import handler as redemption
from functions.rulings import handler as rulings

if TYPE_CHECKING:
    from types import ModuleType

DESCRIBED: dict[str, Any] = json.loads(openapi.DOCUMENT)
BY_TAG: dict[str, ModuleType] = {
    "members": members,
    "questions": members,
    "merging": merging,
    "corrections": corrections,
    "budgets": corrections,
    "redemption": redemption,
    "pools": redemption,
    "stations": operator,
    "programs": operator,
    "weights": operator,
    "sales": operator,
    "tellings": operator,
    "rulings": rulings,
}


def handler_of(route: str) -> ModuleType:
    """Return the handler behind *route*, as `GET /members/{member_id}`."""
    method, path = route.split(" ")
    (tag,) = DESCRIBED["paths"][path][method.lower()]["tags"]
    return BY_TAG[tag]
