"""Budgets from the operator's door to the ledger: opened, funded, given out of, closed."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.ledger import commands as c
from forecourt.ledger.refusals import AccountFrozen, BudgetExhausted
from functions.corrections import handler
from tests.functional.correcting import clock_of, staff
from tests.functional.world import with_wallets
from tests.specimens import RECEIVED_AT, SALE, earned

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functional.http import Client, Reply
    from tests.functional.world import World

LIMIT = 1000
BUDGET = {"budget_id": "spring-2027", "purpose": "Double points in spring"}
OWNER = "budget:spring-2027"
WHY = {"source": "contract:17", "reason": "campaign"}
LAST = date(2027, 5, 31)


@pytest.fixture(autouse=True)
def clock(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Begin with a program that limits members' wallets and what one person may do alone."""
    world.activate(with_wallets(points={"adjust_limit": LIMIT, "ceiling": 500}))
    return clock_of(monkeypatch, handler.adjustments, handler.budgets)


@pytest.fixture
def operator() -> Client:
    return staff("sub-operator")


@pytest.fixture
def colleague() -> Client:
    return staff("sub-colleague")


def opened(client: Client, **changes: Any) -> Reply:
    return client.post("/budgets", {**BUDGET, **changes})


def fund(client: Client, points: int, **named: Any) -> Reply:
    return client.post("/budgets/spring-2027/fundings", {**WHY, "points": points}, **named)


def shown(client: Client) -> dict[str, Any]:
    view: dict[str, Any] = client.get("/budgets/spring-2027").body
    return view


def award(world: World, points: int, *, sale_id: str = SALE.sale_id) -> None:
    world.post(earned("m-1", points, sale_id=sale_id, funded_by=OWNER))


def test_a_budget_is_opened_empty_and_with_what_it_is_for(operator: Client, world: World) -> None:
    reply = opened(operator, expires_on=LAST.isoformat())

    assert (reply.status, reply.headers["Location"]) == (201, "/budgets/spring-2027")
    assert reply.body == shown(operator)
    assert (reply.body["points"], reply.body["awarded"], reply.body["closed"]) == (0, 0, False)
    assert (reply.body["opened_by"], reply.body["expires_on"]) == ("sub-operator", "2027-05-31")
    assert world.loyalty.account(OWNER).version == 0


def test_the_same_budget_opened_again_is_the_one_there_is(
    operator: Client, colleague: Client, world: World, clock: Any
) -> None:
    first = opened(operator)
    before = world.snapshot()
    clock(RECEIVED_AT + timedelta(days=2))

    again = opened(colleague)

    assert (again.status, again.body) == (200, first.body)
    assert world.snapshot() == before


@pytest.mark.parametrize(
    "change", [{"purpose": "Autumn"}, {"expires_on": "2027-05-31"}, {"wallet": "growth"}], ids=str
)
def test_another_budget_under_its_id_is_refused(
    operator: Client, world: World, change: dict[str, Any]
) -> None:
    opened(operator)
    before = world.snapshot()

    reply = opened(operator, **change)

    assert (reply.status, reply.code) == (409, "budget_exists")
    assert world.snapshot() == before


def test_what_is_funded_can_be_given_and_no_more(operator: Client, world: World) -> None:
    opened(operator, expires_on=LAST.isoformat())

    reply = fund(operator, 100)
    award(world, 70)

    assert (reply.status, reply.body["entry"]["points"]) == (201, 100)
    view = shown(operator)
    assert (view["points"], view["awarded"]) == (30, 70)
    assert world.loyalty.account(OWNER).buckets == {LAST: 30}
    with pytest.raises(BudgetExhausted) as refused:
        award(world, 31, sale_id="20261123T090000Z.other")
    assert refused.value.facts() == {"budget": OWNER, "requested": 31, "available": 30}


def test_what_refunds_return_is_there_to_be_given_again(operator: Client, world: World) -> None:
    opened(operator)
    fund(operator, 100)
    award(world, 70)

    world.post(
        c.Reverse(
            entry_id="20261123T100000Z.refund.1",
            owner="m-1",
            reverses=SALE.sale_id,
            document="R-1",
            source="refund:R-1",
            reason="refund",
            actor="till",
            occurred_at=RECEIVED_AT,
        )
    )

    view = shown(operator)
    assert (view["points"], view["awarded"]) == (100, 0)


def test_a_large_funding_waits_for_somebody_else(
    operator: Client, colleague: Client, world: World
) -> None:
    opened(operator)

    reply = fund(operator, LIMIT + 1)

    adjustment = reply.body["adjustment"]
    assert (adjustment["status"], adjustment["member_id"]) == ("waiting", OWNER)
    assert world.loyalty.account(OWNER).version == 0
    own = operator.post(f"/adjustments/{adjustment['adjustment_id']}/approval")
    assert own.code == "checker_is_maker"

    # Beyond the ceiling of members' wallets, which is none of a budget's.
    colleague.post(f"/adjustments/{adjustment['adjustment_id']}/approval")

    assert shown(operator)["points"] == LIMIT + 1
    (entry,) = world.statements.page(OWNER, limit=9, after=None, entries_only=True).entries()
    assert (entry.actor, entry.checker) == ("sub-operator", "sub-colleague")


def test_what_is_left_can_be_taken_out_and_not_more(operator: Client, world: World) -> None:
    opened(operator)
    fund(operator, 100)
    fund(operator, -40)
    before = world.loyalty.account(OWNER)

    reply = fund(operator, -61)

    assert (reply.code, reply.facts["available"]) == ("insufficient_points", 60)
    assert world.loyalty.account(OWNER) == before


def test_a_funding_that_comes_again_has_one_effect(operator: Client, world: World) -> None:
    opened(operator)
    first = fund(operator, 100, key="once")
    for item in world.dynamodb.scan(TableName="requests")["Items"]:
        world.dynamodb.delete_item(TableName="requests", Key={"id": item["id"]})

    again = fund(operator, 100, key="once")

    assert again.body["entry"] == first.body["entry"]
    assert shown(operator)["points"] == 100


def test_one_key_at_two_doors_asks_for_two_things(operator: Client, world: World) -> None:
    world.enrol("m-1")
    opened(operator)

    fund(operator, 100, key="same")
    operator.post("/members/m-1/adjustments", {**WHY, "points": 30}, key="same")

    assert (world.loyalty.account(OWNER).total, world.loyalty.account("m-1").total) == (100, 30)


def test_a_closed_budget_gives_nothing_until_it_is_reopened(operator: Client, world: World) -> None:
    opened(operator)
    fund(operator, 100)

    closed = operator.post("/budgets/spring-2027/closing", WHY)
    with pytest.raises(AccountFrozen):
        award(world, 10)
    reopened = operator.post("/budgets/spring-2027/reopening", WHY)
    award(world, 10, sale_id="20261123T090000Z.later")

    assert (closed.body["closed"], closed.body["points"]) == (True, 100)
    assert reopened.body["closed"] is False
    assert shown(operator)["awarded"] == 10


def test_closing_what_is_closed_writes_nothing(operator: Client, world: World) -> None:
    opened(operator)
    operator.post("/budgets/spring-2027/closing", WHY)
    before = world.snapshot()

    reply = operator.post("/budgets/spring-2027/closing", WHY)

    assert (reply.status, reply.body["closed"]) == (200, True)
    assert world.snapshot() == before


def test_after_its_last_day_a_budget_has_nothing_and_takes_nothing(
    operator: Client, world: World, clock: Any
) -> None:
    opened(operator, expires_on="2026-11-23")
    fund(operator, 100)
    clock(RECEIVED_AT + timedelta(days=1))
    before = world.snapshot()

    reply = fund(operator, 50)

    assert (reply.status, reply.code) == (409, "budget_over")
    assert reply.facts == {"budget_id": "spring-2027", "expires_on": "2026-11-23"}
    assert shown(operator)["points"] == 0
    assert world.snapshot() == before


def test_budgets_come_in_pages_by_id_with_what_each_has(operator: Client) -> None:
    for name in ("c", "a", "b"):
        opened(operator, budget_id=name)
    operator.post("/budgets/b/fundings", {**WHY, "points": 7})

    first = operator.get("/budgets", limit=2).body
    second = operator.get("/budgets", limit=2, cursor=first["next_cursor"]).body

    listed = [
        (each["budget_id"], each["points"]) for page in (first, second) for each in page["budgets"]
    ]
    assert listed == [("a", 0), ("b", 7), ("c", 0)]
    assert second["next_cursor"] is None


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/budgets", {**BUDGET, "budget_id": "Spring 2027"}),
        ("/budgets", {**BUDGET, "purpose": ""}),
        ("/budgets", {**BUDGET, "expires_on": "2026-11-22"}),
        ("/budgets", {**BUDGET, "points": 100}),
        ("/budgets/spring-2027/fundings", {**WHY, "points": 0}),
        ("/budgets/spring-2027/fundings", {**WHY, "points": 1.5}),
        ("/budgets/spring-2027/fundings", {"points": 1}),
        ("/budgets/spring-2027/closing", {"reason": "over"}),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(
    operator: Client, world: World, path: str, body: dict[str, Any]
) -> None:
    before = world.snapshot()

    reply = operator.post(path, body)

    assert (reply.status, reply.code) == (422, "invalid_request")
    assert world.snapshot() == before


def test_a_budget_nobody_opened_is_unknown(operator: Client, world: World) -> None:
    before = world.snapshot()

    assert operator.get("/budgets/spring-2027").code == "unknown_budget"
    assert fund(operator, 1).code == "unknown_budget"
    assert operator.post("/budgets/spring-2027/closing", WHY).code == "unknown_budget"

    assert world.snapshot() == before
