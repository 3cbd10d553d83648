"""
The ledger: immutable entries that balance, and the accounts they add up to.

Every entry's legs sum to zero: what a wallet gains, a program account gives. An account keeps
its points in buckets, one per last valid day, so that its size and the cost of a posting
depend on the program's calendar and not on the member's past. `decide` is pure; `carry_out`
says what to read and write around it.
"""

from __future__ import annotations

from forecourt.ledger.accounts import Account, Hold, apply, rebuild
from forecourt.ledger.chain import Fault, faults
from forecourt.ledger.deciding import decide, settled
from forecourt.ledger.decisions import Books, Decision, Parked, Posting, Reversals
from forecourt.ledger.entries import (
    ISSUED,
    POINTS_WALLET,
    Effect,
    Entry,
    EntryKind,
    Leg,
    wallet_of,
)
from forecourt.ledger.policy import CountsFrom, Policies, Shortfall, Terms, WalletPolicy
from forecourt.ledger.procedure import Answer, carry_out

__all__ = [
    "ISSUED",
    "POINTS_WALLET",
    "Account",
    "Answer",
    "Books",
    "CountsFrom",
    "Decision",
    "Effect",
    "Entry",
    "EntryKind",
    "Fault",
    "Hold",
    "Leg",
    "Parked",
    "Policies",
    "Posting",
    "Reversals",
    "Shortfall",
    "Terms",
    "WalletPolicy",
    "apply",
    "carry_out",
    "decide",
    "faults",
    "rebuild",
    "settled",
    "wallet_of",
]
