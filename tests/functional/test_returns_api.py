"""What was redeemed is given back when the purchase is refunded: to its own days, once."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.instants import format_instant
from forecourt.ledger import commands as c
from tests.functional.clients import Interrupting, Killed, Killing
from tests.functional.redeeming import (
    ANNA,
    BERT,
    DECEMBER,
    JUNE,
    Clock,
    begin,
    begin_with,
    capture,
    hold,
    merge_one_wallet,
    somebody,
    spend,
)
from tests.functional.test_redemption_api import forget_answers
from tests.functional.world import POLICIES, with_wallets
from tests.specimens import RECEIVED_AT, SALE, earned

if TYPE_CHECKING:
    from tests.functional.http import Client, Reply
    from tests.functional.world import World


@pytest.fixture(autouse=True)
def clock(world: World, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Begin with two members, one of whom has 100 points: 40 until June, 60 until December."""
    program = with_wallets(points={}, partners={"airline": {"validity": None}})
    return begin_with(world, monkeypatch, program, ANNA, BERT, points={JUNE: 40, DECEMBER: 60})


@pytest.fixture
def anna() -> Client:
    return somebody(ANNA)


def taken(anna: Client, till: Client, clock: Clock, points: int = 70) -> str:
    """Let a till take points that a member holds; return the id of what it took."""
    hold_id = hold(anna, clock, points).body["hold_id"]
    entry_id: str = capture(till, clock, hold_id, points).body["entry_id"]
    return entry_id


def refund(client: Client, clock: Clock, entry_id: str, member: str = ANNA, **values: Any) -> Reply:
    key = values.pop("key", None)
    body = {"document": "R-1", "refunded_at": format_instant(clock.now), **values}
    return client.post(f"/members/{member}/redemptions/{entry_id}/refunds", body, key=key)


# --- to its own days --------------------------------------------------------------------------


def test_a_till_gives_back_what_it_took_to_the_days_it_came_from(
    anna: Client, till: Client, world: World, clock: Clock
) -> None:
    entry_id = taken(anna, till, clock)
    assert world.loyalty.account(ANNA).buckets == {DECEMBER: 30}

    reply = refund(till, clock, entry_id)

    assert (reply.status, reply.body["kind"], reply.body["points"]) == (201, "reverse", 70)
    assert sorted(reply.body["lots"], key=lambda lot: lot["expires_on"]) == [
        {"points": 40, "expires_on": "2027-06-30", "bonus": False},
        {"points": 30, "expires_on": "2027-12-31", "bonus": False},
    ]
    assert [reply.body[name] for name in ("paid_debt", "lost", "left")] == [0, 0, 0]
    assert world.loyalty.account(ANNA).buckets == {JUNE: 40, DECEMBER: 60}
    entry = world.loyalty.entry(ANNA, reply.body["entry_id"])
    assert (entry.actor, entry.source, entry.reason) == ("sub-till", "refund:R-1", "refund")
    assert entry.refers_to == entry_id


def test_what_has_run_out_meanwhile_is_lost_and_said_to_be(
    anna: Client, till: Client, world: World, clock: Clock
) -> None:
    entry_id = taken(anna, till, clock)
    clock.now = clock.now.replace(year=2027, month=7, day=1)

    reply = refund(till, clock, entry_id)

    assert (reply.body["points"], reply.body["lost"], reply.body["left"]) == (30, 40, 0)
    assert reply.body["lots"] == [{"points": 30, "expires_on": "2027-12-31", "bonus": False}]
    assert world.loyalty.account(ANNA).buckets == {DECEMBER: 60}


def test_what_has_run_out_meanwhile_has_the_grace_that_the_program_gives(
    anna: Client, till: Client, world: World, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    entry_id = taken(anna, till, clock)
    program = with_wallets(points={"grace_days": 30})
    world.activate(program, effective_at=RECEIVED_AT + timedelta(hours=2))
    clock.now = clock.now.replace(year=2027, month=7, day=1)
    begin(world, monkeypatch, clock=clock)

    reply = refund(till, clock, entry_id)

    assert (reply.body["points"], reply.body["lost"]) == (70, 0)
    assert world.loyalty.account(ANNA).buckets == {date(2027, 7, 31): 40, DECEMBER: 60}


def test_what_comes_back_to_who_owes_pays_that_first(
    anna: Client, till: Client, world: World, clock: Clock
) -> None:
    entry_id = taken(anna, till, clock, 100)
    world.post(sale_refund(SALE.sale_id))
    assert world.loyalty.account(ANNA).debt == 40

    reply = refund(till, clock, entry_id)

    assert (reply.body["points"], reply.body["paid_debt"]) == (60, 40)
    account = world.loyalty.account(ANNA)
    assert (account.debt, account.total) == (0, 60)


def test_a_sale_that_earned_and_was_paid_with_points_leaves_the_balance_as_it_was(
    anna: Client, till: Client, world: World, clock: Clock
) -> None:
    before = world.loyalty.account(ANNA).buckets
    entry_id = taken(anna, till, clock)
    world.post(earned(ANNA, 150, sale_id="20261123T093000Z.bought"))

    world.post(sale_refund("20261123T093000Z.bought"))
    refund(till, clock, entry_id)

    assert world.loyalty.account(ANNA).buckets == before


def test_half_a_refund_takes_half_of_what_was_earned_and_gives_half_of_what_was_spent(
    anna: Client, till: Client, world: World, clock: Clock
) -> None:
    entry_id = taken(anna, till, clock)
    world.post(earned(ANNA, 150, sale_id="20261123T093000Z.bought"))
    half = c.Share(part=5_000, whole=10_000)

    taken_back = world.post(replace(sale_refund("20261123T093000Z.bought"), part=half))
    share = {"amount_fen": 5_000, "of_fen": 10_000}
    reply = refund(till, clock, entry_id, share=share)

    assert (taken_back.points, reply.body["points"], reply.body["left"]) == (-75, 35, 35)


def test_what_two_wallets_paid_returns_to_each_under_one_document(
    anna: Client, manager: Client, world: World, clock: Clock
) -> None:
    world.post(replace(earned(ANNA, 50), wallet="partner-airline", entry_id="20261123T080000Z.x"))
    first = spend(anna, clock, 60).body["entry_id"]
    second = spend(anna, clock, 20, wallet="partner-airline").body["entry_id"]

    replies = [refund(manager, clock, each) for each in (first, second)]

    assert [reply.body["wallet"] for reply in replies] == ["points", "partner-airline"]
    assert world.loyalty.account(ANNA).total == 100
    assert world.loyalty.account(ANNA, "partner-airline").total == 50


# --- in part, and once ------------------------------------------------------------------------


def test_parts_that_make_the_whole_give_back_the_whole_and_no_more(
    anna: Client, till: Client, world: World, clock: Clock
) -> None:
    entry_id = taken(anna, till, clock)
    thirds = [
        refund(till, clock, entry_id, document=f"R-{fen}", share={"amount_fen": fen, "of_fen": 100})
        for fen in (33, 32, 35)
    ]

    assert [reply.body["points"] for reply in thirds] == [23, 22, 25]
    assert [reply.body["left"] for reply in thirds] == [47, 25, 0]
    assert world.loyalty.account(ANNA).buckets == {JUNE: 40, DECEMBER: 60}
    more = refund(till, clock, entry_id, document="R-4")
    assert (more.status, more.code) == (409, "nothing_to_reverse")


def test_no_more_is_given_back_than_was_taken(
    anna: Client, till: Client, world: World, clock: Clock
) -> None:
    entry_id = taken(anna, till, clock)
    refund(till, clock, entry_id, points=60)
    before = world.loyalty.account(ANNA)

    reply = refund(till, clock, entry_id, document="R-2", points=11)

    assert (reply.status, reply.code) == (409, "over_reversed")
    assert reply.facts == {"given": 70, "reversed": 60, "requested": 11}
    assert world.loyalty.account(ANNA) == before


def test_one_document_has_one_effect_whoever_sends_it(
    anna: Client, till: Client, manager: Client, world: World, clock: Clock
) -> None:
    entry_id = taken(anna, till, clock)
    first = refund(till, clock, entry_id, points=20)
    after = world.loyalty.account(ANNA)
    clock.passes(minutes=1)

    for client in (till, manager):
        reply = refund(client, clock, entry_id, points=20)
        assert (reply.status, reply.code) == (409, "already_reversed")

    assert first.status == 201
    assert world.loyalty.account(ANNA) == after


def test_the_same_request_gets_the_same_answer_also_when_the_first_was_lost(
    anna: Client, till: Client, world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry_id = taken(anna, till, clock)
    at = format_instant(clock.now)
    dying = Killing(world.dynamodb, "transact_write_items", calls=1)
    begin(world, monkeypatch, dynamodb=dying, clock=clock)
    with pytest.raises(Killed):
        refund(till, clock, entry_id, key="1", refunded_at=at)
    forget_answers(world)
    clock.passes(minutes=40)
    begin(world, monkeypatch, clock=clock)

    replies = [refund(till, clock, entry_id, key=key, refunded_at=at) for key in ("1", "1", "2")]

    assert [reply.status for reply in replies] == [201, 201, 201]
    assert replies[0].body == replies[1].body == replies[2].body
    assert replies[1].headers["Idempotent-Replayed"] == "true"
    assert world.loyalty.account(ANNA).total == 100


def test_a_refund_is_not_refunded_and_neither_is_what_was_earned(
    anna: Client, till: Client, manager: Client, world: World, clock: Clock
) -> None:
    back = refund(till, clock, taken(anna, till, clock)).body["entry_id"]
    before = world.snapshot()

    for entry_id, kind in ((back, "reverse"), (SALE.sale_id, "earn")):
        reply = refund(manager, clock, entry_id, document="R-2")
        assert (reply.status, reply.code, reply.facts["kind"]) == (409, "not_reversible", kind)

    assert world.snapshot() == before


# --- who may ----------------------------------------------------------------------------------


def test_what_another_till_took_is_for_managers_to_give_back(
    anna: Client, till: Client, manager: Client, world: World, clock: Clock
) -> None:
    entry_id = taken(anna, till, clock)
    spent = spend(anna, clock, 30).body["entry_id"]
    before = world.snapshot()

    other = somebody("sub-other-till", "attendant")
    assert refund(other, clock, entry_id).code == "forbidden"
    assert refund(till, clock, spent).code == "forbidden"
    assert refund(anna, clock, spent).code == "unknown_member"
    assert refund(somebody("sub-1", "auditor"), clock, entry_id).code == "forbidden"
    assert world.snapshot() == before

    assert refund(manager, clock, entry_id).status == 201
    assert refund(somebody("sub-op", "operator"), clock, spent).status == 201
    assert world.loyalty.account(ANNA).total == 100


def test_what_nobody_took_of_that_member_is_not_given_back(
    anna: Client, till: Client, world: World, clock: Clock
) -> None:
    entry_id = taken(anna, till, clock)
    before = world.snapshot()

    assert refund(till, clock, entry_id, member=BERT).code == "unknown_entry"
    assert refund(till, clock, "20261123T090000Z.capture.none").code == "unknown_entry"
    assert refund(till, clock, entry_id, pool_id="p-none").code == "unknown_pool"

    assert world.snapshot() == before


@pytest.mark.parametrize(
    ("values", "finding"),
    [
        (
            {"points": 1, "share": {"amount_fen": 1, "of_fen": 2}},
            {"at": "/body/share", "reason": "beside_points"},
        ),
        (
            {"share": {"amount_fen": 3, "of_fen": 2}},
            {"at": "/body/share/amount_fen", "reason": "more_than_was_paid"},
        ),
        (
            {"refunded_at": "2026-11-23T19:30:00Z"},
            {"at": "/body/refunded_at", "reason": "in_future"},
        ),
    ],
)
def test_a_refund_that_cannot_be_meant_is_refused(
    till: Client, world: World, clock: Clock, values: dict[str, Any], finding: Any
) -> None:
    entry_id = taken(somebody(ANNA), till, clock)
    before = world.snapshot()

    reply = refund(till, clock, entry_id, **values)

    assert (reply.status, reply.facts["findings"]) == (422, [finding])
    assert world.snapshot() == before


# --- pools, merged members --------------------------------------------------------------------


def test_what_a_member_spent_of_a_pool_returns_to_it_and_to_their_limit_of_the_day(
    anna: Client, till: Client, world: World, clock: Clock
) -> None:
    pool_id = anna.post("/members/me/pools", {"daily_points": 50}).body["pool_id"]
    pool = f"/members/me/pools/{pool_id}"
    asked = {"asked_at": format_instant(clock.now)}
    anna.post(f"{pool}/contributions", {"points": 100, **asked})
    hold_id = hold(anna, clock, 50, pool_id=pool_id).body["hold_id"]
    entry_id = capture(till, clock, hold_id, 50, pool_id=pool_id).body["entry_id"]
    before = world.snapshot()
    assert refund(till, clock, entry_id, member=BERT, pool_id=pool_id).code == "unknown_entry"
    assert world.snapshot() == before

    reply = refund(till, clock, entry_id, pool_id=pool_id)

    assert (reply.body["member_id"], reply.body["points"]) == (f"pool:{pool_id}", 50)
    assert world.loyalty.account(f"pool:{pool_id}").total == 100
    assert anna.get(pool).body["members"][0]["used_today"] == 0


def test_what_was_taken_of_a_record_that_was_merged_goes_to_where_the_member_is(
    anna: Client, till: Client, world: World, clock: Clock
) -> None:
    entry_id = taken(anna, till, clock)
    world.merged.merge(
        ANNA, BERT, policies=POLICIES, merged_by="op", reason="twice", merged_at=clock.now
    )

    reply = refund(till, clock, entry_id)

    assert (reply.status, reply.body["member_id"]) == (201, BERT)
    assert world.loyalty.account(BERT).buckets == {JUNE: 40, DECEMBER: 60}


@pytest.mark.parametrize("gone", ["points", "partner-airline"])
def test_what_a_wallet_paid_returns_to_where_that_wallet_is_while_two_records_become_one(
    anna: Client, manager: Client, world: World, clock: Clock, gone: str
) -> None:
    """A merge goes wallet by wallet, and the refund comes between two of them."""
    wallet = "partner-airline"
    world.post(earned(ANNA, 50, wallet=wallet, sale_id="20261123T080000Z.x"))
    entry_id = spend(anna, clock, 20, wallet=wallet).body["entry_id"]
    merge_one_wallet(world, clock, gone)

    reply = refund(manager, clock, entry_id)

    holder = BERT if gone == wallet else ANNA
    assert (reply.status, reply.body["member_id"]) == (201, holder)
    assert world.loyalty.account(holder, wallet).total == 50


def test_what_is_given_back_while_a_record_is_merged_goes_to_where_the_member_is(
    anna: Client, till: Client, world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry_id = taken(anna, till, clock)

    def merge() -> None:
        world.merged.merge(
            ANNA, BERT, policies=POLICIES, merged_by="op", reason="twice", merged_at=clock.now
        )

    rival = Interrupting(world.dynamodb, "transact_write_items", merge)
    begin(world, monkeypatch, dynamodb=rival, clock=clock)

    replies = [refund(till, clock, entry_id, document="R-1") for _ in range(2)]

    assert [(reply.status, reply.body["member_id"]) for reply in replies] == [(201, BERT)] * 2
    assert world.loyalty.account(BERT).buckets == {JUNE: 40, DECEMBER: 60}
    assert world.loyalty.account(ANNA).total == 0


def test_a_refund_is_answered_as_the_first_time_when_a_merge_came_between(
    anna: Client, till: Client, world: World, clock: Clock
) -> None:
    entry_id = taken(anna, till, clock)
    at = format_instant(clock.now)
    first = refund(till, clock, entry_id, key="1", refunded_at=at)
    forget_answers(world)
    world.merged.merge(
        ANNA, BERT, policies=POLICIES, merged_by="op", reason="twice", merged_at=clock.now
    )

    again = refund(till, clock, entry_id, key="1", refunded_at=at)

    assert (again.status, again.body) == (201, first.body)
    assert world.loyalty.account(BERT).buckets == {JUNE: 40, DECEMBER: 60}


def sale_refund(sale_id: str) -> c.Reverse:
    """Return the command that takes back what a sale earned."""
    return c.Reverse(
        entry_id="20261123T100000Z.refund.1",
        owner=ANNA,
        reverses=sale_id,
        document="R-1",
        source="refund:R-1",
        reason="refund",
        actor="till",
        occurred_at=RECEIVED_AT,
    )
