"""Sales, tellings and pointers are hashed by every key they are looked for by, and by no other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.attributes import encode, from_item
from forecourt.decided_sales import STATUS_OF
from forecourt.evidence import evidence_to_document
from forecourt.rekeyed_sales import RekeyedSales
from forecourt.rekeying import Outcome
from forecourt.retellings import Source, Telling
from forecourt.retold_sales import RetoldSales
from forecourt.sales import Evidence, EvidenceKind
from forecourt.sealing import Sealer
from forecourt.stored_sales import Status, keyed_under, sale_key
from forecourt.stored_tellings import StoredTelling, telling_to_item
from tests.functional.assigning import assignment
from tests.functional.clients import Interrupting
from tests.functional.conftest import LOYALTY_TABLE, SALES_TABLE
from tests.functional.rotation import (
    DROPPED,
    INTRODUCED,
    PROMOTED,
    hashes,
    observed,
    rekeyed_sales,
)
from tests.functional.world import RING
from tests.specimens import CARD, PLATE, RECEIVED_AT, SALE, credited_to, nobodys

if TYPE_CHECKING:
    from forecourt.keyring import KeyRing
    from forecourt.stored_sales import StoredSale
    from tests.functional.world import World

PHONE = Evidence(kind=EvidenceKind.PHONE, value="13812345678", source="till-1")


def raw(world: World, key: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = world.dynamodb.get_item(TableName=SALES_TABLE, Key=key)["Item"]
    return found


def rekey(world: World, ring: KeyRing, *, client: Any = None) -> Outcome:
    return rekeyed_sales(world, ring, client).rekey(raw(world, sale_key(SALE.sale_id)))


def wait(world: World, stored: StoredSale) -> None:
    """Let nobody have the sale, so that it waits under its evidence."""
    assert world.decided.decide(
        stored, nobodys(), filed_under=stored.evidence_keys, decided_at=RECEIVED_AT
    )


def filed_under(world: World) -> set[str]:
    return {
        item["pk"].partition("#")[2]
        for item in world.items(SALES_TABLE)
        if item["pk"].startswith("EVIDENCE#")
    }


def pointers(world: World) -> list[dict[str, Any]]:
    found = world.dynamodb.scan(TableName=SALES_TABLE)["Items"]
    return [each for each in found if each["pk"]["S"].startswith("EVIDENCE#")]


def names(ring: KeyRing, *evidence: Evidence) -> set[str]:
    return {f"{key.kind}#{key.digest}" for each in evidence for key in hashes(ring, each)}


@pytest.mark.parametrize("status", [Status.RECEIVED, Status.HELD])
def test_a_sale_that_is_not_decided_gets_the_hashes_of_a_key_that_is_introduced(
    world: World, status: Status
) -> None:
    observed(world, SALE, RING, PLATE, PHONE, status=status)

    assert rekey(world, INTRODUCED) is Outcome.CHANGED

    (plate, phone) = world.stored(SALE).evidence
    assert plate.keys == hashes(INTRODUCED, PLATE)
    assert phone.keys == hashes(INTRODUCED, PHONE)
    assert (phone.block, *phone.other_blocks) == INTRODUCED.blocks(PHONE.value)
    assert (plate.confidence, phone.source) == (PLATE.confidence, "till-1")
    assert rekey(world, INTRODUCED) is Outcome.IN_LINE


def test_what_an_ingest_stores_that_knows_both_keys_is_in_line(world: World) -> None:
    observed(world, SALE, INTRODUCED, PLATE, PHONE)

    assert rekey(world, INTRODUCED) is Outcome.IN_LINE
    assert rekey(world, PROMOTED) is Outcome.IN_LINE


def test_a_decided_sale_is_rewritten_once_when_the_new_key_is_current(world: World) -> None:
    stored = observed(world, SALE, RING, PLATE, PHONE)
    world.decided.decide(stored, credited_to("m1"), decided_at=RECEIVED_AT)

    outcomes = [rekey(world, each) for each in (INTRODUCED, PROMOTED, DROPPED)]

    assert outcomes == [Outcome.IN_LINE, Outcome.CHANGED, Outcome.IN_LINE]
    assert [each.keys for each in world.stored(SALE).evidence] == [
        hashes(DROPPED, PLATE),
        hashes(DROPPED, PHONE),
    ]
    assert world.stored(SALE).phone_blocks == DROPPED.blocks(PHONE.value)


def test_once_the_old_key_is_dropped_nothing_is_opened_to_forget_its_hashes(world: World) -> None:
    observed(world, SALE, PROMOTED, PLATE, PHONE)
    unopened = RekeyedSales(
        world.dynamodb, name=SALES_TABLE, sealer=Sealer(None, key_id="none"), ring=DROPPED
    )

    assert unopened.rekey(raw(world, sale_key(SALE.sale_id))) is Outcome.CHANGED
    assert [each.keys for each in world.stored(SALE).evidence] == [
        hashes(DROPPED, PLATE),
        hashes(DROPPED, PHONE),
    ]


def test_what_nothing_sealed_explains_stays_and_the_rest_is_hashed_anew(world: World) -> None:
    stored = observed(world, SALE, RING, PLATE, CARD)
    sealed = world.sealer.seal(
        evidence_to_document([PLATE, Evidence(kind=EvidenceKind.PLATE, value="unknown")]),
        context={"sale_id": SALE.sale_id},
    )
    world.dynamodb.update_item(
        TableName=SALES_TABLE,
        Key=sale_key(SALE.sale_id),
        UpdateExpression="SET sealed = :sealed",
        ExpressionAttributeValues={":sealed": encode(sealed)},
    )

    assert rekey(world, INTRODUCED) is Outcome.UNEXPLAINED
    assert rekey(world, INTRODUCED) is Outcome.UNEXPLAINED

    plate, card = world.stored(SALE).evidence
    assert plate.keys == hashes(INTRODUCED, PLATE)
    assert card == stored.evidence[1]


def test_what_was_forgotten_with_its_member_comes_not_back(world: World) -> None:
    observed(world, SALE, RING, PLATE)

    def forget() -> None:
        world.dynamodb.update_item(
            TableName=SALES_TABLE,
            Key=sale_key(SALE.sale_id),
            UpdateExpression="REMOVE evidence, sealed",
        )

    crossing = Interrupting(world.dynamodb, "update_item", forget)

    assert rekey(world, INTRODUCED, client=crossing) is Outcome.IN_LINE
    assert world.stored(SALE).evidence == ()


def test_a_telling_waits_for_its_sale_under_both_keys(world: World) -> None:
    told = StoredTelling(
        telling=Telling(
            source=Source.TILL,
            told_id="till-1-1",
            station_id="s0001",
            at=SALE.key.completed_at,
            amount_fen=SALE.amount_fen,
        ),
        received_at=RECEIVED_AT,
        evidence=(keyed_under(RING, EvidenceKind.PHONE, PHONE.value),),
    )
    sealed = world.sealer.seal(evidence_to_document([PHONE]), context={"sale_id": told.telling_id})
    RetoldSales(world.dynamodb, sales=SALES_TABLE, loyalty=LOYALTY_TABLE).add(
        replace(told, sealed=sealed)
    )
    item = telling_to_item(replace(told, sealed=sealed))

    assert rekeyed_sales(world, INTRODUCED).rekey(item) is Outcome.CHANGED

    after = raw(world, {"pk": item["pk"], "sk": item["sk"]})
    assert from_item(after)["evidence"][0]["others"] == [hashes(PROMOTED, PHONE)[0].digest]
    bare = {name: value for name, value in item.items() if name not in {"evidence", "sealed"}}
    assert rekeyed_sales(world, INTRODUCED).rekey(bare) is Outcome.IN_LINE


def test_a_telling_without_values_is_not_explained(world: World) -> None:
    observed(world, SALE, RING, PLATE)
    item = raw(world, sale_key(SALE.sale_id))
    del item["sealed"]

    assert rekeyed_sales(world, INTRODUCED).rekey(item) is Outcome.UNEXPLAINED


def test_a_sale_that_waits_is_found_by_both_keys_while_both_are_accepted(world: World) -> None:
    wait(world, observed(world, SALE, RING, PLATE, PHONE))
    (first, second) = pointers(world)

    outcomes = [rekeyed_sales(world, INTRODUCED).rekey(each) for each in (first, second, first)]

    assert outcomes == [Outcome.CHANGED, Outcome.CHANGED, Outcome.IN_LINE]
    assert filed_under(world) == names(INTRODUCED, PLATE, PHONE)
    assert {each["expires_at_epoch"]["N"] for each in pointers(world)} == {
        first["expires_at_epoch"]["N"]
    }
    assert [each.keys for each in world.stored(SALE).evidence] == [
        hashes(INTRODUCED, PLATE),
        hashes(INTRODUCED, PHONE),
    ]


def test_a_sale_hashed_anew_while_it_is_weighed_is_filed_under_both_hashes(world: World) -> None:
    read = observed(world, SALE, RING, PLATE, PHONE)
    assert rekey(world, INTRODUCED) is Outcome.CHANGED
    judge = assignment(world)

    decisions = [
        judge.assign(stored, *judge.weigh([stored])) for stored in (read, world.stored(SALE))
    ]

    assert [each and each.reason for each in decisions] == [None, "unknown"]
    assert filed_under(world) == names(INTRODUCED, PLATE, PHONE)


def test_once_the_old_key_is_dropped_a_sale_waits_under_the_new_one_alone(world: World) -> None:
    wait(world, observed(world, SALE, PROMOTED, PLATE, PHONE))

    for each in pointers(world):
        rekeyed_sales(world, DROPPED).rekey(each)
    rekey(world, DROPPED)
    again = [rekeyed_sales(world, DROPPED).rekey(each) for each in pointers(world)]

    assert filed_under(world) == names(DROPPED, PLATE, PHONE)
    assert set(again) == {Outcome.IN_LINE}


def test_a_pointer_without_a_sale_is_swept_with_its_key(world: World) -> None:
    wait(world, observed(world, SALE, RING, PLATE))
    world.dynamodb.delete_item(TableName=SALES_TABLE, Key=sale_key(SALE.sale_id))
    (pointer,) = pointers(world)

    assert rekeyed_sales(world, INTRODUCED).rekey(pointer) is Outcome.IN_LINE
    assert rekeyed_sales(world, DROPPED).rekey(pointer) is Outcome.CHANGED
    assert pointers(world) == []


def test_what_each_status_asks_for_covers_every_status_there_is() -> None:
    from forecourt.rekeying import UNDECIDED, key_ids_for  # noqa: PLC0415 - of this test alone

    decided = set(Status) - UNDECIDED
    assert decided == {Status.MATCHED, Status.NOBODYS, Status.VOID, Status.REJECTED}
    assert set(STATUS_OF.values()) <= UNDECIDED | {Status.MATCHED}
    assert {key_ids_for(each, PROMOTED) for each in (*UNDECIDED, None)} == {("2", "1")}
    assert {key_ids_for(each, PROMOTED) for each in decided} == {("2",)}
