"""The served description is what the code generates, and can be followed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.doors import WRITES
from forecourt.problems import OUTCOMES
from functions.openapi import handler
from infra.openapi import DOCUMENT_PATH, document, written

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVED = json.loads(handler.DOCUMENT)
OPERATIONS: dict[str, dict[str, Any]] = {
    f"{method.upper()} {path}": operation
    for path, methods in SERVED["paths"].items()
    for method, operation in methods.items()
}


def test_the_committed_document_is_what_the_code_generates() -> None:
    assert DOCUMENT_PATH.read_text("utf-8") == written(document()), "run: python -m infra.openapi"


def test_the_document_is_served_to_everyone() -> None:
    answer = handler.handle({"requestContext": {}}, None)  # type: ignore[arg-type]

    assert answer["statusCode"] == 200
    assert answer["headers"]["Content-Type"] == "application/json"
    assert json.loads(answer["body"])["openapi"].startswith("3.1.")


def test_every_reference_leads_somewhere() -> None:
    for reference in references(SERVED):
        target = SERVED
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]


def test_every_schema_is_used() -> None:
    used = {reference.rpartition("/")[2] for reference in references(SERVED)}

    assert set(SERVED["components"]["schemas"]) <= used


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_says_what_it_does_and_how_it_refuses(name: str) -> None:
    operation, writes = OPERATIONS[name], name.split(" ", maxsplit=1)[0] in WRITES
    answers = set(operation["responses"])
    keys = [each for each in operation.get("parameters", ()) if "IdempotencyKey" in str(each)]

    assert operation["summary"].endswith(".")
    assert operation["tags"]
    assert {"400", "401", "403", "404", "422", "500", "503"} <= answers
    assert any(status.startswith("2") for status in answers)
    assert bool(keys) is writes
    assert ("409" in answers) is writes


def test_operations_have_names_of_their_own() -> None:
    names = [operation["operationId"] for operation in OPERATIONS.values()]

    assert len(set(names)) == len(names)


def test_every_code_a_program_may_meet_is_listed() -> None:
    codes = SERVED["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]

    assert set(codes) == {error.code for error in OUTCOMES} | {"internal_error"}


def references(node: Any) -> Iterator[str]:
    """Yield every reference below *node*."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)
