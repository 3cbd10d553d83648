"""A telling without a sale waits where a person sees it, and leaves when its sale comes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.lone_tellings import LoneTellings
from forecourt.retellings import telling_id_for
from forecourt.stations_table import StationsTable
from forecourt.stored_sales import Status
from forecourt.stored_tellings import StoredTelling
from tests.functional.clients import Interrupting, Paging
from tests.functional.conftest import LOYALTY_TABLE, SALES_TABLE
from tests.functional.lone_tellings.waiting import (
    BY_PLATE,
    LONG_AFTER,
    NEIGHBOUR,
    TILL_ID,
    listed,
    retold,
    somebody,
    told_of,
)
from tests.functional.tellings import ACCOUNT, PAYMENT, PHONE, TILL, telling_record
from tests.functional.world import key_of, keyed, sale_record
from tests.specimens import PLATE, RECEIVED_AT, sale

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tests.functional.http import Client
    from tests.functional.world import World


def test_what_was_told_and_by_whom_is_shown_masked(tell: Any, manager: Client) -> None:
    tell(telling_record(TILL, PHONE))

    (shown,) = manager.get("/tellings").body["tellings"]
    (audited,) = somebody("auditor").get("/tellings").body["tellings"]

    assert shown == {
        "telling_id": TILL_ID,
        "station_id": "s0001",
        "source": "till",
        "told_id": "R-20261123-0815",
        "told_at": "2026-11-23T08:17:30Z",
        "received_at": "2026-11-23T08:15:04Z",
        "amount_fen": 30_232,
        "nozzle": 3,
        "volume_ml": 39_990,
        "waits_because": None,
        "evidence": [{"kind": "phone", "confidence": None, "source": "till-1"}],
        "observed": [{"kind": "phone", "masked": "13*******78"}],
    }
    assert audited == {**shown, "observed": None}


def test_a_telling_is_listed_an_hour_after_it_came(
    tell: Any, manager: Client, clock: Callable[[datetime], None]
) -> None:
    tell(telling_record(TILL))

    clock(LONG_AFTER - timedelta(seconds=1))
    assert listed(manager) == []

    clock(LONG_AFTER)
    assert listed(manager) == [TILL_ID]


def test_a_telling_whose_sale_was_there_is_never_queued(
    tell: Any, world: World, manager: Client
) -> None:
    tell(sale_record(BY_PLATE), telling_record(TILL, PHONE))

    assert listed(manager) == []
    stored = retold(world).telling(TILL_ID)
    assert (stored.sale_id, stored.queued, stored.decided_by) == (BY_PLATE.sale_id, False, None)


def test_all_that_waited_leaves_the_queue_when_the_sale_comes(
    tell: Any, match: Any, world: World, manager: Client
) -> None:
    world.enrol("m1", PLATE, PHONE)
    tell(telling_record(TILL, PHONE), telling_record(PAYMENT))
    assert sorted(listed(manager)) == sorted([TILL_ID, telling_id_for(PAYMENT)])

    tell(sale_record(BY_PLATE))
    match()

    assert listed(manager) == []
    assert world.stored(BY_PLATE).member_id == "m1"
    assert sorted(told_of(world)) == sorted([TILL_ID, telling_id_for(PAYMENT)])


def test_a_telling_that_comes_again_waits_since_it_came_first(
    tell: Any, world: World, manager: Client
) -> None:
    tell(telling_record(TILL, PHONE))
    before = world.snapshot()

    tell(telling_record(TILL, PHONE, received_at=LONG_AFTER))

    assert world.snapshot() == before
    assert listed(manager) == [TILL_ID]


@pytest.mark.parametrize("till_first", [True, False])
def test_what_contradicts_a_sale_waits_and_is_no_evidence_for_it(
    tell: Any, world: World, manager: Client, *, till_first: bool
) -> None:
    differing = replace(TILL, amount_fen=TILL.amount_fen + 1)
    records = [sale_record(BY_PLATE), telling_record(differing, PHONE)]

    tell(*(reversed(records) if till_first else records))

    stored = world.stored(BY_PLATE)
    assert (stored.status, stored.doubts) == (Status.HELD, ("amount_differs",))
    assert (stored.told, stored.evidence) == ((), keyed(PLATE))
    (shown,) = manager.get("/tellings").body["tellings"]
    assert shown["waits_because"] == "amount_differs"


def test_the_next_cars_receipt_that_comes_first_finds_its_own_sale(
    tell: Any, match: Any, world: World, manager: Client
) -> None:
    world.enrol("m1", PLATE, PHONE)
    at = BY_PLATE.key.completed_at - timedelta(minutes=4)
    before = sale(completed_at=at, totalizer_ml=1, amount_fen=10_000, evidence=())
    tell(sale_record(before), telling_record(TILL, PHONE))
    assert world.stored(before).evidence == ()

    tell(sale_record(BY_PLATE))
    match()

    assert world.stored(BY_PLATE).matched_by == ("phone", "plate")
    assert (told_of(world), told_of(world, before)) == ([TILL_ID], [])
    assert listed(manager) == []


def test_a_contradiction_does_not_keep_another_till_from_joining(tell: Any, world: World) -> None:
    differing = replace(TILL, told_id="R-other", amount_fen=TILL.amount_fen + 1)

    tell(sale_record(BY_PLATE), telling_record(differing), telling_record(TILL, PHONE))

    assert told_of(world) == [TILL_ID]


def test_a_telling_that_fits_nothing_any_more_says_so(
    tell: Any, world: World, manager: Client
) -> None:
    tell(sale_record(BY_PLATE), sale_record(NEIGHBOUR), telling_record(PAYMENT))
    first = retold(world).telling(telling_id_for(PAYMENT))
    retold(world)._queue(first, None)

    (shown,) = manager.get("/tellings").body["tellings"]
    assert shown["waits_because"] is None


def test_a_sale_that_comes_while_its_telling_is_queued_takes_it_along(
    tell: Any, world: World, manager: Client
) -> None:
    tell()  # registers the station
    retold(world).add(StoredTelling(telling=TILL, received_at=RECEIVED_AT))
    StationsTable(world.dynamodb, name=LOYALTY_TABLE).note_retold("s0001")
    rival = Interrupting(world.dynamodb, "update_item", lambda: tell(sale_record(BY_PLATE)))

    one = retold(world, rival).reunite(TILL, now=RECEIVED_AT)

    assert one.pump is None  # that is what this one saw
    assert told_of(world) == [TILL_ID]
    assert listed(manager) == []


# --- by station and day -----------------------------------------------------------------------


def test_a_station_s_day_begins_at_its_own_midnight(tell: Any, manager: Client) -> None:
    # 16:00 UTC is midnight in Shanghai.
    midnight = TILL.at.replace(hour=16, minute=0, second=0)
    last = replace(TILL, told_id="last", at=midnight - timedelta(seconds=1))
    first = replace(TILL, told_id="first", at=midnight)
    tell(telling_record(last), telling_record(first))

    on = {day: listed(manager, station_id="s0001", business_day=day) for day in
          ("2026-11-22", "2026-11-23", "2026-11-24", "2026-11-25")}  # fmt: skip

    assert on == {
        "2026-11-22": [],
        "2026-11-23": [telling_id_for(last)],
        "2026-11-24": [telling_id_for(first)],
        "2026-11-25": [],
    }


def test_a_station_s_day_shows_only_what_waits_long_enough(
    tell: Any, world: World, manager: Client
) -> None:
    joined = replace(PAYMENT, told_id="joined")
    fresh = replace(TILL, told_id="fresh", at=TILL.at + timedelta(hours=2))
    tell(sale_record(BY_PLATE), telling_record(joined))
    tell(telling_record(replace(TILL, told_id="lone", at=TILL.at + timedelta(hours=1))))
    tell(telling_record(fresh, received_at=LONG_AFTER))
    world.register("s0002")

    found = listed(manager, station_id="s0001", business_day="2026-11-23")

    assert [each.rpartition(".")[2] for each in found] == ["lone"]
    assert listed(manager, station_id="s0002", business_day="2026-11-23") == []


@pytest.mark.parametrize("query", [{}, {"station_id": "s0001", "business_day": "2026-11-23"}])
def test_either_list_comes_in_pages_to_the_end(
    tell: Any, manager: Client, query: dict[str, str]
) -> None:
    many = [replace(TILL, told_id=f"R-{each}", at=TILL.at + each * timedelta(hours=1))
            for each in range(3)]  # fmt: skip
    for number, each in enumerate(many):
        tell(telling_record(each, received_at=RECEIVED_AT - timedelta(minutes=9 - number)))

    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = manager.get("/tellings", limit=2, **query, **cursor).body
        found += [each["told_id"] for each in page["tellings"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}

    assert found == ["R-0", "R-1", "R-2"]
    assert cursor
    elsewhere = manager.get("/tellings", station_id="s0001", business_day="2026-11-24", **cursor)
    assert (elsewhere.status, elsewhere.code) == (400, "invalid_cursor")


@pytest.mark.parametrize(
    ("query", "at"),
    [
        ({"station_id": "s0001"}, "/query/business_day"),
        ({"business_day": "2026-11-23"}, "/query/station_id"),
        ({"station_id": "s0001", "business_day": "2026-02-30"}, "/query/business_day"),
    ],
)
def test_a_station_and_a_day_go_together(manager: Client, query: dict[str, str], at: str) -> None:
    reply = manager.get("/tellings", **query)

    assert (reply.status, reply.code) == (422, "invalid_request")
    assert [each["at"] for each in reply.facts["findings"]] == [at]


def test_the_day_of_a_station_nobody_knows_is_not_empty_but_unknown(manager: Client) -> None:
    reply = manager.get("/tellings", station_id="s0009", business_day="2026-11-23")

    assert (reply.status, reply.code) == (404, "unknown_station")


def test_whom_a_queue_names_is_found_to_its_end(tell: Any, world: World) -> None:
    many = [replace(TILL, told_id=f"R-{each}", at=TILL.at + each * timedelta(hours=1))
            for each in range(3)]  # fmt: skip
    tell(*(telling_record(each, PHONE) for each in many), telling_record(PAYMENT, ACCOUNT))

    lone = LoneTellings(Paging(world.dynamodb, page=1), name=SALES_TABLE)
    found = list(lone.naming({key_of(PHONE)}))

    assert sorted(each.telling.told_id for each in found) == ["R-0", "R-1", "R-2"]
