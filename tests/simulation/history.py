"""
Histories: what one seed makes happen.

A history is data, a list of actions, so it can be run again, cut down and printed. Commands
are complete when the history is made; what they meet is decided when it runs.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from forecourt.instants import compact_instant
from forecourt.ledger import Policies, Shortfall, WalletPolicy
from forecourt.ledger import commands as c
from forecourt.ledger.entries import ISSUED
from forecourt.ledger.policy import Midnight
from forecourt.validity import EndOf, Validity

if TYPE_CHECKING:
    from collections.abc import Mapping

MEMBERS = ("ann", "bo", "cy")
POOL = "pool"
BUDGET = "budget:spring"
COINS = "coins"
RECALL_DAYS = 30  # short enough for a history to outlive it
HOMES = ("Asia/Shanghai", "America/New_York", "Asia/Kolkata")
ZONES = tuple(map(ZoneInfo, HOMES))


@dataclass(frozen=True, slots=True)
class Start:
    """
    Somebody sends a command. `script` has one letter for each request it makes.

    `.` go on; `p` wait here until resumed; `n` read key by key with a wait between; `t` be
    throttled; `x` lose a race that was none; `c` crash before the request; `C` crash after
    the write is done.
    """

    delivery: int
    command: c.Command
    script: str
    skew_seconds: int = 0


@dataclass(frozen=True, slots=True)
class Resume:
    """A waiting delivery goes on."""

    delivery: int


@dataclass(frozen=True, slots=True)
class Advance:
    """Time passes."""

    seconds: int


Action = Start | Resume | Advance


@dataclass(frozen=True, slots=True)
class History:
    seed: int
    policy: WalletPolicy
    begins_at: datetime
    actions: tuple[Action, ...]
    homes: Mapping[str, str] = field(default_factory=dict)  # the zones that accounts begin in

    def policies(self, owner: str) -> Policies:
        """Return the policies a command of *owner* is under; the pool has its own."""
        if owner == POOL:
            return Policies(default=replace(self.policy, member_limits={"ann": 200, "bo": 40}))
        return Policies(default=self.policy)


def history_of(seed: int) -> History:
    """Return the history of *seed*, always the same."""
    return _Writer(seed).write()


class _Writer:
    """Makes up a history; keeps the ids it has used, to come back to them."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self.begins_at = datetime(2026, 1, 20, 12, tzinfo=UTC) + timedelta(
            days=self.chance.randrange(500), seconds=self.chance.randrange(86_400)
        )
        self.now = self.begins_at
        self.policy = self._policy()
        self.sent: list[c.Command] = []
        self.holds: list[c.SetAside] = []
        self.waiting: list[int] = []
        self.unanswered: list[c.Command] = []
        self.actions: list[Action] = []
        self.owners = self.chance.choice(
            (("ann", "bo"), ("ann", "ann", "bo", POOL), (*MEMBERS, POOL), ("ann", "bo", BUDGET))
        )
        self.wallets = self.chance.choice((("points",) * 15 + (COINS,), ("points",) * 3 + (COINS,)))
        self.paces = self.chance.choice(
            (
                (1, 60, 3600, 40_000, 86_400),
                (60, 3600, 40_000, 86_400, 86_400 * 9),
                (60, 40_000, 86_400, 86_400 * 5, 86_400 * 20),
            )
        )
        self.weights = [self.chance.choice((1, 1, 3)) * weight for _, weight in _KINDS]

    def write(self) -> History:
        for number in range(self.chance.randint(60, 110)):
            self._step(number)
        self.chance.shuffle(self.waiting)
        self.actions += [Resume(delivery) for delivery in self.waiting]
        homes = {}
        if self.policy.midnight is Midnight.MEMBER:
            homes = {owner: self.chance.choice(HOMES) for owner in MEMBERS[:2]}
        return History(self.seed, self.policy, self.begins_at, tuple(self.actions), homes)

    def _step(self, number: int) -> None:
        chance = self.chance
        if chance.random() < 0.4:
            longest = chance.choice(self.paces)
            passed = Advance(chance.randint(1, longest))
            self.actions.append(passed)
            self.now += timedelta(seconds=passed.seconds)
        roll = chance.random()
        if self.waiting and roll < 0.25:
            self.actions.append(Resume(self.waiting.pop(chance.randrange(len(self.waiting)))))
            return
        if self.unanswered and roll < 0.5:
            command = self.unanswered.pop(chance.randrange(len(self.unanswered)))
        elif self.sent and roll < 0.6:
            command = chance.choice(self.sent)
        elif self.sent and roll < 0.62:
            command = _another(chance.choice(self.sent))
        else:
            command = self._command(number)
            self.sent.append(command)
            if isinstance(command, c.SetAside):
                self.holds.append(command)
        command = self._looked_up_again(command)
        script = "".join(chance.choices(".pntxcC", (22, 4, 2, 1, 1, 1, 1), k=4))
        skew = chance.choice((0, 0, 0, -90, 90))
        self.actions.append(Start(number, command, script, skew))
        if "p" in script or "n" in script:
            self.waiting += [number] * (script.count("p") + script.count("n"))
        if "c" in script or "C" in script:
            self.unanswered.append(command)

    def _looked_up_again(self, command: c.Command) -> c.Command:
        """Return *command* by another rate, as who sends it again may find: its request's still."""
        if isinstance(command, c.Convert) and self.chance.random() < 0.5:
            return replace(command, gives=2, expires_on=self._day())
        return command

    def _policy(self) -> WalletPolicy:
        pick = self.chance.choice
        return WalletPolicy(
            zone=pick(ZONES),
            midnight=pick(list(Midnight)),
            runs_out=pick((True, True, True, False)),
            recall_days=RECALL_DAYS,
            shortfall=pick(list(Shortfall)),
            debt_for_expired=pick((True, False)),
            grace_days=pick((None, 0, 30)),
            slide=pick((None, None, Validity(months=2, end_of=EndOf.DAY))),
            spending_slides=pick((True, False)),
            bonus_first=pick((True, False)),
            ceiling=pick((None, None, None, 500)),
            minimum=pick((1, 1, 1, 5)),
            multiple=pick((1, 1, 1, 5)),
            adjust_limit=pick((None, 50)),
            transfer_points=pick((None, 120)),
            transfer_count=pick((None, 2)),
            max_holds=pick((2, 8)),
            principal_only=self.seed % 3 == 0,
        )

    def _command(self, number: int) -> c.Command:
        chance = self.chance
        owner, wallet = chance.choice(self.owners), chance.choice(self.wallets)
        common: dict[str, Any] = {
            "entry_id": f"{compact_instant(self.now)}.{number}",
            "owner": owner,
            "wallet": wallet,
            "source": f"doc:{number}",
            "reason": "test",
            "actor": chance.choice(("till", "office")),
            "occurred_at": self.now,
        }
        names = [name for name, _ in _KINDS]
        name = chance.choices(names, self.weights)[0] if number > 5 else "earn"
        if name in ("capture", "release") and not self.holds:
            name = "hold"
        if name == "reverse" and not self.sent:
            name = "earn"
        if name in ("spend", "hold", "transfer", "convert") and chance.random() < 0.8:
            earns = [each for each in self.sent if isinstance(each, c.Earn) and each.points > 50]
            self._of_an_earn(common, earns)
        made: c.Command = getattr(self, f"_{name}")(common)
        return made

    def _points(self) -> int:
        return self.chance.choice((1, 3, 5, 5, 10, 10, 20, 20, 35, 80))

    def _day(self) -> date | None:
        today = self.now.astimezone(self.policy.zone).date()
        days = self.chance.choice((None, 2, 9, 30, 60, 90, 180, 365))
        return None if days is None else today + timedelta(days=days)

    def _earn(self, common: dict[str, Any]) -> c.Command:
        last, since, bonus = self._day(), None, self.chance.choice((0, 0, 0, 20))
        if self.chance.random() < 0.3 and (last is None or last > self.now.date()):
            today = self.now.astimezone(self.policy.zone).date()
            since, bonus = today + timedelta(days=self.chance.choice((0, 1, 7, 20))), 0
            last = max(last, since) if last else None
        points = self._points() * self.chance.choice((1, 5, 12))
        items = {"a": points // 3, "b": points // 2} if points > 2 else {}
        funded = BUDGET in self.owners and common["owner"] != BUDGET and self.chance.random() < 0.6
        return c.Earn(
            **common,
            points=points,
            expires_on=last,
            activates_on=since,
            bonus=bonus,
            items=items,
            funded_by=BUDGET if funded else ISSUED,
        )

    def _spend(self, common: dict[str, Any]) -> c.Command:
        spender = self.chance.choice(("ann", "bo", "cy")) if common["owner"] == POOL else None
        return c.Spend(**common, points=self._points(), spender=spender)

    def _hold(self, common: dict[str, Any]) -> c.Command:
        spender = self.chance.choice(("ann", "bo", "cy")) if common["owner"] == POOL else None
        lasts = self.chance.choice((60, 86_400, 86_400 * 9, 86_400 * 30))
        until = self.now + timedelta(seconds=lasts)
        return c.SetAside(**common, points=self._points(), hold_expires_at=until, spender=spender)

    def _of_a_hold(self, common: dict[str, Any]) -> dict[str, Any]:
        hold = self.chance.choice(self.holds[-2:])
        return common | {"owner": hold.owner, "wallet": hold.wallet, "hold_id": hold.entry_id}

    def _capture(self, common: dict[str, Any]) -> c.Command:
        return c.Capture(**self._of_a_hold(common), points=self.chance.choice((1, 3, 5, 10, 20)))

    def _release(self, common: dict[str, Any]) -> c.Command:
        return c.Release(**self._of_a_hold(common))

    def _settle(self, common: dict[str, Any]) -> c.Command:
        return c.Settle(**common)

    def _of_an_earn(self, common: dict[str, Any], earns: list[c.Earn]) -> c.Earn | None:
        if not earns:
            return None
        earn = self.chance.choice(earns[-5:])
        common |= {"owner": earn.owner, "wallet": earn.wallet}
        return earn

    def _activate(self, common: dict[str, Any]) -> c.Command:
        earns = [each for each in self.sent if isinstance(each, c.Earn) and each.activates_on]
        earn = self._of_an_earn(common, earns)
        day = earn.activates_on if earn and earn.activates_on else self.now.date()
        return c.Activate(**common, activates_on=day)

    def _reverse(self, common: dict[str, Any]) -> c.Command:
        chance = self.chance
        likely = [each for each in self.sent if isinstance(each, c.Earn | c.Spend | c.Capture)]
        awards = [each for each in likely if isinstance(each, c.Earn) and each.budget]
        original = chance.choice(awards[-4:] or likely[-8:] or self.sent)
        if chance.random() < 0.1:
            original = chance.choice(self.sent)
        whole = chance.choice((3, 10, 10_000))
        part: c.Part = chance.choice(
            (
                c.Remainder(),
                c.Remainder(),
                c.Exactly(points=self._points()),
                c.Share(part=chance.randint(1, whole), whole=whole),
                c.Share(part=1, whole=3),
                c.Line(item=chance.choice("abc")),
                c.Line(item=chance.choice("ab"), points=self._points()),
            )
        )
        common |= {"owner": original.owner, "wallet": original.wallet}
        reverse = c.Reverse(
            **common,
            reverses=original.entry_id,
            document=f"refund:{chance.randrange(6)}",
            part=part,
        )
        if chance.random() < 0.2:
            # The refund overtakes what it refunds: it names an id that is sent later.
            makes = chance.choice((self._earn, self._earn, self._earn_nothing))
            late = makes(common | {"entry_id": f"{common['entry_id']}.late"})
            self.sent.append(late)
            self.unanswered.append(late)
            return replace(reverse, reverses=late.entry_id, part=c.Remainder())
        return reverse

    def _earn_nothing(self, common: dict[str, Any]) -> c.Command:
        return c.EarnNothing(**common)

    def _adjust(self, common: dict[str, Any]) -> c.Command:
        points = self._points() * self.chance.choice((1, -1))
        checker = self.chance.choice((None, "office"))
        return c.Adjust(**common, points=points, expires_on=self._day(), checker=checker)

    def _transfer(self, common: dict[str, Any]) -> c.Command:
        receiver = self.chance.choice((*self.owners, *self.owners, "cy"))
        purpose = c.Purpose.POOL if receiver == POOL else self.chance.choice(list(c.Purpose))
        return c.Transfer(**common, receiver=receiver, points=self._points(), purpose=purpose)

    def _convert(self, common: dict[str, Any]) -> c.Command:
        into = "points" if common["wallet"] == COINS else COINS
        return c.Convert(
            **common,
            into_wallet=into,
            points=self._points(),
            gives=self.chance.choice((3, 3, 4)),
            per=5,
            expires_on=self._day(),
            request=f"request:{common['source']}",
        )

    def _merge(self, common: dict[str, Any]) -> c.Command:
        return c.Merge(**common, into=self.chance.choice(self.owners))

    def _unmerge(self, common: dict[str, Any]) -> c.Command:
        merges = [each for each in self.sent if isinstance(each, c.Merge)]
        if not merges or self.chance.random() < 0.1:
            merges = [c.Merge(**common, into="cy")]
        merge = self.chance.choice(merges[-2:])
        common |= {"owner": merge.owner, "wallet": merge.wallet}
        return c.Unmerge(**common, into=merge.into, merge=merge.entry_id)

    def _freeze(self, common: dict[str, Any]) -> c.Command:
        return self.chance.choice((c.Freeze, c.Unfreeze, c.Unfreeze))(**common)

    def _set_zone(self, common: dict[str, Any]) -> c.Command:
        return c.SetZone(**common, zone=self.chance.choice((None, *HOMES, "Pacific/Kiritimati")))

    def _extend(self, common: dict[str, Any]) -> c.Command:
        earns = [each for each in self.sent if isinstance(each, c.Earn) and each.expires_on]
        earn = self._of_an_earn(common, earns)
        day = earn.expires_on if earn and earn.expires_on else self.now.date()
        longer = timedelta(days=self.chance.choice((20, 31, 31)))
        return c.Extend(**common, expires_on=day, until=day + longer)


def _another(command: c.Command) -> c.Command:
    """Return another command under the same id: it says something else, or its request does."""
    if command.request:
        return replace(command, request="another")
    return replace(command, reason="another")


_KINDS: tuple[tuple[str, float], ...] = (
    ("earn", 30),
    ("earn_nothing", 1),
    ("spend", 14),
    ("hold", 12),
    ("capture", 10),
    ("release", 5),
    ("settle", 6),
    ("activate", 3),
    ("reverse", 11),
    ("adjust", 4),
    ("transfer", 8),
    ("convert", 3),
    ("merge", 0.9),
    ("unmerge", 2.4),
    ("freeze", 1.2),
    ("set_zone", 1.5),
    ("extend", 2),
)
