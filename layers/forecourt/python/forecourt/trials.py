"""
New weights against old ones, on sales neither has seen.

An operator activates weights; this is what they are shown first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from forecourt.weighing import (
    CERTAIN_PPM,
    Candidate,
    Decision,
    Outcome,
    Policy,
    Weights,
    decide,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSale:
    """A sale of which it is known who made it; `""` is nobody among the members."""

    candidates: Sequence[Candidate]
    member_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What one set of weights made of some sales. `credited` counts right and wrong ones."""

    weights_version: int
    sales: int
    credited: int
    wrong: int
    pending: int
    unmatched: int

    @property
    def wrong_per_million(self) -> int:
        """Return the sales credited to somebody else, in a million, rounded up."""
        return -(-self.wrong * CERTAIN_PPM // max(1, self.sales))


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two trials over the same sales, and how many sales they decide differently."""

    active: Trial
    proposed: Trial
    changed: int

    @property
    def is_safe(self) -> bool:
        """Return whether the proposal credits no more sales wrongly and loses none it need not."""
        return self.proposed.wrong <= self.active.wrong and (
            self.proposed.credited - self.proposed.wrong >= self.active.credited - self.active.wrong
        )


def trial(sales: Iterable[KnownSale], *, weights: Weights, policy: Policy) -> Trial:
    """Return what *weights* make of *sales* under *policy*."""
    outcomes = dict.fromkeys(Outcome, 0)
    wrong = 0
    for sale in sales:
        decision = _decided(sale, weights, policy)
        outcomes[decision.outcome] += 1
        wrong += decision.outcome is Outcome.CREDITED and decision.member_id != sale.member_id
    return Trial(
        weights_version=weights.version,
        sales=sum(outcomes.values()),
        credited=outcomes[Outcome.CREDITED],
        wrong=wrong,
        pending=outcomes[Outcome.PENDING],
        unmatched=outcomes[Outcome.UNMATCHED],
    )


def compare_weights(
    sales: Sequence[KnownSale], *, active: Weights, proposed: Weights, policy: Policy
) -> Comparison:
    """Return how *proposed* weights would have done beside the *active* ones."""
    changed = 0
    for sale in sales:
        before = _decided(sale, active, policy)
        after = _decided(sale, proposed, policy)
        changed += (before.outcome, before.member_id) != (after.outcome, after.member_id)
    return Comparison(
        active=trial(sales, weights=active, policy=policy),
        proposed=trial(sales, weights=proposed, policy=policy),
        changed=changed,
    )


def _decided(sale: KnownSale, weights: Weights, policy: Policy) -> Decision:
    """Decide *sale* by what *weights* know of: a level they never saw says nothing to them."""
    candidates = [
        Candidate(member_id=each.member_id, levels=weights.known(each.levels))
        for each in sale.candidates
    ]
    return decide(candidates, weights=weights, policy=policy)
