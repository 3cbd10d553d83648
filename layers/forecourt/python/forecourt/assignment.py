"""
Giving a sale its owner: look up, decide, write. The decision itself is `matching.decide`.

A binding and a sale can cross: the look-up misses an identity that is bound a moment later,
and the claim that follows the binding misses a sale not yet marked unmatched. Therefore,
once a sale is marked and findable, its evidence is looked up again, consistently. Whichever
of the two comes second sees the other.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from forecourt.contention import until_settled
from forecourt.matching import Credited, Unmatched, decide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from forecourt.loyalty_table import LoyaltyTable
    from forecourt.matching import EvidenceKey
    from forecourt.sales_table import SalesTable
    from forecourt.stored_sales import StoredSale


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Assignment:
    """Assigns the sales of one table to the members of another."""

    def __init__(
        self, *, sales: SalesTable, loyalty: LoyaltyTable, now: Callable[[], datetime] = _utc_now
    ) -> None:
        self._sales = sales
        self._loyalty = loyalty
        self._now = now

    def owners(self, sales: Iterable[StoredSale]) -> Mapping[EvidenceKey, str]:
        """Look up whom all evidence of *sales* points to, in one round trip for 100 pieces."""
        keys = {key for stored in sales for key in stored.evidence_keys}
        return self._loyalty.owners(keys) if keys else {}

    def assign(
        self, stored: StoredSale, *, owners: Mapping[EvidenceKey, str]
    ) -> Credited | Unmatched | None:
        """
        Decide a received sale, and return what was written.

        `None`: it was decided before, which is what every repeat finds. *owners* is what was
        looked up for it, perhaps together with others.
        """
        decision = decide(stored.evidence_keys, owners)
        if isinstance(decision, Credited):
            return decision if self._credit(stored, decision) else None
        reason = decision.reason
        left = until_settled(
            lambda: self._sales.leave_unmatched(stored, reason=reason, decided_at=self._now())
        )
        # A repeat looks again, too: perhaps the first time ended right here.
        again = self.claim(stored) if stored.evidence else None
        if isinstance(again, Credited):
            return again
        return decision if left else None

    def claim(self, stored: StoredSale) -> Credited | Unmatched | None:
        """
        Decide an unmatched sale again, as of now, and write it when it found its owner.

        `None`: it has one already; somebody was faster.
        """
        keys = stored.evidence_keys
        decision = decide(keys, self._loyalty.owners(keys, consistent=True) if keys else {})
        if isinstance(decision, Credited) and not self._credit(stored, decision):
            return None
        return decision

    def _credit(self, stored: StoredSale, decision: Credited) -> bool:
        return self._sales.credit(
            stored.sale.sale_id,
            member_id=decision.member_id,
            by=decision.by,
            decided_at=self._now(),
        )
