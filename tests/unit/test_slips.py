"""What was seen is opened once, if at all, and its neighbours are keyed like what is bound."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from forecourt.evidence import evidence_to_document
from forecourt.hashes import FIRST, Observation, key_id_of
from forecourt.identity import digest
from forecourt.keyring import KeyRing
from forecourt.sales import Evidence, EvidenceKind
from forecourt.slips import Slips
from forecourt.stored_sales import Status, StoredSale, Told
from tests.specimens import PLATE, RECEIVED_AT, SALE

if TYPE_CHECKING:
    from forecourt.sealing import Sealer

SECRET = b"a secret for tests, 32 bytes long"
RING = KeyRing(current=FIRST, keys={FIRST: SECRET})
PHONE = Evidence(kind=EvidenceKind.PHONE, value="13812345687")
MISREAD = Evidence(kind=EvidenceKind.PLATE, value="unknown")
STORED = StoredSale(sale=SALE, status=Status.RECEIVED, received_at=RECEIVED_AT)


def sealed(*evidence: Evidence) -> bytes:
    return json.dumps(evidence_to_document(evidence)).encode()


class Opened:
    """A sealer that seals nothing and notes what is opened under which name."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def open(self, ciphertext: bytes, *, context: dict[str, str]) -> Any:
        self.names.append(context["sale_id"])
        return json.loads(ciphertext)


def slips(stored: StoredSale, opened: Opened) -> Slips:
    return Slips(stored, sealer=lambda: cast("Sealer", opened), ring=lambda: RING)


def seen(kind: str, value: str) -> Observation:
    return Observation(kind=kind, digest=digest(SECRET, EvidenceKind(kind), value))


def test_a_phones_neighbours_are_keyed_like_phones_that_are_bound() -> None:
    found = slips(replace(STORED, sealed=sealed(PHONE)), Opened())(seen("phone", PHONE.value))

    assert digest(SECRET, EvidenceKind.PHONE, "13812345678") in found
    assert len(found) == len(set(found)) <= 100


def test_while_two_keys_are_accepted_neighbours_are_hashed_by_both_and_found_by_either() -> None:
    both = RING.introducing("n" * 64)
    tolerate = Slips(
        replace(STORED, sealed=sealed(PHONE)),
        sealer=lambda: cast("Sealer", Opened()),
        ring=lambda: both,
    )
    old, new = both.hashes(EvidenceKind.PHONE, PHONE.value)

    found = tolerate(Observation(kind="phone", digest=old.digest))

    assert {key.digest for key in both.hashes(EvidenceKind.PHONE, "13812345678")} <= {*found}
    assert tolerate(Observation(kind="phone", digest=new.digest)) == found
    assert [key_id_of(each) for each in found[:4]] == ["1", "2", "1", "2"]


def test_what_is_unreadable_is_left_out_and_the_rest_is_found() -> None:
    both = slips(replace(STORED, sealed=sealed(MISREAD, PLATE)), Opened())

    assert both(seen("plate", PLATE.value))
    assert both(seen("plate", "浙B99999")) == ()


def test_a_sale_without_evidence_opens_nothing() -> None:
    opened = Opened()

    assert slips(STORED, opened)(seen("phone", PHONE.value)) == ()
    assert opened.names == []


def test_what_was_told_later_is_opened_under_its_own_name_and_all_of_it_once() -> None:
    opened = Opened()
    told = (Told(telling_id="telling-1", sealed=sealed(PHONE)), Told(telling_id="telling-2"))
    both = slips(replace(STORED, sealed=sealed(PLATE), told=told), opened)

    for _ in range(2):
        assert both(seen("phone", PHONE.value))
        assert both(seen("plate", PLATE.value))

    assert opened.names == [SALE.sale_id, "telling-1"]
