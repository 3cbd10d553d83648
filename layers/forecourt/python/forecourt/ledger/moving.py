"""
Commands between two accounts: two entries in one transaction, each balanced by itself.

What one owner gives to another passes through `program:transfer`, so over all entries that
account is always at zero. A conversion changes the unit and passes through its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from forecourt.ledger.commands import Purpose
from forecourt.ledger.decisions import Decision, Posting
from forecourt.ledger.draft import NO_LOT, Draft, spending
from forecourt.ledger.entries import (
    CONVERSION,
    DEBT,
    NO_EFFECT,
    RECEIVED,
    TRANSFER,
    Effect,
    EntryKind,
    wallet_of,
)
from forecourt.ledger.refusals import (
    AccountFrozen,
    AccountMerged,
    NotAMultiple,
    NotMerged,
    OpenMatters,
    TransferToSelf,
)

if TYPE_CHECKING:
    from datetime import datetime

    from forecourt.ledger.accounts import Account
    from forecourt.ledger.commands import Command, Convert, Merge, Transfer, Unmerge
    from forecourt.ledger.decisions import Books
    from forecourt.ledger.entries import Entry
    from forecourt.ledger.policy import WalletPolicy


def transfer(
    giver: Account, receiver: Account, command: Transfer, *, now: datetime, policy: WalletPolicy
) -> Decision:
    """
    Give points to another; they keep their last valid days, and pay the receiver's debt.

    A day's limits are a person's: of what a head takes out of a pool they are counted where it
    goes, or whoever heads eight pools would have them eight times.
    """
    source = Draft(giver, now=now, policy=policy)
    target = Draft(receiver, now=now, policy=policy)
    _may_give(giver)
    _may_receive(giver, receiver)
    if command.purpose is not Purpose.POOL:
        person = target if command.purpose is Purpose.WITHDRAWAL else source
        for name, allowed, requested in (
            ("points", policy.transfer_points, command.points),
            ("count", policy.transfer_count, 1),
        ):
            if allowed is not None:
                limit = f"transfer_{name}"
                person.use(f"given:{name}", requested, limit=limit, allowed=allowed)
    taken = source.take(command.points)
    target.check_ceiling(max(command.points - target.debt, 0))
    source.program(TRANSFER, command.points)
    target.program(TRANSFER, -command.points)
    for lot, points in taken:
        target.give(points, lot)
    return _both(source, target, command, EntryKind.TRANSFER_OUT, EntryKind.TRANSFER_IN)


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


def unmerge(
    books: Books, keeping: Account, command: Unmerge, *, now: datetime, policy: WalletPolicy
) -> Decision:
    """
    Open a merged account again, with what it brought into the other.

    The account itself moved nothing since: it was closed. What it brought comes back whole,
    to its own last valid days; what *keeping* has spent of it meanwhile is owed there. What
    ran out in between has run out. A debt that was brought is owed again, and what *keeping*
    paid of it returns to where it was taken. Everything else done since stays where it was
    done.
    """
    closed, out, into = books.account, books.original, books.received
    if (
        closed.merged_into is None
        or out is None
        or into is None
        or (out.kind, out.account_version) != (EntryKind.MERGE_OUT, closed.version)
        or closed.merged_into != keeping.member_id
    ):
        raise NotMerged(owner=closed.member_id, merge=command.merge)
    if keeping.merged_into is not None:
        raise AccountMerged(owner=keeping.member_id, into=keeping.merged_into)
    _may_give(keeping)
    source = Draft(keeping, now=now, policy=policy)
    target = Draft(closed, now=now, policy=policy)
    debt = out.moved_to(DEBT)
    target.owe(debt)
    moved = _bring_back(source, target, out) - debt
    _pay_back(source, into, debt)
    source.program(TRANSFER, moved)
    target.program(TRANSFER, -moved)
    taken, target_account = target.close(command, EntryKind.UNMERGE_IN, refers_to=out.entry_id)
    given, source_account = source.close(
        command, EntryKind.UNMERGE_OUT, entry_id=f"{command.entry_id}.out", refers_to=into.entry_id
    )
    return Decision(
        postings=(
            Posting(entries=(taken,), account=target_account),
            Posting(entries=(given,), account=source_account),
        )
    )


def _bring_back(source: Draft, target: Draft, out: Entry) -> int:
    """Move what the merge took out of *target* back into it; return how much that is."""
    wallet, brought = wallet_of(out.member_id, out.wallet), 0
    for leg in out.legs:
        if leg.account != wallet:
            continue
        left, last = -leg.points, source.current(leg.expires_on)
        if leg.activates_on is not None:
            for day in dict.fromkeys((leg.expires_on, last)):
                part = source.take_pending(left, leg.activates_on, day)
                target.wait(part, leg.activates_on, day)
                left -= part
                brought += part
        if last is None or last >= source.today:
            covered = min(left, source.available)
            source.take(covered, first=[(last, leg.bonus)])
            source.owe(left - covered)
            target.give(left, (last, leg.bonus))
            brought += left
    return brought


def _pay_back(source: Draft, into: Entry, debt: int) -> None:
    """Let *source* have again what it paid of, or owes for, the *debt* that the merge brought."""
    if not debt:
        return
    wallet = wallet_of(into.member_id, into.wallet)
    # Who brings a debt brings no points that are active, so what moved there paid it.
    paid = [leg for leg in into.legs if leg.account == wallet and leg.activates_on is None]
    rest = debt + sum(leg.points for leg in paid)
    owed = min(rest, source.debt)
    source.owe(-owed)
    for leg in paid:
        source.come_back(-leg.points, (leg.expires_on, leg.bonus), on=source.today)
    # What it has paid since, it paid out of earns of other days than are known here.
    source.give(rest - owed, NO_LOT)


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
    received, target_account = target.close(command, into, entry_id=f"{command.entry_id}{RECEIVED}")
    return Decision(
        postings=(
            Posting(entries=(given,), account=source_account),
            Posting(entries=(received,), account=target_account),
        )
    )
