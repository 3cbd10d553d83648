"""Deciding whose a sale is through the API, and seeing why."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.stored_sales import Status, StoredSale
from functions.operator import handler as operator_handler
from functions.rulings import handler
from tests.functional.http import Client
from tests.functional.world import RULED_AT, World, keyed
from tests.specimens import CARD, PLATE, RECEIVED_AT, SALE, credited_to, nobodys, probably

if TYPE_CHECKING:
    from forecourt.decisions import Decision

PATH = f"/sales/{SALE.sale_id}/rulings"
TO_M1 = {"number": 1, "verdict": "assign", "member_id": "m1", "reason": "wrong_plate"}


@pytest.fixture(autouse=True)
def clock(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handler.rulings, "_now", lambda: RULED_AT)
    for member_id in ("m1", "m2"):
        world.enrol(member_id)


@pytest.fixture
def operator() -> Client:
    return Client(handle=handler.handle, subject="sub-operator", groups="[operator]")


@pytest.fixture
def manager() -> Client:
    return Client(handle=handler.handle, subject="sub-manager", groups="[manager]")


def weighed(world: World, decision: Decision) -> None:
    stored = StoredSale(
        sale=replace(SALE, evidence=()),
        status=Status.RECEIVED,
        received_at=RECEIVED_AT,
        evidence=keyed(PLATE, CARD),
    )
    world.sales.add(stored)
    assert world.decided.decide(stored, decision, decided_at=RECEIVED_AT)


def test_a_manager_gives_a_pending_sale_to_a_member(manager: Client, world: World) -> None:
    weighed(world, probably("m2"))

    reply = manager.post(PATH, TO_M1)

    whole = {"member_id": "m1", "volume_ml": 39_990, "amount_fen": SALE.amount_fen}
    entry_id = f"{SALE.sale_id}~1+m1"
    assert (reply.status, reply.body) == (
        201,
        {
            "sale_id": SALE.sale_id,
            "number": 1,
            "verdict": "assign",
            "asked": None,
            "held": [{**whole, "entry_id": entry_id}],
            "moved": [{**whole, "entry_id": entry_id, "reverses": None}],
            "actor": "sub-manager",
            "reason": "wrong_plate",
            "ruled_at": "2026-11-25T08:15:04Z",
        },
    )
    assert manager.get(PATH).body == {"rulings": [reply.body]}
    assert world.stored(SALE).member_id == "m1"


def test_only_head_office_takes_a_sale_from_somebody(
    manager: Client, operator: Client, world: World
) -> None:
    weighed(world, credited_to("m2"))
    before = world.snapshot()

    assert manager.post(PATH, TO_M1).code == "forbidden"
    assert world.snapshot() == before

    assert operator.post(PATH, TO_M1).status == 201
    assert world.stored(SALE).member_id == "m1"


def test_a_manager_who_asks_again_gets_the_first_answer(manager: Client, world: World) -> None:
    """The answer was lost, and so was the key: what they decided is there all the same."""
    weighed(world, nobodys())
    first = manager.post(PATH, TO_M1)
    before = world.snapshot()

    again = manager.post(PATH, TO_M1)

    assert (again.status, again.body) == (first.status, first.body)
    assert world.snapshot() == before


def test_who_decides_on_what_is_no_longer_so_is_told(operator: Client, world: World) -> None:
    weighed(world, nobodys())
    operator.post(PATH, TO_M1)
    before = world.snapshot()

    reply = operator.post(PATH, {**TO_M1, "member_id": "m2"})

    assert (reply.status, reply.code, reply.facts) == (412, "version_mismatch", {"version": 1})
    assert world.snapshot() == before


def test_members_share_a_sale_in_parts(operator: Client, world: World) -> None:
    weighed(world, nobodys())

    reply = operator.post(
        PATH,
        {"number": 1, "verdict": "split", "parts": {"m1": 1, "m2": 3}, "reason": "shared_car"},
    )

    assert [(each["member_id"], each["volume_ml"]) for each in reply.body["held"]] == [
        ("m1", 9_998),
        ("m2", 29_992),
    ]


def test_asking_a_member_and_ruling_that_a_sale_is_nobodys(operator: Client, world: World) -> None:
    weighed(world, nobodys())
    ask = {"number": 1, "verdict": "ask", "member_id": "m1", "reason": "asked_at_the_till"}

    assert operator.post(PATH, ask).body["asked"] == "m1"
    assert world.stored(SALE).asked == "m1"

    none = {"number": 2, "verdict": "none", "reason": "no_member"}
    assert operator.post(PATH, none).body["held"] == []
    assert world.stored(SALE).status is Status.NOBODYS
    assert len(operator.get(PATH).body["rulings"]) == 2


@pytest.mark.parametrize(
    ("change", "at"),
    [
        ({"member_id": None}, "/body/member_id"),
        ({"parts": {"m1": 1, "m2": 1}}, "/body/parts"),
        ({"verdict": "none"}, "/body/member_id"),
        ({"verdict": "split", "member_id": None}, "/body/parts"),
        ({"verdict": "split", "member_id": None, "parts": {"m1": 1}}, "/body/parts"),
        ({"number": 0}, "/body/number"),
        ({"reason": "Li Lei said so"}, "/body/reason"),
        ({"member_id": "x" * 65}, "/body/member_id"),
    ],
)
def test_an_order_that_contradicts_itself_is_refused(
    operator: Client, world: World, change: dict[str, Any], at: str
) -> None:
    weighed(world, nobodys())
    before = world.snapshot()

    reply = operator.post(PATH, {**TO_M1, **change})

    assert reply.code == "invalid_request"
    assert any(each["at"].startswith(at) for each in reply.facts["findings"])
    assert world.snapshot() == before


@pytest.mark.parametrize(
    ("path", "change", "code"),
    [
        (PATH, {"member_id": "m9"}, "unknown_member"),
        (PATH.replace("4711", "4712"), {}, "unknown_sale"),
    ],
)
def test_nothing_is_ruled_about_what_is_not_there(
    operator: Client, world: World, path: str, change: dict[str, Any], code: str
) -> None:
    weighed(world, nobodys())
    before = world.snapshot()

    assert operator.post(path, {**TO_M1, **change}).code == code
    assert world.snapshot() == before


def test_a_sale_nothing_was_ruled_about_has_no_rulings_and_none_is_unknown(
    operator: Client, world: World
) -> None:
    weighed(world, nobodys())

    assert operator.get(PATH).body == {"rulings": []}
    assert operator.get("/sales/no-sale/rulings").code == "unknown_sale"


def test_a_sale_shows_who_was_weighed_and_by_what(world: World) -> None:
    weighed(world, credited_to("m1"))
    world.rule(SALE, "m2")
    auditor = Client(handle=operator_handler.handle, subject="sub-auditor", groups="[auditor]")

    shown = auditor.get(f"/sales/{SALE.sale_id}").body

    assert shown["weighed"] == {
        "outcome": "credited",
        "weights_version": 1,
        "member_id": "m1",
        "posterior_ppm": 999_999,
        "reason": None,
        "pieces": [
            {"field": "card", "level": "same", "centibits": 2656},
            {"field": "plate", "level": "differs.unsure", "centibits": -385},
        ],
        "alternatives": [{"member_id": "m-other", "posterior_ppm": 12}],
    }
    assert (shown["members"], shown["rulings"], shown["observed"]) == (["m2"], 1, None)
    assert (shown["claimed_by"], shown["denied_by"]) == ([], [])


def test_a_sale_that_somebody_else_got_is_no_longer_among_the_first_members_sales(
    world: World,
) -> None:
    from functions.accrual import handler as accrual  # noqa: PLC0415
    from functions.members import handler as members  # noqa: PLC0415
    from tests.functional.conftest import SALES_TABLE, LambdaContext  # noqa: PLC0415

    accrual.program.cache_clear()
    world.activate()
    weighed(world, credited_to("m1"))
    world.rule(SALE, "m2")
    records = [
        each
        for each in world.records(SALES_TABLE, status="matched")
        if each["eventName"] == "MODIFY"
    ]
    accrual.handle({"Records": records}, LambdaContext())

    listed = {
        member_id: Client(handle=members.handle, subject=member_id, groups="[member]")
        .get("/members/me/sales")
        .body["sales"]
        for member_id in ("m1", "m2")
    }

    assert listed["m1"] == []
    assert [(each["sale_id"], each["points"]) for each in listed["m2"]] == [(SALE.sale_id, 39)]
