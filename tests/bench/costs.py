"""What one matched sale costs, in request units and DynamoDB round trips."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from infra.local.stack import LocalStack

ROOT = Path(__file__).parents[2]
TABLES = {"SALES_TABLE": "SalesTableName", "LOYALTY_TABLE": "LoyaltyTableName"}


def costs(stack: LocalStack) -> dict[str, float]:
    """Return `sale.write_units`, `sale.read_units`, `sale.round_trips`, `balance.read_units`."""
    environment = {name: f"bench-{name.lower()}" for name in TABLES}
    for name, output in TABLES.items():
        copy_schema(stack.client("dynamodb"), stack.outputs[output], environment[name])
    functions = stack.client("lambda").get_function_configuration(
        FunctionName=stack.function_name("ingest")
    )["Environment"]["Variables"]
    paths = [".", "edge", "layers/forecourt/python"]
    answer = subprocess.run(
        [sys.executable, "-m", "tests.bench.cost_probe"],
        env={
            **stack.environment(),
            **environment,
            **{
                name: functions[name]
                for name in ("IDENTITY_SECRET_ID", "RING_REMEMBERED_SECONDS", "SEAL_KEY_ID")
            },
            "MATCHING_POLICY": "shared_vehicle",
            "POWERTOOLS_SERVICE_NAME": "bench",
            "POWERTOOLS_METRICS_NAMESPACE": "Forecourt",
            "POWERTOOLS_LOG_LEVEL": "CRITICAL",
            "POWERTOOLS_METRICS_DISABLED": "true",
            "PYTHONPATH": ":".join(paths),
        },
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    figures: dict[str, float] = json.loads(answer.stdout.splitlines()[-1])
    return figures


def copy_schema(dynamodb: Any, source: str, copy: str) -> None:
    """Make a table like *source*, without its stream, so that no function works on it."""
    table = dynamodb.describe_table(TableName=source)["Table"]
    indexes = [
        {name: index[name] for name in ("IndexName", "KeySchema", "Projection")}
        for index in table.get("GlobalSecondaryIndexes", ())
    ]
    dynamodb.create_table(
        TableName=copy,
        KeySchema=table["KeySchema"],
        AttributeDefinitions=table["AttributeDefinitions"],
        BillingMode="PAY_PER_REQUEST",
        **({"GlobalSecondaryIndexes": indexes} if indexes else {}),
    )
