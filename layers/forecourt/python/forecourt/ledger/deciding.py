"""
`decide`: the whole ledger as one pure function.

(what was read, command, now, policies) gives what to write, or raises a refusal with facts.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from forecourt.ledger import budgets, giving, moving, reversing, spending
from forecourt.ledger.commands import (
    Activate,
    Adjust,
    Capture,
    Convert,
    Earn,
    EarnNothing,
    Extend,
    Freeze,
    Merge,
    Release,
    Reverse,
    SetAside,
    Settle,
    SetZone,
    Spend,
    Transfer,
    Unfreeze,
    Unmerge,
)
from forecourt.ledger.decisions import Books, Decision, Posting, posted
from forecourt.ledger.refusals import AccountMerged, NothingDue, NotSpendable

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from forecourt.ledger.accounts import Account
    from forecourt.ledger.commands import Command
    from forecourt.ledger.entries import Lot
    from forecourt.ledger.policy import Policies, WalletPolicy

_ON_ONE_ACCOUNT: dict[type[Command], Callable[..., Decision]] = {
    Activate: giving.activate,
    Adjust: giving.adjust,
    Extend: giving.extend,
    Freeze: giving.freeze,
    SetZone: giving.set_zone,
    Settle: giving.settle,
    Unfreeze: giving.unfreeze,
    Capture: spending.capture,
    Release: spending.release,
    SetAside: spending.set_aside,
    Spend: spending.spend,
}


_SPENDING = (Spend, SetAside, Transfer, Convert)


def decide(command: Command, books: Books, *, now: datetime, policies: Policies) -> Decision:
    """
    Return what *command* writes, at *now*.

    Raises the `LedgerRefusal` that answers it otherwise. Who calls this with a command
    already answered gets a second answer: the write that follows must exclude it.
    """
    account, policy = books.account, policies.of(command.wallet)
    if isinstance(command, Unmerge):
        return moving.unmerge(books, _other(books), command, now=now, policy=policy)
    if account.merged_into is not None:
        raise AccountMerged(owner=account.member_id, into=account.merged_into)
    if not policy.spendable and isinstance(command, _SPENDING):
        raise NotSpendable(wallet=command.wallet)
    match command:
        case Earn():
            return _earn(command, books, now=now, policy=policy)
        case EarnNothing():
            return reversing.never(books, command, instead=command, now=now, policy=policy)
        case Reverse():
            return reversing.reverse(books, command, now=now, policy=policy)
        case Transfer():
            return moving.transfer(account, _other(books), command, now=now, policy=policy)
        case Merge():
            return moving.merge(account, _other(books), command, now=now, policy=policy)
        case Convert():
            return moving.convert(
                account,
                _other(books),
                command,
                now=now,
                policy=policy,
                target_policy=policies.of(command.into_wallet),
            )
        case _:
            return _ON_ONE_ACCOUNT[type(command)](account, command, now=now, policy=policy)


def settled(account: Account, *, now: datetime, policies: Policies) -> Account:
    """
    Return *account* as it counts at *now*: what is due is done, whether or not a job ran.

    For reading. Its version is the stored account's.
    """
    view = Settle(
        entry_id="view", owner=account.member_id, source="", reason="", actor="", occurred_at=now
    )
    try:
        after = giving.settle(account, view, now=now, policy=policies.of(account.wallet)).account
    except NothingDue:
        return account
    return replace(after, version=account.version, digest=account.digest)


def _earn(command: Earn, books: Books, *, now: datetime, policy: WalletPolicy) -> Decision:
    lots: list[tuple[Lot, int]] = []
    if command.budget is not None:
        total = command.points + command.bonus
        lots = budgets.funding(_other(books), total, now=now, policy=policy)
    entry, account = giving.earn(books.account, command, now=now, policy=policy, funding=lots)
    decision = posted(entry, account)
    if books.parked is not None:
        entries, account, note = reversing.reverse_parked(
            entry, account, books.parked, now=now, policy=policy
        )
        decision = Decision(
            postings=(Posting(entries=(entry, *entries), account=account),),
            reversals=note,
            parked=replace(books.parked, commands=()),
            parked_before=len(books.parked.commands),
        )
    (posting,) = decision.postings
    moved = budgets.counterpart(posting, books.other, command, now=now, policy=policy)
    return replace(decision, postings=(posting, *moved)) if moved else decision


def _other(books: Books) -> Account:
    if books.other is None:
        raise ValueError(books.account.member_id)
    return books.other
