"""What matching asks the Loyalty table, for several sales at once."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.behaviour import Behaviour
from forecourt.candidates_table import CandidatesTable
from forecourt.habits import Habits
from forecourt.hashes import EvidenceKey
from forecourt.inquiry import Found, LookUp
from forecourt.sales import Evidence, EvidenceKind
from tests.functional.clients import Counting, Lagging
from tests.functional.conftest import LOYALTY_TABLE
from tests.functional.world import block_of, key_of
from tests.item_sizes import WRITE_UNIT_BYTES, size
from tests.specimens import CARD, PLATE, RECEIVED_AT

if TYPE_CHECKING:
    from tests.functional.world import World

PHONE = Evidence(kind=EvidenceKind.PHONE, value="13812345678")
UNKNOWN = EvidenceKey(kind="phone", digest="u" * 22)
BLOCK = block_of(PHONE.value)


def one(world: World, asked: LookUp, *, block: str | None = None, client: Any = None) -> Found:
    table = CandidatesTable(client or world.dynamodb, name=LOYALTY_TABLE)
    return table.look_up({0: asked}, blocks={0: (block,) if block else ()})[0]


def test_owners_are_found_by_key_and_what_nobody_has_is_absent(world: World) -> None:
    for member_id in ("m1", "m2"):
        world.enrol(member_id, PLATE)
    world.bind("m2", CARD)
    plate, card = key_of(PLATE), key_of(CARD)

    found = one(world, LookUp(keys=(plate, card, UNKNOWN, plate)))

    assert found.owners == {plate: ("m1", "m2"), card: ("m2",)}
    assert world.candidates.owners([plate, UNKNOWN]) == {plate: ("m1", "m2")}
    assert world.candidates.owners([]) == {}


def test_a_portrait_has_what_is_bound_and_no_habits_before_the_first_sale(world: World) -> None:
    world.enrol("m1", PLATE, CARD)

    found = one(world, LookUp(portraits=("m1", "nobody")))

    assert found.portraits.keys() == {"m1"}
    portrait = found.portraits["m1"]
    assert portrait.behaviour is None
    assert portrait.identities == {
        "plate": frozenset({key_of(PLATE).digest}),
        "card": frozenset({key_of(CARD).digest}),
    }


def test_a_block_is_counted_when_it_is_asked_for(world: World) -> None:
    world.enrol("m1", PHONE)
    key = (key_of(PHONE),)

    assert one(world, LookUp(keys=key, with_density=True), block=BLOCK).block_members == 1
    assert one(world, LookUp(keys=key), block=BLOCK).block_members == 0
    assert one(world, LookUp(keys=key, with_density=True)).block_members == 0
    assert one(world, LookUp(keys=key, with_density=True), block="none").block_members == 0


def test_what_several_sales_ask_for_is_read_once_and_told_to_each(world: World) -> None:
    world.enrol("m1", PLATE, CARD)
    counting = Counting(world.dynamodb)
    plate, card = key_of(PLATE), key_of(CARD)
    asked = {3: LookUp(keys=(plate, card)), 7: LookUp(keys=(plate,), portraits=("m1",))}

    found = CandidatesTable(counting, name=LOYALTY_TABLE).look_up(asked, blocks={3: (), 7: ()})

    assert counting.calls == {"batch_get_item": 1}
    assert found[3].owners == {plate: ("m1",), card: ("m1",)}
    assert found[7].owners == {plate: ("m1",)}
    assert found[7].portraits.keys() == {"m1"}


def test_nothing_asked_is_no_round_trip(world: World) -> None:
    counting = Counting(world.dynamodb)

    assert one(world, LookUp(), client=counting) == Found()
    assert counting.calls == {}


def test_a_consistent_look_up_sees_what_has_not_reached_every_replica(world: World) -> None:
    world.enrol("m1", PLATE)
    table = CandidatesTable(Lagging(world.dynamodb), name=LOYALTY_TABLE)
    asked, blocks = {0: LookUp(keys=(key_of(PLATE),))}, {0: ()}

    assert table.look_up(asked, blocks=blocks)[0].owners == {}
    assert table.look_up(asked, blocks=blocks, consistent=True)[0].owners
    assert table.owners([key_of(PLATE)])


@pytest.mark.parametrize("sales", [1, 60])
def test_a_portrait_is_under_a_kilobyte_whatever_its_member_does(world: World, sales: int) -> None:
    from tests.specimens import sale  # noqa: PLC0415
    from tests.unit.test_habits import fill  # noqa: PLC0415

    member_id = "f3b1c7de-8a52-4a8e-9d0b-6f4f3f1f2a10"
    world.enrol(member_id)
    for number in range(16):
        kind = (EvidenceKind.PLATE, EvidenceKind.PHONE, EvidenceKind.CARD)[number % 3]
        key = EvidenceKey(kind=kind, digest=f"{number:022}")
        world.identities.bind(member_id, key, "13812345678", bound_at=RECEIVED_AT)
    behaviour = Behaviour()
    for number in range(sales):
        each = sale(
            station_id=f"station-with-a-long-id-{number % 7}",
            grade=f"grade-{number % 5}",
            transaction=number,
            totalizer_ml=number,
        )
        world.portraits.count(member_id, each.sale_id, fill(each))
        behaviour = behaviour.after(fill(each))
        world.portraits._change(
            member_id,
            partial(
                Habits.after_gift,
                movement_id=f"{each.sale_id}~1+{member_id}",
                fill=fill(each),
                ruled_at=RECEIVED_AT + timedelta(seconds=number),
            ),
        )

    items = world.dynamodb.scan(TableName=LOYALTY_TABLE)["Items"]
    (portrait,) = (each for each in items if each["type"]["S"] == "portrait")

    assert size(portrait) <= WRITE_UNIT_BYTES
