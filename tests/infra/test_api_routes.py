"""API Gateway has a route for all that the functions answer, and for nothing else."""

from __future__ import annotations

import json

from functions.openapi import handler
from infra.routes import (
    CORRECTION_ROUTES,
    MEMBER_ROUTES,
    MERGE_ROUTES,
    OPERATOR_ROUTES,
    PUBLIC_ROUTES,
    REDEMPTION_ROUTES,
    RULING_ROUTES,
)


def test_the_gateway_routes_what_is_described() -> None:
    described = {
        f"{method.upper()} {path}"
        for path, methods in json.loads(handler.DOCUMENT)["paths"].items()
        for method in methods
    }

    assert {
        *MEMBER_ROUTES,
        *OPERATOR_ROUTES,
        *CORRECTION_ROUTES,
        *REDEMPTION_ROUTES,
        *MERGE_ROUTES,
        *RULING_ROUTES,
    } == described
    assert PUBLIC_ROUTES == ("GET /openapi.json",)
