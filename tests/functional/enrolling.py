"""What members name themselves by, and what the tables hold of them."""

from __future__ import annotations

from typing import Any

from tests.functional.conftest import LOYALTY_TABLE

PLATE = {"kind": "plate", "value": "浙A12345"}
PHONE = {"kind": "phone", "value": "13812345678"}


def items(dynamodb: Any, table: str = LOYALTY_TABLE) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = dynamodb.scan(TableName=table)["Items"]
    return found
