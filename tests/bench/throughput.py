"""Sustained sales a second, as a ratio to the same pipeline without its logic."""

from __future__ import annotations

import base64
import io
import json
import time
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forecourt.instants import format_instant
from forecourt.sales import EvidenceKind, sale_id_for
from forecourt_simulator.drivers import draw_drivers
from infra.local.api_client import ApiClient
from infra.local.seed import PROGRAM, activate_program, enrol, register_station

if TYPE_CHECKING:
    from infra.local.stack import LocalStack

ROOT = Path(__file__).parents[2]
EMPTY = Path(__file__).parent / "empty"
FUNCTIONS = ("ingest", "matching", "accrual", "relay")
SHOWN = (EvidenceKind.CARD, EvidenceKind.PAYMENT)  # two identities: one alone is asked about
SALES = 300
ROUNDS = 2
MEMBERS = 50
STATION = "s-bench"
SETTLES_WITHIN_SECONDS = 120.0
SQS_BATCH_MAX = 10  # SQS takes no more messages in one call


def throughput(stack: LocalStack) -> dict[str, float]:
    """Return sustained rates of both pipelines and their ratio; rounds alternate."""
    payers = _seed(stack)
    best = {"full": 0.0, "empty": 0.0}
    for number in range(ROUNDS):
        # Each is first once: whoever is, has the smaller table.
        for which in ("full", "empty") if number % 2 == 0 else ("empty", "full"):
            _deploy(stack, empty=which == "empty")
            rate = _rate(stack, payers, label=f"{which}-{number}")
            best[which] = max(best[which], rate)
    _deploy(stack, empty=False)
    return {
        "throughput.sales_per_second": round(best["full"], 1),
        "throughput.empty_sales_per_second": round(best["empty"], 1),
        "throughput.ratio": round(best["full"] / best["empty"], 3),
    }


def _seed(stack: LocalStack) -> list[dict[str, str]]:
    operator = ApiClient(stack.api_url, stack.token("operator"))
    began = datetime.now(UTC) - timedelta(hours=1)
    if not operator.get("/programs")["programs"]:
        activate_program(operator, PROGRAM, effective_at=began)
    register_station(
        operator,
        station_id=STATION,
        name="Bench",
        zone="Asia/Shanghai",
        grades=["92"],
        open_since=began,
        folder=stack.folder,
    )
    drivers = draw_drivers(seed=99, count=MEMBERS, stations=[STATION], members_percent=100)
    payers = [{str(kind): driver.identities[kind] for kind in SHOWN} for driver in drivers]
    for number, identities in enumerate(payers):
        enrol(operator, identities, name=f"Bench {number}")
    return payers


def _deploy(stack: LocalStack, *, empty: bool) -> None:
    """Put the real functions, or the empty ones, behind the deployed names."""
    client = stack.client("lambda")
    for function in FUNCTIONS:
        source = (EMPTY if empty else ROOT / "functions") / function
        client.update_function_code(
            FunctionName=stack.function_name(function), ZipFile=_archive(function, source)
        )


def _archive(function: str, source: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("functions/__init__.py", "")
        archive.writestr(f"functions/{function}/__init__.py", "")
        for path in sorted(source.glob("*.py")):
            if path.name != "__init__.py":
                archive.write(path, f"functions/{function}/{path.name}")
    return buffer.getvalue()


def _rate(stack: LocalStack, payers: list[dict[str, str]], *, label: str) -> float:
    """Put all sales on the queue at once and see how fast the entries come."""
    _run(stack, payers, count=20, label=f"{label}-warm")
    return SALES / _run(stack, payers, count=SALES, label=label)


def _run(stack: LocalStack, payers: list[dict[str, str]], *, count: int, label: str) -> float:
    queue = stack.client("sqs")
    before = _entries(stack)
    began = time.monotonic()
    messages = [_message(number, payers[number % len(payers)], label) for number in range(count)]
    for start in range(0, count, SQS_BATCH_MAX):
        answer = queue.send_message_batch(
            QueueUrl=stack.outputs["IngestQueueUrl"],
            Entries=messages[start : start + SQS_BATCH_MAX],
        )
        if answer.get("Failed"):
            raise RuntimeError(answer["Failed"])
    while (done := _entries(stack) - before) < count:
        if time.monotonic() - began > SETTLES_WITHIN_SECONDS:
            raise RuntimeError(f"{label}: {done} of {count} sales settled")
        time.sleep(0.25)
    return time.monotonic() - began


def _entries(stack: LocalStack) -> int:
    dynamodb = stack.client("dynamodb")
    pages = dynamodb.get_paginator("scan").paginate(
        TableName=stack.outputs["LoyaltyTableName"],
        Select="COUNT",
        FilterExpression="#type = :entry",
        ExpressionAttributeNames={"#type": "type"},
        ExpressionAttributeValues={":entry": {"S": "entry"}},
    )
    return sum(page["Count"] for page in pages)


def _message(number: int, identities: dict[str, str], label: str) -> dict[str, Any]:
    now = datetime.now(UTC).replace(microsecond=0)
    serial = label.replace("_", "-")
    totalizer_ml = (number + 1) * 30_000
    sale = {
        "sale_id": sale_id_for(
            completed_at=now,
            station_id=STATION,
            device_serial=serial,
            nozzle=1,
            transaction=number,
            totalizer_ml=totalizer_ml,
        ),
        "station_id": STATION,
        "device_serial": serial,
        "nozzle": 1,
        "transaction": number,
        "grade": "92",
        "unit_price_milli_per_litre": 7_500,
        "volume_ml": 30_000,
        "amount_fen": 22_500,
        "volume_resolution_ml": 10,
        "totalizer_ml": totalizer_ml,
        "started_at": format_instant(now - timedelta(minutes=1)),
        "completed_at": format_instant(now),
        "recorded_at": format_instant(now),
        "clock_offset_seconds": 0,
        "clock_synchronised": True,
        "test_delivery": False,
        "evidence": [{"kind": kind, "value": value} for kind, value in identities.items()],
    }
    payload = json.dumps({"schema": "sale/1", "sent_at": format_instant(now), "sale": sale})
    return {
        "Id": str(number % SQS_BATCH_MAX),
        "MessageBody": json.dumps(
            {
                "payload": base64.b64encode(payload.encode()).decode(),
                "topic": f"forecourt/{STATION}/up/sales",
                "client_id": STATION,
                "received_at_ms": int(time.time() * 1000),
            }
        ),
    }
