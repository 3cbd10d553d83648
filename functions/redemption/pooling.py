"""
The routes for pools: an account that a family or a fleet fills and spends of together.

Whoever opens a pool is its head, and says who is in it and what each may spend of it in a day.
Members spend of it as of their own wallets (`functions.redemption.redeeming`), by its id.
"""

import hashlib
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path

from forecourt.callers import Permission
from forecourt.errors import Forbidden, TooManyPools
from forecourt.ledger import settled
from forecourt.ledger.commands import Purpose, Transfer
from forecourt.ledger.spending import counter_of
from forecourt.once import Answer
from forecourt.pools import Pool
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
        named = hashlib.sha256(f"{counter.door.request_id}\n{member_id}".encode()).hexdigest()
        pool_id = f"p-{named[:32]}"

        def perform() -> Answer:
            counter.loyalty.require_member(member_id)
            own = {
                each.pool_id
                for each in counter.pools.memberships(member_id)
                if each.head == member_id
            }
            if pool_id not in own and len(own) >= POOLS_MAX:
                raise TooManyPools(limit=POOLS_MAX)
            pool, new = counter.pools.open(
                Pool(
                    pool_id=pool_id,
                    wallet=body.wallet,
                    head=member_id,
                    limits={member_id: body.daily_points},
                    opened_at=counter.now(),
                )
            )
            return Answer(
                status=201 if new else 200,
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

        def perform() -> Answer:
            if other_id not in self._headed_by(member_id, pool_id).limits:
                counter.require_other(other_id)
            pool = counter.pools.change(
                pool_id, lambda pool: pool.with_member(other_id, body.daily_points)
            )
            return Answer(status=200, body=self._view(pool, member_id))

        return counter.door.once(perform)

    def leave_pool(self, member_id: MemberId, pool_id: PoolId, other_id: OtherId) -> Response[None]:
        """Leave a pool or, as its head, take somebody out of it; what they hold they may spend."""
        counter, caller = self._counter, self._counter.door.caller
        member_id = caller.member_named(member_id, Permission.KEEP_POOLS)
        other_id = member_id if other_id == "me" else other_id

        def perform() -> Answer:
            if other_id != member_id:
                self._headed_by(member_id, pool_id)
            else:
                counter.pool_of(member_id, pool_id)
            counter.pools.change(pool_id, lambda pool: pool.without_member(other_id))
            return Answer(status=204)

        return counter.door.once(perform)

    def contribute(
        self, member_id: MemberId, pool_id: PoolId, body: PoolMove
    ) -> Response[RedeemedView]:
        """Put points of the member's own into a pool they are in."""
        counter, caller = self._counter, self._counter.door.caller
        member_id = caller.member_named(member_id, Permission.SPEND_POINTS)
        counter.require_recent(body.asked_at)

        def perform() -> Answer:
            pool = counter.pool_of(member_id, pool_id)
            purse = counter.purse(member_id, OfAWallet(wallet=pool.wallet))
            return self._move(purse, pool, Purpose.POOL, receiver=pool.owner, order=body)

        return counter.door.once(perform)

    def withdraw(
        self, member_id: MemberId, pool_id: PoolId, body: PoolMove
    ) -> Response[RedeemedView]:
        """
        Take points out of a pool into its head's own wallet; only the head may.

        They were others', too, so the limits of what is given away in a day hold for it.
        """
        counter, caller = self._counter, self._counter.door.caller
        member_id = caller.member_named(member_id, Permission.SPEND_POINTS)
        counter.require_recent(body.asked_at)

        def perform() -> Answer:
            pool = self._headed_by(member_id, pool_id)
            purse = counter.purse(member_id, OfAWallet(pool_id=pool_id))
            return self._move(purse, pool, Purpose.TRANSFER, receiver=member_id, order=body)

        return counter.door.once(perform)

    def _move(
        self, purse: Purse, pool: Pool, purpose: Purpose, *, receiver: str, order: PoolMove
    ) -> Answer:
        moved = Transfer(
            entry_id=self._counter.name("pool", order.asked_at),
            owner=purse.account.member_id,
            wallet=pool.wallet,
            receiver=receiver,
            points=order.points,
            purpose=purpose,
            source=f"pool:{pool.pool_id}",
            reason="pool",
            actor=self._counter.door.caller.subject,
            occurred_at=order.asked_at,
        )
        return Answer(status=201, body=redeemed(self._counter.post(moved, purse)))

    def _headed_by(self, member_id: str, pool_id: str) -> Pool:
        """Return a pool that the member is the head of; raise `UnknownPool`, or `Forbidden`."""
        pool = self._counter.pool_of(member_id, pool_id)
        if pool.head != member_id:
            raise Forbidden
        return pool

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
