"""What each command does in the naive model (`tests.simulation.oracle`)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from forecourt.ledger import commands as c
from forecourt.ledger.policy import Shortfall
from tests.simulation.moves import Place, back_to, come_home, move, other_place_of, out_of
from tests.simulation.oracle import (
    FAR,
    Hold,
    Lot,
    Merged,
    Past,
    Purse,
    Refused,
    Scene,
    Undone,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from forecourt.ledger.policy import Policies


class Trial:
    """What a command would make of the purses; nothing is kept until `Model.keep`."""

    def __init__(self) -> None:
        self.purses: dict[Place, Purse] = {}
        self.past: dict[tuple[str, str], Past] = {}
        self.undone: dict[tuple[str, str], Undone] = {}
        self.merged: dict[tuple[str, str], Merged] = {}
        self.void: set[tuple[str, str]] = set()


class Model:
    """All purses, every version of them, and what every entry did; *homes* are owners' zones."""

    def __init__(self, homes: Mapping[str, str]) -> None:
        self.homes = homes
        self.versions: dict[Place, list[Purse]] = {}
        self.past: dict[tuple[str, str], Past] = {}
        self.undone: dict[tuple[str, str], list[tuple[int, Undone]]] = {}
        self.merged: dict[tuple[str, str], Merged] = {}
        self.refused: dict[tuple[str, str], int] = {}
        self.posted: dict[tuple[str, str], int] = {}
        self.moment = 0

    def at(self, place: Place, version: int | None = None) -> Purse:
        versions = self.versions.get(place)
        if versions is None:
            return Purse(self.homes.get(place[0]))
        return versions[-1 if version is None else version].copy()

    def count(self, place: Place) -> int:
        return len(self.versions.get(place, [None])) - 1

    def keep(self, trial: Trial, entries: dict[Place, int]) -> None:
        """Keep what was tried; *entries* says how many versions each account went on."""
        for place, purse in trial.purses.items():
            versions = self.versions.setdefault(place, [Purse(self.homes.get(place[0]))])
            versions.extend([purse] * entries[place])
        self.past |= trial.past
        self.merged |= trial.merged
        self.moment += 1
        for key, undone in trial.undone.items():
            self.undone.setdefault(key, []).append((self.moment, undone))
        self.posted |= dict.fromkeys(trial.past, self.moment)
        self.refused |= dict.fromkeys(trial.void, self.moment)

    def keep_refusal(self, key: tuple[str, str]) -> None:
        self.moment += 1
        self.refused[key] = self.moment

    def attempt(
        self,
        command: c.Command,
        *,
        now: datetime,
        policies: Policies,
        version: int | None = None,
        other_version: int | None = None,
        as_of: int | None = None,
    ) -> Trial:
        """
        Return what *command* does to the purses of these versions, or raise `Refused`.

        *as_of* is the moment up to which it knows which ids were answered.
        """
        scene = Scene(policies.of(command.wallet), now)
        trial = Trial()
        place = (command.owner, command.wallet)
        purse = trial.purses[place] = self.at(place, version)
        if purse.gone_to is not None and not isinstance(command, c.Unmerge):
            raise Refused("account_merged")
        if isinstance(command, c.EarnNothing):
            return self.end_waiting(command, now=now, policies=policies)
        scene.live(purse)
        match command:
            case c.Transfer() | c.Merge() | c.Convert():
                self._move(scene, trial, purse, command, policies=policies, version=other_version)
            case c.Unmerge():
                self._unmerge(scene, trial, purse, command, other_version)
            case c.Reverse():
                known = self.moment if as_of is None else as_of
                self._reverse(scene, trial, purse, command, known)
            case c.Earn():
                self._earn(scene, trial, purse, command, other_version)
            case _:
                past = _ALONE[type(command)](scene, purse, command)
                if past is not None:
                    trial.past[command.owner, command.entry_id] = past
        nothing = Past("other", [], 0, command, scene.today)
        trial.past.setdefault((command.owner, command.entry_id), nothing)
        return trial

    def end_waiting(self, command: c.Command, *, now: datetime, policies: Policies) -> Trial:
        """Return what becomes of the purse when no points will ever come under that id."""
        trial, place = Trial(), (command.owner, command.wallet)
        purse = self.at(place)
        if purse.parked.pop(command.entry_id, None):
            Scene(policies.of(command.wallet), now).live(purse)
            trial.purses[place] = purse
        trial.void.add((command.owner, command.entry_id))
        return trial

    def _move(
        self,
        scene: Scene,
        trial: Trial,
        purse: Purse,
        command: c.Transfer | c.Merge | c.Convert,
        *,
        policies: Policies,
        version: int | None,
    ) -> None:
        place = other_place_of(command)
        if purse.frozen:
            raise Refused("account_frozen")
        if place is None or place == (command.owner, command.wallet):
            raise Refused("transfer_to_self")
        other = trial.purses[place] = self.at(place, version)
        other_scene = Scene(policies.of(place[1]), scene.now)
        merged = move(scene, other_scene, purse, other, command)
        if merged is not None:
            trial.merged[command.owner, command.entry_id] = merged

    def _earn(
        self, scene: Scene, trial: Trial, purse: Purse, command: c.Earn, version: int | None
    ) -> None:
        place, lots_before = other_place_of(command), list[Lot]()
        if place is not None:
            budget = trial.purses[place] = self.at(place, version)
            lots_before = out_of(scene, budget, command.points + command.bonus)
        scene.roof(purse, max(command.points + command.bonus - purse.debt, 0))
        if scene.policy.slide:
            scene.stir(purse)
        since = command.activates_on
        if since is not None and since > scene.day(purse):
            purse.lots.append(Lot(command.points, command.expires_on, since=since))
            lots = [purse.lots[-1].copy()]
        else:
            lots = scene.give(purse, command.points, command.expires_on)
            lots += scene.give(purse, command.bonus, command.expires_on, bonus=True)
        total = command.points + command.bonus
        past = Past("earn", lots, total, command, scene.today)
        past.out_of = lots_before
        trial.past[command.owner, command.entry_id] = past
        for waiting in purse.parked.pop(command.entry_id, []):
            key = (command.owner, command.entry_id)
            undone = trial.undone.get(key, Undone())
            scene.live(purse)  # what came late is over at once
            try:
                points = _share_of(past, undone, waiting)
            except Refused:
                continue
            trial.undone[key] = undone
            covered = _undo_earn(scene, purse, past, points, undone.points - points)
            if past.budget is not None:
                budget = trial.purses[past.budget, command.wallet]
                back_to(scene, budget, past, covered, undone.points - points)

    def _reverse(
        self, scene: Scene, trial: Trial, purse: Purse, command: c.Reverse, as_of: int
    ) -> None:
        key = (command.reverses_owner or command.owner, command.reverses)
        past = self.past[key] if self.posted.get(key, as_of + 1) <= as_of else None
        if self.refused.get(key, as_of + 1) <= as_of:
            raise Refused("nothing_to_reverse")
        if past is None:
            waiting = purse.parked.setdefault(command.reverses, [])
            if any(command.document == each.document for each in waiting):
                raise Refused("already_reversed")
            waiting.append(command)
            return
        known = [undone for at, undone in self.undone.get(key, ()) if at <= as_of]
        undone = trial.undone[key] = known[-1].copy() if known else Undone()
        before = undone.points
        points = _share_of(past, undone, command)
        if past.kind == "earn":
            if scene.policy.principal_only:
                paid_in = sum(lot.points for lot in purse.lots if not (lot.since or lot.bonus))
                if points - _presents(past, before, points) > paid_in:
                    raise Refused("principal_spent")
            covered = _undo_earn(scene, purse, past, points, before)
            if past.budget is not None and covered:
                place = (past.budget, command.wallet)
                budget = trial.purses[place] = self.at(place)
                back_to(scene, budget, past, covered, before)
        else:
            _undo_spend(scene, purse, past, points, before)

    def _unmerge(
        self,
        scene: Scene,
        trial: Trial,
        purse: Purse,
        command: c.Unmerge,
        other_version: int | None,
    ) -> None:
        merged = self.merged.get((command.owner, command.merge))
        if merged is None or purse.gone_to != command.into or purse.gone_by != command.merge:
            raise Refused("not_merged")
        place = (command.into, command.wallet)
        other = trial.purses[place] = self.at(place, other_version)
        if other.gone_to is not None:
            raise Refused("account_merged")
        if other.frozen:
            raise Refused("account_frozen")
        scene.live(other)
        purse.gone_to, purse.debt = None, merged.debt
        come_home(scene, purse, other, merged)


def _share_of(past: Past, undone: Undone, command: c.Reverse) -> int:
    if past.kind == "other" or past.wallet != command.wallet:
        raise Refused("not_reversible")
    if command.document in undone.documents:
        raise Refused("already_reversed")
    left = past.points - undone.points
    part = command.part
    items, by_share, done, whole = set(undone.items), undone.by_share, undone.part, undone.whole
    if isinstance(part, c.Exactly):
        points = part.points
    elif isinstance(part, c.Share):
        if done + part.part > part.whole:
            raise Refused("over_reversed")
        done, whole = done + part.part, part.whole
        otherwise = undone.points - undone.by_share
        by_share = max(undone.by_share, (past.points - otherwise) * done // whole)
        points = by_share - undone.by_share
    elif isinstance(part, c.Line):
        earned = past.items or {part.item: part.points}
        if part.item in items or earned.get(part.item) is None:
            raise Refused("nothing_to_reverse")
        items.add(part.item)
        points = min(earned[part.item], left)
    else:
        points = left
    if points > left:
        raise Refused("over_reversed")
    if left == 0:
        raise Refused("nothing_to_reverse")
    undone.items, undone.by_share, undone.part, undone.whole = items, by_share, done, whole
    undone.points += points
    undone.documents.add(command.document)
    return points


def _undo_earn(scene: Scene, purse: Purse, past: Past, points: int, before: int) -> int:
    """Take points back; return how many were there, or are owed."""
    policy, asked = scene.policy, points
    for mine in past.lots:
        until = (mine.last, scene.now_until(purse, mine.last))
        for wanted in dict.fromkeys(until):
            for lot in purse.lots:
                if mine.since and lot.since == mine.since and lot.last == wanted:
                    part = min(points, lot.points)
                    lot.points -= part
                    points -= part
    purse.lots = [lot for lot in purse.lots if lot.points]
    if policy.shortfall is Shortfall.ONLY_PENDING:
        return asked - points
    own = [(scene.now_until(purse, lot.last), lot.bonus) for lot in past.lots]
    today = scene.day(purse)
    if own and not policy.debt_for_expired and all((last or FAR) < today for last, _ in own):
        return asked - points
    there = min(points, scene.spendable(purse))
    gone = _presents(past, before, asked)
    on_top = [key for key in own if key[1]]
    kept = sum(
        lot.points for lot in purse.lots if lot.since is None and (lot.last, lot.bonus) in on_top
    )
    first = min(gone, kept, there)
    scene.take(purse, first, on_top)
    scene.take(purse, there - first, own)
    if policy.shortfall is Shortfall.DEBT:
        purse.debt += points - there
        return asked
    return asked - points + there


def _presents(past: Past, before: int, points: int) -> int:
    """Return how many presents are among the coins that go, coin by coin."""
    presents = sum(lot.points for lot in past.lots if lot.bonus)
    return sum(
        1
        for coin in range(before + 1, before + points + 1)
        if (presents * coin) // past.points > (presents * (coin - 1)) // past.points
    )


def _undo_spend(scene: Scene, purse: Purse, past: Past, points: int, before: int) -> None:
    # Coin by coin: the last one taken returns first, those returned before are passed over.
    coins = [(lot.last, lot.bonus) for lot in past.lots for _ in range(lot.points)]
    for last, bonus in coins[::-1][before : before + points]:
        until = scene.now_until(purse, last)
        if until is not None and until < scene.day(purse):
            if scene.policy.grace_days is None:
                continue
            until = scene.day(purse) + timedelta(days=scene.policy.grace_days)
        scene.give(purse, 1, until, bonus=bonus)
    scene.uncount(purse, past.counter, past.day, points)


def _may_spend(scene: Scene, purse: Purse, command: c.Spend | c.SetAside) -> str | None:
    policy = scene.policy
    if purse.frozen:
        raise Refused("account_frozen")
    if command.points < policy.minimum:
        raise Refused("below_minimum")
    if command.points % policy.multiple:
        raise Refused("not_a_multiple")
    if policy.member_limits is None:
        return None
    who = command.spender or ""
    if scene.used(purse, f"spent:{who}") + command.points > policy.member_limits.get(who, 0):
        raise Refused("limit_exceeded")
    return f"spent:{who}"


def _spend(scene: Scene, purse: Purse, command: c.Spend) -> Past:
    counter = _may_spend(scene, purse, command)
    if scene.policy.slide and scene.policy.spending_slides:
        if command.points > scene.spendable(purse):
            raise Refused("insufficient_points")
        scene.stir(purse)
    lots = scene.take(purse, command.points)
    past = Past("spend", lots, command.points, command, scene.today)
    past.counter = counter
    if counter is not None:
        scene.count(purse, counter, command.points)
    return past


def _hold(scene: Scene, purse: Purse, command: c.SetAside) -> None:
    counter = _may_spend(scene, purse, command)
    if len(purse.holds) >= scene.policy.max_holds:
        raise Refused("too_many")
    lots = scene.take(purse, command.points)
    if counter is not None:
        scene.count(purse, counter, command.points)
    purse.holds[command.entry_id] = Hold(command.hold_expires_at, lots, counter, scene.today)


def _capture(scene: Scene, purse: Purse, command: c.Capture) -> Past:
    if command.hold_id not in purse.holds:
        raise Refused("hold_not_open")
    hold = purse.holds[command.hold_id]
    lots = scene.order(hold.lots)
    coins = [(lot.last, lot.bonus) for lot in lots for _ in range(lot.points)]
    if command.points > len(coins):
        raise Refused("capture_exceeds_hold")
    del purse.holds[command.hold_id]
    rest = [Lot(1, last, bonus=bonus) for last, bonus in coins[command.points :]]
    scene.let_go(purse, rest, scene.day(purse))
    if scene.policy.slide and scene.policy.spending_slides:
        scene.stir(purse)
    taken = [Lot(1, last, bonus=bonus) for last, bonus in coins[: command.points]]
    past = Past("spend", taken, command.points, command, scene.today)
    if hold.day == scene.today:
        past.counter = hold.counter
        scene.uncount(purse, hold.counter, hold.day, len(coins) - command.points)
    return past


def _release(scene: Scene, purse: Purse, command: c.Release) -> None:
    if command.hold_id not in purse.holds:
        raise Refused("hold_not_open")
    hold = purse.holds.pop(command.hold_id)
    scene.uncount(purse, hold.counter, hold.day, sum(lot.points for lot in hold.lots))
    scene.let_go(purse, hold.lots, scene.day(purse))


def _activate(scene: Scene, purse: Purse, command: c.Activate) -> None:
    waiting = [lot for lot in purse.lots if lot.since == command.activates_on]
    if not waiting:
        raise Refused("nothing_pending")
    purse.lots = [lot for lot in purse.lots if lot not in waiting]
    for lot in scene.order(waiting):
        scene.give(purse, lot.points, lot.last)


def _adjust(scene: Scene, purse: Purse, command: c.Adjust) -> None:
    limit = scene.policy.adjust_limit
    if command.checker == command.actor:
        raise Refused("checker_is_maker")
    if limit is not None and abs(command.points) > limit and command.checker is None:
        raise Refused("checker_needed")
    if command.points > 0:
        if command.expires_on and not scene.policy.runs_out:
            raise Refused("never_runs_out")
        scene.roof(purse, command.points)
        scene.give(purse, command.points, command.expires_on)
    else:
        scene.take(purse, -command.points)


def _extend(scene: Scene, purse: Purse, command: c.Extend) -> None:
    lots = [lot for lot in purse.lots if lot.last == command.expires_on]
    if command.expires_on < scene.day(purse) or not lots:
        raise Refused("nothing_to_extend")
    for lot in lots:
        lot.last = command.until
    longer = purse.longer.get(command.expires_on, command.until)
    purse.longer[command.expires_on] = max(longer, command.until)


def _freeze(_scene: Scene, purse: Purse, command: c.Command) -> None:
    purse.frozen = isinstance(command, c.Freeze)


def _set_zone(_scene: Scene, purse: Purse, command: c.SetZone) -> None:
    purse.zone = command.zone


def _settle(_scene: Scene, _purse: Purse, _command: c.Command) -> None:
    """Nothing more: what is due happened when the scene went live."""


_ALONE: dict[type[c.Command], Callable[[Scene, Purse, Any], Past | None]] = {
    c.Activate: _activate,
    c.Adjust: _adjust,
    c.Capture: _capture,
    c.Extend: _extend,
    c.Freeze: _freeze,
    c.Release: _release,
    c.SetAside: _hold,
    c.SetZone: _set_zone,
    c.Settle: _settle,
    c.Spend: _spend,
    c.Unfreeze: _freeze,
}
