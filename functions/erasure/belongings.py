"""
What a member has, when they are forgotten: it gives nothing any more.

Their accounts are frozen, so a token from before spends nothing, and the books keep what is in
them under an id that names nobody. What they set aside before is the till's to take. They leave
their pools; one that they headed goes on without a head.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from forecourt.instants import compact_instant
from forecourt.keeping import Keeping
from forecourt.ledger import POINTS_WALLET, Account
from forecourt.ledger.commands import Freeze
from forecourt.ledger_table import LedgerTable
from forecourt.loyalty_table import LoyaltyTable
from forecourt.pools_table import PoolsTable
from forecourt.statements import Statements

if TYPE_CHECKING:
    from typing import Any


class Belongings:
    """The Loyalty table *name* behind the DynamoDB client *dynamodb*."""

    def __init__(self, dynamodb: Any, *, name: str) -> None:
        self._ledger = LedgerTable(dynamodb, name=name)
        self._statements = Statements(dynamodb, name=name)
        self._pools = PoolsTable(dynamodb, name=name)
        self._keeping = Keeping(LoyaltyTable(dynamodb, name=name))

    def close(self, member_id: str, *, erased_at: datetime) -> None:
        """Freeze all that a member has and take them out of their pools; again, nothing moves."""
        wallets = {each.wallet: each for each in self._statements.accounts(member_id)}
        # A sale in flight may be the first that gives them anything.
        wallets.setdefault(POINTS_WALLET, Account(member_id=member_id, buckets={}))
        for each in wallets.values():
            # What went over into another account is empty, and closed for good.
            if not each.frozen and each.merged_into is None:
                self._freeze(each, erased_at)
        for membership in self._pools.memberships(member_id):
            self._pools.change(membership.pool_id, lambda pool: pool.forgetting(member_id))

    def _freeze(self, account: Account, erased_at: datetime) -> None:
        freeze = Freeze(
            # Of the deletion alone, so that one that is done again freezes nothing twice.
            entry_id=f"{compact_instant(erased_at)}.erasure.{account.wallet}",
            owner=account.member_id,
            wallet=account.wallet,
            source="erasure",
            reason="erased",
            actor="erasure",
            occurred_at=erased_at,
        )
        policies = self._keeping.program(datetime.now(UTC)).policies()
        self._ledger.execute(freeze, policies=policies).posted()
