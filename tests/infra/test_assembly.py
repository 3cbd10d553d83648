"""A kept synthesis serves as long as it is the synthesis of what lies there now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.local import assembly

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for file in ("cdk.json", "infra/api.py", "infra/local/demo.py", "functions/ingest/handler.py"):
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("one")
    (tmp_path / "requirements").mkdir()
    (tmp_path / "layers").mkdir()
    monkeypatch.setattr(assembly, "ROOT", tmp_path)
    monkeypatch.setattr(assembly, "NOT_IN_THE_STACK", tmp_path / "infra" / "local")
    return tmp_path


@pytest.mark.parametrize("file", ["cdk.json", "infra/api.py", "functions/ingest/handler.py"])
def test_a_changed_source_is_synthesised_anew(sources: Path, file: str) -> None:
    before = assembly.LocalAssembly().folder

    (sources / file).write_text("two")

    assert assembly.LocalAssembly().folder != before


def test_a_new_file_is_synthesised_too(sources: Path) -> None:
    before = assembly.LocalAssembly().folder

    (sources / "functions" / "ingest" / "rules.py").write_text("")

    assert assembly.LocalAssembly().folder != before


def test_what_only_starts_the_stack_is_not_in_it(sources: Path) -> None:
    before = assembly.LocalAssembly().folder

    (sources / "infra" / "local" / "demo.py").write_text("two")

    assert assembly.LocalAssembly().folder == before
