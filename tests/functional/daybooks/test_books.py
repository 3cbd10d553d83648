"""What is posted goes over the archive into the book of its day: nothing is lost, and once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from botocore.exceptions import ClientError

from forecourt.arrivals import Arrivals
from forecourt.bookshelf import Bookshelf, file_key
from forecourt.ledger.daybook import Leaves, leaf_of
from forecourt.ledger.merkle import leaf_hash, root_of
from forecourt.loyalty_table import account_key
from tests.functional.bookkeeping import (
    MONDAY,
    TUESDAY,
    TUESDAY_NOON,
    WEDNESDAY,
    Till,
    days_told,
    shelf,
)
from tests.functional.clients import Before, Interrupting, Paging, Reluctant, refusal
from tests.functional.conftest import BOOKS_BUCKET, LOYALTY_TABLE, WORKINGS_BUCKET, client

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date
    from pathlib import Path
    from types import ModuleType

    from tests.functional.world import World

# In this order.
WRITES = ("leaves", "parquet", "book.json", "item")


@pytest.fixture
def closing(aws: None) -> ModuleType:  # noqa: ARG001 - its buckets are in it
    from functions.closing import handler  # noqa: PLC0415 - it needs the environment

    return handler


def objects(bucket: str) -> dict[str, bytes]:
    s3 = client("s3")
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket).get("Contents", ())]
    return {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


def test_the_book_of_a_day_has_each_of_its_entries_once(till: Till) -> None:
    entries = [till.earn(), till.earn(owner="bo"), till.spend(30)]
    till.archive()
    till.now = TUESDAY_NOON
    till.earn()
    till.archive()

    assert till.close() == ["2026-11-23"]

    (book,) = till.books
    assert (book.day, book.entries, book.tally) == (MONDAY, 3, {MONDAY: 3})
    assert book.root == root_of(sorted(map(leaf_of, entries))).hex()
    assert till.entry_ids(book) == {entry.entry_id for entry in entries}


def test_the_parquet_file_has_all_that_the_root_is_made_of(till: Till, tmp_path: Path) -> None:
    till.earn()
    till.spend(30)
    till.archive()
    till.close()

    (book,) = till.books
    file = tmp_path / "entries.parquet"
    file.write_bytes(objects(BOOKS_BUCKET)[file_key(book, "parquet")])
    table = duckdb.read_parquet(str(file))
    rows = table.project("content, leaf, points, posted_on").fetchall()
    hashes = [leaf_hash(content.encode()) for content, *_ in rows]
    assert root_of(hashes).hex() == book.root
    assert [each.hex() for each in hashes] == [leaf for _, leaf, *_ in rows]
    assert sorted(points for _, _, points, _ in rows) == [-30, 100]
    assert {day for *_, day in rows} == {MONDAY}


def test_an_entry_that_is_archived_twice_is_counted_once(till: Till) -> None:
    till.earn()
    till.earn()
    records = till.archive()
    till.archive(records)
    till.archive(records[1:])

    till.close()

    assert len(objects(WORKINGS_BUCKET)) == 2
    (book,) = till.books
    assert book.entries == 2


def test_the_archive_hands_a_batch_back_that_it_could_not_keep(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    from functions.archive import handler  # noqa: PLC0415 - it needs the environment

    till.earn()
    s3 = Reluctant(client("s3"), "put_object", refusal("SlowDown"))
    monkeypatch.setattr(handler.arrivals, "_s3", s3)

    with pytest.raises(ClientError, match="SlowDown"):
        till.archive()

    assert objects(WORKINGS_BUCKET) == {}


def test_what_happens_to_an_item_after_it_was_posted_does_not_reach_the_book(
    world: World, till: Till
) -> None:
    entry = till.earn()
    till.archive()
    till.forge(entry, "actor")

    till.close()

    (book,) = till.books
    assert shelf(world).leaves(book).index(leaf_of(entry)) == 0


def test_a_day_is_closed_once_and_told_once(world: World, till: Till) -> None:
    till.earn()
    till.archive()
    till.close()
    before = objects(BOOKS_BUCKET)
    (told,) = days_told(world)

    assert till.close() == []
    assert till.close(after=timedelta(hours=8)) == []

    assert objects(BOOKS_BUCKET) == before
    assert days_told(world) == []
    assert (told["business_day"], told["entries"]) == ("2026-11-23", 1)


def test_a_day_that_is_not_over_cannot_be_closed(till: Till) -> None:
    till.earn()
    till.archive()

    # Midnight was half an hour ago: something may still be on its way.
    closed = till.close(after=timedelta(minutes=30), business_day="2026-11-23")

    assert "2026-11-23" not in closed
    assert MONDAY not in [book.day for book in till.books]


@pytest.mark.parametrize("written", range(len(WRITES)))
def test_a_close_that_broke_off_anywhere_is_finished_by_the_next(
    till: Till, closing: ModuleType, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    till.earn()
    till.archive()
    writes = iter(range(len(WRITES)))

    def refuse_one() -> None:
        if next(writes) == written:
            raise refusal("InternalError")

    with monkeypatch.context() as broken:
        broken.setattr(closing.shelf, "_s3", Before(closing.shelf._s3, "put_object", refuse_one))
        table = Before(closing.shelf._dynamodb, "put_item", refuse_one)
        broken.setattr(closing.shelf, "_dynamodb", table)
        with pytest.raises(ClientError, match="InternalError"):
            till.close()
    assert till.books == []
    assert len(objects(BOOKS_BUCKET)) == written

    assert till.close() == ["2026-11-23"]

    (book,) = till.books
    assert book.entries == 1
    assert len(objects(BOOKS_BUCKET)) == 3


def test_who_closes_a_day_that_was_just_closed_takes_that_book(
    till: Till, closing: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = till.earn()
    till.archive()
    honest = closing.shelf._s3

    def meanwhile() -> None:
        monkeypatch.setattr(closing.shelf, "_s3", honest)
        till.close()
        till.earn()
        till.archive()

    monkeypatch.setattr(closing.arrivals, "_s3", honest)
    monkeypatch.setattr(closing.shelf, "_s3", Interrupting(honest, "put_object", meanwhile))
    till.close()

    (book,) = till.books
    assert till.entry_ids(book) == {first.entry_id}


def test_nights_that_were_missed_are_made_up_for_and_chained(world: World, till: Till) -> None:
    till.earn()
    till.archive()
    till.close()
    till.now = TUESDAY_NOON
    till.earn()
    till.archive()

    assert till.close(WEDNESDAY) == ["2026-11-24", "2026-11-25"]

    monday, tuesday, wednesday = till.books
    assert [book.entries for book in (monday, tuesday, wednesday)] == [1, 1, 0]
    assert (monday.previous, tuesday.previous) == ("", monday.digest)
    assert wednesday.previous == tuesday.digest
    assert [told["root"] for told in days_told(world)] == [tuesday.root, wednesday.root]


def test_an_entry_that_comes_after_its_day_was_closed_is_in_the_next_book_once(till: Till) -> None:
    early, late = till.earn(), till.earn(owner="bo")
    records = till.archive(losing=[late])
    till.close()
    till.archive(records)

    till.close(TUESDAY)
    till.archive(records)
    till.close(WEDNESDAY)

    monday, tuesday, wednesday = till.books
    assert till.entry_ids(monday) == {early.entry_id}
    assert till.entry_ids(tuesday) == {late.entry_id}
    assert (tuesday.tally, wednesday.entries) == ({MONDAY: 1}, 0)


def test_what_the_archive_missed_of_an_account_is_read_from_the_table(
    till: Till, counted: Callable[[], dict[str, int]]
) -> None:
    first, middle, last = till.earn(), till.earn(), till.earn()
    till.now = TUESDAY_NOON
    till.earn()
    till.archive(losing=[middle, last])
    counted()

    till.close()

    (book,) = till.books
    assert till.entry_ids(book) == {each.entry_id for each in (first, middle, last)}
    assert counted()["EntriesRecovered"] == 2


def test_what_was_forged_since_is_not_read_from_the_table(world: World, till: Till) -> None:
    first, lost, wrecked = till.earn(), till.earn(), till.earn()
    for entry, attribute in ((lost, "actor"), (wrecked, "legs")):
        till.forge(entry, attribute)
    till.archive(losing=[lost, wrecked])

    till.close()

    (book,) = till.books
    assert shelf(world).leaves(book).index(leaf_of(first)) == 0
    assert book.entries == 1


def test_an_account_that_cannot_be_read_does_not_keep_a_day_open(world: World, till: Till) -> None:
    till.earn()
    till.archive()
    world.dynamodb.update_item(
        TableName=LOYALTY_TABLE, Key=account_key("ann"), UpdateExpression="REMOVE version"
    )

    assert till.close() == ["2026-11-23"]


@pytest.mark.parametrize("days", [0, 1])
def test_books_are_found_from_a_day_on(world: World, days: int, till: Till) -> None:
    till.earn()
    till.archive()
    till.close()
    till.close(WEDNESDAY)

    since: date = MONDAY + timedelta(days=days)
    found = shelf(world).books(since=since, limit=1)

    assert [book.day for book in found] == [since]
    paging: Any = Paging(world.dynamodb, page=1)
    pages = Bookshelf(client("s3"), paging, bucket=BOOKS_BUCKET, table=LOYALTY_TABLE)
    assert pages.books() == till.books
    assert isinstance(shelf(world).leaves(found[0]), Leaves)


def test_what_came_before_a_book_was_closed_is_not_read_again(till: Till) -> None:
    till.earn()
    till.archive()
    arrivals = Arrivals(client("s3"), bucket=WORKINGS_BUCKET)
    now = datetime.now(UTC)

    assert len(list(arrivals.of(MONDAY, since=now - timedelta(minutes=5)))) == 1
    assert list(arrivals.of(MONDAY, since=now + timedelta(minutes=5))) == []
