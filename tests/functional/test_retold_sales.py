"""One sale told by pump, till and payment provider is one sale, whoever comes first."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from forecourt.retellings import WINDOW
from forecourt.retold_sales import RetoldSales
from forecourt.stored_sales import Queue, Status, StoredSale, sale_from_item, sale_key
from forecourt.stored_tellings import (
    StoredTelling,
    telling_from_item,
    telling_to_item,
    told_by_pump,
)
from tests.functional.assigning import assignment
from tests.functional.clients import Interrupting, Paging, Reluctant, cancellation, refusal
from tests.functional.conftest import LOYALTY_TABLE, SALES_TABLE
from tests.functional.rotation import INTRODUCED, hashes, rekeyed_sales
from tests.functional.tellings import ACCOUNT, PAYMENT, PHONE, TILL, WITH_RECEIPT, telling_record
from tests.functional.world import key_of, keyed, sale_record, sqs_record
from tests.specimens import CARD, PLATE, RECEIVED_AT, SALE, payload, sale, sample

if TYPE_CHECKING:
    from tests.functional.world import World

BY_PLATE = sale(evidence=(PLATE,))
SALE_AT = SALE.key.completed_at
EARLIER = -WINDOW - timedelta(seconds=1)


def retold(world: World, client: Any = None) -> RetoldSales:
    return RetoldSales(client or world.dynamodb, sales=SALES_TABLE, loyalty=LOYALTY_TABLE)


def tellers(world: World, sold: Any = BY_PLATE) -> list[str]:
    return [each.telling_id.split(".")[2] for each in world.stored(sold).told]


def questions(world: World) -> list[str]:
    return [item["pk"] for item in world.items(LOYALTY_TABLE) if item["type"] == "question"]


@pytest.mark.parametrize(
    "stored",
    [
        StoredTelling(telling=TILL, received_at=RECEIVED_AT, sealed=b"sealed"),
        StoredTelling(telling=PAYMENT, received_at=RECEIVED_AT),
        StoredTelling(telling=WITH_RECEIPT, received_at=RECEIVED_AT),
    ],
)
def test_a_telling_survives_the_table(stored: StoredTelling) -> None:
    assert telling_from_item(telling_to_item(stored)) == stored


def test_a_phone_typed_at_the_till_makes_a_lent_car_its_members_sale(
    tell: Any, match: Any, world: World
) -> None:
    world.enrol("m1", PLATE, PHONE)
    tell(sale_record(BY_PLATE))
    match()
    assert world.stored(BY_PLATE).asked == "m1"

    tell(telling_record(TILL, PHONE))
    match()

    stored = world.stored(BY_PLATE)
    assert (stored.status, stored.member_id, stored.matched_by) == (
        Status.MATCHED,
        "m1",
        ("phone", "plate"),
    )
    assert tellers(world) == ["till"]
    assert questions(world) == []
    assert PHONE.value not in str(world.snapshot())


def test_a_mistyped_phone_at_the_till_is_opened_under_its_own_name(
    tell: Any, match: Any, world: World
) -> None:
    world.enrol("m1", PLATE, PHONE)
    tell(sale_record(BY_PLATE))

    tell(telling_record(TILL, replace(PHONE, value="13812345687")))
    match()

    assert world.stored(BY_PLATE).matched_by == ("phone", "plate")


def test_a_till_that_tells_before_the_pump_is_found_by_it(
    tell: Any, match: Any, world: World
) -> None:
    world.enrol("m1", PLATE, PHONE)
    tell(telling_record(TILL, PHONE))
    assert world.sales.sales([BY_PLATE.sale_id]) == {}

    tell(sale_record(BY_PLATE))
    match()

    assert world.stored(BY_PLATE).member_id == "m1"


@pytest.mark.parametrize("at_once", [True, False])
def test_what_joins_before_matching_comes_to_the_sale_is_filed_with_it(
    tell: Any, match: Any, world: World, *, at_once: bool, counted: Any, context: Any
) -> None:
    """The till told first: the stream has the sale without what joined it, and then with it."""
    from functions.matching import handler  # noqa: PLC0415 - `match` has made it ready

    world.records(SALES_TABLE)  # whatever came before
    tell(sale_record(BY_PLATE))
    tell(telling_record(TILL, PHONE), telling_record(PAYMENT, ACCOUNT))
    counted()

    if at_once:
        match()
    else:
        for record in world.records(SALES_TABLE, status="received"):
            assert handler.handle({"Records": [record]}, context) == {"batchItemFailures": []}

    assert world.stored(BY_PLATE).status is Status.UNMATCHED
    for each in (PLATE, PHONE, ACCOUNT):
        assert world.decided.orphans(key_of(each)) == [BY_PLATE.sale_id]
    assert counted() == {"SalesUnmatched": 1}


def test_a_sale_that_was_told_less_than_matching_read_is_left_to_its_next_record(
    tell: Any, world: World
) -> None:
    world.enrol("m1", PLATE)
    tell(sale_record(BY_PLATE))
    first, judge = world.stored(BY_PLATE), assignment(world)
    (weighed,) = judge.weigh([first])
    tell(telling_record(TILL, PHONE))
    before = world.snapshot()

    assert judge.assign(first, weighed) is None

    assert world.snapshot() == before


def test_what_joins_a_sale_that_is_hashed_anew_meanwhile_leaves_both_hashes(
    tell: Any, world: World
) -> None:
    tell(sale_record(BY_PLATE))
    telling = StoredTelling(telling=TILL, received_at=RECEIVED_AT, evidence=keyed(PHONE))
    item = world.dynamodb.get_item(TableName=SALES_TABLE, Key=sale_key(BY_PLATE.sale_id))["Item"]
    crossing = Interrupting(
        world.dynamodb,
        "transact_write_items",
        lambda: rekeyed_sales(world, INTRODUCED).rekey(item),
    )
    retold(world).add(telling)

    retold(world, crossing).reunite(TILL, now=RECEIVED_AT)

    plate, phone = world.stored(BY_PLATE).evidence
    assert plate.keys == hashes(INTRODUCED, PLATE)
    assert phone.key == key_of(PHONE)


def test_a_sale_without_evidence_that_is_told_of_without_any_is_decided(
    tell: Any, match: Any, world: World
) -> None:
    bare = sale(evidence=())
    tell(sale_record(bare))
    tell(telling_record(TILL))
    assert world.stored(bare).told

    match()

    assert world.stored(bare).undecided_because == "no_evidence"


def test_three_sources_in_any_order_and_again_are_one_sale(tell: Any, world: World) -> None:
    records = [
        telling_record(PAYMENT, ACCOUNT),
        sale_record(BY_PLATE),
        telling_record(TILL, PHONE),
    ]
    tell(*records)
    before = world.snapshot()

    tell(*records, *reversed(records))

    assert sorted(tellers(world)) == ["payment", "till"]
    assert {each.key for each in world.stored(BY_PLATE).evidence} == {
        key_of(each) for each in (PLATE, PHONE, ACCOUNT)
    }
    assert world.snapshot() == before
    assert len([item for item in world.items(SALES_TABLE) if item["type"] == "sale"]) == 1


def test_a_joined_sale_is_read_from_the_stream_as_from_the_table(tell: Any, world: World) -> None:
    tell(sale_record(BY_PLATE), telling_record(TILL, PHONE))

    image = world.records(SALES_TABLE, status="received")[-1]["dynamodb"]["NewImage"]

    assert sale_from_item(image) == world.stored(BY_PLATE)
    assert world.stored(BY_PLATE).told[0].sealed


@pytest.mark.parametrize("before", ["received", "unmatched", "pending"])
def test_a_till_that_says_another_amount_holds_a_sale_nobody_has_yet(
    tell: Any, match: Any, world: World, *, before: str
) -> None:
    world.enrol("m1", *([PLATE] if before == "pending" else []))
    tell(sale_record(BY_PLATE))
    if before != "received":
        match()
    assert world.stored(BY_PLATE).status == before

    tell(telling_record(replace(TILL, amount_fen=TILL.amount_fen + 1)))

    stored = world.stored(BY_PLATE)
    assert (stored.status, stored.doubts) == (Status.HELD, ("amount_differs",))
    assert world.sales.queue(Queue.HELD, limit=5).items == [stored]
    assert questions(world) == []


NEXT = sale(
    transaction=4712,
    totalizer_ml=SALE.key.totalizer_ml + 20_000,
    completed_at=SALE_AT + timedelta(minutes=4),
    volume_ml=20_000,
    amount_fen=15_120,
    evidence=(CARD,),
)
OF_NEXT = replace(
    TILL,
    told_id="4712",
    at=NEXT.key.completed_at,
    amount_fen=NEXT.amount_fen,
    volume_ml=NEXT.volume_ml,
)


def test_a_sale_that_the_next_cars_receipt_contradicted_is_let_go_when_that_cars_sale_comes(
    tell: Any, match: Any, world: World
) -> None:
    world.enrol("m1", PLATE, PHONE)
    tell(sale_record(BY_PLATE), telling_record(OF_NEXT))
    assert world.stored(BY_PLATE).status is Status.HELD

    tell(sale_record(NEXT))

    before = world.stored(BY_PLATE)
    assert (before.status, before.doubts) == (Status.RECEIVED, ())
    assert world.sales.queue(Queue.HELD, limit=5).items == []
    assert tellers(world, NEXT) == ["till"]
    match()
    assert world.stored(BY_PLATE).asked == "m1"


def test_a_sale_that_something_else_contradicts_stays_held_when_the_next_comes(
    tell: Any, world: World
) -> None:
    # Too early to be of the next one.
    early = SALE_AT - timedelta(minutes=8)
    other = replace(TILL, told_id="4711", at=early, amount_fen=TILL.amount_fen + 1)
    tell(sale_record(BY_PLATE), telling_record(OF_NEXT), telling_record(other))

    tell(sale_record(NEXT))

    assert world.stored(BY_PLATE).status is Status.HELD


def test_a_sale_a_person_decides_while_it_is_let_go_stays_as_decided(
    tell: Any, world: World
) -> None:
    tell(sale_record(BY_PLATE), telling_record(OF_NEXT))
    coming = StoredSale(sale=NEXT, status=Status.RECEIVED, received_at=RECEIVED_AT)
    world.sales.add(coming)
    crossing = Interrupting(
        world.dynamodb,
        "update_item",
        lambda: world.sales.reject(BY_PLATE.sale_id, actor="op", decided_at=RECEIVED_AT),
    )

    retold(world, crossing).reunite(told_by_pump(coming), now=RECEIVED_AT)

    assert world.stored(BY_PLATE).status is Status.REJECTED
    assert tellers(world, NEXT) == ["till"]


def test_a_released_sale_is_not_held_again_by_the_same_contradiction(
    tell: Any, match: Any, world: World
) -> None:
    world.enrol("m1", PLATE, CARD)
    contradiction = telling_record(replace(TILL, amount_fen=TILL.amount_fen + 1))
    tell(sale_record(SALE), contradiction)
    world.sales.release(SALE.sale_id, actor="op", decided_at=RECEIVED_AT)

    tell(contradiction)
    match()

    assert world.stored(SALE).member_id == "m1"


def test_a_sale_with_an_owner_keeps_it_and_says_what_contradicts_it(
    tell: Any, match: Any, world: World
) -> None:
    world.enrol("m1", PLATE, CARD)
    tell(sale_record(SALE))
    match()

    tell(telling_record(replace(TILL, volume_ml=1)))

    stored = world.stored(SALE)
    assert (stored.status, stored.member_id) == (Status.MATCHED, "m1")
    assert stored.doubts == ("volume_differs",)
    assert world.sales.queue(Queue.HELD, limit=5).items == []


def test_a_payment_that_fits_two_sales_joins_neither(tell: Any, world: World, counted: Any) -> None:
    neighbour = sale(nozzle=4, totalizer_ml=1, evidence=(PLATE,))
    tell(sale_record(BY_PLATE), sale_record(neighbour))
    counted()

    tell(telling_record(PAYMENT, ACCOUNT))

    assert tellers(world) == tellers(world, neighbour) == []
    assert {world.stored(each).status for each in (BY_PLATE, neighbour)} == {Status.RECEIVED}
    assert counted() == {"TellingsInConflict": 1}


def test_a_payment_that_names_no_nozzle_gives_nobody_the_sale_it_joins(
    tell: Any, match: Any, world: World
) -> None:
    """Another sale of that amount, the payer's own, may still be on its way."""
    world.enrol("m1", ACCOUNT)
    tell(telling_record(replace(PAYMENT, at=SALE_AT), ACCOUNT), sale_record(BY_PLATE))

    match()

    stored = world.stored(BY_PLATE)
    assert (stored.status, stored.asked) == (Status.PENDING, "m1")
    assert stored.undecided_because == "needs_second_identity"
    assert [each.loose for each in stored.evidence] == [False, True]


def test_what_a_till_says_of_the_nozzle_makes_certain_what_joined_by_its_amount(
    tell: Any, world: World
) -> None:
    world.enrol("m1", PLATE, PHONE)
    tell(sale_record(BY_PLATE), telling_record(PAYMENT, PHONE))
    assert [each.loose for each in world.stored(BY_PLATE).evidence] == [False, True]

    tell(telling_record(TILL, PHONE))

    assert [each.loose for each in world.stored(BY_PLATE).evidence] == [False, False]


def test_a_telling_that_is_told_again_otherwise_changes_nothing(
    tell: Any, world: World, counted: Any
) -> None:
    tell(sale_record(BY_PLATE), telling_record(TILL, PHONE))
    before = world.snapshot()
    counted()

    tell(telling_record(replace(TILL, amount_fen=1)))

    assert world.snapshot() == before
    assert counted() == {"TellingsContradicted": 1}


def test_a_station_without_a_till_pays_for_no_look_around_and_one_with_a_till_for_one(
    tell: Any, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from functions.ingest import handler  # noqa: PLC0415

    monkeypatch.setattr(handler, "retold", retold(world, Reluctant(world.dynamodb, "query")))
    tell(sale_record(BY_PLATE))
    assert handler.retold._dynamodb.calls == 0

    tell(telling_record(TILL))
    assert handler.retold._dynamodb.calls == 2  # for tellings, and for the sale

    tell(sale_record(sale(transaction=1, totalizer_ml=1)))
    assert handler.retold._dynamodb.calls == 3  # no telling waits: sales are not read


@pytest.mark.parametrize(
    ("apart", "queries"),
    [({}, 3), ({"nozzle": None}, 3), ({"nozzle": 5}, 1), ({"at": SALE_AT + EARLIER}, 1)],
    ids=["of the same nozzle", "of any nozzle", "of another nozzle", "of another time"],
)
def test_a_sale_looks_around_when_a_telling_waits_that_may_be_of_it(
    tell: Any, world: World, monkeypatch: pytest.MonkeyPatch, apart: dict[str, Any], queries: int
) -> None:
    from functions.ingest import handler  # noqa: PLC0415 - its clients need the environment

    tell(telling_record(replace(TILL, **apart)))
    monkeypatch.setattr(handler, "retold", retold(world, Reluctant(world.dynamodb, "query")))

    tell(sale_record(BY_PLATE))

    assert handler.retold._dynamodb.calls == queries
    assert tellers(world) == (["till"] if queries > 1 else [])


def test_what_has_come_together_is_not_looked_around_for_again_when_it_is_told_again(
    tell: Any, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from functions.ingest import handler  # noqa: PLC0415 - its clients need the environment

    told = [sale_record(BY_PLATE), telling_record(TILL)]
    tell(*told)
    before = world.snapshot()
    monkeypatch.setattr(handler, "retold", retold(world, Reluctant(world.dynamodb, "query")))

    tell(*told, *reversed(told))

    assert handler.retold._dynamodb.calls == 0
    assert world.snapshot() == before
    assert tellers(world) == ["till"]


def test_nothing_dispensed_is_told_of_by_nobody(tell: Any, world: World) -> None:
    nothing = sale(volume_ml=0, amount_fen=0, evidence=())
    tell(telling_record(replace(TILL, amount_fen=0, volume_ml=0)))

    tell(sale_record(nothing))

    assert world.stored(nothing).status is Status.VOID
    assert tellers(world, nothing) == []


def test_two_tellings_at_once_both_join(tell: Any, world: World) -> None:
    tell(sale_record(BY_PLATE))
    for each in (TILL, PAYMENT):
        retold(world).add(StoredTelling(telling=each, received_at=RECEIVED_AT))
    rival = Interrupting(
        world.dynamodb,
        "transact_write_items",
        lambda: retold(world).reunite(PAYMENT, now=RECEIVED_AT),
    )

    retold(world, rival).reunite(TILL, now=RECEIVED_AT)

    assert sorted(tellers(world)) == ["payment", "till"]


def test_a_sale_decided_while_a_telling_joins_is_joined_as_it_is_then(
    tell: Any, world: World
) -> None:
    tell(sale_record(BY_PLATE))
    retold(world).add(StoredTelling(telling=TILL, received_at=RECEIVED_AT))
    rival = Interrupting(
        world.dynamodb, "transact_write_items", lambda: world.credit(BY_PLATE, "m9")
    )

    retold(world, rival).reunite(TILL, now=RECEIVED_AT)

    assert world.stored(BY_PLATE).member_id == "m9"
    assert tellers(world) == ["till"]


def receipt_record() -> dict[str, Any]:
    """Return the queue's record of a till's telling with the receipt."""
    document = sample("station/samples/telling-with-receipt")
    return sqs_record(payload(document), topic="forecourt/s0001/up/tellings", message_id="till")


@pytest.mark.parametrize("first", ["pump", "till"])
def test_a_receipt_is_written_on_the_sale_whoever_tells_first(
    tell: Any, world: World, *, first: str
) -> None:
    records = [sale_record(BY_PLATE), receipt_record()]

    tell(*(records if first == "pump" else reversed(records)))
    before = world.snapshot()
    tell(*records)

    basket = world.stored(BY_PLATE).basket
    assert basket is not None
    assert (basket.basket.total_fen, basket.after) == (30_732, ())
    assert basket.telling_id == "20261123T081730Z.s0001.till.R-20261123-0815"
    assert world.stored(BY_PLATE).doubts == ()
    assert world.snapshot() == before


def test_a_receipt_and_its_payment_join_one_sale_and_a_sale_from_the_stream_has_both(
    tell: Any, world: World
) -> None:
    tell(
        telling_record(replace(PAYMENT, amount_fen=28_732), ACCOUNT),
        sale_record(BY_PLATE),
        receipt_record(),
    )

    image = world.records(SALES_TABLE, status="received")[-1]["dynamodb"]["NewImage"]

    assert sorted(tellers(world)) == ["payment", "till"]
    assert sale_from_item(image) == world.stored(BY_PLATE)


def test_a_receipt_says_after_which_entries_it_came(tell: Any, world: World) -> None:
    world.enrol("m1")
    tell(sale_record(BY_PLATE))
    world.credit(BY_PLATE, "m1")

    tell(receipt_record())

    basket = world.stored(BY_PLATE).basket
    assert basket is not None
    assert basket.after == (BY_PLATE.sale_id,)


@pytest.mark.parametrize("credited", [True, False])
def test_a_receipt_that_joins_while_a_person_rules_came_after_the_ruling(
    tell: Any, world: World, *, credited: bool
) -> None:
    for member_id in ("m1", "m2"):
        world.enrol(member_id)
    tell(sale_record(BY_PLATE))
    if credited:
        world.credit(BY_PLATE, "m1")
    retold(world).add(StoredTelling(telling=WITH_RECEIPT, received_at=RECEIVED_AT))

    def decide() -> None:
        if credited:
            world.rule(BY_PLATE, "m2")
        else:
            world.credit(BY_PLATE, "m1")

    rival = Interrupting(world.dynamodb, "transact_write_items", decide)
    retold(world, rival).reunite(WITH_RECEIPT, now=RECEIVED_AT)

    stored = world.stored(BY_PLATE)
    assert stored.basket is not None
    assert stored.basket.after == tuple(each.entry_id for each in stored.held)
    assert len(stored.held) == 1


def test_what_is_around_is_read_to_the_end(tell: Any, world: World) -> None:
    others = [
        sale(transaction=number, totalizer_ml=number, nozzle=9, amount_fen=30_231, evidence=())
        for number in range(1, 4)
    ]
    tell(*map(sale_record, (*others, BY_PLATE)))
    retold(world).add(StoredTelling(telling=TILL, received_at=RECEIVED_AT))

    one = retold(world, Paging(world.dynamodb, page=1)).reunite(TILL, now=RECEIVED_AT)

    assert one.pump is not None
    assert one.pump.told_id == BY_PLATE.sale_id


@pytest.mark.parametrize("error", [refusal("ThrottlingException"), cancellation("ValidationError")])
def test_a_fault_that_no_reading_again_mends_propagates(
    tell: Any, world: World, error: ClientError
) -> None:
    tell(sale_record(BY_PLATE))
    retold(world).add(StoredTelling(telling=TILL, received_at=RECEIVED_AT))
    before = world.snapshot()
    reluctant = Reluctant(world.dynamodb, "transact_write_items", error)

    with pytest.raises(ClientError) as caught:
        retold(world, reluctant).reunite(TILL, now=RECEIVED_AT)
    assert caught.value is error
    assert world.snapshot() == before


def test_what_a_person_has_ruled_on_stays_as_ruled_whatever_is_told_of_it(
    tell: Any, match: Any, world: World
) -> None:
    world.enrol("m1")
    tell(sale_record(BY_PLATE))
    match()
    world.rule(BY_PLATE, asked="m1")

    tell(telling_record(TILL, PHONE))

    stored = world.stored(BY_PLATE)
    assert (stored.status, stored.asked) == (Status.PENDING, "m1")
    assert len(stored.told) == 1
