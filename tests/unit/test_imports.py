"""Pure modules know the standard library only, and a function by events opens no door."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bench.imports import DOORS, ENVIRONMENT, functions

ROOT = Path(__file__).parents[2]
# Which packages a module of the shared package needs; whatever is not here is pure.
NEEDS = {
    "boto3": {"assigning"},
    "botocore": {
        "adjustments_table",
        "bookshelf",
        "decided_sales",
        "erasing",
        "identities_table",
        "learning_files",
        "ledger_table",
        "operator_table",
        "outwaited_sales",
        "parted_sales",
        "pools_table",
        "portraits_table",
        "presences_table",
        "questions_table",
        "rekeyed_identities",
        "retold_sales",
        "ruled_sales",
        "taking_back",
        "transactions",
        "weights_table",
    },
    "aws_lambda_powertools": {"doors", "once"},
    "pydantic": {
        "booking_fields",
        "documents",
        "shapes",
        "tier_documents",
        "wallet_documents",
    },
}
FOR_DOORS_ONLY = {"pydantic", "aws_lambda_powertools.event_handler"}
MAINTAINED_NO_MORE = "aws_xray_sdk"

# Imports every module where nothing but the standard library and zone data can be found.
ALONE = """
import importlib, json, pkgutil, sys

class NothingElse:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        known = {*sys.stdlib_module_names, "forecourt", "tzdata"}
        if top not in known and not top.startswith("_sysconfigdata"):
            raise ImportError(name, name=top)

sys.meta_path.insert(0, NothingElse())
import forecourt
lacking = {}
for module in pkgutil.walk_packages(forecourt.__path__, "forecourt."):
    try:
        importlib.import_module(module.name)
    except ImportError as error:
        lacking.setdefault(error.name, []).append(module.name.removeprefix("forecourt."))
print(json.dumps(lacking))
"""
LOADED = "import json, sys, functions.{}.handler; print(json.dumps(sorted(sys.modules)))"


def output_of(program: str) -> Any:
    answer = subprocess.run(
        [sys.executable, "-c", program],
        env={
            **os.environ,
            **ENVIRONMENT,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "layers/forecourt/python")]),
        },
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(answer.stdout)


def test_a_module_needs_no_package_that_is_not_named_here() -> None:
    lacking = output_of(ALONE)

    assert {package: set(modules) for package, modules in lacking.items()} == NEEDS


@pytest.mark.parametrize("function", functions())
def test_a_function_by_events_imports_nothing_of_the_doors(function: str) -> None:
    loaded = set(output_of(LOADED.format(function)))

    assert MAINTAINED_NO_MORE not in loaded
    if function not in DOORS:
        assert not loaded & FOR_DOORS_ONLY
