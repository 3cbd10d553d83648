"""Of a sale and what was told of it only what was a forgotten member's alone goes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.attributes import to_item
from forecourt.decisions import Outcome
from forecourt.identity import normalise
from forecourt.parted_sales import PartedSales
from forecourt.retellings import Source, Telling
from forecourt.retold_sales import RetoldSales
from forecourt.sales import Evidence, EvidenceKind
from forecourt.stored_identities import identity_key
from forecourt.stored_sales import Status, keyed_under
from forecourt.stored_tellings import StoredTelling
from tests.functional.assigning import assignment
from tests.functional.clients import Interrupting, Killed, Killing
from tests.functional.conftest import LOYALTY_TABLE, SALES_TABLE
from tests.functional.erasure.farewell import PERSONAL
from tests.functional.rotation import INTRODUCED, PROMOTED, hashes, observed, rekeyed_identities
from tests.functional.world import RING, key_of, keyed
from tests.specimens import CARD, PLATE, RECEIVED_AT, SALE, nobodys, probably, sale

if TYPE_CHECKING:
    from forecourt.keyring import KeyRing
    from forecourt.stored_sales import KeyedEvidence
    from tests.functional.erasure.farewell import Farewell
    from tests.functional.world import World

OTHER_PHONE = Evidence(kind=EvidenceKind.PHONE, value="13987654321")
TILL_TOLD = StoredTelling(
    telling=Telling(
        source=Source.TILL,
        told_id="receipt-1",
        station_id="s0001",
        at=SALE.key.completed_at + timedelta(minutes=1),
        amount_fen=SALE.amount_fen,
        nozzle=SALE.key.nozzle,
        volume_ml=SALE.volume_ml,
    ),
    received_at=RECEIVED_AT,
)


def of_no_sale(told_id: str, *evidence: KeyedEvidence) -> StoredTelling:
    """Return what a till tells of an amount that nobody has paid."""
    return StoredTelling(
        telling=Telling(
            source=Source.TILL,
            told_id=told_id,
            station_id="s0001",
            at=SALE.key.completed_at,
            amount_fen=1,
        ),
        received_at=RECEIVED_AT,
        evidence=evidence,
        sealed=b"sealed",
    )


def tell(world: World, *tellings: StoredTelling) -> RetoldSales:
    """Let a till tell something, as ingest does; return where it is read."""
    retold = RetoldSales(world.dynamodb, sales=SALES_TABLE, loyalty=LOYALTY_TABLE)
    for each in tellings:
        retold.add(each)
        retold.reunite(each.telling, now=RECEIVED_AT)
    return retold


def test_a_sale_of_theirs_stays_with_litres_money_and_an_id_that_names_nobody(
    farewell: Farewell,
) -> None:
    before = farewell.sold()

    farewell.forgotten()

    assert farewell.world.stored(SALE) == replace(before, evidence=(), sealed=None)


def test_a_sale_that_went_to_somebody_else_keeps_their_evidence(farewell: Farewell) -> None:
    farewell.world.enrol("m2")
    before = farewell.sold()
    farewell.world.rule(SALE, "m2")

    farewell.forgotten()

    assert farewell.world.stored(SALE).evidence == before.evidence


def test_a_sale_that_waits_with_their_plate_waits_with_nothing(farewell: Farewell) -> None:
    farewell.weighed()
    assert farewell.world.stored(SALE).asked == "m1"

    farewell.forgotten()

    after = farewell.world.stored(SALE)
    assert (after.status, after.evidence, after.sealed) == (Status.UNMATCHED, (), None)
    assert list(farewell.world.decided.orphans(key_of(PLATE))) == []
    kinds = {item["type"] for item in farewell.world.items(LOYALTY_TABLE)}
    assert kinds == {"member", "unbound", "block", "erased", "account", "entry"}


def test_a_sale_that_waits_is_forgotten_though_its_plate_is_hashed_anew_meanwhile(
    farewell: Farewell, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = farewell.world
    (plate, *_) = PERSONAL
    stored = observed(world, SALE, PROMOTED, plate)
    world.decided.decide(
        stored, nobodys(), filed_under=stored.evidence_keys, decided_at=RECEIVED_AT
    )
    walked = identity_key(key_of(plate)) | to_item({"type": "identity"})
    identities = farewell.erasure.identities()
    owners = identities.owners

    def moved_meanwhile(*of: Any) -> Any:
        rekeyed_identities(world).rekey(walked, now=RECEIVED_AT)
        return owners(*of)

    monkeypatch.setattr(identities, "owners", moved_meanwhile)

    farewell.forgotten()

    assert (world.stored(SALE).evidence, world.stored(SALE).sealed) == ((), None)
    assert list(world.decided.orphans(hashes(PROMOTED, plate)[0])) == []


def test_what_a_family_shares_stays_the_others(farewell: Farewell) -> None:
    farewell.world.enrol("m2", PLATE)
    farewell.weighed()

    farewell.forgotten()

    assert farewell.world.candidates.owners([key_of(PLATE)]) == {key_of(PLATE): ("m2",)}
    assert farewell.world.stored(SALE).evidence == keyed(PLATE)
    assert list(farewell.world.decided.orphans(key_of(PLATE))) == [SALE.sale_id]


def test_of_a_sale_that_another_is_asked_about_only_theirs_goes_and_the_other_gets_it(
    farewell: Farewell,
) -> None:
    """Both drive the car, one has bound it; the phone is the other's."""
    world = farewell.world
    world.enrol("m2", OTHER_PHONE)
    for weeks in (3, 2, 1):  # they have filled up before, or nobody would believe their word
        at = SALE.key.completed_at - timedelta(weeks=weeks)
        before = replace(farewell.bare(sale(completed_at=at, totalizer_ml=weeks)), local_hour=16)
        assert world.portraits.count("m2", before.sale.sale_id, before.fill)
    farewell.filed(probably("m2"), PLATE, OTHER_PHONE)

    farewell.forgotten()

    after = world.stored(SALE)
    assert (after.status, after.asked, after.evidence) == (
        Status.PENDING,
        "m2",
        keyed(OTHER_PHONE),
    )
    assert key_of(PLATE).digest not in str(world.items(SALES_TABLE))
    assert world.decided.orphans(key_of(OTHER_PHONE)) == [SALE.sale_id]
    decision = assignment(world).claim(after, claimed_by="m2")
    assert decision is not None
    assert (decision.outcome, decision.member_id) == (Outcome.CREDITED, "m2")


def test_a_sale_that_another_has_claimed_keeps_what_was_not_theirs(farewell: Farewell) -> None:
    world = farewell.world
    farewell.filed(nobodys(), PLATE, OTHER_PHONE)
    world.decided.note_claim(world.stored(SALE), "m2")

    farewell.forgotten()

    assert world.stored(SALE).evidence == keyed(OTHER_PHONE)
    assert world.decided.orphans(key_of(OTHER_PHONE)) == [SALE.sale_id]


def test_a_sale_that_is_told_more_while_its_evidence_goes_keeps_what_was_told(
    farewell: Farewell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forecourt.contention.FIRST_PAUSE_SECONDS", 0)
    world = farewell.world
    farewell.filed(probably("m2"), PLATE)
    telling = replace(TILL_TOLD, evidence=keyed(OTHER_PHONE), sealed=b"sealed")
    crossing = Interrupting(world.dynamodb, "update_item", lambda: tell(world, telling))
    parted = PartedSales(crossing, sales=SALES_TABLE, loyalty=LOYALTY_TABLE)
    monkeypatch.setattr(farewell.erasure, "parted", parted)

    farewell.forgotten()

    after = world.stored(SALE)
    assert (after.status, after.evidence) == (Status.RECEIVED, keyed(OTHER_PHONE))
    assert after.sealed_values == ((telling.telling_id, b"sealed"),)


@pytest.mark.parametrize("killed_after", [1, 2])
def test_a_deletion_that_ends_half_way_is_done_by_its_repeat(
    farewell: Farewell, monkeypatch: pytest.MonkeyPatch, killed_after: int
) -> None:
    world = farewell.world
    farewell.filed(nobodys(), PLATE, CARD)
    farewell.asks()
    event = {"detail": {"member_id": "m1"}}
    forgetting = Killing(world.dynamodb, "delete_item", calls=killed_after)
    with monkeypatch.context() as patch:
        patch.setattr(farewell.erasure.decided, "_dynamodb", forgetting)
        with pytest.raises(Killed):
            farewell.erasure.handle(event, farewell.context)

    farewell.erasure.handle(event, farewell.context)

    after = world.stored(SALE)
    assert (after.evidence, after.sealed) == ((), None)
    assert [item for item in world.items(SALES_TABLE) if item["type"] == "orphan"] == []


def test_what_till_and_payment_provider_told_is_stripped_too(farewell: Farewell) -> None:
    stored = farewell.sold()
    telling = replace(TILL_TOLD, evidence=keyed(CARD), sealed=b"sealed")
    tell(farewell.world, telling)
    assert len(farewell.world.stored(SALE).told) == 1

    farewell.forgotten()

    after = farewell.world.stored(SALE)
    assert [(each.telling_id, each.sealed) for each in after.told] == [(telling.telling_id, None)]
    (left,) = (each for each in farewell.world.items(SALES_TABLE) if each["type"] == "telling")
    assert not {"evidence", "sealed"} & left.keys()
    assert after.held == stored.held


def test_what_a_till_told_of_them_and_found_no_sale_is_stripped_as_well(
    farewell: Farewell,
) -> None:
    world = farewell.world
    world.enrol("m2", PLATE)
    tellings = {
        told_id: of_no_sale(told_id, *keyed(evidence))
        for told_id, evidence in (("theirs", CARD), ("familys", PLATE))
    }
    retold = tell(world, *tellings.values())

    farewell.forgotten()

    left = {name: retold.telling(each.telling_id) for name, each in tellings.items()}
    assert (left["theirs"].evidence, left["theirs"].sealed) == ((), None)
    assert left["theirs"].queued
    assert (left["familys"].evidence, left["familys"].sealed) == (keyed(PLATE), b"sealed")


@pytest.mark.parametrize("ring", [RING, INTRODUCED, PROMOTED], ids=lambda ring: ring.state)
@pytest.mark.parametrize("moved", [False, True], ids=["identity waits", "identity moved"])
def test_what_a_till_told_is_stripped_by_whichever_key_it_and_its_member_are_hashed(
    farewell: Farewell, monkeypatch: pytest.MonkeyPatch, ring: KeyRing, *, moved: bool
) -> None:
    """A run walks by tellings and identities in any order; the deletion may come between."""
    world = farewell.world
    monkeypatch.setattr(farewell.erasure, "identity_keys", lambda: PROMOTED)
    hashed = keyed_under(ring, CARD.kind, normalise(CARD.kind, CARD.value))
    told = of_no_sale("receipt-1", hashed)
    retold = tell(world, told)
    if moved:
        walked = identity_key(key_of(CARD)) | to_item({"type": "identity"})
        rekeyed_identities(world).rekey(walked, now=RECEIVED_AT)

    farewell.forgotten()

    left = retold.telling(told.telling_id)
    assert (left.evidence, left.sealed, left.queued) == ((), None, True)
