"""
New weights against old ones, on sales neither has seen.

An operator activates weights; this is what they are shown first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from forecourt.decisions import Decision, Outcome
from forecourt.values import dataclass
from forecourt.weighing import CERTAIN_PPM, Candidate, Policy, Weights, decide

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CHANGES_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedSale:
    """
    A sale, and who made it as far as people have said so.

    `member_id` is `""` for nobody among the candidates and `None` when nobody has said.
    """

    candidates: Sequence[Candidate]
    member_id: str | None
    sale_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """
    What one set of weights made of some sales. `credited` counts right and wrong ones.

    Of the `confirmed` sales, `agreeing` were credited to whom people have said, `wrong` to
    somebody else.
    """

    weights_version: int
    sales: int
    credited: int
    pending: int
    unmatched: int
    confirmed: int
    agreeing: int
    wrong: int

    @property
    def wrong_per_million(self) -> int:
        """Return the confirmed sales credited to somebody else, in a million, rounded up."""
        return -(-self.wrong * CERTAIN_PPM // max(1, self.confirmed))


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A sale that two sets of weights decide differently; `same_member`: about one member."""

    sale_id: str
    before: Outcome
    after: Outcome
    same_member: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """
    Two trials over the same sales, and how many sales they decide differently.

    `examples` are the first `CHANGES_SHOWN` of these.
    """

    active: Trial
    proposed: Trial
    changed: int
    examples: tuple[Change, ...]

    @property
    def is_safe(self) -> bool:
        """Return whether the proposal credits no more sales wrongly and loses none it need not."""
        return self.proposed.wrong <= self.active.wrong and (
            self.proposed.credited - self.proposed.wrong >= self.active.credited - self.active.wrong
        )


def trial(sales: Iterable[TriedSale], *, weights: Weights, policy: Policy) -> Trial:
    """Return what *weights* make of *sales* under *policy*."""
    return _counted([(each, _decided(each, weights, policy)) for each in sales], weights)


def compare_weights(
    sales: Sequence[TriedSale], *, active: Weights, proposed: Weights, policy: Policy
) -> Comparison:
    """Return how *proposed* weights would have done beside the *active* ones."""
    before = [(each, _decided(each, active, policy)) for each in sales]
    after = [(each, _decided(each, proposed, policy)) for each in sales]
    changes = [
        Change(
            sale_id=sale.sale_id,
            before=old.outcome,
            after=new.outcome,
            same_member=old.member_id == new.member_id,
        )
        for (sale, old), (_, new) in zip(before, after, strict=True)
        if (old.outcome, old.member_id) != (new.outcome, new.member_id)
    ]
    return Comparison(
        active=_counted(before, active),
        proposed=_counted(after, proposed),
        changed=len(changes),
        examples=tuple(changes[:CHANGES_SHOWN]),
    )


def _counted(decided: Iterable[tuple[TriedSale, Decision]], weights: Weights) -> Trial:
    outcomes = dict.fromkeys(Outcome, 0)
    confirmed = agreeing = wrong = 0
    for sale, decision in decided:
        outcomes[decision.outcome] += 1
        if sale.member_id is None:
            continue
        confirmed += 1
        if decision.outcome is Outcome.CREDITED:
            agreeing += decision.member_id == sale.member_id
            wrong += decision.member_id != sale.member_id
    return Trial(
        weights_version=weights.version,
        sales=sum(outcomes.values()),
        credited=outcomes[Outcome.CREDITED],
        pending=outcomes[Outcome.PENDING],
        unmatched=outcomes[Outcome.UNMATCHED],
        confirmed=confirmed,
        agreeing=agreeing,
        wrong=wrong,
    )


def _decided(sale: TriedSale, weights: Weights, policy: Policy) -> Decision:
    """Decide *sale* by what *weights* know of: a level they never saw says nothing to them."""
    candidates = [
        Candidate(member_id=each.member_id, levels=weights.known(each.levels))
        for each in sale.candidates
    ]
    return decide(candidates, weights=weights, policy=policy)
