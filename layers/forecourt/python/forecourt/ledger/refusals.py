"""
What the books do not allow.

* LedgerRefusal (a `forecourt.errors.Rejected`)
  x too little, too much    InsufficientPoints, BudgetExhausted, CeilingExceeded, LimitExceeded,
                            BelowMinimum, NotAMultiple, TooMany
  x the account             AccountFrozen, AccountMerged, NotMerged, NotSpendable, OpenMatters,
                            TransferToSelf
  x holds                   HoldNotOpen, CaptureExceedsHold
  x reversals               NotReversible, NothingToReverse, OverReversed, AlreadyReversed,
                            PrincipalSpent
  x adjustments             CheckerNeeded, CheckerIsMaker, NeverRunsOut
  x nothing there           NothingPending, NothingToExtend, NothingDue
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from forecourt.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping


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


class BudgetExhausted(LedgerRefusal):
    """The budget has less left than was to be given out of it."""

    code = "budget_exhausted"
    budget: str
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


class NotMerged(LedgerRefusal):
    """The account did not go over into that one by that entry, or is open again."""

    code = "not_merged"
    owner: str
    merge: str


class NotSpendable(LedgerRefusal):
    """What the wallet holds is counted, and never given away: growth value."""

    code = "not_spendable"
    wallet: str


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


class PrincipalSpent(LedgerRefusal):
    """More money would be refunded than is left of what was paid in."""

    code = "principal_spent"
    requested: int
    left: int


class CheckerNeeded(LedgerRefusal):
    """An adjustment of that size needs a second person."""

    code = "checker_needed"
    limit: int
    requested: int


class CheckerIsMaker(LedgerRefusal):
    """Who asks for an adjustment does not approve it."""

    code = "checker_is_maker"
    actor: str


class NeverRunsOut(LedgerRefusal):
    """What lies in the wallet never runs out, and is given no last day."""

    code = "never_runs_out"
    wallet: str
    expires_on: str


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
