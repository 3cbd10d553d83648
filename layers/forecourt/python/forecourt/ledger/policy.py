"""What a program decides about a wallet. Integers and dates; nothing is read from anywhere."""

from __future__ import annotations

from dataclasses import field, replace
from datetime import date, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from forecourt.instants import business_day
from forecourt.operator_errors import InvalidProgram
from forecourt.validity import Validity, last_valid_day
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from forecourt.ledger.accounts import Account

_UTC = ZoneInfo("UTC")


class Midnight(StrEnum):
    """Whose midnight it is at which points begin and run out."""

    PROGRAM = "program"
    MEMBER = "member"


class Shortfall(StrEnum):
    """What a reversal does when the points are spent."""

    DEBT = "debt"
    WITHIN_BALANCE = "within_balance"
    ONLY_PENDING = "only_pending"


class CountsFrom(StrEnum):
    """The day from which validity counts."""

    EARNING = "earning"
    ACTIVATION = "activation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """
    How long newly earned points wait and are good.

    `validity` is `None` when they never run out; members of the tiers in `never_for` have
    that in any case. Dates are fixed when points are earned: other terms later change nothing
    that was given.
    """

    pending_days: int = 0
    validity: Validity | None = None
    counts_from: CountsFrom = CountsFrom.EARNING
    never_for: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Refuse points that could run out before they are active."""
        if self.pending_days < 0:
            raise InvalidProgram(findings=["pending_days: negative"])
        if not self.pending_days or self.validity is None:
            return
        if self.counts_from is CountsFrom.ACTIVATION:
            return
        # The shortest a validity can turn out: it begins on the last day of its period.
        shortest = min(
            (last_valid_day(day, self.validity) or day) - day for day in _days_of_four_years()
        )
        if shortest < timedelta(days=self.pending_days):
            raise InvalidProgram(findings=["pending_days: longer than validity"])

    def dates(self, earned_on: date, *, tier: str = "") -> tuple[date | None, date | None]:
        """Return from when (`None`: at once) and until when (`None`: always) points are good."""
        active_on = earned_on + timedelta(days=self.pending_days)
        start = active_on if self.counts_from is CountsFrom.ACTIVATION else earned_on
        validity = None if tier in self.never_for else self.validity
        return (active_on if self.pending_days else None), last_valid_day(start, validity)


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletPolicy:
    """
    The rules of one wallet, by which its commands are decided.

    What is not `spendable` is only counted: growth value, by tiers. What never `runs_out` is
    given no last day by hand: a known holder's money. For `recall_days` the
    account recalls what ran out, for whoever asks about a day that is over. `slide` makes
    validity depend on activity: earning (and spending, with `spending_slides`) carries
    everything to the day `slide` gives. `grace_days` lets points come back after their last
    day; `None` does not. `debt_for_expired` asks for earned points even when their last day is
    over. With `principal_only` no more of what was paid in is refunded than is left of it: what
    was given on top may be owed, money that is paid out may not. Limits are per business day;
    `None` is no limit. `ceiling` bounds what may lie in the wallet (one policy for registered,
    one for anonymous holders).
    `zone` is the program's: business days and limits are counted in it, and days are given by
    it. `midnight` says whether these begin and end there as well, or where the member is.
    `member_limits` is for a pool: what each member may spend of it in a day, and who may.
    """

    zone: ZoneInfo = _UTC
    midnight: Midnight = Midnight.PROGRAM
    spendable: bool = True
    runs_out: bool = True
    recall_days: int = 0
    shortfall: Shortfall = Shortfall.DEBT
    debt_for_expired: bool = False
    grace_days: int | None = None
    slide: Validity | None = None
    spending_slides: bool = False
    bonus_first: bool = False
    principal_only: bool = False
    ceiling: int | None = None
    minimum: int = 1
    multiple: int = 1
    adjust_limit: int | None = None
    transfer_points: int | None = None
    transfer_count: int | None = None
    max_holds: int = 8
    member_limits: Mapping[str, int] | None = None

    def __post_init__(self) -> None:
        """Refuse steps and bounds that nothing could satisfy."""
        if self.minimum < 1 or self.multiple < 1 or self.max_holds < 0:
            raise ValueError((self.minimum, self.multiple, self.max_holds))

    def zone_of(self, account: Account) -> ZoneInfo:
        """
        Return the zone at whose midnights points of *account* begin and run out.

        The member's own if that is what counts and they have one. Everybody who asks what day
        it is for an account asks here.
        """
        if self.midnight is Midnight.MEMBER and account.zone is not None:
            return ZoneInfo(account.zone)
        return self.zone

    def day_of(self, account: Account, instant: datetime) -> date:
        """Return the day that *instant* is on for the points of *account*."""
        return business_day(instant, self.zone_of(account))


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """The policy of every wallet type; what none is set for follows `default`."""

    default: WalletPolicy = field(default_factory=WalletPolicy)
    by_wallet: Mapping[str, WalletPolicy] = field(default_factory=dict)

    def of(self, wallet: str) -> WalletPolicy:
        """Return the policy of *wallet*."""
        return self.by_wallet.get(wallet, self.default)

    def of_budgets(self) -> Policies:
        """Return these for budgets: a ceiling, and what never ends, are a member's."""
        return self._each(ceiling=None, runs_out=True)

    def of_deposits(self) -> Policies:
        """Return these for refunds of deposits: of the money no more is paid out than is left."""
        return self._each(principal_only=True)

    def of_a_pool(self, member_limits: Mapping[str, int]) -> Policies:
        """Return these for a pool of which each of its members may spend so much in a day."""
        return self._each(member_limits=member_limits)

    def _each(self, **changes: Any) -> Policies:
        return Policies(
            default=replace(self.default, **changes),
            by_wallet={name: replace(each, **changes) for name, each in self.by_wallet.items()},
        )


def _days_of_four_years() -> list[date]:
    first = date(2023, 3, 1)
    return [first + timedelta(days=days) for days in range(4 * 365 + 1)]
