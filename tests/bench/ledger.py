"""
What a posting costs, and how fast accounts take them.

Units and round trips are DynamoDB's own answers for each command, without a rival. Postings a
second are a ratio to bare conditional writes in the same run against the same table: read a
version, write two items of the same size on condition of it, and nobody decides anything. One
hot account, on which they queue, is measured apart from a thousand. How an account grows comes
from the ledger's rules and the table's codec.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.costs import copy_schema
from tests.bench.ledger_pure import account_growth, commands_per_second

if TYPE_CHECKING:
    from infra.local.stack import LocalStack

ROOT = Path(__file__).parents[2]
TABLE = "bench-ledger"


def pure_ledger() -> dict[str, float]:
    """Return `ledger.pure.commands_per_second` and `ledger.<what>.after_<earns>`."""
    return commands_per_second() | account_growth()


def postings(stack: LocalStack) -> dict[str, float]:
    """Return `ledger.<command>.<what>`, `ledger.hot.<what>` and `ledger.spread.<what>`."""
    copy_schema(stack.client("dynamodb"), stack.outputs["LoyaltyTableName"], TABLE)
    answer = subprocess.run(
        [sys.executable, "-m", "tests.bench.ledger_probe"],
        env={
            **stack.environment(),
            "LOYALTY_TABLE": TABLE,
            "PYTHONPATH": os.pathsep.join([".", "edge", "layers/forecourt/python"]),
        },
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    figures: dict[str, float] = json.loads(answer.stdout.splitlines()[-1])
    return figures
