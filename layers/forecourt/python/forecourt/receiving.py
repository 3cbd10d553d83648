"""
What a member is given, or has taken and given back: in which account, and once.

Two members may become one at any moment, so that an account is another's by the time something
is posted to it. And a retry is told what the first attempt came to, though the member's record
closed meanwhile.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from forecourt.errors import ForecourtError
from forecourt.ledger.commands import Earn, EarnNothing, Reverse
from forecourt.ledger.refusals import AccountMerged

if TYPE_CHECKING:
    from collections.abc import Callable

    from forecourt.ledger import Account, Answer, Entry, Policies
    from forecourt.ledger.procedure import EntryKey
    from forecourt.ledger_table import LedgerTable
    from forecourt.loyalty_table import LoyaltyTable

A = TypeVar("A", bound="Answer | None")


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
    return follow(ledger.execute, command, policies=policies).posted()


def follow(
    execute: Callable[..., A],
    command: Earn | EarnNothing | Reverse,
    *,
    policies: Policies,
    account: Account | None = None,
) -> A:
    """
    Let *execute*, as the ledger does, carry out *command* in the account that its owner's became.

    *account* is the owner's as it was read before. What is reversed stays with who had it.
    """
    answer = execute(command, policies=policies, account=account)
    while answer is not None and isinstance(answer.refusal, AccountMerged):
        if isinstance(command, Reverse):
            command = replace(command, reverses_owner=command.reverses_owner or command.owner)
        command = replace(command, owner=answer.refusal.into)
        answer = execute(command, policies=policies)
    return answer
