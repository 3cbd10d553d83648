"""Pools: opened, filled, and spent of by their members within their limits."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from forecourt.errors import StaleWrite
from forecourt.instants import format_instant
from forecourt.pools import POOL_MEMBERS_MAX, Pool
from forecourt.pools_table import PoolsTable
from functions.redemption.pooling import POOLS_MAX
from tests.functional.clients import Interrupting, Paging, Reluctant, cancellation, refusal
from tests.functional.conftest import LOYALTY_TABLE
from tests.functional.redeeming import (
    ANNA,
    BEGINS_AT,
    BERT,
    JUNE,
    Clock,
    begin_with,
    capture,
    hold,
    release,
    somebody,
    spend,
)
from tests.functional.test_redemption_api import forget_answers
from tests.functional.world import with_wallets

if TYPE_CHECKING:
    from tests.functional.http import Client, Reply
    from tests.functional.world import World

CARL = "sub-carl"
TILL = somebody("sub-till", "attendant")


@pytest.fixture(autouse=True)
def clock(world: World, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Begin with three members, one of whom has 300 points, and who may give away 50 a day."""
    program = with_wallets(points={"transfer_points": 50})
    return begin_with(world, monkeypatch, program, ANNA, BERT, CARL, points={JUNE: 300})


@pytest.fixture
def anna() -> Client:
    return somebody(ANNA)


@pytest.fixture
def bert() -> Client:
    return somebody(BERT)


@pytest.fixture
def pool_id(anna: Client, clock: Clock) -> str:
    """Open Anna's pool of 200 points, of which Bert may spend 80 a day; return its id."""
    opened: str = anna.post("/members/me/pools", {"daily_points": 150}).body["pool_id"]
    assert limit(anna, opened, BERT, 80).status == 200
    assert move(anna, clock, opened, 200).status == 201
    return opened


def limit(client: Client, pool_id: str, member_id: str, points: int | None) -> Reply:
    return client.put(f"/members/me/pools/{pool_id}/members/{member_id}", {"daily_points": points})


def move(
    client: Client, clock: Clock, pool_id: str, points: int, *, how: str = "contributions"
) -> Reply:
    body = {"points": points, "asked_at": format_instant(clock.now)}
    return client.post(f"/members/me/pools/{pool_id}/{how}", body)


def shown(client: Client, pool_id: str) -> dict[str, Any]:
    view: dict[str, Any] = client.get(f"/members/me/pools/{pool_id}").body
    return view


def owner(pool_id: str) -> str:
    return f"pool:{pool_id}"


def test_who_opens_a_pool_is_its_head_and_in_it(anna: Client, world: World) -> None:
    reply = anna.post("/members/me/pools", {"daily_points": 150})

    pool_id = reply.body["pool_id"]
    assert (reply.status, reply.headers["Location"]) == (201, f"/members/{ANNA}/pools/{pool_id}")
    assert reply.body == shown(anna, pool_id)
    assert (reply.body["head"], reply.body["points"], reply.body["held"]) == (ANNA, 0, 0)
    assert reply.body["members"] == [{"member_id": ANNA, "daily_points": 150, "used_today": 0}]
    listed = anna.get("/members/me/pools").body["pools"]
    assert listed == [{"pool_id": pool_id, "wallet": "points", "head": ANNA}]
    assert world.loyalty.account(owner(pool_id)).version == 0


def test_a_request_that_comes_again_opens_no_other_pool(anna: Client, world: World) -> None:
    first = anna.post("/members/me/pools", {}, key="1")
    forget_answers(world)

    again = anna.post("/members/me/pools", {}, key="1")

    assert (again.status, again.body) == (first.status, first.body)
    assert len(anna.get("/members/me/pools").body["pools"]) == 1


def test_what_is_contributed_keeps_its_days_and_is_no_gift(
    anna: Client, pool_id: str, world: World
) -> None:
    assert world.loyalty.account(owner(pool_id)).buckets == {JUNE: 200}
    assert world.loyalty.account(ANNA).buckets == {JUNE: 100}
    assert shown(anna, pool_id)["points"] == 200


def test_a_member_spends_of_the_pool_up_to_their_limit_of_the_day(
    anna: Client, bert: Client, pool_id: str, world: World, clock: Clock
) -> None:
    assert spend(bert, clock, 50, pool_id=pool_id).body["member_id"] == owner(pool_id)
    before = world.loyalty.account(owner(pool_id))

    reply = spend(bert, clock, 31, pool_id=pool_id)

    assert (reply.status, reply.code) == (409, "limit_exceeded")
    assert reply.facts == {"limit": "member", "allowed": 80, "used": 50, "requested": 31}
    assert world.loyalty.account(owner(pool_id)) == before
    assert spend(bert, clock, 30, pool_id=pool_id).status == 201
    assert spend(anna, clock, 120, pool_id=pool_id).status == 201
    used = {each["member_id"]: each["used_today"] for each in shown(anna, pool_id)["members"]}
    assert used == {ANNA: 120, BERT: 80}


def test_the_limit_begins_anew_at_the_programs_midnight(
    anna: Client, bert: Client, pool_id: str, clock: Clock
) -> None:
    clock.now = datetime(2026, 11, 23, 23, 59, 59, tzinfo=ZoneInfo("Asia/Shanghai"))
    spend(bert, clock, 80, pool_id=pool_id)
    assert spend(bert, clock, 1, pool_id=pool_id).code == "limit_exceeded"

    clock.passes(seconds=1)

    assert [each["used_today"] for each in shown(anna, pool_id)["members"]] == [0, 0]
    assert spend(bert, clock, 80, pool_id=pool_id).status == 201


def test_who_has_no_limit_may_spend_all_of_it(
    anna: Client, bert: Client, pool_id: str, world: World, clock: Clock
) -> None:
    limit(anna, pool_id, BERT, None)

    assert spend(bert, clock, 200, pool_id=pool_id).status == 201
    assert world.loyalty.account(owner(pool_id)).total == 0


def test_what_a_member_holds_of_the_pool_counts_and_the_till_captures_it(
    anna: Client, bert: Client, pool_id: str, clock: Clock
) -> None:
    held = hold(bert, clock, 80, pool_id=pool_id).body
    assert spend(bert, clock, 1, pool_id=pool_id).code == "limit_exceeded"
    path = f"/members/{BERT}/holds/{held['hold_id']}"
    assert TILL.get(path, pool_id=pool_id).body == held

    reply = capture(TILL, clock, held["hold_id"], 50, BERT, pool_id=pool_id)

    assert reply.body["points"] == -50
    assert shown(anna, pool_id)["points"] == 150
    # What went back may be spent again.
    assert spend(bert, clock, 30, pool_id=pool_id).status == 201
    assert spend(bert, clock, 1, pool_id=pool_id).code == "limit_exceeded"


def test_a_hold_of_a_pool_is_its_members_alone(
    anna: Client, bert: Client, pool_id: str, world: World, clock: Clock
) -> None:
    hold_id = hold(bert, clock, 80, pool_id=pool_id).body["hold_id"]
    before = world.loyalty.account(owner(pool_id))

    for reply in (
        capture(TILL, clock, hold_id, 80, ANNA, pool_id=pool_id),
        release(anna, clock, hold_id, ANNA, pool_id=pool_id),
    ):
        assert (reply.status, reply.code) == (409, "hold_not_open")
    for reply in (
        TILL.get(f"/members/{ANNA}/holds/{hold_id}", pool_id=pool_id),
        TILL.get(f"/members/{BERT}/holds/{hold_id}"),
    ):
        assert (reply.status, reply.code) == (404, "unknown_hold")

    assert world.loyalty.account(owner(pool_id)) == before


def test_who_left_spends_no_more_but_what_they_held(
    anna: Client, bert: Client, pool_id: str, world: World, clock: Clock
) -> None:
    hold_id = hold(bert, clock, 30, pool_id=pool_id).body["hold_id"]

    assert bert.delete(f"/members/me/pools/{pool_id}/members/me").status == 204

    assert bert.get("/members/me/pools").body["pools"] == []
    assert spend(bert, clock, 10, pool_id=pool_id).code == "unknown_pool"
    assert bert.get(f"/members/me/pools/{pool_id}").code == "unknown_pool"
    assert capture(TILL, clock, hold_id, 30, BERT, pool_id=pool_id).status == 200
    assert [each["member_id"] for each in shown(anna, pool_id)["members"]] == [ANNA]
    assert world.loyalty.account(owner(pool_id)).total == 170


def test_the_head_takes_somebody_out_and_stays(
    anna: Client, bert: Client, pool_id: str, world: World
) -> None:
    path = f"/members/me/pools/{pool_id}/members"
    assert anna.delete(f"{path}/{BERT}").status == 204
    before = world.snapshot()

    assert anna.delete(f"{path}/{BERT}").code == "not_in_pool"
    assert anna.delete(f"{path}/me").code == "head_stays"

    assert world.snapshot() == before
    assert bert.get("/members/me/pools").body["pools"] == []


def test_only_the_head_says_who_is_in_it_and_takes_points_out(
    bert: Client, pool_id: str, world: World, clock: Clock
) -> None:
    before = world.snapshot()

    assert limit(bert, pool_id, BERT, 200).code == "forbidden"
    assert limit(bert, pool_id, CARL, 200).code == "forbidden"
    assert bert.delete(f"/members/me/pools/{pool_id}/members/{ANNA}").code == "forbidden"
    assert move(bert, clock, pool_id, 10, how="withdrawals").code == "forbidden"

    assert world.snapshot() == before


def test_a_pool_is_unknown_to_who_is_not_in_it(pool_id: str, world: World, clock: Clock) -> None:
    carl = somebody(CARL)
    before = world.snapshot()

    for reply in (
        carl.get(f"/members/me/pools/{pool_id}"),
        spend(carl, clock, 10, pool_id=pool_id),
        hold(carl, clock, 10, pool_id=pool_id),
        move(carl, clock, pool_id, 10),
        limit(carl, pool_id, CARL, 10),
        carl.delete(f"/members/me/pools/{pool_id}/members/me"),
        spend(carl, clock, 10, pool_id="p-none"),
    ):
        assert (reply.status, reply.code) == (404, "unknown_pool")

    assert world.snapshot() == before


def test_others_see_of_the_members_only_themselves(bert: Client, pool_id: str) -> None:
    assert [each["member_id"] for each in shown(bert, pool_id)["members"]] == [BERT]


def test_what_the_head_takes_out_is_bounded_like_a_gift(
    anna: Client, pool_id: str, world: World, clock: Clock
) -> None:
    assert move(anna, clock, pool_id, 50, how="withdrawals").status == 201

    reply = move(anna, clock, pool_id, 1, how="withdrawals")

    assert (reply.code, reply.facts["limit"]) == ("limit_exceeded", "transfer_points")
    assert world.loyalty.account(ANNA).total == 150


def test_who_heads_many_pools_gives_away_no_more_in_a_day_than_anybody(
    anna: Client, pool_id: str, world: World, clock: Clock
) -> None:
    other: str = anna.post("/members/me/pools", {}).body["pool_id"]
    move(anna, clock, other, 100)
    gift = {"to": BERT, "points": 11, "asked_at": format_instant(clock.now)}
    assert move(anna, clock, pool_id, 40, how="withdrawals").status == 201
    before = [world.loyalty.account(each) for each in (owner(pool_id), owner(other), ANNA)]

    for reply in (
        move(anna, clock, other, 11, how="withdrawals"),
        anna.post("/members/me/transfers", gift),
    ):
        assert (reply.code, reply.facts["used"]) == ("limit_exceeded", 40)

    assert [world.loyalty.account(each) for each in (owner(pool_id), owner(other), ANNA)] == before
    assert move(anna, clock, other, 10, how="withdrawals").status == 201


def test_nobody_unknown_gets_into_a_pool_or_opens_one(
    anna: Client, pool_id: str, world: World
) -> None:
    before = world.snapshot()

    assert limit(anna, pool_id, "sub-nobody", 10).code == "unknown_member"
    assert somebody("sub-nobody").post("/members/me/pools", {}).code == "unknown_member"

    assert world.snapshot() == before


def test_a_limit_set_again_writes_nothing(anna: Client, pool_id: str, world: World) -> None:
    before = world.snapshot()

    assert limit(anna, pool_id, BERT, 80).status == 200

    assert world.snapshot() == before


def test_a_member_heads_only_so_many_pools(anna: Client, world: World) -> None:
    for _ in range(POOLS_MAX):
        assert anna.post("/members/me/pools", {}).status == 201
    before = world.snapshot()

    reply = anna.post("/members/me/pools", {})

    assert (reply.code, reply.facts) == ("too_many_pools", {"limit": POOLS_MAX})
    assert world.snapshot() == before


def test_a_pool_takes_only_so_many_members(anna: Client, pool_id: str, world: World) -> None:
    full = {f"sub-{number}": 1 for number in range(POOL_MEMBERS_MAX - 2)}
    world.pools.change(
        pool_id,
        lambda pool: replace(pool, limits={**pool.limits, **full}, version=pool.version + 1),
    )
    before = world.snapshot()

    reply = limit(anna, pool_id, CARL, 1)

    assert (reply.code, reply.facts) == ("too_many_in_pool", {"limit": POOL_MEMBERS_MAX})
    assert world.snapshot() == before


def test_two_changes_at_once_are_both_kept(pool_id: str, world: World) -> None:
    def carl_comes() -> None:
        world.pools.change(pool_id, lambda pool: pool.with_member(CARL, 5))

    rival = Interrupting(world.dynamodb, "transact_write_items", carl_comes)

    PoolsTable(rival, name=LOYALTY_TABLE).change(pool_id, lambda pool: pool.without_member(BERT))

    assert world.pools.pool(pool_id).limits == {ANNA: 150, CARL: 5}
    assert [each.pool_id for each in world.pools.memberships(CARL)] == [pool_id]
    assert world.pools.memberships(BERT) == []


def test_a_table_that_stays_busy_is_no_answer(world: World, pool_id: str) -> None:
    before = world.snapshot()
    for error, raised in (
        (cancellation("TransactionConflict", "None"), StaleWrite),
        (refusal("ValidationException"), type(refusal("x"))),
    ):
        busy = Reluctant(world.dynamodb, "transact_write_items", *[error] * 8)
        with pytest.raises(raised):
            PoolsTable(busy, name=LOYALTY_TABLE).change(
                pool_id, lambda pool: pool.without_member(BERT)
            )

    assert world.snapshot() == before


def test_all_pools_of_a_member_are_found_page_by_page(anna: Client, world: World) -> None:
    for _ in range(3):
        anna.post("/members/me/pools", {})

    paging = PoolsTable(Paging(world.dynamodb, page=2), name=LOYALTY_TABLE)

    assert len(paging.memberships(ANNA)) == 3


def test_a_pool_has_its_head_in_it() -> None:
    with pytest.raises(ValueError, match="p-1"):
        Pool(pool_id="p-1", wallet="points", head=ANNA, limits={BERT: 1}, opened_at=BEGINS_AT)
