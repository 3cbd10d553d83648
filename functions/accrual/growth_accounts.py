"""The growth accounts that sales are judged by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forecourt.values import dataclass
from forecourt.wallets import GROWTH_WALLET

if TYPE_CHECKING:
    from forecourt.ledger import Account
    from forecourt.loyalty_table import LoyaltyTable, Standings


@dataclass(slots=True)
class GrowthAccounts:
    """Growth accounts as sales are judged by them; *wanted* once a sale needed one."""

    wanted: bool = False

    def of(self, member_id: str, standings: Standings, loyalty: LoyaltyTable) -> Account:
        """
        Return a member's growth account, or that of whom they are one with by now.

        What was looked up for the batch is good for a member's first sale in it.
        """
        self.wanted = True
        account = standings.growth.pop(member_id, None)
        return account if account and account.merged_into is None else latest(loyalty, member_id)


def latest(loyalty: LoyaltyTable, member_id: str) -> Account:
    """Return the growth account of a member as of now, through every merge."""
    account = loyalty.account(member_id, GROWTH_WALLET)
    while account.merged_into is not None:
        account = loyalty.account(account.merged_into, GROWTH_WALLET)
    return account
