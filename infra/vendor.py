"""The third-party packages of the functions, installed for the platform they run on."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

__all__ = ["REQUIREMENTS", "pip_platform_options", "vendor_layer"]

ROOT = Path(__file__).parents[1]
REQUIREMENTS = ROOT / "layers" / "vendor" / "requirements.txt"
BUILT = ROOT / "build" / "vendor"


def pip_platform_options(*, python: str, wheel_platform: str | None) -> list[str]:
    """Return what makes pip choose wheels for another platform than the one it runs on."""
    if wheel_platform is None:
        return []
    return ["--platform", wheel_platform, "--implementation", "cp", "--python-version", python]


def vendor_layer(*, python: str, wheel_platform: str | None) -> Path:
    """
    Return the layer's archive, building it when it is not there yet.

    Its name carries the pins and the platform, so a change of either builds anew.  It is the same
    to the byte wherever it is built, so a deployment from another machine does not replace it.
    """
    tag = f"{wheel_platform or sys.platform}-{python}"
    pins = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    layer = BUILT / f"{tag}-{pins}.zip"
    if layer.exists():
        return layer
    BUILT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILT, prefix=f".{tag}-") as folder:
        options = pip_platform_options(python=python, wheel_platform=wheel_platform)
        _install(Path(folder, "python"), options)
        complete = Path(folder, "layer.zip")
        _pack(Path(folder), complete)
        complete.rename(layer)
    return layer


def _install(folder: Path, platform_options: list[str]) -> None:
    subprocess.run(  # noqa: S603 - pip with our own pins, no shell
        [
            *(sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check"),
            *("--require-hashes", "--no-deps", "--only-binary", ":all:", "--no-compile"),
            *("--target", str(folder), "--requirement", str(REQUIREMENTS)),
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
