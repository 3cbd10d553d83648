"""
Commands: what somebody wants of the ledger.

A command's `entry_id` is chosen once by whoever begins it, and its dates are fixed then, so a
retry, however late and under whatever settings, is the same command with the same
`fingerprint`. Where somebody's request is carried out by what is true then (a rate, who is in a
pool), the command names the request, and that is what it is known by.
"""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from forecourt.ledger.entries import BUDGET_PREFIX, ISSUED, PARTNER, POINTS_WALLET, REDEEMED
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """
    What every command says. `actor` is who or what asks, `source` the document behind it.

    `request` is the fingerprint of the request it carries out, if it has the request's id: two
    attempts may have looked up different things, and are the same command.
    """

    entry_id: str
    owner: str
    wallet: str = POINTS_WALLET
    source: str
    reason: str
    actor: str
    occurred_at: datetime
    program_version: int = 0
    trace: tuple[Mapping[str, object], ...] = ()
    request: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Earn(Command):
    """
    Give points, now or from `activates_on`, first of all to what the member owes.

    `bonus` comes on top of paid-in money and is kept apart. `items` says how much each line
    of the document earned, for a refund of one line. `funded_by` is the program account that
    gives the points, or the owner of a budget (`budget:…`), which gives what it has and no more.
    """

    points: int
    expires_on: date | None
    activates_on: date | None = None
    bonus: int = 0
    items: Mapping[str, int] = field(default_factory=dict)
    funded_by: str = ISSUED

    def __post_init__(self) -> None:
        """Refuse an earn of nothing, items that are more than the whole, dates in disorder."""
        if self.points <= 0 or self.bonus < 0 or sum(self.items.values()) > self.points:
            raise ValueError(self.entry_id)
        if self.activates_on and (
            self.bonus or (self.expires_on and self.expires_on < self.activates_on)
        ):
            raise ValueError(self.entry_id)
        if self.funded_by not in (ISSUED, PARTNER) and self.budget is None:
            raise ValueError(self.funded_by)
        if self.budget == self.owner:
            raise ValueError(self.entry_id)

    @property
    def budget(self) -> str | None:
        """Return the owner of the budget that pays for it, if one does."""
        return self.funded_by if self.funded_by.startswith(BUDGET_PREFIX) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Activate(Command):
    """Make what is pending until `activates_on` active now."""

    activates_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend(Command):
    """Take points, earliest last day first. Of a pool, `spender` is the member who does."""

    points: int
    spender: str | None = None
    accepted_by: str = REDEEMED

    def __post_init__(self) -> None:
        """Refuse a spend that would give."""
        if self.points <= 0 or self.accepted_by not in (REDEEMED, PARTNER):
            raise ValueError(self.entry_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside(Command):
    """Hold points until `hold_expires_at`; the hold's id is the command's."""

    points: int
    hold_expires_at: datetime
    spender: str | None = None

    def __post_init__(self) -> None:
        """Refuse a hold of nothing."""
        if self.points <= 0:
            raise ValueError(self.entry_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture(Command):
    """Spend some of a hold and release the rest."""

    hold_id: str
    points: int

    def __post_init__(self) -> None:
        """Refuse a capture of nothing: that is a release."""
        if self.points <= 0:
            raise ValueError(self.entry_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release(Command):
    """Give a hold back."""

    hold_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle(Command):
    """Do what is due: end holds that timed out, activate, expire. Reading does so anyway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remainder:
    """All that was not reversed before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exactly:
    """So many points."""

    points: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """
    `part` of `whole`, as the refunded amount of the paid amount.

    Shares add up before they are rounded down, so parts that make the whole reverse the whole.
    """

    part: int
    whole: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What one line of the document earned."""

    item: str


Part = Remainder | Exactly | Share | Line


@dataclass(frozen=True, slots=True, kw_only=True)
class Reverse(Command):
    """
    Take back what the entry `reverses` gave, or give back what it took.

    `document` is the refund behind it: one document has one effect, whatever ids it comes
    under. `reverses_owner` differs from `owner` when the entry's account was merged into
    this one.
    """

    reverses: str
    document: str
    part: Part = field(default_factory=Remainder)
    reverses_owner: str | None = None

    def __post_init__(self) -> None:
        """Refuse a part that is nothing or more than the whole."""
        match self.part:
            case Exactly(points=points) if points <= 0:
                raise ValueError(self.entry_id)
            case Share(part=part, whole=whole) if not 0 < part <= whole:
                raise ValueError(self.entry_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjust(Command):
    """Correct by hand. `actor` makes it, `checker` approves it; `points` may be negative."""

    points: int
    expires_on: date | None = None
    checker: str | None = None

    def __post_init__(self) -> None:
        """Refuse a correction of nothing."""
        if self.points == 0:
            raise ValueError(self.entry_id)


class Purpose(StrEnum):
    """
    Why points change owner.

    What a member puts into a pool is theirs still, in a way, and not limited. What its head
    takes out (`WITHDRAWAL`) was others' as well, and counts as what the head gives away.
    """

    TRANSFER = "transfer"
    GIFT = "gift"
    POOL = "pool"
    WITHDRAWAL = "withdrawal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer(Command):
    """Give points to `receiver`, who keeps their last valid days."""

    receiver: str
    points: int
    purpose: Purpose = Purpose.TRANSFER

    def __post_init__(self) -> None:
        """Refuse a transfer that would take."""
        if self.points <= 0:
            raise ValueError(self.entry_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Convert(Command):
    """Change points into another wallet: `gives` there for every `per` here."""

    into_wallet: str
    points: int
    gives: int
    per: int
    expires_on: date | None

    def __post_init__(self) -> None:
        """Refuse a rate that gives nothing, and a change into itself."""
        if min(self.points, self.gives, self.per) <= 0 or self.into_wallet == self.wallet:
            raise ValueError(self.entry_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge(Command):
    """Carry everything over to `into`, and close the account."""

    into: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmerge(Command):
    """Open the account that the entry `merge` closed; `into` returns what went over to it."""

    into: str
    merge: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze(Command):
    """Stop the account from giving."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfreeze(Command):
    """Let the account give again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetZone(Command):
    """Say in which zone the member is, by its IANA name; `None`: in the program's."""

    zone: str | None

    def __post_init__(self) -> None:
        """Refuse a zone that nobody knows: no midnight would ever come in it."""
        if self.zone is not None:
            ZoneInfo(self.zone)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extend(Command):
    """Make what is good until `expires_on` good until `until`."""

    expires_on: date
    until: date

    def __post_init__(self) -> None:
        """Refuse an extension that shortens."""
        if self.until <= self.expires_on:
            raise ValueError(self.entry_id)
