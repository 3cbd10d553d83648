"""
Run by `costs.py`: one sale through the real handlers, counted.

A first sale fills what a container remembers (the secret, the station, the program); the
second is counted. DynamoDB's own answers say what was consumed.
"""

from __future__ import annotations

import base64
import json
import os
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import boto3

from forecourt.hashes import EvidenceKey
from forecourt.identities_table import IdentitiesTable
from forecourt.identity import digest, normalise
from forecourt.instants import format_instant
from forecourt.loyalty_table import LoyaltyTable
from forecourt.members_table import MembersTable
from forecourt.operator_table import OperatorTable
from forecourt.sales import EvidenceKind, sale_id_for
from forecourt.sealing import Sealer
from forecourt.stations_table import Station

STATION = "s-bench"
PLATE = "浙A12345"
CARD = "9012345678"
MEMBER = "member-bench"
PROGRAM = {
    "zone": "Asia/Shanghai",
    "validity": {"months": 12, "end_of": "month"},
    "rules": [
        {
            "rule_id": "petrol",
            "grades": ["92"],
            "basis": "volume",
            "points": 10,
            "per": 1000,
            "minimum": 0,
            "rounding": "floor",
        }
    ],
}
CONTEXT = SimpleNamespace(
    function_name="bench",
    memory_limit_in_mb=512,
    invoked_function_arn="arn:aws:lambda:eu-west-1:000000000000:function:bench",
    aws_request_id="bench",
)


class Meter:
    """
    Counts what the default session's DynamoDB clients consume.

    The local stack reports the units of every call but `BatchGetItem`. For that the rule of
    the DynamoDB developer guide is applied: a key read consistently is a unit for each 4 KB of
    its item, else half a unit, and a key without an item counts like one of up to 4 KB.
    """

    def __init__(self) -> None:
        self.counted: Counter[str] = Counter()
        boto3.setup_default_session()
        events = boto3.DEFAULT_SESSION.events
        events.register("before-parameter-build.dynamodb", self._ask)
        events.register("after-call.dynamodb", self._take)

    def _ask(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        params["ReturnConsumedCapacity"] = "TOTAL"
        if model.name == "BatchGetItem":
            for request in params["RequestItems"].values():
                units = 1 if request.get("ConsistentRead") else 0.5
                self.counted["read_units"] += units * len(request["Keys"])  # type: ignore[assignment]

    def _take(self, model: Any, parsed: dict[str, Any], **_: Any) -> None:
        self.counted["round_trips"] += 1
        if model.name == "BatchGetItem":
            found = [item for items in parsed["Responses"].values() for item in items]
            if any(len(json.dumps(item, default=str)) > READ_UNIT_BYTES for item in found):
                raise RuntimeError("an item of more than one read unit")
            return
        consumed = parsed["ConsumedCapacity"]
        unit = "read_units" if model.name in READS else "write_units"
        for each in consumed if isinstance(consumed, list) else [consumed]:
            self.counted[unit] += each["CapacityUnits"]


READS = {"GetItem", "Query", "Scan", "TransactGetItems"}
READ_UNIT_BYTES = 4096


def main() -> None:
    meter = Meter()
    dynamodb = boto3.client("dynamodb")
    sales_table, loyalty_table = os.environ["SALES_TABLE"], os.environ["LOYALTY_TABLE"]
    _seed(dynamodb, loyalty_table)
    handlers = {
        name: import_module(f"functions.{name}.handler").handle
        for name in ("ingest", "matching", "accrual")
    }
    for number in (1, 2):
        meter.counted.clear()
        _one_sale(handlers, dynamodb, sales_table, number, meter)
    figures = {f"sale.{name}": float(count) for name, count in meter.counted.items()}
    meter.counted.clear()
    LoyaltyTable(dynamodb, name=loyalty_table).account(MEMBER)
    figures["balance.read_units"] = float(meter.counted["read_units"])
    print(json.dumps(figures))


def _seed(dynamodb: Any, table: str) -> None:
    now = datetime.now(UTC)
    secret = boto3.client("secretsmanager").get_secret_value(
        SecretId=os.environ["IDENTITY_SECRET_ID"]
    )["SecretString"]
    operator = OperatorTable(dynamodb, name=table)
    operator.register(
        Station(
            station_id=STATION,
            name="Bench",
            zone="Asia/Shanghai",
            grades=frozenset({"92"}),
            open_since=now - timedelta(days=1),
        ),
        opening_stated=True,
    )
    version = operator.draft(PROGRAM, request_id="bench", drafted_by="bench", drafted_at=now)
    operator.activate(version, effective_at=now - timedelta(days=1), now=now, request_id="bench")
    sealer = Sealer(boto3.client("kms"), key_id=os.environ["SEAL_KEY_ID"])
    members = MembersTable(dynamodb, name=table, sealer=sealer)
    identities = IdentitiesTable(
        dynamodb, name=table, sealer=sealer, block_of=lambda phone, _: phone
    )
    members.enrol(MEMBER, {"name": "Bench"}, enrolled_by="bench", enrolled_at=now)
    for kind, value in ((EvidenceKind.PLATE, PLATE), (EvidenceKind.CARD, CARD)):
        code = digest(secret.encode(), kind, normalise(kind, value))
        identities.bind(MEMBER, EvidenceKey(kind=kind, digest=code), value, bound_at=now)


def _one_sale(
    handlers: dict[str, Any], dynamodb: Any, table: str, number: int, meter: Meter
) -> None:
    sale_id, event = _message(number)
    key = {"pk": {"S": f"STATION#{STATION}"}, "sk": {"S": f"SALE#{sale_id}"}}

    def record() -> dict[str, Any]:
        """Return what the stream would carry; this reading is ours and not counted."""
        before = meter.counted.copy()
        item = dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]
        meter.counted = before
        for value in item.values():
            if "B" in value:
                value["B"] = base64.b64encode(value["B"]).decode()
        change = {"Keys": key, "NewImage": item, "SequenceNumber": str(number)}
        return {"Records": [{"eventID": str(number), "eventName": "MODIFY", "dynamodb": change}]}

    for name in ("ingest", "matching", "accrual"):
        answer = handlers[name](event if name == "ingest" else record(), CONTEXT)
        if answer["batchItemFailures"]:
            raise RuntimeError(name, answer)


def _message(number: int) -> tuple[str, dict[str, Any]]:
    now = datetime.now(UTC).replace(microsecond=0)
    totalizer_ml = 123_456_000 + number * 40_000
    sale_id = sale_id_for(
        completed_at=now,
        station_id=STATION,
        device_serial="FC-S0001",
        nozzle=3,
        transaction=number,
        totalizer_ml=totalizer_ml,
    )
    sale = {
        "sale_id": sale_id,
        "station_id": STATION,
        "device_serial": "FC-S0001",
        "nozzle": 3,
        "transaction": number,
        "grade": "92",
        "unit_price_milli_per_litre": 7_500,
        "volume_ml": 40_000,
        "amount_fen": 30_000,
        "volume_resolution_ml": 10,
        "totalizer_ml": totalizer_ml,
        "started_at": format_instant(now - timedelta(minutes=1)),
        "completed_at": format_instant(now),
        "recorded_at": format_instant(now),
        "clock_offset_seconds": 0,
        "clock_synchronised": True,
        "test_delivery": False,
        "evidence": [
            {"kind": "plate", "value": PLATE, "confidence": 97, "source": "camera-1"},
            {"kind": "card", "value": CARD},
        ],
    }
    payload = json.dumps({"schema": "sale/1", "sent_at": format_instant(now), "sale": sale})
    body = {
        "payload": base64.b64encode(payload.encode()).decode(),
        "topic": f"forecourt/{STATION}/up/sales",
        "client_id": STATION,
        "received_at_ms": int(time.time() * 1000),
    }
    record = {
        "messageId": str(number),
        "receiptHandle": "bench",
        "body": json.dumps(body),
        "attributes": {},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-west-1:000000000000:bench",
        "awsRegion": "eu-west-1",
    }
    return sale_id, {"Records": [record]}


if __name__ == "__main__":
    main()
