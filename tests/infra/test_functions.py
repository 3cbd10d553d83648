"""Every function folder is deployed, alone, with what its handler asks for."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from forecourt.events import DERIVATIONS
from infra.relay import EVENTFUL_TYPES

if TYPE_CHECKING:
    from tests.infra.templates import Synthesised

ROOT = Path(__file__).parents[2]
FOLDERS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/handler.py"))
SHARED = ROOT / "layers" / "forecourt"


def files_below(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def settings_of(function: str) -> set[str]:
    """Return the environment variables a handler declares: the fields of its `Settings`."""
    tree = ast.parse((ROOT / "functions" / function / "handler.py").read_text())
    shared = [
        ast.parse((SHARED / "python" / f"{node.module.replace('.', '/')}.py").read_text())
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and node.module
        and any(name.name.endswith("Settings") and name.name != "Settings" for name in node.names)
    ]
    return {
        field.target.id.upper()
        for each in (tree, *shared)
        for node in ast.walk(each)
        if isinstance(node, ast.ClassDef)
        and any(isinstance(base, ast.Name) and base.id == "Settings" for base in node.bases)
        for field in node.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
    }


def test_every_function_folder_is_deployed(aws: Synthesised) -> None:
    assert sorted(aws.functions()) == FOLDERS


@pytest.mark.parametrize("function", FOLDERS)
def test_an_asset_holds_its_own_function_only(aws: Synthesised, function: str) -> None:
    asset = aws.asset_of(aws.functions()[function])

    own = files_below(ROOT / "functions" / function)
    assert files_below(asset) == {"functions/__init__.py"} | {
        f"functions/{function}/{name}" for name in own
    }


def test_the_shared_layer_holds_our_package_and_nothing_else(aws: Synthesised) -> None:
    (layer,) = (name for name in aws.of_type("AWS::Lambda::LayerVersion") if "SharedLayer" in name)
    held = files_below(aws.asset_of(layer))

    assert "python/forecourt/sales.py" in held
    assert held == files_below(SHARED)


@pytest.mark.parametrize("function", FOLDERS)
def test_a_handler_finds_the_settings_it_declares_and_no_others(
    aws: Synthesised, function: str
) -> None:
    given = aws.properties_of(function)["Environment"]["Variables"].keys()

    assert given == settings_of(function) | {
        "POWERTOOLS_METRICS_NAMESPACE",
        "POWERTOOLS_SERVICE_NAME",
    }


@pytest.mark.parametrize("function", FOLDERS)
def test_a_function_is_traced_and_logs_json_to_a_group_of_its_own(
    aws: Synthesised, function: str
) -> None:
    properties = aws.properties_of(function)

    assert properties["TracingConfig"] == {"Mode": "Active"}
    assert properties["LoggingConfig"]["LogFormat"] == "JSON"
    assert properties["LoggingConfig"]["LogGroup"]["Ref"] in aws.of_type("AWS::Logs::LogGroup")
    assert properties["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"] == function


def test_the_relay_wakes_for_what_it_has_an_event_for() -> None:
    assert set(EVENTFUL_TYPES) == set(DERIVATIONS)
