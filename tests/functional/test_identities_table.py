"""Identities: who shares what, what a portrait and a block know of it, and who is faster."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from forecourt.attributes import from_item, to_item
from forecourt.contention import ATTEMPTS
from forecourt.errors import StaleWrite
from forecourt.events import events_of
from forecourt.hashes import EvidenceKey
from forecourt.identities_table import Binding, IdentitiesTable
from forecourt.identity_writes import IDENTITIES_MAX
from forecourt.member_errors import IdentityTaken, TooManyIdentities, UnknownIdentity
from forecourt.stored_identities import (
    block_key,
    identity_key,
    owners_from_item,
    owners_max,
    portrait_key,
)
from forecourt.stored_portraits import portrait_from_item
from tests.functional.clients import Interrupting
from tests.functional.conftest import LOYALTY_TABLE
from tests.functional.world import block_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functional.world import World

NOW = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
PLATE = EvidenceKey(kind="plate", digest="a" * 22)
CARD = EvidenceKey(kind="card", digest="b" * 22)
PHONE = EvidenceKey(kind="phone", digest="c" * 22)
NUMBER = "13812345678"


@pytest.fixture
def table(world: World) -> IdentitiesTable:
    for member_id in ("m-1", "m-2", "m-3"):
        world.enrol(member_id)
    return world.identities


def items(dynamodb: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = dynamodb.scan(TableName=LOYALTY_TABLE)["Items"]
    return sorted(found, key=lambda item: (item["pk"]["S"], item["sk"]["S"]))


def item(dynamodb: Any, key: dict[str, Any]) -> dict[str, Any] | None:
    found: dict[str, Any] | None = dynamodb.get_item(TableName=LOYALTY_TABLE, Key=key).get("Item")
    return found


def owners(dynamodb: Any, key: EvidenceKey) -> tuple[str, ...]:
    return owners_from_item(item(dynamodb, identity_key(key)))


def bound_to(dynamodb: Any, member_id: str) -> dict[str, frozenset[str]]:
    portrait = item(dynamodb, portrait_key(member_id))
    return dict(portrait_from_item(portrait).identities) if portrait else {}


def numbers(dynamodb: Any, phone: str = NUMBER) -> int:
    found = item(dynamodb, block_key(block_of(phone)))
    return int(from_item(found)["numbers"]) if found else 0


def other(table: IdentitiesTable, client: Any) -> IdentitiesTable:
    """Return the same table behind another client."""
    return IdentitiesTable(client, name=LOYALTY_TABLE, sealer=table._sealer, block_of=block_of)


@pytest.mark.parametrize("key", [PLATE, CARD])
def test_a_plate_or_card_is_shared_and_each_owner_lists_it(
    table: IdentitiesTable, dynamodb: Any, key: EvidenceKey
) -> None:
    first = table.bind("m-1", key, "value", bound_at=NOW)
    second = table.bind("m-2", key, "value", bound_at=NOW + timedelta(days=1))

    assert first == Binding(key=key, bound_at=NOW, new=True)
    assert second == Binding(key=key, bound_at=NOW + timedelta(days=1), new=True)
    assert owners(dynamodb, key) == ("m-1", "m-2")
    assert [each.key for each in table.identities("m-2")] == [key]
    assert bound_to(dynamodb, "m-2") == {key.kind: frozenset({key.digest})}


def test_each_owners_binding_is_an_event_of_its_own(table: IdentitiesTable, world: World) -> None:
    table.bind("m-1", PLATE, "value", bound_at=NOW)
    table.bind("m-2", PLATE, "value", bound_at=NOW)
    table.unbind("m-1", PLATE, unbound_at=NOW)

    told = [
        (each.detail_type, each.detail["member_id"], each.detail["event_id"])
        for record in world.records(LOYALTY_TABLE)
        for each in events_of(record)
        if each.detail_type.startswith("Identity")
    ]

    assert [each[:2] for each in told] == [
        ("IdentityBound", "m-1"),
        ("IdentityBound", "m-2"),
        ("IdentityUnbound", "m-1"),
    ]
    assert len({each[2] for each in told}) == 3


@pytest.mark.parametrize("kind", ["phone", "payment", "etc_tag"])
def test_what_is_one_persons_is_refused_to_a_second(
    table: IdentitiesTable, dynamodb: Any, kind: str
) -> None:
    key = EvidenceKey(kind=kind, digest="d" * 22)
    table.bind("m-1", key, NUMBER, bound_at=NOW)
    before = items(dynamodb)

    with pytest.raises(IdentityTaken):
        table.bind("m-2", key, NUMBER, bound_at=NOW)
    assert items(dynamodb) == before


def test_a_card_has_as_many_owners_as_a_fleet_and_not_one_more(world: World, dynamodb: Any) -> None:
    for number in range(owners_max("card")):
        world.enrol(f"d-{number}")
        world.identities.bind(f"d-{number}", CARD, "value", bound_at=NOW)
    world.enrol("late")
    before = items(dynamodb)

    with pytest.raises(IdentityTaken):
        world.identities.bind("late", CARD, "value", bound_at=NOW)
    assert items(dynamodb) == before
    assert len(owners(dynamodb, CARD)) == owners_max("card") > 20


def test_binding_again_finds_since_when_it_is_bound_and_changes_nothing(
    table: IdentitiesTable, dynamodb: Any
) -> None:
    table.bind("m-1", PHONE, NUMBER, bound_at=NOW)
    before = items(dynamodb)

    again = table.bind("m-1", PHONE, NUMBER, bound_at=NOW + timedelta(days=1))

    assert again == Binding(key=PHONE, bound_at=NOW, new=False)
    assert items(dynamodb) == before


def test_two_who_bind_the_same_plate_at_once_both_have_it(
    table: IdentitiesTable, dynamodb: Any
) -> None:
    rival = Interrupting(
        dynamodb,
        "transact_write_items",
        lambda: table.bind("m-2", PLATE, "value", bound_at=NOW),
    )

    other(table, rival).bind("m-1", PLATE, "value", bound_at=NOW)

    assert owners(dynamodb, PLATE) == ("m-2", "m-1")


def test_two_who_bind_the_same_phone_at_once_are_one_owner_and_one_refusal(
    table: IdentitiesTable, dynamodb: Any
) -> None:
    rival = Interrupting(
        dynamodb,
        "transact_write_items",
        lambda: table.bind("m-2", PHONE, NUMBER, bound_at=NOW),
    )

    with pytest.raises(IdentityTaken):
        other(table, rival).bind("m-1", PHONE, NUMBER, bound_at=NOW)
    assert owners(dynamodb, PHONE) == ("m-2",)
    assert bound_to(dynamodb, "m-1") == {}
    assert numbers(dynamodb) == 1


def test_who_lets_a_shared_plate_go_leaves_it_to_the_others(
    table: IdentitiesTable, dynamodb: Any
) -> None:
    for member_id in ("m-1", "m-2"):
        table.bind(member_id, PLATE, "value", bound_at=NOW)

    assert table.unbind("m-1", PLATE, unbound_at=NOW)

    assert owners(dynamodb, PLATE) == ("m-2",)
    assert bound_to(dynamodb, "m-1") == {}
    assert not table.unbind("m-1", PLATE, unbound_at=NOW)
    assert table.unbind("m-2", PLATE, unbound_at=NOW)
    assert item(dynamodb, identity_key(PLATE)) is None


def test_a_rival_who_unbinds_meanwhile_is_seen(table: IdentitiesTable, dynamodb: Any) -> None:
    for member_id in ("m-1", "m-2"):
        table.bind(member_id, PLATE, "value", bound_at=NOW)
    rival = Interrupting(
        dynamodb,
        "transact_write_items",
        lambda: table.unbind("m-2", PLATE, unbound_at=NOW),
    )

    other(table, rival).unbind("m-1", PLATE, unbound_at=NOW)

    assert item(dynamodb, identity_key(PLATE)) is None


def test_an_identity_unbound_while_it_is_bound_again_is_bound(
    table: IdentitiesTable, dynamodb: Any
) -> None:
    table.bind("m-1", PLATE, "value", bound_at=NOW)
    later = NOW + timedelta(days=1)
    reads: list[int] = []

    class Unbinding:
        """A client whose owner unbinds between the two reads of a repeat."""

        def __getattr__(self, name: str) -> Any:
            return getattr(dynamodb, name)

        def get_item(self, **arguments: Any) -> Any:
            reads.append(1)
            if len(reads) == 2:
                table.unbind("m-1", PLATE, unbound_at=NOW)
            return dynamodb.get_item(**arguments)

    assert other(table, Unbinding()).bind("m-1", PLATE, "value", bound_at=later).new
    assert owners(dynamodb, PLATE) == ("m-1",)


def test_somebody_elses_share_cannot_be_unbound(table: IdentitiesTable, dynamodb: Any) -> None:
    table.bind("m-1", PLATE, "value", bound_at=NOW)
    before = items(dynamodb)

    with pytest.raises(UnknownIdentity):
        table.unbind("m-2", PLATE, unbound_at=NOW)
    assert items(dynamodb) == before


def test_an_identity_from_before_they_were_shared_is_read_shared_and_let_go(
    table: IdentitiesTable, dynamodb: Any
) -> None:
    table.bind("m-1", PLATE, "value", bound_at=NOW)
    former = to_item({"type": "identity", "member_id": "m-1", "bound_at": "2026-11-01T00:00:00Z"})
    dynamodb.put_item(TableName=LOYALTY_TABLE, Item=identity_key(PLATE) | former)

    table.bind("m-2", PLATE, "value", bound_at=NOW)
    assert owners(dynamodb, PLATE) == ("m-1", "m-2")

    dynamodb.put_item(TableName=LOYALTY_TABLE, Item=identity_key(PLATE) | former)
    assert table.unbind("m-1", PLATE, unbound_at=NOW)
    assert item(dynamodb, identity_key(PLATE)) is None


def test_a_block_counts_the_phones_bound_in_it_and_nothing_else(
    table: IdentitiesTable, dynamodb: Any
) -> None:
    neighbour = EvidenceKey(kind="phone", digest="e" * 22)
    table.bind("m-1", PHONE, NUMBER, bound_at=NOW)
    table.bind("m-2", neighbour, "13812349999", bound_at=NOW)
    table.bind("m-2", PLATE, "value", bound_at=NOW)
    assert (numbers(dynamodb), numbers(dynamodb, "13812359999")) == (2, 0)

    table.unbind("m-1", PHONE, unbound_at=NOW)
    table.unbind("m-1", PHONE, unbound_at=NOW)
    table.unbind("m-2", PLATE, unbound_at=NOW)

    assert numbers(dynamodb) == 1


def test_nothing_says_which_block_a_phone_is_in(table: IdentitiesTable, dynamodb: Any) -> None:
    table.bind("m-1", PHONE, NUMBER, bound_at=NOW)

    naming = [each["pk"]["S"] for each in items(dynamodb) if block_of(NUMBER) in str(each)]

    assert naming == [f"BLOCK#{block_of(NUMBER)}"]
    assert NUMBER[:7] not in str(items(dynamodb))


def test_one_identity_too_many_is_refused_and_nothing_is_written(
    table: IdentitiesTable, dynamodb: Any
) -> None:
    for number in range(IDENTITIES_MAX):
        key = EvidenceKey(kind="card", digest=f"{number:022}")
        table.bind("m-1", key, "value", bound_at=NOW)
    before = items(dynamodb)

    with pytest.raises(TooManyIdentities):
        table.bind("m-1", PHONE, NUMBER, bound_at=NOW)
    assert items(dynamodb) == before


def conflict() -> ClientError:
    """Return what DynamoDB answers while a rival holds an item; moto never does."""
    codes = ["None", "None", "TransactionConflict", "None"]
    return ClientError(
        {
            "Error": {"Code": "TransactionCanceledException"},
            "CancellationReasons": [{"Code": code} for code in codes],
        },
        "TransactWriteItems",
    )


def failing(
    dynamodb: Any, monkeypatch: pytest.MonkeyPatch, *, failure: Exception, times: int
) -> list[int]:
    """Let the next *times* transactions fail; return a list that grows with each."""
    write = dynamodb.transact_write_items
    failed: list[int] = []

    def attempt(**arguments: Any) -> Any:
        if len(failed) < times:
            failed.append(1)
            raise failure
        return write(**arguments)

    monkeypatch.setattr(dynamodb, "transact_write_items", attempt)
    monkeypatch.setattr("time.sleep", lambda _: None)
    return failed


def bind(table: IdentitiesTable) -> object:
    return table.bind("m-1", CARD, "CARD01", bound_at=NOW)


def unbind(table: IdentitiesTable) -> object:
    return table.unbind("m-1", PLATE, unbound_at=NOW)


@pytest.mark.parametrize("work", [bind, unbind])
def test_a_rival_transaction_is_waited_for(
    table: IdentitiesTable,
    dynamodb: Any,
    monkeypatch: pytest.MonkeyPatch,
    work: Callable[[IdentitiesTable], object],
) -> None:
    table.bind("m-1", PLATE, "浙A12345", bound_at=NOW)
    failed = failing(dynamodb, monkeypatch, failure=conflict(), times=3)

    work(table)

    assert len(failed) == 3
    held = {each.key for each in table.identities("m-1")}
    assert held == ({PLATE, CARD} if work is bind else set())


@pytest.mark.parametrize("work", [bind, unbind])
@pytest.mark.parametrize(
    ("failure", "raised"),
    [
        (conflict(), StaleWrite),
        (ClientError({"Error": {"Code": "ThrottlingException"}}, "X"), ClientError),
    ],
)
def test_what_never_settles_is_no_refusal_and_writes_nothing(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    work: Callable[[IdentitiesTable], object],
    failure: Exception,
    raised: type[Exception],
) -> None:
    table: IdentitiesTable = request.getfixturevalue("table")
    dynamodb = request.getfixturevalue("dynamodb")
    table.bind("m-1", PLATE, "浙A12345", bound_at=NOW)
    before = items(dynamodb)
    failing(dynamodb, monkeypatch, failure=failure, times=ATTEMPTS)

    with pytest.raises(raised):
        work(table)

    assert items(dynamodb) == before


def test_a_list_of_identities_goes_on_where_dynamodb_stopped(
    table: IdentitiesTable, dynamodb: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.bind("m-1", PLATE, "浙A12345", bound_at=NOW)
    table.bind("m-1", CARD, "CARD01", bound_at=NOW)
    query = dynamodb.query

    def stops_early(**arguments: Any) -> Any:
        return query(**arguments, Limit=1)

    monkeypatch.setattr(dynamodb, "query", stops_early)

    assert [each.value for each in table.identities("m-1")] == ["CARD01", "浙A12345"]
