"""
A draft: an account being worked on until an entry is made of it.

Every draft first does what is due, in the order in which a job that never slept would have
done it: holds time out and pending points become active day by day and pay debt first, then
what is over runs out. So a command finds the same account whether jobs run or not.

A draft knows two days. `today` is the account's: by it points are good, pending or over.
`posted_on` is the program's business day: books are closed by it, limits counted, and days
given. They differ while it is midnight between the program and a member elsewhere.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from forecourt.instants import business_day
from forecourt.ledger.accounts import apply
from forecourt.ledger.canonical import fingerprint
from forecourt.ledger.chain import seal
from forecourt.ledger.entries import (
    DEBT,
    EXPIRED,
    NO_EFFECT,
    Entry,
    EntryKind,
    Leg,
    Lot,
    wallet_of,
)
from forecourt.ledger.refusals import CeilingExceeded, InsufficientPoints, LimitExceeded
from forecourt.validity import last_valid_day

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import date, datetime

    from forecourt.ledger.accounts import Account
    from forecourt.ledger.commands import Command
    from forecourt.ledger.entries import Effect
    from forecourt.ledger.policy import WalletPolicy


NO_LOT: Lot = (None, False)


def spending_order(lots: Iterable[Lot], *, bonus_first: bool) -> list[Lot]:
    """Return *lots* as they are spent: the earliest last day first, what never runs out last."""
    return sorted(
        lots,
        key=lambda lot: (lot[0] is None, lot[0].toordinal() if lot[0] else 0, lot[1] ^ bonus_first),
    )


class Draft:
    """*account* at *now*, up to date, with the legs that change it."""

    __slots__ = (
        "_base",
        "_wallet",
        "debt",
        "free",
        "held",
        "legs",
        "now",
        "pending",
        "policy",
        "posted_on",
        "ran_out",
        "today",
        "upkeep",
        "uses",
    )

    def __init__(self, account: Account, *, now: datetime, policy: WalletPolicy) -> None:
        self._base = account
        self._wallet = wallet_of(account.member_id, account.wallet)
        self.now = now
        self.today = policy.day_of(account, now)
        self.posted_on = business_day(now, policy.zone)
        self.policy = policy
        self.free: dict[Lot, int] = {(day, False): n for day, n in account.buckets.items()}
        self.free.update({(day, True): n for day, n in account.bonus.items()})
        self.pending = dict(account.pending)
        self.held = {hold_id: dict(hold.lots) for hold_id, hold in account.holds.items()}
        self.debt = account.debt
        self.uses: dict[str, int] = {}
        self.ran_out: dict[date, int] = {}
        self.legs: list[Leg] = []
        self._settle()
        self.upkeep, self.legs = self.legs, []

    @property
    def account(self) -> Account:
        """Return the account the draft began with."""
        return self._base

    @property
    def available(self) -> int:
        """Return what can be spent."""
        return sum(self.free.values())

    def program(self, account: str, points: int, lot: Lot = NO_LOT) -> None:
        """Let a program account gain *points*; what passes through a budget names the *lot*."""
        if points:
            self.legs.append(Leg(account=account, points=points, expires_on=lot[0], bonus=lot[1]))

    def owe(self, points: int) -> None:
        """Raise the debt by *points*, or lower it."""
        self.debt += points
        self.program(DEBT, -points)

    def give(self, points: int, lot: Lot) -> int:
        """Put *points* into *lot*, debt first; return what reached the lot."""
        owed = min(self.debt, points)
        self.owe(-owed)
        self._move(lot, points - owed)
        return points - owed

    def take(self, points: int, *, first: Iterable[Lot] = ()) -> list[tuple[Lot, int]]:
        """
        Take *points* out, lots in *first* before the others; return from where.

        Raises `InsufficientPoints` and takes nothing when there are fewer.
        """
        if points > self.available:
            raise InsufficientPoints(requested=points, available=self.available)
        preferred = [lot for lot in first if lot in self.free]
        others = spending_order(self.free, bonus_first=self.policy.bonus_first)
        taken: list[tuple[Lot, int]] = []
        for lot in [*preferred, *(lot for lot in others if lot not in preferred)]:
            part = min(points, self.free[lot])
            if part:
                self._move(lot, -part)
                taken.append((lot, part))
                points -= part
        return taken

    def take_pending(self, points: int, since: date, last: date | None) -> int:
        """Take up to *points* out of what is pending; return how many there were."""
        part = min(points, self.pending.get((since, last), 0))
        self.wait(-part, since, last)
        return part

    def wait(self, points: int, since: date, last: date | None) -> None:
        """Let *points* be pending until *since*."""
        if points:
            key = (since, last)
            self.pending[key] = self.pending.get(key, 0) + points
            self._leg(points, last, activates_on=since)

    def hold(self, hold_id: str, lot: Lot, points: int) -> None:
        """Put *points* of *lot* under a hold, or take them out of it when negative."""
        lots = self.held.setdefault(hold_id, {})
        lots[lot] = lots.get(lot, 0) + points
        if not lots[lot]:
            del lots[lot]
        self._leg(points, lot[0], bonus=lot[1], hold_id=hold_id)

    @contextmanager
    def keeping_up(self) -> Iterator[None]:
        """Count the legs made inside as upkeep and not as the command's own."""
        legs, self.legs = self.legs, self.upkeep
        yield
        self.legs = legs

    def come_back(self, points: int, lot: Lot, *, on: date) -> None:
        """Let points that were away return to their lot on the day *on*, if it is not over."""
        last = self.current(lot[0])
        if last is not None and last < on:
            self.program(EXPIRED, points)
        else:
            self.give(points, (last, lot[1]))

    def current(self, last: date | None) -> date | None:
        """Return what a last valid day has become since: extended, or carried by activity."""
        while last is not None and last in self._base.extended:
            last = self._base.extended[last]
        slide, active_on = self.policy.slide, self._base.last_active_on
        if last is not None and slide is not None and active_on is not None:
            last = max(last, last_valid_day(active_on, slide) or last)
        return last

    def slide(self) -> None:
        """Carry everything to the day that activity today makes the last one."""
        until = last_valid_day(self.posted_on, self.policy.slide)
        if until is None:
            return
        with self.keeping_up():
            for lot, points in list(self.free.items()):
                if lot[0] is not None and lot[0] < until:
                    self._move(lot, -points)
                    self._move((until, lot[1]), points)
            for (since, last), points in list(self.pending.items()):
                if last is not None and last < until:
                    self.wait(-points, since, last)
                    self.wait(points, since, until)

    def check_ceiling(self, more: int) -> None:
        """Refuse to let the wallet hold more than it may, *more* included."""
        ceiling = self.policy.ceiling
        total = self.available + sum(self.pending.values())
        total += sum(sum(lots.values()) for lots in self.held.values())
        if ceiling is not None and total + more > ceiling:
            raise CeilingExceeded(ceiling=ceiling, held=total, requested=more)

    def use(self, name: str, points: int, *, limit: str, allowed: int) -> None:
        """Count *points* under *name* for today, if the limit allows it."""
        used = self._used(name)
        if used + points > allowed:
            raise LimitExceeded(limit=limit, allowed=allowed, used=used, requested=points)
        self.uses[name] = self.uses.get(name, 0) + points

    def use_back(self, name: str | None, points: int, *, counted_on: date | None) -> None:
        """Give a limit of today back what was not used after all; one of yesterday is over."""
        if name is not None and counted_on == self.posted_on:
            self.uses[name] = self.uses.get(name, 0) - points

    def close(
        self,
        command: Command,
        kind: EntryKind,
        *,
        entry_id: str | None = None,
        effect: Effect = NO_EFFECT,
        refers_to: str | None = None,
        items: Mapping[str, int] | None = None,
        uncovered: int = 0,
        checker: str | None = None,
    ) -> tuple[Entry, Account]:
        """Return the entry that the draft makes of *command*, and the account after it."""
        account = self._base
        if account.version == 0 and kind is not EntryKind.SET_ZONE and account.zone:
            effect = replace(effect, zone=account.zone)
        if self.uses:
            effect = replace(effect, uses=self.uses)
        if self.ran_out and self.policy.recall_days:
            effect = replace(effect, ran_out=self._recalled())
        entry = seal(
            Entry(
                entry_id=entry_id or command.entry_id,
                kind=kind,
                member_id=account.member_id,
                wallet=account.wallet,
                legs=tuple(self.legs),
                upkeep=tuple(self.upkeep),
                source=command.source,
                reason=command.reason,
                actor=command.actor,
                checker=checker,
                program_version=command.program_version,
                trace=command.trace,
                occurred_at=command.occurred_at,
                posted_at=self.now,
                posted_on=self.posted_on,
                account_version=account.version + 1,
                effect=effect,
                refers_to=refers_to,
                items=items or {},
                uncovered=uncovered,
                fingerprint=fingerprint(command),
                previous=account.digest,
            )
        )
        return entry, apply(account, entry)

    def _settle(self) -> None:
        for on, hold_id, since in self._due():
            if hold_id is not None:
                hold = self._base.holds[hold_id]
                self.use_back(hold.counter, hold.points, counted_on=hold.counted_on)
                for lot, points in spending(self.held[hold_id], self.policy):
                    self.hold(hold_id, lot, -points)
                    self.come_back(points, lot, on=on)
                del self.held[hold_id]
            else:
                last = since[1]
                points = self.pending[since]
                self.wait(-points, *since)
                self.give(points, (last, False))
        for (last, bonus), points in spending(self.free, self.policy):
            if last is not None and last < self.today:
                self._move((last, bonus), -points)
                self.program(EXPIRED, points)
                self.ran_out[last] = self.ran_out.get(last, 0) + points
        self.pending = {key: points for key, points in self.pending.items() if points}

    def _recalled(self) -> dict[date, int]:
        """Return what ran out by now and lately enough to be recalled."""
        known = self._base.ran_out
        oldest = self.today - timedelta(days=self.policy.recall_days)
        return {
            last: known.get(last, 0) + self.ran_out.get(last, 0)
            for last in sorted(known.keys() | self.ran_out)
            if last >= oldest
        }

    def _used(self, name: str) -> int:
        account = self._base
        # A clock that went back over midnight finds the day that was begun, not a new one.
        counting = account.counted_on is not None and account.counted_on >= self.posted_on
        return (account.used.get(name, 0) if counting else 0) + self.uses.get(name, 0)

    def _due(self) -> list[tuple[date, str | None, tuple[date, date | None]]]:
        """Return what comes back by now, in the order it does: by day, activations first."""
        nothing = (self.today, None)
        due: list[tuple[tuple[date, int, datetime, str], str | None, tuple[date, date | None]]] = []
        for hold_id, hold in self._base.holds.items():
            if hold.expires_at <= self.now:
                on = self.policy.day_of(self._base, hold.expires_at)
                due.append(((on, 1, hold.expires_at, hold_id), hold_id, nothing))
        for since, last in self.pending:
            if since <= self.today:
                far = last.isoformat() if last else "~"
                due.append(((since, 0, self.now, far), None, (since, last)))
        due.sort(key=lambda each: each[0])
        return [(order[0], hold_id, since) for order, hold_id, since in due]

    def _move(self, lot: Lot, points: int) -> None:
        if not points:
            return
        left = self.free.get(lot, 0) + points
        if left:
            self.free[lot] = left
        else:
            del self.free[lot]
        self._leg(points, lot[0], bonus=lot[1])

    def _leg(
        self,
        points: int,
        last: date | None,
        *,
        bonus: bool = False,
        activates_on: date | None = None,
        hold_id: str | None = None,
    ) -> None:
        self.legs.append(
            Leg(
                account=self._wallet,
                points=points,
                expires_on=last,
                bonus=bonus,
                activates_on=activates_on,
                hold_id=hold_id,
            )
        )


def spending(lots: Mapping[Lot, int], policy: WalletPolicy) -> list[tuple[Lot, int]]:
    """Return *lots* with their points, in spending order."""
    return [(lot, lots[lot]) for lot in spending_order(lots, bonus_first=policy.bonus_first)]


def grace_day(today: date, policy: WalletPolicy) -> date | None:
    """Return the last valid day of what comes back too late; `None`: it does not."""
    if policy.grace_days is None:
        return None
    return today + timedelta(days=policy.grace_days)
