"""Money paid in at a till, what is given on top, and what of it is paid out again."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.instants import format_instant
from tests.functional.clients import Interrupting, Killed, Killing
from tests.functional.redeeming import (
    ANNA,
    BERT,
    Clock,
    begin,
    begin_with,
    hold,
    merge_one_wallet,
    somebody,
    spend,
)
from tests.functional.refusing import IMPOSSIBLE_TIMES, assert_refused_for_its_time
from tests.functional.test_one_answer import again
from tests.functional.test_redemption_api import forget_answers
from tests.functional.world import POLICIES, with_wallets
from tests.specimens import OPEN_SINCE, earned

if TYPE_CHECKING:
    from tests.functional.http import Client, Reply
    from tests.functional.world import World

STORED = {
    "registered_ceiling_fen": 300_000,
    "anonymous_ceiling_fen": 100_000,
    "bonuses": [
        {"from_fen": 50_000, "bonus_fen": 2_000},
        {"from_fen": 100_000, "bonus_fen": 10_000},
    ],
}
PROGRAM = with_wallets(stored_value=STORED)
BONUS_FIRST = with_wallets(stored_value={**STORED, "bonus_first": True})
WALLET = "stored_value"


@pytest.fixture(autouse=True)
def clock(world: World, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Begin with two members, and a program that gives something on top of what is paid in."""
    return begin_with(world, monkeypatch, PROGRAM, ANNA, BERT)


def pay_in(client: Client, clock: Clock, fen: int, member: str = ANNA, **values: Any) -> Reply:
    key = values.pop("key", None)
    body = {
        "amount_fen": fen,
        "station_id": "s0001",
        "receipt": "R-1",
        "paid_at": format_instant(clock.now),
        **values,
    }
    return client.post(f"/members/{member}/deposits", body, key=key)


def pay_out(client: Client, clock: Clock, entry_id: str, fen: int, **values: Any) -> Reply:
    key, member = values.pop("key", None), values.pop("member", ANNA)
    body = {
        "amount_fen": fen,
        "document": "O-1",
        "refunded_at": format_instant(clock.now),
        **values,
    }
    return client.post(f"/members/{member}/deposits/{entry_id}/refunds", body, key=key)


def money(world: World, member: str = ANNA) -> tuple[int, int]:
    """Return what a member has of paid-in money, and of what was given on top."""
    account = world.loyalty.account(member, WALLET)
    return account.buckets.get(None, 0), account.bonus.get(None, 0)


# --- paid in ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fen", "bonus"),
    [
        (1, 0),
        (49_999, 0),
        (50_000, 2_000),
        (99_999, 2_000),
        (100_000, 10_000),
        (200_000, 10_000),
    ],
)
def test_what_is_given_on_top_is_the_programs_by_the_money_paid_in_at_once(
    till: Client, world: World, clock: Clock, fen: int, bonus: int
) -> None:
    reply = pay_in(till, clock, fen)

    assert reply.status == 201
    told = [reply.body[name] for name in ("paid_fen", "bonus_fen", "paid_debt_fen")]
    assert told == [fen, bonus, 0]
    assert money(world) == (fen, bonus)


def test_a_deposit_says_who_took_it_for_which_receipt_and_by_which_program(
    till: Client, world: World, clock: Clock
) -> None:
    entry = world.loyalty.entry(ANNA, pay_in(till, clock, 100_000).body["entry_id"])

    assert (entry.actor, entry.reason) == ("sub-till", "deposit")
    assert (entry.source, entry.program_version) == ("receipt:s0001.R-1", 1)


def test_a_deposit_earns_no_points_and_is_spent_like_any_wallet(
    till: Client, world: World, clock: Clock
) -> None:
    pay_in(till, clock, 100_000)
    assert world.loyalty.account(ANNA).version == 0

    reply = spend(somebody(ANNA), clock, 104_000, wallet=WALLET)

    assert reply.body["lots"] == [
        {"points": 100_000, "expires_on": None, "bonus": False},
        {"points": 4_000, "expires_on": None, "bonus": True},
    ]


def test_a_registered_holders_wallet_takes_as_much_as_it_may_and_no_more(
    till: Client, world: World, clock: Clock
) -> None:
    assert pay_in(till, clock, 290_000).body["bonus_fen"] == 10_000
    before = world.loyalty.account(ANNA, WALLET)

    reply = pay_in(till, clock, 1, receipt="R-2")

    assert (reply.status, reply.code) == (409, "ceiling_exceeded")
    assert reply.facts == {"ceiling": 300_000, "held": 300_000, "requested": 1}
    assert world.loyalty.account(ANNA, WALLET) == before


def test_more_than_ever_fits_is_no_deposit(till: Client, world: World, clock: Clock) -> None:
    before = world.snapshot()

    assert pay_in(till, clock, 500_001).code == "invalid_request"
    assert pay_in(till, clock, 0).code == "invalid_request"
    assert pay_in(till, clock, 100, bonus_fen=5).code == "invalid_request"

    assert world.snapshot() == before


def test_one_receipt_is_one_deposit_whatever_key_it_comes_under(
    till: Client, manager: Client, world: World, clock: Clock
) -> None:
    paid_at = format_instant(clock.now)
    first = pay_in(till, clock, 50_000, key="1")
    clock.passes(minutes=5)

    again = pay_in(till, clock, 50_000, paid_at=paid_at, key="1")
    anew = pay_in(till, clock, 50_000, paid_at=paid_at, key="2")
    other = pay_in(till, clock, 60_000, paid_at=paid_at)
    colleague = pay_in(manager, clock, 50_000, paid_at=paid_at)

    assert first.body == again.body == anew.body == colleague.body
    assert again.headers["Idempotent-Replayed"] == "true"
    assert other.code == "entry_conflict"
    assert money(world) == (50_000, 2_000)
    assert pay_in(till, clock, 50_000, paid_at=paid_at, station_id="s0002").status == 201


def test_a_deposit_that_died_before_its_answer_is_made_once_with_its_own_bonus(
    till: Client, world: World, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    paid_at = format_instant(clock.now)
    dying = Killing(world.dynamodb, "transact_write_items", calls=1)
    begin(world, monkeypatch, dynamodb=dying, clock=clock)
    with pytest.raises(Killed):
        pay_in(till, clock, 100_000, key="1")
    forget_answers(world)
    generous = {**STORED, "bonuses": [{"from_fen": 1, "bonus_fen": 50_000}]}
    world.activate(
        with_wallets(stored_value=generous), effective_at=clock.now + timedelta(minutes=30)
    )
    clock.passes(minutes=40)
    begin(world, monkeypatch, clock=clock)

    assert pay_in(till, clock, 100, receipt="R-2").body["bonus_fen"] == 50_000
    clock.passes(days=2)
    reply = pay_in(till, clock, 100_000, paid_at=paid_at, key="1")

    assert (reply.status, reply.body["bonus_fen"]) == (201, 10_000)
    assert money(world) == (100_100, 60_000)


def test_a_program_without_stored_value_takes_no_money(
    till: Client, world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.activate(with_wallets(points={}), effective_at=clock.now)
    begin(world, monkeypatch, clock=clock)
    before = world.snapshot()

    reply = pay_in(till, clock, 100)
    assert (reply.status, reply.code, reply.facts) == (404, "unknown_wallet", {"wallet": WALLET})
    clock.now = OPEN_SINCE
    before_it = format_instant(OPEN_SINCE - timedelta(days=1))
    assert pay_in(till, clock, 100, paid_at=before_it).code == "unknown_wallet"

    assert world.snapshot() == before


def test_nobody_pays_in_for_who_is_unknown_erased_or_merged(
    till: Client, world: World, clock: Clock
) -> None:
    world.enrol("m-3")
    world.enrol("m-4")
    world.members.erase("m-3", erased_by="op", erased_at=clock.now)
    world.merged.merge(
        "m-4", BERT, policies=POLICIES, merged_by="op", reason="twice", merged_at=clock.now
    )
    before = world.snapshot()

    codes = [pay_in(till, clock, 100, member).code for member in ("m-9", "m-3", "m-4")]

    assert codes == ["unknown_member", "member_erased", "member_merged"]
    assert world.snapshot() == before


@IMPOSSIBLE_TIMES
def test_a_receipt_of_a_time_that_cannot_be_is_refused(
    till: Client, world: World, clock: Clock, minutes: int, reason: str
) -> None:
    paid_at = format_instant(clock.now + timedelta(minutes=minutes))

    assert_refused_for_its_time(world, lambda: pay_in(till, clock, 100, paid_at=paid_at), reason)


# --- paid out ---------------------------------------------------------------------------------


def test_a_deposit_nobody_spent_of_is_paid_out_and_its_bonus_goes(
    till: Client, manager: Client, world: World, clock: Clock
) -> None:
    entry_id = pay_in(till, clock, 100_000).body["entry_id"]

    reply = pay_out(manager, clock, entry_id, 100_000)

    assert reply.status == 201
    told = [reply.body[name] for name in ("refunded_fen", "bonus_fen", "owed_fen", "left_fen")]
    assert told == [100_000, 10_000, 0, 0]
    assert money(world) == (0, 0)
    entry = world.loyalty.entry(ANNA, reply.body["entry_id"])
    assert (entry.actor, entry.source, entry.refers_to) == ("sub-manager", "refund:O-1", entry_id)


def test_what_is_paid_out_in_parts_takes_its_bonus_along_to_the_last_fen(
    till: Client, manager: Client, world: World, clock: Clock
) -> None:
    entry_id = pay_in(till, clock, 100_000).body["entry_id"]

    replies = [
        pay_out(manager, clock, entry_id, fen, document=f"O-{number}")
        for number, fen in enumerate((33_333, 33_334, 33_333))
    ]

    assert [each.body["bonus_fen"] for each in replies] == [3_333, 3_333, 3_334]
    assert [each.body["left_fen"] for each in replies] == [66_667, 33_333, 0]
    assert money(world) == (0, 0)
    more = pay_out(manager, clock, entry_id, 1, document="O-4")
    assert (more.code, more.facts) == (
        "over_reversed",
        {"given": 100_000, "reversed": 100_000, "requested": 1},
    )


def test_no_money_is_paid_out_that_was_spent_or_is_held(
    till: Client, manager: Client, world: World, clock: Clock
) -> None:
    entry_id = pay_in(till, clock, 100_000).body["entry_id"]
    spend(somebody(ANNA), clock, 30_000, wallet=WALLET)
    hold(somebody(ANNA), clock, 10_000, wallet=WALLET)
    before = world.loyalty.account(ANNA, WALLET)

    reply = pay_out(manager, clock, entry_id, 60_001)

    assert (reply.status, reply.code) == (409, "principal_spent")
    assert reply.facts == {"requested": 60_001, "left": 60_000}
    assert world.loyalty.account(ANNA, WALLET) == before
    assert pay_out(manager, clock, entry_id, 60_000, document="O-2").status == 201
    assert money(world) == (0, 4_000)


def test_money_is_paid_out_by_the_same_rule_when_the_program_has_the_wallet_no_more(
    till: Client, manager: Client, world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry_id = pay_in(till, clock, 100_000).body["entry_id"]
    spend(somebody(ANNA), clock, 1, wallet=WALLET)
    world.activate(with_wallets(points={}), effective_at=clock.now)
    begin(world, monkeypatch, clock=clock)

    assert pay_out(manager, clock, entry_id, 100_000).code == "principal_spent"

    assert money(world) == (99_999, 10_000)
    assert pay_out(manager, clock, entry_id, 99_999, document="O-2").status == 201


def test_money_that_is_spent_while_it_is_paid_out_is_not_paid_out(
    till: Client, manager: Client, world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry_id = pay_in(till, clock, 100_000).body["entry_id"]

    def spend_it() -> None:
        begin(world, monkeypatch, clock=clock)
        assert spend(somebody(ANNA), clock, 1, wallet=WALLET).status == 201

    rival = Interrupting(world.dynamodb, "transact_write_items", spend_it)
    begin(world, monkeypatch, dynamodb=rival, clock=clock)

    reply = pay_out(manager, clock, entry_id, 100_000)

    assert (reply.code, reply.facts["left"]) == ("principal_spent", 99_999)
    assert money(world) == (99_999, 10_000)


def test_a_bonus_that_is_spent_is_owed_when_the_deposit_is_paid_out(
    till: Client, manager: Client, world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.activate(BONUS_FIRST, effective_at=clock.now)
    begin(world, monkeypatch, clock=clock)
    entry_id = pay_in(till, clock, 100_000).body["entry_id"]
    spend(somebody(ANNA), clock, 10_000, wallet=WALLET)
    assert money(world) == (100_000, 0)

    reply = pay_out(manager, clock, entry_id, 100_000)

    assert [reply.body[name] for name in ("refunded_fen", "bonus_fen", "owed_fen")] == [
        100_000,
        10_000,
        10_000,
    ]
    assert world.loyalty.account(ANNA, WALLET).debt == 10_000
    later = pay_in(till, clock, 20_000, receipt="R-2")
    assert (later.body["paid_debt_fen"], money(world)) == (10_000, (10_000, 0))


def test_one_document_pays_out_once_whoever_sends_it(
    till: Client, manager: Client, world: World, clock: Clock
) -> None:
    entry_id = pay_in(till, clock, 100_000).body["entry_id"]
    first = pay_out(manager, clock, entry_id, 40_000, key="1")

    again = pay_out(manager, clock, entry_id, 40_000, key="1")
    anew = pay_out(manager, clock, entry_id, 40_000)
    other = pay_out(somebody("sub-op", "operator"), clock, entry_id, 40_000)

    assert first.body == again.body == anew.body
    assert (other.status, other.code) == (409, "already_reversed")
    assert money(world) == (60_000, 6_000)


def test_only_a_deposit_is_paid_out_and_no_more_than_it_was(
    till: Client, manager: Client, world: World, clock: Clock
) -> None:
    world.post(earned(ANNA, 100))
    entry_id = pay_in(till, clock, 50_000).body["entry_id"]
    before = world.snapshot()

    points = pay_out(manager, clock, earned(ANNA, 100).entry_id, 50)
    more = pay_out(manager, clock, entry_id, 50_001)

    assert (points.code, points.facts["kind"]) == ("not_reversible", "earn")
    assert (more.status, more.facts["findings"][0]["reason"]) == (422, "more_than_was_paid")
    assert pay_out(manager, clock, "20261123T090000Z.none", 1).code == "unknown_entry"
    assert pay_out(manager, clock, entry_id, 1, member=BERT).code == "unknown_entry"
    assert world.snapshot() == before


def test_a_deposit_of_a_record_that_was_merged_is_paid_out_where_the_money_is(
    till: Client, manager: Client, world: World, clock: Clock
) -> None:
    entry_id = pay_in(till, clock, 50_000).body["entry_id"]
    world.merged.merge(
        ANNA, BERT, policies=POLICIES, merged_by="op", reason="twice", merged_at=clock.now
    )

    reply = pay_out(manager, clock, entry_id, 50_000)

    assert (reply.status, reply.body["member_id"]) == (201, BERT)
    assert (money(world), money(world, BERT)) == ((0, 0), (0, 0))


@pytest.mark.parametrize("gone", ["points", WALLET])
def test_a_deposit_is_paid_out_where_the_money_is_while_two_records_become_one(
    till: Client, manager: Client, world: World, clock: Clock, gone: str
) -> None:
    """A merge goes wallet by wallet, and the refund comes between two of them."""
    entry_id = pay_in(till, clock, 50_000).body["entry_id"]
    merge_one_wallet(world, clock, gone)

    reply = pay_out(manager, clock, entry_id, 50_000)

    holder = BERT if gone == WALLET else ANNA
    assert (reply.status, reply.body["member_id"]) == (201, holder)
    assert (money(world), money(world, BERT)) == ((0, 0), (0, 0))


def test_a_deposit_was_made_though_the_program_takes_no_money_since(
    till: Client, world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The till's clock is ahead, so the receipt's moment was still to come."""
    paid_at = format_instant(clock.now + timedelta(minutes=8))

    def meanwhile() -> None:
        soon = clock.now + timedelta(minutes=5)
        world.activate(with_wallets(points={}), effective_at=soon)
        begin(world, monkeypatch, clock=clock)

    reply = again(world, lambda: pay_in(till, clock, 50_000, paid_at=paid_at, key="1"), meanwhile)

    assert reply.status == 201


def test_a_till_takes_money_and_a_manager_pays_it_out(
    till: Client, manager: Client, world: World, clock: Clock
) -> None:
    entry_id = pay_in(till, clock, 50_000).body["entry_id"]
    before = world.snapshot()

    assert pay_out(till, clock, entry_id, 1).code == "forbidden"
    assert pay_in(somebody("sub-1", "auditor"), clock, 1).code == "forbidden"
    assert pay_in(somebody(ANNA), clock, 1).code == "unknown_member"

    assert world.snapshot() == before
    assert pay_in(manager, clock, 1, receipt="R-2").status == 201
