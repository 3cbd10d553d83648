"""From a judged sale to its member's habits: once, and without losing what was bound."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.events import DetailType
from forecourt.portraits_table import PortraitsTable
from forecourt.stored_identities import habits_from_item, portrait_from_item, portrait_key
from tests.functional.assigning import assignment
from tests.functional.clients import Interrupting
from tests.functional.conftest import LOYALTY_TABLE, SALES_TABLE
from tests.functional.hearing import hear, heard
from tests.functional.world import LITRES, key_of
from tests.specimens import CARD, PLATE, SALE, sale

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from forecourt.behaviour import Behaviour
    from tests.functional.world import World

SALES = [
    sale(
        completed_at=SALE.key.completed_at + timedelta(days=7 * (number - 4)),
        recorded_at=SALE.recorded_at + timedelta(days=7 * (number - 4)),
        started_at=None,
        transaction=number,
        totalizer_ml=10**7 + number * SALE.volume_ml,
    )
    for number in range(4)
]


@pytest.fixture
def habits() -> ModuleType:
    from functions.habits import handler  # noqa: PLC0415 - its clients need the environment

    return handler


@pytest.fixture
def judged(
    world: World, told: Any, context: Any, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[dict[str, Any]]]:
    """Return what comes before: sales of m1, told, matched and judged, as the bus tells it."""
    from functions.accrual import handler as accrual  # noqa: PLC0415
    from functions.matching import handler as matching  # noqa: PLC0415

    accrual.program.cache_clear()
    monkeypatch.setattr(matching, "assignment", assignment(world))
    world.enrol("m1", PLATE, CARD)

    def judge(*sales: Any) -> list[dict[str, Any]]:
        told(*sales)
        matching.handle({"Records": world.records(SALES_TABLE, status="received")}, context)
        accrual.handle({"Records": world.records(SALES_TABLE, status="matched")}, context)
        return heard(world, DetailType.ENTRY_RECORDED, DetailType.SALE_EARNED_NOTHING)

    return judge


def behaviour(world: World, member_id: str = "m1") -> Behaviour:
    key = portrait_key(member_id)
    item = world.dynamodb.get_item(TableName=LOYALTY_TABLE, Key=key).get("Item")
    return habits_from_item(item).behaviour


def test_a_sale_that_earned_is_in_its_members_habits(
    habits: ModuleType, judged: Any, world: World, context: Any
) -> None:
    world.activate()
    messages = judged(SALE)

    assert hear(habits, messages, context) == []

    found = behaviour(world)
    assert (found.sales, found.stations, found.grades) == (1, {"s0001": 1}, {SALE.grade: 1})
    assert found.volume_ml == SALE.volume_ml
    # 08:15 in UTC is a quarter past four in the afternoon at the station.
    assert found.bands[16 // 3] == 1
    assert found.last_at == int(SALE.key.completed_at.timestamp())


def test_a_sale_that_earned_nothing_is_a_habit_too(
    habits: ModuleType, judged: Any, world: World, context: Any
) -> None:
    rule = {**LITRES["rules"][0], "minimum": 10**6}
    world.activate({**LITRES, "rules": [rule]})
    (message,) = judged(SALE)
    assert json.loads(message["body"])["detail-type"] == "SaleEarnedNothing"

    assert hear(habits, [message], context) == []

    assert behaviour(world).sales == 1


def test_events_that_come_again_in_another_order_change_nothing(
    habits: ModuleType, judged: Any, world: World, context: Any
) -> None:
    world.activate()
    messages = judged(*SALES)
    hear(habits, messages, context)
    before = world.snapshot()

    assert hear(habits, [*reversed(messages), *messages], context) == []

    assert behaviour(world).sales == len(SALES)
    assert world.snapshot() == before


def test_habits_speak_when_there_are_enough_of_them(
    habits: ModuleType, judged: Any, world: World, context: Any
) -> None:
    world.activate()
    hear(habits, judged(*SALES[:3]), context)

    item = world.dynamodb.get_item(TableName=LOYALTY_TABLE, Key=portrait_key("m1"))["Item"]
    portrait = portrait_from_item(item)

    assert portrait.behaviour is not None
    assert portrait.behaviour.levels(world.stored(SALES[0]).fill)["station"] == "usual"
    assert portrait.identities["plate"] == {key_of(PLATE).digest}


def test_a_sale_that_changed_hands_is_nobody_elses_habit(
    habits: ModuleType, judged: Any, world: World, context: Any
) -> None:
    world.activate()
    (message,) = judged(SALE)
    message["body"] = message["body"].replace('"member_id": "m1"', '"member_id": "m2"')
    before = world.snapshot()

    assert hear(habits, [message], context) == []

    assert world.snapshot() == before


def test_two_sales_counted_at_once_are_both_counted(judged: Any, world: World) -> None:
    world.activate()
    judged(*SALES)
    first, second = (world.stored(each) for each in SALES[:2])
    rival = Interrupting(
        world.dynamodb,
        "update_item",
        lambda: world.portraits.count("m1", second.sale.sale_id, second.fill),
    )

    assert PortraitsTable(rival, name=LOYALTY_TABLE).count("m1", first.sale.sale_id, first.fill)

    assert behaviour(world).sales == 2
