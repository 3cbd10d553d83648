"""Giving a member something new by hand: who may receive, and what a retry is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forecourt.errors import MemberErased, MemberMerged
from forecourt.ledger.procedure import EntryKey

if TYPE_CHECKING:
    from forecourt.ledger import Entry, Policies
    from forecourt.ledger.commands import Earn
    from forecourt.ledger_table import LedgerTable
    from forecourt.loyalty_table import LoyaltyTable


def give(command: Earn, *, loyalty: LoyaltyTable, ledger: LedgerTable, policies: Policies) -> Entry:
    """
    Give what *command* says; return its entry, and the first one to a retry.

    Raise `UnknownMember`, `MemberErased`, or `MemberMerged` for a record into which nothing goes
    any more, unless this had gone into it before; otherwise what the ledger refuses with.
    """
    try:
        loyalty.require_present(command.owner)
    except (MemberErased, MemberMerged):
        if ledger.answered(EntryKey(command.owner, command.entry_id)) is None:
            raise
    return ledger.execute(command, policies=policies).posted()
