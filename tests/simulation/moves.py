"""What moves between two purses in the naive model: gifts, conversions, merges, awards."""

from __future__ import annotations

from forecourt.ledger import commands as c
from tests.simulation.oracle import Lot, Merged, Past, Purse, Refused, Scene

Place = tuple[str, str]


def other_place_of(command: c.Command) -> Place | None:
    """Return the second account a command moves, if there is one."""
    match command:
        case c.Transfer(receiver=other) | c.Merge(into=other) | c.Unmerge(into=other):
            return other, command.wallet
        case c.Convert(into_wallet=wallet):
            return command.owner, wallet
        case c.Earn(budget=str(budget)):
            return budget, command.wallet
        case _:
            return None


def move(
    scene: Scene,
    other_scene: Scene,
    purse: Purse,
    other: Purse,
    command: c.Transfer | c.Merge | c.Convert,
) -> Merged | None:
    if other.gone_to is not None:
        raise Refused("account_merged")
    other_scene.live(other)
    if other.frozen:
        raise Refused("account_frozen")
    if isinstance(command, c.Transfer):
        _transfer(scene, purse, other, command)
    elif isinstance(command, c.Merge):
        return _merge(scene, purse, other, command)
    else:
        if command.points % command.per:
            raise Refused("not_a_multiple")
        gained = command.points // command.per * command.gives
        scene.take(purse, command.points)
        other_scene.roof(other, max(gained - other.debt, 0))
        other_scene.give(other, gained, command.expires_on)
    return None


def _transfer(scene: Scene, purse: Purse, other: Purse, command: c.Transfer) -> None:
    policy = scene.policy
    limits: list[tuple[str, int | None, int]] = []
    if command.purpose is not c.Purpose.POOL:
        limits = [
            ("given:points", policy.transfer_points, command.points),
            ("given:count", policy.transfer_count, 1),
        ]
    person = other if command.purpose is c.Purpose.WITHDRAWAL else purse
    for name, allowed, more in limits:
        if allowed is not None and scene.used(person, name) + more > allowed:
            raise Refused("limit_exceeded")
    lots = scene.take(purse, command.points)
    scene.roof(other, max(command.points - other.debt, 0))
    for lot in lots:
        scene.give(other, lot.points, lot.last, bonus=lot.bonus)
    for name, allowed, more in limits:
        if allowed is not None:
            scene.count(person, name, more)


def _merge(scene: Scene, purse: Purse, other: Purse, command: c.Merge) -> Merged:
    if purse.holds or purse.parked:
        raise Refused("open_matters")
    brought = scene.order(lot.copy() for lot in purse.lots)
    for lot in scene.order(lot for lot in purse.lots if lot.since is None):
        scene.give(other, lot.points, lot.last, bonus=lot.bonus)
    other.lots += [lot for lot in purse.lots if lot.since is not None]
    pays = min(purse.debt, scene.spendable(other))
    merged = Merged(brought, purse.debt, scene.take(other, pays))
    other.debt += purse.debt - pays
    purse.lots, purse.debt = [], 0
    purse.gone_to, purse.gone_by = command.into, command.entry_id
    return merged


def come_home(scene: Scene, purse: Purse, other: Purse, merged: Merged) -> None:
    for mine in merged.lots:
        left, until = mine.points, scene.now_until(other, mine.last)
        for lot in list(other.lots):
            same = lot.last in (mine.last, until)
            if mine.since is not None and lot.since == mine.since and same:
                part = min(left, lot.points)
                lot.points -= part
                left -= part
                purse.lots.append(Lot(part, lot.last, since=mine.since))
        for whose in (purse, other):
            whose.lots = [lot for lot in whose.lots if lot.points]
        if until is None or until >= scene.day(other):
            there = min(left, scene.spendable(other))
            scene.take(other, there, [(until, mine.bonus)])
            other.debt += left - there
            scene.give(purse, left, until, bonus=mine.bonus)
    taken_over = merged.debt - sum(lot.points for lot in merged.paid)
    still = min(taken_over, other.debt)
    other.debt -= still
    scene.let_go(other, merged.paid, scene.day(other))
    scene.give(other, taken_over - still, None)


def out_of(scene: Scene, budget: Purse, points: int) -> list[Lot]:
    if budget.gone_to is not None:
        raise Refused("account_merged")
    if budget.frozen:
        raise Refused("account_frozen")
    scene.live(budget)
    if points > scene.spendable(budget):
        raise Refused("budget_exhausted")
    budget.awarded += points
    return scene.take(budget, points)


def back_to(scene: Scene, budget: Purse, past: Past, points: int, before: int) -> None:
    scene.live(budget)
    coins = [(lot.last, lot.bonus) for lot in past.out_of for _ in range(lot.points)]
    for last, bonus in coins[::-1][before : before + points]:
        budget.awarded -= 1
        scene.let_go(budget, [Lot(1, last, bonus=bonus)], scene.day(budget))
