"""
The kinds of refusal, and what is refused about a sale and what is told of one.

* ForecourtError
  x Malformed              the input cannot be understood
    - MalformedMessage       a station's message
    - InvalidIdentity        a plate, phone, card ... that cannot be one
    - InvalidRequest         a request that its schema does not allow
  x Unknown                the input names something that is not there
    - UnknownSale
    - UnknownTelling
    - UnknownQuestion
  x Rejected               well formed, and may not happen now
    - SaleNotHeld
    - SaleNotRulable
    - SaleNotWaiting
    - TellingSettled
    - AlreadyAnswered
    - TooManyClaims
    - SaleNotCredited
    - SaleShared
    - EntryConflict
    - VersionMismatch
    - StaleWrite
  x Unauthenticated        the caller does not say who they are
  x Forbidden              the caller may not do this
  x Unavailable            a service we need does not answer now

Below these kinds are as well `booking_errors`, `door_errors`, `member_errors`, `operator_errors`
and `forecourt.ledger.refusals`; `forecourt.problems` has the table of all.

Each class carries the facts it was raised with, never a sentence to be parsed.
Its `code` is stable and part of the API.
"""

from __future__ import annotations

from typing import ClassVar


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


class InvalidRequest(Malformed):
    """A request does not fit its schema; each finding says where and why, never what was sent."""

    code = "invalid_request"

    def __init__(self, *, findings: list[dict[str, str]]) -> None:
        super().__init__(findings)
        self.findings = findings


class Unknown(ForecourtError):
    """The input names something that is not there, or not the caller's to see."""

    code = "unknown"


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


class Rejected(ForecourtError):
    """The request is well formed and was refused."""

    code = "rejected"


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
