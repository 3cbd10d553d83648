"""Setting up: pins without addresses, and a clear word to an old interpreter."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from infra.local import prepare
from tests import stages

ROOT = Path(__file__).parents[2]
PINS = [
    ROOT / "requirements" / "stack.txt",
    ROOT / "requirements" / "test.txt",
    ROOT / "layers" / "vendor" / "requirements.txt",
    ROOT / "layers" / "parquet" / "requirements.txt",
]
PIN = re.compile(r"[a-z0-9.-]+(\[[a-z0-9,-]+\])?==[\w.]+ \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")


def pins_of(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9.-]+)(?:\[.*?\])?==(\S+)", path.read_text(), re.MULTILINE))


@pytest.mark.parametrize("path", PINS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_pin_is_a_name_a_version_and_hashes_and_names_no_address(path: Path) -> None:
    for line in path.read_text().splitlines():
        assert PIN.fullmatch(line) or HASH.fullmatch(line) or re.match(r"\s*#", line), line
        assert "://" not in line


def test_the_functions_are_tested_with_the_versions_they_run_with() -> None:
    stack, test, *layers = map(pins_of, PINS)

    for vendored in layers:
        assert vendored.items() <= stack.items() <= test.items()


def test_ministack_and_boto3_share_one_botocore() -> None:
    stack = pins_of(PINS[0])

    assert stack["boto3"] == stack["botocore"]


def test_the_cdk_command_line_is_pinned_exactly_and_nothing_is_locked_to_an_address() -> None:
    package = json.loads((ROOT / "package.json").read_text())

    assert package["devDependencies"] == {"aws-cdk": "2.1148.1"}
    assert "package-lock.json" not in tracked_files()


def test_no_tracked_file_of_pins_names_a_registry() -> None:
    for path in ("Makefile", "package.json", ".gitignore", ".ci/run"):
        text = (ROOT / path).read_text()
        assert not re.search(r"--(extra-)?index-url|--find-links|registry", text), path


def test_an_old_interpreter_is_told_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))

    assert prepare.check() == 1
    assert "needs Python 3.11 or newer" in capsys.readouterr().out


def test_a_new_interpreter_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    assert prepare.check() == 0
    assert capsys.readouterr().out == ""


def test_a_package_that_is_not_what_was_pinned_is_not_installed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forged = tmp_path / "requirements.txt"
    forged.write_text(f"colorama==0.4.6 \\\n    --hash=sha256:{'0' * 64}\n")

    assert prepare.install(str(forged)) != 0
    assert "HASH" in capsys.readouterr().out


def test_help_lists_every_target() -> None:
    listed = make("help").stdout

    targets = re.findall(r"^\.PHONY: (\S+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert targets
    for target in targets:
        assert f"make {target}" in listed


def test_help_fits_a_terminal_of_the_usual_width() -> None:
    assert [line for line in make("help").stdout.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize(
    "wrong",
    ["demo SALES=abc", "demo SALES=-3", "replay FILLS=0", "sim SEEDS=1e3", "chaos SALES=1.5"],
)
def test_a_count_that_is_none_is_refused_before_anything_is_set_up(wrong: str) -> None:
    target, option = wrong.split()

    refused = make("--dry-run", target, option)

    assert refused.returncode == 2
    assert f"{option} is no positive whole number" in refused.stderr
    assert refused.stdout == ""


def test_a_step_of_a_rotation_that_is_none_is_refused() -> None:
    refused = make("--dry-run", "rotate", "STEP=foo")

    assert refused.returncode == 2
    assert "STEP=foo is none of begin, drop and anew" in refused.stderr


def test_every_folder_of_tests_is_a_stage() -> None:
    assert stages.folders_of_tests() <= stages.STAGES.keys()


def test_every_stage_is_run_once() -> None:
    run = [stage for lanes in stages.PHASES for lane in lanes for stage in lane]

    assert sorted(run) == sorted(stages.STAGES)


def test_an_unknown_stage_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert stages.main(["unti"]) == 1
    assert "No such stage: unti" in capsys.readouterr().out


def test_ci_does_what_a_user_does() -> None:
    *_, last = (ROOT / ".ci" / "run").read_text().splitlines()

    assert last.endswith("exec make test")


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", *arguments],  # noqa: S607 - make as the user calls it
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )


def tracked_files() -> set[str]:
    listed = subprocess.run(
        ["git", "ls-files"],  # noqa: S607 - git as the user calls it
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return set(listed.split())
