"""
What people give a member by hand, or take and give back: into which account, and once.

A retry is told what the first attempt came to, though the member's record closed meanwhile.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from forecourt.errors import ForecourtError
from forecourt.ledger.procedure import EntryKey
from forecourt.ledger.refusals import AccountMerged

if TYPE_CHECKING:
    from collections.abc import Callable

    from forecourt.ledger import Entry, Policies
    from forecourt.ledger.commands import Earn, Reverse
    from forecourt.ledger_table import LedgerTable
    from forecourt.loyalty_table import LoyaltyTable


def give(
    command: Earn,
    *,
    require_in_time: Callable[[], None],
    loyalty: LoyaltyTable,
    ledger: LedgerTable,
    policies: Policies,
) -> Entry:
    """
    Give what *command* says; return its entry, and the first one to a retry.

    Unless there is one, raise what *require_in_time* does by now, and `UnknownMember`,
    `MemberErased` or `MemberMerged` for a record into which nothing goes any more; otherwise what
    the ledger refuses with.
    """
    try:
        require_in_time()
        loyalty.require_present(command.owner)
    except ForecourtError:
        if ledger.answered(EntryKey(command.owner, command.entry_id)) is None:
            raise
    return ledger.execute(command, policies=policies).posted()


def take_or_give_back(ledger: LedgerTable, command: Reverse, *, policies: Policies) -> Entry:
    """
    Reverse what *command* says where its member's account is, or is just going; return the entry.

    Raise what the ledger refuses with.
    """
    try:
        return ledger.execute(command, policies=policies).posted()
    except AccountMerged as merged:
        # It became one with another's since it was looked for: so it is theirs to give or get.
        lies_with = command.reverses_owner or command.owner
        moved = replace(command, owner=merged.into, reverses_owner=lies_with)
        return take_or_give_back(ledger, moved, policies=policies)
