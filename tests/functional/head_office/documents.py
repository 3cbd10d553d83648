"""What tests of the operator API register, draft, hold and read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from forecourt.sales import Sale, SaleKey
from tests.functional.conftest import (
    LOYALTY_TABLE,
)

if TYPE_CHECKING:
    from tests.functional.http import Client

NOW = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
STATION = {
    "station_id": "s0001",
    "name": "West Lake",
    "zone": "Asia/Shanghai",
    "grades": ["95", "92"],
}
RULE = {
    "rule_id": "petrol",
    "grades": ["92", "95"],
    "basis": "volume",
    "points": 10,
    "per": 1000,
    "minimum": 1000,
    "rounding": "floor",
    "categories": ["fuel"],
    "scope": "sale",
}
PROGRAM = {
    "zone": "Asia/Shanghai",
    "rules": [RULE],
    "validity": {"months": 12, "end_of": "month"},
    "wallets": None,
    "growth": None,
    "tiers": None,
    "multiples": None,
    "baskets": None,
    "discounts": None,
}
SALE = Sale(
    key=SaleKey(
        completed_at=NOW,
        station_id="s0001",
        device_serial="SN1",
        nozzle=3,
        transaction=1,
        totalizer_ml=1000,
    ),
    grade="92",
    unit_price_milli_per_litre=7560,
    volume_ml=39_990,
    amount_fen=1,
    volume_resolution_ml=10,
    started_at=NOW - timedelta(minutes=2),
    recorded_at=NOW,
    clock_offset_seconds=None,
    clock_synchronised=True,
    test_delivery=False,
)


def items(dynamodb: Any, table: str = LOYALTY_TABLE) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = dynamodb.scan(TableName=table)["Items"]
    return sorted(found, key=lambda item: (item.get("pk", {}).get("S", ""), str(item.get("sk"))))


def walk(client: Client, path: str, name: str, **query: Any) -> list[list[Any]]:
    """Return every page of a list, following its cursors."""
    pages = []
    cursor: dict[str, str] = {}
    while True:
        reply = client.get(path, **query, **cursor)
        assert reply.status == 200, reply.text
        pages.append(reply.body[name])
        if reply.body["next_cursor"] is None:
            return pages
        cursor = {"cursor": reply.body["next_cursor"]}
