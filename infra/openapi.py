"""
The description of the HTTP API, made from the code that answers it.

    python -m infra.openapi           writes functions/openapi/openapi.json

Routes, bodies and limits come from the API functions; what the door does for every route
(keys, problems, sign-in) is added here from the door's own constants.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any, cast

from forecourt.doors import KEY_HEADER, MAX_KEY_LENGTH, REPLAYED_HEADER, WRITES, Door
from forecourt.problems import INTERNAL_ERROR, OUTCOMES, PROBLEM_JSON
from functions.corrections.adjusting import AdjustmentRoutes
from functions.corrections.awarding import AwardRoutes
from functions.corrections.budgeting import BudgetRoutes
from functions.corrections.desk import Desk
from functions.corrections.freezing import FreezingRoutes
from functions.corrections.refunding import RefundRoutes
from functions.members.api import MembersApi
from functions.members.presences import PresenceRoutes
from functions.members.proofs import ProofRoutes
from functions.members.questions import QuestionRoutes
from functions.members.wallets import WalletRoutes
from functions.merging.merging import MergeRoutes
from functions.operator.programs import ProgramRoutes
from functions.operator.quotes import QuoteRoutes
from functions.operator.reviews import ReviewRoutes
from functions.operator.stations import StationRoutes
from functions.operator.tellings import TellingRoutes
from functions.operator.weights import WeightsRoutes
from functions.redemption.counter import Counter
from functions.redemption.depositing import DepositRoutes
from functions.redemption.giving import GivingRoutes
from functions.redemption.pooling import PoolRoutes
from functions.redemption.redeeming import RedemptionRoutes
from functions.redemption.returning import ReturnRoutes
from functions.rulings.ruling import RulingRoutes

__all__ = ["DOCUMENT_PATH", "document"]

DOCUMENT_PATH = Path(__file__).parents[1] / "functions" / "openapi" / "openapi.json"
API_VERSION = "1.0.0"
NOTHING = cast("Any", None)  # routes are described here, and none is called

PROBLEM_RESPONSES = {
    "400": "The request cannot be understood, or a write has no key",
    "401": "Who calls is not known; the gateway says so, with a `message` alone",
    "403": "The caller may not do this",
    "404": "There is no such thing, or not for this caller",
    "413": "The body is too large",
    "415": "The body is not JSON",
    "422": "The request does not fit its schema, or its key belongs to another request",
    "500": "Something went wrong on our side",
    "503": "A service does not answer; the same request may come again",
}
WRITE_RESPONSES = {
    "409": "This may not happen now, or the first request with the key is not done",
    "412": "Somebody else changed it meanwhile",
}


def document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of all API functions."""
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for door in (
        _members_door(),
        _operator_door(),
        _corrections_door(),
        _redemption_door(),
        _rulings_door(),
        _merging_door(),
    ):
        described = _described(door)
        for path, methods in described["paths"].items():
            paths.setdefault(path, {}).update(methods)
        schemas |= described["components"]["schemas"]
    for unused in ("HTTPValidationError", "ResponseValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for path in paths.values():
        for method, operation in path.items():
            _complete(operation, writes=method.upper() in WRITES)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Forecourt",
            "version": API_VERSION,
            "description": (
                "Loyalty for petrol stations. Volumes are millilitres, money is fen, instants "
                "are UTC. Refusals are problem documents (RFC 9457); decide by `code`."
            ),
        },
        "security": [{"token": []}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted({**schemas, "Problem": _problem_schema()}.items())),
            "parameters": {"IdempotencyKey": _key_parameter()},
            "responses": {
                f"Problem{status}": _problem_response(description)
                for status, description in {**PROBLEM_RESPONSES, **WRITE_RESPONSES}.items()
            },
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
        },
    }


def written(content: dict[str, Any]) -> str:
    """Return *content* as it is written to the file."""
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def _members_door() -> Door:
    door = _door()
    MembersApi(
        door=door,
        members=NOTHING,
        statements=NOTHING,
        identities=NOTHING,
        sales=NOTHING,
        homes=NOTHING,
        loyalty=NOTHING,
        ring=NOTHING,
    )
    PresenceRoutes(door=door, presences=NOTHING, stations=NOTHING)
    ProofRoutes(door=door, loyalty=NOTHING, pools=NOTHING, shelf=NOTHING)
    QuestionRoutes(
        door=door,
        questions=NOTHING,
        sales=NOTHING,
        portraits=NOTHING,
        presences=NOTHING,
        loyalty=NOTHING,
    )
    WalletRoutes(door=door, members=NOTHING, loyalty=NOTHING, statements=NOTHING, keeping=NOTHING)
    return door


def _operator_door() -> Door:
    door = _door()
    StationRoutes(door=door, table=NOTHING, things=NOTHING, now=NOTHING)
    ProgramRoutes(door=door, table=NOTHING, stations=NOTHING, now=NOTHING)
    QuoteRoutes(door=door, table=NOTHING, programs=NOTHING, now=NOTHING)
    WeightsRoutes(door=door, table=NOTHING, learn=NOTHING, now=NOTHING)
    ReviewRoutes(door=door, sales=NOTHING, sealer=NOTHING, now=NOTHING)
    TellingRoutes(
        door=door, stations=NOTHING, lone=NOTHING, retold=NOTHING, sealer=NOTHING, now=NOTHING
    )
    return door


def _rulings_door() -> Door:
    door = _door()
    RulingRoutes(door=door, sales=NOTHING, ruled=NOTHING, book=NOTHING, now=NOTHING)
    return door


def _corrections_door() -> Door:
    door = _door()
    desk = Desk(door=door, loyalty=NOTHING, ledger=NOTHING, keeping=NOTHING, now=NOTHING)
    AdjustmentRoutes(desk, table=NOTHING)
    BudgetRoutes(desk, budgets=NOTHING, table=NOTHING)
    AwardRoutes(desk, budgets=NOTHING)
    FreezingRoutes(desk, table=NOTHING)
    RefundRoutes(desk, sales=NOTHING, book=NOTHING)
    return door


def _redemption_door() -> Door:
    door = _door()
    counter = Counter(
        door=door, loyalty=NOTHING, ledger=NOTHING, pools=NOTHING, keeping=NOTHING, now=NOTHING
    )
    RedemptionRoutes(counter)
    ReturnRoutes(counter)
    DepositRoutes(counter)
    GivingRoutes(counter)
    PoolRoutes(counter)
    return door


def _merging_door() -> Door:
    door = _door()
    MergeRoutes(door=door, members=NOTHING, keeping=NOTHING, now=NOTHING)
    return door


def _door() -> Door:
    return Door(requests=NOTHING, fingerprint=NOTHING, logger=NOTHING)


def _described(door: Door) -> dict[str, Any]:
    described: dict[str, Any] = json.loads(door.app.get_openapi_json_schema())
    return described


def _complete(operation: dict[str, Any], *, writes: bool) -> None:
    """Add what the door does for the operation, whatever its route says."""
    answers = PROBLEM_RESPONSES | (WRITE_RESPONSES if writes else {})
    said: dict[str, Any] = operation["responses"]
    if "201" in said:
        said["200"] = {**said["201"], "description": "It was so already"}
    if "204" in said:
        del said["204"]["content"]
    said |= {status: {"$ref": f"#/components/responses/Problem{status}"} for status in answers}
    operation["responses"] = dict(sorted(said.items()))
    if writes:
        key = {"$ref": "#/components/parameters/IdempotencyKey"}
        operation["parameters"] = [*operation.get("parameters", ()), key]


def _key_parameter() -> dict[str, Any]:
    return {
        "name": KEY_HEADER,
        "in": "header",
        "required": True,
        "description": (
            "Your own name for this request. Sent again with the same content, it is answered "
            f"like the first time, with `{REPLAYED_HEADER}: true`, for two days."
        ),
        "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH},
    }


def _problem_schema() -> dict[str, Any]:
    codes = {error.code for error in OUTCOMES} | {str(INTERNAL_ERROR["code"])}
    return {
        "title": "Problem",
        "description": "A refusal (RFC 9457). `facts` depend on the code.",
        "type": "object",
        "required": ["type", "title", "status", "code", "facts"],
        "properties": {
            "type": {"type": "string", "format": "uri"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "code": {"type": "string", "enum": sorted(codes)},
            "facts": {"type": "object"},
        },
    }


def _problem_response(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {PROBLEM_JSON: {"schema": schema}}}


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    DOCUMENT_PATH.write_text(written(document()), "utf-8")
    logging.getLogger(__name__).info("%s", DOCUMENT_PATH)
