"""The ring of identity keys: what a hash says of its key, and how one key gives way to another."""

from __future__ import annotations

import pytest

from forecourt.errors import ForecourtError
from forecourt.hashes import FIRST, key_id_of
from forecourt.identity import digest, digest_of_block
from forecourt.identity_keys import IdentityKeys
from forecourt.keyring import KeyNotAccepted, KeyRing
from forecourt.sales import EvidenceKind

BEFORE = "a secret from before keys were numbered"
NEXT = "n" * 64
PHONE = "13812345678"
PLATE = "浙A12345"

ONE = KeyRing.from_text(BEFORE)
INTRODUCED = ONE.introducing(NEXT)
PROMOTED = INTRODUCED.promoting()
DROPPED = PROMOTED.dropping()


def test_a_secret_from_before_there_were_rings_hashes_as_it_always_did() -> None:
    (key,) = ONE.hashes(EvidenceKind.PLATE, PLATE)

    assert key.digest == digest(BEFORE.encode(), EvidenceKind.PLATE, PLATE)
    assert ONE.blocks(PHONE) == (digest_of_block(BEFORE.encode(), "1381234"),)
    assert ONE.accepted == (FIRST,)


def test_a_hash_says_by_which_key_it_was_made_and_its_kind_and_value_stay_the_same() -> None:
    new, old = PROMOTED.hashes(EvidenceKind.PLATE, PLATE)

    assert (key_id_of(new.digest), key_id_of(old.digest)) == ("2", FIRST)
    assert new.digest == "2." + digest(NEXT.encode(), EvidenceKind.PLATE, PLATE)
    assert (old,) == ONE.hashes(EvidenceKind.PLATE, PLATE)
    assert list(map(key_id_of, PROMOTED.blocks(PHONE))) == ["2", FIRST]


@pytest.mark.parametrize(
    ("ring", "state"),
    [(ONE, "1"), (INTRODUCED, "1-2"), (PROMOTED, "2-1"), (DROPPED, "2")],
)
def test_a_rotation_goes_through_four_states_each_found_again_as_it_was_stored(
    ring: KeyRing, state: str
) -> None:
    assert ring.state == state
    assert KeyRing.from_text(ring.to_text()) == ring


def test_what_is_new_is_written_under_the_current_key_before_and_after_the_promotion() -> None:
    before, after = (ring.hashes(EvidenceKind.PHONE, PHONE)[0] for ring in (INTRODUCED, PROMOTED))

    assert (key_id_of(before.digest), key_id_of(after.digest)) == (FIRST, "2")


def test_the_rotation_after_the_next_takes_the_number_after() -> None:
    third = DROPPED.introducing("3" * 64)

    assert (third.state, third.promoting().dropping().state) == ("2-3", "3")


def test_a_rotation_does_not_begin_before_the_last_is_over_or_with_a_short_secret() -> None:
    for ring, secret in ((INTRODUCED, NEXT), (PROMOTED, NEXT), (ONE, "short")):
        with pytest.raises(ValueError, match="rotation is under way"):
            ring.introducing(secret)


def test_a_block_is_counted_under_the_key_of_its_phones_hash_and_no_dropped_one() -> None:
    assert PROMOTED.block(PHONE, FIRST) == ONE.block(PHONE, FIRST)

    with pytest.raises(KeyNotAccepted) as dropped:
        DROPPED.block(PHONE, FIRST)

    assert dropped.value.key_id == FIRST
    assert not isinstance(dropped.value, ForecourtError)  # no caller is refused: it is our fault


def test_a_retry_is_recognised_by_its_fingerprint_until_the_old_key_is_dropped() -> None:
    prints = [ring.fingerprint(b"{}") for ring in (ONE, INTRODUCED, PROMOTED)]

    assert len(set(prints)) == 1
    assert DROPPED.fingerprint(b"{}") not in prints


@pytest.mark.parametrize(
    "text",
    [
        '{"current": "2", "keys": {"1": "x"}}',
        '{"current": "1", "keys": {"1": "x", "2": "y", "3": "z"}}',
        '{"current": "one", "keys": {"one": "x"}}',
        '{"current": "01", "keys": {"01": "x"}}',
    ],
)
def test_a_ring_that_cannot_be_is_refused_when_it_is_read(text: str) -> None:
    with pytest.raises(ValueError, match="key"):
        KeyRing.from_text(text)


def test_a_ring_does_not_show_its_secrets() -> None:
    assert NEXT not in repr(PROMOTED)
    assert BEFORE not in repr(PROMOTED)


class Vault:
    """A vault that counts how often it is asked."""

    def __init__(self) -> None:
        self.ring = ONE
        self.opened = 0
        self.asked: list[str] = []

    def open(self) -> Vault:
        self.opened += 1
        return self

    def get_secret_value(self, *, SecretId: str) -> dict[str, str]:  # noqa: N803 - AWS spells it so
        self.asked.append(SecretId)
        return {"SecretString": self.ring.to_text()}


def test_a_container_learns_of_a_new_key_within_a_minute_and_opens_one_client() -> None:
    vault, now = Vault(), [1000.0]
    keys = IdentityKeys(
        vault.open, secret_id="identities", remembered_seconds=60, clock=lambda: now[0]
    )
    assert vault.opened == 0
    assert keys() == keys() == ONE
    vault.ring = INTRODUCED

    now[0] += 60
    assert keys() == ONE
    now[0] += 1
    assert keys() == INTRODUCED

    assert (vault.opened, vault.asked) == (1, ["identities", "identities"])
    keys.forget()
    assert keys() == INTRODUCED
    assert len(vault.asked) == 3
