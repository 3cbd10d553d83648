"""Of a sale that another has to answer only what is somebody's who is forgotten is taken."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.errors import StaleWrite
from forecourt.parted_sales import PartedSales, is_anothers_to_answer
from forecourt.retold_sales import RetoldSales
from forecourt.stored_sales import Status, StoredSale
from forecourt.stored_tellings import StoredTelling
from tests.functional.clients import Interrupting, Killed, Killing
from tests.functional.conftest import LOYALTY_TABLE, SALES_TABLE
from tests.functional.rotation import INTRODUCED, hashes, observed, rekeyed_sales
from tests.functional.tellings import ACCOUNT, PAYMENT, PHONE, TILL
from tests.functional.world import RING, key_of, keyed
from tests.specimens import CARD, PLATE, RECEIVED_AT, SALE, credited_to, nobodys, probably

if TYPE_CHECKING:
    from tests.functional.world import World

THEIRS = frozenset({key_of(CARD)})
ERASED = frozenset({"m1"})
BARE = StoredSale(sale=replace(SALE, evidence=()), status=Status.PENDING, received_at=RECEIVED_AT)
CLAIMED = replace(BARE, status=Status.UNMATCHED, decision=nobodys(), claimed_by=frozenset({"m2"}))


def part(world: World, stored: StoredSale, client: Any = None) -> None:
    parted = PartedSales(client or world.dynamodb, sales=SALES_TABLE, loyalty=LOYALTY_TABLE)
    parted.part(stored, THEIRS)


def retold(world: World) -> RetoldSales:
    return RetoldSales(world.dynamodb, sales=SALES_TABLE, loyalty=LOYALTY_TABLE)


@pytest.fixture
def twice_told(world: World) -> dict[str, StoredTelling]:
    """Tell a sale by its plate; a till tells card and phone of it, a provider an account."""
    observed(world, SALE, RING, PLATE)
    tellings = {
        "till": StoredTelling(
            telling=TILL, received_at=RECEIVED_AT, evidence=keyed(CARD, PHONE), sealed=b"till's"
        ),
        "provider": StoredTelling(
            telling=PAYMENT, received_at=RECEIVED_AT, evidence=keyed(ACCOUNT), sealed=b"provider's"
        ),
    }
    for each in tellings.values():
        retold(world).add(each)
        retold(world).reunite(each.telling, now=RECEIVED_AT)
    assert len(world.stored(SALE).told) == 2
    return tellings


def test_what_was_sealed_with_a_piece_of_theirs_goes_and_what_others_sealed_stays(
    world: World, twice_told: dict[str, StoredTelling]
) -> None:
    before = world.stored(SALE)

    part(world, before)

    after = world.stored(SALE)
    assert after.evidence == tuple(each for each in before.evidence if each.key != key_of(CARD))
    assert after.sealed_values == ((twice_told["provider"].telling_id, b"provider's"),)
    till, provider = (
        retold(world).telling(twice_told[name].telling_id) for name in ("till", "provider")
    )
    assert (till.evidence, till.sealed) == (keyed(PHONE), None)
    assert (provider.evidence, provider.sealed) == (keyed(ACCOUNT), b"provider's")


@pytest.mark.usefixtures("twice_told")
def test_taking_them_again_takes_nothing_more(world: World) -> None:
    part(world, world.stored(SALE))
    before = world.snapshot()

    part(world, world.stored(SALE))

    assert world.snapshot() == before


@pytest.mark.usefixtures("twice_told")
def test_what_ends_between_telling_and_sale_is_ended_by_its_repeat(world: World) -> None:
    whole = world.stored(SALE)
    with pytest.raises(Killed):
        part(world, whole, Killing(world.dynamodb, "update_item", calls=1))
    assert world.stored(SALE) == whole

    part(world, whole)

    assert key_of(CARD).digest not in str(world.items(SALES_TABLE))
    assert b"till's" not in [sealed for _, sealed in world.stored(SALE).sealed_values]


def test_evidence_that_is_hashed_anew_meanwhile_is_looked_at_again(world: World) -> None:
    stored = observed(world, SALE, RING, CARD, PHONE)
    item = next(each for each in world.dynamodb.scan(TableName=SALES_TABLE)["Items"])
    crossing = Interrupting(
        world.dynamodb, "update_item", lambda: rekeyed_sales(world, INTRODUCED).rekey(item)
    )

    with pytest.raises(StaleWrite):
        part(world, stored, crossing)
    part(world, world.stored(SALE))

    (left,) = world.stored(SALE).evidence
    assert left.keys == hashes(INTRODUCED, PHONE)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (replace(BARE, decision=probably("m2")), True),
        (replace(BARE, decision=probably("m1")), False),
        (replace(BARE, status=Status.RECEIVED, decision=probably("m2")), True),
        (replace(BARE, status=Status.HELD, decision=probably("m2")), True),
        (replace(BARE, status=Status.RECEIVED), False),
        (replace(BARE, status=Status.UNMATCHED, decision=nobodys()), False),
        (CLAIMED, True),
        (replace(CLAIMED, claimed_by=ERASED), False),
        (replace(CLAIMED, decision=probably("m1"), status=Status.PENDING), True),
        (
            replace(
                BARE,
                status=Status.UNMATCHED,
                decision=probably("m2"),
                denied_by=frozenset({"m2"}),
            ),
            False,
        ),
        (
            replace(BARE, status=Status.MATCHED, decision=credited_to("m2"), member_id="m2"),
            False,
        ),
    ],
)
def test_a_sale_is_anothers_to_answer_while_they_are_asked_or_claim_it(
    stored: StoredSale, *, expected: bool
) -> None:
    assert is_anothers_to_answer(stored, ERASED) is expected


@pytest.mark.parametrize(("asked", "expected"), [("m1", False), ("m2", True)])
def test_whom_a_person_asks_is_to_answer_whoever_was_likeliest(
    world: World, *, asked: str, expected: bool
) -> None:
    for member_id in ("m1", "m2"):
        world.enrol(member_id)
    stored = observed(world, SALE, RING, PLATE)
    world.decided.decide(stored, probably("m2"), decided_at=RECEIVED_AT)
    world.rule(SALE, asked=asked)

    assert is_anothers_to_answer(world.stored(SALE), ERASED) is expected
