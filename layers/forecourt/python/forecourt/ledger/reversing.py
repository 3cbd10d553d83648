"""
Reversals: taking back what an entry gave, giving back what it took.

What was given and is spent by now becomes debt, or stays uncovered, as the policy says. What
was taken returns to the last valid days it came from.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from forecourt.ledger.budgets import counterpart
from forecourt.ledger.commands import Exactly, Line, Share
from forecourt.ledger.decisions import (
    MAX_PARKED,
    MAX_PARTS,
    Books,
    Decision,
    Parked,
    Posting,
    Reversals,
    posted,
)
from forecourt.ledger.draft import Draft, grace_day
from forecourt.ledger.entries import (
    BREAKAGE,
    DEBT,
    NO_EFFECT,
    REVERSIBLE,
    Effect,
    EntryKind,
    wallet_of,
)
from forecourt.ledger.policy import Shortfall
from forecourt.ledger.refusals import (
    AlreadyReversed,
    LedgerRefusal,
    NothingToReverse,
    NotReversible,
    OverReversed,
    PrincipalSpent,
    TooMany,
)
from forecourt.rounding import Rounding, divide

if TYPE_CHECKING:
    from datetime import date, datetime

    from forecourt.ledger.accounts import Account
    from forecourt.ledger.commands import Earn, EarnNothing, Part, Reverse
    from forecourt.ledger.entries import Entry
    from forecourt.ledger.policy import WalletPolicy
    from forecourt.ledger.procedure import KeptRefusal

APPLIED = ".applied"  # behind the id of a reversal that waited, whatever came of it


def reverse(books: Books, command: Reverse, *, now: datetime, policy: WalletPolicy) -> Decision:
    """Reverse an entry, wholly or in part; park the reversal when the entry is not there."""
    if books.void:
        raise NothingToReverse(entry_id=command.reverses)
    if books.original is None:
        return _park(books, command, now=now, policy=policy)
    original = books.original
    note, points = _account_for(original, books.reversals, command)
    draft, already = Draft(books.account, now=now, policy=policy), note.reversed - points
    if policy.principal_only and original.kind is EntryKind.EARN:
        _require_principal(draft, points - _bonus_part(original, points, already=already))
    entry, account = _apply_to(draft, original, command, points, already=already)
    posting = Posting(entries=(entry,), account=account)
    return Decision(
        postings=(posting, *counterpart(posting, books.other, command, now=now, policy=policy)),
        reversals=note,
    )


def reverse_parked(
    original: Entry, account: Account, parked: Parked, *, now: datetime, policy: WalletPolicy
) -> tuple[list[Entry], Account, Reversals | None]:
    """
    Apply what waited for *original*, right behind it.

    The command's own id has answered "parked", so the entry's is that with `.applied`. A
    reversal that is refused now, leaves an entry that moves nothing and says so.
    """
    entries: list[Entry] = []
    note: Reversals | None = None
    for command in parked.commands:
        draft = Draft(account, now=now, policy=policy)
        points, reason, already = 0, "", note.reversed if note else 0
        try:
            note, points = _account_for(original, note, command)
        except LedgerRefusal as refusal:
            reason = refusal.code
        entry, account = _apply_to(
            draft,
            original,
            replace(command, reason=reason or command.reason),
            points,
            already=already,
            entry_id=f"{command.entry_id}{APPLIED}",
            unparks=True,
        )
        entries.append(entry)
    return entries, account, replace(note, version=1) if note else None


def never(
    books: Books,
    command: Earn | EarnNothing,
    *,
    instead: KeptRefusal | EarnNothing,
    now: datetime,
    policy: WalletPolicy,
) -> Decision:
    """
    Answer *command* with something *instead* of an entry, and end what waited for the entry.

    Each reversal that waited leaves an entry that moves nothing and says why. Where none did,
    the account has to be as it was read: one that is parked meanwhile would wait for ever.
    """
    waiting, account, entries = books.parked, books.account, []
    for each in waiting.commands if waiting else ():
        draft = Draft(account, now=now, policy=policy)
        entry, account = draft.close(
            replace(each, reason=NothingToReverse.code),
            EntryKind.REVERSE,
            entry_id=f"{each.entry_id}{APPLIED}",
            refers_to=command.entry_id,
            effect=Effect(unparks=True),
        )
        entries.append(entry)
    if waiting is None:
        return Decision(postings=(), instead=instead, unmoved=account)
    return Decision(
        postings=(Posting(entries=tuple(entries), account=account),),
        instead=instead,
        parked=replace(waiting, commands=()),
        parked_before=len(waiting.commands),
    )


def _park(books: Books, command: Reverse, *, now: datetime, policy: WalletPolicy) -> Decision:
    parked = books.parked or Parked(
        owner=command.owner, wallet=command.wallet, entry_id=command.reverses
    )
    if command.document in [each.document for each in parked.commands]:
        raise AlreadyReversed(document=command.document)
    if len(parked.commands) >= MAX_PARKED:
        raise TooMany(limit="parked", allowed=MAX_PARKED)
    draft = Draft(books.account, now=now, policy=policy)
    decision = posted(*draft.close(command, EntryKind.PARK, refers_to=command.reverses))
    return replace(
        decision,
        parked=replace(
            parked,
            since=parked.since or draft.posted_on,
            account_version=decision.account.version,
            commands=(*parked.commands, command),
        ),
        parked_before=len(parked.commands),
        absent=(command.reverses_owner or command.owner, command.reverses),
    )


def _account_for(
    original: Entry, note: Reversals | None, command: Reverse
) -> tuple[Reversals, int]:
    """Return the note of *original* after *command*, and the points it moves."""
    if original.kind not in REVERSIBLE or original.wallet != command.wallet:
        raise NotReversible(entry_id=original.entry_id, kind=str(original.kind))
    note = note or Reversals(
        owner=original.member_id, entry_id=original.entry_id, given=original.given
    )
    if command.document in note.documents:
        raise AlreadyReversed(document=command.document)
    if len(note.documents) >= MAX_PARTS:
        raise TooMany(limit="parts", allowed=MAX_PARTS)
    note, points = _part(original, note, command.part)
    left = note.given - note.reversed
    if points > left:
        raise OverReversed(given=note.given, reversed=note.reversed, requested=points)
    if not left:
        raise NothingToReverse(entry_id=original.entry_id)
    after = replace(
        note,
        version=note.version + 1,
        reversed=note.reversed + points,
        documents=(*note.documents, command.document),
    )
    return after, points


def _part(original: Entry, note: Reversals, part: Part) -> tuple[Reversals, int]:
    match part:
        case Exactly(points=points):
            return note, points
        case Share():
            return _share(note, part)
        case Line(item=item, points=said):
            earned = original.items.get(item) if original.items else said
            if item in note.items or earned is None:
                raise NothingToReverse(entry_id=original.entry_id)
            points = min(earned, note.given - note.reversed)
            return replace(note, items=(*note.items, item)), points
        case _:
            return note, note.given - note.reversed


def _share(note: Reversals, share: Share) -> tuple[Reversals, int]:
    """
    Return what a share takes: of what was given, less what was reversed for other reasons.

    The last share to come knows best what the whole is: earlier ones are parts of it, too.
    """
    part = note.part + share.part
    if part > share.whole:
        raise OverReversed(given=share.whole, reversed=note.part, requested=share.part)
    shared = note.given - (note.reversed - note.by_share)
    # Never less than was taken: the whole was less, or the other reversal came between two shares.
    target = max(divide(shared * part, share.whole, Rounding.FLOOR), note.by_share)
    points = target - note.by_share
    return replace(note, part=part, whole=share.whole, by_share=target), points


def _apply_to(
    draft: Draft,
    original: Entry,
    command: Reverse,
    points: int,
    *,
    already: int,
    entry_id: str | None = None,
    unparks: bool = False,
) -> tuple[Entry, Account]:
    if original.kind is EntryKind.EARN:
        uncovered = _take_back(draft, original, points, already=already)
    else:
        uncovered = _give_back(draft, original, points, already=already)
        draft.use_back(original.effect.counter, points, counted_on=original.posted_on)
    return draft.close(
        command,
        EntryKind.REVERSE,
        entry_id=entry_id,
        refers_to=original.entry_id,
        uncovered=uncovered,
        effect=Effect(unparks=True) if unparks else NO_EFFECT,
    )


def _take_back(draft: Draft, original: Entry, points: int, *, already: int) -> int:
    """
    Take back what was earned; return what is not covered.

    First what is still pending of it, then its own buckets, of money those of what was paid in
    and of what was given on top in proportion, then others in spending order, then debt: each
    as far as the policy goes.
    """
    wallet = wallet_of(original.member_id, original.wallet)
    own = [leg for leg in original.legs if leg.account == wallet]
    left = points
    for leg in own:
        if leg.activates_on is not None:
            for last in dict.fromkeys((leg.expires_on, draft.current(leg.expires_on))):
                left -= draft.take_pending(left, leg.activates_on, last)
    policy = draft.policy
    lots = [(draft.current(leg.expires_on), leg.bonus) for leg in own]
    over = bool(lots) and all(last is not None and last < draft.today for last, _ in lots)
    if policy.shortfall is not Shortfall.ONLY_PENDING and (policy.debt_for_expired or not over):
        covered = min(left, draft.available)
        on_top = [lot for lot in lots if lot[1]]
        bonus = min(
            _bonus_part(original, points, already=already),
            sum(draft.free.get(lot, 0) for lot in on_top),
            covered,
        )
        draft.take(bonus, first=on_top)
        draft.take(covered - bonus, first=lots)
        left -= covered
        if policy.shortfall is Shortfall.DEBT:
            draft.owe(left)
            left = 0
    _return_to_source(draft, original, points - left, already=already)
    return left


def _bonus_part(original: Entry, points: int, *, already: int) -> int:
    """
    Return how much of *points* stands for what was given on top of paid-in money.

    It goes with the money in proportion; parts add up before they are rounded down.
    """
    bonus = sum(given for (_, on_top), given in original.returned() if on_top)
    if not bonus:
        return 0
    before = divide(bonus * already, original.given, Rounding.FLOOR)
    return divide(bonus * (already + points), original.given, Rounding.FLOOR) - before


def _require_principal(draft: Draft, wanted: int) -> None:
    left = sum(points for (_, bonus), points in draft.free.items() if not bonus)
    if wanted > left:
        raise PrincipalSpent(requested=wanted, left=left)


def _return_to_source(draft: Draft, original: Entry, points: int, *, already: int) -> None:
    """
    Let who gave the points have them again: a budget by its lots, last given first.

    *already* is how much earlier reversals took back; what they could not cover, its lot lost.
    """
    wallet = wallet_of(original.member_id, original.wallet)
    sources = [leg for leg in original.legs if leg.account not in (wallet, DEBT)]
    for leg in reversed(sources):
        skipped = min(already, -leg.points)
        already -= skipped
        part = min(points, -leg.points - skipped)
        points -= part
        draft.program(leg.account, part, (leg.expires_on, leg.bonus))


def _give_back(draft: Draft, original: Entry, points: int, *, already: int) -> int:
    """
    Give back what was spent, last taken first; return what came too late and stays lost.

    *already* is how much earlier reversals of the entry gave back.
    """
    grace = grace_day(draft.today, draft.policy)
    wallet = wallet_of(original.member_id, original.wallet)
    source = next(leg.account for leg in original.legs if leg.account != wallet)
    draft.program(source, -points)
    lost, left = 0, points
    for lot, taken in reversed(original.taken()):
        skipped = min(already, taken)
        already -= skipped
        part = min(taken - skipped, left)
        left -= part
        if not part:
            continue
        last: date | None = draft.current(lot[0])
        if last is not None and last < draft.today:
            last = grace
            if grace is None:
                lost += part
                draft.program(BREAKAGE, part)
                continue
        draft.give(part, (last, lot[1]))
    return lost
