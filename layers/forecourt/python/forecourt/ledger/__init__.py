"""
The ledger: immutable entries that balance, and the accounts they add up to.

Every entry's legs sum to zero: what a wallet gains, a program account gives. An account keeps
its points in buckets, one per last valid day, so that its size and the cost of a posting
depend on the program's calendar and not on the member's past. `decide` is pure; `carry_out`
says what to read and write around it.

A name's module is imported when the name is first asked for: a function that reads entries
does not wait at its cold start for commands it never gives.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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

_NAMES_OF = {
    "accounts": (
        "Account",
        "Hold",
        "apply",
        "rebuild",
    ),
    "chain": (
        "Fault",
        "faults",
    ),
    "deciding": (
        "decide",
        "settled",
    ),
    "decisions": (
        "Books",
        "Decision",
        "Parked",
        "Posting",
        "Reversals",
    ),
    "entries": (
        "ISSUED",
        "POINTS_WALLET",
        "Effect",
        "Entry",
        "EntryKind",
        "Leg",
        "wallet_of",
    ),
    "policy": (
        "CountsFrom",
        "Policies",
        "Shortfall",
        "Terms",
        "WalletPolicy",
    ),
    "procedure": (
        "Answer",
        "carry_out",
    ),
}
_MODULE_OF = {name: module for module, names in _NAMES_OF.items() for name in names}


def __getattr__(name: str) -> object:
    """Import the module that has *name* (PEP 562) and keep what it is."""
    if name not in _MODULE_OF:
        raise AttributeError(name)
    found: object = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = found
    return found
