"""
What every redemption is made with: the door, the books, and who may spend of which account.

A request has one answer (decision 6). Its entry's id and fingerprint are of the request alone, so
the ledger recognises it whatever was looked up to carry it out. And who would be refused before
the ledger is asked, by what is true by now, hears what an earlier attempt came to, if one did.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Path

from forecourt.booking_errors import UnknownPool
from forecourt.door_errors import IdempotencyKeyReused
from forecourt.doors import Door
from forecourt.errors import EntryConflict, ForecourtError, InvalidRequest
from forecourt.instants import business_day, compact_instant
from forecourt.keeping import Keeping
from forecourt.ledger import POINTS_WALLET, Account, Answer, Entry, Policies
from forecourt.ledger.commands import Command, Part, Reverse
from forecourt.ledger.procedure import EntryKey
from forecourt.ledger.refusals import AccountFrozen
from forecourt.ledger_table import LedgerTable
from forecourt.loyalty_table import LoyaltyTable
from forecourt.member_errors import MemberErased, UnknownMember
from forecourt.once import KEPT
from forecourt.pools import Pool
from forecourt.pools_table import PoolsTable
from forecourt.receiving import take_or_give_back
from forecourt.told_times import entry_id_for, require_plausible
from forecourt.values import dataclass
from functions.redemption.bodies import Asked, OfAWallet
from functions.redemption.return_bodies import RefundOrder

TAG = "redemption"
MemberId = Annotated[str, Path(description="The member's id, or `me`")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Purse:
    """An account as it was read, the policies it is kept by, and who spends of a pool's."""

    account: Account
    policies: Policies
    spender: str | None = None

    @property
    def wallet(self) -> str:
        return self.account.wallet


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """Where points are redeemed; *now* is the time of a request."""

    door: Door
    loyalty: LoyaltyTable
    ledger: LedgerTable
    pools: PoolsTable
    keeping: Keeping
    now: Callable[[], datetime]

    def require_other(self, member_id: str) -> None:
        """Raise `UnknownMember` unless the caller may name somebody by that id: not the erased."""
        try:
            self.loyalty.require_member(member_id)
        except MemberErased:
            raise UnknownMember(member_id) from None

    def pool_of(self, member_id: str, pool_id: str) -> Pool:
        """Return a pool that the member is in; raise `UnknownPool`, or `MemberErased`."""
        pool = self.pools.pool(pool_id)
        self.require_in(pool, member_id)
        return pool

    def require_in(self, pool: Pool, member_id: str) -> None:
        """Raise `UnknownPool` unless the member is in the pool, or `MemberErased`."""
        if member_id not in pool.limits:
            self.loyalty.refuse_erased(member_id)
            raise UnknownPool(pool.pool_id)

    def policies(self) -> Policies:
        """Return by which policies members' wallets are kept now."""
        return self.keeping.program(self.now()).policies()

    def day(self, at: datetime, wallet: str) -> date:
        """Return the day that *at* is for *wallet*."""
        return business_day(at, self.policies().of(wallet).zone)

    def named(self, kind: str, owner: str, asked: Asked) -> dict[str, Any]:
        """Return what the command has of its request alone, in whichever attempt."""
        return {
            "entry_id": f"{compact_instant(asked.asked_at)}.{kind}.{self.door.request_id[:16]}",
            "owner": owner,
            "actor": self.door.caller.subject,
            "occurred_at": asked.asked_at,
            "request": self.door.fingerprint,
        }

    def carry_out(
        self, named: Mapping[str, Any], prepare: Callable[[], tuple[Command, Purse]]
    ) -> Entry:
        """
        Carry out what a request asks for; return its entry or raise the refusal.

        *prepare* makes a command of what is *named* and of what is true now, or refuses.
        """
        try:
            # As far back as answers are kept, a retry may still come.
            require_plausible(named["occurred_at"], field="asked_at", now=self.now(), back=KEPT)
            command, purse = prepare()
        except ForecourtError:
            first = self._first_answer(EntryKey(named["owner"], named["entry_id"]))
            if first is None:
                raise
            return first.posted()
        return self._post(command, purse)

    def refund(
        self,
        kind: str,
        made: Entry,
        owners: Sequence[str],
        order: RefundOrder,
        *,
        part: Part,
        policies: Policies,
    ) -> Entry:
        """
        Reverse a *part* of the entry that was *made*; return the entry, however often it is asked.

        *owners* had its wallet, the last of them now. Whoever else sends the document of a refund
        is told that it had its effect. Raise what the ledger refuses with.
        """
        actor = self.door.caller.subject
        named = (made.entry_id, order.document, actor)
        entry_id = entry_id_for(kind, order.refunded_at, *named)
        owner = self.loyalty.answering(owners, entry_id)
        refund = Reverse(
            entry_id=entry_id,
            owner=owner,
            wallet=made.wallet,
            reverses=made.entry_id,
            reverses_owner=made.member_id if made.member_id != owner else None,
            document=order.document,
            part=part,
            source=f"refund:{order.document}",
            reason=order.reason,
            actor=actor,
            occurred_at=order.refunded_at,
            request=self.door.fingerprint,
        )
        return take_or_give_back(self.ledger, refund, policies=policies)

    def purse(self, member_id: str, order: OfAWallet, *, spends: bool = True) -> Purse:
        """
        Return the account an order is about: the member's own, or one of a pool they are in.

        Who does not spend but takes or gives back what was held, need not be in it any more.
        """
        if order.pool_id is None:
            account = self.loyalty.account(member_id, order.wallet or POINTS_WALLET)
            if account.version == 0:
                self.loyalty.require_member(member_id)
            return Purse(account=account, policies=self.policies())
        if order.wallet is not None:
            raise InvalidRequest(findings=[{"at": "/body/wallet", "reason": "beside_a_pool"}])
        named = order.pool_id
        pool = self.pool_of(member_id, named) if spends else self.pools.pool(named)
        return Purse(
            account=self.loyalty.account(pool.owner, pool.wallet),
            policies=self.policies().of_a_pool(pool.spending_limits),
            spender=member_id,
        )

    def _first_answer(self, key: EntryKey) -> Answer | None:
        try:
            return self.ledger.first_answer(key, request=self.door.fingerprint)
        except EntryConflict:
            raise IdempotencyKeyReused from None  # the id has the key in it

    def _post(self, command: Command, purse: Purse) -> Entry:
        """Who was erased has a frozen account, so only a refusal has to ask whether they were."""
        try:
            answer = self.ledger.execute(command, policies=purse.policies, account=purse.account)
        except EntryConflict:
            raise IdempotencyKeyReused from None  # the id has the key in it
        owner = purse.account.member_id
        if isinstance(answer.refusal, AccountFrozen) and answer.refusal.owner == owner:
            self.loyalty.refuse_erased(owner)
        return answer.posted()
