"""
What the desk notes of a request before it changes the books, so that a request has one answer.

An id begins with an instant, and that of an adjustment or a freeze is its first attempt's. Who
would be refused before that is looked up, by what is true by now, hears what an earlier attempt
came to, if one did (decisions 6 and 17).
"""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from forecourt.adjustments import Adjustment, Status, adjustment_id_for
from forecourt.adjustments_table import AdjustmentsTable
from forecourt.door_errors import IdempotencyKeyReused
from forecourt.errors import EntryConflict, ForecourtError
from forecourt.instants import compact_instant
from forecourt.ledger import Answer as Answered
from forecourt.ledger import Entry
from forecourt.ledger.commands import Freeze, Unfreeze
from forecourt.ledger.giving import needs_checker
from forecourt.ledger.procedure import EntryKey
from forecourt.once import Answer
from forecourt.values import dataclass
from functions.corrections.bodies import posted
from functions.corrections.desk import Desk


def ask(
    desk: Desk,
    table: AdjustmentsTable,
    *,
    owner: str,
    wallet: str,
    points: int,
    last_day: Callable[[], date | None],
    source: str,
    reason: str,
) -> Answer:
    """
    Ask in the caller's name for points into an account, a member's or a budget's.

    They are good until the *last_day*, which may refuse them. A retry gets what its request
    asked for first.
    """
    door, now = desk.door, desk.now()
    request_id = door.id_about(owner)
    try:
        expires_on = last_day()
    except ForecourtError:
        asked = table.asked(request_id, fingerprint=door.fingerprint)
        if asked is None:
            raise
    else:
        waits = needs_checker(points, desk.policies(owner).of(wallet))
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
            fingerprint=door.fingerprint,
        )
    entry = desk.post(asked.command) if asked.status is Status.ALLOWED else None
    return Answer(status=201, body=adjusted(asked, entry))


@dataclass(frozen=True, slots=True, kw_only=True)
class Freezing:
    """A request to freeze an account, or to unfreeze it."""

    desk: Desk
    table: AdjustmentsTable
    kind: type[Freeze | Unfreeze]
    owner: str
    wallet: str
    source: str
    reason: str

    def carry_out(self) -> Entry | None:
        """Return the entry it came to; `None`: it was so already."""
        try:
            return self._carry_out()
        except EntryConflict:
            raise IdempotencyKeyReused from None  # the id has the key in it

    def _carry_out(self) -> Entry | None:
        try:
            is_so = self.desk.is_frozen(self.owner, self.wallet) is (self.kind is Freeze)
        except ForecourtError:
            first = self._first_answer()
            if first is None:
                raise
            return first.posted()
        if is_so:
            first = self._first_answer()
            return first.posted() if first else None
        begun_at = self.table.begin(self._request_id, at=self.desk.now())
        return self.desk.post(
            self.kind(
                entry_id=self._entry_id(begun_at),
                owner=self.owner,
                wallet=self.wallet,
                source=self.source,
                reason=self.reason,
                actor=self.desk.door.caller.subject,
                occurred_at=begun_at,
                request=self.desk.door.fingerprint,
            )
        )

    def _first_answer(self) -> Answered | None:
        begun_at = self.table.begun_at(self._request_id)
        if begun_at is None:
            return None
        key = EntryKey(self.owner, self._entry_id(begun_at))
        return self.desk.ledger.first_answer(key, request=self.desk.door.fingerprint)

    @property
    def _name(self) -> str:
        return self.kind.__name__.lower()

    @property
    def _request_id(self) -> str:
        return self.desk.door.id_about(self.owner, self._name)

    def _entry_id(self, begun_at: datetime) -> str:
        return f"{compact_instant(begun_at)}.{self._name}.{self._request_id[:16]}"


def adjusted(adjustment: Adjustment, entry: Entry | None) -> dict[str, Any]:
    """Return *adjustment* as it is told, with the entry it came to."""
    return {"adjustment": adjustment.to_record(), "entry": posted(entry) if entry else None}
