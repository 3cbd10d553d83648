"""Asking for a change of the books: made at once, or when somebody else has approved it."""

import hashlib
from datetime import date
from typing import Any

from forecourt.adjustments import Adjustment, Status, adjustment_id_for
from forecourt.adjustments_table import AdjustmentsTable
from forecourt.ledger import Entry
from forecourt.ledger.giving import needs_checker
from forecourt.once import Answer
from functions.corrections.bodies import posted
from functions.corrections.desk import Desk


def ask(
    desk: Desk,
    table: AdjustmentsTable,
    *,
    owner: str,
    wallet: str,
    points: int,
    expires_on: date | None,
    source: str,
    reason: str,
) -> Answer:
    """
    Ask in the caller's name for points into an account, a member's or a budget's.

    A retry gets what its request asked for first.
    """
    door, now = desk.door, desk.now()
    waits = needs_checker(points, desk.policies(owner).of(wallet))
    # One key may be used at two doors; whose account it is about tells these apart.
    request_id = hashlib.sha256(f"{door.request_id}\n{owner}".encode()).hexdigest()[:32]
    asked = table.ask(
        Adjustment(
            adjustment_id=adjustment_id_for(now, request_id),
            member_id=owner,
            wallet=wallet,
            points=points,
            expires_on=expires_on,
            source=source,
            reason=reason,
            asked_by=door.caller.subject,
            asked_at=now,
            status=Status.WAITING if waits else Status.ALLOWED,
        ),
        request_id=request_id,
    )
    entry = desk.post(asked.command) if asked.status is Status.ALLOWED else None
    return Answer(status=201, body=adjusted(asked, entry))


def adjusted(adjustment: Adjustment, entry: Entry | None) -> dict[str, Any]:
    """Return *adjustment* as it is told, with the entry it came to."""
    return {"adjustment": adjustment.to_record(), "entry": posted(entry) if entry else None}
