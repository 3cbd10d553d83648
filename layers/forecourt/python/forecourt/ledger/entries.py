"""
Entries: one movement each, for ever.

The legs of an entry sum to zero: what a wallet gains, a program account gives. A wallet's leg
names the place it moves: a bucket by its last valid day (`None` never runs out), an amount
pending until a day, or a hold. A wallet of money counts fen where others count points.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING

from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

POINTS_WALLET = "points"

ISSUED = "program:issued"
REDEEMED = "program:redeemed"
EXPIRED = "program:expired"
BREAKAGE = "program:breakage"  # given back after their last day, and no grace
DEBT = "program:debt"
PARTNER = "program:partner"
ADJUSTMENT = "program:adjustment"
TRANSFER = "program:transfer"
CONVERSION = "program:conversion"

RECEIVED = ".in"  # what the id of the receiver's entry has behind the giver's
BUDGET_PREFIX = "budget:"  # of an owner whose account is a budget
POOL_PREFIX = "pool:"  # of an owner whose account is a pool

# Where points lie: their last valid day, and whether they are bonus money.
Lot = tuple["date | None", bool]


class EntryKind(StrEnum):
    """What happened."""

    EARN = "earn"
    ACTIVATE = "activate"
    HOLD = "hold"
    CAPTURE = "capture"
    RELEASE = "release"
    SPEND = "spend"
    SETTLE = "settle"
    REVERSE = "reverse"
    PARK = "park"
    ADJUST = "adjust"
    TRANSFER_OUT = "transfer_out"
    TRANSFER_IN = "transfer_in"
    CONVERT_OUT = "convert_out"
    CONVERT_IN = "convert_in"
    MERGE_OUT = "merge_out"
    MERGE_IN = "merge_in"
    UNMERGE_OUT = "unmerge_out"
    UNMERGE_IN = "unmerge_in"
    AWARD = "award"
    AWARD_BACK = "award_back"
    FREEZE = "freeze"
    UNFREEZE = "unfreeze"
    SET_ZONE = "set_zone"
    EXTEND = "extend"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One side of an entry: `account` gains `points`, or loses them when negative."""

    account: str
    points: int
    expires_on: date | None = None
    bonus: bool = False
    activates_on: date | None = None
    hold_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """
    What an entry does to its account beside the legs; most entries do nothing.

    `uses` is added to the day's counters; `counter` is the one the entry's own points are
    counted under, which gets back what comes back of them today. `active` restarts a
    validity that slides with inactivity, `extends` says that one last valid day became
    another, `unparks` that a reversal that waited has been applied. `ran_out` is what the
    account recalls from then on as having run out, by last valid day. `zone` is where the
    member is from then on: it comes with `SET_ZONE`, or with the first entry of an account.
    """

    hold_expires_at: datetime | None = None
    uses: Mapping[str, int] = field(default_factory=dict)
    counter: str | None = None
    active: bool = False
    extends: tuple[date, date] | None = None
    merged_into: str | None = None
    unparks: bool = False
    ran_out: Mapping[date, int] = field(default_factory=dict)
    zone: str | None = None


NO_EFFECT = Effect()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """
    One movement.

    `entry_id` starts with an instant and is chosen by whoever began the command, so entries
    sort by time and a retry has the same. `source` is the document behind it, `actor` who or
    what asked for it and `checker` who approved; `program_version` and `trace` say by which
    rule, `fingerprint` names the command's content.

    `upkeep` are the legs of what follows from rules and not from the command: holds that
    timed out, pending points that became active, points that ran out, the uncaptured rest of
    a hold, days carried by activity. They balance by themselves, as `legs` do. `uncovered` is
    the part of a reversal nobody could be asked for. `refers_to` names the entry reversed, or
    the hold captured or released.

    `account_version` is the account's after the entry; `digest` is over all of it and over
    `previous`, the digest of the entry before. Entries older than the chain have neither.
    """

    entry_id: str
    kind: EntryKind
    member_id: str
    wallet: str = POINTS_WALLET
    legs: tuple[Leg, ...]
    upkeep: tuple[Leg, ...] = ()
    source: str
    reason: str
    actor: str
    checker: str | None = None
    program_version: int
    trace: tuple[Mapping[str, object], ...]
    occurred_at: datetime
    posted_at: datetime
    posted_on: date | None = None
    account_version: int
    effect: Effect = NO_EFFECT
    refers_to: str | None = None
    items: Mapping[str, int] = field(default_factory=dict)
    uncovered: int = 0
    fingerprint: str = ""
    previous: str = ""
    digest: str = ""

    def __post_init__(self) -> None:
        """Refuse books that do not balance."""
        if sum(leg.points for leg in self.legs) or sum(leg.points for leg in self.upkeep):
            raise ValueError(self.entry_id)

    @property
    def points(self) -> int:
        """Return what the member's wallet gains by it, upkeep apart."""
        return self.moved_to(wallet_of(self.member_id, self.wallet))

    @property
    def given(self) -> int:
        """
        Return how much a reversal can take back or give back: what was issued or redeemed.

        Zero for every kind that is not reversed but answered by a new command.
        """
        if self.kind not in REVERSIBLE:
            return 0
        wallet = wallet_of(self.member_id, self.wallet)
        program = (leg.points for leg in self.legs if leg.account not in (wallet, DEBT))
        return abs(sum(program))

    def moved_to(self, account: str) -> int:
        """Return what *account* gained by it, upkeep apart; negative is what it lost."""
        return sum(leg.points for leg in self.legs if leg.account == account)

    def taken(self) -> list[tuple[Lot, int]]:
        """Return what left the wallet, by last valid day, in the order it was taken."""
        return [(lot, -points) for lot, points in self._by_lot().items() if points < 0]

    def returned(self) -> list[tuple[Lot, int]]:
        """Return what came into the wallet, by last valid day."""
        return [(lot, points) for lot, points in self._by_lot().items() if points > 0]

    def _by_lot(self) -> Counter[Lot]:
        wallet = wallet_of(self.member_id, self.wallet)
        moved: Counter[Lot] = Counter()
        for leg in self.legs:
            if leg.account == wallet:
                moved[leg.expires_on, leg.bonus] += leg.points
        return moved

    @property
    def budget(self) -> str | None:
        """Return the owner of the budget that paid for it, if one did."""
        accounts = (leg.account for leg in self.legs)
        return next((name for name in accounts if name.startswith(BUDGET_PREFIX)), None)


REVERSIBLE = frozenset({EntryKind.EARN, EntryKind.SPEND, EntryKind.CAPTURE})


def wallet_of(member_id: str, wallet: str = POINTS_WALLET) -> str:
    """Return the name a member's wallet has in a leg."""
    return f"member:{member_id}:{wallet}"
