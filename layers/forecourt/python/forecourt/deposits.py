"""
Deposits: money paid into stored value, and what a program gives on top of it.

Only what is paid in at once counts, so a bonus follows from the receipt and the program of its
moment, and nobody at a till types one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from forecourt.ledger.entries import Entry

# What the entry of a deposit calls the money paid in; the rest of what it gave came on top.
PRINCIPAL = "principal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bonus:
    """`bonus_fen` on top for whoever pays in at least `from_fen` at once."""

    from_fen: int
    bonus_fen: int


def bonus_for(paid_fen: int, bonuses: Iterable[Bonus]) -> int:
    """Return what is given on top of *paid_fen*: by the highest step that it reaches."""
    reached = [each for each in bonuses if each.from_fen <= paid_fen]
    return max(reached, key=lambda each: each.from_fen).bonus_fen if reached else 0


def principal_left(deposit: Entry, reversed_fen: int) -> int:
    """
    Return how much of the money of *deposit* was not refunded, given what was reversed of it.

    A refund takes back the money and, rounded down over all refunds, its part of the bonus; so
    of what was reversed, the same part rounded down is bonus and the rest is money.
    """
    principal = deposit.items[PRINCIPAL]
    bonus = deposit.given - principal
    return principal - (reversed_fen - reversed_fen * bonus // deposit.given)


def bonuses_from_document(wallets: Mapping[str, Any] | None) -> tuple[Bonus, ...]:
    """Build the bonuses from the wallets of a program's document."""
    stored = (wallets or {}).get("stored_value") or {}
    # Documents from before there were bonuses name none.
    return tuple(
        Bonus(from_fen=each["from_fen"], bonus_fen=each["bonus_fen"])
        for each in stored.get("bonuses", ())
    )
