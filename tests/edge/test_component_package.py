"""The Greengrass package: complete, the same every time, and allowed what it does and no more."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml  # type: ignore[import-untyped]

from forecourt_edge.messages import acks_topic_for, topic_for
from forecourt_edge.outbox import Lane
from tests.edge.stations import config_for

if TYPE_CHECKING:
    from types import ModuleType

EDGE = Path(__file__).parents[2] / "edge"


@pytest.fixture(scope="module")
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("edge_build", EDGE / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def recipe(build: ModuleType, tmp_path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(build.build(tmp_path).recipe.read_text("utf-8"))
    return loaded


def test_the_archive_runs_with_nothing_of_ours_beside_it(build: ModuleType, tmp_path: Path) -> None:
    with zipfile.ZipFile(build.build(tmp_path / "build").archive) as bundle:
        bundle.extractall(tmp_path / "unpacked")
    config = tmp_path / "station.json"
    config.write_text(config_for(tmp_path, 5020).model_dump_json(), "utf-8")

    done = subprocess.run(
        [sys.executable, "-m", "forecourt_edge", "--config", str(config), "--check"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "unpacked")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr


def test_every_uplink_can_be_imported_from_the_archive(build: ModuleType, tmp_path: Path) -> None:
    archive = build.build(tmp_path).archive
    modules = "uplink_mqtt", "uplink_greengrass", "uplink_greengrasssdk", "lambda_function"
    code = "; ".join(f"import forecourt_edge.{module}" for module in modules)

    subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(archive)},
        check=True,
    )


def test_the_same_sources_give_the_same_bytes(build: ModuleType, tmp_path: Path) -> None:
    first = build.build(tmp_path / "first")
    os.utime(EDGE / "forecourt_edge" / "errors.py")
    second = build.build(tmp_path / "second")

    assert first.archive.read_bytes() == second.archive.read_bytes()
    assert first.recipe.read_bytes() == second.recipe.read_bytes()


def test_the_archive_holds_the_component_and_what_it_shares_only(
    build: ModuleType, tmp_path: Path
) -> None:
    with zipfile.ZipFile(build.build(tmp_path).archive) as bundle:
        names = set(bundle.namelist())

    assert "requirements.txt" in names
    assert "forecourt_edge/profiles/forecourt-controller.json" in names
    assert {name for name in names if name.startswith("forecourt/")} == {
        "forecourt/__init__.py",
        "forecourt/basket_fields.py",
        "forecourt/baskets.py",
        "forecourt/errors.py",
        "forecourt/instants.py",
        "forecourt/message_fields.py",
        "forecourt/retellings.py",
        "forecourt/rounding.py",
        "forecourt/sales.py",
        "forecourt/values.py",
    }
    assert not [name for name in names if "__pycache__" in name or "simulator" in name]


def test_archive_and_recipe_lie_where_the_gdk_looks(build: ModuleType, tmp_path: Path) -> None:
    built = build.build(tmp_path)
    component = json.loads((EDGE / "gdk-config.json").read_text("utf-8"))["component"]
    [(name, settings)] = component.items()

    folder = tmp_path / "artifacts" / name / settings["version"]
    assert built.archive == folder / "forecourt-edge.zip"
    assert settings["build"]["build_system"] == "custom"
    assert built.recipe.parent == tmp_path / "recipes"


def test_the_recipe_grants_exactly_the_topics_the_component_uses(recipe: dict[str, Any]) -> None:
    control = recipe["ComponentConfiguration"]["DefaultConfiguration"]["accessControl"]
    policies = control["aws.greengrass.ipc.mqttproxy"]
    granted = {
        (operation, resource)
        for policy in policies.values()
        for operation in policy["operations"]
        for resource in policy["resources"]
    }

    thing = "{iot:thingName}"
    publishes = {("aws.greengrass#PublishToIoTCore", topic_for(thing, lane)) for lane in Lane}
    subscribes = {("aws.greengrass#SubscribeToIoTCore", acks_topic_for(thing))}
    assert granted == publishes | subscribes
    assert all(policy["policyDescription"] for policy in policies.values())
    assert all(len(policy["resources"]) == 1 for policy in policies.values())


def test_the_recipe_is_a_generic_component_with_nothing_left_to_fill_in(
    recipe: dict[str, Any], build: ModuleType
) -> None:
    component = build.configured()

    assert recipe["ComponentType"] == "aws.greengrass.generic"
    assert recipe["ComponentName"] == component.name
    assert recipe["ComponentVersion"] == component.version
    assert "{COMPONENT" not in json.dumps(recipe)
    [manifest] = recipe["Manifests"]
    [artifact] = manifest["Artifacts"]
    assert artifact["URI"].endswith(f"/{component.name}/{component.version}/forecourt-edge.zip")


def test_the_recipe_starts_the_program_that_is_in_the_archive(recipe: dict[str, Any]) -> None:
    [manifest] = recipe["Manifests"]
    script = manifest["Lifecycle"]["run"]["Script"]

    assert "-m forecourt_edge" in script
    assert '--config "{configuration:/configPath}"' in script
    defaults = recipe["ComponentConfiguration"]["DefaultConfiguration"]
    assert defaults["configPath"].endswith(".json")


def pins(path: Path) -> dict[str, set[str]]:
    """Return the hashes a requirements file pins, by package and version."""
    found: dict[str, set[str]] = {}
    for line in path.read_text("utf-8").splitlines():
        if pinned := re.match(r"\S+==\S+", line):
            hashes = found.setdefault(pinned[0], set())
        elif digest := re.search(r"--hash=(sha256:[0-9a-f]{64})", line):
            hashes.add(digest[1])
    return found


def test_a_gateway_installs_exactly_what_is_tested_here() -> None:
    wanted = pins(EDGE / "requirements.txt")
    tested = pins(EDGE.parent / "requirements" / "stack.txt")

    assert {"pymodbus", "awsiotsdk", "greengrasssdk"} < {each.split("==")[0] for each in wanted}
    assert all(wanted.values())
    assert wanted.items() <= tested.items()
    assert "://" not in (EDGE / "requirements.txt").read_text("utf-8")
