"""
Budgets: accounts out of which the program gives, and never more than is in them.

A budget is filled and frozen, and runs out, like any account; its owner's name begins with
`budget:`. An award moves points from it to a member in one transaction: the member's entry
has a leg against the account of the budget's name, by the lots they came from, and the
budget's own entry the opposite. Over all entries that account is at zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from forecourt.ledger.decisions import Posting
from forecourt.ledger.draft import Draft
from forecourt.ledger.entries import EntryKind
from forecourt.ledger.refusals import (
    AccountFrozen,
    AccountMerged,
    BudgetExhausted,
    InsufficientPoints,
)

if TYPE_CHECKING:
    from datetime import datetime

    from forecourt.ledger.accounts import Account
    from forecourt.ledger.commands import Command
    from forecourt.ledger.entries import Entry, Leg, Lot
    from forecourt.ledger.policy import WalletPolicy


def funding(
    budget: Account, points: int, *, now: datetime, policy: WalletPolicy
) -> list[tuple[Lot, int]]:
    """Return the lots that *budget* gives *points* out of, or raise what keeps it from it."""
    if budget.merged_into is not None:
        raise AccountMerged(owner=budget.member_id, into=budget.merged_into)
    if budget.frozen:
        raise AccountFrozen(owner=budget.member_id)
    try:
        return Draft(budget, now=now, policy=policy).take(points)
    except InsufficientPoints as short:
        raise BudgetExhausted(
            budget=budget.member_id, requested=points, available=short.available
        ) from None


def counterpart(
    posting: Posting,
    budget: Account | None,
    command: Command,
    *,
    now: datetime,
    policy: WalletPolicy,
) -> tuple[Posting, ...]:
    """
    Return what *posting* moves in the *budget* behind it: nothing without one.

    An award's entry in the budget has its id with `.award`, a reversal's with `.back`.
    """
    if budget is None:
        return ()
    account, entries = budget, []
    for entry in posting.entries:
        legs = [leg for leg in entry.legs if leg.account == budget.member_id]
        if not legs:
            continue
        made, account = _mirrored(account, legs, entry, command, now=now, policy=policy)
        entries.append(made)
    return (Posting(entries=tuple(entries), account=account),) if entries else ()


def _mirrored(
    budget: Account,
    legs: list[Leg],
    entry: Entry,
    command: Command,
    *,
    now: datetime,
    policy: WalletPolicy,
) -> tuple[Entry, Account]:
    draft = Draft(budget, now=now, policy=policy)
    awards = entry.kind is EntryKind.EARN
    for leg in legs:
        lot = (leg.expires_on, leg.bonus)
        draft.program(budget.member_id, -leg.points, lot)
        if awards:
            draft.take(-leg.points, first=[lot])
        else:
            # Returning to a day that is over, it is over.
            draft.come_back(leg.points, lot, on=draft.today)
    return draft.close(
        command,
        EntryKind.AWARD if awards else EntryKind.AWARD_BACK,
        entry_id=f"{entry.entry_id}.{'award' if awards else 'back'}",
        refers_to=entry.entry_id,
    )
