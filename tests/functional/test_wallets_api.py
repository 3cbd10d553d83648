"""What a member has and how it came to that, as the members API tells it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.decided_sales import DecidedSales
from forecourt.keeping import Keeping
from forecourt.ledger import commands as c
from forecourt.ledger.refusals import InsufficientPoints
from forecourt.ledger_table import LedgerTable
from forecourt.loyalty_table import LoyaltyTable
from forecourt.sales import Sale, SaleKey
from forecourt.sales_table import SalesTable
from forecourt.stored_sales import Status, StoredSale
from functions.members import handler
from tests.functional.conftest import LOYALTY_TABLE, SALES_TABLE
from tests.functional.tiered import tiered
from tests.functional.world import LITRES, POLICIES
from tests.specimens import credited_to, earned, earned_nothing

if TYPE_CHECKING:
    from forecourt.ledger import Entry
    from forecourt.ledger.commands import Command
    from tests.functional.http import Client
    from tests.functional.world import World

MORNING = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
YEAR_END = date(2026, 12, 31)


@pytest.fixture(autouse=True)
def fresh(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    monkeypatch.setattr(handler.wallets, "_keeping", Keeping(handler.loyalty))


def command(kind: type[Command], number: int, **values: Any) -> Any:
    """Return a command about anna's points, an hour after the one of the number before."""
    at = MORNING + timedelta(hours=number)
    common: dict[str, Any] = {
        "entry_id": f"{at:%Y%m%dT%H%M%SZ}.{number}",
        "owner": "sub-anna",
        "source": f"order:{number}",
        "reason": "test",
        "actor": "shop",
        "occurred_at": at,
    }
    return kind(**(common | values))


def moved(points: int, expires_on: str | None, **place: Any) -> dict[str, Any]:
    nowhere = {"bonus": False, "activates_on": None, "hold_id": None}
    return {"points": points, "expires_on": expires_on, **nowhere, **place}


def sale_at(minute: int, *, grade: str = "92") -> Sale:
    completed_at = MORNING + timedelta(minutes=minute)
    return Sale(
        key=SaleKey(
            completed_at=completed_at,
            station_id="s0001",
            device_serial="SN1",
            nozzle=3,
            transaction=minute + 1,
            totalizer_ml=1000 + minute,
        ),
        grade=grade,
        unit_price_milli_per_litre=7560,
        volume_ml=39_990,
        amount_fen=30_232,
        volume_resolution_ml=10,
        started_at=None,
        recorded_at=completed_at,
        clock_offset_seconds=0,
        clock_synchronised=True,
        test_delivery=False,
    )


class Pump:
    """Writes sales and what they earn with the pipeline's own writers."""

    def __init__(self, dynamodb: Any) -> None:
        self.loyalty = LoyaltyTable(dynamodb, name=LOYALTY_TABLE)
        self.sales = SalesTable(dynamodb, name=SALES_TABLE)
        self.decided = DecidedSales(dynamodb, sales=SALES_TABLE, loyalty=LOYALTY_TABLE)
        self.now = MORNING
        self.ledger = LedgerTable(dynamodb, name=LOYALTY_TABLE, now=lambda: self.now)

    def store(self, sale: Sale, *, member_id: str) -> None:
        stored = StoredSale(sale=sale, status=Status.RECEIVED, received_at=MORNING)
        self.sales.add(stored)
        assert self.decided.decide(stored, credited_to(member_id), decided_at=MORNING)

    def earn(
        self, minute: int, *, points: int, expires_on: date | None = None, member_id: str
    ) -> None:
        sale = sale_at(minute)
        self.store(sale, member_id=member_id)
        self.post(
            earned(
                member_id,
                points,
                sale_id=sale.sale_id,
                expires_on=expires_on,
                occurred_at=sale.key.completed_at,
            )
        )

    def post(self, command: Command) -> Entry:
        return self.ledger.execute(command, policies=POLICIES).posted()

    def earn_nothing(self, minute: int, *, member_id: str) -> None:
        sale = sale_at(minute, grade="0")
        self.store(sale, member_id=member_id)
        answer = self.ledger.execute(earned_nothing(member_id, sale), policies=POLICIES)
        assert not answer.repeated


@pytest.fixture
def pump(dynamodb: Any) -> Pump:
    return Pump(dynamodb)


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Any:
    def set_clock(text: str) -> None:
        monkeypatch.setattr(handler.wallets, "_now", lambda: datetime.fromisoformat(text))

    return set_clock


def test_points_are_those_that_can_be_spent_today(anna: Client, pump: Pump, at: Any) -> None:
    at("2026-11-23T09:00:00Z")
    anna.post("/members", {})
    pump.earn(0, points=100, expires_on=date(2026, 12, 31), member_id="sub-anna")
    pump.earn(1, points=20, expires_on=date(2027, 6, 30), member_id="sub-anna")

    assert anna.get("/members/me/points").body == {
        "wallet": "points",
        "points": 120,
        "lots": [
            {"points": 100, "expires_on": "2026-12-31", "bonus": False},
            {"points": 20, "expires_on": "2027-06-30", "bonus": False},
        ],
        "next_expiry": {"on": "2026-12-31", "points": 100},
        "pending": [],
        "held": [],
        "debt": 0,
        "frozen": False,
        "waiting_reversals": 0,
        "version": 2,
        "zone": "Asia/Shanghai",
        "as_of_on": "2026-11-23",
    }


def test_points_run_out_at_midnight_of_the_programs_zone(
    anna: Client, pump: Pump, at: Any, world: World
) -> None:
    world.activate()
    anna.post("/members", {})
    pump.earn(0, points=100, expires_on=date(2026, 12, 31), member_id="sub-anna")

    at("2026-12-31T15:59:59.999999Z")
    assert anna.get("/members/me/points").body["points"] == 100
    at("2026-12-31T16:00:00Z")
    gone = anna.get("/members/me/points").body

    assert (gone["points"], gone["next_expiry"], gone["as_of_on"]) == (0, None, "2027-01-01")


def test_a_new_member_holds_no_points(anna: Client) -> None:
    anna.post("/members", {})

    reply = anna.get("/members/me/points")

    assert (reply.body["points"], reply.body["version"]) == (0, 0)


def test_a_balance_costs_one_read_unit(
    anna: Client, pump: Pump, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.activate()
    anna.post("/members", {})
    pump.earn(0, points=100, member_id="sub-anna")
    anna.get("/members/me/points")
    calls: list[str] = []
    send = handler.dynamodb._make_api_call

    def counted(operation: str, arguments: dict[str, Any]) -> Any:
        calls.append(operation)
        assert arguments["ConsistentRead"] is True  # one unit for up to 4 KB
        return send(operation, arguments)

    monkeypatch.setattr(handler.dynamodb, "_make_api_call", counted)
    anna.get("/members/me/points")

    assert calls == ["GetItem"]


def test_the_program_is_read_again_after_a_minute(world: World) -> None:
    world.activate()
    ticks = iter([0.0, 60.0, 121.0, 121.0])
    keeping = Keeping(world.loyalty, clock=lambda: next(ticks))
    assert str(keeping.program(MORNING).zone) == "Asia/Shanghai"
    world.activate({**LITRES, "zone": "Asia/Kolkata"}, effective_at=MORNING)

    assert str(keeping.program(MORNING).zone) == "Asia/Shanghai"
    assert str(keeping.program(MORNING).zone) == "Asia/Kolkata"


def test_a_wallet_shows_what_is_pending_held_and_owed(
    anna: Client, pump: Pump, at: Any, world: World
) -> None:
    world.activate()
    at("2026-11-24T09:00:00Z")
    anna.post("/members", {})
    pump.earn(0, points=100, expires_on=YEAR_END, member_id="sub-anna")
    pump.post(
        command(c.Earn, 1, points=7, expires_on=None, activates_on=date(2026, 12, 1), wallet="a")
    )
    hold = pump.post(
        command(c.SetAside, 2, points=30, hold_expires_at=datetime(2026, 11, 25, tzinfo=UTC))
    )
    pump.post(command(c.Spend, 3, points=70))
    pump.post(command(c.Reverse, 4, reverses=sale_at(0).sale_id, document="refund:1"))
    pump.post(command(c.Reverse, 5, reverses="20270101T000000Z.later", document="refund:2"))
    pump.post(command(c.Freeze, 6))

    shown = anna.get("/members/me/points").body
    other = anna.get("/members/me/points", wallet="a").body

    assert (shown["points"], shown["lots"], shown["debt"]) == (0, [], 100)
    assert shown["held"] == [
        {"hold_id": hold.entry_id, "points": 30, "expires_at": "2026-11-25T00:00:00Z"}
    ]
    assert (shown["frozen"], shown["waiting_reversals"]) == (True, 1)
    assert (other["wallet"], other["points"]) == ("a", 0)
    assert other["pending"] == [{"points": 7, "activates_on": "2026-12-01", "expires_on": None}]


def test_what_is_due_counts_though_no_job_ran(
    anna: Client, pump: Pump, at: Any, world: World
) -> None:
    world.activate()
    anna.post("/members", {})
    pump.earn(0, points=40, expires_on=YEAR_END, member_id="sub-anna")
    pump.post(
        command(c.Earn, 1, points=7, expires_on=None, activates_on=date(2027, 1, 2)),
    )
    pump.post(command(c.SetAside, 2, points=40, hold_expires_at=datetime(2026, 12, 1, tzinfo=UTC)))

    at("2026-12-02T00:00:00Z")
    timed_out = anna.get("/members/me/points").body
    at("2027-01-01T16:00:00Z")
    later = anna.get("/members/me/points").body

    assert (timed_out["points"], timed_out["held"]) == (40, [])
    assert (later["points"], later["pending"], later["version"]) == (7, [], 3)


def test_all_wallets_of_a_member_are_shown_by_name(
    anna: Client, bert: Client, pump: Pump, world: World
) -> None:
    world.activate()
    anna.post("/members", {})
    bert.post("/members", {})
    pump.earn(0, points=40, member_id="sub-anna")
    pump.post(command(c.Earn, 1, points=500, bonus=50, expires_on=None, wallet="stored_value"))

    wallets = anna.get("/members/me/wallets").body["wallets"]

    assert [(each["wallet"], each["points"]) for each in wallets] == [
        ("points", 40),
        ("stored_value", 550),
    ]
    assert [lot["bonus"] for lot in wallets[1]["lots"]] == [False, True]
    assert wallets[0] == anna.get("/members/me/points").body
    assert bert.get("/members/me/wallets").body == {"wallets": []}


def test_the_wallets_of_nobody_are_not_shown(anna: Client) -> None:
    for name in ("wallets", "points", "entries", "tier"):
        path = f"/members/me/{name}"
        assert anna.get(path).code == "unknown_member"


def test_a_wallets_name_is_no_text(anna: Client) -> None:
    anna.post("/members", {})

    reply = anna.get("/members/me/points", wallet="POINTS#1")

    assert (reply.status, reply.code) == (422, "invalid_request")


def test_an_entry_tells_what_it_took_from_which_days_and_what_fell_due(
    anna: Client, pump: Pump, world: World
) -> None:
    world.activate()
    anna.post("/members", {})
    pump.earn(0, points=10, expires_on=date(2026, 11, 23), member_id="sub-anna")
    pump.earn(1, points=40, expires_on=YEAR_END, member_id="sub-anna")
    pump.earn(2, points=40, member_id="sub-anna")
    pump.now = MORNING + timedelta(days=1)
    pump.post(command(c.Spend, 3, points=60))
    pump.post(command(c.SetAside, 4, points=5, hold_expires_at=MORNING + timedelta(days=2)))
    pump.post(command(c.Reverse, 5, reverses=sale_at(1).sale_id, document="refund:1"))

    refund, hold, spend, *_ = anna.get("/members/me/entries").body["entries"]

    assert (spend["kind"], spend["points"]) == ("spend", -60)
    assert spend["lots"] == [moved(-40, "2026-12-31"), moved(-20, None)]
    assert spend["upkeep"] == [moved(-10, "2026-11-23")]
    assert hold["lots"] == [moved(-5, None), moved(5, None, hold_id=hold["entry_id"])]
    assert (refund["points"], refund["owed"]) == (-15, 25)
    assert refund["refers_to"] == sale_at(1).sale_id


def test_a_movement_that_is_no_sale_is_an_entry_and_no_sale(
    anna: Client, pump: Pump, world: World
) -> None:
    world.activate()
    anna.post("/members", {})
    pump.post(command(c.Earn, 1, points=5, expires_on=None, source="gift:1"))

    assert [each["points"] for each in anna.get("/members/me/entries").body["entries"]] == [5]
    assert anna.get("/members/me/sales").body["sales"] == []


def test_a_refusal_is_no_entry_and_no_sale(anna: Client, pump: Pump, world: World) -> None:
    world.activate()
    anna.post("/members", {})
    with pytest.raises(InsufficientPoints):
        pump.post(command(c.Spend, 1, points=60))

    assert anna.get("/members/me/entries").body["entries"] == []
    assert anna.get("/members/me/sales").body["sales"] == []


def test_entries_come_newest_first_with_their_reasons(anna: Client, pump: Pump) -> None:
    anna.post("/members", {})
    pump.earn(0, points=100, expires_on=date(2026, 12, 31), member_id="sub-anna")
    pump.earn_nothing(1, member_id="sub-anna")
    pump.earn(2, points=7, member_id="sub-anna")

    reply = anna.get("/members/me/entries").body

    assert [entry["points"] for entry in reply["entries"]] == [7, 100]
    assert reply["next_cursor"] is None
    assert reply["entries"][1] == {
        "entry_id": sale_at(0).sale_id,
        "wallet": "points",
        "kind": "earn",
        "points": 100,
        "lots": [moved(100, "2026-12-31")],
        "upkeep": [],
        "owed": 0,
        "uncovered": 0,
        "refers_to": None,
        "reason": "fuel",
        "source": f"sale:{sale_at(0).sale_id}",
        "actor": "accrual",
        "checker": None,
        "program_version": 1,
        "trace": [{"rule": "petrol", "outcome": "earned", "points": 100, "basis_points": None}],
        "occurred_at": "2026-11-23T08:15:00Z",
        "posted_at": "2026-11-23T08:15:00Z",
        "account_version": 1,
    }


def walk(client: Client, path: str, name: str, *, limit: int) -> list[list[Any]]:
    """Return every page of a list, following its cursors."""
    pages, query = [], {"limit": limit}
    while True:
        reply = client.get(path, **query)
        assert reply.status == 200, reply.text
        pages.append(reply.body[name])
        cursor = reply.body["next_cursor"]
        if cursor is None:
            return pages
        query = {"limit": limit, "cursor": cursor}


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_pages_hold_every_entry_and_every_sale_once(anna: Client, pump: Pump, limit: int) -> None:
    anna.post("/members", {})
    for minute in range(7):
        if minute % 3 == 1:
            pump.earn_nothing(minute, member_id="sub-anna")
        else:
            pump.earn(minute, points=minute + 1, member_id="sub-anna")

    entries = walk(anna, "/members/me/entries", "entries", limit=limit)
    sales = walk(anna, "/members/me/sales", "sales", limit=limit)

    assert [each["points"] for page in entries for each in page] == [7, 6, 4, 3, 1]
    assert [each["points"] for page in sales for each in page] == [7, 6, 0, 4, 3, 0, 1]
    assert all(len(page) <= limit for page in entries + sales)


def test_a_page_is_short_rather_than_endless(anna: Client, pump: Pump) -> None:
    anna.post("/members", {})
    pump.earn(0, points=5, member_id="sub-anna")
    for minute in range(1, 20):
        pump.earn_nothing(minute, member_id="sub-anna")

    first = anna.get("/members/me/entries", limit=1).body
    pages = walk(anna, "/members/me/entries", "entries", limit=1)

    assert first["entries"] == []
    assert first["next_cursor"] is not None
    assert [each["points"] for page in pages for each in page] == [5]


def test_sales_tell_litres_money_station_and_points(anna: Client, pump: Pump) -> None:
    anna.post("/members", {})
    pump.earn_nothing(0, member_id="sub-anna")

    (sale,) = anna.get("/members/me/sales").body["sales"]

    assert sale == {
        "sale_id": sale_at(0).sale_id,
        "station_id": "s0001",
        "nozzle": 3,
        "grade": "0",
        "volume_ml": 39_990,
        "amount_fen": 30_232,
        "unit_price_milli_per_litre": 7560,
        "completed_at": "2026-11-23T08:15:00Z",
        "points": 0,
        "program_version": 1,
        "trace": [{"rule": "", "outcome": "no_rule", "points": 0, "basis_points": None}],
    }


def test_a_cursor_is_good_for_its_member_and_its_list_only(
    anna: Client, bert: Client, pump: Pump
) -> None:
    for client, subject in ((anna, "sub-anna"), (bert, "sub-bert")):
        client.post("/members", {})
        pump.earn(0 if client is anna else 10, points=1, member_id=subject)
        pump.earn(1 if client is anna else 11, points=1, member_id=subject)
    cursor = anna.get("/members/me/entries", limit=1).body["next_cursor"]

    replies = [
        bert.get("/members/me/entries", cursor=cursor),
        anna.get("/members/me/sales", cursor=cursor),
        anna.get("/members/me/entries", cursor=cursor[:-1]),
        anna.get("/members/me/entries", cursor="A" + cursor[1:]),
        anna.get("/members/me/entries", cursor=""),
    ]

    assert {(reply.status, reply.code) for reply in replies} == {(400, "invalid_cursor")}
    assert anna.get("/members/sub-anna/entries", cursor=cursor).status == 200


@pytest.mark.parametrize("limit", [0, 101, "many", "1.5"])
def test_a_page_has_between_1_and_100_items(anna: Client, limit: Any) -> None:
    anna.post("/members", {})

    reply = anna.get("/members/me/entries", limit=limit)

    assert (reply.status, reply.code) == (422, "invalid_request")
    assert reply.facts["findings"][0]["at"] == "/query/limit"


def test_a_tier_is_shown_with_what_it_rests_on_and_what_is_missing_to_the_next(
    anna: Client, pump: Pump, at: Any, world: World
) -> None:
    world.activate(tiered(validity={"months": 12, "end_of": "year"}))
    anna.post("/members", {})
    at("2026-11-23T09:00:00Z")
    assert anna.get("/members/me/tier").body == {
        "tier": None,
        "growth_value": 0,
        "multiple_basis_points": 10_000,
        "until_on": None,
        "next": {"tier": "silver", "from_value": 300, "missing": 300},
        "as_of_on": "2026-11-23",
    }

    pump.post(command(c.Earn, 1, wallet="growth", points=302, expires_on=date(2027, 12, 31)))

    silver = anna.get("/members/me/tier").body
    assert (silver["tier"], silver["multiple_basis_points"]) == ("silver", 20_000)
    assert (silver["growth_value"], silver["until_on"]) == (302, "2027-12-31")
    assert silver["next"] == {"tier": "black", "from_value": 10_000, "missing": 9698}
    at("2027-12-31T15:59:59Z")
    assert anna.get("/members/me/tier").body["tier"] == "silver"
    at("2027-12-31T16:00:00Z")
    assert anna.get("/members/me/tier").body["tier"] is None

    pump.post(command(c.Earn, 2, wallet="growth", points=10_000, expires_on=None))

    black = anna.get("/members/me/tier").body
    assert (black["tier"], black["until_on"], black["next"]) == ("black", None, None)


def test_without_a_ladder_everybody_is_in_no_tier(
    anna: Client, pump: Pump, world: World, at: Any
) -> None:
    world.activate()
    at("2026-11-23T09:00:00Z")
    anna.post("/members", {})
    pump.post(command(c.Earn, 1, wallet="growth", points=5, expires_on=None))

    shown = anna.get("/members/me/tier").body

    assert (shown["tier"], shown["growth_value"], shown["next"]) == (None, 5, None)
