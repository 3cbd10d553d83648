"""
Everything that may be refused, in one place.

* ForecourtError
  x Malformed              the input cannot be understood
    - MalformedMessage       a station's message
    - InvalidIdentity        a plate, phone, card ... that cannot be one
    - InvalidProgram         a program document that contradicts itself
    - InvalidCursor          a page's cursor that we did not make, or not for this list
    - InvalidCertificateRequest
    - MalformedBody          a request's body
    - BodyTooLarge
    - UnsupportedMediaType
    - InvalidRequest         a request that its schema does not allow
    - IdempotencyKeyMissing
    - IdempotencyKeyTooLong
  x Unknown                the input names something that is not there
    - UnknownMember
    - UnknownIdentity
    - UnknownStation
    - UnknownSale
    - UnknownTelling
    - UnknownQuestion
    - UnknownProgram
    - UnknownWeights
    - UnknownEntry
    - EntryNotBooked
    - UnknownAdjustment
    - UnknownBudget
    - UnknownHold
    - UnknownPool
    - NotInPool
    - UnknownRate
    - UnknownWallet
    - UnknownRoute
  x Rejected               well formed, and may not happen now
    - AlreadyEnrolled
    - MemberErased
    - MemberMerged
    - MemberNotMerged
    - IdentityTaken
    - TooManyIdentities
    - StationExists
    - SaleNotHeld
    - SaleNotRulable
    - SaleNotWaiting
    - TellingSettled
    - AlreadyAnswered
    - TooManyClaims
    - SaleNotCredited
    - SaleShared
    - AdjustmentDecided
    - BudgetExists
    - BudgetOver
    - ReceiverCannot
    - HeadStays
    - TooManyInPool
    - TooManyPools
    - ProgramNotDraft
    - RetroactiveActivation
    - EntryConflict
    - VersionMismatch
    - IdempotencyKeyReused
    - RequestInProgress
    - StaleWrite
  x Unauthenticated        the caller does not say who they are
  x Forbidden              the caller may not do this
  x Unavailable            a service we need does not answer now

Each class carries the facts it was raised with, never a sentence to be parsed.
Its `code` is stable and part of the API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from datetime import date, datetime


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


class InvalidCursor(Malformed):
    """A cursor that was altered, or belongs to another list. Start again without one."""

    code = "invalid_cursor"


class InvalidCertificateRequest(Malformed):
    """What should be a certificate signing request (PKCS#10, PEM) was refused by AWS IoT."""

    code = "invalid_certificate_request"


class MalformedBody(Malformed):
    """A request's body is no JSON object."""

    code = "malformed_body"

    def __init__(self, *, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class BodyTooLarge(Malformed):
    """A request's body is longer than any of our documents."""

    code = "body_too_large"

    def __init__(self, *, limit_bytes: int) -> None:
        super().__init__(limit_bytes)
        self.limit_bytes = limit_bytes


class UnsupportedMediaType(Malformed):
    """A request's body is not labelled as JSON."""

    code = "unsupported_media_type"

    def __init__(self, *, expected: str) -> None:
        super().__init__(expected)
        self.expected = expected


class InvalidRequest(Malformed):
    """A request does not fit its schema; each finding says where and why, never what was sent."""

    code = "invalid_request"

    def __init__(self, *, findings: list[dict[str, str]]) -> None:
        super().__init__(findings)
        self.findings = findings


class IdempotencyKeyMissing(Malformed):
    """A write came without a key, so a retry of it could not be told from a second write."""

    code = "idempotency_key_missing"

    def __init__(self, *, header: str) -> None:
        super().__init__(header)
        self.header = header


class IdempotencyKeyTooLong(Malformed):
    """A write's key is longer than we keep."""

    code = "idempotency_key_too_long"

    def __init__(self, *, longest: int) -> None:
        super().__init__(longest)
        self.longest = longest


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


class UnknownTelling(Unknown):
    """Neither till nor payment provider has told anything under that id."""

    code = "unknown_telling"

    def __init__(self, telling_id: str) -> None:
        super().__init__(telling_id)
        self.telling_id = telling_id


class UnknownQuestion(Unknown):
    """The member is not asked about that sale, or no longer."""

    code = "unknown_question"

    def __init__(self, sale_id: str) -> None:
        super().__init__(sale_id)
        self.sale_id = sale_id


class UnknownProgram(Unknown):
    """The program has no such version."""

    code = "unknown_program"

    def __init__(self, version: int) -> None:
        super().__init__(version)
        self.version = version


class UnknownWeights(Unknown):
    """There is no such version of the weights."""

    code = "unknown_weights"

    def __init__(self, version: int) -> None:
        super().__init__(version)
        self.version = version


class UnknownEntry(Unknown):
    """The member has no such entry."""

    code = "unknown_entry"

    def __init__(self, entry_id: str) -> None:
        super().__init__(entry_id)
        self.entry_id = entry_id


class EntryNotBooked(Unknown):
    """
    There is no proof: no closed day holds the entry as it is.

    Its day is not over, or has not been closed; `closed_until` is the last that has. If that is
    later than `posted_on` by more than a day or two, the entry was changed after it was posted.
    """

    code = "entry_not_booked"

    def __init__(self, entry_id: str, *, posted_on: date, closed_until: date | None) -> None:
        super().__init__(entry_id, posted_on, closed_until)
        self.entry_id = entry_id
        self.posted_on = posted_on.isoformat()
        self.closed_until = closed_until.isoformat() if closed_until else None


class UnknownAdjustment(Unknown):
    """No adjustment waits, or waited, under that id."""

    code = "unknown_adjustment"

    def __init__(self, adjustment_id: str) -> None:
        super().__init__(adjustment_id)
        self.adjustment_id = adjustment_id


class UnknownBudget(Unknown):
    """No budget was opened under that id."""

    code = "unknown_budget"

    def __init__(self, budget_id: str) -> None:
        super().__init__(budget_id)
        self.budget_id = budget_id


class UnknownHold(Unknown):
    """The member holds nothing under that id, or no longer."""

    code = "unknown_hold"

    def __init__(self, hold_id: str) -> None:
        super().__init__(hold_id)
        self.hold_id = hold_id


class UnknownPool(Unknown):
    """There is no such pool, or the member is not in it, which is told alike."""

    code = "unknown_pool"

    def __init__(self, pool_id: str) -> None:
        super().__init__(pool_id)
        self.pool_id = pool_id


class NotInPool(Unknown):
    """The pool has no such member."""

    code = "not_in_pool"

    def __init__(self, *, pool_id: str, member_id: str) -> None:
        super().__init__(pool_id, member_id)
        self.pool_id = pool_id
        self.member_id = member_id


class UnknownRate(Unknown):
    """The program has no rate from the one wallet into the other."""

    code = "unknown_rate"

    def __init__(self, *, wallet: str, into_wallet: str) -> None:
        super().__init__(wallet, into_wallet)
        self.wallet = wallet
        self.into_wallet = into_wallet


class UnknownWallet(Unknown):
    """The program has no such wallet, so nothing is put into one."""

    code = "unknown_wallet"

    def __init__(self, wallet: str) -> None:
        super().__init__(wallet)
        self.wallet = wallet


class UnknownRoute(Unknown):
    """The API has no such path, or not for that method."""

    code = "unknown_route"


class Rejected(ForecourtError):
    """The request is well formed and was refused."""

    code = "rejected"


class AlreadyEnrolled(Rejected):
    """The member exists, with another profile than the one asked for."""

    code = "already_enrolled"

    def __init__(self, member_id: str) -> None:
        super().__init__(member_id)
        self.member_id = member_id


class MemberErased(Rejected):
    """There was a member under that id, who has been forgotten; the id is not given out again."""

    code = "member_erased"

    def __init__(self, member_id: str) -> None:
        super().__init__(member_id)
        self.member_id = member_id


class MemberMerged(Rejected):
    """The member's record went into another, under which they go on."""

    code = "member_merged"

    def __init__(self, *, member_id: str, into: str) -> None:
        super().__init__(member_id, into)
        self.member_id = member_id
        self.into = into


class MemberNotMerged(Rejected):
    """The member's record is not merged into another, so there is nothing to undo."""

    code = "member_not_merged"

    def __init__(self, member_id: str) -> None:
        super().__init__(member_id)
        self.member_id = member_id


class IdentityTaken(Rejected):
    """The identity is another member's, or as many members' as may share it; whose is not said."""

    code = "identity_taken"

    def __init__(self, *, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class TooManyIdentities(Rejected):
    """The member holds as many identities as a member may."""

    code = "too_many_identities"

    def __init__(self, *, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit


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


class SaleNotRulable(Rejected):
    """Nobody may decide so about the sale where it stands; `status` says where that is."""

    code = "sale_not_rulable"

    def __init__(self, *, sale_id: str, status: str) -> None:
        super().__init__(sale_id, status)
        self.sale_id = sale_id
        self.status = status


class SaleNotWaiting(Rejected):
    """The sale waits for no owner, or no longer; whose it is is not said."""

    code = "sale_not_waiting"

    def __init__(self, sale_id: str) -> None:
        super().__init__(sale_id)
        self.sale_id = sale_id


class TellingSettled(Rejected):
    """The telling has joined a sale, or, with `sale_id` `None`, somebody said there was none."""

    code = "telling_settled"

    def __init__(self, *, telling_id: str, sale_id: str | None) -> None:
        super().__init__(telling_id, sale_id)
        self.telling_id = telling_id
        self.sale_id = sale_id


class AlreadyAnswered(Rejected):
    """The member has said something else about the sale before; staff may decide otherwise."""

    code = "already_answered"

    def __init__(self, *, sale_id: str, answer: str) -> None:
        super().__init__(sale_id, answer)
        self.sale_id = sale_id
        self.answer = answer


class TooManyClaims(Rejected):
    """The member has claimed as many sales lately as a member may."""

    code = "too_many_claims"

    def __init__(self, *, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit


class SaleNotCredited(Rejected):
    """The sale is no member's, so there are no points behind it."""

    code = "sale_not_credited"

    def __init__(self, *, sale_id: str, status: str) -> None:
        super().__init__(sale_id, status)
        self.sale_id = sale_id
        self.status = status


class SaleShared(Rejected):
    """Several members share the sale: a person has to say whose share is refunded, by a ruling."""

    code = "sale_shared"

    def __init__(self, *, sale_id: str, members: int) -> None:
        super().__init__(sale_id, members)
        self.sale_id = sale_id
        self.members = members


class AdjustmentDecided(Rejected):
    """Somebody has decided about the adjustment."""

    code = "adjustment_decided"

    def __init__(self, *, adjustment_id: str, status: str) -> None:
        super().__init__(adjustment_id, status)
        self.adjustment_id = adjustment_id
        self.status = status


class BudgetExists(Rejected):
    """Another budget was opened under that id: for something else, or until another day."""

    code = "budget_exists"

    def __init__(self, budget_id: str) -> None:
        super().__init__(budget_id)
        self.budget_id = budget_id


class BudgetOver(Rejected):
    """The budget's last day is over; what is put into it would run out at once."""

    code = "budget_over"

    def __init__(self, budget_id: str, *, expires_on: date) -> None:
        super().__init__(budget_id, expires_on)
        self.budget_id = budget_id
        self.expires_on = expires_on.isoformat()


class ReceiverCannot(Rejected):
    """The receiver's wallet takes no points now. Why, and what is in it, is theirs to know."""

    code = "receiver_cannot"


class HeadStays(Rejected):
    """Who opened a pool is its head, and does not leave it."""

    code = "head_stays"

    def __init__(self, *, pool_id: str) -> None:
        super().__init__(pool_id)
        self.pool_id = pool_id


class TooManyInPool(Rejected):
    """The pool has as many members as its account can count."""

    code = "too_many_in_pool"

    def __init__(self, *, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit


class TooManyPools(Rejected):
    """The member is the head of as many pools as allowed."""

    code = "too_many_pools"

    def __init__(self, *, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit


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


class VersionMismatch(Rejected):
    """The caller decided on an older version than the one there is; `version` is the latest."""

    code = "version_mismatch"

    def __init__(self, *, version: int) -> None:
        super().__init__(version)
        self.version = version


class IdempotencyKeyReused(Rejected):
    """The key belongs to another request of the same caller; nothing was written."""

    code = "idempotency_key_reused"


class RequestInProgress(Rejected):
    """The first request with this key is still being worked on."""

    code = "in_progress"


class StaleWrite(Rejected):
    """Somebody else changed the item meanwhile; read again and decide again."""

    code = "stale_write"


class Unauthenticated(ForecourtError):
    """The request carries no claims we know the caller by."""

    code = "unauthenticated"


class Forbidden(ForecourtError):
    """The caller is known and may not do this."""

    code = "forbidden"


class Unavailable(ForecourtError):
    """A service we need does not answer now. Nothing is decided: the request may come again."""

    code = "unavailable"
