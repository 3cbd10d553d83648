"""Commands that give points, and those that change when they are good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forecourt.ledger.decisions import MAX_EXTENSIONS, Decision, posted
from forecourt.ledger.draft import NO_LOT, Draft
from forecourt.ledger.entries import ADJUSTMENT, NO_EFFECT, Effect, EntryKind
from forecourt.ledger.refusals import (
    CheckerIsMaker,
    CheckerNeeded,
    NeverRunsOut,
    NothingDue,
    NothingPending,
    NothingToExtend,
    TooMany,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from forecourt.ledger.accounts import Account
    from forecourt.ledger.commands import (
        Activate,
        Adjust,
        Command,
        Earn,
        Extend,
        Settle,
        SetZone,
    )
    from forecourt.ledger.entries import Entry, Lot
    from forecourt.ledger.policy import WalletPolicy


def earn(
    account: Account,
    command: Earn,
    *,
    now: datetime,
    policy: WalletPolicy,
    funding: Sequence[tuple[Lot, int]] = (),
) -> tuple[Entry, Account]:
    """
    Give points: what is pending waits, the rest pays debt first.

    *funding* are the lots of the budget they come out of, if they come out of one.
    """
    draft = Draft(account, now=now, policy=policy)
    draft.check_ceiling(max(command.points + command.bonus - draft.debt, 0))
    draft.slide()
    if command.activates_on is not None and command.activates_on > draft.today:
        draft.wait(command.points, command.activates_on, command.expires_on)
    else:
        draft.give(command.points, (command.expires_on, False))
        draft.give(command.bonus, (command.expires_on, True))
    for lot, points in funding or [(NO_LOT, command.points + command.bonus)]:
        draft.program(command.funded_by, -points, lot)
    return draft.close(
        command,
        EntryKind.EARN,
        items=command.items,
        effect=Effect(active=True) if policy.slide is not None else NO_EFFECT,
    )


def activate(
    account: Account, command: Activate, *, now: datetime, policy: WalletPolicy
) -> Decision:
    """Make pending points active before their day."""
    draft = Draft(account, now=now, policy=policy)
    waiting = [key for key in draft.pending if key[0] == command.activates_on]
    if not waiting:
        raise NothingPending(activates_on=command.activates_on.isoformat())
    for since, last in sorted(waiting, key=lambda key: (key[1] is None, key[1] or key[0])):
        points = draft.take_pending(draft.pending[since, last], since, last)
        draft.give(points, (last, False))
    return posted(*draft.close(command, EntryKind.ACTIVATE))


def settle(account: Account, command: Settle, *, now: datetime, policy: WalletPolicy) -> Decision:
    """Write down what is due; reading counts it in any case."""
    draft = Draft(account, now=now, policy=policy)
    if not draft.upkeep:
        raise NothingDue(owner=account.member_id)
    return posted(*draft.close(command, EntryKind.SETTLE))


def adjust(account: Account, command: Adjust, *, now: datetime, policy: WalletPolicy) -> Decision:
    """Correct by hand; above the limit only with a checker, who is somebody else."""
    if command.checker == command.actor:
        raise CheckerIsMaker(actor=command.actor)
    if needs_checker(command.points, policy) and command.checker is None:
        raise CheckerNeeded(limit=policy.adjust_limit or 0, requested=command.points)
    draft = Draft(account, now=now, policy=policy)
    draft.program(ADJUSTMENT, -command.points)
    if command.points > 0:
        refuse_last_day(command.expires_on, wallet=command.wallet, policy=policy)
        draft.check_ceiling(command.points)
        draft.give(command.points, (command.expires_on, False))
    else:
        draft.take(-command.points)
    return posted(*draft.close(command, EntryKind.ADJUST, checker=command.checker))


def needs_checker(points: int, policy: WalletPolicy) -> bool:
    """Return whether an adjustment by *points* is for two people to make."""
    return policy.adjust_limit is not None and abs(points) > policy.adjust_limit


def refuse_last_day(last: date | None, *, wallet: str, policy: WalletPolicy) -> None:
    """Raise `NeverRunsOut` for a last day in a wallet whose content has none."""
    if last is not None and not policy.runs_out:
        raise NeverRunsOut(wallet=wallet, expires_on=last.isoformat())


def extend(account: Account, command: Extend, *, now: datetime, policy: WalletPolicy) -> Decision:
    """
    Let a bucket last longer, and what returns to it later as well.

    Again, for what came since with the same day; what returns is good until the latest of the
    days that it was extended to.
    """
    draft = Draft(account, now=now, policy=policy)
    if command.expires_on < draft.today:
        raise NothingToExtend(expires_on=command.expires_on.isoformat())
    before = account.extended.get(command.expires_on)
    if before is None and len(account.extended) >= MAX_EXTENSIONS:
        raise TooMany(limit="extensions", allowed=MAX_EXTENSIONS)
    waiting = [key for key in draft.pending if key[1] == command.expires_on]
    lots = [lot for lot in draft.free if lot[0] == command.expires_on]
    if not lots and not waiting:
        raise NothingToExtend(expires_on=command.expires_on.isoformat())
    for lot in lots:
        points = draft.free[lot]
        draft.take(points, first=[lot])
        draft.give(points, (command.until, lot[1]))
    for since, last in waiting:
        points = draft.take_pending(draft.pending[since, last], since, last)
        draft.wait(points, since, command.until)
    effect = Effect(extends=(command.expires_on, max(before or command.until, command.until)))
    return posted(*draft.close(command, EntryKind.EXTEND, effect=effect))


def freeze(account: Account, command: Command, *, now: datetime, policy: WalletPolicy) -> Decision:
    """Stop the account from giving. Again is no error."""
    draft = Draft(account, now=now, policy=policy)
    return posted(*draft.close(command, EntryKind.FREEZE))


def set_zone(
    account: Account, command: SetZone, *, now: datetime, policy: WalletPolicy
) -> Decision:
    """Let the account go by another zone; what was over where it was, stays over."""
    draft = Draft(account, now=now, policy=policy)
    return posted(*draft.close(command, EntryKind.SET_ZONE, effect=Effect(zone=command.zone)))


def unfreeze(
    account: Account, command: Command, *, now: datetime, policy: WalletPolicy
) -> Decision:
    """Let the account give again."""
    draft = Draft(account, now=now, policy=policy)
    return posted(*draft.close(command, EntryKind.UNFREEZE))
