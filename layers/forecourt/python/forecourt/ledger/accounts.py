"""
An account: all a wallet has, in one item whose size the calendar bounds.

`apply` is the only way an account changes, so folding it over the entries gives the account
again: that is what "the entries are the truth" means.
"""

from __future__ import annotations

from dataclasses import field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from forecourt.ledger.entries import DEBT, POINTS_WALLET, EntryKind, Lot, wallet_of
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date, datetime

    from forecourt.ledger.entries import Entry, Leg

Pending = tuple["date", "date | None"]  # active from, good until


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """
    Points set aside until `expires_at`, with the lots they came from.

    `counter` is the one of the day `counted_on` that they are counted under, if any.
    """

    expires_at: datetime
    lots: Mapping[Lot, int]
    counter: str | None = None
    counted_on: date | None = None

    @property
    def points(self) -> int:
        return sum(self.lots.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """
    A wallet's state.

    `buckets` and `bonus` (the part of stored money that was a present) are by last valid day,
    `pending` by activation day and last valid day, `used` counts what is limited per business
    day, on `counted_on`. `ran_out` recalls what is no longer there, by last valid day, if the
    wallet's policy wants that. `debt` is what the member owes; who owes has nothing to spend.
    `awarded` is what a budget gave and did not get back. `zone` is the member's own, an IANA
    name; `None` is the program's. `version` counts the entries, `digest` is the last one's.
    """

    member_id: str
    wallet: str = POINTS_WALLET
    version: int = 0
    buckets: Mapping[date | None, int]
    bonus: Mapping[date | None, int] = field(default_factory=dict)
    pending: Mapping[Pending, int] = field(default_factory=dict)
    holds: Mapping[str, Hold] = field(default_factory=dict)
    debt: int = 0
    awarded: int = 0
    frozen: bool = False
    zone: str | None = None
    merged_into: str | None = None
    parked: int = 0
    counted_on: date | None = None
    used: Mapping[str, int] = field(default_factory=dict)
    last_active_on: date | None = None
    extended: Mapping[date, date] = field(default_factory=dict)
    ran_out: Mapping[date, int] = field(default_factory=dict)
    digest: str = ""

    def __post_init__(self) -> None:
        """Refuse a bucket that was overdrawn, and debt beside points that could pay it."""
        overdrawn = (
            any(points <= 0 for points in self.buckets.values())
            or any(points <= 0 for points in self.bonus.values())
            or any(points <= 0 for points in self.pending.values())
            or any(points <= 0 for hold in self.holds.values() for points in hold.lots.values())
        )
        if overdrawn or self.debt < 0 or self.parked < 0:
            raise ValueError(self.member_id)
        if self.debt and (self.buckets or self.bonus):
            raise ValueError(self.member_id)

    def available(self, today: date, *, now: datetime | None = None) -> int:
        """
        Return what can be spent on *today*, the day it is for the account.

        Points run out at the midnight that ends their last valid day and become active at
        the one that begins their activation day, whether or not any job has run. With *now*,
        holds that timed out count again.
        """
        points = sum(
            points
            for lots in (self.buckets, self.bonus)
            for last, points in lots.items()
            if _good(last, today)
        )
        points += sum(
            points
            for (since, last), points in self.pending.items()
            if since <= today and _good(last, today)
        )
        if now is not None:
            points += sum(
                points
                for hold in self.holds.values()
                if hold.expires_at <= now
                for (last, _), points in hold.lots.items()
                if _good(last, today)
            )
        return points - self.debt if points > self.debt else 0

    def next_expiry(self, today: date) -> tuple[date, int] | None:
        """Return the next day after which points are lost, and how many."""
        days = [day for lots in (self.buckets, self.bonus) for day in lots if day and day >= today]
        if not days:
            return None
        first = min(days)
        return first, self.buckets.get(first, 0) + self.bonus.get(first, 0)

    @property
    def total(self) -> int:
        """Return all that lies in the wallet: to be spent, pending or held."""
        return (
            sum(self.buckets.values())
            + sum(self.bonus.values())
            + sum(self.pending.values())
            + sum(hold.points for hold in self.holds.values())
        )

    @property
    def due_on(self) -> date | None:
        """
        Return the first day on which a job has something to do here.

        That is the day after the last valid day, held points' included, or the activation
        day. It changes only when a nearer day appears or the nearest is gone.
        """
        days = [day for lots in (self.buckets, self.bonus) for day in lots if day]
        days += [last for hold in self.holds.values() for last, _ in hold.lots if last]
        due = [day + timedelta(days=1) for day in days]
        due += [since for since, _ in self.pending]
        return min(due, default=None)


def apply(account: Account, entry: Entry) -> Account:
    """Return *account* after *entry*; what is empty then disappears."""
    fold = _Fold(account)
    for leg in entry.upkeep:
        fold.move(leg)
    for leg in entry.legs:
        fold.move(leg)
    effect = entry.effect
    counted_on, used = account.counted_on, account.used
    if effect.uses and entry.posted_on is not None:
        if counted_on is None or entry.posted_on > counted_on:
            counted_on, used = entry.posted_on, {}
        after = {
            name: used.get(name, 0) + effect.uses.get(name, 0) for name in {**used, **effect.uses}
        }
        used = {name: points for name, points in after.items() if points > 0}
    active_on = account.last_active_on
    if effect.active and entry.posted_on is not None:
        active_on = max(active_on or entry.posted_on, entry.posted_on)
    if effect.hold_expires_at:
        fold.terms[entry.entry_id] = Hold(
            expires_at=effect.hold_expires_at,
            lots={},
            counter=effect.counter,
            counted_on=entry.posted_on if effect.counter else None,
        )
    return replace(
        account,
        version=account.version + 1,
        buckets={day: points for (day, bonus), points in fold.free.items() if points and not bonus},
        bonus={day: points for (day, bonus), points in fold.free.items() if points and bonus},
        pending={key: points for key, points in fold.pending.items() if points},
        holds=fold.open_holds(),
        debt=fold.debt,
        awarded=fold.awarded,
        frozen=_frozen_after(account, entry.kind),
        zone=effect.zone if entry.kind is EntryKind.SET_ZONE else effect.zone or account.zone,
        merged_into=(
            None
            if entry.kind is EntryKind.UNMERGE_IN
            else effect.merged_into or account.merged_into
        ),
        parked=account.parked + (entry.kind is EntryKind.PARK) - effect.unparks,
        counted_on=counted_on,
        used=used,
        last_active_on=active_on,
        extended=(
            {**account.extended, effect.extends[0]: effect.extends[1]}
            if effect.extends
            else account.extended
        ),
        ran_out=effect.ran_out or account.ran_out,
        digest=entry.digest or account.digest,
    )


def rebuild(member_id: str, wallet: str, entries: Iterable[Entry]) -> Account:
    """Return the account that *entries* add up to, whatever order they come in."""
    account = Account(member_id=member_id, wallet=wallet, buckets={})
    for entry in sorted(entries, key=lambda entry: entry.account_version):
        account = apply(account, entry)
    return account


class _Fold:
    """The places a leg can move, while an entry is applied."""

    __slots__ = ("awarded", "debt", "free", "held", "owner", "pending", "terms", "wallet")

    def __init__(self, account: Account) -> None:
        self.owner = account.member_id
        self.wallet = wallet_of(account.member_id, account.wallet)
        self.free: dict[Lot, int] = {(day, False): n for day, n in account.buckets.items()}
        self.free.update({(day, True): n for day, n in account.bonus.items()})
        self.pending = dict(account.pending)
        self.held = {hold_id: dict(hold.lots) for hold_id, hold in account.holds.items()}
        self.terms = dict(account.holds)
        self.debt = account.debt
        self.awarded = account.awarded

    def move(self, leg: Leg) -> None:
        if leg.account == DEBT:
            self.debt -= leg.points
        elif leg.account == self.owner:  # a budget's own name: what passes through it
            self.awarded += leg.points
        elif leg.account != self.wallet:
            return
        elif leg.hold_id is not None:
            lots = self.held.setdefault(leg.hold_id, {})
            lot = (leg.expires_on, leg.bonus)
            lots[lot] = lots.get(lot, 0) + leg.points
        elif leg.activates_on is not None:
            key = (leg.activates_on, leg.expires_on)
            self.pending[key] = self.pending.get(key, 0) + leg.points
        else:
            lot = (leg.expires_on, leg.bonus)
            self.free[lot] = self.free.get(lot, 0) + leg.points

    def open_holds(self) -> dict[str, Hold]:
        return {
            hold_id: replace(
                self.terms[hold_id], lots={lot: points for lot, points in lots.items() if points}
            )
            for hold_id, lots in self.held.items()
            if any(lots.values())
        }


def _frozen_after(account: Account, kind: EntryKind) -> bool:
    if kind is EntryKind.FREEZE:
        return True
    return account.frozen and kind is not EntryKind.UNFREEZE


def _good(last: date | None, today: date) -> bool:
    return last is None or last >= today
