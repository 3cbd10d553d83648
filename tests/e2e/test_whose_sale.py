"""Whose sale it is, on the deployed stack: what is credited, asked about, and left alone."""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.instants import format_instant
from forecourt.retellings import Source, Telling, telling_id_for
from forecourt.sales import EvidenceKind
from infra.local.api_client import ApiError
from infra.local.seed import PROGRAM, activate_program
from tests.e2e.bus import heard_from
from tests.e2e.outpost import outpost
from tests.e2e.pump import Pump, at_the_till, plate
from tests.e2e.station_client import ACCEPTED
from tests.e2e.traces import PREFIX, nothing_left
from tests.e2e.waiting import wait_for
from tests.schemas import validator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forecourt.sales import Evidence, Sale
    from infra.local.api_client import ApiClient
    from infra.local.stack import LocalStack
    from tests.e2e.drivers import Driver
    from tests.e2e.outpost import Outpost
    from tests.e2e.traces import Traces

# 39.99 L of 92 at ten points a litre, rounded down.
POINTS = 399
# Sold once here: a till finds its sale by the amount, too.
VOLUME_ML = 41_120


@pytest.fixture(scope="module", autouse=True)
def traces(stack: LocalStack, operator: ApiClient) -> Iterator[Traces]:
    with nothing_left(stack) as traces:
        if operator.get("/programs")["in_force"] is None:
            began = datetime.now(UTC) - timedelta(days=30)
            activate_program(operator, PROGRAM, effective_at=began)
        yield traces


@pytest.fixture(scope="module")
def quay(stack: LocalStack, operator: ApiClient, traces: Traces) -> Iterator[Outpost]:  # noqa: ARG001 - first in, last out
    with outpost(stack, operator, f"{PREFIX}island") as quay:
        yield quay


def test_binding_asks_about_the_sales_it_was_seen_at_and_a_second_identity_answers(
    stack: LocalStack, quay: Outpost, driver: Driver, car: str
) -> None:
    account = f"o{secrets.token_hex(10)}"
    evidence = (plate(car), at_the_till(EvidenceKind.PAYMENT, account))
    first, second = (quay.sell(quay.pump.sale(*evidence)) for _ in range(2))
    sales = {first.sale_id, second.sale_id}
    wait_for(lambda: sales <= quay.waiting("unmatched").keys())

    with heard_from(stack, detail_type="ConfirmationAsked", member_id=driver.member_id) as heard:
        driver.binds(car)
        asked = heard()
    wait_for(lambda: sales <= quay.waiting("pending").keys())
    points_before = driver.points
    driver.binds(account, EvidenceKind.PAYMENT)

    wait_for(lambda: driver.points, lambda points: points == 2 * POINTS)
    assert not list(validator("bus/ConfirmationAsked").iter_errors(asked))
    assert asked["detail"]["sale_id"] in sales
    assert points_before == 0
    assert sorted(driver.sales) == sorted(sales)
    for queue in ("unmatched", "pending"):
        assert not sales & quay.waiting(queue).keys()


def test_a_phone_belongs_to_one_member_until_they_let_it_go(
    quay: Outpost, driver: Driver, other: Driver, phone: str
) -> None:
    identity_id = driver.binds(phone, EvidenceKind.PHONE)

    status, problem = other.app.send(
        "POST", "/members/me/identities", {"kind": "phone", "value": phone}, key="taken"
    )
    driver.app.call("DELETE", f"/members/me/identities/{identity_id}", key="let go")
    other.binds(phone, EvidenceKind.PHONE)
    typed = at_the_till(EvidenceKind.PHONE, phone)
    sale = quay.sell(quay.pump.sale(typed, at_the_till(EvidenceKind.CARD, other.card)))

    assert (status, problem["code"]) == (409, "identity_taken")
    assert driver.member_id not in json.dumps(problem)
    other.earned(sale)
    assert (driver.points, other.points) == (0, POINTS)


def test_a_plate_alone_may_have_been_lent_and_its_member_is_asked(
    quay: Outpost, driver: Driver, car: str
) -> None:
    driver.binds(car)

    sale = quay.sell(quay.pump.sale(plate(car)))

    wait_for(lambda: sale.sale_id in quay.waiting("pending"))
    assert quay.waiting("pending")[sale.sale_id]["undecided_because"] == "unsure"
    assert driver.points == 0


def test_a_wrong_phone_beside_the_right_plate_is_recognised(
    quay: Outpost, driver: Driver, car: str, phone: str
) -> None:
    driver.binds(car)
    driver.binds(phone, EvidenceKind.PHONE)
    other_digit = phone[:-1] + str((int(phone[-1]) + 1) % 10)
    digit_missing = phone[:-1]

    sales = [
        quay.sell(quay.pump.sale(plate(car), at_the_till(EvidenceKind.PHONE, typed)))
        for typed in (other_digit, digit_missing)
    ]

    for sale in sales:
        assert driver.earned(sale)["points"] == POINTS


def test_a_misread_plate_is_recognised_beside_the_card_and_asked_about_alone(
    quay: Outpost, driver: Driver
) -> None:
    digits = f"{secrets.randbelow(1000):03}"
    driver.binds(f"浙A8B{digits}")
    misread = plate(f"浙A88{digits}")

    beside = quay.sell(quay.pump.sale(misread, at_the_till(EvidenceKind.CARD, driver.card)))
    alone = quay.sell(quay.pump.sale(misread))

    assert driver.earned(beside)["points"] == POINTS
    wait_for(lambda: alone.sale_id in quay.waiting("pending"))
    assert quay.waiting("pending")[alone.sale_id]["undecided_because"] == "needs_second_identity"
    assert driver.sales == [beside.sale_id]


def test_a_family_with_one_car_earns_for_whoever_shows_who_they_are(
    quay: Outpost, driver: Driver, other: Driver, car: str
) -> None:
    for each in (driver, other):
        each.binds(car)

    paid = quay.sell(quay.pump.sale(*driver.comes_in(car)))
    unknown = quay.sell(quay.pump.sale(plate(car)))

    driver.earned(paid)
    wait_for(lambda: unknown.sale_id in quay.waiting("unmatched"))
    assert quay.waiting("unmatched")[unknown.sale_id]["undecided_because"] == "unconvincing"
    assert (driver.points, other.points) == (POINTS, 0)


def test_of_a_family_with_one_car_the_one_whose_app_is_at_the_pump_is_asked(
    stack: LocalStack, quay: Outpost, driver: Driver, other: Driver, car: str
) -> None:
    for each in (driver, other):
        each.binds(car)
    other.checks_in(quay.station_id)

    with heard_from(stack, detail_type="ConfirmationAsked", member_id=other.member_id) as heard:
        sale = quay.sell(quay.pump.sale(plate(car)))
        asked = heard()

    assert asked["detail"]["sale_id"] == sale.sale_id
    assert (driver.points, other.points) == (0, 0)


def test_who_checked_in_may_claim_a_sale_at_which_nothing_was_seen_and_gets_nothing_by_that(
    quay: Outpost, driver: Driver, other: Driver
) -> None:
    driver.checks_in(quay.station_id)
    sale = quay.sell(quay.pump.sale())
    wait_for(lambda: sale.sale_id in quay.waiting("unmatched"))

    assert sale.sale_id in driver.suggested
    assert other.suggested == []
    driver.app.post("/members/me/claims", {"sale_id": sale.sale_id})

    wait_for(lambda: sale.sale_id not in driver.suggested)
    assert sale.sale_id in quay.waiting("unmatched") | quay.waiting("pending")
    assert driver.points == 0


def test_a_claim_by_the_car_alone_waits_when_another_member_was_seen_driving_it(
    quay: Outpost, driver: Driver, other: Driver, car: str, *, phone: str, traces: Traces
) -> None:
    account = f"o{secrets.token_hex(10)}"
    other.binds(phone, EvidenceKind.PHONE)
    typed = at_the_till(EvidenceKind.PHONE, phone)
    other.earned(quay.sell(quay.pump.sale(*other.comes_in(car), typed)))
    wait_for(lambda: other.member_id in drivers(traces))
    driver.binds(car)
    sale = quay.sell(quay.pump.sale(plate(car), at_the_till(EvidenceKind.PAYMENT, account)))
    wait_for(lambda: driver.said_of(sale), lambda said: said == ("open", None))

    driver.app.post(f"/members/me/questions/{sale.sale_id}/confirmation")
    stored = ("sales", f"STATION#{quay.station_id}", f"SALE#{sale.sale_id}")
    wait_for(lambda: "claimed_by" in traces.items("sales")[stored])
    traces.settled("sales", "loyalty")

    assert driver.said_of(sale) == ("waiting", "yes")
    assert driver.points == 0
    driver.binds(account, EvidenceKind.PAYMENT)
    assert driver.earned(sale)["points"] == POINTS


def test_two_cars_at_one_island_are_not_taken_for_each_other(
    quay: Outpost, driver: Driver, other: Driver, car: str
) -> None:
    """A camera that sees both cars tells either plate at either nozzle."""
    others_car = f"浙C{secrets.randbelow(100_000):05}"
    driver.binds(car)
    other.binds(others_car)
    first = quay.sell(quay.pump.sale(*driver.comes_in(car)))
    second = quay.sell(quay.pump.sale(*other.comes_in(others_car)))
    mixed_up = quay.sell(quay.pump.sale(*driver.comes_in(others_car)))

    driver.earned(first)
    other.earned(second)
    wait_for(lambda: mixed_up.sale_id in quay.waiting("pending"))
    assert (driver.points, other.points) == (POINTS, POINTS)


def test_a_phone_typed_at_the_till_joins_the_sale_the_pump_told(
    quay: Outpost, driver: Driver, car: str, phone: str
) -> None:
    driver.binds(car)
    driver.binds(phone, EvidenceKind.PHONE)
    sale = quay.sell(quay.pump.sale(plate(car), volume_ml=VOLUME_ML))
    wait_for(lambda: sale.sale_id in quay.waiting("pending"))

    told = telling(sale, at_the_till(EvidenceKind.PHONE, phone))
    quay.tell(told, topic="tellings")

    assert quay.client.answer_to(told["telling"]["telling_id"]) == ACCEPTED
    assert driver.earned(sale)["points"] == 10 * VOLUME_ML // 1000
    assert sale.sale_id not in quay.waiting("pending")


def test_a_till_that_says_another_amount_holds_the_sale(quay: Outpost, car: str) -> None:
    # At a nozzle of its own: which of several sales is contradicted, nobody could say.
    sale = quay.sell(Pump(quay.station_id, nozzle=7).sale(plate(car)))
    wait_for(lambda: sale.sale_id in quay.waiting("unmatched"))

    quay.tell(telling(replace(sale, amount_fen=sale.amount_fen + 100)), topic="tellings")

    held = wait_for(lambda: quay.waiting("held").get(sale.sale_id)) or {}
    assert held["doubts"] == ["amount_differs"]
    assert sale.sale_id not in quay.waiting("unmatched")


def drivers(traces: Traces) -> set[str]:
    """Return who is known to drive any car."""
    return {
        member_id
        for (_, pk, _), item in traces.items("loyalty").items()
        if pk.startswith("DRIVERS#")
        for member_id in item["drivers"]["M"]
    }


def test_a_person_says_which_sale_a_till_with_a_wrong_clock_told_of(
    quay: Outpost, driver: Driver, car: str, phone: str
) -> None:
    driver.binds(car)
    driver.binds(phone, EvidenceKind.PHONE)
    sale = quay.sell(quay.pump.sale(plate(car), volume_ml=VOLUME_ML))
    wait_for(lambda: sale.sale_id in quay.waiting("pending"))
    told = telling(sale, at_the_till(EvidenceKind.PHONE, phone), late=timedelta(hours=3))
    telling_id = told["telling"]["telling_id"]
    quay.tell(told, topic="tellings")
    assert quay.client.answer_to(telling_id) == ACCEPTED
    # Listed is what has waited for an hour, but the lists are there.
    day = f"{sale.key.completed_at.date()}"
    assert quay.operator.get("/tellings")["next_cursor"] is None
    of_day = f"/tellings?station_id={quay.station_id}&business_day={day}"
    assert quay.operator.get(of_day)["tellings"] == []

    decided = quay.operator.post(f"/tellings/{telling_id}/assignment", {"sale_id": sale.sale_id})

    assert decided["sale_id"] == sale.sale_id
    assert driver.earned(sale)["points"] == 10 * VOLUME_ML // 1000
    with pytest.raises(ApiError) as refusal:
        quay.operator.post(f"/tellings/{telling_id}/dismissal")
    assert refusal.value.status == 409


def telling(
    sale: Sale, *evidence: Evidence, late: timedelta = timedelta(seconds=30)
) -> dict[str, Any]:
    """Return the message by which the till tells *sale*, half a minute after the pump."""
    told = Telling(
        source=Source.TILL,
        told_id=f"R-{sale.key.transaction}",
        station_id=sale.key.station_id,
        at=sale.key.completed_at + late,
        amount_fen=sale.amount_fen,
        nozzle=sale.key.nozzle,
        volume_ml=sale.volume_ml,
    )
    return {
        "schema": "telling/1",
        "sent_at": format_instant(datetime.now(UTC)),
        "telling": {
            "telling_id": telling_id_for(told),
            "station_id": told.station_id,
            "source": str(told.source),
            "told_id": told.told_id,
            "told_at": format_instant(told.at),
            "amount_fen": told.amount_fen,
            "nozzle": told.nozzle,
            "volume_ml": told.volume_ml,
            "evidence": [
                {"kind": str(each.kind), "value": each.value, "source": "till-1"}
                for each in evidence
            ],
        },
    }
