"""
A request has one answer, also when the function died between its effect and its answer.

Each test lets a request be answered, forgets the answer, as if it had never been kept, changes
what the request was decided by, and sends it again.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.instants import format_instant
from forecourt.ledger import commands as c
from tests.functional.redeeming import ANNA, BERT, JUNE, Clock, begin, begin_with, order, somebody
from tests.functional.test_redemption_api import forget_answers
from tests.functional.world import with_wallets
from tests.specimens import earned

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functional.http import Client, Reply
    from tests.functional.world import World

CARL = "sub-carl"
RATES = {"from_points": {"gives": 2, "per": 5}, "to_points": {"gives": 2, "per": 1}}


def program(**rates: Any) -> dict[str, Any]:
    return with_wallets(
        points={"ceiling": 1000, "transfer_points": 100},
        partners={"airline": {"validity": {"months": 6, "end_of": "month"}, **RATES, **rates}},
    )


@pytest.fixture(autouse=True)
def clock(world: World, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Begin with three members, one of whom has 100 points."""
    return begin_with(world, monkeypatch, program(), ANNA, BERT, CARL, points={JUNE: 100})


@pytest.fixture
def anna() -> Client:
    return somebody(ANNA)


@pytest.fixture
def pool_id(anna: Client, clock: Clock) -> str:
    """Open Anna's pool with 60 points, of which Bert may spend 40 a day; return its id."""
    opened: str = anna.post("/members/me/pools", {}).body["pool_id"]
    pool = f"/members/me/pools/{opened}"
    assert anna.put(f"{pool}/members/{BERT}", {"daily_points": 40}).status == 200
    asked = {"points": 60, "asked_at": format_instant(clock.now)}
    assert anna.post(f"{pool}/contributions", asked).status == 201
    return opened


def again(world: World, send: Callable[[], Reply], meanwhile: Callable[[], object]) -> Reply:
    """Send a request twice, its first answer lost, and something done in between."""
    first = send()
    forget_answers(world)
    meanwhile()
    before = world.snapshot()

    reply = send()

    assert (reply.status, reply.text) == (first.status, first.text)
    assert world.snapshot() == before
    return reply


def asked(clock: Clock, **values: Any) -> dict[str, Any]:
    return {"asked_at": format_instant(clock.now), **values}


# --- redeemed ---------------------------------------------------------------------------------


def test_a_hold_that_is_over_meanwhile_was_made(anna: Client, world: World, clock: Clock) -> None:
    body = order(clock, points=60)

    reply = again(
        world,
        lambda: anna.post("/members/me/holds", body, key="1"),
        lambda: clock.passes(minutes=20),
    )

    assert reply.status == 201


def test_a_spending_asked_for_as_long_ago_as_answers_are_kept_was_made(
    anna: Client, world: World, clock: Clock
) -> None:
    body = order(clock, points=60)
    clock.passes(hours=47)

    reply = again(
        world,
        lambda: anna.post("/members/me/spendings", body, key="1"),
        lambda: clock.passes(hours=2),
    )

    assert reply.status == 201


@pytest.mark.parametrize("what", ["spendings", "holds"])
@pytest.mark.parametrize(("points", "status"), [(30, 201), (50, 409)])
def test_what_a_member_did_with_a_pool_they_left_stays_done_or_refused(
    anna: Client, pool_id: str, world: World, clock: Clock, *, what: str, points: int, status: int
) -> None:
    bert, body = somebody(BERT), order(clock, points=points, pool_id=pool_id)

    reply = again(
        world,
        lambda: bert.post(f"/members/me/{what}", body, key="1"),
        lambda: anna.delete(f"/members/me/pools/{pool_id}/members/{BERT}"),
    )

    assert reply.status == status


def test_a_first_request_for_a_pool_that_was_left_is_refused(
    anna: Client, pool_id: str, world: World, clock: Clock
) -> None:
    anna.delete(f"/members/me/pools/{pool_id}/members/{BERT}")
    before = world.snapshot()

    reply = somebody(BERT).post("/members/me/spendings", order(clock, points=30, pool_id=pool_id))

    assert reply.code == "unknown_pool"
    assert world.snapshot() == before


def test_a_key_stands_for_one_request_also_when_its_answer_was_lost(
    anna: Client, pool_id: str, world: World, clock: Clock
) -> None:
    bert, body = somebody(BERT), order(clock, points=30, pool_id=pool_id)
    bert.post("/members/me/spendings", body, key="1")
    forget_answers(world)
    other = {**body, "points": 31}

    there = bert.post("/members/me/spendings", other, key="1")
    anna.delete(f"/members/me/pools/{pool_id}/members/{BERT}")
    left = bert.post("/members/me/spendings", other, key="1")

    for reply in (there, left):
        assert (reply.status, reply.code) == (422, "idempotency_key_reused")
    account = world.loyalty.account(f"pool:{pool_id}")
    assert (account.total, account.version) == (30, 2)


# --- given and changed ------------------------------------------------------------------------


@pytest.mark.parametrize("purpose", ["transfer", "gift"])
def test_what_was_given_to_somebody_who_was_erased_since_was_given(
    anna: Client, world: World, clock: Clock, purpose: str
) -> None:
    body = asked(clock, to=BERT, points=60, purpose=purpose)

    reply = again(
        world,
        lambda: anna.post("/members/me/transfers", body, key="1"),
        lambda: world.members.erase(BERT, erased_by=BERT, erased_at=clock.now),
    )

    assert reply.status == 201


def test_what_a_receiver_could_not_take_they_cannot_take_under_that_key(
    anna: Client, world: World, clock: Clock
) -> None:
    common: dict[str, Any] = {
        "owner": BERT,
        "source": "ticket:1",
        "reason": "test",
        "actor": "office",
        "occurred_at": clock.now,
    }
    world.post(c.Freeze(entry_id="20261123T090000Z.freeze", **common))
    body = asked(clock, to=BERT, points=60)

    reply = again(
        world,
        lambda: anna.post("/members/me/transfers", body, key="1"),
        lambda: world.post(c.Unfreeze(entry_id="20261123T090001Z.unfreeze", **common)),
    )

    assert (reply.status, reply.code) == (409, "receiver_cannot")


@pytest.mark.parametrize(
    "rates",
    [
        {"from_points": {"gives": 1, "per": 5}},
        {"from_points": None, "to_points": None},
        {"validity": {"months": 12, "end_of": "day"}},
    ],
    ids=["another rate", "no rate", "another validity"],
)
def test_what_was_converted_under_an_earlier_program_was_converted_so(
    anna: Client,
    world: World,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    rates: dict[str, Any],
) -> None:
    body = asked(clock, points=50, into_wallet="partner-airline")

    def change() -> None:
        clock.passes(minutes=10)
        world.activate(program(**rates), effective_at=clock.now - timedelta(minutes=5))
        begin(world, monkeypatch, clock=clock)

    reply = again(world, lambda: anna.post("/members/me/conversions", body, key="1"), change)

    assert (reply.status, reply.body["gained"]) == (201, 20)


def test_a_conversion_that_was_refused_stays_so_under_another_rate(
    anna: Client, world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = asked(clock, points=51, into_wallet="partner-airline")

    def change() -> None:
        clock.passes(minutes=10)
        world.activate(
            program(from_points={"gives": 1, "per": 3}),
            effective_at=clock.now - timedelta(minutes=5),
        )
        begin(world, monkeypatch, clock=clock)

    reply = again(world, lambda: anna.post("/members/me/conversions", body, key="1"), change)

    assert (reply.code, reply.facts["multiple"]) == ("not_a_multiple", 5)


# --- pools ------------------------------------------------------------------------------------


def test_what_was_contributed_before_leaving_was_contributed(
    anna: Client, pool_id: str, world: World, clock: Clock
) -> None:
    world.post(earned(BERT, 50, sale_id="20261123T080000Z.bert"))
    bert, body = somebody(BERT), asked(clock, points=50)
    path = f"/members/me/pools/{pool_id}"

    reply = again(
        world,
        lambda: bert.post(f"{path}/contributions", body, key="1"),
        lambda: anna.delete(f"{path}/members/{BERT}"),
    )

    assert reply.status == 201


def test_what_its_head_took_out_of_a_pool_is_out(
    anna: Client, pool_id: str, world: World, clock: Clock
) -> None:
    body = asked(clock, points=50)

    reply = again(
        world,
        lambda: anna.post(f"/members/me/pools/{pool_id}/withdrawals", body, key="1"),
        lambda: world.pools.change(pool_id, lambda pool: pool.forgetting(ANNA)),
    )

    assert reply.status == 201


def test_a_pool_that_was_opened_is_opened(anna: Client, world: World) -> None:
    reply = again(world, lambda: anna.post("/members/me/pools", {}, key="1"), lambda: None)

    assert reply.status == 201


@pytest.mark.parametrize("by", [ANNA, BERT])
def test_who_left_a_pool_has_left_it(pool_id: str, world: World, by: str) -> None:
    path = f"/members/me/pools/{pool_id}/members/{BERT}"

    reply = again(world, lambda: somebody(by).delete(path, key="1"), lambda: None)

    assert reply.status == 204


def test_a_limit_that_was_set_is_not_set_again_over_a_later_one(
    anna: Client, pool_id: str, world: World
) -> None:
    path = f"/members/me/pools/{pool_id}/members/{CARL}"
    anna.put(path, {"daily_points": 10}, key="1")
    forget_answers(world)
    anna.put(path, {"daily_points": 20})
    before = world.snapshot()

    assert anna.put(path, {"daily_points": 10}, key="1").status == 200

    assert world.snapshot() == before
