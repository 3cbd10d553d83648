"""
The synthesised stack for this machine, kept until something it is made of changes.

A synthesis takes several seconds, and each demo, each test run and each measurement needs one.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from infra.local.cdk import Cdk
from infra.local.ministack import ROOT, environment_without_aws

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LocalAssembly"]

KEPT = ROOT / "build" / "local"
KEPT_FOR_SECONDS = 24 * 3600
SOURCES = ("cdk.json", "requirements", "infra", "functions", "layers")
# What starts and fills the stack is not in it.
NOT_IN_THE_STACK = ROOT / "infra" / "local"


class LocalAssembly:
    """
    The assembly of the sources as they are now; made in the background within the `with` block.

    When the block is left without an exception, `folder` holds it.
    """

    def __init__(self) -> None:
        self.folder = KEPT / _digest()
        self._staging: Path | None = None
        self._synthesis: Cdk | None = None

    def __enter__(self) -> Self:
        if not self.folder.exists():
            KEPT.mkdir(parents=True, exist_ok=True)
            _forget_old_ones()
            self._staging = Path(tempfile.mkdtemp(dir=KEPT, prefix=".making-"))
            try:
                self._synthesis = Cdk(
                    *("synth", "--quiet", "--output", str(self._staging / "assembly")),
                    environment=environment_without_aws(),
                )
            except BaseException:
                shutil.rmtree(self._staging)
                raise
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if self._synthesis is None or self._staging is None:
            return
        try:
            self._synthesis.__exit__(error)
            # Another process may have made the same meanwhile.
            if error is None and not self.folder.exists():
                (self._staging / "assembly").rename(self.folder)
        finally:
            shutil.rmtree(self._staging, ignore_errors=True)


def _digest() -> str:
    """Return a name for the content of all sources and the interpreter that builds the layer."""
    digest = hashlib.sha256(f"{sys.version_info} {sys.platform}".encode())
    for path in _sources():
        digest.update(f"{path.relative_to(ROOT)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _sources() -> Iterator[Path]:
    for source in SOURCES:
        root = ROOT / source
        for path in sorted(root.rglob("*")) if root.is_dir() else [root]:
            if (
                path.is_file()
                and "__pycache__" not in path.parts
                and NOT_IN_THE_STACK not in path.parents
            ):
                yield path


def _forget_old_ones() -> None:
    for folder in KEPT.iterdir():
        if time.time() - folder.stat().st_mtime > KEPT_FOR_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)
