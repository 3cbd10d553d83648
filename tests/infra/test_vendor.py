"""The vendor layers: pinned, and built for the platform they run on."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from infra.target import AWS
from infra.vendor import PARQUET_REQUIREMENTS, REQUIREMENTS, pip_platform_options

if TYPE_CHECKING:
    from pathlib import Path

    from tests.infra.templates import Synthesised

AARCH64 = 183  # EM_AARCH64 of the ELF specification
LAYERS = {"VendorLayer": REQUIREMENTS, "ParquetLayer": PARQUET_REQUIREMENTS}
# Lambda takes no more, all layers and the function unpacked.
UNPACKED_MAX_BYTES = 250 * 1024 * 1024


def pinned(layer: str) -> dict[str, str]:
    text = LAYERS[layer].read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))


def archive_of(synthesised: Synthesised, layer: str) -> Path:
    (found,) = (name for name in synthesised.of_type("AWS::Lambda::LayerVersion") if layer in name)
    return synthesised.asset_of(found)


@pytest.mark.parametrize("layer", LAYERS)
def test_every_wheel_of_a_layer_resolves_for_lambda(layer: str) -> None:
    options = pip_platform_options(python=AWS.python, wheel_platforms=AWS.wheel_platforms)
    report = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--report", "-"),
            *("--ignore-installed", "--require-hashes", "--only-binary", ":all:"),
            *("--target", "unused", "--requirement", str(LAYERS[layer]), *options),
        ],
        check=True,
        capture_output=True,
    ).stdout

    resolved = {
        each["metadata"]["name"].lower(): each["download_info"]["url"].rsplit("/", 1)[-1]
        for each in json.loads(report)["install"]
    }
    assert {name.replace("_", "-") for name in resolved} == pinned(layer).keys()
    for wheel in resolved.values():
        assert re.search(r"-(any|manylinux\w*aarch64[\w.]*)\.whl$", wheel), wheel


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_holds_every_pinned_package(aws: Synthesised, layer: str) -> None:
    with zipfile.ZipFile(archive_of(aws, layer)) as archive:
        metadata = {
            match.group(1).lower().replace("_", "-"): match.group(2)
            for name in archive.namelist()
            if (match := re.match(r"python/([\w.-]+)-([\w.]+)\.dist-info/METADATA", name))
        }

    assert metadata == pinned(layer)


def test_all_that_closing_a_day_needs_fits_into_a_function(aws: Synthesised) -> None:
    unpacked = 0
    for layer in LAYERS:
        with zipfile.ZipFile(archive_of(aws, layer)) as archive:
            unpacked += sum(each.file_size for each in archive.infolist())

    assert unpacked < UNPACKED_MAX_BYTES / 2
    assert len(aws.properties_of("closing")["Layers"]) == 3
    assert len(aws.properties_of("archive")["Layers"]) == 2


@pytest.mark.parametrize("layer", LAYERS)
def test_compiled_code_is_for_the_runtime_and_nothing_else(aws: Synthesised, layer: str) -> None:
    with zipfile.ZipFile(archive_of(aws, layer)) as archive:
        compiled = [name for name in archive.namelist() if name.endswith(".so")]

    assert compiled
    tag = f"cpython-{AWS.python.replace('.', '')}-aarch64-linux-gnu.so"
    # Compiled for the stable interface of all Pythons, or for the one that runs.
    assert all(name.endswith((tag, ".abi3.so")) for name in compiled)
    with zipfile.ZipFile(archive_of(aws, layer)) as archive:
        assert {_machine(archive.read(name)) for name in compiled} == {AARCH64}


@pytest.mark.parametrize(
    ("layer", "module"), [("VendorLayer", "pydantic_core"), ("ParquetLayer", "duckdb")]
)
def test_a_local_layer_runs_in_this_interpreter(
    local: Synthesised, tmp_path: Path, layer: str, module: str
) -> None:
    archive = archive_of(local, layer)
    script = f"import {module}; print({module}.__file__)"
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(unpacked)

    imported = subprocess.run(
        [sys.executable, "-S", "-c", script],
        env={"PYTHONPATH": str(unpacked / "python")},
        check=True,
        capture_output=True,
        text=True,
    ).stdout

    assert str(unpacked) in imported


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_leaves_boto3_to_the_runtime(layer: str) -> None:
    assert not {"boto3", "botocore"} & pinned(layer).keys()


def _machine(library: bytes) -> int:
    """Return what an ELF file says it runs on."""
    return int.from_bytes(library[18:20], "little")
