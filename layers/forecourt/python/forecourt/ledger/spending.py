"""Commands that spend: at once, or in two steps with a hold between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forecourt.ledger.decisions import posted
from forecourt.ledger.draft import Draft, spending
from forecourt.ledger.entries import NO_EFFECT, REDEEMED, Effect, EntryKind
from forecourt.ledger.refusals import (
    AccountFrozen,
    BelowMinimum,
    CaptureExceedsHold,
    HoldNotOpen,
    LimitExceeded,
    NotAMultiple,
    TooMany,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    from forecourt.ledger.accounts import Account
    from forecourt.ledger.commands import Capture, Release, SetAside, Spend
    from forecourt.ledger.decisions import Decision
    from forecourt.ledger.policy import WalletPolicy


def spend(account: Account, command: Spend, *, now: datetime, policy: WalletPolicy) -> Decision:
    """Take points, earliest last day first."""
    draft = Draft(account, now=now, policy=policy)
    uses = _may_spend(draft, command, policy)
    slides = policy.slide is not None and policy.spending_slides
    if slides and command.points <= draft.available:
        draft.slide()
    draft.take(command.points)
    draft.program(command.accepted_by, command.points)
    effect = Effect(uses=uses, active=slides) if uses or slides else NO_EFFECT
    return posted(*draft.close(command, EntryKind.SPEND, effect=effect))


def set_aside(
    account: Account, command: SetAside, *, now: datetime, policy: WalletPolicy
) -> Decision:
    """Take points under a hold, earliest last day first."""
    draft = Draft(account, now=now, policy=policy)
    uses = _may_spend(draft, command, policy)
    if len(draft.held) >= policy.max_holds:
        raise TooMany(limit="holds", allowed=policy.max_holds)
    for lot, points in draft.take(command.points):
        draft.hold(command.entry_id, lot, points)
    effect = Effect(hold_expires_at=command.hold_expires_at, uses=uses)
    return posted(*draft.close(command, EntryKind.HOLD, effect=effect))


def capture(account: Account, command: Capture, *, now: datetime, policy: WalletPolicy) -> Decision:
    """
    Spend part of a hold; the rest returns to its own last valid days.

    What was held stays good for the capture even when its last day passes meanwhile.
    """
    draft = Draft(account, now=now, policy=policy)
    lots = _open_hold(draft, command.hold_id)
    held = sum(lots.values())
    if command.points > held:
        raise CaptureExceedsHold(requested=command.points, held=held)
    left = command.points
    for lot, points in spending(lots, policy):
        part = min(points, left)
        left -= part
        if part:
            draft.hold(command.hold_id, lot, -part)
        if points > part:
            with draft.keeping_up():
                draft.hold(command.hold_id, lot, part - points)
                draft.come_back(points - part, lot, on=draft.today)
    draft.program(REDEEMED, command.points)
    return posted(*draft.close(command, EntryKind.CAPTURE, refers_to=command.hold_id))


def release(account: Account, command: Release, *, now: datetime, policy: WalletPolicy) -> Decision:
    """Give a whole hold back, each part to its own last valid day."""
    draft = Draft(account, now=now, policy=policy)
    for lot, points in spending(_open_hold(draft, command.hold_id), policy):
        draft.hold(command.hold_id, lot, -points)
        draft.come_back(points, lot, on=draft.today)
    return posted(*draft.close(command, EntryKind.RELEASE, refers_to=command.hold_id))


def daily_use(
    account: Account,
    today: date,
    *,
    name: str,
    limit: str,
    allowed: int | None,
    requested: int,
) -> Mapping[str, int]:
    """Return what a command adds to the day's counter *name*, if the limit allows it."""
    if allowed is None:
        return {}
    counting = account.counted_on is not None and account.counted_on >= today
    used = account.used.get(name, 0) if counting else 0
    if used + requested > allowed:
        raise LimitExceeded(limit=limit, allowed=allowed, used=used, requested=requested)
    return {name: requested}


def _may_spend(draft: Draft, command: Spend | SetAside, policy: WalletPolicy) -> Mapping[str, int]:
    account = draft.account
    if account.frozen:
        raise AccountFrozen(owner=account.member_id)
    if command.points < policy.minimum:
        raise BelowMinimum(minimum=policy.minimum, requested=command.points)
    if command.points % policy.multiple:
        raise NotAMultiple(multiple=policy.multiple, requested=command.points)
    if policy.member_limits is None:
        return {}
    spender = command.spender or ""
    return daily_use(
        account,
        draft.today,
        name=f"spent:{spender}",
        limit="member",
        allowed=policy.member_limits.get(spender, 0),
        requested=command.points,
    )


def _open_hold(draft: Draft, hold_id: str) -> dict[tuple[date | None, bool], int]:
    if hold_id not in draft.held:
        raise HoldNotOpen(hold_id=hold_id)
    return dict(draft.held[hold_id])
