"""What is paid in at a counter and given at a desk, under the roles of the deployed functions."""

from __future__ import annotations

import secrets
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.instants import format_instant
from infra.local.api_client import ApiClient
from infra.local.seed import PROGRAM, activate_program
from tests.e2e.traces import PREFIX, forget_programs, nothing_left
from tests.e2e.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.local.stack import LocalStack
    from tests.e2e.drivers import Driver

WALLETS = {
    "points": {"adjust_limit": 1000},
    "partners": {"airline": {"validity": None}},
    "stored_value": {
        "registered_ceiling_fen": 200_000,
        "anonymous_ceiling_fen": 100_000,
        "bonuses": [{"from_fen": 100_000, "bonus_fen": 10_000}],
    },
}


@pytest.fixture(scope="module", autouse=True)
def _left_as_found(stack: LocalStack, operator: ApiClient) -> Iterator[None]:
    """Put a program with all wallets in force: others' may be, and what was cannot be changed."""
    with nothing_left(stack):
        version = activate_program(operator, {**PROGRAM, "wallets": WALLETS})
        wait_for(lambda: operator.get("/programs")["in_force"] == version)
        forget_programs(stack)
        yield


@pytest.fixture
def till(stack: LocalStack) -> ApiClient:
    return ApiClient(stack.api_url, stack.token("attendant"))


@pytest.fixture
def manager(stack: LocalStack) -> ApiClient:
    return ApiClient(stack.api_url, stack.token("manager"))


def now() -> str:
    return format_instant(datetime.now(UTC))


def refused(client: ApiClient, path: str, body: Any) -> tuple[int, str]:
    status, problem = client.send("POST", path, body, key=secrets.token_hex(8))
    return status, problem["code"]


def test_money_is_paid_in_at_the_till_spent_and_the_rest_paid_out(
    till: ApiClient, manager: ApiClient, driver: Driver
) -> None:
    deposits = f"/members/{driver.member_id}/deposits"
    receipt = {"station_id": "s0001", "receipt": "R-1", "paid_at": now()}
    refund = {"document": "O-1", "refunded_at": now()}

    paid_in = till.post(deposits, {**receipt, "amount_fen": 100_000})
    again = till.post(deposits, {**receipt, "amount_fen": 100_000})
    too_much = refused(till, deposits, {**receipt, "receipt": "R-2", "amount_fen": 90_001})
    spending = {"wallet": "stored_value", "points": 30_000, "source": "order:1", "asked_at": now()}
    driver.app.post("/members/me/spendings", spending)
    refunds = f"{deposits}/{paid_in['entry_id']}/refunds"
    spent = refused(manager, refunds, {**refund, "amount_fen": 70_001})
    paid_out = manager.post(refunds, {**refund, "document": "O-2", "amount_fen": 70_000})

    assert (again, paid_in["bonus_fen"]) == (paid_in, 10_000)
    assert (too_much, spent) == ((409, "ceiling_exceeded"), (409, "principal_spent"))
    assert (paid_out["bonus_fen"], paid_out["left_fen"]) == (7_000, 30_000)
    wallet = driver.app.get("/members/me/points?wallet=stored_value")
    assert (wallet["points"], wallet["debt"]) == (3_000, 0)


def test_a_partners_points_come_once(operator: ApiClient, driver: Driver) -> None:
    path = f"/members/{driver.member_id}/partner-points"
    given = {"partner": "airline", "points": 50, "document": "MU-1", "issued_at": now()}

    replies = [operator.post(path, given) for _ in range(2)]

    assert replies[0] == replies[1]
    assert driver.app.get("/members/me/points?wallet=partner-airline")["points"] == 50


def test_of_forty_awards_at_once_a_budget_gives_those_it_has(
    operator: ApiClient, manager: ApiClient, driver: Driver, other: Driver
) -> None:
    budget_id = f"{PREFIX}spring"
    why = {"source": "contract:17", "reason": "spring"}
    operator.post("/budgets", {"budget_id": budget_id, "purpose": "Spring"})
    operator.post(f"/budgets/{budget_id}/fundings", {**why, "points": 300})
    award = {**why, "budget_id": budget_id, "points": 10, "asked_at": now()}

    def give(number: int) -> str:
        member = (driver, other)[number % 2].member_id
        # Busy is no answer: the same comes again until there is one.
        key = secrets.token_hex(8)
        for _ in range(30):
            path = f"/members/{member}/awards"
            status, document = manager.send("POST", path, award, key=key)
            if status not in {429, 503}:
                break
        return str(document.get("code", status))

    with ThreadPoolExecutor(8) as threads:
        outcomes = Counter(threads.map(give, range(40)))

    assert outcomes == {"201": 30, "budget_exhausted": 10}
    budget = operator.get(f"/budgets/{budget_id}")
    assert (budget["points"], budget["awarded"]) == (0, 300)
    assert driver.points + other.points == 300
