"""
Serve the description of the API, to everyone.

The document is made from the code by `python -m infra.openapi`; here it is only read, so this
function needs no permission, no setting and no library.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

DOCUMENT = (Path(__file__).parent / "openapi.json").read_text("utf-8")


def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return {
        "statusCode": 200,
        "headers": {
            "Content-Type": "application/json",
            "Cache-Control": "public, max-age=300",
            "Access-Control-Allow-Origin": "*",
        },
        "body": DOCUMENT,
    }
