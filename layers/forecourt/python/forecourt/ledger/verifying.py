"""
Is an account what its entries add up to? Differences as data, from what was read of one owner.

What was read need not be one moment's: the account first, notes and what is parked next, the
entries last. Every posting writes its entry together with the account, so whatever the account
counts is among the entries; later ones are left out. What an owner's later entries could explain
is not held against them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING

from forecourt.ledger.accounts import Account, apply
from forecourt.ledger.chain import faults
from forecourt.ledger.entries import (
    BUDGET_PREFIX,
    DEBT,
    RECEIVED,
    TRANSFER,
    EntryKind,
    wallet_of,
)
from forecourt.ledger.records import account_to_record
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date

    from forecourt.ledger.decisions import Parked, Reversals
    from forecourt.ledger.entries import Entry


class DifferenceKind(StrEnum):
    """What does not agree."""

    UNREADABLE = "unreadable"  # an item of the ledger that cannot be one
    CHAIN_BROKEN = "chain_broken"  # entries that do not follow from each other
    OUT_OF_BOUNDS = "out_of_bounds"  # an entry that takes what is not there
    ACCOUNT_MISSING = "account_missing"
    ACCOUNT_DIFFERS = "account_differs"  # from what its entries add up to
    REVERSALS_DIFFER = "reversals_differ"  # an entry's note forgets what was reversed of it
    NOT_BOOKED = "not_booked"  # an entry of a closed day that no book has
    HALF_MISSING = "half_missing"  # what one wallet gave, and no other got; or the other way round
    PARKED_DIFFER = "parked_differ"  # the account counts others than those that wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that does not agree, and what is known of it."""

    owner: str
    kind: DifferenceKind
    facts: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """
    What was read of one owner, in this order: accounts, notes, entries.

    `unreadable` are the sort keys of items that could not be decoded.
    """

    owner: str
    accounts: Mapping[str, Account] = field(default_factory=dict)
    parked: tuple[Parked, ...] = ()
    reversals: tuple[Reversals, ...] = ()
    entries: tuple[Entry, ...] = ()
    unreadable: tuple[str, ...] = ()


def differences(holdings: Holdings) -> list[Difference]:
    """
    Return what does not agree within *holdings*.

    An account may be missing because it was made while we read: who finds `ACCOUNT_MISSING`
    reads once more, and then it is there or lost.
    """
    found = [
        _difference(holdings, DifferenceKind.UNREADABLE, sort_key=sort_key)
        for sort_key in holdings.unreadable
    ]
    for wallet in sorted(holdings.accounts.keys() | {entry.wallet for entry in holdings.entries}):
        found += _of_wallet(holdings, wallet)
    return found + _of_reversals(holdings) + _of_conversions(holdings)


def _of_wallet(holdings: Holdings, wallet: str) -> list[Difference]:
    entries = [entry for entry in holdings.entries if entry.wallet == wallet]
    live = holdings.accounts.get(wallet)
    if live is None:
        kind = DifferenceKind.ACCOUNT_MISSING
        return [_difference(holdings, kind, wallet=wallet, entries=len(entries))]
    counted = [entry for entry in entries if entry.account_version <= live.version]
    found = [
        _difference(
            holdings,
            DifferenceKind.CHAIN_BROKEN,
            wallet=wallet,
            entry_id=fault.entry_id,
            account_version=fault.account_version,
            reason=fault.reason,
        )
        for fault in faults(counted)
    ]
    found += _of_account(holdings, live, counted)
    if len(counted) == len(entries):
        # The account did not move while we read, so neither did what waits for it.
        waiting = sum(len(each.commands) for each in holdings.parked if each.wallet == wallet)
        if waiting != live.parked:
            facts = {"counted": live.parked, "waiting": waiting}
            found.append(
                _difference(holdings, DifferenceKind.PARKED_DIFFER, wallet=wallet, **facts)
            )
    return found


def _of_account(holdings: Holdings, live: Account, entries: list[Entry]) -> list[Difference]:
    rebuilt = Account(member_id=holdings.owner, wallet=live.wallet, buckets={})
    for entry in sorted(entries, key=lambda entry: entry.account_version):
        try:
            rebuilt = apply(rebuilt, entry)
        except (LookupError, ValueError):  # a hold that was never set, or a place overdrawn
            facts = {"wallet": live.wallet, "entry_id": entry.entry_id}
            return [_difference(holdings, DifferenceKind.OUT_OF_BOUNDS, **facts)]
    is_, ought = account_to_record(live), account_to_record(rebuilt)
    return [
        _difference(
            holdings,
            DifferenceKind.ACCOUNT_DIFFERS,
            wallet=live.wallet,
            field=name,
            live=is_.get(name),
            rebuilt=ought.get(name),
        )
        for name in sorted(is_.keys() | ought.keys())
        if is_.get(name) != ought.get(name)
    ]


def _of_reversals(holdings: Holdings) -> list[Difference]:
    """
    Return whose note knows of less than was reversed: the rest could be reversed again.

    A note may know of more: who took over a merged account reverses its entries, too.
    """
    noted = {note.entry_id: note.reversed for note in holdings.reversals}
    reversed_ = reversed_points(_counted(holdings))
    return [
        _difference(
            holdings,
            DifferenceKind.REVERSALS_DIFFER,
            entry_id=entry_id,
            noted=noted.get(entry_id, 0),
            reversed=points,
        )
        for entry_id, points in reversed_.items()
        if points > noted.get(entry_id, 0)
    ]


def _of_conversions(holdings: Holdings) -> list[Difference]:
    """
    Return which conversions have lost a half: the entry in the one wallet or the other.

    The unit changes, so no sum over all owners is zero; but both halves are one owner's and one
    transaction's, so whatever an account counts has its other half among the entries.
    """
    known = {entry.entry_id for entry in holdings.entries}
    return [
        _difference(
            holdings,
            DifferenceKind.HALF_MISSING,
            wallet=entry.wallet,
            entry_id=entry.entry_id,
            missing=other,
        )
        for entry in _counted(holdings)
        if (other := _other_half(entry)) is not None and other not in known
    ]


def _other_half(entry: Entry) -> str | None:
    """Return the id of the entry that a conversion made in the other wallet."""
    match entry.kind:
        case EntryKind.CONVERT_OUT:
            return f"{entry.entry_id}{RECEIVED}"
        case EntryKind.CONVERT_IN:
            return entry.entry_id.removesuffix(RECEIVED)
        case _:
            return None


def _counted(holdings: Holdings) -> list[Entry]:
    """Return the entries that the accounts as they were read count."""
    return [
        entry
        for entry in holdings.entries
        if entry.wallet in holdings.accounts
        and entry.account_version <= holdings.accounts[entry.wallet].version
    ]


def passing(entries: Iterable[Entry], *, settled_before: date) -> Counter[str]:
    """
    Return what *entries* leave in the accounts that points only pass through.

    What one owner gives another receives, and what an award takes from a budget a member gets:
    each alone balances, and over all owners these accounts are at zero. Owners are read at
    different moments, so only what was posted before a day that is long over may be counted:
    both sides of it are there to be read.
    """
    left: Counter[str] = Counter()
    for entry in entries:
        if entry.posted_at.date() < settled_before:
            for leg in entry.legs:
                if leg.account == TRANSFER or leg.account.startswith(BUDGET_PREFIX):
                    left[leg.account] += leg.points
    return left


def reversed_points(entries: Iterable[Entry]) -> dict[str, int]:
    """Return how much of each of *entries* others among them reversed, by its id."""
    known = list(entries)
    originals = {entry.entry_id: entry for entry in known}
    total: Counter[str] = Counter()
    for entry in known:
        original = originals.get(entry.refers_to or "")
        if entry.kind is EntryKind.REVERSE and original is not None and original.given:
            total[original.entry_id] += _reversed_by(entry, original)
    return dict(total)


def _reversed_by(entry: Entry, original: Entry) -> int:
    """Return what came back to the program account that gave, or went out of that which got."""
    wallet = wallet_of(original.member_id, original.wallet)
    program = next(leg.account for leg in original.legs if leg.account not in (wallet, DEBT))
    moved = entry.moved_to(program)
    # What a refund of an earn cannot take is not moved, yet it counts as reversed.
    return moved + entry.uncovered if original.kind is EntryKind.EARN else -moved


def _difference(holdings: Holdings, kind: DifferenceKind, **facts: object) -> Difference:
    return Difference(owner=holdings.owner, kind=kind, facts=facts)
