"""
The third-party packages of the functions, installed for the platform they run on.

One layer for all, and one for what a single function needs and the others would only carry.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["PARQUET_REQUIREMENTS", "REQUIREMENTS", "pip_platform_options", "vendor_layer"]

ROOT = Path(__file__).parents[1]
REQUIREMENTS = ROOT / "layers" / "vendor" / "requirements.txt"
PARQUET_REQUIREMENTS = ROOT / "layers" / "parquet" / "requirements.txt"
BUILT = ROOT / "build" / "vendor"


def pip_platform_options(*, python: str, wheel_platforms: Sequence[str]) -> list[str]:
    """Return what makes pip choose wheels for other platforms than the one it runs on."""
    if not wheel_platforms:
        return []
    platforms = [option for each in wheel_platforms for option in ("--platform", each)]
    return [*platforms, "--implementation", "cp", "--python-version", python]


def vendor_layer(requirements: Path, *, python: str, wheel_platforms: Sequence[str]) -> Path:
    """
    Return the archive of a layer with *requirements*, building it when it is not there yet.

    Its name carries the pins and the platform, so a change of either builds anew.  It is the same
    to the byte wherever it is built, so a deployment from another machine does not replace it.
    """
    tag = f"{wheel_platforms[0] if wheel_platforms else sys.platform}-{python}"
    content = [requirements.read_text(), *wheel_platforms]
    pins = hashlib.sha256("\n".join(content).encode()).hexdigest()[:12]
    layer = BUILT / f"{tag}-{pins}.zip"
    if layer.exists():
        return layer
    BUILT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILT, prefix=f".{tag}-") as folder:
        options = pip_platform_options(python=python, wheel_platforms=wheel_platforms)
        _install(Path(folder, "python"), requirements, options)
        complete = Path(folder, "layer.zip")
        _pack(Path(folder), complete)
        complete.rename(layer)
    return layer


def _install(folder: Path, requirements: Path, platform_options: list[str]) -> None:
    subprocess.run(  # noqa: S603 - pip with our own pins, no shell
        [
            *(sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check"),
            *("--require-hashes", "--no-deps", "--only-binary", ":all:", "--no-compile"),
            *("--target", str(folder), "--requirement", str(requirements)),
            *platform_options,
        ],
        check=True,
        # Standard output belongs to the synthesis.
        stdout=sys.stderr,
        env={**os.environ, "PIP_NO_INPUT": "1"},
    )
    # Console scripts name the interpreter of this machine.
    shutil.rmtree(folder / "bin", ignore_errors=True)


def _pack(folder: Path, archive: Path) -> None:
    packages = folder / "python"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(path for path in packages.rglob("*") if path.is_file()):
            # A fixed time: the same content gives the same archive.
            entry = zipfile.ZipInfo(str(path.relative_to(folder)))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            packed.writestr(entry, path.read_bytes())
