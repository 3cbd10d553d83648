"""Both targets, synthesised once: a synthesis takes seconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import aws_cdk as cdk
import pytest

from infra.app import build
from tests.infra.templates import Synthesised

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]


def app_for(target: str, folder: Path) -> cdk.App:
    """Return the app as the `cdk` command runs it."""
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    # The command sets this one by itself; the tests find resources by it.
    paths = {"aws:cdk:enable-path-metadata": True}
    return cdk.App(context={**context, **paths, "target": target}, outdir=str(folder))


@pytest.fixture(scope="session")
def synthesise(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Synthesised]:
    def synthesised(target: str) -> Synthesised:
        folder = tmp_path_factory.mktemp(target)
        app = app_for(target, folder)
        build(app)
        app.synth()
        return Synthesised(assembly=folder)

    return synthesised


@pytest.fixture(scope="session")
def aws(synthesise: Callable[[str], Synthesised]) -> Synthesised:
    """Synthesise for AWS; a finding of cdk-nag that nobody accepted fails here."""
    return synthesise("aws")


@pytest.fixture(scope="session")
def local(synthesise: Callable[[str], Synthesised]) -> Synthesised:
    return synthesise("local")
