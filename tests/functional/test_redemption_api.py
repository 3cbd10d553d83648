"""Spending points: at once, or held by the member and captured by the till."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.instants import format_instant
from forecourt.ledger import commands as c
from forecourt.ledger_table import LedgerTable
from functions.redemption import handler
from tests.functional.clients import (
    Counting,
    Interrupting,
    Killed,
    Killing,
    Reluctant,
    cancellation,
)
from tests.functional.conftest import LOYALTY_TABLE
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
    order,
    release,
    somebody,
    spend,
)
from tests.functional.refusing import IMPOSSIBLE_TIMES, assert_refused_for_its_time
from tests.functional.world import POLICIES, with_wallets
from tests.specimens import earned

if TYPE_CHECKING:
    from tests.functional.http import Client, Reply
    from tests.functional.world import World

RATES = {"from_points": {"gives": 2, "per": 5}, "to_points": {"gives": 2, "per": 1}}
PROGRAM = with_wallets(
    points={
        "minimum": 35,
        "multiple": 5,
        "transfer_points": 70,
        "transfer_count": 2,
        "ceiling": 1000,
    },
    growth={"validity": None},
    partners={"airline": {"validity": {"months": 6, "end_of": "month"}, **RATES}},
)


@pytest.fixture(autouse=True)
def clock(world: World, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Begin with two members, one of whom has 100 points: 40 until June, 60 until December."""
    return begin_with(world, monkeypatch, PROGRAM, ANNA, BERT, points={JUNE: 40, DECEMBER: 60})


@pytest.fixture
def anna() -> Client:
    return somebody(ANNA)


def has(world: World, member_id: str = ANNA, wallet: str = "points") -> int:
    return sum(world.loyalty.account(member_id, wallet).buckets.values())


# --- at once ----------------------------------------------------------------------------------


def test_a_spending_takes_what_runs_out_first_and_says_so(
    anna: Client, world: World, clock: Clock
) -> None:
    reply = spend(anna, clock, 60)

    assert (reply.status, reply.body["kind"], reply.body["points"]) == (201, "spend", -60)
    assert reply.body["lots"] == [
        {"points": 40, "expires_on": "2027-06-30", "bonus": False},
        {"points": 20, "expires_on": "2027-12-31", "bonus": False},
    ]
    assert world.loyalty.account(ANNA).buckets == {DECEMBER: 40}
    entry = world.loyalty.entry(ANNA, reply.body["entry_id"])
    assert (entry.actor, entry.source, entry.reason) == (ANNA, "order:4711", "redemption")


@pytest.mark.parametrize(
    ("points", "code"),
    [(34, "below_minimum"), (36, "not_a_multiple"), (105, "insufficient_points")],
)
def test_what_the_program_or_the_balance_forbids_is_refused(
    anna: Client, world: World, clock: Clock, points: int, code: str
) -> None:
    before = world.loyalty.account(ANNA)

    for reply in (spend(anna, clock, points), hold(anna, clock, points)):
        assert (reply.status, reply.code) == (409, code)

    assert world.loyalty.account(ANNA) == before


@pytest.mark.parametrize("points", [35, 100])
def test_exactly_the_minimum_and_exactly_the_balance_can_be_spent(
    anna: Client, world: World, clock: Clock, points: int
) -> None:
    assert spend(anna, clock, points).status == 201

    assert has(world) == 100 - points


def test_the_same_key_gets_the_same_answer_and_spends_once(
    anna: Client, world: World, clock: Clock
) -> None:
    body = order(clock, points=60)

    first, again = (anna.post("/members/me/spendings", body, key="1") for _ in range(2))

    assert (again.body, again.headers["Idempotent-Replayed"]) == (first.body, "true")
    assert has(world) == 40


def test_a_refusal_stays_one_under_its_key_and_a_new_key_is_a_new_decision(
    anna: Client, world: World, clock: Clock
) -> None:
    body = order(clock, points=105)
    anna.post("/members/me/spendings", body, key="1")
    world.post(earned(ANNA, 50, sale_id="20261123T090000Z.later"))

    assert anna.post("/members/me/spendings", body, key="1").code == "insufficient_points"
    assert anna.post("/members/me/spendings", body, key="2").status == 201


def test_a_spending_that_died_before_its_answer_is_made_once(
    anna: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying = Killing(world.dynamodb, "transact_write_items", calls=1)
    clock = begin(world, monkeypatch, dynamodb=dying)
    body = order(clock, points=60)
    with pytest.raises(Killed):
        anna.post("/members/me/spendings", body, key="1")
    forget_answers(world)
    clock = begin(world, monkeypatch)
    clock.passes(minutes=40)

    reply = anna.post("/members/me/spendings", body, key="1")

    assert (reply.status, reply.body["points"], has(world)) == (201, -60, 40)


def test_a_busy_table_is_never_told_as_too_few_points(
    anna: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = [cancellation("TransactionConflict", "None")] * 8
    clock = begin(
        world, monkeypatch, dynamodb=Reluctant(world.dynamodb, "transact_write_items", *busy)
    )
    body = order(clock, points=60)
    before = world.loyalty.account(ANNA)

    reply = anna.post("/members/me/spendings", body, key="1")

    assert (reply.status, reply.code) == (503, "stale_write")
    assert world.loyalty.account(ANNA) == before
    assert anna.post("/members/me/spendings", body, key="1").status == 201


def test_nobody_spends_as_somebody_else_and_nobody_unknown_spends(
    till: Client, world: World, clock: Clock
) -> None:
    before = world.snapshot()
    body = order(clock, points=60)

    assert somebody(BERT).post(f"/members/{ANNA}/spendings", body).code == "unknown_member"
    assert till.post(f"/members/{ANNA}/spendings", body).code == "forbidden"
    assert till.post(f"/members/{ANNA}/holds", body).code == "forbidden"
    assert somebody("sub-new").post("/members/me/spendings", body).code == "unknown_member"

    assert world.snapshot() == before


@IMPOSSIBLE_TIMES
def test_a_time_at_which_nobody_asked_is_refused(
    anna: Client, world: World, clock: Clock, minutes: int, reason: str
) -> None:
    asked_at = format_instant(clock.now + timedelta(minutes=minutes))

    assert_refused_for_its_time(world, lambda: spend(anna, clock, 60, asked_at=asked_at), reason)


# --- held and captured ------------------------------------------------------------------------


def test_what_is_held_cannot_be_spent_and_is_captured_by_the_till(
    anna: Client, till: Client, world: World, clock: Clock
) -> None:
    held = hold(anna, clock, 60)

    assert (held.status, held.body["points"]) == (201, 60)
    assert held.body["expires_at"] == format_instant(clock.now + timedelta(minutes=15))
    assert spend(anna, clock, 45).facts == {"requested": 45, "available": 40}
    shown = till.get(f"/members/{ANNA}/holds/{held.body['hold_id']}").body
    assert shown == held.body
    reply = capture(till, clock, held.body["hold_id"], 60)

    assert (reply.status, reply.body["kind"], reply.body["points"]) == (200, "capture", -60)
    entry = world.loyalty.entry(ANNA, reply.body["entry_id"])
    assert (entry.actor, entry.refers_to) == ("sub-till", held.body["hold_id"])
    assert has(world) == 40


def test_what_is_not_captured_goes_back_to_its_own_days(
    anna: Client, till: Client, world: World, clock: Clock
) -> None:
    hold_id = hold(anna, clock, 60).body["hold_id"]

    capture(till, clock, hold_id, 45)

    assert world.loyalty.account(ANNA).buckets == {DECEMBER: 55}


@pytest.mark.parametrize("points", [1, 36])
def test_a_till_captures_what_was_used_though_nobody_may_redeem_as_little_or_so_odd(
    anna: Client, till: Client, world: World, clock: Clock, points: int
) -> None:
    hold_id = hold(anna, clock, 60).body["hold_id"]

    reply = capture(till, clock, hold_id, points)

    assert (reply.status, reply.body["points"]) == (200, -points)
    assert has(world) == 100 - points


def test_a_hold_is_captured_once_and_not_beyond_what_is_held(
    anna: Client, till: Client, world: World, clock: Clock
) -> None:
    hold_id = hold(anna, clock, 60).body["hold_id"]
    assert capture(till, clock, hold_id, 61).facts == {"requested": 61, "held": 60}
    first = capture(till, clock, hold_id, 60, key="1")
    after = world.loyalty.account(ANNA)

    assert capture(till, clock, hold_id, 60, key="1").body == first.body
    assert capture(till, clock, hold_id, 60, key="2").code == "hold_not_open"
    assert release(till, clock, hold_id).code == "hold_not_open"

    assert world.loyalty.account(ANNA) == after


def test_a_released_hold_can_be_spent_again_and_not_captured(
    anna: Client, till: Client, world: World, clock: Clock
) -> None:
    hold_id = hold(anna, clock, 60).body["hold_id"]

    reply = release(anna, clock, hold_id)

    assert (reply.status, reply.body["kind"]) == (200, "release")
    assert world.loyalty.account(ANNA).buckets == {JUNE: 40, DECEMBER: 60}
    assert capture(till, clock, hold_id, 60).code == "hold_not_open"


def test_a_hold_ends_by_itself_though_no_job_ran(
    anna: Client, till: Client, world: World, clock: Clock
) -> None:
    hold_id = hold(anna, clock, 100, held_for_seconds=60).body["hold_id"]
    clock.passes(seconds=59)
    assert till.get(f"/members/{ANNA}/holds/{hold_id}").status == 200
    clock.passes(seconds=1)

    assert till.get(f"/members/{ANNA}/holds/{hold_id}").code == "unknown_hold"
    assert capture(till, clock, hold_id, 60).code == "hold_not_open"
    assert spend(anna, clock, 100).status == 201
    assert has(world) == 0


def test_a_hold_that_would_be_over_when_it_is_made_is_not_made(
    anna: Client, world: World, clock: Clock
) -> None:
    body = order(clock, points=60)
    clock.passes(minutes=15)
    before = world.snapshot()

    reply = anna.post("/members/me/holds", body)

    assert (reply.status, reply.facts["findings"][0]["reason"]) == (422, "over")
    assert world.snapshot() == before


def test_a_hold_that_ends_while_it_is_captured_is_captured_or_spent_and_never_both(
    anna: Client, till: Client, world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold_id = hold(anna, clock, 60, held_for_seconds=60).body["hold_id"]

    def spend_what_comes_back() -> None:
        clock.passes(seconds=60)
        everything = c.Spend(
            entry_id="20261123T091604Z.spend.1",
            owner=ANNA,
            points=100,
            source="order:1",
            reason="redemption",
            actor=ANNA,
            occurred_at=clock.now,
        )
        LedgerTable(world.dynamodb, name=LOYALTY_TABLE, now=lambda: clock.now).execute(
            everything, policies=POLICIES
        ).posted()

    rival = Interrupting(world.dynamodb, "transact_write_items", spend_what_comes_back)
    begin(world, monkeypatch, dynamodb=rival, clock=clock)

    reply = capture(till, clock, hold_id, 60)

    assert (reply.status, reply.code) == (409, "hold_not_open")
    assert world.loyalty.account(ANNA).total == 0


def test_only_so_many_holds_are_open_at_once(anna: Client, world: World, clock: Clock) -> None:
    world.post(earned(ANNA, 400, sale_id="20261123T090000Z.later"))
    for _ in range(8):
        assert hold(anna, clock, 35).status == 201
    before = world.loyalty.account(ANNA)

    reply = hold(anna, clock, 35)

    assert (reply.code, reply.facts) == ("too_many", {"limit": "holds", "allowed": 8})
    assert world.loyalty.account(ANNA) == before


def test_a_hold_and_a_capture_each_cost_one_read_and_one_transaction_of_two_items(
    anna: Client, till: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting = Counting(world.dynamodb)
    clock = begin(world, monkeypatch, dynamodb=counting)
    monkeypatch.setattr(handler.loyalty, "_dynamodb", counting)
    spend(anna, clock, 35)  # reads the program, which is remembered then

    counting.calls.clear()
    hold_id = hold(anna, clock, 35).body["hold_id"]
    assert counting.calls == {"get_item": 1, "transact_write_items": 1}
    counting.calls.clear()
    capture(till, clock, hold_id, 35)

    assert counting.calls == {"get_item": 1, "transact_write_items": 1}


# --- given and changed ------------------------------------------------------------------------


def transfer(client: Client, clock: Clock, points: int = 60, **values: Any) -> Reply:
    body = {"to": BERT, "points": points, "asked_at": format_instant(clock.now), **values}
    return client.post("/members/me/transfers", body)


@pytest.mark.parametrize("purpose", ["transfer", "gift"])
def test_what_is_given_keeps_its_last_days(
    anna: Client, world: World, clock: Clock, purpose: str
) -> None:
    reply = transfer(anna, clock, 60, purpose=purpose)

    assert (reply.status, reply.body["kind"], reply.body["points"]) == (201, "transfer_out", -60)
    assert world.loyalty.account(BERT).buckets == {JUNE: 40, DECEMBER: 20}
    assert world.loyalty.entry(ANNA, reply.body["entry_id"]).reason == purpose


def test_no_more_is_given_in_a_day_than_the_program_allows(
    anna: Client, world: World, clock: Clock
) -> None:
    transfer(anna, clock, 60)

    reply = transfer(anna, clock, 11)
    assert (reply.code, reply.facts["limit"]) == ("limit_exceeded", "transfer_points")
    assert transfer(anna, clock, 10).status == 201
    assert transfer(anna, clock, 1).facts["limit"] == "transfer_points"
    clock.passes(days=1)
    assert transfer(anna, clock, 30).status == 201

    assert (has(world), has(world, BERT)) == (0, 100)


def test_nothing_is_given_to_oneself_or_to_nobody(anna: Client, world: World, clock: Clock) -> None:
    before = world.loyalty.account(ANNA)

    assert transfer(anna, clock, to=ANNA).code == "transfer_to_self"
    assert transfer(anna, clock, to="sub-nobody").code == "unknown_member"
    assert transfer(anna, clock, wallet="growth").code == "not_spendable"

    assert world.loyalty.account(ANNA) == before


@pytest.mark.parametrize("reason", ["full", "frozen", "merged"])
def test_why_a_receiver_cannot_take_points_is_not_told(
    anna: Client, world: World, clock: Clock, reason: str
) -> None:
    common: dict[str, Any] = {
        "entry_id": "20261123T090000Z.before",
        "owner": BERT,
        "source": "ticket:1",
        "reason": "test",
        "actor": "office",
        "occurred_at": clock.now,
    }
    match reason:
        case "full":
            world.post(earned(BERT, 990, sale_id="20261123T090000Z.many"))
        case "frozen":
            world.post(c.Freeze(**common))
        case "merged":
            world.post(c.Merge(**common, into="sub-carl"))
    before = world.loyalty.account(ANNA), world.loyalty.account(BERT)

    reply = transfer(anna, clock, 60)

    assert (reply.status, reply.code, reply.facts) == (409, "receiver_cannot", {})
    assert (world.loyalty.account(ANNA), world.loyalty.account(BERT)) == before


def test_a_frozen_wallet_gives_nothing_and_its_owner_is_told(
    anna: Client, world: World, clock: Clock
) -> None:
    world.post(
        c.Freeze(
            entry_id="20261123T090000Z.freeze",
            owner=ANNA,
            source="ticket:1",
            reason="fraud",
            actor="office",
            occurred_at=clock.now,
        )
    )
    before = world.loyalty.account(ANNA)

    for reply in (transfer(anna, clock), spend(anna, clock), hold(anna, clock)):
        assert (reply.code, reply.facts) == ("account_frozen", {"owner": ANNA})

    assert world.loyalty.account(ANNA) == before


def convert(client: Client, clock: Clock, points: int, into: str, wallet: str) -> Reply:
    return client.post(
        "/members/me/conversions",
        {
            "points": points,
            "wallet": wallet,
            "into_wallet": into,
            "asked_at": format_instant(clock.now),
        },
    )


def test_points_become_a_partners_by_the_programs_rate_and_a_validity_of_their_own(
    anna: Client, world: World, clock: Clock
) -> None:
    reply = convert(anna, clock, 50, "partner-airline", "points")

    assert (reply.status, reply.body["gained"], reply.body["given"]["points"]) == (201, 20, -50)
    assert world.loyalty.account(ANNA, "partner-airline").buckets == {date(2027, 5, 31): 20}
    assert has(world) == 50
    back = convert(anna, clock, 20, "points", "partner-airline")
    assert back.body["gained"] == 40
    assert has(world) == 90


def test_only_whole_steps_and_known_pairs_are_converted(
    anna: Client, world: World, clock: Clock
) -> None:
    before = world.loyalty.account(ANNA)

    assert convert(anna, clock, 51, "partner-airline", "points").facts["multiple"] == 5
    for into in ("growth", "points", "partner-hotel"):
        assert convert(anna, clock, 50, into, "points").code == "unknown_rate"

    assert world.loyalty.account(ANNA) == before


def test_a_wallet_and_a_pool_are_not_named_together(
    anna: Client, world: World, clock: Clock
) -> None:
    before = world.snapshot()

    reply = spend(anna, clock, wallet="points", pool_id="p-1")

    assert (reply.status, reply.facts["findings"][0]["reason"]) == (422, "beside_a_pool")
    assert world.snapshot() == before


def forget_answers(world: World) -> None:
    """Forget what requests were answered, as a function does that dies before it answers."""
    for item in world.dynamodb.scan(TableName="requests")["Items"]:
        world.dynamodb.delete_item(TableName="requests", Key={"id": item["id"]})
