"""
Giving a sale its owner: look up, decide, write. The decision itself is `inquiry.inquire`.

A binding and a sale can cross: the look-up misses an identity that is bound a moment later,
and the claim that follows the binding misses a sale not yet findable. Therefore, once a sale
without an owner is findable, the owners of its evidence are looked up again, consistently.
Whichever of the two comes second sees the other.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from forecourt.contention import until_settled
from forecourt.conversations import in_step
from forecourt.decisions import Outcome, Reason
from forecourt.errors import StaleWrite
from forecourt.inquiry import SHARED_MAX, Found, inquire
from forecourt.orphans import pointers, still_waits
from forecourt.stored_sales import Status
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from forecourt.agreement import Tolerance
    from forecourt.candidates_table import CandidatesTable
    from forecourt.decided_sales import DecidedSales
    from forecourt.decisions import Decision
    from forecourt.hashes import EvidenceKey, Observation
    from forecourt.inquiry import LookUp
    from forecourt.sales_table import SalesTable
    from forecourt.stored_sales import StoredSale
    from forecourt.weighing import Policy, Weights

WAITING_STATUSES = frozenset({Status.UNMATCHED, Status.PENDING})
# Of these what is said is noted: they are weighed with it, at once or when they are released.
TO_BE_WEIGHED = frozenset({Status.RECEIVED, Status.HELD})


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """A decision, and who had the evidence when it was made."""

    decision: Decision
    owners: Mapping[EvidenceKey, Sequence[str]]


class Assignment:
    """
    Assigns the sales of one table to the members of another.

    *tolerate* makes the `Tolerance` of a sale, *weights* returns those in force.
    """

    def __init__(
        self,
        *,
        sales: SalesTable,
        decided: DecidedSales,
        candidates: CandidatesTable,
        weights: Callable[[], Weights],
        policy: Policy,
        tolerate: Callable[[StoredSale], Tolerance],
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._sales = sales
        self._decided = decided
        self._candidates = candidates
        self._weights = weights
        self._policy = policy
        self._tolerate = tolerate
        self._now = now

    def weigh(
        self,
        sales: Sequence[StoredSale],
        *,
        claimed_by: str | None = None,
        consistent: bool = False,
    ) -> list[Weighed]:
        """
        Decide *sales*, without writing it down, in the round trips one of them takes.

        *consistent* sees every binding committed before the call. *claimed_by* is a member
        who said that the sales are theirs. Who has claimed one before still does, whatever it is
        weighed for; two who claim the same one are neither believed.
        """
        weights = self._weights()
        blocks = dict(enumerate(each.phone_blocks for each in sales))
        first: dict[int, Found] = {}

        def look_up(asked: Mapping[int, LookUp]) -> Mapping[int, Found]:
            found = self._candidates.look_up(
                asked,
                blocks=blocks,
                # Bindings matter for what was observed. Of its neighbours and of habits no
                # claim will ever come that could miss the sale.
                consistent=consistent and not first,
            )
            for place in asked.keys() - first.keys():
                first[place] = found[place]
            return found

        decisions = in_step(
            [
                inquire(
                    each.observations,
                    each.fill,
                    weights=weights,
                    policy=self._policy,
                    tolerate=self._tolerate(each),
                    claimed_by=claimed_by or _only_claimant(each),
                )
                for each in sales
            ],
            look_up,
        )
        return [
            Weighed(decision=decision, owners=first.get(place, Found()).owners)
            for place, decision in enumerate(decisions)
        ]

    def assign(self, stored: StoredSale, weighed: Weighed) -> Decision | None:
        """
        Write down whose a received sale is, and return what was written.

        `None`: it was decided before, which is what every repeat finds, or more was told or said
        of it since: that has changed the sale, and its own record brings it again. A repeat of a
        sale that waits looks again, too: perhaps the first time ended before it did.

        Who is asked may have been forgotten meanwhile. Their portrait says so before their
        questions are looked for, so one that was not found there is taken back here.
        """
        decision = heeding(stored, weighed.decision)
        decided_at = self._now()
        filed_under = pointers(decision, findable(stored, weighed.owners))
        written = until_settled(
            lambda: self._decided.decide(
                stored, decision, filed_under=filed_under, decided_at=decided_at
            )
        )
        if not written:
            return self._claim_as_it_is(stored)
        if decision.outcome is Outcome.CREDITED:
            return decision
        asked = decision.member_id if decision.outcome is Outcome.PENDING else None
        owners, erased = self._candidates.as_of_now(stored.evidence_keys, asked=asked)
        if owners == weighed.owners and not erased:
            return decision
        return self._claim_as_it_is(stored) or decision

    def _claim_as_it_is(self, stored: StoredSale) -> Decision | None:
        """Decide a sale again if it waits now; return what was written."""

        def attempt() -> Decision | None:
            now = self._sales.sale(stored.sale.sale_id)
            return self.claim(now) if now.status in WAITING_STATUSES else None

        return until_settled(attempt)

    def claim(self, waiting: StoredSale, *, claimed_by: str | None = None) -> Decision | None:
        """
        Decide a waiting sale again, as of now; return what was written.

        `None`: nothing new came of it, it has waited too long, a person has ruled on it, or it
        waits no more. Raise `StaleWrite` when it still waits and was decided since it was read, or
        more was told or said of it: what it is weighed for now, the rival need not have seen. A
        sale somebody is asked about stays theirs to answer unless another is likelier now.
        """
        now = self._now()
        if waiting.ruled is not None or not still_waits(waiting.sale.key.completed_at, now):
            return None
        (weighed,) = self.weigh([waiting], claimed_by=claimed_by, consistent=True)
        _, erased = self._candidates.as_of_now((), asked=waiting.asked)
        nobodys = {waiting.asked} if erased and waiting.asked else frozenset[str]()
        decision = heeding(
            replace(waiting, denied_by=waiting.denied_by | nobodys), weighed.decision
        )
        if not erased and not _is_news(waiting, decision):
            return None
        filed_under = pointers(decision, findable(waiting, weighed.owners))
        if self._decided.decide(waiting, decision, filed_under=filed_under, decided_at=now):
            return decision
        if self._sales.sale(waiting.sale.sale_id).status in WAITING_STATUSES:
            raise StaleWrite
        return None


def findable(
    stored: StoredSale, owners: Mapping[EvidenceKey, Sequence[str]]
) -> tuple[Observation, ...]:
    """
    Return what a sale may be found by, given who has it.

    A piece that a crowd shares, a fleet's card, would bring the sale before the whole crowd, and
    tells none of them from another.
    """
    return tuple(
        each
        for each in stored.observations
        if len({owner for key in each.keys for owner in owners.get(key, ())}) <= SHARED_MAX
    )


def heeding(stored: StoredSale, decision: Decision) -> Decision:
    """Return *decision* unless it names somebody who said the sale is not theirs: then nobody."""
    if decision.member_id is None or decision.member_id not in stored.denied_by:
        return decision
    return replace(decision, outcome=Outcome.UNMATCHED, member_id=None, reason=Reason.DENIED)


def _only_claimant(stored: StoredSale) -> str | None:
    return next(iter(stored.claimed_by)) if len(stored.claimed_by) == 1 else None


def _is_news(waiting: StoredSale, decision: Decision) -> bool:
    if decision.outcome is Outcome.PENDING:
        return decision.member_id != waiting.asked or _is_doubted_now(waiting, decision)
    return decision.outcome is Outcome.CREDITED


def _is_doubted_now(waiting: StoredSale, decision: Decision) -> bool:
    """Return whether a claimant is newly disbelieved: who decides instead must see by what."""
    before = waiting.decision.reason if waiting.decision else None
    return decision.member_id in waiting.claimed_by and decision.reason is not before
