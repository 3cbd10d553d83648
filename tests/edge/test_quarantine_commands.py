"""What a technician sees and does of what the cloud refused, at a gateway that may be running."""

from __future__ import annotations

import json
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from forecourt_edge.__main__ import EXIT_UNUSABLE, main
from forecourt_edge.config import OutboxConfig
from forecourt_edge.outbox import Outbox
from tests.edge.refusing import refuse, sale, waiting
from tests.edge.stations import config_for, start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PLATE = "浙A12345"


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    """Return the outbox as a running component holds it."""
    with closing(Outbox(OutboxConfig(path=tmp_path / "outbox.db"))) as opened:
        yield opened


@pytest.fixture
def station_json(tmp_path: Path) -> Path:
    path = tmp_path / "station.json"
    path.write_text(config_for(tmp_path, 5020).model_dump_json(), "utf-8")
    return path


def test_the_list_has_ids_and_counts_by_reason_and_no_evidence(
    outbox: Outbox, station_json: Path
) -> None:
    refuse(outbox, "unknown_station", sale(1, evidence=[PLATE]), sale(2))
    refuse(outbox, "out_of_range", sale(3))

    with start(station_json, "--refused") as commanded:
        output, _ = commanded.communicate(timeout=30)

    assert commanded.returncode == 0
    lines = [json.loads(line) for line in output.splitlines()]
    assert [(line["event"], line.get("message_id")) for line in lines] == [
        ("refused_message", "sale-1"),
        ("refused_message", "sale-2"),
        ("refused_message", "sale-3"),
        ("refused", None),
    ]
    assert lines[-1]["count"] == 3
    assert lines[-1]["reasons"] == {"unknown_station": 2, "out_of_range": 1}
    assert PLATE not in json.dumps(lines, ensure_ascii=False)
    assert (outbox.count(), len(outbox.quarantined())) == (0, 3)


def test_a_command_beside_a_component_that_is_writing_waits_for_it(
    outbox: Outbox, station_json: Path
) -> None:
    refuse(outbox, "unknown_station", sale(1))
    refuse(outbox, "out_of_range", sale(2))
    outbox.connection.execute("BEGIN IMMEDIATE")
    outbox.connection.execute("INSERT INTO facts VALUES ('last', '1')")
    with start(station_json, "--send-again", "unknown_station") as commanded:
        with pytest.raises(subprocess.TimeoutExpired):
            commanded.wait(2)
        outbox.connection.execute("COMMIT")
        output, _ = commanded.communicate(timeout=30)

    line = json.loads(output)
    assert commanded.returncode == 0
    assert (line["event"], line["reason"], line["count"]) == ("put_back", "unknown_station", 1)
    assert waiting(outbox) == ["sale-1"]
    assert outbox.fact("last") == "1"


def test_all_is_sent_again_at_a_word(
    outbox: Outbox, station_json: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse(outbox, "unknown_station", sale(1))
    refuse(outbox, "out_of_range", sale(2))

    for count in (2, 0):
        assert main(["--config", str(station_json), "--send-again", "all"]) == 0
        line = json.loads(capsys.readouterr().out)
        assert (line["event"], line["count"]) == ("put_back", count)
        assert waiting(outbox) == ["sale-1", "sale-2"]


@pytest.mark.parametrize("reason", ["unknown_stations", ""])
def test_a_wrong_reason_is_told_with_the_right_ones(
    outbox: Outbox, station_json: Path, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse(outbox, "unknown_station", sale(1))

    assert main(["--config", str(station_json), "--send-again", reason]) == EXIT_UNUSABLE

    line = json.loads(capsys.readouterr().out)
    assert (line["level"], line["event"]) == ("error", "command_failed")
    assert (line["error"], line["reason"]) == ("NothingRefused", reason)
    assert line["reasons"] == ["unknown_station"]
    assert len(outbox.quarantined()) == 1


@pytest.mark.parametrize("options", [("--refused",), ("--send-again", "all")])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "there is no such file"),
        (b"this is not a database" * 500, "file is not a database"),
        (b"", "no such table"),
    ],
)
def test_a_file_that_is_no_outbox_is_told_and_left_as_it_is(
    tmp_path: Path,
    station_json: Path,
    capsys: pytest.CaptureFixture[str],
    *,
    options: tuple[str, ...],
    content: bytes | None,
    reason: str,
) -> None:
    path = tmp_path / "outbox.db"
    if content is not None:
        path.write_bytes(content)

    assert main(["--config", str(station_json), *options]) == EXIT_UNUSABLE

    line = json.loads(capsys.readouterr().out)
    assert (line["event"], line["error"]) == ("command_failed", "OutboxUnusable")
    assert line["path"] == str(path)
    assert line["reason"].startswith(reason)
    assert (path.read_bytes() if path.exists() else None) == content
    assert sorted(tmp_path.iterdir()) == sorted([station_json, *([path] if path.exists() else [])])


def test_a_configuration_that_is_not_there_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--config", str(tmp_path / "no.json"), "--refused"]) == EXIT_UNUSABLE

    line = json.loads(capsys.readouterr().out)
    assert (line["event"], line["error"]) == ("command_failed", "InvalidConfig")
    assert line["findings"][0].startswith("cannot be read")


def test_one_thing_is_done_at_a_time(station_json: Path) -> None:
    with pytest.raises(SystemExit):
        main(["--config", str(station_json), "--refused", "--send-again", "all"])
