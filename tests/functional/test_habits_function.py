"""From a judged sale to its member's habits: once, and without losing what was bound."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.bus import DetailType
from forecourt.driving import KNOWN
from forecourt.erasing import Erasing
from forecourt.fills import mark_of
from forecourt.inquiry import LookUp
from forecourt.portraits_table import PortraitsTable
from forecourt.rulings import split
from forecourt.sales import Evidence, EvidenceKind
from forecourt.stored_identities import drivers_from_item, drivers_key, portrait_key
from forecourt.stored_portraits import habits_from_item, portrait_from_item
from tests.functional.assigning import assignment
from tests.functional.clients import Interrupting, Reluctant, cancellation, refusal
from tests.functional.conftest import LOYALTY_TABLE, SALES_TABLE
from tests.functional.hearing import hear, heard
from tests.functional.world import LITRES, RULED_AT, key_of
from tests.specimens import CARD, PLATE, SALE, earned, sale

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


def test_what_a_member_paid_with_is_remembered_by_a_mark(
    habits: ModuleType, judged: Any, world: World, context: Any
) -> None:
    world.activate()
    wallet = Evidence(kind=EvidenceKind.PAYMENT, value="wallet-1")
    messages = judged(replace(SALE, evidence=(*SALE.evidence, wallet)))

    assert hear(habits, messages, context) == []

    assert behaviour(world).means == {mark_of(key_of(wallet).digest): 1}
    assert len(mark_of(key_of(wallet).digest)) < len(key_of(wallet).digest)


def test_a_sale_that_earned_nothing_is_a_habit_too(
    habits: ModuleType, judged: Any, world: World, context: Any
) -> None:
    rule = {**LITRES["rules"][0], "minimum": 10**6}
    world.activate({**LITRES, "rules": [rule]})
    (message,) = judged(SALE)
    assert json.loads(message["body"])["detail-type"] == "SaleEarnedNothing"

    assert hear(habits, [message], context) == []

    assert behaviour(world).sales == 1


@pytest.mark.parametrize("erased", [False, True])
def test_points_that_were_given_by_hand_are_no_habit_whatever_their_source_says(
    habits: ModuleType, world: World, context: Any, *, erased: bool
) -> None:
    world.enrol("m1")
    entry_id = "20261123T081500Z.award.9f86d081884c7d65"
    award = replace(earned("m1", 10, sale_id=entry_id), source=f"sale:{SALE.sale_id}")
    world.post(award)
    messages = heard(world, DetailType.ENTRY_RECORDED)
    if erased:
        world.members.erase("m1", erased_by="m1", erased_at=RULED_AT)
    before = world.snapshot()

    assert hear(habits, messages, context) == []

    assert world.snapshot() == before


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


def ruled(world: World, *owners: str | None, sold: Any = SALE) -> list[dict[str, Any]]:
    """Let a person give a sale to one after the other; return what the bus tells of it."""
    for number, owner in enumerate(owners, start=1):
        world.rule(sold, owner, ruled_at=RULED_AT + timedelta(minutes=number))
    return heard(world, DetailType.SALE_RULED)


def test_a_sale_that_a_person_gives_to_another_is_that_ones_habit(
    habits: ModuleType, judged: Any, world: World, context: Any
) -> None:
    world.activate()
    world.enrol("m2")
    hear(habits, judged(*SALES), context)

    messages = ruled(world, "m2", sold=SALES[1])
    assert hear(habits, [*messages, *messages], context) == []

    assert behaviour(world, "m1").sales == len(SALES) - 1
    assert behaviour(world, "m1").stations == {"s0001": len(SALES) - 1}
    assert (behaviour(world, "m2").sales, behaviour(world, "m2").volume_ml) == (
        1,
        SALES[1].volume_ml,
    )


def test_what_a_ruling_earns_is_not_counted_beside_the_ruling(
    habits: ModuleType, judged: Any, world: World, context: Any
) -> None:
    from functions.accrual import handler as accrual  # noqa: PLC0415

    rule = {**LITRES["rules"][0], "minimum": 10**6}
    world.activate({**LITRES, "rules": [rule]})
    world.enrol("m2")
    hear(habits, judged(SALE), context)

    world.rule(SALE, "m2")
    accrual.handle({"Records": world.records(SALES_TABLE, status="matched")}, context)
    messages = heard(world, *DetailType)
    assert "SaleEarnedNothing" in str(messages)
    kinds = {"SaleRuled", "SaleEarnedNothing", "EntryRecorded"}
    for_habits = [each for each in messages if json.loads(each["body"])["detail-type"] in kinds]
    assert hear(habits, for_habits, context) == []

    assert (behaviour(world, "m1").sales, behaviour(world, "m2").sales) == (0, 1)


def test_a_sale_that_comes_back_is_counted_again_whatever_came_first(
    habits: ModuleType, judged: Any, world: World, context: Any
) -> None:
    world.activate()
    world.enrol("m2")
    earning = judged(SALE)

    messages = ruled(world, "m2", "m1")
    assert hear(habits, [*reversed(messages), *earning, *messages], context) == []

    assert (behaviour(world, "m1").sales, behaviour(world, "m2").sales) == (1, 0)


def test_a_sale_that_is_ruled_nobodys_is_nobodys_habit(
    habits: ModuleType, judged: Any, world: World, context: Any
) -> None:
    world.activate()
    earning = judged(SALE)

    assert hear(habits, [*ruled(world, None), *earning], context) == []

    assert behaviour(world).sales == 0


def test_a_shared_sale_is_nobodys_habit(
    habits: ModuleType, judged: Any, world: World, context: Any
) -> None:
    world.activate()
    world.enrol("m2")
    hear(habits, judged(SALE), context)

    def halves(_: Any) -> Any:
        return split(
            SALE.sale_id,
            {"m1": 1, "m2": 1},
            volume_ml=SALE.volume_ml,
            amount_fen=SALE.amount_fen,
            number=1,
            actor="op",
            reason="shared",
        )

    world.ruled.rule(SALE.sale_id, 1, halves, ruled_at=RULED_AT)
    assert hear(habits, heard(world, DetailType.SALE_RULED), context) == []
    assert (behaviour(world, "m1").sales, behaviour(world, "m2").sales) == (0, 0)

    world.rule(SALE, "m2", ruled_at=RULED_AT + timedelta(minutes=1))
    assert hear(habits, heard(world, DetailType.SALE_RULED), context) == []
    assert (behaviour(world, "m1").sales, behaviour(world, "m2").sales) == (0, 1)


def test_a_ruling_and_a_sale_at_once_are_both_in_the_habits(judged: Any, world: World) -> None:
    world.activate()
    judged(*SALES)
    first, second = (world.stored(each) for each in SALES[:2])
    world.portraits.count("m1", first.sale.sale_id, first.fill)
    world.enrol("m2")
    applied = world.rule(SALES[0], "m2")
    taking = next(each for each in applied.moved if each.reverses)
    rival = Interrupting(
        world.dynamodb,
        "update_item",
        lambda: world.portraits.count("m1", second.sale.sale_id, second.fill),
    )

    assert PortraitsTable(rival, name=LOYALTY_TABLE).move(applied, taking, first.fill)

    assert behaviour(world).sales == 1
    assert behaviour(world).last_at == second.fill.at


def test_a_portrait_from_before_rulings_were_followed_follows_them(
    judged: Any, world: World
) -> None:
    world.activate()
    judged(SALE)
    stored = world.stored(SALE)
    world.portraits.count("m1", SALE.sale_id, stored.fill)
    world.dynamodb.update_item(
        TableName=LOYALTY_TABLE, Key=portrait_key("m1"), UpdateExpression="REMOVE ruled"
    )
    world.enrol("m2")
    applied = world.rule(SALE, "m2")

    for each in applied.moved:
        assert world.portraits.move(applied, each, stored.fill)

    assert (behaviour(world, "m1").sales, behaviour(world, "m2").sales) == (0, 1)


def test_a_ruling_begins_no_portrait_of_somebody_erased(
    habits: ModuleType, judged: Any, world: World, context: Any
) -> None:
    world.activate()
    world.enrol("m2")
    hear(habits, judged(SALE), context)
    messages = ruled(world, "m2")
    Erasing(world.dynamodb, sales=SALES_TABLE, loyalty=LOYALTY_TABLE).forget_portrait("m2")

    assert hear(habits, messages, context) == []

    portrait = world.dynamodb.get_item(TableName=LOYALTY_TABLE, Key=portrait_key("m2"))["Item"]
    assert set(portrait) == {"pk", "sk", "type"}


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


def drivers(world: World) -> dict[str, int]:
    item = world.dynamodb.get_item(TableName=LOYALTY_TABLE, Key=drivers_key(key_of(PLATE)))
    return drivers_from_item(item["Item"]) if "Item" in item else {}


def test_who_was_credited_drives_the_car_that_was_seen(
    habits: ModuleType, judged: Any, world: World, context: Any
) -> None:
    messages = judged(SALE)

    assert hear(habits, messages, context) == []

    at = int(SALE.key.completed_at.timestamp())
    assert drivers(world) == {"m1": at}
    item = world.dynamodb.get_item(TableName=LOYALTY_TABLE, Key=drivers_key(key_of(PLATE)))["Item"]
    assert item["expires_at_epoch"] == {"N": str(at + int(KNOWN.total_seconds()))}
    found = world.candidates.look_up(
        {0: LookUp(keys=(key_of(PLATE),), with_drivers=True)}, blocks={0: ()}
    )[0]
    assert {key: list(each) for key, each in found.drivers.items()} == {key_of(PLATE): ["m1"]}


def test_a_plate_the_camera_doubts_makes_nobody_a_driver(
    habits: ModuleType, judged: Any, world: World, context: Any
) -> None:
    doubted = replace(PLATE, confidence=60)
    messages = judged(sale(evidence=(doubted, CARD)))

    assert hear(habits, messages, context) == []

    assert drivers(world) == {}


def test_two_drivers_noted_at_once_are_both_noted(world: World) -> None:
    key = key_of(PLATE)
    for first, second in (("a", "b"), ("c", "d")):

        def rival(name: str = second) -> None:
            world.portraits.note_driver(key, name, seen_at=2)

        raced = PortraitsTable(
            Interrupting(world.dynamodb, "transact_write_items", rival), name=LOYALTY_TABLE
        )
        assert raced.note_driver(key, first, seen_at=1)

    assert drivers(world) == {"a": 1, "b": 2, "c": 1, "d": 2}


def test_a_late_event_does_not_remember_who_asked_to_be_forgotten(world: World) -> None:
    Erasing(world.dynamodb, sales=SALES_TABLE, loyalty=LOYALTY_TABLE).forget_portrait("m1")
    before = world.snapshot()

    assert not world.portraits.note_driver(key_of(PLATE), "m1", seen_at=1)

    assert world.snapshot() == before


def test_a_transaction_in_the_way_of_a_driver_is_waited_for_and_a_fault_is_told(
    world: World,
) -> None:
    busy = Reluctant(
        world.dynamodb, "transact_write_items", cancellation("None", "TransactionConflict")
    )
    faulty = Reluctant(world.dynamodb, "transact_write_items", refusal("AccessDenied"))

    assert PortraitsTable(busy, name=LOYALTY_TABLE).note_driver(key_of(PLATE), "a", seen_at=1)
    with pytest.raises(type(refusal("x")), match="AccessDenied"):
        PortraitsTable(faulty, name=LOYALTY_TABLE).note_driver(key_of(PLATE), "b", seen_at=1)

    assert drivers(world) == {"a": 1}
