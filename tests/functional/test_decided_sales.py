"""Writing down whose a sale is: with its pointers and its question, or not at all."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from forecourt.decided_sales import DecidedSales, question_key
from forecourt.decisions import Decision, Reason
from forecourt.errors import StaleWrite
from forecourt.stored_sales import Queue, Status, StoredSale, decision_from_map, decision_to_map
from tests.functional.clients import Reluctant, cancellation, refusal
from tests.functional.conftest import LOYALTY_TABLE, SALES_TABLE
from tests.functional.world import key_of, keyed
from tests.specimens import CARD, PLATE, RECEIVED_AT, SALE, credited_to, nobodys, probably, sale

if TYPE_CHECKING:
    from tests.functional.world import World

STORED = StoredSale(
    sale=replace(SALE, evidence=()),
    status=Status.RECEIVED,
    received_at=RECEIVED_AT,
    local_hour=16,
    evidence=keyed(PLATE, CARD),
    sealed=b"sealed",
)
KEYS = STORED.evidence_keys
LATER = RECEIVED_AT + timedelta(minutes=5)
LATER_STILL = LATER + timedelta(days=1)


def through(world: World, client: Any = None) -> DecidedSales:
    return DecidedSales(client or world.dynamodb, sales=SALES_TABLE, loyalty=LOYALTY_TABLE)


def decide(world: World, decision: Decision, stored: StoredSale = STORED, **arguments: Any) -> bool:
    return world.decided.decide(stored, decision, **{"decided_at": LATER, **arguments})


def questions(world: World) -> list[tuple[str, str]]:
    return [
        (item["pk"], item["sk"])
        for item in world.items(LOYALTY_TABLE)
        if item["type"] == "question"
    ]


@pytest.mark.parametrize(
    "decision", [credited_to("m1"), probably("m1"), nobodys(Reason.NO_EVIDENCE)]
)
def test_a_decision_survives_its_spelling(decision: Decision) -> None:
    assert decision_from_map(decision_to_map(decision)) == decision


def test_a_received_sale_gets_its_owner_and_what_decided_it(world: World) -> None:
    world.sales.add(STORED)

    assert decide(world, credited_to("m1"))

    stored = world.stored(SALE)
    assert stored == replace(
        STORED,
        status=Status.MATCHED,
        member_id="m1",
        decision=credited_to("m1"),
        decided_at=LATER,
    )
    assert (stored.matched_by, stored.undecided_because) == (("card",), None)
    assert [item["type"] for item in world.snapshot()] == ["sale"]


def test_a_sale_with_an_owner_keeps_it(world: World) -> None:
    world.sales.add(STORED)
    decide(world, credited_to("m1"))
    before = world.snapshot()

    assert not decide(world, credited_to("m2"))
    assert not decide(world, nobodys(), filed_under=KEYS)
    assert not decide(world, probably("m2"))
    assert world.snapshot() == before


@pytest.mark.parametrize("status", [Status.HELD, Status.VOID])
def test_a_held_or_void_sale_gets_no_owner(world: World, status: Status) -> None:
    world.sales.add(replace(STORED, status=status))
    before = world.snapshot()

    assert not decide(world, credited_to("m1"))
    assert not decide(world, nobodys(), filed_under=KEYS)
    assert world.snapshot() == before


def test_a_sale_that_does_not_exist_gets_no_owner(world: World) -> None:
    assert not decide(world, credited_to("m1"))
    assert not decide(world, nobodys(), filed_under=KEYS)
    assert world.snapshot() == []


def test_an_unmatched_sale_waits_in_its_queue_and_is_found_by_each_evidence(world: World) -> None:
    world.sales.add(STORED)

    assert decide(world, nobodys(), filed_under=KEYS)

    stored = world.stored(SALE)
    assert world.sales.queue(Queue.UNMATCHED, limit=5).items == [stored]
    assert (stored.status, stored.undecided_because) == (Status.UNMATCHED, "unknown")
    for evidence in (PLATE, CARD):
        assert list(world.decided.orphans(key_of(evidence))) == [SALE.sale_id]
    assert questions(world) == []


def test_a_pending_sale_waits_in_its_queue_and_asks_its_likeliest_member(world: World) -> None:
    world.sales.add(STORED)

    assert decide(world, probably("m1"), filed_under=KEYS)

    stored = world.stored(SALE)
    assert world.sales.queue(Queue.PENDING, limit=5).items == [stored]
    assert (stored.status, stored.member_id, stored.asked) == (Status.PENDING, None, "m1")
    assert (stored.undecided_because, stored.matched_by) == ("unsure", ())
    assert questions(world) == [("ASKED#m1", f"SALE#{SALE.sale_id}")]
    assert list(world.decided.orphans(key_of(CARD))) == [SALE.sale_id]


def test_a_sale_without_pointers_is_nobodys_to_find(world: World) -> None:
    world.sales.add(STORED)

    assert decide(world, nobodys(Reason.CROWDED))

    assert [item["type"] for item in world.snapshot()] == ["sale"]


def test_pointers_and_questions_expire_after_thirty_days(world: World) -> None:
    world.sales.add(STORED)

    decide(world, probably("m1"), filed_under=KEYS)

    expiries = [item.get("expires_at_epoch") for item in world.snapshot()]
    assert sorted(filter(None, expiries)) == [int((LATER + timedelta(days=30)).timestamp())] * 3


def test_a_waiting_sale_that_finds_its_owner_leaves_queue_and_question(world: World) -> None:
    world.sales.add(STORED)
    decide(world, probably("m1"), filed_under=KEYS)

    assert decide(world, credited_to("m2"), world.stored(SALE), decided_at=LATER_STILL)

    assert world.stored(SALE).member_id == "m2"
    assert world.sales.queue(Queue.PENDING, limit=5).items == []
    assert questions(world) == []


def test_an_unmatched_sale_may_become_probably_somebodys(world: World) -> None:
    world.sales.add(STORED)
    decide(world, nobodys(), filed_under=KEYS)

    assert decide(world, probably("m1"), world.stored(SALE), decided_at=LATER_STILL)

    assert world.sales.queue(Queue.UNMATCHED, limit=5).items == []
    assert world.stored(SALE).asked == "m1"


def test_a_likelier_member_is_asked_instead(world: World) -> None:
    world.sales.add(STORED)
    decide(world, probably("m1"))

    assert decide(world, probably("m2"), world.stored(SALE), decided_at=LATER_STILL)

    assert questions(world) == [("ASKED#m2", f"SALE#{SALE.sale_id}")]


def test_the_same_member_is_asked_once(world: World) -> None:
    world.sales.add(STORED)
    decide(world, probably("m1"))

    assert decide(world, probably("m1"), world.stored(SALE), decided_at=LATER_STILL)

    assert questions(world) == [("ASKED#m1", f"SALE#{SALE.sale_id}")]


def test_a_waiting_sale_decided_since_it_was_read_keeps_that_decision(world: World) -> None:
    world.sales.add(STORED)
    decide(world, probably("m1"))
    read = world.stored(SALE)
    decide(world, probably("m2"), read, decided_at=LATER_STILL)
    before = world.snapshot()

    assert not decide(world, credited_to("m1"), read, decided_at=LATER_STILL)
    assert world.snapshot() == before


def test_a_forgotten_orphan_is_gone_and_forgetting_twice_is_no_fault(world: World) -> None:
    world.sales.add(STORED)
    decide(world, nobodys(), filed_under=KEYS)

    for _ in range(2):
        world.decided.forget_orphan(key_of(PLATE), SALE.sale_id)

    assert list(world.decided.orphans(key_of(PLATE))) == []
    assert list(world.decided.orphans(key_of(CARD))) == [SALE.sale_id]


def test_of_the_orphans_of_a_key_the_oldest_are_read_as_many_as_are_wanted(world: World) -> None:
    expected = []
    for number in range(3):
        each = replace(STORED, sale=replace(sale(transaction=number), evidence=()))
        world.sales.add(each)
        decide(world, nobodys(), each, filed_under=KEYS)
        expected.append(each.sale.sale_id)

    assert world.decided.orphans(key_of(PLATE)) == expected
    assert world.decided.orphans(key_of(PLATE), at_most=2) == expected[:2]


@pytest.mark.parametrize(
    "codes",
    [
        ("TransactionConflict", "None", "None"),
        ("None", "ThrottlingError", "None"),
        ("ProvisionedThroughputExceeded", "None", "None"),
    ],
)
def test_a_transaction_that_lost_a_race_is_stale_and_wrote_nothing(
    world: World, codes: tuple[str, ...]
) -> None:
    world.sales.add(STORED)
    before = world.snapshot()
    reluctant = Reluctant(world.dynamodb, "transact_write_items", cancellation(*codes))

    with pytest.raises(StaleWrite):
        through(world, reluctant).decide(STORED, nobodys(), filed_under=KEYS, decided_at=LATER)
    assert world.snapshot() == before


@pytest.mark.parametrize(
    "error", [refusal("ThrottlingException"), cancellation("ValidationError", "None", "None")]
)
def test_a_fault_that_no_reading_again_mends_propagates(world: World, error: ClientError) -> None:
    world.sales.add(STORED)
    before = world.snapshot()
    reluctant = Reluctant(world.dynamodb, "transact_write_items", error)

    with pytest.raises(ClientError) as caught:
        through(world, reluctant).decide(STORED, nobodys(), filed_under=KEYS, decided_at=LATER)
    assert caught.value is error
    assert world.snapshot() == before


def test_a_question_is_under_its_member_and_named_for_its_sale() -> None:
    assert question_key("m1", "sale") == {"pk": {"S": "ASKED#m1"}, "sk": {"S": "SALE#sale"}}
