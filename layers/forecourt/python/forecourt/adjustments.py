"""Adjustments: corrections by hand. Above a limit one person asks and another approves."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from forecourt.instants import compact_instant, format_instant
from forecourt.ledger.commands import Adjust
from forecourt.ledger.refusals import CheckerIsMaker
from forecourt.values import dataclass

if TYPE_CHECKING:
    from datetime import date, datetime


class Status(StrEnum):
    """
    How far an adjustment has come.

    An *allowed* one needs nobody else. An *approved* one is being posted: should that stop
    half-way, whoever approves it again finishes it.
    """

    ALLOWED = "allowed"
    WAITING = "waiting"
    APPROVED = "approved"
    POSTED = "posted"
    REFUSED = "refused"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """What somebody wants corrected, and what became of it. Its dates are fixed when asked."""

    adjustment_id: str
    member_id: str
    wallet: str
    points: int
    expires_on: date | None
    source: str
    reason: str
    asked_by: str
    asked_at: datetime
    status: Status
    decided_by: str | None = None
    decided_at: datetime | None = None

    @property
    def open(self) -> bool:
        """Return whether somebody still has to do something about it."""
        return self.status in {Status.WAITING, Status.APPROVED}

    @property
    def command(self) -> Adjust:
        """Return the command that carries it out."""
        return Adjust(
            entry_id=self.adjustment_id,
            owner=self.member_id,
            wallet=self.wallet,
            points=self.points,
            expires_on=self.expires_on,
            source=self.source,
            reason=self.reason,
            actor=self.asked_by,
            checker=self.decided_by,
            occurred_at=self.asked_at,
        )

    def to_record(self) -> dict[str, Any]:
        """Return it as plain values: text, a whole number, `None`."""
        decided_at = self.decided_at
        return {
            "adjustment_id": self.adjustment_id,
            "member_id": self.member_id,
            "wallet": self.wallet,
            "points": self.points,
            "expires_on": self.expires_on.isoformat() if self.expires_on else None,
            "source": self.source,
            "reason": self.reason,
            "asked_by": self.asked_by,
            "asked_at": format_instant(self.asked_at),
            "status": str(self.status),
            "decided_by": self.decided_by,
            "decided_at": format_instant(decided_at) if decided_at else None,
        }

    def decided(self, status: Status, *, by: str, at: datetime) -> Adjustment:
        """Return it approved or rejected; raise `CheckerIsMaker` for an approval by its maker."""
        if status is Status.APPROVED and by == self.asked_by:
            raise CheckerIsMaker(actor=by)
        return replace(self, status=status, decided_by=by, decided_at=at)


def adjustment_id_for(asked_at: datetime, request_id: str) -> str:
    """Return the id of what a request asked for first at that time; its entry has it, too."""
    return f"{compact_instant(asked_at)}.adjustment.{request_id[:16]}"
