"""What a reward makes of a fill's price, asked at the counter."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from functions.operator import handler
from tests.functional.http import Client
from tests.functional.world import LITRES

if TYPE_CHECKING:
    from tests.functional.http import Reply
    from tests.functional.world import World

FILL = {"grade": "92", "unit_price_milli_per_litre": 7_569, "volume_ml": 40_000}
REWARD = {"reward_milli_per_litre": 1_200}
DISCOUNTS = {"minimum_prices": {"92": 7_000}, "unused": "forfeited"}


@pytest.fixture(autouse=True)
def station(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handler.quotes, "_now", lambda: datetime(2026, 11, 23, tzinfo=UTC))
    # It knows versions by their numbers, and every test has a version 1 of its own.
    monkeypatch.setattr(handler.quotes._programs, "_known", {})
    world.register("s0001")


def ask(**order: Any) -> Reply:
    attendant = Client(handle=handler.handle, subject="sub-attendant", groups="[attendant]")
    return attendant.post("/stations/s0001/quotes", order)


def test_a_reward_is_used_down_to_the_lowest_price_of_the_program_in_force(world: World) -> None:
    version = world.activate({**LITRES, "discounts": DISCOUNTS})
    before = world.snapshot()

    reply = ask(**FILL, **REWARD)

    assert (reply.status, reply.body) == (
        200,
        {
            "program_version": version,
            "minimum_price_milli_per_litre": 7_000,
            "unit_price_milli_per_litre": 7_000,
            "amount_fen": 30_276,
            "discount_fen": 2_276,
            "to_pay_fen": 28_000,
            "unused_fen": 2_524,
            "unused": "forfeited",
        },
    )
    assert world.snapshot() == before


def test_a_sum_on_a_fill_told_in_money_is_clipped_and_the_rest_kept(world: World) -> None:
    world.activate()

    reply = ask(
        grade="95", unit_price_milli_per_litre=8_000, amount_fen=20_000, reward_fen=25_000
    ).body

    assert (reply["amount_fen"], reply["discount_fen"], reply["to_pay_fen"]) == (20_000, 20_000, 0)
    assert (reply["unused_fen"], reply["unused"]) == (5_000, "kept")
    assert reply["minimum_price_milli_per_litre"] is None


def test_before_the_program_began_no_price_is_too_low() -> None:
    reply = ask(**FILL, **REWARD).body

    assert (reply["program_version"], reply["unit_price_milli_per_litre"]) == (None, 6_369)


@pytest.mark.parametrize(
    ("order", "at", "reason"),
    [
        ({**FILL, **REWARD, "grade": "98"}, "grade", "not_sold_here"),
        ({**FILL}, "reward_fen", "missing"),
        ({**FILL, **REWARD, "reward_fen": 1}, "reward_fen", "beside_reward_milli_per_litre"),
        ({**FILL, **REWARD, "amount_fen": 1}, "amount_fen", "beside_volume_ml"),
        ({**FILL, **REWARD, "volume_ml": None}, "amount_fen", "missing"),
        (
            {
                "grade": "92",
                "unit_price_milli_per_litre": 1_000_000,
                "amount_fen": 1,
                "reward_fen": 1,
            },
            "amount_fen",
            "buys_nothing",
        ),
    ],
)
def test_a_fill_that_cannot_be_has_no_quote(
    world: World, order: dict[str, Any], at: str, reason: str
) -> None:
    before = world.snapshot()

    reply = ask(**order)

    assert reply.code == "invalid_request"
    assert reply.facts["findings"] == [{"at": f"/body/{at}", "reason": reason}]
    assert world.snapshot() == before


def test_an_unknown_station_quotes_nothing() -> None:
    attendant = Client(handle=handler.handle, subject="sub-attendant", groups="[attendant]")

    assert attendant.post("/stations/s0009/quotes", {**FILL, **REWARD}).code == "unknown_station"
