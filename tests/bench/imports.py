"""
How long each function takes to import, as a ratio to a bare boto3 DynamoDB client.

The jobs that keep files (books, reports, what weights are learnt from) need S3, whose model alone
takes a seventh of that time; no sale waits for them. They are compared with both clients.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUNS = 9
BARE = "import boto3; boto3.client('dynamodb')"
BARE_WITH_S3 = f"{BARE}; boto3.client('s3')"
BOOKKEEPERS = {"closing", "learning", "verification"}
# Behind the HTTP API; all others are started by events, and every cold start delays a sale.
DOORS = {"corrections", "members", "merging", "openapi", "operator", "redemption", "rulings"}
# CPU time of the child alone: less noisy than the clock on a machine that others use, too. Without
# `awscrt`, which the edge's SDK brings here and Lambda's runtime does not have: botocore imports it
# wherever it is, and a bare client then takes half as long again.
TIMED = "import sys, time; sys.modules['awscrt'] = None; {}; print(time.process_time())"
# What the settings of all functions ask for; importing one contacts nobody.
ENVIRONMENT = {
    "SALES_TABLE": "sales",
    "LOYALTY_TABLE": "loyalty",
    "REQUESTS_TABLE": "requests",
    "IDENTITY_SECRET_ID": "secret",
    "RING_REMEMBERED_SECONDS": "60",
    "SEAL_KEY_ID": "key",
    "USER_POOL_ID": "pool",
    "EVENT_BUS": "bus",
    "STATION_POLICY": "policy",
    "BOOKS_BUCKET": "books",
    "WORKINGS_BUCKET": "workings",
    "SEGMENTS_QUEUE_URL": "https://queue.example/segments",
    "LEARNING_QUEUE_URL": "https://queue.example/steps",
    "LEARNING_FUNCTION": "learning",
    "ZONE": "Asia/Shanghai",
    "MATCHING_POLICY": "shared_vehicle",
    "EXPIRY_QUEUE_URL": "queue",
    "REMINDERS_QUEUE_URL": "queue",
    "POWERTOOLS_SERVICE_NAME": "bench",
    "POWERTOOLS_METRICS_NAMESPACE": "Forecourt",
    "AWS_DEFAULT_REGION": "ap-southeast-1",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
}


def functions() -> list[str]:
    """Return the name of every function."""
    return sorted(path.parent.name for path in (ROOT / "functions").glob("*/handler.py"))


def import_ratios() -> dict[str, float]:
    """Return `import.<function>.ratio`; the best of some runs, taken in turns."""
    names = functions()
    statements = {BARE: BARE, BARE_WITH_S3: BARE_WITH_S3}
    statements |= {name: f"import functions.{name}.handler" for name in names}
    best = dict.fromkeys(statements, float("inf"))
    for _ in range(RUNS):
        for name, statement in statements.items():
            best[name] = min(best[name], _cpu_seconds(statement))
    bare = {name: BARE_WITH_S3 if name in BOOKKEEPERS else BARE for name in names}
    return {f"import.{name}.ratio": round(best[name] / best[bare[name]], 3) for name in names}


def _cpu_seconds(statement: str) -> float:
    path = os.pathsep.join([str(ROOT), str(ROOT / "layers" / "forecourt" / "python")])
    answer = subprocess.run(
        [sys.executable, "-c", TIMED.format(statement)],
        env={**os.environ, **ENVIRONMENT, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": ""},
        check=True,
        capture_output=True,
        text=True,
    )
    return float(answer.stdout)
