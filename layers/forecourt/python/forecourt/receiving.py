"""
What people give a member by hand, or take and give back: into which account, and once.

A retry is told what the first attempt came to, though the member's record closed meanwhile.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from forecourt.errors import ForecourtError
from forecourt.ledger.refusals import AccountMerged

if TYPE_CHECKING:
    from collections.abc import Callable

    from forecourt.ledger import Entry, Policies
    from forecourt.ledger.commands import Earn, Reverse
    from forecourt.ledger.procedure import EntryKey
    from forecourt.ledger_table import LedgerTable
    from forecourt.loyalty_table import LoyaltyTable


def give(
    key: EntryKey,
    order: Callable[[], Earn],
    *,
    request: str,
    loyalty: LoyaltyTable,
    ledger: LedgerTable,
    policies: Policies,
) -> Entry:
    """
    Give what *order* returns, under the id *key*; return its entry, and the first to a retry.

    *request* is the fingerprint by which a retry is known. Unless it is one, raise what *order*
    does by now, and `UnknownMember`, `MemberErased` or `MemberMerged` for a record into which
    nothing goes any more; otherwise what the ledger refuses with.
    """
    try:
        command = order()
        loyalty.require_present(key.owner)
    except ForecourtError:
        first = ledger.first_answer(key, request=request)
        if first is None:
            raise
        return first.posted()
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
