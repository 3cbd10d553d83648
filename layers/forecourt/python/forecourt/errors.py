"""
Everything that may be refused, in one place.

* ForecourtError
  x Malformed              the input cannot be understood
    - MalformedMessage       a station's message
    - InvalidIdentity        a plate, phone, card ... that cannot be one
    - InvalidProgram         a program document that contradicts itself
  x Unknown                the input names something that is not there
    - UnknownMember
    - UnknownIdentity
    - UnknownStation
    - UnknownSale
    - UnknownProgram
  x Rejected               well formed, and may not happen now
    - AlreadyEnrolled
    - IdentityTaken
    - StationExists
    - SaleNotHeld
    - ProgramNotDraft
    - RetroactiveActivation
    - EntryConflict
    - StaleWrite
    - LedgerRefusal          the books do not allow it; kept, and given again to a retry
      . InsufficientPoints, CeilingExceeded, LimitExceeded, BelowMinimum, NotAMultiple
      . AccountFrozen, AccountMerged, OpenMatters, TransferToSelf, TooMany
      . HoldNotOpen, CaptureExceedsHold
      . NotReversible, NothingToReverse, OverReversed, AlreadyReversed
      . CheckerNeeded, CheckerIsMaker
      . NothingPending, NothingToExtend, NothingDue
  x Forbidden              the caller may not do this

Each class carries the facts it was raised with, never a sentence to be parsed.
Its `code` is stable and part of the API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class ForecourtError(Exception):
    """Base class of every expected refusal."""

    code: ClassVar[str] = "forecourt_error"

    def facts(self) -> dict[str, object]:
        """Return what the error knows, by attribute name: the body of a problem document."""
        return dict(vars(self))


class Malformed(ForecourtError):
    """The input cannot be understood."""

    code = "malformed"


class MalformedMessage(Malformed):
    """A station's message is not what its schema says; `field` is the path to the fault."""

    code = "malformed_message"

    def __init__(self, *, reason: str, field: str = "") -> None:
        super().__init__(reason, field)
        self.reason = reason
        self.field = field


class InvalidIdentity(Malformed):
    """A value cannot be an identity of that kind. The value itself is personal and stays out."""

    code = "invalid_identity"

    def __init__(self, *, kind: str, reason: str) -> None:
        super().__init__(kind, reason)
        self.kind = kind
        self.reason = reason


class InvalidProgram(Malformed):
    """A program document contradicts itself; `findings` names each place and fault."""

    code = "invalid_program"

    def __init__(self, *, findings: list[str]) -> None:
        super().__init__(findings)
        self.findings = findings


class Unknown(ForecourtError):
    """The input names something that is not there, or not the caller's to see."""

    code = "unknown"


class UnknownMember(Unknown):
    """No member is enrolled under that id."""

    code = "unknown_member"

    def __init__(self, member_id: str) -> None:
        super().__init__(member_id)
        self.member_id = member_id


class UnknownIdentity(Unknown):
    """The member has no such identity bound."""

    code = "unknown_identity"

    def __init__(self, identity_id: str) -> None:
        super().__init__(identity_id)
        self.identity_id = identity_id


class UnknownStation(Unknown):
    """No station is registered under that id."""

    code = "unknown_station"

    def __init__(self, station_id: str) -> None:
        super().__init__(station_id)
        self.station_id = station_id


class UnknownSale(Unknown):
    """No sale is stored under that id."""

    code = "unknown_sale"

    def __init__(self, sale_id: str) -> None:
        super().__init__(sale_id)
        self.sale_id = sale_id


class UnknownProgram(Unknown):
    """The program has no such version."""

    code = "unknown_program"

    def __init__(self, version: int) -> None:
        super().__init__(version)
        self.version = version


class Rejected(ForecourtError):
    """The request is well formed and was refused."""

    code = "rejected"


class AlreadyEnrolled(Rejected):
    """The member exists, with another profile than the one asked for."""

    code = "already_enrolled"

    def __init__(self, member_id: str) -> None:
        super().__init__(member_id)
        self.member_id = member_id


class IdentityTaken(Rejected):
    """The identity is bound to another member. Whose it is, is not said."""

    code = "identity_taken"

    def __init__(self, *, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class StationExists(Rejected):
    """A station is already registered under that id."""

    code = "station_exists"

    def __init__(self, station_id: str) -> None:
        super().__init__(station_id)
        self.station_id = station_id


class SaleNotHeld(Rejected):
    """The sale is not waiting for a decision."""

    code = "sale_not_held"

    def __init__(self, *, sale_id: str, status: str) -> None:
        super().__init__(sale_id, status)
        self.sale_id = sale_id
        self.status = status


class ProgramNotDraft(Rejected):
    """Only a draft may be changed; an activated version is fixed for ever."""

    code = "program_not_draft"

    def __init__(self, version: int) -> None:
        super().__init__(version)
        self.version = version


class RetroactiveActivation(Rejected):
    """An activation would change what was already in force; sales were judged by it."""

    code = "retroactive_activation"

    def __init__(self, *, effective_at: datetime, earliest_at: datetime) -> None:
        super().__init__(effective_at, earliest_at)
        self.effective_at = effective_at
        self.earliest_at = earliest_at


class EntryConflict(Rejected):
    """An entry id was used again with other contents."""

    code = "entry_conflict"

    def __init__(self, entry_id: str) -> None:
        super().__init__(entry_id)
        self.entry_id = entry_id


class StaleWrite(Rejected):
    """Somebody else changed the item meanwhile; read again and decide again."""

    code = "stale_write"


class LedgerRefusal(Rejected):
    """
    The books do not allow a command.

    A refusal is an answer: it is stored under the command's id and given again to a retry,
    whatever the balance is by then. So its facts are text and whole numbers, those its class
    declares, and it is built from them again (`ledger_refusal`).
    """

    code = "ledger_refusal"

    def __init__(self, **facts: int | str) -> None:
        if facts.keys() != type(self).__annotations__.keys():
            raise TypeError(type(self).__name__, sorted(facts))
        super().__init__(*facts.values())
        vars(self).update(facts)


class InsufficientPoints(LedgerRefusal):
    """More was asked for than can be spent now; what is held or pending cannot."""

    code = "insufficient_points"
    requested: int
    available: int


class CeilingExceeded(LedgerRefusal):
    """The wallet may not hold that much."""

    code = "ceiling_exceeded"
    ceiling: int
    held: int
    requested: int


class LimitExceeded(LedgerRefusal):
    """A limit of the business day is used up; `limit` names it."""

    code = "limit_exceeded"
    limit: str
    allowed: int
    used: int
    requested: int


class BelowMinimum(LedgerRefusal):
    """So few are not redeemed at once."""

    code = "below_minimum"
    minimum: int
    requested: int


class NotAMultiple(LedgerRefusal):
    """Redemptions and conversions go in steps."""

    code = "not_a_multiple"
    multiple: int
    requested: int


class AccountFrozen(LedgerRefusal):
    """The account may receive what it earns, and give nothing."""

    code = "account_frozen"
    owner: str


class AccountMerged(LedgerRefusal):
    """The account went over into another."""

    code = "account_merged"
    owner: str
    into: str


class OpenMatters(LedgerRefusal):
    """The account still has holds, or reversals waiting for what they reverse."""

    code = "open_matters"
    owner: str
    holds: int
    parked: int


class TransferToSelf(LedgerRefusal):
    """Giver and receiver are one."""

    code = "transfer_to_self"
    owner: str


class TooMany(LedgerRefusal):
    """The account keeps no more than so many of them; `limit` names what."""

    code = "too_many"
    limit: str
    allowed: int


class HoldNotOpen(LedgerRefusal):
    """The hold was captured, released or timed out, or never was."""

    code = "hold_not_open"
    hold_id: str


class CaptureExceedsHold(LedgerRefusal):
    """More was to be captured than is held."""

    code = "capture_exceeds_hold"
    requested: int
    held: int


class NotReversible(LedgerRefusal):
    """An entry of that kind is not reversed; a reversal above all."""

    code = "not_reversible"
    entry_id: str
    kind: str


class NothingToReverse(LedgerRefusal):
    """The entry gave nothing, or all of it was taken back before."""

    code = "nothing_to_reverse"
    entry_id: str


class OverReversed(LedgerRefusal):
    """More would be taken back than was given."""

    code = "over_reversed"
    given: int
    reversed: int
    requested: int


class AlreadyReversed(LedgerRefusal):
    """That refund document has had its effect."""

    code = "already_reversed"
    document: str


class CheckerNeeded(LedgerRefusal):
    """An adjustment of that size needs a second person."""

    code = "checker_needed"
    limit: int
    requested: int


class CheckerIsMaker(LedgerRefusal):
    """Who asks for an adjustment does not approve it."""

    code = "checker_is_maker"
    actor: str


class NothingPending(LedgerRefusal):
    """Nothing waits for that activation day."""

    code = "nothing_pending"
    activates_on: str


class NothingToExtend(LedgerRefusal):
    """No points have that last valid day, or it is over."""

    code = "nothing_to_extend"
    expires_on: str


class NothingDue(LedgerRefusal):
    """Nothing has timed out, become active or run out. Not kept: ask again tomorrow."""

    code = "nothing_due"
    owner: str


def ledger_refusal(code: str, facts: Mapping[str, int | str]) -> LedgerRefusal:
    """Return the refusal that was stored as *code* and *facts*."""
    return _LEDGER_REFUSALS[code](**facts)


_LEDGER_REFUSALS = {each.code: each for each in LedgerRefusal.__subclasses__()}


class Forbidden(ForecourtError):
    """The caller is known and may not do this."""

    code = "forbidden"
