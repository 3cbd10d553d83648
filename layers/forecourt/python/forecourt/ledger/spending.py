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
    NotAMultiple,
    TooMany,
)

if TYPE_CHECKING:
    from datetime import date, datetime

    from forecourt.ledger.accounts import Account
    from forecourt.ledger.commands import Capture, Release, SetAside, Spend
    from forecourt.ledger.decisions import Decision
    from forecourt.ledger.policy import WalletPolicy


def spend(account: Account, command: Spend, *, now: datetime, policy: WalletPolicy) -> Decision:
    """Take points, earliest last day first."""
    draft = Draft(account, now=now, policy=policy)
    counter = _may_spend(draft, command, policy)
    slides = _slides(policy)
    if slides and command.points <= draft.available:
        draft.slide()
    draft.take(command.points)
    draft.program(command.accepted_by, command.points)
    effect = Effect(active=slides, counter=counter) if slides or counter else NO_EFFECT
    return posted(*draft.close(command, EntryKind.SPEND, effect=effect))


def set_aside(
    account: Account, command: SetAside, *, now: datetime, policy: WalletPolicy
) -> Decision:
    """Take points under a hold, earliest last day first."""
    draft = Draft(account, now=now, policy=policy)
    counter = _may_spend(draft, command, policy)
    if len(draft.held) >= policy.max_holds:
        raise TooMany(limit="holds", allowed=policy.max_holds)
    for lot, points in draft.take(command.points):
        draft.hold(command.entry_id, lot, points)
    effect = Effect(hold_expires_at=command.hold_expires_at, counter=counter)
    return posted(*draft.close(command, EntryKind.HOLD, effect=effect))


def capture(account: Account, command: Capture, *, now: datetime, policy: WalletPolicy) -> Decision:
    """
    Spend part of a hold; the rest returns to its own last valid days.

    What was held stays good for the capture even when its last day passes meanwhile. Capturing
    is spending, which may carry a validity that slides; holding alone is not.
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
    hold = account.holds[command.hold_id]
    draft.use_back(hold.counter, held - command.points, counted_on=hold.counted_on)
    draft.program(REDEEMED, command.points)
    slides = _slides(policy)
    if slides:
        draft.slide()
    counter = hold.counter if hold.counted_on == draft.posted_on else None
    effect = Effect(active=slides, counter=counter) if slides or counter else NO_EFFECT
    return posted(
        *draft.close(command, EntryKind.CAPTURE, effect=effect, refers_to=command.hold_id)
    )


def release(account: Account, command: Release, *, now: datetime, policy: WalletPolicy) -> Decision:
    """Give a whole hold back, each part to its own last valid day, and what a limit counted."""
    draft = Draft(account, now=now, policy=policy)
    for lot, points in spending(_open_hold(draft, command.hold_id), policy):
        draft.hold(command.hold_id, lot, -points)
        draft.come_back(points, lot, on=draft.today)
    hold = account.holds[command.hold_id]
    draft.use_back(hold.counter, hold.points, counted_on=hold.counted_on)
    return posted(*draft.close(command, EntryKind.RELEASE, refers_to=command.hold_id))


def counter_of(spender: str) -> str:
    """Return under which name a pool's account counts what *spender* takes of it in a day."""
    return f"spent:{spender}"


def _slides(policy: WalletPolicy) -> bool:
    return policy.slide is not None and policy.spending_slides


def _may_spend(draft: Draft, command: Spend | SetAside, policy: WalletPolicy) -> str | None:
    """Refuse what may not be spent; return the counter that the points are counted under."""
    account = draft.account
    if account.frozen:
        raise AccountFrozen(owner=account.member_id)
    if command.points < policy.minimum:
        raise BelowMinimum(minimum=policy.minimum, requested=command.points)
    if command.points % policy.multiple:
        raise NotAMultiple(multiple=policy.multiple, requested=command.points)
    if policy.member_limits is None:
        return None
    spender = command.spender or ""
    name = counter_of(spender)
    allowed = policy.member_limits.get(spender, 0)
    draft.use(name, command.points, limit="member", allowed=allowed)
    return name


def _open_hold(draft: Draft, hold_id: str) -> dict[tuple[date | None, bool], int]:
    if hold_id not in draft.held:
        raise HoldNotOpen(hold_id=hold_id)
    return dict(draft.held[hold_id])
