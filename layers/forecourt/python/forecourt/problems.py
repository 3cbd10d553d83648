"""
Refusals as problem documents (RFC 9457): the one table from error to status.

`code` is stable; programs decide by it. `facts` is what the error knows. What is *final* is
the answer to a request for ever and is replayed to its retries; the rest may be decided
anew.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from forecourt import booking_errors, door_errors, errors, member_errors, operator_errors
from forecourt.instants import format_instant
from forecourt.ledger import refusals
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

PROBLEM_JSON = "application/problem+json"
RETRY_AFTER_SECONDS = 1

INTERNAL_ERROR = {
    "type": "urn:forecourt:problem:internal_error",
    "title": "Something went wrong on our side",
    "status": 500,
    "code": "internal_error",
    "facts": {},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an error is told to an HTTP client."""

    status: int
    title: str
    final: bool = True


def _passing(status: int, title: str) -> Outcome:
    return Outcome(status=status, title=title, final=False)


def _final(status: int, title: str) -> Outcome:
    return Outcome(status=status, title=title)


OUTCOMES: Mapping[type[errors.ForecourtError], Outcome] = {
    errors.Malformed: _final(400, "The request cannot be understood"),
    errors.MalformedMessage: _final(400, "The message cannot be understood"),
    door_errors.MalformedBody: _final(400, "The body is not a JSON object"),
    door_errors.InvalidCursor: _final(400, "The cursor does not belong to this list"),
    door_errors.IdempotencyKeyMissing: _final(400, "A write needs a key"),
    door_errors.IdempotencyKeyTooLong: _final(400, "The key is too long"),
    door_errors.BodyTooLarge: _final(413, "The body is too large"),
    door_errors.UnsupportedMediaType: _final(415, "The body has to be JSON"),
    errors.InvalidRequest: _final(422, "The request does not fit its schema"),
    errors.InvalidIdentity: _final(422, "The value cannot be an identity of that kind"),
    operator_errors.InvalidProgram: _final(422, "The program contradicts itself"),
    operator_errors.InvalidCertificateRequest: _final(422, "The certificate request was refused"),
    errors.Unauthenticated: _passing(401, "Who you are is not known"),
    errors.Forbidden: _passing(403, "You may not do this"),
    errors.Unknown: _final(404, "There is no such thing"),
    member_errors.UnknownMember: _final(404, "There is no such member"),
    member_errors.UnknownIdentity: _final(404, "The member has no such identity"),
    operator_errors.UnknownStation: _final(404, "There is no such station"),
    errors.UnknownSale: _final(404, "There is no such sale"),
    errors.UnknownTelling: _final(404, "Nobody has told this of a sale"),
    errors.UnknownQuestion: _final(404, "The member is not asked about that sale"),
    operator_errors.UnknownProgram: _final(404, "There is no such program version"),
    operator_errors.UnknownWeights: _final(404, "There is no such version of the weights"),
    member_errors.UnknownEntry: _final(404, "The member has no such entry"),
    booking_errors.EntryNotBooked: _final(404, "No closed day holds this entry as it is"),
    booking_errors.UnknownAdjustment: _final(404, "There is no such adjustment"),
    booking_errors.UnknownBudget: _final(404, "There is no such budget"),
    booking_errors.UnknownHold: _final(404, "The member holds nothing under that id"),
    booking_errors.UnknownPool: _final(404, "The member is in no such pool"),
    booking_errors.NotInPool: _final(404, "The pool has no such member"),
    booking_errors.UnknownRate: _final(404, "There is no rate between the wallets"),
    booking_errors.UnknownWallet: _final(404, "The program has no such wallet"),
    door_errors.UnknownRoute: _final(404, "There is nothing here"),
    errors.Rejected: _final(409, "This may not happen now"),
    member_errors.AlreadyEnrolled: _final(409, "The member is enrolled with another profile"),
    member_errors.MemberErased: _final(409, "The member was erased"),
    member_errors.MemberMerged: _final(409, "The member goes on under another id"),
    member_errors.MemberNotMerged: _final(409, "The member is not merged"),
    member_errors.IdentityTaken: _final(409, "The identity belongs to another member"),
    member_errors.TooManyIdentities: _final(409, "The member holds as many identities as allowed"),
    operator_errors.StationExists: _final(409, "Another station is registered under that id"),
    errors.SaleNotHeld: _final(409, "The sale does not wait for a decision"),
    errors.SaleNotRulable: _final(409, "This cannot be decided about the sale now"),
    errors.SaleNotWaiting: _final(409, "The sale does not wait for an owner"),
    errors.TellingSettled: _final(409, "The telling waits for no sale"),
    errors.AlreadyAnswered: _final(409, "The question has another answer"),
    errors.TooManyClaims: _final(409, "The member has claimed as many sales as allowed"),
    errors.SaleNotCredited: _final(409, "The sale is no member's"),
    errors.SaleShared: _final(409, "Several members share the sale"),
    booking_errors.AdjustmentDecided: _final(409, "The adjustment is decided"),
    booking_errors.BudgetExists: _final(409, "Another budget has that id"),
    booking_errors.BudgetOver: _final(409, "The budget's last day is over"),
    booking_errors.ReceiverCannot: _final(409, "The receiver cannot take this now"),
    booking_errors.HeadStays: _final(409, "The head of a pool stays in it"),
    booking_errors.TooManyInPool: _final(409, "The pool has as many members as allowed"),
    booking_errors.TooManyPools: _final(409, "The member has as many pools as allowed"),
    operator_errors.ProgramNotDraft: _final(409, "Only a draft can be changed"),
    operator_errors.RetroactiveActivation: _final(409, "What was in force cannot be changed"),
    refusals.LedgerRefusal: _final(409, "The ledger refuses this now"),
    refusals.InsufficientPoints: _final(409, "There is less to spend than asked for"),
    refusals.BudgetExhausted: _final(409, "The budget has less left than asked for"),
    refusals.CeilingExceeded: _final(409, "The wallet would hold more than it may"),
    refusals.LimitExceeded: _final(409, "The day's limit would be exceeded"),
    refusals.BelowMinimum: _final(409, "Less than the least that can be taken"),
    refusals.NotAMultiple: _final(409, "Only multiples can be taken"),
    refusals.AccountFrozen: _final(409, "The account is frozen"),
    refusals.AccountMerged: _final(409, "The account went into another one"),
    refusals.NotMerged: _final(409, "The account was not merged so"),
    refusals.NotSpendable: _final(409, "What the wallet holds cannot be spent"),
    refusals.OpenMatters: _final(409, "The account has open matters"),
    refusals.TransferToSelf: _final(409, "Giver and receiver are the same"),
    refusals.TooMany: _final(409, "The account holds as many of these as it may"),
    refusals.HoldNotOpen: _final(409, "The hold is not open"),
    refusals.CaptureExceedsHold: _final(409, "More than was held cannot be captured"),
    refusals.NotReversible: _final(409, "This cannot be reversed"),
    refusals.NothingToReverse: _final(409, "There is nothing to reverse"),
    refusals.OverReversed: _final(409, "More than was given cannot be reversed"),
    refusals.AlreadyReversed: _final(409, "This was reversed before"),
    refusals.PrincipalSpent: _final(409, "More than is left of what was paid in"),
    refusals.CheckerNeeded: _final(409, "Somebody else has to approve this"),
    refusals.CheckerIsMaker: _final(409, "Nobody approves their own adjustment"),
    refusals.NeverRunsOut: _final(409, "What the wallet holds never runs out"),
    refusals.NothingPending: _final(409, "There is nothing pending"),
    refusals.NothingToExtend: _final(409, "There is nothing to extend"),
    refusals.NothingDue: _final(409, "There is nothing due"),
    errors.EntryConflict: _final(409, "An entry was used again with other contents"),
    errors.VersionMismatch: _final(412, "Somebody else changed it meanwhile"),
    door_errors.IdempotencyKeyReused: _passing(422, "The key belongs to another request"),
    door_errors.RequestInProgress: _passing(409, "The first request with this key is not done"),
    errors.StaleWrite: _passing(503, "Too many changes at once; try again"),
    errors.Unavailable: _passing(503, "A service does not answer; try again"),
    errors.ForecourtError: _passing(500, "Something went wrong on our side"),
}


def outcome_of(error: errors.ForecourtError) -> Outcome:
    """Return how *error* is told; every class has its own row."""
    return OUTCOMES[type(error)]


def problem(error: errors.ForecourtError) -> dict[str, Any]:
    """Return *error* as a problem document."""
    outcome = outcome_of(error)
    return {
        "type": f"urn:forecourt:problem:{error.code}",
        "title": outcome.title,
        "status": outcome.status,
        "code": error.code,
        "facts": {name: _plain(value) for name, value in error.facts().items()},
    }


def problem_headers(status: int, *, code: str) -> dict[str, str]:
    """Return the headers of a problem; what may be tried again says when."""
    headers = {"Content-Type": PROBLEM_JSON, "Cache-Control": "no-store"}
    if code == door_errors.RequestInProgress.code or status == 503:  # noqa: PLR2004
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return headers


def _plain(value: object) -> object:
    return format_instant(value) if isinstance(value, datetime) else value
