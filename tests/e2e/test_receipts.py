"""What was bought along, on the deployed stack: from the till's receipt to the member's points."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.instants import format_instant
from forecourt.retellings import Source, Telling, telling_id_for
from infra.local.api_client import ApiClient
from infra.local.seed import PROGRAM, activate_program
from tests.e2e.outpost import outpost
from tests.e2e.pump import Pump
from tests.e2e.station_client import ACCEPTED
from tests.e2e.traces import PREFIX, nothing_left
from tests.e2e.waiting import wait_for
from tests.schemas import validator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forecourt.sales import Sale
    from infra.local.stack import LocalStack
    from tests.e2e.drivers import Driver
    from tests.e2e.outpost import Outpost
    from tests.e2e.traces import Traces

SHOP_RULE = {
    "rule_id": "shop",
    "categories": ["shop"],
    "basis": "amount",
    "points": 1,
    "per": 100,
    "rounding": "floor",
}
RECEIPTS = {
    **PROGRAM,
    "rules": [*PROGRAM["rules"], SHOP_RULE],
    "baskets": {},
    "discounts": {"minimum_prices": {"92": 7_000}, "unused": "kept"},
}
# 39.99 L of 92 at ten points a litre.
FUEL_POINTS = 399


@pytest.fixture(scope="module", autouse=True)
def traces(stack: LocalStack, operator: ApiClient) -> Iterator[Traces]:
    with nothing_left(stack) as traces:
        # Another program may be in force, and what was cannot be changed.
        version = activate_program(operator, RECEIPTS)
        wait_for(lambda: operator.get("/programs")["in_force"], lambda found: found == version)
        yield traces


@pytest.fixture(scope="module")
def quay(stack: LocalStack, operator: ApiClient, traces: Traces) -> Iterator[Outpost]:  # noqa: ARG001 - first in, last out
    with outpost(stack, operator, f"{PREFIX}counter") as quay:
        yield quay


@pytest.mark.parametrize("paid_by_points", [False, True])
def test_a_receipt_with_goods_and_a_discount_ends_in_the_right_points(
    quay: Outpost, driver: Driver, car: str, *, paid_by_points: bool
) -> None:
    driver.binds(car)
    pump = Pump(quay.station_id, nozzle=5 + paid_by_points)
    sale = quay.sell(pump.sale(*driver.comes_in(car)))
    assert driver.earned(sale)["points"] == FUEL_POINTS

    told = receipt(sale, 2_000, -500, off_fen=1_000, paid_by_points=paid_by_points)
    assert not list(validator("station/telling").iter_errors(told))
    quay.tell(told, topic="tellings")

    assert quay.client.answer_to(told["telling"]["telling_id"]) == ACCEPTED
    # Of ten yuan off 317.32, the shop's 15.00 bear 0.47: fourteen full yuan. Half of it all
    # was paid by points: 19.995 litres and 7.26 yuan earn.
    points = 199 + 7 if paid_by_points else FUEL_POINTS + 14
    wait_for(lambda: driver.points, lambda found: found == points)
    (shown,) = driver.app.get("/members/me/sales")["sales"]
    assert shown["points"] == points
    assert [each["rule"] for each in shown["trace"]] == ["petrol", "shop"]
    kinds = [each["kind"] for each in driver.app.get("/members/me/entries")["entries"]]
    assert kinds == ["reverse" if paid_by_points else "earn", "earn"]


def test_an_attendant_is_told_what_a_reward_makes_of_a_price(
    stack: LocalStack, quay: Outpost
) -> None:
    attendant = ApiClient(stack.api_url, stack.token("attendant", f"{PREFIX}attendant"))

    quote = attendant.post(
        f"/stations/{quay.station_id}/quotes",
        {
            "grade": "92",
            "unit_price_milli_per_litre": 7_569,
            "volume_ml": 40_000,
            "reward_milli_per_litre": 1_200,
        },
    )

    assert (quote["unit_price_milli_per_litre"], quote["to_pay_fen"]) == (7_000, 28_000)
    assert (quote["discount_fen"], quote["unused_fen"], quote["unused"]) == (2_276, 2_524, "kept")


def receipt(sale: Sale, *goods_fen: int, off_fen: int, paid_by_points: bool) -> dict[str, Any]:
    """Return the message by which the till tells *sale* and what was bought along with it."""
    total = sale.amount_fen + sum(goods_fen) - off_fen
    told = Telling(
        source=Source.TILL,
        told_id=f"R-{sale.key.nozzle}-{sale.key.transaction}",
        station_id=sale.key.station_id,
        at=sale.key.completed_at + timedelta(seconds=30),
        amount_fen=total,
        nozzle=sale.key.nozzle,
    )
    by_points = total // 2 if paid_by_points else 0
    payments = {"points": by_points, "wallet": total - by_points}
    return {
        "schema": "telling/1",
        "sent_at": format_instant(datetime.now(UTC)),
        "telling": {
            "telling_id": telling_id_for(told),
            "station_id": told.station_id,
            "source": "till",
            "told_id": told.told_id,
            "told_at": format_instant(told.at),
            "amount_fen": total,
            "nozzle": told.nozzle,
            "volume_ml": None,
            "lines": [
                {
                    "category": "fuel",
                    "amount_fen": sale.amount_fen,
                    "grade": sale.grade,
                    "volume_ml": sale.volume_ml,
                },
                *({"category": "shop", "amount_fen": each} for each in goods_fen),
                {"category": "discount", "amount_fen": -off_fen},
            ],
            "payments": [
                {"by": by, "amount_fen": amount} for by, amount in payments.items() if amount
            ],
            "evidence": [],
        },
    }
