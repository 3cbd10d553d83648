"""
Commands between two accounts: two entries in one transaction, each balanced by itself.

What one owner gives to another passes through `program:transfer`, so over all entries that
account is always at zero. A conversion changes the unit and passes through its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from forecourt.ledger.commands import Purpose
from forecourt.ledger.decisions import Decision, Posting
from forecourt.ledger.draft import Draft, spending
from forecourt.ledger.entries import CONVERSION, NO_EFFECT, TRANSFER, Effect, EntryKind
from forecourt.ledger.refusals import (
    AccountFrozen,
    AccountMerged,
    NotAMultiple,
    OpenMatters,
    TransferToSelf,
)
from forecourt.ledger.spending import daily_use

if TYPE_CHECKING:
    from datetime import datetime

    from forecourt.ledger.accounts import Account
    from forecourt.ledger.commands import Command, Convert, Merge, Transfer
    from forecourt.ledger.policy import WalletPolicy


def transfer(
    giver: Account, receiver: Account, command: Transfer, *, now: datetime, policy: WalletPolicy
) -> Decision:
    """Give points to another; they keep their last valid days, and pay the receiver's debt."""
    source = Draft(giver, now=now, policy=policy)
    target = Draft(receiver, now=now, policy=policy)
    _may_give(giver)
    _may_receive(giver, receiver)
    uses: dict[str, int] = {}
    if command.purpose is not Purpose.POOL:
        for name, allowed, requested in (
            ("points", policy.transfer_points, command.points),
            ("count", policy.transfer_count, 1),
        ):
            uses |= daily_use(
                giver,
                source.today,
                name=f"given:{name}",
                limit=f"transfer_{name}",
                allowed=allowed,
                requested=requested,
            )
    taken = source.take(command.points)
    target.check_ceiling(max(command.points - target.debt, 0))
    source.program(TRANSFER, command.points)
    target.program(TRANSFER, -command.points)
    for lot, points in taken:
        target.give(points, lot)
    effect = Effect(uses=uses) if uses else NO_EFFECT
    return _both(
        source, target, command, EntryKind.TRANSFER_OUT, EntryKind.TRANSFER_IN, effect=effect
    )


def convert(
    source_account: Account,
    target_account: Account,
    command: Convert,
    *,
    now: datetime,
    policy: WalletPolicy,
    target_policy: WalletPolicy,
) -> Decision:
    """Change points of one wallet into another's; only whole steps of the rate."""
    source = Draft(source_account, now=now, policy=policy)
    target = Draft(target_account, now=now, policy=target_policy)
    _may_give(source_account)
    _may_receive(source_account, target_account)
    if command.points % command.per:
        raise NotAMultiple(multiple=command.per, requested=command.points)
    gained = command.points // command.per * command.gives
    source.take(command.points)
    target.check_ceiling(max(gained - target.debt, 0))
    source.program(CONVERSION, command.points)
    target.program(CONVERSION, -gained)
    target.give(gained, (command.expires_on, False))
    return _both(source, target, command, EntryKind.CONVERT_OUT, EntryKind.CONVERT_IN)


def merge(
    closing: Account, into: Account, command: Merge, *, now: datetime, policy: WalletPolicy
) -> Decision:
    """Carry everything over, debt included, and close the account."""
    source = Draft(closing, now=now, policy=policy)
    target = Draft(into, now=now, policy=policy)
    _may_give(closing)
    _may_receive(closing, into)
    if source.held or closing.parked:
        raise OpenMatters(owner=closing.member_id, holds=len(source.held), parked=closing.parked)
    debt = source.debt
    lots, pending = spending(source.free, policy), dict(source.pending)
    total = sum(points for _, points in lots) + sum(pending.values())
    source.owe(-debt)
    source.take(source.available)
    source.program(TRANSFER, total - debt)
    target.program(TRANSFER, debt - total)
    for lot, points in lots:
        target.give(points, lot)
    for (since, last), points in pending.items():
        source.take_pending(points, since, last)
        target.wait(points, since, last)
    paid = min(debt, target.available)
    target.take(paid)
    target.owe(debt - paid)
    effect = Effect(merged_into=into.member_id)
    return _both(source, target, command, EntryKind.MERGE_OUT, EntryKind.MERGE_IN, effect=effect)


def _may_give(account: Account) -> None:
    if account.frozen:
        raise AccountFrozen(owner=account.member_id)


def _may_receive(giver: Account, receiver: Account) -> None:
    if (giver.member_id, giver.wallet) == (receiver.member_id, receiver.wallet):
        raise TransferToSelf(owner=giver.member_id)
    if receiver.merged_into is not None:
        raise AccountMerged(owner=receiver.member_id, into=receiver.merged_into)
    if receiver.frozen:
        raise AccountFrozen(owner=receiver.member_id)


def _both(
    source: Draft,
    target: Draft,
    command: Command,
    out: EntryKind,
    into: EntryKind,
    *,
    effect: Effect = NO_EFFECT,
) -> Decision:
    given, source_account = source.close(command, out, effect=effect)
    received, target_account = target.close(command, into, entry_id=f"{command.entry_id}.in")
    return Decision(
        postings=(
            Posting(entries=(given,), account=source_account),
            Posting(entries=(received,), account=target_account),
        )
    )
