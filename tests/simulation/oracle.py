"""
The naive model the ledger is held against.

It shares no arithmetic with the ledger: every earn is a lot of its own, time passes event by
event, nothing is lazy, nothing is a leg. It is slow to explain and easy to believe.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from forecourt.ledger.policy import Midnight
from forecourt.validity import last_valid_day

if TYPE_CHECKING:
    from collections.abc import Iterable

    from forecourt.ledger.commands import Reverse
    from forecourt.ledger.policy import WalletPolicy

FAR = date.max


class Refused(Exception):
    """The model says no; its argument is the code."""


class Lot:
    """Points that were given together."""

    __slots__ = ("bonus", "last", "points", "since")

    def __init__(
        self, points: int, last: date | None, *, bonus: bool = False, since: date | None = None
    ) -> None:
        self.points, self.last, self.bonus, self.since = points, last, bonus, since

    def copy(self) -> Lot:
        return Lot(self.points, self.last, bonus=self.bonus, since=self.since)


class Past:
    """What an entry did, as far as a reversal wants to know."""

    def __init__(self, kind: str, lots: list[Lot], points: int, command: Any, day: date) -> None:
        self.kind, self.lots, self.points, self.day = kind, lots, points, day
        self.items = getattr(command, "items", {})
        self.wallet = command.wallet
        self.counter: str | None = None
        self.budget = getattr(command, "budget", None)
        self.out_of: list[Lot] = []


class Hold:
    """Lots set aside, and the limit of a day they were counted under."""

    def __init__(self, until: datetime, lots: list[Lot], counter: str | None, day: date) -> None:
        self.until, self.lots, self.counter, self.day = until, lots, counter, day


class Merged:
    """What a merge brought, and what paid for the debt that came with it."""

    def __init__(self, lots: list[Lot], debt: int, paid: list[Lot]) -> None:
        self.lots, self.debt, self.paid = lots, debt, paid


class Undone:
    """What was reversed of an entry."""

    def __init__(self) -> None:
        self.points = self.part = self.whole = self.by_share = 0
        self.items: set[str] = set()
        self.documents: set[str] = set()

    def copy(self) -> Undone:
        other = Undone()
        other.points, other.part = self.points, self.part
        other.whole, other.by_share = self.whole, self.by_share
        other.items, other.documents = set(self.items), set(self.documents)
        return other


class Purse:
    """One wallet of one owner."""

    def __init__(self, zone: str | None = None) -> None:
        self.zone = zone
        self.lots: list[Lot] = []
        self.holds: dict[str, Hold] = {}
        self.debt = 0
        self.awarded = 0
        self.frozen = False
        self.gone_to: str | None = None
        self.gone_by: str | None = None
        self.parked: dict[str, list[Reverse]] = {}
        self.used_on: date | None = None
        self.used: dict[str, int] = {}
        self.active_on: date | None = None
        self.longer: dict[date, date] = {}
        self.dead: dict[date, int] = {}

    def copy(self) -> Purse:
        other = Purse(self.zone)
        other.lots = [lot.copy() for lot in self.lots]
        other.holds = {
            name: Hold(hold.until, [lot.copy() for lot in hold.lots], hold.counter, hold.day)
            for name, hold in self.holds.items()
        }
        other.debt, other.frozen = self.debt, self.frozen
        other.awarded = self.awarded
        other.gone_to, other.gone_by = self.gone_to, self.gone_by
        other.parked = {name: list(waiting) for name, waiting in self.parked.items()}
        other.used_on, other.used = self.used_on, dict(self.used)
        other.active_on, other.longer = self.active_on, dict(self.longer)
        other.dead = dict(self.dead)
        return other

    def facts(self) -> dict[str, Any]:
        """Return the state in the terms in which it is compared."""
        free: dict[Any, int] = {}
        pending: dict[Any, int] = {}
        for lot in self.lots:
            where = free if lot.since is None else pending
            key = (lot.last, lot.bonus) if lot.since is None else (lot.since, lot.last)
            where[key] = where.get(key, 0) + lot.points
        holds = {}
        for name, hold in self.holds.items():
            held: dict[Any, int] = {}
            for lot in hold.lots:
                held[lot.last, lot.bonus] = held.get((lot.last, lot.bonus), 0) + lot.points
            holds[name] = (hold.until, held)
        return {
            "free": free,
            "pending": pending,
            "holds": holds,
            "debt": self.debt,
            "awarded": self.awarded,
            "frozen": self.frozen,
            "zone": self.zone,
            "gone_to": self.gone_to,
            "parked": sum(map(len, self.parked.values())),
            "used": {name: points for name, points in self.used.items() if points},
        }


class Scene:
    """
    Purses while one command is tried on them, at one moment, under one policy.

    `today` is the program's; what a purse has, has its own days.
    """

    def __init__(self, policy: WalletPolicy, now: datetime) -> None:
        self.policy, self.now = policy, now
        self.today = now.astimezone(policy.zone).date()

    def where(self, purse: Purse) -> ZoneInfo:
        if self.policy.midnight is Midnight.PROGRAM or purse.zone is None:
            return self.policy.zone
        return ZoneInfo(purse.zone)

    def day(self, purse: Purse) -> date:
        return self.now.astimezone(self.where(purse)).date()

    def midnight(self, day: date, purse: Purse) -> datetime:
        return datetime.combine(day, time.min, self.where(purse)).astimezone(UTC)

    def live(self, purse: Purse) -> None:
        """Let everything happen that was due until now, one after the other."""
        while True:
            events: list[tuple[Any, str, Any]] = []
            for lot in purse.lots:
                if lot.since is not None:
                    events.append(
                        ((self.midnight(lot.since, purse), 0, lot.last or FAR, ""), "wake", lot)
                    )
                elif lot.last is not None and lot.last != FAR:
                    over = self.midnight(lot.last + timedelta(days=1), purse)
                    events.append(((over, 2, lot.last, ""), "die", lot))
            for name, hold in purse.holds.items():
                events.append(((hold.until, 1, FAR, name), "free", name))
            events = [event for event in events if event[0][0] <= self.now]
            if not events:
                return
            (at, *_), what, subject = min(events, key=lambda event: event[0])
            if what == "die":
                purse.lots.remove(subject)
                purse.dead[subject.last] = purse.dead.get(subject.last, 0) + subject.points
            elif what == "wake":
                purse.lots.remove(subject)
                self.give(purse, subject.points, subject.last)
            else:
                hold = purse.holds.pop(subject)
                self.uncount(purse, hold.counter, hold.day, sum(lot.points for lot in hold.lots))
                self.let_go(purse, hold.lots, at.astimezone(self.where(purse)).date())

    def let_go(self, purse: Purse, lots: Iterable[Lot], day: date) -> None:
        for lot in self.order(lots):
            last = self.now_until(purse, lot.last)
            if last is None or last >= day:
                self.give(purse, lot.points, last, bonus=lot.bonus)

    def order(self, lots: Iterable[Lot]) -> list[Lot]:
        return sorted(lots, key=lambda lot: (lot.last or FAR, lot.bonus != self.policy.bonus_first))

    def now_until(self, purse: Purse, last: date | None) -> date | None:
        """Return the last day that points of that last day have by now."""
        while last is not None and last in purse.longer:
            last = purse.longer[last]
        if last and purse.active_on and self.policy.slide:
            carried = last_valid_day(purse.active_on, self.policy.slide)
            return max(last, carried) if carried else last
        return last

    def give(
        self, purse: Purse, points: int, last: date | None, *, bonus: bool = False
    ) -> list[Lot]:
        pays = min(purse.debt, points)
        purse.debt -= pays
        if points == pays:
            return []
        purse.lots.append(Lot(points - pays, last, bonus=bonus))
        return [purse.lots[-1].copy()]

    def spendable(self, purse: Purse) -> int:
        return sum(lot.points for lot in purse.lots if lot.since is None)

    def everything(self, purse: Purse) -> int:
        held = sum(lot.points for hold in purse.holds.values() for lot in hold.lots)
        return sum(lot.points for lot in purse.lots) + held

    def take(self, purse: Purse, points: int, own: Iterable[tuple[Any, bool]] = ()) -> list[Lot]:
        if points > self.spendable(purse):
            raise Refused("insufficient_points")
        free = self.order(lot for lot in purse.lots if lot.since is None)
        wanted = list(dict.fromkeys(own))
        mine = [lot for key in wanted for lot in free if (lot.last, lot.bonus) == key]
        taken = []
        for lot in [*mine, *(lot for lot in free if lot not in mine)]:
            part = min(points, lot.points)
            if part:
                taken.append(Lot(part, lot.last, bonus=lot.bonus))
                lot.points -= part
                points -= part
        purse.lots = [lot for lot in purse.lots if lot.points]
        return taken

    def stir(self, purse: Purse) -> None:
        """Carry all lots along because the owner was active today."""
        until = last_valid_day(self.today, self.policy.slide)
        for lot in purse.lots:
            if lot.last is not None and until is not None:
                lot.last = max(lot.last, until)
        purse.active_on = max(purse.active_on or self.today, self.today)

    def count(self, purse: Purse, name: str, points: int) -> None:
        if purse.used_on is None or self.today > purse.used_on:
            purse.used_on, purse.used = self.today, {}
        purse.used[name] = max(purse.used.get(name, 0) + points, 0)

    def uncount(self, purse: Purse, name: str | None, day: date, points: int) -> None:
        """Give a limit of today back what comes back."""
        if name is not None and day == self.today:
            self.count(purse, name, -points)

    def used(self, purse: Purse, name: str) -> int:
        if purse.used_on is None or purse.used_on < self.today:
            return 0
        return purse.used.get(name, 0)

    def roof(self, purse: Purse, more: int) -> None:
        ceiling = self.policy.ceiling
        if ceiling is not None and self.everything(purse) + more > ceiling:
            raise Refused("ceiling_exceeded")
