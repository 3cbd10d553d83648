"""
A correction has one answer, also when the function died before it was kept.

As in `tests.functional.test_one_answer`: answered, forgotten, something else done, sent again.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.ledger import commands as c
from functions.corrections import handler
from tests.functional.correcting import clock_of, sell_to, staff
from tests.functional.receipts import OFF, SNACK, receipt
from tests.functional.test_one_answer import again
from tests.functional.test_redemption_api import forget_answers
from tests.functional.world import with_wallets
from tests.specimens import RECEIVED_AT, SALE, earned

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functional.http import Reply
    from tests.functional.world import World

TODAY = date(2026, 11, 23)
GIVEN = {"points": 100, "source": "ticket:4711", "reason": "goodwill"}
WHY = {"source": "ticket:4711", "reason": "fraud"}
BUDGET = {
    "budget_id": "spring-2027",
    "purpose": "Double points in spring",
    "expires_on": TODAY.isoformat(),
}
REFUND = {"document": "R-1", "refunded_at": "2026-11-23T09:00:00Z"}
OPERATOR, COLLEAGUE = staff("sub-operator"), staff("sub-colleague")


@pytest.fixture(autouse=True)
def clock(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Begin with two members, one of whom has 500 points, and a program, at a known time."""
    world.activate(with_wallets(points={"adjust_limit": 1000}))
    world.enrol("m-1")
    world.enrol("m-2")
    world.post(earned("m-1", 500, sale_id="20261123T080000Z.before"))
    doors = (handler.adjustments, handler.budgets, handler.freezing, handler.refunds)
    return clock_of(monkeypatch, *doors)


def tomorrow(clock: Any) -> Callable[[], None]:
    return lambda: clock(RECEIVED_AT + timedelta(days=1))


def erase(world: World) -> Callable[[], object]:
    return lambda: world.members.erase("m-1", erased_by="m-1", erased_at=RECEIVED_AT)


# --- adjustments and budgets ------------------------------------------------------------------


@pytest.mark.parametrize("points", [100, 5000])
def test_what_was_given_until_a_day_that_is_over_was_given(
    world: World, clock: Any, points: int
) -> None:
    body = {**GIVEN, "points": points, "expires_on": TODAY.isoformat()}

    reply = again(
        world,
        lambda: OPERATOR.post("/members/m-1/adjustments", body, key="1"),
        tomorrow(clock),
    )

    assert reply.status == 201


def test_what_was_given_to_a_member_who_was_erased_since_was_given(world: World) -> None:
    reply = again(
        world, lambda: OPERATOR.post("/members/m-1/adjustments", GIVEN, key="1"), erase(world)
    )

    assert reply.status == 201


@pytest.mark.parametrize(
    "other",
    [{"points": 101}, {"expires_on": "never"}, {"expires_on": "2026-11-22"}],
    ids=["more", "for longer", "until a day that is over"],
)
def test_a_key_stands_for_one_adjustment_also_when_its_answer_was_lost(
    world: World, other: dict[str, Any]
) -> None:
    OPERATOR.post("/members/m-1/adjustments", GIVEN, key="1")
    forget_answers(world)
    before = world.snapshot()

    reply = OPERATOR.post("/members/m-1/adjustments", {**GIVEN, **other}, key="1")

    assert (reply.status, reply.code) == (422, "idempotency_key_reused")
    assert world.snapshot() == before


def test_what_was_put_into_a_budget_that_is_over_was_put_into_it(world: World, clock: Any) -> None:
    OPERATOR.post("/budgets", BUDGET)
    path = "/budgets/spring-2027/fundings"

    reply = again(world, lambda: OPERATOR.post(path, GIVEN, key="1"), tomorrow(clock))

    assert reply.status == 201


def test_a_budget_that_is_over_was_opened(world: World, clock: Any) -> None:
    reply = again(world, lambda: OPERATOR.post("/budgets", BUDGET, key="1"), tomorrow(clock))

    assert reply.status == 201


# --- freezing ---------------------------------------------------------------------------------


def later(clock: Any, *then: Callable[[], object]) -> Callable[[], None]:
    """Return what moves the clock an hour on, and does something then."""

    def happen() -> None:
        clock(RECEIVED_AT + timedelta(hours=2))
        for each in then:
            each()

    return happen


@pytest.mark.parametrize("meanwhile", ["nothing", "unfrozen", "erased"])
def test_a_wallet_is_frozen_once_by_a_request_whatever_was_done_since(
    world: World, clock: Any, meanwhile: str
) -> None:
    then: dict[str, list[Callable[[], object]]] = {
        "nothing": [],
        "unfrozen": [lambda: COLLEAGUE.post("/members/m-1/unfreezing", WHY)],
        "erased": [erase(world)],
    }

    reply = again(
        world,
        lambda: OPERATOR.post("/members/m-1/freezing", WHY, key="1"),
        later(clock, *then[meanwhile]),
    )

    assert reply.body["entry"]["kind"] == "freeze"
    assert world.loyalty.account("m-1").frozen is (meanwhile != "unfrozen")


@pytest.mark.parametrize("wallet", ["points", "growth"])
def test_a_key_stands_for_one_freezing_also_when_its_answer_was_lost(
    world: World, clock: Any, wallet: str
) -> None:
    OPERATOR.post("/members/m-1/freezing", WHY, key="1")
    forget_answers(world)
    later(clock)()
    before = world.snapshot()
    other = {**WHY, "wallet": wallet, "source": "ticket:4712"}

    reply = OPERATOR.post("/members/m-1/freezing", other, key="1")

    assert (reply.status, reply.code) == (422, "idempotency_key_reused")
    assert world.snapshot() == before


def test_a_wallet_that_was_frozen_again_is_not_unfrozen_by_an_old_request(
    world: World, clock: Any
) -> None:
    OPERATOR.post("/members/m-1/freezing", WHY)

    reply = again(
        world,
        lambda: OPERATOR.post("/members/m-1/unfreezing", WHY, key="1"),
        later(clock, lambda: COLLEAGUE.post("/members/m-1/freezing", WHY)),
    )

    assert reply.body["entry"]["kind"] == "unfreeze"
    assert world.loyalty.account("m-1").frozen


def test_a_budget_that_was_reopened_is_not_closed_by_an_old_request(
    world: World, clock: Any
) -> None:
    OPERATOR.post("/budgets", {**BUDGET, "expires_on": None})
    OPERATOR.post("/budgets/spring-2027/closing", WHY, key="1")
    forget_answers(world)
    later(clock, lambda: COLLEAGUE.post("/budgets/spring-2027/reopening", WHY))()
    before = world.snapshot()

    assert OPERATOR.post("/budgets/spring-2027/closing", WHY, key="1").status == 200

    assert world.snapshot() == before


# --- refunds ----------------------------------------------------------------------------------


@pytest.fixture
def refunds(world: World) -> str:
    """Sell something to m-1 that earns 100 points; return where it is refunded."""
    sale_id = sell_to(world, "m-1")
    world.post(earned("m-1", 100))
    return f"/sales/{sale_id}/refunds"


@pytest.fixture
def refund(refunds: str) -> Callable[[], Reply]:
    """Return what refunds a third of the sale."""
    body = {**REFUND, "amount_fen": SALE.amount_fen // 3}
    return lambda: OPERATOR.post(refunds, body, key="1")


def test_a_refund_of_a_member_who_was_merged_since_was_made(
    world: World, refund: Callable[[], Reply]
) -> None:
    merge = c.Merge(
        entry_id="20261123T100000Z.merge",
        owner="m-1",
        into="m-2",
        source="ticket:1",
        reason="same_person",
        actor="office",
        occurred_at=RECEIVED_AT,
    )

    assert again(world, refund, lambda: world.post(merge)).body["member_id"] == "m-1"


def test_a_refund_of_a_sale_whose_receipt_came_since_was_made(
    world: World, refund: Callable[[], Reply]
) -> None:
    reply = again(world, refund, lambda: world.tell(SALE, receipt(SNACK)))

    assert reply.status == 201


def test_a_refund_of_more_than_a_receipt_that_came_since_says_was_made(
    world: World, refunds: str
) -> None:
    body = {**REFUND, "amount_fen": SALE.amount_fen}

    reply = again(
        world,
        lambda: OPERATOR.post(refunds, body, key="1"),
        lambda: world.tell(SALE, receipt(OFF)),
    )

    assert (reply.status, reply.body["points"]) == (201, -100)


@pytest.mark.parametrize("verdict", ["assigned to another", "split", "nobody's"])
def test_a_refund_of_a_sale_that_was_ruled_on_since_was_made_of_whose_it_was(
    world: World, refund: Callable[[], Reply], verdict: str
) -> None:
    rulings: dict[str, Callable[[], object]] = {
        "assigned to another": lambda: world.rule(SALE, "m-2"),
        "split": lambda: world.split(SALE, {"m-1": 1, "m-2": 1}),
        "nobody's": lambda: world.rule(SALE),
    }

    assert again(world, refund, rulings[verdict]).body["member_id"] == "m-1"
