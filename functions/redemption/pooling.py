"""
The routes for pools: an account that a family or a fleet fills and spends of together.

Whoever opens a pool is its head, and says who is in it and what each may spend of it in a day.
Members spend of it as of their own wallets (`functions.redemption.redeeming`), by its id.
"""

from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path

from forecourt.booking_errors import TooManyPools
from forecourt.callers import Permission
from forecourt.errors import Forbidden
from forecourt.ledger import settled
from forecourt.ledger.commands import Purpose, Transfer
from forecourt.ledger.spending import counter_of
from forecourt.once import Answer
from forecourt.pools import Pool, owner_of
from functions.redemption.bodies import MEMBER_ID, POOL_ID, OfAWallet, RedeemedView, redeemed
from functions.redemption.counter import Counter, MemberId, Purse
from functions.redemption.pool_bodies import (
    LimitOrder,
    MembershipsView,
    PoolMove,
    PoolOrder,
    PoolView,
)

TAG = "pools"
POOLS_MAX = 8  # that one member heads

PoolId = Annotated[str, Path(pattern=POOL_ID, examples=["p-9f86d081884c7d659a2feaa0c55ad015"])]
OtherId = Annotated[
    str,
    Path(description="A member's id, or `me`", pattern=MEMBER_ID),
]


class PoolRoutes:
    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        pools = "/members/<member_id>/pools"
        pool = f"{pools}/<pool_id>"
        for method, path, route, status in (
            ("POST", pools, self.open_pool, 201),
            ("GET", pools, self.list_pools, 200),
            ("GET", pool, self.show_pool, 200),
            ("PUT", f"{pool}/members/<other_id>", self.set_limit, 200),
            ("DELETE", f"{pool}/members/<other_id>", self.leave_pool, 204),
            ("POST", f"{pool}/contributions", self.contribute, 201),
            ("POST", f"{pool}/withdrawals", self.withdraw, 201),
        ):
            counter.door.add(method, path, route, tag=TAG, status=status)

    def open_pool(self, member_id: MemberId, body: PoolOrder) -> Response[PoolView]:
        """Open a pool with the member as its head; it has nothing until somebody contributes."""
        counter, caller = self._counter, self._counter.door.caller
        member_id = caller.member_named(member_id, Permission.KEEP_POOLS)
        # Of the request alone, so that one that comes again after a crash opens no other.
        pool_id = f"p-{counter.door.id_about(member_id)}"

        def perform() -> Answer:
            counter.loyalty.require_member(member_id)
            own = {
                each.pool_id
                for each in counter.pools.memberships(member_id)
                if each.head == member_id
            }
            if pool_id not in own and len(own) >= POOLS_MAX:
                raise TooManyPools(limit=POOLS_MAX)
            pool = counter.pools.open(
                Pool(
                    pool_id=pool_id,
                    wallet=body.wallet,
                    head=member_id,
                    limits={member_id: body.daily_points},
                    opened_at=counter.now(),
                )
            )
            return Answer(
                status=201,
                body=self._view(pool, member_id),
                headers={"Location": f"/members/{member_id}/pools/{pool_id}"},
            )

        return counter.door.once(perform)

    def list_pools(self, member_id: MemberId) -> Response[MembershipsView]:
        """List the pools a member is in."""
        counter = self._counter
        member_id = counter.door.caller.member_named(member_id, Permission.READ_MEMBERS)
        memberships = counter.pools.memberships(member_id)
        if not memberships:
            counter.loyalty.refuse_erased(member_id)
        return counter.door.show(
            {
                "pools": [
                    {"pool_id": each.pool_id, "wallet": each.wallet, "head": each.head}
                    for each in memberships
                ]
            }
        )

    def show_pool(self, member_id: MemberId, pool_id: PoolId) -> Response[PoolView]:
        """Show what a pool has, and what its members may spend of it and have spent today."""
        counter = self._counter
        member_id = counter.door.caller.member_named(member_id, Permission.READ_MEMBERS)
        return counter.door.show(self._view(counter.pool_of(member_id, pool_id), member_id))

    def set_limit(
        self, member_id: MemberId, pool_id: PoolId, other_id: OtherId, body: LimitOrder
    ) -> Response[PoolView]:
        """Let somebody spend so much of the pool in a day; only its head may."""
        counter, caller = self._counter, self._counter.door.caller
        member_id = caller.member_named(member_id, Permission.KEEP_POOLS)
        other_id = member_id if other_id == "me" else other_id

        def change(pool: Pool) -> Pool:
            self._require_head(pool, member_id)
            if other_id not in pool.limits:
                counter.require_other(other_id)
            return pool.with_member(other_id, body.daily_points)

        def perform() -> Answer:
            pool = counter.pools.change(pool_id, change, request_id=counter.door.exact_id)
            return Answer(status=200, body=self._view(pool, member_id))

        return counter.door.once(perform)

    def leave_pool(self, member_id: MemberId, pool_id: PoolId, other_id: OtherId) -> Response[None]:
        """Leave a pool or, as its head, take somebody out of it; what they hold they may spend."""
        counter, caller = self._counter, self._counter.door.caller
        member_id = caller.member_named(member_id, Permission.KEEP_POOLS)
        other_id = member_id if other_id == "me" else other_id

        def change(pool: Pool) -> Pool:
            if other_id != member_id:
                self._require_head(pool, member_id)
            else:
                counter.require_in(pool, member_id)
            return pool.without_member(other_id)

        def perform() -> Answer:
            counter.pools.change(pool_id, change, request_id=counter.door.exact_id)
            return Answer(status=204)

        return counter.door.once(perform)

    def contribute(
        self, member_id: MemberId, pool_id: PoolId, body: PoolMove
    ) -> Response[RedeemedView]:
        """Put points of the member's own into a pool they are in."""
        counter, caller = self._counter, self._counter.door.caller
        member_id = caller.member_named(member_id, Permission.SPEND_POINTS)
        named = self._named(member_id, pool_id, body)

        def prepare() -> tuple[Transfer, Purse]:
            pool = counter.pool_of(member_id, pool_id)
            put_in = Transfer(
                **named,
                wallet=pool.wallet,
                receiver=pool.owner,
                points=body.points,
                purpose=Purpose.POOL,
            )
            return put_in, counter.purse(member_id, OfAWallet(wallet=pool.wallet))

        def perform() -> Answer:
            return Answer(status=201, body=redeemed(counter.carry_out(named, prepare)))

        return counter.door.once(perform)

    def withdraw(
        self, member_id: MemberId, pool_id: PoolId, body: PoolMove
    ) -> Response[RedeemedView]:
        """
        Take points out of a pool into its head's own wallet; only the head may.

        They were others', too, so it counts as what the head gives away in a day, out of
        whichever pool.
        """
        counter, caller = self._counter, self._counter.door.caller
        member_id = caller.member_named(member_id, Permission.SPEND_POINTS)
        named = self._named(owner_of(pool_id), pool_id, body)

        def prepare() -> tuple[Transfer, Purse]:
            purse = counter.purse(member_id, OfAWallet(pool_id=pool_id))
            self._require_head(counter.pools.pool(pool_id), member_id)
            taken_out = Transfer(
                **named,
                wallet=purse.wallet,
                receiver=member_id,
                points=body.points,
                purpose=Purpose.WITHDRAWAL,
            )
            return taken_out, purse

        def perform() -> Answer:
            return Answer(status=201, body=redeemed(counter.carry_out(named, prepare)))

        return counter.door.once(perform)

    def _named(self, owner: str, pool_id: str, order: PoolMove) -> dict[str, Any]:
        told = {"source": f"pool:{pool_id}", "reason": "pool"}
        return self._counter.named("pool", owner, order) | told

    def _require_head(self, pool: Pool, member_id: str) -> None:
        """Raise `UnknownPool` for who is not in the pool, and `Forbidden` but for its head."""
        self._counter.require_in(pool, member_id)
        if pool.head != member_id:
            raise Forbidden

    def _view(self, pool: Pool, member_id: str) -> dict[str, Any]:
        now, policies = self._counter.now(), self._counter.policies()
        account = self._counter.loyalty.account(pool.owner, pool.wallet)
        account = settled(account, now=now, policies=policies)
        today = policies.of(pool.wallet).day_of(account, now)
        used = account.used if account.counted_on == today else {}
        return {
            "pool_id": pool.pool_id,
            "wallet": pool.wallet,
            "head": pool.head,
            "points": account.available(today),
            "held": sum(hold.points for hold in account.holds.values()),
            "members": [
                {
                    "member_id": each,
                    "daily_points": limit,
                    "used_today": used.get(counter_of(each), 0),
                }
                for each, limit in sorted(pool.limits.items())
                if member_id in {each, pool.head}
            ],
            "version": pool.version,
        }
