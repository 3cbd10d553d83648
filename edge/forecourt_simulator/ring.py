"""
The finished sales a controller keeps for one nozzle until they are fetched.

Numbers are given by a 16-bit counter: the largest is followed by 1, and 0 is never given. The
record of a number lies in slot `number % size`. A ring whose size does not divide the largest
number is not continuous where the numbers wrap: there a record is overwritten before the ring
is full. That is why room is answered by looking into the slot, not by counting.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedSale:
    """
    One finished sale: the truth, against which everything downstream can be compared.

    Times are true ones in UTC; what the device's clock made of them is in its registers only.
    `transaction` is the controller's number, `totalizer_ml` the meter after the sale.
    """

    nozzle: int
    transaction: int
    grade: str
    unit_price_milli_per_litre: int
    volume_ml: int
    amount_fen: int
    totalizer_ml: int
    started_at: datetime
    completed_at: datetime
    test_delivery: bool = False
    offline: bool = False
    card: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A finished sale and the registers it lies in."""

    sale: FinishedSale
    words: tuple[int, ...]


class Ring:
    """The last sales of one nozzle, and how far the reader has acknowledged them."""

    def __init__(self, *, size: int, number_max: int, first_number: int = 1) -> None:
        if not 1 <= first_number <= number_max:
            raise ValueError(first_number)
        if not 1 <= size < number_max:
            raise ValueError(size)
        self.size = size
        self.number_max = number_max
        # A factory-new controller shows 0: nothing has been sold yet.
        self.head = first_number - 1
        self.acknowledged = self.head
        self.overwritten_unread = 0
        self._unacknowledged = 0
        self._slots: dict[int, Record] = {}

    @property
    def next_number(self) -> int:
        return self.head % self.number_max + 1

    @property
    def unacknowledged(self) -> int:
        """How many sales the reader has not acknowledged, overwritten ones included."""
        return self._unacknowledged

    @property
    def has_room(self) -> bool:
        """Whether the next sale overwrites nothing that is still to be acknowledged."""
        occupant = self._slots.get(self.next_number % self.size)
        return occupant is None or not self._is_waiting(occupant.sale.transaction)

    def append(self, record: Record) -> None:
        """Keep *record*, over an unread one if need be, as a real controller does."""
        number = record.sale.transaction
        if number != self.next_number:
            raise ValueError(number)
        if not self.has_room:
            self.overwritten_unread += 1
        self._slots[number % self.size] = record
        self.head = number
        self._unacknowledged += 1

    def acknowledge(self, number: int) -> bool:
        """
        Clear everything up to *number*.

        `False`, and no change, for a number that is not waiting: what a repeated or a late
        acknowledgement looks like.
        """
        if not self._is_waiting(number):
            return False
        self._unacknowledged = self._distance(number, self.head)
        self.acknowledged = number
        return True

    def knows(self, number: int) -> bool:
        """Whether a sale of that number is still in its slot."""
        record = self._slots.get(number % self.size)
        return record is not None and record.sale.transaction == number

    def record_in(self, slot: int) -> Record | None:
        return self._slots.get(slot)

    def _is_waiting(self, number: int) -> bool:
        in_range = 1 <= number <= self.number_max
        return in_range and self._distance(number, self.head) < self._unacknowledged

    def _distance(self, older: int, newer: int) -> int:
        return (newer - older) % self.number_max
