"""The outbox loses nothing it answered for: not by a kill, a full disk or a damaged file."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from random import Random
from typing import TYPE_CHECKING

import pytest

from forecourt_edge.config import JoiningConfig, OutboxConfig
from forecourt_edge.errors import OutboxFull, OutboxInUse
from forecourt_edge.outbox import Cursor, Lane, Message, Outbox
from forecourt_edge.sightings import Sightings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECTOR_BYTES = 512

WRITER = """
import sys
from pathlib import Path
from forecourt_edge.config import OutboxConfig
from forecourt_edge.outbox import Cursor, Lane, Message, Outbox

outbox = Outbox(OutboxConfig(path=Path(sys.argv[1])))
held = outbox.cursor(1, "SN1")
number = held.number if held else 0
while True:
    number += 1
    outbox.take_over(
        Cursor(nozzle=1, device_serial="SN1", number=number, totalizer_ml=number),
        messages=[Message(lane=Lane.SALES, message_id=f"sale-{number}", body={"n": number})],
    )
    print(number, flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


@pytest.fixture
def outbox(path: Path) -> Iterator[Outbox]:
    with closing(Outbox(OutboxConfig(path=path))) as opened:
        yield opened


def sale(number: int, **body: object) -> Message:
    return Message(lane=Lane.SALES, message_id=f"sale-{number}", body={"n": number, **body})


def telling(number: int, **body: object) -> Message:
    return Message(lane=Lane.TELLINGS, message_id=f"telling-{number}", body={"n": number, **body})


def at(number: int) -> Cursor:
    return Cursor(nozzle=1, device_serial="SN1", number=number, totalizer_ml=number)


def fill(outbox: Outbox, count: int) -> None:
    for number in range(1, count + 1):
        outbox.take_over(at(number), messages=[sale(number)])


def damage_the_middle(path: Path) -> None:
    data = bytearray(path.read_bytes())
    page = 4096 * (len(data) // 4096 // 2)
    data[page : page + 4096] = os.urandom(4096)
    path.write_bytes(data)


def test_cursor_and_sale_are_there_together_after_every_kill(path: Path) -> None:
    """Killed at any moment, what was answered is there and the cursor fits the rows."""
    answered = 0
    for round_ in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        ) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(0.01 + 0.017 * round_)
            writer.send_signal(signal.SIGKILL)
            said = [int(line) for line in writer.stdout.read().split()]
        answered = max([answered, *said])
        with closing(Outbox(OutboxConfig(path=path))) as opened:
            cursor = opened.cursor(1, "SN1")
            assert cursor is not None
            assert cursor.number >= answered
            assert opened.count() == cursor.number
            answered = cursor.number

    with closing(Outbox(OutboxConfig(path=path))) as opened:
        ids = [waiting.message_id for waiting in opened.after(0, 1_000_000)]
    assert ids == [f"sale-{number}" for number in range(1, answered + 1)]


def test_a_full_disk_stores_neither_sale_nor_cursor_and_later_both(
    outbox: Outbox,
) -> None:
    fill(outbox, 1)
    pages = outbox.connection.execute("PRAGMA page_count").fetchone()[0]
    outbox.connection.execute(f"PRAGMA max_page_count = {pages}")

    def fill_up() -> None:
        for number in range(2, 100):
            outbox.take_over(at(number), messages=[sale(number, padding="x" * 3_000)])

    with pytest.raises(OutboxFull) as caught:
        fill_up()

    assert caught.value.reason == "disk"
    cursor = outbox.cursor(1, "SN1")
    assert cursor is not None
    assert outbox.count() == cursor.number
    outbox.connection.execute("PRAGMA max_page_count = 1000000")
    outbox.take_over(at(cursor.number + 1), messages=[sale(cursor.number + 1)])
    assert outbox.count() == cursor.number + 1


def test_what_a_till_told_is_synced_before_it_is_answered(outbox: Outbox) -> None:
    statements: list[str] = []
    outbox.accept([])  # as any write that need not be synced
    outbox.connection.set_trace_callback(statements.append)

    assert outbox.put_telling(telling(1)) is None

    assert statements[-1] == "COMMIT"
    begun = statements.index("BEGIN IMMEDIATE")
    assert statements[begun - 1] == "PRAGMA synchronous = FULL"


@pytest.mark.parametrize("seed", range(6))
def test_a_power_cut_after_the_answer_loses_no_telling(path: Path, seed: int) -> None:
    log_path = path.with_name("outbox.db-wal")
    with closing(Outbox(OutboxConfig(path=path))) as outbox:
        outbox.put_telling(telling(1))
        outbox.put_telling(telling(2))
        data, synced = path.read_bytes(), log_path.read_bytes()
        outbox.accept(["telling-1"])
        written = log_path.read_bytes()
        assert path.read_bytes() == data, "a checkpoint moved what this test cuts"

    log_path.write_bytes(after_a_power_cut(synced, written, Random(seed)))
    path.write_bytes(data)

    with closing(Outbox(OutboxConfig(path=path))) as opened:
        waiting = [each.message_id for each in opened.after(0, 10)]
    assert waiting in (["telling-1", "telling-2"], ["telling-2"])


def test_a_telling_that_waits_is_given_back_and_not_stored_again(outbox: Outbox) -> None:
    outbox.put_telling(telling(1))

    found = outbox.put_telling(telling(1, other="figures"))

    assert found is not None
    assert found.body == telling(1).body
    assert outbox.count() == 1


def test_a_telling_that_was_damaged_is_stored_afresh(outbox: Outbox) -> None:
    outbox.put_telling(telling(1))
    outbox.connection.execute("UPDATE messages SET body = x'7b7d'")

    assert outbox.put_telling(telling(1)) is None

    assert [each.body for each in outbox.after(0, 9)] == [telling(1).body]
    assert [each.reason for each in outbox.quarantined()] == ["corrupted"]


def test_tellings_have_a_cap_of_their_own(path: Path) -> None:
    with closing(Outbox(OutboxConfig(path=path, tellings_max=1, sales_max=1))) as outbox:
        outbox.put_telling(telling(1))

        with pytest.raises(OutboxFull) as caught:
            outbox.put_telling(telling(2))

        assert (caught.value.reason, outbox.count()) == ("cap", 1)
        assert outbox.put_telling(telling(1)) is not None  # its repeat is no more of them
        outbox.take_over(at(1), messages=[sale(1)])
        assert outbox.count() == 2


def test_what_the_cloud_holds_is_deleted_and_only_that(outbox: Outbox) -> None:
    fill(outbox, 3)

    assert outbox.accept(["sale-2", "sale-9"]) == [2]
    assert [waiting.message_id for waiting in outbox.after(0, 10)] == ["sale-1", "sale-3"]


def test_at_the_cap_nothing_is_stored_and_nothing_dropped(path: Path) -> None:
    with closing(Outbox(OutboxConfig(path=path, sales_max=2))) as outbox:
        fill(outbox, 2)

        with pytest.raises(OutboxFull) as caught:
            outbox.take_over(at(3), messages=[sale(3)])

        assert (caught.value.reason, caught.value.rows) == ("cap", 2)
        assert outbox.count() == 2
        assert outbox.cursor(1, "SN1") == at(2)


def test_readings_give_way_to_newer_ones_and_sales_do_not(path: Path) -> None:
    with closing(Outbox(OutboxConfig(path=path, readings_max=2))) as outbox:
        fill(outbox, 1)
        for number in range(4):
            reading = Message(lane=Lane.READINGS, message_id=f"r-{number}", body={})
            outbox.put_reading(reading, fact=("last", str(number)))

        ids = [waiting.message_id for waiting in outbox.after(0, 10)]
        assert ids == ["sale-1", "r-2", "r-3"]
        assert outbox.fact("last") == "3"


@pytest.mark.parametrize("damage", [b"", b"{", b'{"n": 2}', b"\xff\xfe", b"[]"])
def test_a_corrupted_row_is_put_aside_and_the_rest_goes_on(outbox: Outbox, damage: bytes) -> None:
    fill(outbox, 3)
    outbox.connection.execute("UPDATE messages SET body = ? WHERE local_id = 2", (damage,))

    ids = [waiting.message_id for waiting in outbox.after(0, 10)]

    assert ids == ["sale-1", "sale-3"]
    [refused] = outbox.quarantined()
    assert (refused.message_id, refused.reason) == ("sale-2", "corrupted")
    assert refused.body == damage


def test_a_refused_sale_is_kept_with_its_reason(outbox: Outbox) -> None:
    fill(outbox, 2)

    assert outbox.refuse({"sale-1": "unknown_grade", "sale-7": "unknown"}) == [1]

    [refused] = outbox.quarantined()
    assert (refused.message_id, refused.reason) == ("sale-1", "unknown_grade")
    assert outbox.count() == 1


def test_a_torn_tail_of_the_log_costs_nothing_that_was_answered(path: Path) -> None:
    outbox = Outbox(OutboxConfig(path=path))
    fill(outbox, 20)
    log = path.with_name("outbox.db-wal").read_bytes()
    data = path.read_bytes()
    outbox.close()
    path.write_bytes(data)
    path.with_name("outbox.db-wal").write_bytes(log + os.urandom(5_000))

    with closing(Outbox(OutboxConfig(path=path))) as opened:
        assert opened.count() == 20
        assert opened.cursor(1, "SN1") == at(20)


def test_a_sale_is_synced_before_it_is_answered_and_nothing_else_waits_for_the_disk(
    outbox: Outbox,
) -> None:
    statements: list[str] = []
    fill(outbox, 1)
    outbox.accept(["sale-1"])
    outbox.connection.set_trace_callback(statements.append)

    outbox.take_over(at(2), messages=[sale(2)])
    taking_over = statements.copy()
    statements.clear()
    outbox.accept(["sale-2"])

    assert taking_over[-1] == "COMMIT"
    begun = taking_over.index("BEGIN IMMEDIATE")
    assert taking_over[begun - 1] == "PRAGMA synchronous = FULL"
    assert not any("synchronous" in statement for statement in taking_over[begun:])
    assert statements[0] == "PRAGMA synchronous = NORMAL"


@pytest.mark.parametrize("seed", range(12))
def test_a_power_cut_that_loses_unsynced_sectors_loses_nothing_that_was_answered(
    path: Path, seed: int
) -> None:
    """
    What the disk has not synced it may keep or lose, sector by sector and in any order.

    Only a take-over is synced: the acknowledgement and the reading after it may be undone.
    """
    log_path = path.with_name("outbox.db-wal")
    with closing(Outbox(OutboxConfig(path=path))) as outbox:
        fill(outbox, 3)
        data, synced = path.read_bytes(), log_path.read_bytes()
        outbox.accept(["sale-1"])
        reading = Message(lane=Lane.READINGS, message_id="r-1", body={"padding": "x" * 9_000})
        outbox.put_reading(reading, fact=("last", "1"))
        outbox.accept(["sale-2"])
        assert path.read_bytes() == data, "a checkpoint moved what this test cuts"
        written = log_path.read_bytes()
    assert len(written) > len(synced) + 10 * SECTOR_BYTES

    log_path.write_bytes(after_a_power_cut(synced, written, Random(seed)))
    path.write_bytes(data)
    with closing(Outbox(OutboxConfig(path=path))) as opened:
        waiting = {each.message_id for each in opened.after(0, 10)}
        assert opened.cursor(1, "SN1") == at(3)
    assert "sale-3" in waiting
    # In the order in which it happened, up to some moment.
    assert waiting in [
        {"sale-1", "sale-2", "sale-3"},
        {"sale-2", "sale-3"},
        {"sale-2", "sale-3", "r-1"},
        {"sale-3", "r-1"},
    ]
    assert not path.with_name("outbox.db.damaged-1").exists()


def after_a_power_cut(synced: bytes, written: bytes, rng: Random) -> bytes:
    """Return a file as it may lie on the disk: each sector changed since the sync, or not."""
    before = synced.ljust(len(written), b"\0")
    sectors = range(0, len(written), SECTOR_BYTES)
    kept = [rng.choice((before, written))[at : at + SECTOR_BYTES] for at in sectors]
    return b"".join(kept)[: rng.randint(len(synced), len(written))]


def test_of_a_damaged_file_everything_readable_is_kept(path: Path) -> None:
    outbox = Outbox(OutboxConfig(path=path))
    for number in range(1, 201):
        outbox.take_over(at(number), messages=[sale(number, padding="x" * 200)])
    outbox.close()
    damage_the_middle(path)

    with closing(Outbox(OutboxConfig(path=path))) as opened:
        kept = [waiting.body["n"] for waiting in opened.after(0, 1000)]
        assert len(kept) > 150
        assert kept == sorted(kept)
        opened.take_over(at(201), messages=[sale(201)])
    assert path.with_name("outbox.db.damaged-1").exists()


def made_by_an_older_program(path: Path, *, sales: int) -> None:
    """Leave the file of a gateway whose program did not know the doubts about characters."""
    with closing(Outbox(OutboxConfig(path=path))) as outbox:
        outbox.connection.execute("ALTER TABLE sightings DROP COLUMN character_confidences")
        for number in range(1, sales + 1):
            outbox.take_over(at(number), messages=[sale(number, padding="x" * 200)])
        outbox.connection.execute(
            "INSERT INTO sightings (event_id, camera, kind, value, confidence, nozzles, seen_at)"
            " VALUES ('e-1', 'camera-1', 'plate', '浙A12345', 97, '[1]', 1000.5)"
        )


def plates_in(outbox: Outbox) -> list[tuple[str, int | None, tuple[int, ...]]]:
    joined = Sightings(outbox, JoiningConfig()).for_sale(
        nozzle=1, lifted_at=1_010, completed_at=1_060
    )
    return [(each.value, each.confidence, each.character_confidences) for each in joined.sightings]


def test_the_file_of_an_older_program_is_taken_over_with_all_its_rows(path: Path) -> None:
    made_by_an_older_program(path, sales=3)

    for _ in range(2):
        with closing(Outbox(OutboxConfig(path=path))) as opened:
            ids = [waiting.message_id for waiting in opened.after(0, 10)]
            assert ids == ["sale-1", "sale-2", "sale-3"]
            assert opened.cursor(1, "SN1") == at(3)
            assert plates_in(opened) == [("浙A12345", 97, ())]


def test_of_a_damaged_file_of_an_older_program_everything_readable_is_kept(path: Path) -> None:
    made_by_an_older_program(path, sales=200)
    damage_the_middle(path)

    with closing(Outbox(OutboxConfig(path=path))) as opened:
        assert path.with_name("outbox.db.damaged-1").exists()
        assert opened.count() > 150
        assert plates_in(opened) == [("浙A12345", 97, ())]


def test_after_a_roll_back_a_damaged_file_of_a_newer_program_is_still_saved(path: Path) -> None:
    with closing(Outbox(OutboxConfig(path=path))) as outbox:
        outbox.connection.execute("ALTER TABLE messages ADD COLUMN something_new TEXT")
        for number in range(1, 201):
            outbox.take_over(at(number), messages=[sale(number, padding="x" * 200)])
    damage_the_middle(path)

    with closing(Outbox(OutboxConfig(path=path))) as opened:
        assert opened.count() > 150


def test_a_file_that_is_no_database_is_set_aside_not_overwritten(path: Path) -> None:
    path.write_bytes(b"this is not a database" * 500)

    with closing(Outbox(OutboxConfig(path=path))) as opened:
        assert opened.count() == 0

    assert path.with_name("outbox.db.damaged-1").read_bytes().startswith(b"this is not")


def test_a_second_component_on_the_same_outbox_is_refused(outbox: Outbox, path: Path) -> None:
    fill(outbox, 1)

    with pytest.raises(OutboxInUse):
        Outbox(OutboxConfig(path=path))

    assert outbox.count() == 1


def test_the_same_message_stored_again_stays_one(outbox: Outbox) -> None:
    fill(outbox, 1)

    outbox.take_over(at(1), messages=[sale(1)])

    assert outbox.count() == 1


def test_what_cannot_be_opened_is_not_taken_for_damaged(path: Path) -> None:
    path.mkdir()

    with pytest.raises(sqlite3.OperationalError):
        Outbox(OutboxConfig(path=path))

    assert path.is_dir()
