"""
What is refused about bookings: proofs, wallets, corrections, budgets and pools.

What the books themselves do not allow is in `forecourt.ledger.refusals`.

* Unknown
  - EntryNotBooked
  - UnknownAdjustment
  - UnknownBudget
  - UnknownHold
  - UnknownPool
  - NotInPool
  - UnknownRate
  - UnknownWallet
* Rejected
  - AdjustmentDecided
  - BudgetExists
  - BudgetOver
  - ReceiverCannot
  - HeadStays
  - TooManyInPool
  - TooManyPools
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from forecourt.errors import Rejected, Unknown

if TYPE_CHECKING:
    from datetime import date


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
