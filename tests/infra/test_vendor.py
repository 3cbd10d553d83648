"""The vendor layer: pinned, and built for the platform it runs on."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

from infra.target import AWS
from infra.vendor import REQUIREMENTS, pip_platform_options

if TYPE_CHECKING:
    from pathlib import Path

    from tests.infra.templates import Synthesised

PINNED = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", REQUIREMENTS.read_text(), re.MULTILINE))


def vendor_archive(synthesised: Synthesised) -> Path:
    (layer,) = (
        name for name in synthesised.of_type("AWS::Lambda::LayerVersion") if "VendorLayer" in name
    )
    return synthesised.asset_of(layer)


def test_every_wheel_of_the_layer_resolves_for_lambda() -> None:
    options = pip_platform_options(python=AWS.python, wheel_platform=AWS.wheel_platform)
    report = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--report", "-"),
            *("--ignore-installed", "--require-hashes", "--only-binary", ":all:"),
            *("--target", "unused", "--requirement", str(REQUIREMENTS), *options),
        ],
        check=True,
        capture_output=True,
    ).stdout

    resolved = {
        each["metadata"]["name"].lower(): each["download_info"]["url"].rsplit("/", 1)[-1]
        for each in json.loads(report)["install"]
    }
    assert {name.replace("_", "-") for name in resolved} == PINNED.keys()
    for wheel in resolved.values():
        assert re.search(r"-(any|manylinux\w*aarch64[\w.]*)\.whl$", wheel), wheel


def test_the_layer_holds_every_pinned_package(aws: Synthesised) -> None:
    with zipfile.ZipFile(vendor_archive(aws)) as archive:
        metadata = {
            match.group(1).lower().replace("_", "-"): match.group(2)
            for name in archive.namelist()
            if (match := re.match(r"python/([\w.-]+)-([\w.]+)\.dist-info/METADATA", name))
        }

    assert metadata == PINNED


def test_compiled_code_is_for_the_runtime_and_nothing_else(aws: Synthesised) -> None:
    with zipfile.ZipFile(vendor_archive(aws)) as archive:
        compiled = [name for name in archive.namelist() if name.endswith(".so")]

    assert compiled
    tag = f"cpython-{AWS.python.replace('.', '')}-aarch64-linux-gnu.so"
    assert all(name.endswith(tag) for name in compiled)


def test_the_local_layer_runs_in_this_interpreter(local: Synthesised) -> None:
    archive = vendor_archive(local)
    script = "import pydantic_core, sys; print(pydantic_core.__file__)"
    unpacked = archive.parent / "unpacked"
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


def test_the_layer_leaves_boto3_to_the_runtime() -> None:
    assert not {"boto3", "botocore"} & PINNED.keys()
