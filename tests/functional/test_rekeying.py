"""A run of hashing anew: on a system that runs, killed anywhere, done twice, and what it tells."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt import rekeying_table
from forecourt.attributes import to_item
from forecourt.merges import merge_key
from forecourt.rekeying import SEGMENTS, Outcome, Place, Progress, Segment, seconds_to_settle
from forecourt.sales import Evidence, EvidenceKind
from forecourt.stored_identities import bound_key, identity_key
from tests.functional.assigning import assignment
from tests.functional.clients import Interrupting, Killed
from tests.functional.conftest import (
    LOYALTY_TABLE,
    SALES_TABLE,
    LambdaContext,
)
from tests.functional.rotation import (
    DROPPED,
    INTRODUCED,
    PROMOTED,
    SEGMENTS_HERE,
    Operator,
    Patient,
    bind,
    hashes,
    identities,
    observed,
    operating,
)
from tests.functional.test_merging import MERGED_AT
from tests.functional.world import POLICIES, RING
from tests.specimens import CARD, PLATE, RECEIVED_AT, SALE, nobodys, sale

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from forecourt.keyring import KeyRing
    from tests.functional.world import World

PHONE = Evidence(kind=EvidenceKind.PHONE, value="13812345678")
OTHER = sale(transaction=4712, totalizer_ml=123_500_000)
WRITES = ("put_item", "update_item", "delete_item", "transact_write_items")


@pytest.fixture
def operator(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Operator]:  # noqa: ARG001
    yield from operating(monkeypatch)


@pytest.fixture
def busy(world: World) -> World:
    """Return a world with a family, a phone, and a sale that waits for a card nobody has."""
    world.enrol("m1", PLATE, PHONE)
    world.enrol("m2", PLATE)
    stored = observed(world, SALE, RING, CARD)
    world.decided.decide(
        stored, nobodys(), filed_under=stored.evidence_keys, decided_at=RECEIVED_AT
    )
    return world


def content(world: World) -> list[dict[str, Any]]:
    """Return everything there is but how far a run is, and what no two attempts seal alike."""
    fleeting = {"sealed", "rekeyed_at", "expires_at_epoch", "version"}
    return [
        {name: value for name, value in item.items() if name not in fleeting}
        for item in world.snapshot()
        if item["type"] != "rekeying"
    ]


def text(world: World) -> str:
    return "\n".join(map(str, content(world)))


def former(world: World) -> str:
    """Return everything stored but the traces that the table forgets by itself."""
    return "\n".join(str(each) for each in content(world) if each["type"] != "rekeyed")


# The way of a rotation.


def test_after_a_rotation_nothing_is_left_that_the_old_key_made(
    operator: Operator, busy: World
) -> None:
    old = {key.digest for each in (PLATE, PHONE, CARD) for key in hashes(RING, each)}
    old |= set(RING.blocks(PHONE.value))
    assert all(each in text(busy) for each in old)

    for ring in (INTRODUCED, PROMOTED, DROPPED):
        told = operator.runs(ring)
        assert (told["finished"], told["clean"]) == (True, True)

    assert [each for each in old if each in former(busy)] == []
    assert busy.candidates.owners(
        [key for each in (PLATE, PHONE) for key in hashes(DROPPED, each)]
    ) == {hashes(DROPPED, PLATE)[0]: ("m1", "m2"), hashes(DROPPED, PHONE)[0]: ("m1",)}


def test_a_sale_that_waits_is_found_by_who_binds_its_card_under_the_new_key(
    operator: Operator, busy: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from functions.claims import handler as claims  # noqa: PLC0415 - it needs the environment

    monkeypatch.setattr(claims, "assignment", assignment(busy))
    for ring in (INTRODUCED, PROMOTED):
        operator.runs(ring)

    key = bind(busy, PROMOTED, "m2", CARD)
    claims.claim(key)

    assert key == hashes(DROPPED, CARD)[0]
    after = busy.stored(SALE)
    assert "m2" in {after.member_id, after.asked}


@pytest.mark.parametrize(
    ("told_by", "bound_by"),
    [
        (RING, RING),
        (RING, INTRODUCED),
        (RING, PROMOTED),
        (INTRODUCED, RING),
        (INTRODUCED, PROMOTED),
        (PROMOTED, RING),
        (PROMOTED, INTRODUCED),
    ],
)
def test_a_sale_finds_its_member_whichever_ring_ingest_and_binding_knew(
    operator: Operator, world: World, told_by: KeyRing, bound_by: KeyRing
) -> None:
    for member_id in ("m1", "m2"):
        world.enrol(member_id)
    observed(world, SALE, told_by, PLATE, PHONE)
    operator.runs(INTRODUCED)
    for each in (PLATE, PHONE):
        bind(world, bound_by, "m1", each)

    found = []
    for ring in (INTRODUCED, PROMOTED, DROPPED):
        operator.runs(ring)
        (weighed,) = assignment(world).weigh([world.stored(SALE)])
        found.append(weighed.decision.member_id)

    assert found == ["m1", "m1", "m1"]


def test_a_rotation_may_follow_another(operator: Operator, busy: World) -> None:
    for ring in (INTRODUCED, PROMOTED, DROPPED):
        operator.runs(ring)
    third = DROPPED.introducing("the third secret of these tests, which is long enough too")

    for ring in (third, third.promoting(), third.promoting().dropping()):
        assert operator.runs(ring)["clean"]

    assert "#2." not in former(busy)
    assert identities(busy).keys("m2") == list(
        third.promoting().dropping().hashes(EvidenceKind.PLATE, PLATE.value)
    )


# Killed, twice, and at once.


class Dying:
    """A client that is killed right after its first write."""

    def __init__(self, dynamodb: Any) -> None:
        self._dynamodb = dynamodb

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._dynamodb, name)
        if name not in WRITES:
            return function

        def write(**arguments: Any) -> None:
            function(**arguments)
            raise Killed

        return write


@pytest.mark.parametrize("ring", [INTRODUCED, PROMOTED, DROPPED])
def test_killed_after_each_of_its_writes_a_run_comes_to_the_same(
    operator: Operator, busy: World, monkeypatch: pytest.MonkeyPatch, ring: KeyRing
) -> None:
    for earlier in (INTRODUCED, PROMOTED)[: (INTRODUCED, PROMOTED, DROPPED).index(ring)]:
        operator.runs(earlier)
    before = busy.snapshot_items()
    operator.runs(ring)
    expected = content(busy)

    busy.restore(before)
    kills, told = 0, None
    while told is None and kills < 60:
        with monkeypatch.context() as patch:
            patch.setattr(operator.handler, "_dynamodb", Dying(busy.dynamodb))
            patch.setattr(operator.handler.table, "_dynamodb", Dying(busy.dynamodb))
            try:
                told = operator.runs(ring)
            except Killed:
                operator.invoked.clear()
                kills += 1

    assert told is not None
    assert told["clean"]
    assert content(busy) == expected
    assert kills > 2 * SEGMENTS_HERE  # each begun, each walked, and something changed


def test_a_run_done_twice_changes_nothing_the_second_time(operator: Operator, busy: World) -> None:
    operator.runs(PROMOTED)
    after = content(busy)

    once = operator.runs(PROMOTED)
    again = operator.runs(PROMOTED, anew=True)

    assert content(busy) == after
    assert once["counts"]["changed"] > 0
    assert set(again["counts"]) == {"in_line"}


def test_of_two_invocations_at_the_same_segment_the_second_stops(
    operator: Operator, busy: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator.sets(PROMOTED)
    operator.asks(do="start")
    event = operator.invoked[0]
    done: list[Any] = []

    def overtake() -> None:
        operator.handler.handle(event, Patient())
        done.append((operator.handler.table.progress("2-1"), content(busy)))

    with monkeypatch.context() as patch:
        patch.setattr(
            operator.handler.table, "_dynamodb", Interrupting(busy.dynamodb, "scan", overtake)
        )
        operator.handler.handle(event, Patient())

    assert done == [(operator.handler.table.progress("2-1"), content(busy))]
    operator.work()
    assert operator.asks()["clean"]


def test_when_time_runs_short_another_invocation_goes_on_from_there(
    operator: Operator, busy: World
) -> None:
    operator.sets(PROMOTED)
    operator.asks(do="start")
    started = len(operator.invoked)

    invocations = 0
    while operator.invoked:
        operator.handler.handle(operator.invoked.pop(0), LambdaContext())
        invocations += 1

    assert started == SEGMENTS_HERE
    assert invocations > 2 * SEGMENTS_HERE
    assert operator.asks()["clean"]
    assert busy.candidates.owners(hashes(DROPPED, PLATE))


def test_started_again_only_what_is_not_done_goes_on(operator: Operator, busy: World) -> None:  # noqa: ARG001
    operator.sets(PROMOTED)
    operator.asks(do="start")
    operator.handler.handle(operator.invoked.pop(0), Patient())
    left = list(operator.invoked)
    operator.invoked.clear()

    told = operator.asks(do="start")

    assert operator.invoked == left
    assert (told["segments"], told["done"], told["finished"]) == (2, 1, False)


# What it refuses, and what it tells.


def test_a_run_waits_until_every_container_has_learnt_of_the_ring(
    operator: Operator, busy: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operator.handler, "seconds_to_settle", seconds_to_settle)
    operator.sets(PROMOTED)
    before = busy.snapshot()

    told = operator.asks(do="start")

    assert 80 < told["settles_in_seconds"] <= 90
    assert (told["segments"], told["finished"], operator.invoked) == (0, False, [])
    assert busy.snapshot() == before


@pytest.mark.parametrize(("passed", "left"), [(0, 90), (60, 30), (90, 0), (1000, 0)])
def test_a_ring_settles_when_the_slowest_container_must_have_read_it(
    passed: int, left: int
) -> None:
    changed_at = datetime(2026, 11, 24, tzinfo=UTC)

    now = changed_at + timedelta(seconds=passed)

    assert seconds_to_settle(changed_at, now, remembered_seconds=60) == left


def test_a_segment_of_a_ring_that_has_changed_since_stops(operator: Operator, busy: World) -> None:
    operator.sets(INTRODUCED)
    operator.asks(do="start")
    operator.sets(PROMOTED)
    before = busy.snapshot()

    operator.work()

    assert busy.snapshot() == before


def test_what_fails_is_counted_and_keeps_the_rest_from_nothing(
    operator: Operator, busy: World, counted: Callable[[], Counter[str]]
) -> None:
    other = Evidence(kind=EvidenceKind.PHONE, value="13999999999")
    busy.identities.bind("m2", hashes(RING, other)[0], "13888888888", bound_at=RECEIVED_AT)
    counted()

    told = operator.runs(PROMOTED)

    assert (told["finished"], told["clean"], told["counts"]["failed"]) == (True, False, 1)
    assert counted()["ItemsNotRekeyed"] == 1
    assert busy.candidates.owners(hashes(DROPPED, PHONE))


def test_what_is_told_has_numbers_of_keys_and_nothing_of_the_keys(
    operator: Operator,
) -> None:
    operator.sets(PROMOTED)

    assert operator.asks() == {
        "current": "2",
        "accepted": ["2", "1"],
        "settles_in_seconds": 0,
        "segments": 0,
        "done": 0,
        "finished": False,
        "clean": False,
        "counts": {},
    }


def test_a_run_is_finished_when_all_of_its_segments_are_and_clean_without_failures() -> None:
    segments = [Segment(run="2-1", number=n, place=Place.DONE) for n in range(SEGMENTS)]
    failed = Segment(
        run="2-1", number=0, place=Place.DONE, counts=Counter({str(Outcome.FAILED): 1})
    )

    assert Progress(run="2-1", segments=segments).clean
    assert not Progress(run="2-1", segments=[*segments[1:], failed]).clean
    assert not Progress(run="2-1", segments=[Segment(run="2-1", number=0)]).finished
    assert not Progress(run="2-1", segments=[]).finished


# Merges made before.


def merged(world: World) -> None:
    world.merged.merge(
        "m1", "m2", policies=POLICIES, merged_by="op", reason="twice", merged_at=MERGED_AT
    )


def parted(world: World) -> None:
    world.merged.undo(
        "m1", policies=POLICIES, undone_by="op", reason="two people", undone_at=MERGED_AT
    )


@pytest.mark.parametrize("rings", [(PROMOTED,), (PROMOTED, DROPPED)])
def test_a_merge_from_before_the_rotation_can_be_undone_after_it(
    operator: Operator, busy: World, rings: tuple[KeyRing, ...]
) -> None:
    merged(busy)
    for ring in rings:
        operator.runs(ring)

    parted(busy)

    assert busy.candidates.owners([hashes(DROPPED, each)[0] for each in (PLATE, PHONE)]) == {
        hashes(DROPPED, PLATE)[0]: ("m2", "m1"),
        hashes(DROPPED, PHONE)[0]: ("m1",),
    }


def test_once_its_record_is_hashed_anew_a_merge_is_undone_without_the_traces(
    operator: Operator, busy: World
) -> None:
    merged(busy)
    for ring in (PROMOTED, DROPPED):
        operator.runs(ring)
    for key in (*hashes(RING, PLATE), *hashes(RING, PHONE)):
        for member_id in ("m1", "m2"):
            busy.dynamodb.delete_item(TableName=LOYALTY_TABLE, Key=bound_key(member_id, key))

    parted(busy)

    assert busy.candidates.owners([hashes(DROPPED, PHONE)[0]]) == {
        hashes(DROPPED, PHONE)[0]: ("m1",)
    }


def test_the_record_of_a_merge_forgets_what_was_unbound_since_with_its_key(
    operator: Operator, busy: World
) -> None:
    merged(busy)
    identities(busy).unbind("m2", hashes(RING, PHONE)[0], unbound_at=MERGED_AT)
    for ring in (PROMOTED, DROPPED):
        operator.runs(ring)

    record = busy.merged.last("m1")
    assert record is not None
    assert record.keys == hashes(DROPPED, PLATE)
    assert record.shared == frozenset(hashes(DROPPED, PLATE))


def test_a_merge_that_goes_a_step_further_meanwhile_keeps_that_step(
    operator: Operator, busy: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    merged(busy)
    for each in (PLATE, PHONE):
        walked = identity_key(*hashes(RING, each)) | to_item({"type": "identity"})
        operator.handler.rekeyers(PROMOTED)[Place.IDENTITIES](walked)
    crossing = Interrupting(busy.dynamodb, "update_item", lambda: parted(busy))
    monkeypatch.setattr(operator.handler, "_dynamodb", crossing)
    rekeyed = operator.handler.rekeyers(DROPPED)[Place.IDENTITIES]
    walked = merge_key("m1", 1) | to_item({"type": "merge"})

    assert rekeyed(walked) is Outcome.CHANGED
    assert rekeyed(merge_key("m9", 1) | to_item({"type": "merge"})) is Outcome.IN_LINE

    record = busy.merged.last("m1")
    assert record is not None
    assert record.stage == "undone"
    assert {each.digest for each in record.keys} == {
        hashes(DROPPED, each)[0].digest for each in (PLATE, PHONE)
    }


def test_a_sale_of_another_run_is_none_of_this_ones_business(world: World) -> None:
    table = rekeying_table.RekeyingTable(
        world.dynamodb, loyalty=LOYALTY_TABLE, sales=SALES_TABLE, page=3
    )

    assert len(table.begin("2-1", anew=False).segments) == SEGMENTS
    assert table.progress("2").segments == ()
    assert table.segment("2-1", 3).place is Place.IDENTITIES
