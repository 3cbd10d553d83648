"""
Taking finished transactions over from a nozzle: which numbers, what is missing, what is sold.

Every record is stored with the cursor behind it before the next is read; the caller
closes at the device what the cursor says.  Numbers that are no longer in the ring are
reported as a gap with the litres the totalizer shows for them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from forecourt.sales import Evidence, EvidenceKind
from forecourt_edge import journal
from forecourt_edge.errors import RegisterFault
from forecourt_edge.messages import gap_message, sale_message
from forecourt_edge.outbox import Cursor, Lane, Refused
from forecourt_edge.plausibility import checked_transaction, litres_between

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime, timedelta

    from forecourt_edge.joining import Joined
    from forecourt_edge.layout import Controller, NozzleStatus, Transaction
    from forecourt_edge.outbox import Message, Outbox
    from forecourt_edge.profile import Profile
    from forecourt_edge.sightings import Sightings

HEAD_ATTEMPTS = 3  # A controller may show a number a moment before it has written the record.


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """One nozzle with finished transactions; `read_record` returns a record's registers."""

    profile: Profile
    grades: Mapping[int, str]
    header: Controller
    status: NozzleStatus
    cursor: Cursor
    read_record: Callable[[int], Awaitable[list[int]]]
    give_up_on_head: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Where the cursor stands now; `head_absent` asks for another try at the next poll."""

    cursor: Cursor
    sales: int
    head_absent: bool = False


class TakeOver:
    """The way from records to stored messages."""

    def __init__(
        self,
        *,
        station_id: str,
        outbox: Outbox,
        sightings: Sightings,
        now: Callable[[], datetime],
        clock_synchronised: Callable[[], bool],
    ) -> None:
        self._station_id = station_id
        self._outbox = outbox
        self._sightings = sightings
        self._now = now
        self._clock_synchronised = clock_synchronised

    def cursor_for(self, nozzle: int, header: Controller, status: NozzleStatus) -> Cursor:
        """
        Return the stored cursor, or for a device never seen the number it was last told to close.

        What was sold and closed before we came is not ours to report.
        """
        stored = self._outbox.cursor(nozzle, header.serial)
        return stored or Cursor(
            nozzle=nozzle,
            device_serial=header.serial,
            number=status.acknowledged,
            totalizer_ml=None,
        )

    async def nozzle(self, handover: Handover) -> Taken:
        """Take over everything the nozzle has finished; raises `OutboxFull` where it stops."""
        cursor, sales = handover.cursor, 0
        lost: list[int] = []
        for number in self._numbers(handover, lost):
            words = await handover.read_record(number)
            sold = self._record(handover, number, words, cursor)
            if isinstance(sold, Cursor):
                cursor = sold
                lost.append(number)
            elif sold is None:
                lost.append(number)
            else:
                cursor = self._store(handover, sold, cursor, lost)
                sales += 1
                lost.clear()
        if cursor.number == handover.status.transaction:
            return Taken(cursor=cursor, sales=sales)
        if not handover.give_up_on_head:
            return Taken(cursor=cursor, sales=sales, head_absent=True)
        return Taken(cursor=self._give_up(handover, cursor, lost), sales=sales)

    def _numbers(self, handover: Handover, lost: list[int]) -> list[int]:
        """Return the numbers that can be in the ring; those that cannot go to *lost*."""
        profile, head = handover.profile, handover.status.transaction
        pending = profile.distance(handover.cursor.number, head)
        in_ring = min(pending, profile.ring.size)
        if pending > in_ring:
            first = profile.next_number(handover.cursor.number)
            # Zero is no number: below it the count goes on from the largest.
            last = (head - in_ring - 1) % profile.ring.number_max + 1
            lost += [first, last]
        number = (head - in_ring) % profile.ring.number_max
        return [(number + step) % profile.ring.number_max + 1 for step in range(in_ring)]

    def _record(
        self, handover: Handover, number: int, words: Sequence[int], cursor: Cursor
    ) -> Transaction | Cursor | None:
        """
        Return the transaction, `None` when its slot holds another one.

        A record that is nonsense under every word order is put aside with its registers,
        and the cursor behind it returned: it must not stop the nozzle for ever. Its litres
        show up as missing at the next sale.
        """
        if words[handover.profile.ring.record.transaction.address] != number:
            return None
        try:
            return checked_transaction(handover.profile, words)
        except RegisterFault as fault:
            moved = replace(cursor, number=number)
            self._outbox.take_over(
                moved,
                refused=Refused(
                    lane=Lane.SALES,
                    message_id=f"{cursor.device_serial}.{cursor.nozzle}.{number}",
                    body=b"".join(word.to_bytes(2, "big") for word in words),
                    reason=str(fault),
                ),
            )
            journal.alarm(
                "record_quarantined",
                nozzle=cursor.nozzle,
                device_serial=cursor.device_serial,
                transaction=number,
                reason=str(fault),
            )
            return moved

    def _store(
        self, handover: Handover, sold: Transaction, cursor: Cursor, lost: Sequence[int]
    ) -> Cursor:
        recorded_at = self._now().replace(microsecond=0)
        clock_at = handover.header.clock_at
        offset = None if clock_at is None else clock_at - recorded_at
        joined = self._join(sold, cursor.nozzle, recorded_at, offset)
        grade = handover.grades.get(sold.grade_code, f"code-{sold.grade_code}")
        sale = sale_message(
            sold,
            station_id=self._station_id,
            device_serial=cursor.device_serial,
            nozzle=cursor.nozzle,
            grade=grade,
            volume_resolution_ml=handover.profile.volume_resolution_ml,
            recorded_at=recorded_at,
            clock_offset_seconds=None if offset is None else int(offset.total_seconds()),
            clock_synchronised=self._clock_synchronised(),
            evidence=_evidence(joined, sold),
        )
        moved = replace(cursor, number=sold.transaction, totalizer_ml=sold.totalizer_ml)
        gap = self._gap(handover, cursor, sold, lost, recorded_at)
        self._outbox.take_over(
            moved,
            messages=[sale] if gap is None else [gap, sale],
            used_sightings=joined.spent,
            used_at=recorded_at.timestamp(),
        )
        journal.note(
            "sale_taken_over",
            sale_id=sale.message_id,
            nozzle=cursor.nozzle,
            volume_ml=sold.volume_ml,
            evidence=sorted({each["kind"] for each in sale.body["evidence"]}),
        )
        return moved

    def _join(
        self, sold: Transaction, nozzle: int, recorded_at: datetime, offset: timedelta | None
    ) -> Joined:
        """Find the evidence, with the device's times moved to the gateway's clock."""
        if offset is None or sold.completed_at is None:
            return self._sightings.for_sale(
                nozzle=nozzle, lifted_at=None, completed_at=recorded_at.timestamp()
            )
        lifted = sold.started_at
        lifted_at = None if lifted is None else (lifted - offset).timestamp()
        return self._sightings.for_sale(
            nozzle=nozzle,
            lifted_at=lifted_at,
            completed_at=(sold.completed_at - offset).timestamp(),
        )

    def _gap(
        self,
        handover: Handover,
        cursor: Cursor,
        sold: Transaction,
        lost: Sequence[int],
        found_at: datetime,
    ) -> Message | None:
        """
        Return what is missing before *sold*: numbers, or litres by the totalizer, or both.

        A totalizer that went back belongs to a replaced meter: reported with no litres.
        """
        if cursor.totalizer_ml is None:
            if lost:
                journal.warn("history_not_in_ring", nozzle=cursor.nozzle, first=lost[0])
            return None
        unexplained = litres_between(
            handover.profile, cursor.totalizer_ml, sold.volume_ml, sold.totalizer_ml
        )
        if not lost and not unexplained:
            return None
        beyond_ring = handover.profile.distance(cursor.number, handover.status.transaction)
        if not unexplained and beyond_ring > handover.profile.ring.size:
            # The controller counts from the beginning again, and not a drop is missing.
            journal.warn("numbering_restarted", nozzle=cursor.nozzle, number=sold.transaction)
            return None
        first, last = (lost[0], lost[-1]) if lost else (sold.transaction, sold.transaction)
        return self._report_gap(cursor, first, last, max(unexplained, 0), found_at)

    def _give_up(self, handover: Handover, cursor: Cursor, lost: Sequence[int]) -> Cursor:
        """Report numbers up to the head whose records never appeared, and go on behind them."""
        status = handover.status
        moved = replace(cursor, number=status.transaction, totalizer_ml=status.totalizer_ml)
        missing_ml = 0
        if cursor.totalizer_ml is not None:
            missing_ml = litres_between(
                handover.profile, cursor.totalizer_ml, 0, status.totalizer_ml
            )
        found_at = self._now().replace(microsecond=0)
        gap = self._report_gap(cursor, lost[0], lost[-1], max(missing_ml, 0), found_at)
        self._outbox.take_over(moved, messages=[gap])
        return moved

    def _report_gap(
        self, cursor: Cursor, first: int, last: int, missing_ml: int, found_at: datetime
    ) -> Message:
        journal.alarm(
            "gap_found",
            nozzle=cursor.nozzle,
            device_serial=cursor.device_serial,
            first_transaction=first,
            last_transaction=last,
            missing_ml=missing_ml,
        )
        return gap_message(
            station_id=self._station_id,
            device_serial=cursor.device_serial,
            nozzle=cursor.nozzle,
            found_at=found_at,
            first_transaction=first,
            last_transaction=last,
            missing_ml=missing_ml,
        )


def _evidence(joined: Joined, sold: Transaction) -> list[Evidence]:
    found = [
        Evidence(
            kind=EvidenceKind(each.kind),
            value=each.value,
            confidence=each.confidence,
            character_confidences=each.character_confidences,
            source=each.camera,
        )
        for each in joined.sightings
    ]
    if sold.card:
        found.append(Evidence(kind=EvidenceKind.CARD, value=sold.card, source="pump"))
    return found
