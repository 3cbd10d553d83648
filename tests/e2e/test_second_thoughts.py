"""What becomes of a sale once people speak: members who are asked, head office that rules."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.stored_identities import portrait_key
from forecourt.stored_portraits import habits_from_item
from infra.local.seed import PROGRAM, activate_program
from tests.e2e.outpost import outpost
from tests.e2e.pump import plate
from tests.e2e.traces import PREFIX, nothing_left
from tests.e2e.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forecourt.sales import Sale
    from infra.local.api_client import ApiClient
    from infra.local.stack import LocalStack
    from tests.e2e.drivers import Driver
    from tests.e2e.outpost import Outpost
    from tests.e2e.traces import Traces

# 39.99 L of 92 at ten points a litre, rounded down.
POINTS = 399


@pytest.fixture(scope="module", autouse=True)
def traces(stack: LocalStack, operator: ApiClient) -> Iterator[Traces]:
    with nothing_left(stack) as traces:
        if operator.get("/programs")["in_force"] is None:
            began = datetime.now(UTC) - timedelta(days=30)
            activate_program(operator, PROGRAM, effective_at=began)
        yield traces


@pytest.fixture(scope="module")
def quay(stack: LocalStack, operator: ApiClient, traces: Traces) -> Iterator[Outpost]:  # noqa: ARG001 - first in, last out
    with outpost(stack, operator, f"{PREFIX}jetty") as quay:
        yield quay


def asked(driver: Driver, sale: Sale) -> dict[str, Any]:
    """Wait until a driver is asked about a sale."""

    def question() -> dict[str, Any] | None:
        listed = driver.app.get("/members/me/questions")["questions"]
        return next((each for each in listed if each["sale"]["sale_id"] == sale.sale_id), None)

    return wait_for(question) or {}


def is_asked(quay: Outpost, driver: Driver) -> Sale:
    """Let a driver bind the car of a sale that nobody has, and be asked about it."""
    car = f"浙D{secrets.randbelow(100_000):05}"
    sale = quay.sell(quay.pump.sale(plate(car)))
    wait_for(lambda: sale.sale_id in quay.waiting("unmatched"))
    driver.binds(car)
    assert asked(driver, sale)["status"] == "open"
    return sale


def rule(quay: Outpost, sale: Sale, number: int, **order: Any) -> dict[str, Any]:
    ruled: dict[str, Any] = quay.operator.post(
        f"/sales/{sale.sale_id}/rulings", {"number": number, "reason": "wrong_plate", **order}
    )
    return ruled


def fills(stack: LocalStack, driver: Driver) -> int:
    """Return how many sales are in a driver's habits."""
    response = stack.client("dynamodb").get_item(
        TableName=stack.outputs["LoyaltyTableName"],
        Key=portrait_key(driver.member_id),
        ConsistentRead=True,
    )
    return habits_from_item(response.get("Item")).behaviour.sales


def test_a_reassigned_sale_moves_its_points_and_says_who_and_why(
    stack: LocalStack, quay: Outpost, driver: Driver, other: Driver, car: str
) -> None:
    driver.binds(car)
    sale = quay.sell(quay.pump.sale(*driver.comes_in(car)))
    driver.earned(sale)

    ruled = rule(quay, sale, 1, verdict="assign", member_id=other.member_id)

    wait_for(lambda: (driver.points, other.points) == (0, POINTS))
    assert (driver.sales, other.sales) == ([], [sale.sale_id])
    taken = driver.app.get("/members/me/entries")["entries"][0]
    assert (taken["kind"], taken["reason"], taken["actor"]) == (
        "reverse",
        "wrong_plate",
        ruled["actor"],
    )
    wait_for(lambda: (fills(stack, driver), fills(stack, other)) == (0, 1))
    rule(quay, sale, 2, verdict="assign", member_id=driver.member_id)
    wait_for(lambda: (driver.points, other.points) == (POINTS, 0))
    wait_for(lambda: (fills(stack, driver), fills(stack, other)) == (1, 0))


def test_a_member_who_confirms_gets_the_sale_and_one_who_denies_does_not(
    quay: Outpost, driver: Driver, other: Driver
) -> None:
    theirs, others = (is_asked(quay, each) for each in (driver, other))

    driver.app.post(f"/members/me/questions/{theirs.sale_id}/confirmation")
    other.app.post(f"/members/me/questions/{others.sale_id}/denial")

    driver.earned(theirs)
    wait_for(lambda: others.sale_id in quay.waiting("unmatched"))
    assert (driver.points, other.points) == (POINTS, 0)


def test_who_is_asked_by_head_office_says_yes_and_earns(quay: Outpost, driver: Driver) -> None:
    sale = quay.sell(quay.pump.sale())
    wait_for(lambda: sale.sale_id in quay.waiting("unmatched"))

    rule(quay, sale, 1, verdict="ask", member_id=driver.member_id)
    assert asked(driver, sale)["status"] == "open"
    driver.app.post(f"/members/me/questions/{sale.sale_id}/confirmation")

    wait_for(lambda: driver.points == POINTS)
    assert driver.sales == [sale.sale_id]


def test_somebody_who_enrolled_twice_becomes_one_and_two_again(
    quay: Outpost, driver: Driver, other: Driver, car: str
) -> None:
    driver.binds(car)
    sale = quay.sell(quay.pump.sale(*driver.comes_in(car)))
    driver.earned(sale)
    path = f"/members/{driver.member_id}"

    quay.operator.post(f"{path}/merging", {"into": other.member_id, "reason": "enrolled_twice"})

    assert (driver.points, other.points) == (0, POINTS)
    assert driver.app.get("/members/me")["merged_into"] == other.member_id
    later = quay.sell(quay.pump.sale(*driver.comes_in(car)))
    other.earned(later)
    quay.operator.post(f"{path}/unmerging", {"reason": "two_people"})
    assert (driver.points, other.points) == (POINTS, POINTS)


def test_who_asks_to_be_forgotten_is_forgotten(
    stack: LocalStack, quay: Outpost, driver: Driver, car: str
) -> None:
    driver.binds(car)
    sale = quay.sell(quay.pump.sale(*driver.comes_in(car)))
    driver.earned(sale)

    driver.app.post("/members/me/erasure")

    wait_for(lambda: driver.app.get("/members/me")["status"] == "erased")
    for part in ("identities", "points"):
        status, refusal = driver.app.send("GET", f"/members/me/{part}", None)
        assert (status, refusal["code"]) == (409, "member_erased")
    shown = quay.operator.get(f"/sales/{sale.sale_id}")
    assert (shown["evidence"], shown["observed"]) == ([], [])
    assert shown["members"] == [driver.member_id]
    kept = quay.operator.get(f"/members/{driver.member_id}/points")
    assert kept["points"] == POINTS
    users = stack.client("cognito-idp").list_users(
        UserPoolId=stack.outputs["UserPoolId"], Filter=f'sub = "{driver.member_id}"'
    )["Users"]
    assert users == []
