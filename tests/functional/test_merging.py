"""Two records of one person become one, and two again: points, identities, waiting sales."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.decisions import Outcome
from forecourt.errors import StaleWrite
from forecourt.identity_writes import IDENTITIES_MAX
from forecourt.ledger.commands import Freeze, Unfreeze
from forecourt.merges import MergeRecord, Stage
from forecourt.sales import Evidence, EvidenceKind
from forecourt.stored_sales import Status, StoredSale
from functions.members import handler as members
from functions.merging import handler
from tests.functional.assigning import assignment
from tests.functional.clients import Interrupting, Reluctant, cancellation, refusal
from tests.functional.conftest import LOYALTY_TABLE, SALES_TABLE, LambdaContext
from tests.functional.http import Client, Reply
from tests.functional.world import BOUND_AT, key_of, keyed
from tests.specimens import CARD, PLATE, RECEIVED_AT, SALE, credited_to, earned, sale

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functional.world import World

PHONE = Evidence(kind=EvidenceKind.PHONE, value="13812345678")
INTO = {"into": "m2", "reason": "enrolled_twice"}
UNDO = {"reason": "two_people"}
MERGED_AT = RECEIVED_AT + timedelta(days=1)


@pytest.fixture
def operator(monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr(handler.merging, "_now", lambda: MERGED_AT)
    return Client(handle=handler.handle, subject="sub-operator", groups="[operator]")


@pytest.fixture
def twice(world: World) -> World:
    """Return a world in which somebody enrolled twice."""
    world.enrol("m1", PLATE, PHONE)
    world.enrol("m2", PLATE, CARD)
    world.post(earned("m1", 30, sale_id="20261123T081500Z.shop", source="shop:1"))
    world.post(earned("m2", 12, sale_id="20261123T081500Z.shop", source="shop:2"))
    return world


def merge(operator: Client, **changes: Any) -> Reply:
    return operator.post("/members/m1/merging", {**INTO, **changes})


def undo(operator: Client) -> Reply:
    return operator.post("/members/m1/unmerging", UNDO)


def points(world: World, *member_ids: str) -> list[int]:
    return [sum(world.loyalty.account(each).buckets.values()) for each in member_ids]


def owners(world: World, *evidence: Evidence) -> list[tuple[str, ...]]:
    found = world.candidates.owners(map(key_of, evidence))
    return [found[key_of(each)] for each in evidence]


def test_points_and_identities_go_over(operator: Client, twice: World) -> None:
    reply = merge(operator)

    assert (reply.status, reply.body) == (
        200,
        {
            "member_id": "m1",
            "into": "m2",
            "number": 1,
            "stage": "merged",
            "identities": 2,
            "wallets": ["points"],
            "merged_at": "2026-11-24T08:15:04Z",
            "merged_by": "sub-operator",
            "reason": "enrolled_twice",
            "undone_at": None,
            "undone_by": None,
        },
    )
    assert points(twice, "m1", "m2") == [0, 42]
    assert owners(twice, PLATE, PHONE, CARD) == [("m2",), ("m2",), ("m2",)]
    assert sorted(each.value for each in twice.identities.identities("m2")) == sorted(
        each.value for each in (PLATE, PHONE, CARD)
    )
    assert {each.bound_at for each in twice.identities.identities("m2")} == {BOUND_AT}


def test_the_closed_id_says_where_it_went_and_takes_nothing(operator: Client, twice: World) -> None:
    merge(operator)
    app = Client(handle=members.handle, subject="m1", groups="[member]")
    before = twice.snapshot()

    shown = app.get("/members/me").body
    assert (shown["status"], shown["merged_into"]) == ("merged", "m2")
    bound = app.post("/members/me/identities", {"kind": "card", "value": "6217001234567899"})
    assert (bound.code, bound.facts) == ("member_merged", {"member_id": "m1", "into": "m2"})
    assert app.patch("/members/me", {"name": "Li"}).code == "member_merged"
    assert app.post("/members", {"name": "Li"}).code == "member_merged"
    assert app.post("/members/me/erasure").code == "member_merged"
    assert twice.snapshot() == before


def test_undoing_gives_each_what_they_brought(operator: Client, twice: World) -> None:
    before = {
        member_id: sorted(each.value for each in twice.identities.identities(member_id))
        for member_id in ("m1", "m2")
    }
    merge(operator)

    reply = undo(operator)

    assert (reply.status, reply.body["stage"], reply.body["undone_by"]) == (
        200,
        "undone",
        "sub-operator",
    )
    assert points(twice, "m1", "m2") == [30, 12]
    assert owners(twice, PLATE, PHONE, CARD) == [("m2", "m1"), ("m1",), ("m2",)]
    assert before == {
        member_id: sorted(each.value for each in twice.identities.identities(member_id))
        for member_id in ("m1", "m2")
    }
    shown = Client(handle=members.handle, subject="m1", groups="[member]").get("/members/me").body
    assert (shown["status"], shown["merged_into"]) == ("active", None)
    assert twice.members.member("m2").absorbed == frozenset()


def test_what_was_unbound_since_does_not_come_back(operator: Client, twice: World) -> None:
    merge(operator)
    twice.identities.unbind("m2", key_of(PHONE), unbound_at=MERGED_AT)

    undo(operator)

    assert twice.candidates.owners([key_of(PHONE)]) == {}
    assert key_of(PHONE) not in twice.identities.keys("m1")


def test_a_profile_that_changes_keeps_whom_it_absorbed(operator: Client, twice: World) -> None:
    merge(operator)

    Client(handle=members.handle, subject="m2", groups="[member]").patch(
        "/members/me", {"language": "zh-CN"}
    )

    assert twice.members.member("m2").absorbed == {"m1"}


def test_merging_again_after_undoing_is_a_merge_of_its_own(operator: Client, twice: World) -> None:
    merge(operator)
    undo(operator)

    assert merge(operator).body["number"] == 2
    assert points(twice, "m1", "m2") == [0, 42]


@pytest.mark.parametrize("again", [merge, undo])
def test_the_same_again_changes_nothing(
    operator: Client, twice: World, again: Callable[[Client], Reply]
) -> None:
    merge(operator)
    first = again(operator)
    before = twice.snapshot()

    second = again(operator)

    assert (second.status, second.body) == (first.status, first.body)
    assert twice.snapshot() == before


@pytest.mark.parametrize("calls", range(1, 12))
def test_a_merge_that_died_anywhere_goes_on(
    operator: Client, twice: World, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    """And so does its undoing: after *calls* writes the function is gone."""
    for step, expected in ((merge, [0, 42]), (undo, [30, 12])):
        dying = Dying(twice.dynamodb, after=calls)
        through(monkeypatch, dying)
        first = step(operator)
        assert first.status in {200, 500}
        through(monkeypatch, twice.dynamodb)

        assert step(operator).status == 200
        assert points(twice, "m1", "m2") == expected
    assert owners(twice, PLATE, PHONE, CARD) == [("m2", "m1"), ("m1",), ("m2",)]


def test_what_the_ledger_refuses_moves_nothing(operator: Client, twice: World) -> None:
    freeze(twice, Freeze, "m2")
    before = [each for each in twice.snapshot() if each["type"] not in {"merge", "refusal"}]

    reply = merge(operator)

    assert reply.code == "account_frozen"
    assert [each for each in twice.snapshot() if each["type"] not in {"merge", "refusal"}] == before
    freeze(twice, Unfreeze, "m2")
    assert merge(operator).body["number"] == 2


def test_what_the_ledger_refuses_to_undo_stays_merged(
    operator: Client, twice: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    merge(operator)
    freeze(twice, Freeze, "m2")

    assert undo(operator).code == "account_frozen"

    assert points(twice, "m1", "m2") == [0, 42]
    assert owners(twice, PHONE) == [("m2",)]
    freeze(twice, Unfreeze, "m2")
    monkeypatch.setattr(handler.merging, "_now", lambda: MERGED_AT + timedelta(hours=1))
    assert undo(operator).body["stage"] == "undone"
    assert points(twice, "m1", "m2") == [30, 12]


def stars(world: World) -> None:
    """Let both members have a second wallet."""
    world.post(earned("m1", 5, sale_id="20261123T101500Z.stars", source="shop:3", wallet="stars"))
    world.post(earned("m2", 7, sale_id="20261123T101500Z.stars", source="shop:4", wallet="stars"))


def in_stars(world: World) -> list[int]:
    accounts = [world.loyalty.account(each, "stars") for each in ("m1", "m2")]
    return [each.total for each in accounts]


def test_all_wallets_go_over_or_none_does(operator: Client, twice: World) -> None:
    stars(twice)
    freeze(twice, Freeze, "m2", "stars")

    assert merge(operator).code == "account_frozen"

    assert (points(twice, "m1", "m2"), in_stars(twice)) == ([30, 12], [5, 7])
    assert owners(twice, PHONE) == [("m1",)]
    freeze(twice, Unfreeze, "m2", "stars")
    assert merge(operator).body["wallets"] == ["points", "stars"]
    assert (points(twice, "m1", "m2"), in_stars(twice)) == ([0, 42], [0, 12])


def test_what_was_undone_of_one_wallet_is_not_undone_twice(
    operator: Client, twice: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    stars(twice)
    merge(operator)
    freeze(twice, Freeze, "m2", "stars")
    assert undo(operator).code == "account_frozen"
    assert (points(twice, "m1", "m2"), in_stars(twice)) == ([30, 12], [0, 12])

    freeze(twice, Unfreeze, "m2", "stars")
    monkeypatch.setattr(handler.merging, "_now", lambda: MERGED_AT + timedelta(hours=1))

    assert undo(operator).body["stage"] == "undone"
    assert (points(twice, "m1", "m2"), in_stars(twice)) == ([30, 12], [5, 7])


@pytest.mark.parametrize("erased", ["m1", "m2"])
def test_who_is_erased_while_they_are_merged_is_erased(
    operator: Client, twice: World, monkeypatch: pytest.MonkeyPatch, erased: str
) -> None:
    def erase() -> None:
        twice.members.erase(erased, erased_by=erased, erased_at=MERGED_AT)

    through(monkeypatch, Interrupting(twice.dynamodb, "update_item", erase))

    assert merge(operator).code == "member_erased"

    through(monkeypatch, twice.dynamodb)
    assert twice.members.member("m1").merged_into is None
    assert owners(twice, PHONE) == [("m1",)]


def test_an_identity_that_a_rival_holds_is_moved_all_the_same(
    operator: Client, twice: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forecourt.contention.FIRST_PAUSE_SECONDS", 0)
    rival = cancellation("TransactionConflict", "None")
    identities = handler.merging._members._identities
    monkeypatch.setattr(
        identities, "_dynamodb", Reluctant(twice.dynamodb, "transact_write_items", rival)
    )

    assert merge(operator).status == 200
    assert owners(twice, PLATE, PHONE) == [("m2",), ("m2",)]


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/members/m1/merging", {**INTO, "into": "m1"}, "invalid_request"),
        ("/members/m1/merging", {**INTO, "into": "m9"}, "unknown_member"),
        ("/members/m9/merging", INTO, "unknown_member"),
        ("/members/m1/unmerging", UNDO, "member_not_merged"),
        ("/members/m9/unmerging", UNDO, "unknown_member"),
    ],
)
def test_nothing_moves_where_there_is_nobody(
    operator: Client, twice: World, path: str, body: Any, code: str
) -> None:
    before = twice.snapshot()

    assert operator.post(path, body).code == code

    assert twice.snapshot() == before


def test_who_is_merged_or_erased_is_not_merged_with(operator: Client, twice: World) -> None:
    twice.enrol("m3")
    twice.enrol("m4")
    merge(operator)
    twice.members.erase("m4", erased_by="m4", erased_at=MERGED_AT)
    before = twice.snapshot()

    assert merge(operator, into="m3").code == "member_merged"
    assert operator.post("/members/m3/merging", {**INTO, "into": "m1"}).code == "member_merged"
    assert operator.post("/members/m3/merging", {**INTO, "into": "m4"}).code == "member_erased"
    assert twice.snapshot() == before


def test_nobody_ends_up_with_more_identities_than_allowed(operator: Client, twice: World) -> None:
    for number in range(IDENTITIES_MAX - 2):
        twice.bind("m2", Evidence(kind=EvidenceKind.CARD, value=f"62170012345678{number:02}"))
    before = twice.snapshot()

    reply = merge(operator)

    assert (reply.code, reply.facts) == ("too_many_identities", {"limit": IDENTITIES_MAX})
    assert twice.snapshot() == before


def test_who_goes_into_somebody_that_went_elsewhere_cannot_be_taken_back_from_there(
    operator: Client, twice: World
) -> None:
    twice.enrol("m3")
    merge(operator)
    operator.post("/members/m2/merging", {**INTO, "into": "m3"})
    before = twice.snapshot()

    assert undo(operator).code == "member_merged"

    assert twice.snapshot() == before


def test_a_merge_that_a_rival_is_undoing_is_left_alone(
    twice: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forecourt.contention.FIRST_PAUSE_SECONDS", 0)
    record = MergeRecord(
        closing="m1",
        into="m2",
        number=1,
        stage=Stage.UNDOING,
        keys=(),
        shared=frozenset(),
        wallets=(),
        merged_at=MERGED_AT,
        merged_by="op",
        reason="enrolled_twice",
    )
    twice.merged._keep(record, before=None)
    with pytest.raises(StaleWrite):
        twice.merged._keep(record, before=None)

    with pytest.raises(StaleWrite):
        twice.merged.merge(
            "m1",
            "m2",
            policies=handler.merging._keeping.program(MERGED_AT).policies(),
            merged_by="op",
            reason="enrolled_twice",
            merged_at=MERGED_AT,
        )


@pytest.mark.parametrize("closing", ["m1", "m3"])
def test_a_sale_in_flight_earns_for_whoever_goes_on(
    operator: Client, twice: World, closing: str
) -> None:
    """Also when it was to be the very first of whose record was closed."""
    from functions.accrual import handler as accrual  # noqa: PLC0415

    accrual.program.cache_clear()
    twice.activate()
    twice.enrol("m3")
    flying = sale(transaction=4713, totalizer_ml=123_600_000, evidence=())
    stored = StoredSale(sale=flying, status=Status.RECEIVED, received_at=RECEIVED_AT)
    twice.sales.add(stored)
    assert twice.decided.decide(stored, credited_to(closing), decided_at=RECEIVED_AT)
    before = points(twice, closing, "m2")
    operator.post(f"/members/{closing}/merging", INTO)
    records = [
        each
        for each in twice.records(SALES_TABLE, status="matched")
        if each["eventName"] == "MODIFY"
    ]

    for _ in range(2):
        assert accrual.handle({"Records": records}, LambdaContext()) == {"batchItemFailures": []}

    assert points(twice, closing, "m2") == [0, sum(before) + 39]
    listed = Client(handle=members.handle, subject="m2", groups="[member]").get("/members/me/sales")
    assert [each["sale_id"] for each in listed.body["sales"]] == [flying.sale_id]


def test_a_sale_that_asked_one_asks_whoever_goes_on(operator: Client, twice: World) -> None:
    from functions.claims import handler as claims  # noqa: PLC0415

    stored = StoredSale(
        sale=replace(SALE, evidence=()),
        status=Status.RECEIVED,
        received_at=RECEIVED_AT,
        local_hour=16,
        evidence=keyed(PHONE),
    )
    twice.sales.add(stored)
    judge = assignment(twice)
    (weighed,) = judge.weigh([stored])
    pending = replace(weighed.decision, outcome=Outcome.PENDING)
    assert twice.decided.decide(
        stored, pending, filed_under=stored.evidence_keys, decided_at=RECEIVED_AT
    )
    assert twice.stored(SALE).asked == "m1"
    merge(operator)

    claims.assignment, before = judge, claims.assignment
    try:
        claims.claim(key_of(PHONE))
    finally:
        claims.assignment = before

    after = twice.stored(SALE)
    assert "m2" in {after.asked, after.member_id}


def freeze(
    world: World, kind: type[Freeze | Unfreeze], member_id: str, wallet: str = "points"
) -> None:
    world.post(
        kind(
            entry_id=f"20261124T000000Z.{kind.__name__.lower()}",
            owner=member_id,
            wallet=wallet,
            source="ticket:1",
            reason="fraud",
            actor="op",
            occurred_at=RECEIVED_AT,
        )
    )


class Dying:
    """A client that is gone after some writes, the last of which still happened."""

    def __init__(self, client: Any, *, after: int) -> None:
        self._client = client
        self._left = after

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._client, name)
        if name not in {"put_item", "update_item", "transact_write_items"}:
            return function

        def call(**arguments: Any) -> Any:
            if self._left == 0:
                raise RuntimeError("gone")
            self._left -= 1
            return function(**arguments)

        return call


def through(monkeypatch: pytest.MonkeyPatch, client: Any) -> None:
    """Let merging, and what it uses, reach the tables through *client*."""
    merged = handler.merging._members
    for each in (merged, merged._members, merged._identities, merged._ledger):
        monkeypatch.setattr(each, "_dynamodb", client)


def test_a_table_that_does_not_answer_is_no_refusal(
    operator: Client, twice: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    through(monkeypatch, Reluctant(twice.dynamodb, "update_item", refusal("InternalServerError")))
    assert merge(operator).status >= 500
    through(monkeypatch, twice.dynamodb)

    assert merge(operator).status == 200
    assert {each["type"] for each in twice.items(LOYALTY_TABLE)} >= {"merge"}


def test_expiry_days_survive_there_and_back(operator: Client, twice: World) -> None:
    before: dict[date | None, int] = dict(twice.loyalty.account("m1").buckets)
    merge(operator)
    undo(operator)

    assert dict(twice.loyalty.account("m1").buckets) == before
