"""A telling without a sale waits where a person sees it, and leaves when its sale comes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.errors import TellingSettled, UnknownTelling
from forecourt.lone_tellings import LISTED_AFTER, LoneTellings
from forecourt.retellings import telling_id_for
from forecourt.retold_sales import RetoldSales
from forecourt.stations_table import StationsTable
from forecourt.stored_sales import Status, StoredSale
from forecourt.stored_tellings import StoredTelling, telling_key
from functions.operator import handler as operator
from tests.functional.clients import Interrupting, Paging
from tests.functional.conftest import LOYALTY_TABLE, SALES_TABLE
from tests.functional.http import Client
from tests.functional.tellings import ACCOUNT, PAYMENT, PHONE, TILL, telling_record
from tests.functional.world import key_of, keyed, sale_record
from tests.specimens import PLATE, RECEIVED_AT, sale

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tests.functional.world import World

BY_PLATE = sale(evidence=(PLATE,))
NEIGHBOUR = sale(nozzle=4, totalizer_ml=1, evidence=(PLATE,))
NOTHING = sale(transaction=1, totalizer_ml=1, volume_ml=0, amount_fen=0, evidence=())
# A sale as it is stored when ingest has not yet looked for what is told of it.
UNDISCOVERED = StoredSale(
    sale=replace(BY_PLATE, evidence=()), status=Status.RECEIVED, received_at=RECEIVED_AT
)
LONG_AFTER = RECEIVED_AT + LISTED_AFTER
TILL_ID = telling_id_for(TILL)


@pytest.fixture(autouse=True)
def clock(aws: None, monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:  # noqa: ARG001
    def set_clock(at: datetime) -> None:
        monkeypatch.setattr(operator.tellings, "_now", lambda: at)

    set_clock(LONG_AFTER)
    return set_clock


def somebody(group: str, subject: str = "sub-1") -> Client:
    return Client(handle=operator.handle, subject=subject, groups=f"[{group}]")


@pytest.fixture
def manager() -> Client:
    return somebody("manager")


def listed(client: Client, **query: Any) -> list[str]:
    reply = client.get("/tellings", **query)
    assert reply.status == 200, reply.text
    return [each["telling_id"] for each in reply.body["tellings"]]


def retold(world: World, client: Any = None) -> RetoldSales:
    return RetoldSales(client or world.dynamodb, sales=SALES_TABLE, loyalty=LOYALTY_TABLE)


def told_of(world: World, sold: Any = BY_PLATE) -> list[str]:
    return [each.telling_id for each in world.stored(sold).told]


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


def test_an_ambiguous_payment_waits_for_somebody_who_knows(
    tell: Any, match: Any, world: World, manager: Client
) -> None:
    world.enrol("m1", PLATE, ACCOUNT)
    tell(sale_record(BY_PLATE), sale_record(NEIGHBOUR), telling_record(PAYMENT, ACCOUNT))
    match()
    (shown,) = manager.get("/tellings").body["tellings"]
    assert shown["waits_because"] == "ambiguous"
    assert world.stored(BY_PLATE).asked == world.stored(NEIGHBOUR).asked == "m1"

    reply = manager.post(
        f"/tellings/{shown['telling_id']}/assignment", {"sale_id": NEIGHBOUR.sale_id}
    )
    match()

    assert reply.body == {
        "telling_id": shown["telling_id"],
        "sale_id": NEIGHBOUR.sale_id,
        "decided_by": "sub-1",
    }
    assert world.stored(NEIGHBOUR).matched_by == ("payment", "plate")
    assert world.stored(BY_PLATE).asked == "m1"
    assert (told_of(world), told_of(world, NEIGHBOUR)) == ([], [shown["telling_id"]])
    assert listed(manager) == []


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


def test_a_person_may_say_which_sale_a_till_with_a_wrong_clock_told_of(
    tell: Any, match: Any, world: World, manager: Client
) -> None:
    world.enrol("m1", PLATE, PHONE)
    late = replace(TILL, at=TILL.at + timedelta(hours=3), amount_fen=TILL.amount_fen + 1)
    tell(sale_record(BY_PLATE), telling_record(late, PHONE))
    match()
    assert world.stored(BY_PLATE).asked == "m1"

    assigned = manager.post(
        f"/tellings/{telling_id_for(late)}/assignment", {"sale_id": BY_PLATE.sale_id}
    )
    match()

    assert assigned.status == 200
    stored = world.stored(BY_PLATE)
    assert (stored.status, stored.member_id, stored.doubts) == (Status.MATCHED, "m1", ())
    assert not [item for item in world.items(LOYALTY_TABLE) if item["type"] == "question"]


def test_dismissing_forgets_whom_the_telling_named(
    tell: Any, world: World, manager: Client
) -> None:
    tell(telling_record(TILL, PHONE))

    reply = manager.post(f"/tellings/{TILL_ID}/dismissal")

    assert reply.body == {"telling_id": TILL_ID, "sale_id": None, "decided_by": "sub-1"}
    assert listed(manager) == []
    stored = retold(world).telling(TILL_ID)
    assert (stored.evidence, stored.sealed, stored.decided_at) == ((), None, LONG_AFTER)


def test_what_was_dismissed_joins_no_sale_and_is_queued_no_more(
    tell: Any, world: World, manager: Client
) -> None:
    tell(telling_record(TILL, PHONE))
    manager.post(f"/tellings/{TILL_ID}/dismissal")

    tell(telling_record(TILL, PHONE), sale_record(BY_PLATE), telling_record(TILL, PHONE))

    assert told_of(world) == []
    assert world.stored(BY_PLATE).evidence == keyed(PLATE)
    assert listed(manager) == []


def test_a_decision_is_answered_again_to_who_made_it_and_refused_to_others(
    tell: Any, world: World, manager: Client
) -> None:
    tell(telling_record(TILL), sale_record(NEIGHBOUR))
    path = f"/tellings/{TILL_ID}/assignment"
    order = {"sale_id": NEIGHBOUR.sale_id}
    first = manager.post(path, order)
    before = world.snapshot()

    # Under a new key: what a retry after a crash looks like.
    assert manager.post(path, order).body == first.body
    for other in (
        somebody("operator", "sub-2").post(path, order),
        manager.post(f"/tellings/{TILL_ID}/dismissal"),
        manager.post(path, {"sale_id": BY_PLATE.sale_id}),
    ):
        assert (other.status, other.code) == (409, "telling_settled")
        assert other.facts == {"telling_id": TILL_ID, "sale_id": NEIGHBOUR.sale_id}
    assert world.snapshot() == before


@pytest.mark.parametrize(
    ("telling_id", "order", "status", "code"),
    [
        (TILL_ID, {"sale_id": BY_PLATE.sale_id}, 404, "unknown_sale"),
        (TILL_ID, {"sale_id": "x"}, 404, "unknown_sale"),
        (TILL_ID, {"sale_id": sale(station_id="s0002").sale_id}, 404, "unknown_sale"),
        (TILL_ID, {"sale_id": NOTHING.sale_id}, 409, "sale_not_rulable"),
        (TILL_ID, {}, 422, "invalid_request"),
        (telling_id_for(PAYMENT), {"sale_id": NEIGHBOUR.sale_id}, 404, "unknown_telling"),
        ("x", {"sale_id": NEIGHBOUR.sale_id}, 404, "unknown_telling"),
        ("a.B.till.d", {"sale_id": NEIGHBOUR.sale_id}, 404, "unknown_telling"),
    ],
)
def test_a_telling_is_assigned_to_a_sale_of_its_station_only(
    tell: Any,
    world: World,
    manager: Client,
    *,
    telling_id: str,
    order: dict[str, str],
    status: int,
    code: str,
) -> None:
    world.register("s0002")
    elsewhere = sale(station_id="s0002")
    topic = "forecourt/s0002/up/sales"
    tell(sale_record(NOTHING), sale_record(NEIGHBOUR), sale_record(elsewhere, topic=topic))
    retold(world).add(StoredTelling(telling=TILL, received_at=RECEIVED_AT))
    before = world.snapshot()

    reply = manager.post(f"/tellings/{telling_id}/assignment", order)

    assert (reply.status, reply.code) == (status, code)
    assert world.snapshot() == before


def test_one_who_may_only_read_decides_nothing(tell: Any, world: World) -> None:
    tell(telling_record(TILL))
    before = world.snapshot()

    reply = somebody("auditor").post(f"/tellings/{TILL_ID}/dismissal")

    assert reply.code == "forbidden"
    assert world.snapshot() == before


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


# --- at once ----------------------------------------------------------------------------------


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


def test_a_telling_that_is_dismissed_while_it_joins_stays_dismissed(
    tell: Any, world: World, manager: Client
) -> None:
    tell(telling_record(TILL, PHONE))
    world.sales.add(UNDISCOVERED)
    rival = Interrupting(
        world.dynamodb,
        "transact_write_items",
        lambda: manager.post(f"/tellings/{TILL_ID}/dismissal"),
    )

    retold(world, rival).reunite(TILL, now=RECEIVED_AT)

    assert told_of(world) == []
    assert retold(world).telling(TILL_ID).sale_id is None
    assert listed(manager) == []


def test_a_telling_that_joins_while_it_is_dismissed_keeps_its_sale(tell: Any, world: World) -> None:
    tell(telling_record(TILL, PHONE))
    rival = Interrupting(world.dynamodb, "update_item", lambda: tell(sale_record(BY_PLATE)))

    with pytest.raises(TellingSettled) as refusal:
        retold(world, rival).dismiss(TILL_ID, actor="op", decided_at=LONG_AFTER)

    assert refusal.value.sale_id == BY_PLATE.sale_id
    assert told_of(world) == [TILL_ID]
    assert retold(world).telling(TILL_ID).sealed


def test_a_person_and_the_figures_may_say_the_same_at_once(tell: Any, world: World) -> None:
    tell(telling_record(TILL, PHONE))
    world.sales.add(UNDISCOVERED)
    rival = Interrupting(
        world.dynamodb,
        "transact_write_items",
        lambda: retold(world).reunite(TILL, now=RECEIVED_AT),
    )

    with pytest.raises(TellingSettled):
        retold(world, rival).unite(TILL_ID, BY_PLATE.sale_id, actor="op", decided_at=LONG_AFTER)

    assert told_of(world) == [TILL_ID]


def test_a_telling_that_joined_one_sale_never_joins_another(tell: Any, world: World) -> None:
    tell(telling_record(TILL), sale_record(NEIGHBOUR))
    retold(world).unite(TILL_ID, NEIGHBOUR.sale_id, actor="op", decided_at=LONG_AFTER)

    tell(sale_record(BY_PLATE), telling_record(TILL))

    assert (told_of(world), told_of(world, NEIGHBOUR)) == ([], [TILL_ID])


def test_no_item_is_made_of_a_telling_s_name(world: World) -> None:
    before = world.snapshot()

    for unknown in (TILL_ID, "x"):
        with pytest.raises(UnknownTelling):
            retold(world).dismiss(unknown, actor="op", decided_at=LONG_AFTER)
    retold(world)._queue(StoredTelling(telling=TILL, received_at=RECEIVED_AT), None)

    assert world.snapshot() == before


def test_a_key_names_the_station_in_the_id() -> None:
    assert telling_key(TILL_ID)["pk"] == {"S": "STATION#s0001"}
