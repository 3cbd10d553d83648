"""The third-party packages of the functions, installed for the platform they run on."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
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
    Return the layer's folder (it holds `python/`), installing it when it is not there yet.

    The folder's name carries the pins and the platform, so a change of either builds anew, and a
    folder that exists is complete: it is moved into place after the last package.
    """
    tag = f"{wheel_platform or sys.platform}-{python}"
    pins = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    layer = BUILT / f"{tag}-{pins}"
    if layer.exists():
        return layer
    BUILT.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=BUILT, prefix=f".{tag}-"))
    try:
        _install(staging / "python", pip_platform_options(python=python, wheel_platform=wheel_platform))
        staging.chmod(0o755)
        staging.rename(layer)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return layer


def _install(folder: Path, platform_options: list[str]) -> None:
    subprocess.run(  # noqa: S603 - pip with our own pins, no shell
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--require-hashes", "--no-deps", "--only-binary", ":all:", "--no-compile"),
            *("--target", str(folder), "--requirement", str(REQUIREMENTS)),
            *platform_options,
        ],
        check=True,
        # The assembly's path goes to standard output; nothing else may.
        stdout=sys.stderr,
        env={**os.environ, "PIP_NO_INPUT": "1"},
    )
    # Console scripts name this machine's interpreter, which would give each machine another asset.
    shutil.rmtree(folder / "bin", ignore_errors=True)
