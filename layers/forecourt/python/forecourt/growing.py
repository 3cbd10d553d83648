"""
Growth value beside the points: given with them, taken back with them.

Its entries are postings of their own, whose ids follow from those of the points. So a crash
between the two leaves the work to a retry, and the retry makes up what is missing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from forecourt.growth import growth_entry_id
from forecourt.ledger.commands import Earn, Remainder, Reverse
from forecourt.ledger.refusals import (
    AccountMerged,
    AlreadyReversed,
    NothingToReverse,
    OverReversed,
)
from forecourt.receiving import take_or_give_back
from forecourt.values import dataclass
from forecourt.wallets import GROWTH_WALLET

if TYPE_CHECKING:
    from collections.abc import Mapping

    from forecourt.growth import Growth
    from forecourt.ledger import Account, Entry, Policies
    from forecourt.ledger_table import LedgerTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Growing:
    """Moves growth value under *policies*."""

    ledger: LedgerTable
    policies: Policies

    def give(
        self,
        growth: Growth,
        entry_id: str,
        *,
        about: Mapping[str, Any],
        account: Account | None = None,
    ) -> None:
        """Give growth value beside the points of *entry_id*; *about* is what their command says."""
        command = Earn(
            entry_id=growth_entry_id(entry_id),
            wallet=GROWTH_WALLET,
            points=growth.value,
            expires_on=growth.expires_on,
            activates_on=growth.activates_on,
            trace=({"rule": "growth", "outcome": "earned", "points": growth.value},),
            **about,
        )
        answer = self.ledger.execute(command, policies=self.policies, account=account)
        while isinstance(answer.refusal, AccountMerged):
            command = replace(command, owner=answer.refusal.into)
            answer = self.ledger.execute(command, policies=self.policies)
        answer.posted()

    def take_back(self, points: Reverse) -> Entry | None:
        """
        Take back the growth value beside the points that *points* takes back.

        `None` when nothing was left of it. What comes before the growth value waits for it. Raise
        what else the ledger refuses with, `AccountMerged` when the account has just gone.
        """
        command = replace(
            points,
            entry_id=growth_entry_id(points.entry_id),
            reverses=growth_entry_id(points.reverses),
            wallet=GROWTH_WALLET,
        )
        try:
            answer = self.ledger.execute(command, policies=self.policies)
            if not isinstance(answer.refusal, OverReversed):
                return answer.posted()
            # It was taken back by another measure before: of what is left, this is the rest.
            rest = replace(command, entry_id=rest_id(points.entry_id), part=Remainder())
            return take_or_give_back(self.ledger, rest, policies=self.policies)
        except (NothingToReverse, AlreadyReversed):
            return None


def rest_id(entry_id: str) -> str:
    """Return the id of the entry that takes back what is left, as *entry_id* asks for more."""
    return f"{growth_entry_id(entry_id)}.rest"
