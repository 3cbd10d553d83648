"""While two keys are accepted: what lies under which, what is found, and what moves with it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.attributes import encode, from_item, to_item
from forecourt.bus import DetailType
from forecourt.errors import StaleWrite
from forecourt.events import events_of
from forecourt.identity_writes import IDENTITIES_MAX
from forecourt.member_errors import IdentityTaken
from forecourt.rekeying import Outcome
from forecourt.sales import Evidence, EvidenceKind
from forecourt.stored_identities import (
    ERASED,
    OWNERS_MAX,
    block_key,
    bound_key,
    drivers_from_item,
    drivers_key,
    identity_key,
    portrait_key,
)
from forecourt.stored_portraits import portrait_from_item
from tests.functional.clients import Interrupting, Killed, Killing, Reluctant, refusal
from tests.functional.conftest import LOYALTY_TABLE
from tests.functional.rotation import (
    DROPPED,
    INTRODUCED,
    PROMOTED,
    bind,
    hashes,
    identities,
    rekeyed_identities,
)
from tests.functional.world import BOUND_AT, RING
from tests.specimens import CARD, PLATE

if TYPE_CHECKING:
    from forecourt.hashes import EvidenceKey
    from forecourt.keyring import KeyRing
    from tests.functional.world import World

NOW = datetime(2026, 11, 24, 8, 15, tzinfo=UTC)
PHONE = Evidence(kind=EvidenceKind.PHONE, value="13812345678")


@pytest.fixture
def people(world: World) -> World:
    for member_id in ("m1", "m2"):
        world.enrol(member_id)
    return world


def item(world: World, key: dict[str, Any]) -> dict[str, Any] | None:
    found: dict[str, Any] | None = world.dynamodb.get_item(TableName=LOYALTY_TABLE, Key=key).get(
        "Item"
    )
    return found


def owners(world: World, evidence: Evidence) -> dict[EvidenceKey, tuple[str, ...]]:
    return world.candidates.owners(hashes(PROMOTED, evidence))


def marks(world: World, member_id: str) -> set[str]:
    portrait = portrait_from_item(item(world, portrait_key(member_id)) or {"pk": encode("")})
    return {digest for digests in portrait.identities.values() for digest in digests}


def numbers(world: World) -> list[int]:
    """Return how many phones are counted in the block, by the new key and by the old."""
    found = (item(world, block_key(each)) for each in PROMOTED.blocks(PHONE.value))
    return [from_item(each)["numbers"] if each else 0 for each in found]


def drivers(world: World, key: EvidenceKey) -> dict[str, int]:
    found = item(world, drivers_key(key))
    return drivers_from_item(found) if found else {}


def rekey(world: World, key: EvidenceKey, *, ring: KeyRing = PROMOTED, client: Any = None) -> Any:
    walked = identity_key(key) | {"type": encode("identity")}
    return rekeyed_identities(world, ring, client).rekey(walked, now=NOW)


def old_key(evidence: Evidence) -> EvidenceKey:
    return hashes(RING, evidence)[0]


def new_key(evidence: Evidence) -> EvidenceKey:
    return hashes(DROPPED, evidence)[0]


# Binding while two keys are accepted.


@pytest.mark.parametrize(
    ("ring", "place"), [(INTRODUCED, old_key), (PROMOTED, new_key), (DROPPED, new_key)]
)
def test_what_nobody_has_begins_under_the_current_key(
    people: World, ring: KeyRing, place: Any
) -> None:
    assert bind(people, ring, "m1", PLATE) == place(PLATE)
    assert owners(people, PLATE) == {place(PLATE): ("m1",)}


def test_what_is_bound_already_is_found_under_the_key_before_and_changes_nothing(
    people: World,
) -> None:
    bind(people, RING, "m1", PHONE)
    before = people.snapshot()

    assert bind(people, PROMOTED, "m1", PHONE) == old_key(PHONE)
    assert people.snapshot() == before


@pytest.mark.parametrize(("first", "second"), [(RING, PROMOTED), (PROMOTED, INTRODUCED)])
def test_an_identity_is_taken_whichever_key_it_lies_under(
    people: World, first: KeyRing, second: KeyRing
) -> None:
    bind(people, first, "m1", PHONE)
    before = people.snapshot()

    with pytest.raises(IdentityTaken):
        bind(people, second, "m2", PHONE)

    assert people.snapshot() == before


def test_a_plate_is_shared_where_it_lies(people: World) -> None:
    bind(people, RING, "m1", PLATE)

    assert bind(people, PROMOTED, "m2", PLATE) == old_key(PLATE)
    assert owners(people, PLATE) == {old_key(PLATE): ("m1", "m2")}


@pytest.mark.parametrize(("slow", "fast"), [(INTRODUCED, PROMOTED), (PROMOTED, INTRODUCED)])
def test_of_two_who_bind_the_same_phone_under_two_keys_at_once_one_has_it(
    people: World, slow: KeyRing, fast: KeyRing
) -> None:
    crossing = Interrupting(
        people.dynamodb, "transact_write_items", lambda: bind(people, fast, "m2", PHONE)
    )

    with pytest.raises(IdentityTaken):
        bind(people, slow, "m1", PHONE, client=crossing)

    assert list(owners(people, PHONE).values()) == [("m2",)]
    assert sum(numbers(people)) == 1
    assert marks(people, "m1") == set()


# Moving.


def test_an_identity_moves_with_all_that_belongs_to_it(people: World) -> None:
    bind(people, RING, "m1", PHONE)
    assert numbers(people) == [0, 1]

    assert rekey(people, old_key(PHONE)) is Outcome.CHANGED

    assert owners(people, PHONE) == {new_key(PHONE): ("m1",)}
    assert marks(people, "m1") == {new_key(PHONE).digest}
    assert numbers(people) == [1, 0]
    (bound,) = identities(people).identities("m1")
    assert (bound.key, bound.value, bound.bound_at) == (new_key(PHONE), PHONE.value, BOUND_AT)


def test_who_drives_a_car_is_known_where_it_went_whenever_they_were_seen(people: World) -> None:
    bind(people, RING, "m1", PLATE)
    people.portraits.note_driver(old_key(PLATE), "m1", seen_at=10)
    people.portraits.note_driver(old_key(PLATE), "m2", seen_at=20)
    people.portraits.note_driver(new_key(PLATE), "m2", seen_at=30)

    assert rekey(people, old_key(PLATE)) is Outcome.CHANGED

    assert drivers(people, new_key(PLATE)) == {"m1": 10, "m2": 30}
    assert item(people, drivers_key(old_key(PLATE))) is None


def test_a_driver_noted_while_the_car_moves_is_taken_along(people: World) -> None:
    bind(people, RING, "m1", PLATE)
    people.portraits.note_driver(old_key(PLATE), "m1", seen_at=10)
    meanwhile = Interrupting(
        people.dynamodb,
        "transact_write_items",
        lambda: people.portraits.note_driver(old_key(PLATE), "m2", seen_at=20),
    )

    assert rekey(people, old_key(PLATE), client=meanwhile) is Outcome.CHANGED

    assert drivers(people, new_key(PLATE)) == {"m1": 10, "m2": 20}
    assert item(people, drivers_key(old_key(PLATE))) is None


@pytest.mark.parametrize(
    ("ring", "bound", "goes"),
    [(PROMOTED, False, False), (DROPPED, True, False), (DROPPED, False, True)],
)
def test_drivers_go_with_the_key_unless_their_car_has_yet_to_move(
    people: World, ring: KeyRing, *, bound: bool, goes: bool
) -> None:
    if bound:
        bind(people, RING, "m1", PLATE)
    for key in (old_key(PLATE), new_key(PLATE)):
        people.portraits.note_driver(key, "m2", seen_at=10)
    walked = item(people, drivers_key(old_key(PLATE)))
    assert walked is not None

    outcome = rekeyed_identities(people, ring).rekey(walked, now=NOW)

    assert outcome is (Outcome.CHANGED if goes else Outcome.IN_LINE)
    assert drivers(people, old_key(PLATE)) == ({} if goes else {"m2": 10})
    assert drivers(people, new_key(PLATE)) == {"m2": 10}


def test_a_driver_who_was_erased_meanwhile_is_not_taken_along(people: World) -> None:
    bind(people, RING, "m1", PLATE)
    for seen_at, each in enumerate(("m1", "m2")):
        people.portraits.note_driver(old_key(PLATE), each, seen_at=seen_at)
    erased = portrait_key("m2") | {"type": encode(ERASED)}
    people.dynamodb.put_item(TableName=LOYALTY_TABLE, Item=erased)

    rekey(people, old_key(PLATE))

    assert drivers(people, new_key(PLATE)) == {"m1": 0}


def test_a_run_that_died_before_the_car_moved_takes_its_drivers_along_once(people: World) -> None:
    bind(people, RING, "m1", PLATE)
    people.portraits.note_driver(old_key(PLATE), "m2", seen_at=20)
    killing = Killing(people.dynamodb, "transact_write_items", calls=1)

    with pytest.raises(Killed):
        rekey(people, old_key(PLATE), client=killing)
    assert drivers(people, new_key(PLATE)) == {"m2": 20}
    assert owners(people, PLATE) == {old_key(PLATE): ("m1",)}

    assert rekey(people, old_key(PLATE)) is Outcome.CHANGED
    assert drivers(people, new_key(PLATE)) == {"m2": 20}


def test_moving_is_no_news_to_the_bus_and_unbinding_afterwards_is(people: World) -> None:
    bind(people, RING, "m1", PLATE)
    people.records(LOYALTY_TABLE)

    rekey(people, old_key(PLATE))
    told = [each for record in people.records(LOYALTY_TABLE) for each in events_of(record)]
    identities(people).unbind("m1", new_key(PLATE), unbound_at=NOW)
    (unbound,) = [each for record in people.records(LOYALTY_TABLE) for each in events_of(record)]

    assert told == []
    assert unbound.detail_type is DetailType.IDENTITY_UNBOUND
    assert unbound.detail["digest"] == new_key(PLATE).digest


def test_a_car_that_as_many_share_as_may_moves_in_one_transaction(world: World) -> None:
    everybody = tuple(f"m{number:02}" for number in range(OWNERS_MAX[EvidenceKind.PLATE]))
    for each in everybody:
        world.enrol(each, PLATE)

    assert rekey(world, old_key(PLATE)) is Outcome.CHANGED

    assert owners(world, PLATE) == {new_key(PLATE): everybody}
    assert all(marks(world, each) == {new_key(PLATE).digest} for each in everybody)
    assert identities(world).identities(everybody[-1])[0].value == PLATE.value


def test_a_member_with_as_many_identities_as_may_be_keeps_them_all(people: World) -> None:
    cards = [
        Evidence(kind=EvidenceKind.CARD, value=f"{number:016}") for number in range(IDENTITIES_MAX)
    ]
    for each in cards:
        bind(people, RING, "m1", each)

    for each in cards:
        rekey(people, old_key(each))

    assert marks(people, "m1") == {new_key(each).digest for each in cards}


def test_what_lies_under_the_current_key_stays_and_what_is_gone_is_nothing(people: World) -> None:
    bind(people, PROMOTED, "m1", PLATE)
    before = people.snapshot()

    assert rekey(people, new_key(PLATE)) is Outcome.IN_LINE
    assert rekey(people, old_key(CARD)) is Outcome.IN_LINE
    assert people.snapshot() == before


def test_the_item_of_an_identity_from_before_it_was_shared_moves_as_well(people: World) -> None:
    bind(people, RING, "m1", PLATE)
    before = identity_key(old_key(PLATE)) | to_item({"type": "identity", "member_id": "m1"})
    people.dynamodb.put_item(TableName=LOYALTY_TABLE, Item=before)

    assert rekey(people, old_key(PLATE)) is Outcome.CHANGED
    assert owners(people, PLATE) == {new_key(PLATE): ("m1",)}


def test_killed_after_its_write_the_move_is_found_done(people: World) -> None:
    bind(people, RING, "m1", PHONE)

    with pytest.raises(Killed):
        rekey(
            people, old_key(PHONE), client=Killing(people.dynamodb, "transact_write_items", calls=1)
        )
    after = people.snapshot()

    assert rekey(people, old_key(PHONE)) is Outcome.IN_LINE
    assert people.snapshot() == after
    assert owners(people, PHONE) == {new_key(PHONE): ("m1",)}


def test_a_move_that_throttling_stops_changes_nothing_and_is_tried_by_the_next_run(
    people: World,
) -> None:
    bind(people, RING, "m1", PLATE)
    before = people.snapshot()
    refusing = Reluctant(
        people.dynamodb, "transact_write_items", refusal("ProvisionedThroughputExceededException")
    )

    with pytest.raises(Exception, match="ProvisionedThroughputExceeded"):
        rekey(people, old_key(PLATE), client=refusing)

    assert people.snapshot() == before
    assert rekey(people, old_key(PLATE), client=refusing) is Outcome.CHANGED


def test_a_value_that_does_not_give_its_hash_is_not_moved(people: World) -> None:
    people.identities.bind("m1", old_key(PLATE), "浙B99999", bound_at=BOUND_AT)
    before = people.snapshot()

    with pytest.raises(ValueError, match="does not give the hash"):
        rekey(people, old_key(PLATE))

    assert people.snapshot() == before


def test_what_is_left_under_a_key_dropped_too_early_moves_all_the_same(people: World) -> None:
    bind(people, RING, "m1", PHONE)

    assert rekey(people, old_key(PHONE), ring=DROPPED) is Outcome.CHANGED

    assert owners(people, PHONE) == {new_key(PHONE): ("m1",)}
    assert numbers(people) == [1, 1]
    (left,) = RING.blocks(PHONE.value)
    walked = block_key(left) | {"type": encode("block")}
    swept = rekeyed_identities(people, DROPPED)
    assert swept.rekey(walked, now=NOW) is Outcome.CHANGED
    assert numbers(people) == [1, 0]


def test_the_block_of_an_accepted_key_is_counted_on(people: World) -> None:
    bind(people, RING, "m1", PHONE)
    (block,) = RING.blocks(PHONE.value)
    walked = block_key(block) | {"type": encode("block")}

    assert rekeyed_identities(people).rekey(walked, now=NOW) is Outcome.IN_LINE
    assert numbers(people) == [0, 1]


# Moving while members bind and unbind.


def test_who_shares_a_car_while_it_moves_has_it_where_it_went(people: World) -> None:
    bind(people, RING, "m1", PLATE)
    crossing = Interrupting(
        people.dynamodb, "transact_write_items", lambda: rekey(people, old_key(PLATE))
    )

    assert bind(people, PROMOTED, "m2", PLATE, client=crossing) == new_key(PLATE)
    assert owners(people, PLATE) == {new_key(PLATE): ("m1", "m2")}


def test_a_car_that_somebody_shares_while_it_is_to_move_moves_with_them(people: World) -> None:
    bind(people, RING, "m1", PLATE)
    crossing = Interrupting(
        people.dynamodb, "transact_write_items", lambda: bind(people, PROMOTED, "m2", PLATE)
    )

    assert rekey(people, old_key(PLATE), client=crossing) is Outcome.CHANGED

    assert owners(people, PLATE) == {new_key(PLATE): ("m1", "m2")}
    assert marks(people, "m2") == {new_key(PLATE).digest}


@pytest.mark.parametrize("method", ["batch_get_item", "transact_write_items"])
def test_what_is_unbound_while_it_is_to_move_is_gone(people: World, method: str) -> None:
    bind(people, RING, "m1", PHONE)
    crossing = Interrupting(
        people.dynamodb,
        method,
        lambda: identities(people).unbind("m1", old_key(PHONE), unbound_at=NOW),
    )

    assert rekey(people, old_key(PHONE), client=crossing) is Outcome.IN_LINE
    assert (owners(people, PHONE), marks(people, "m1")) == ({}, set())
    assert numbers(people) == [0, 0]


def test_what_moves_while_it_is_unbound_is_gone_where_it_went(people: World) -> None:
    bind(people, RING, "m1", PHONE)
    crossing = Interrupting(
        people.dynamodb, "transact_write_items", lambda: rekey(people, old_key(PHONE))
    )

    assert identities(people, crossing).unbind("m1", old_key(PHONE), unbound_at=NOW)
    assert (owners(people, PHONE), marks(people, "m1")) == ({}, set())
    assert numbers(people) == [0, 0]


def test_what_is_bound_again_while_it_is_to_move_is_bound_since_then(people: World) -> None:
    bind(people, RING, "m1", PLATE)

    def again() -> None:
        identities(people).unbind("m1", old_key(PLATE), unbound_at=NOW)
        identities(people).bind("m1", old_key(PLATE), PLATE.value, bound_at=NOW)

    crossing = Interrupting(people.dynamodb, "transact_write_items", again)

    assert rekey(people, old_key(PLATE), client=crossing) is Outcome.CHANGED
    assert [each.bound_at for each in identities(people).identities("m1")] == [NOW]


def test_what_else_a_member_binds_while_one_moves_stays_bound(people: World) -> None:
    bind(people, RING, "m1", PLATE)
    crossing = Interrupting(
        people.dynamodb, "transact_write_items", lambda: bind(people, PROMOTED, "m1", CARD)
    )

    rekey(people, old_key(PLATE), client=crossing)

    assert marks(people, "m1") == {new_key(PLATE).digest, new_key(CARD).digest}


def test_two_runs_at_once_move_an_identity_once(people: World) -> None:
    bind(people, RING, "m1", PHONE)
    crossing = Interrupting(
        people.dynamodb, "transact_write_items", lambda: rekey(people, old_key(PHONE))
    )

    assert rekey(people, old_key(PHONE), client=crossing) is Outcome.IN_LINE
    assert numbers(people) == [1, 0]


def test_who_bound_by_the_new_key_alone_is_not_robbed_by_a_move(people: World) -> None:
    bind(people, RING, "m1", PHONE)
    bind(people, DROPPED, "m2", PHONE)  # by a container that no longer knew the key before
    before = people.snapshot()

    with pytest.raises(StaleWrite):
        rekey(people, old_key(PHONE))

    assert people.snapshot() == before


# The hash it had before.


def test_a_client_may_unbind_by_the_hash_it_was_told_before_and_again(people: World) -> None:
    bind(people, RING, "m1", PHONE)
    rekey(people, old_key(PHONE))

    assert identities(people).unbind("m1", old_key(PHONE), unbound_at=NOW)
    assert not identities(people).unbind("m1", old_key(PHONE), unbound_at=NOW)
    assert (owners(people, PHONE), numbers(people)) == ({}, [0, 0])


def test_the_hash_before_is_forgotten_after_a_month(people: World) -> None:
    bind(people, RING, "m1", PHONE)

    rekey(people, old_key(PHONE))

    trace = from_item(item(people, bound_key("m1", old_key(PHONE))) or {})
    assert trace["type"] == "rekeyed"
    assert trace["expires_at_epoch"] == int((NOW + timedelta(days=30)).timestamp())


def test_an_identity_that_moved_goes_to_another_member_by_the_hash_before(people: World) -> None:
    bind(people, RING, "m1", PLATE)
    rekey(people, old_key(PLATE))

    assert identities(people).move("m1", "m2", old_key(PLATE), moved_at=NOW)
    assert owners(people, PLATE) == {new_key(PLATE): ("m2",)}
    assert identities(people).keys("m1") == []
