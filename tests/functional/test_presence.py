"""An app says where it is: what is kept of that, for how long, and what it is good for."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.attributes import from_item
from forecourt.decisions import Outcome, Reason
from forecourt.inquiry import LookUp
from forecourt.member_errors import MemberErased
from forecourt.presence import KEPT, PRESENCES_MAX, REPEATED_WITHIN, CheckIn
from forecourt.presences_table import PresencesTable
from forecourt.stored_identities import presence_key
from forecourt.stored_sales import Status, StoredSale
from functions.members import handler
from tests.functional.assigning import assignment
from tests.functional.clients import Counting, Interrupting, Reluctant, cancellation, refusal
from tests.functional.conftest import LOYALTY_TABLE, REQUESTS_TABLE, client
from tests.functional.world import POLICIES, keyed
from tests.item_sizes import size
from tests.specimens import CARD, PLATE, RECEIVED_AT, SALE, STATION_ID

if TYPE_CHECKING:
    from tests.functional.http import Client, Reply
    from tests.functional.world import World

NOON = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
HUNG_UP = SALE.key.completed_at
READ_AT_ONCE_BYTES = 4096  # half a read unit, eventually consistent


@pytest.fixture
def at_noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handler.presence, "_now", lambda: NOON)


@pytest.fixture
def enrolled(world: World, anna: Client, at_noon: None) -> Client:  # noqa: ARG001
    world.register()
    world.enrol("sub-anna")
    return anna


def checks_in(app: Client, station_id: str = STATION_ID, **changes: Any) -> Reply:
    return app.post("/members/me/presence", {"station_id": station_id}, **changes)


def check_ins(world: World, member_id: str = "sub-anna") -> list[CheckIn]:
    return list(world.presences.presences(member_id).check_ins)


# --- checking in --------------------------------------------------------------------------------


def test_of_a_check_in_member_station_and_instant_are_kept_and_for_a_month(
    enrolled: Client, world: World
) -> None:
    reply = checks_in(enrolled)

    assert (reply.status, reply.body) == (
        201,
        {"station_id": STATION_ID, "checked_in_at": "2026-11-23T04:00:00Z"},
    )
    item = world.dynamodb.get_item(TableName=LOYALTY_TABLE, Key=presence_key("sub-anna"))["Item"]
    assert from_item(item) == {
        "pk": "PRESENCE#sub-anna",
        "sk": "CHECK_INS",
        "type": "presence",
        "check_ins": [f"{int(NOON.timestamp())}.{STATION_ID}"],
        "expires_at_epoch": int((NOON + KEPT).timestamp()),
    }


def test_a_request_that_comes_again_is_one_check_in_whenever_it_comes(
    enrolled: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = checks_in(enrolled, key="a")
    monkeypatch.setattr(handler.presence, "_now", lambda: NOON + timedelta(hours=1))

    again = checks_in(enrolled, key="a")

    assert (again.status, again.body) == (first.status, first.body)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(check_ins(world)) == 1


def test_an_app_that_stands_still_says_nothing_new(
    enrolled: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks_in(enrolled)
    before = world.snapshot()
    shortly = NOON + REPEATED_WITHIN - timedelta(seconds=1)
    monkeypatch.setattr(handler.presence, "_now", lambda: shortly)

    reply = checks_in(enrolled)

    assert reply.status == 200
    assert world.snapshot() == before


def test_no_coordinates_and_no_time_are_taken(enrolled: Client, world: World) -> None:
    before = world.snapshot()

    for more in ({"latitude": 30}, {"at": "2026-11-22T04:00:00Z"}):
        reply = enrolled.post("/members/me/presence", {"station_id": STATION_ID, **more})

        assert (reply.status, reply.code) == (422, "invalid_request")
    assert world.snapshot() == before


def test_a_station_that_there_is_not_is_refused(enrolled: Client, world: World) -> None:
    before = world.snapshot()

    reply = checks_in(enrolled, "s9999")

    assert (reply.status, reply.code) == (404, "unknown_station")
    assert world.snapshot() == before


@pytest.mark.parametrize(
    ("gone", "code"),
    [("never", "unknown_member"), ("erased", "member_erased"), ("merged", "member_merged")],
)
def test_who_is_not_or_no_longer_a_member_is_nowhere(
    world: World, anna: Client, gone: str, code: str
) -> None:
    world.register()
    if gone != "never":
        world.enrol("sub-anna")
    if gone == "erased":
        anna.post("/members/me/erasure")
    if gone == "merged":
        world.activate()
        world.enrol("m2")
        world.merged.merge(
            "sub-anna",
            "m2",
            policies=POLICIES,
            merged_by="op",
            reason="enrolled_twice",
            merged_at=NOON,
        )
    before = world.snapshot()

    reply = checks_in(anna)

    assert reply.code == code
    assert world.snapshot() == before


def test_of_two_check_ins_at_once_neither_is_lost(world: World) -> None:
    world.enrol("m1")
    at = int(NOON.timestamp())

    def rival() -> None:
        world.presences.check_in("m1", "s0002", at=NOON)

    for expected in (["s0001", "s0002"], ["s0001", "s0002", "s0003"]):
        raced = PresencesTable(
            Interrupting(world.dynamodb, "transact_write_items", rival), name=LOYALTY_TABLE
        )
        assert raced.check_in("m1", expected[-1] if len(expected) > 2 else "s0001", at=NOON)
        assert check_ins(world, "m1") == [CheckIn(at, each) for each in expected]


def test_a_transaction_in_the_way_is_waited_for_and_a_fault_is_told(world: World) -> None:
    world.enrol("m1")
    busy = Reluctant(
        world.dynamodb, "transact_write_items", cancellation("None", "TransactionConflict")
    )
    faulty = Reluctant(world.dynamodb, "transact_write_items", refusal("AccessDenied"))

    assert PresencesTable(busy, name=LOYALTY_TABLE).check_in("m1", "s0001", at=NOON)
    with pytest.raises(type(refusal("x")), match="AccessDenied"):
        PresencesTable(faulty, name=LOYALTY_TABLE).check_in("m1", "s0002", at=NOON)

    assert [each.station_id for each in check_ins(world, "m1")] == ["s0001"]


def test_who_asks_to_be_forgotten_meanwhile_leaves_nothing(world: World) -> None:
    world.enrol("m1")

    def erased() -> None:
        world.members.erase("m1", erased_by="m1", erased_at=NOON)

    raced = PresencesTable(
        Interrupting(world.dynamodb, "transact_write_items", erased), name=LOYALTY_TABLE
    )

    with pytest.raises(MemberErased):
        raced.check_in("m1", "s0001", at=NOON)
    assert check_ins(world, "m1") == []


def test_however_often_an_app_checks_in_it_is_read_at_once(world: World) -> None:
    world.enrol("m" * 64)
    for number in range(PRESENCES_MAX + 3):
        world.presences.check_in("m" * 64, f"s{number:031}", at=NOON)

    item = world.dynamodb.get_item(TableName=LOYALTY_TABLE, Key=presence_key("m" * 64))["Item"]

    assert len(check_ins(world, "m" * 64)) == PRESENCES_MAX
    assert size(item) <= READ_AT_ONCE_BYTES


def test_the_log_does_not_say_where_anybody_is(
    enrolled: Client, caplog: pytest.LogCaptureFixture
) -> None:
    checks_in(enrolled)

    formatter = handler.logger.registered_formatter
    (line,) = [formatter.format(record) for record in caplog.records]
    assert json.loads(line)["route"] == "/members/{member_id}/presence"
    assert STATION_ID not in line


def test_what_is_kept_for_retries_names_nobody_and_the_bus_hears_nothing(
    enrolled: Client, world: World
) -> None:
    world.records(LOYALTY_TABLE)

    checks_in(enrolled)

    from forecourt.events import events_of  # noqa: PLC0415 - for this test only

    kept = client("dynamodb").scan(TableName=REQUESTS_TABLE)["Items"]
    assert "anna" not in str(kept)
    assert [each for record in world.records(LOYALTY_TABLE) for each in events_of(record)] == []


# --- what it is good for ------------------------------------------------------------------------


def received(world: World, *evidence: Any) -> StoredSale:
    stored = StoredSale(
        sale=replace(SALE, evidence=()),
        status=Status.RECEIVED,
        received_at=RECEIVED_AT,
        local_hour=16,
        evidence=keyed(*evidence),
    )
    world.sales.add(stored)
    return stored


def test_presences_are_looked_up_of_those_asked_about(world: World) -> None:
    for each in ("m1", "m2"):
        world.enrol(each)
        world.presences.check_in(each, STATION_ID, at=NOON)

    found = world.candidates.look_up({0: LookUp(portraits=("m1", "m3"))}, blocks={0: ()})[0]

    assert {name: each.check_ins for name, each in found.presences.items()} == {
        "m1": (CheckIn(int(NOON.timestamp()), STATION_ID),)
    }


def test_two_exact_identities_cost_no_look_for_presence(world: World) -> None:
    world.enrol("m1", PLATE, CARD)
    counting = Counting(world.dynamodb)

    (weighed,) = assignment(world, loyalty_client=counting).weigh([received(world, PLATE, CARD)])

    assert weighed.decision.outcome is Outcome.CREDITED
    assert counting.calls["batch_get_item"] == 1


def test_of_a_family_with_one_car_the_one_who_is_there_is_asked(world: World) -> None:
    for each in ("husband", "wife"):
        world.enrol(each, PLATE)
    stored = received(world, PLATE)
    (before,) = assignment(world).weigh([stored])
    world.presences.check_in("wife", STATION_ID, at=HUNG_UP - timedelta(minutes=3))

    (weighed,) = assignment(world).weigh([stored])

    assert before.decision.outcome is Outcome.UNMATCHED
    assert (weighed.decision.outcome, weighed.decision.member_id) == (Outcome.PENDING, "wife")


def test_a_check_in_when_paying_counts_when_the_member_claims_the_sale(world: World) -> None:
    world.enrol("m1", PLATE)
    stored = received(world, PLATE)
    judge = assignment(world)
    (weighed,) = judge.weigh([stored])
    judge.assign(stored, weighed)
    world.presences.check_in("m1", STATION_ID, at=HUNG_UP + timedelta(minutes=5))

    decision = judge.claim(world.stored(SALE), claimed_by="m1")

    assert decision is not None
    assert (decision.outcome, decision.member_id) == (Outcome.CREDITED, "m1")
    assert decision.by == ("claim", "plate", "presence")


def test_who_was_elsewhere_is_not_believed_by_the_plate_and_their_word(world: World) -> None:
    world.enrol("m1", PLATE)
    stored = received(world, PLATE)
    judge = assignment(world)
    (weighed,) = judge.weigh([stored])
    judge.assign(stored, weighed)
    world.presences.check_in("m1", "s0002", at=HUNG_UP)

    (again,) = judge.weigh([world.stored(SALE)], claimed_by="m1")

    assert (again.decision.outcome, again.decision.reason) == (
        Outcome.PENDING,
        Reason.IMPLAUSIBLE,
    )
    before = world.snapshot()
    assert judge.claim(world.stored(SALE), claimed_by="m1") is None  # they are asked already
    assert world.snapshot() == before
