"""What becomes, within the waiting time, of sales that were not credited at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING

from forecourt.decisions import Outcome
from forecourt.inquiry import SHARED_MAX, inquire
from forecourt.orphans import pointers
from tests.bench.match_eval import population as people
from tests.bench.match_eval.drivers import somebody_else
from tests.bench.match_eval.store import Store, slips

if TYPE_CHECKING:
    from collections import Counter

    from forecourt.decisions import Decision
    from forecourt.hashes import EvidenceKey, Observation
    from forecourt.weighing import Policy, Weights
    from tests.bench.match_eval.population import Population
    from tests.bench.match_eval.sales import SimulatedSale


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """
    Somebody who comes to a sale that waits: what of it they bind, scan, or say of it.

    `shown` are those who are asked about the sale, or see it after a binding.
    """

    person: str
    bound: tuple[EvidenceKey, ...] = ()
    receipt: bool = False
    shown: bool = False
    claims: bool = False


class Orphanage:
    """
    Lets people bind, scan and claim, and weighs what they find by key once more.

    Under *policy*, as the sale was weighed before it waited. The same *stream* lets the same
    people come.
    """

    def __init__(self, population: Population, *, policy: Policy, stream: str) -> None:
        self._population = population
        self._policy = policy
        self._rng = Random(f"{population.seed}/orphans/{stream}")

    def wait(
        self, counts: Counter[str], sale: SimulatedSale, decision: Decision, weights: Weights
    ) -> None:
        """
        Count the sale as an orphan when its maker is or becomes a member, and what came of it.

        Only a key the sale is filed under, its receipt, or being named in a pending decision
        brings somebody to the sale. Of two who come chance says who is first; the second finds
        what the first has bound and said, and nothing when the sale is credited by then.
        """
        filed = pointers(decision, self._findable(sale))
        enrols = sale.member is None and self._rng.random() < self._population.rates.enrols_later
        orphan = sale.member is not None or enrols
        maker = self._maker(sale, decision, filed) if orphan else None
        visits = [each for each in (maker, self._other(sale, decision, filed)) if each]
        self._rng.shuffle(visits)
        counts["orphans"] += orphan
        before: list[Visit] = []
        for visit in visits:
            # Who drove is no member and will be none: whoever was asked takes the sale from nobody.
            wrongly = "false" if orphan or not visit.shown else "strangers"
            again = self._weigh_again(sale, visit, before, weights)
            before.append(visit)
            if visit is not maker and visit.shown and not visit.claims:
                lie = replace(visit, claims=True)
                lied = self._weigh_again(sale, lie, before[:-1], weights)
                counts[f"{wrongly} if claimed"] += _credits(lied, visit.person)
            if not _credits(again, visit.person):
                continue
            if visit is maker:
                counts["recovered"] += 1
                counts[_by(visit)] += 1
            else:
                counts[wrongly] += 1
                counts[f"{wrongly} if claimed"] += visit.claims
                counts[f"{wrongly}, {_told(sale, again)}"] += 1
            return

    def _findable(self, sale: SimulatedSale) -> list[Observation]:
        """Return what is observed of a sale but for what a crowd shares, as `assignment` does."""
        store = Store(self._population)
        return [
            each
            for each in sale.observations
            if all(len(owners) <= SHARED_MAX for owners in store.owners(each.keys).values())
        ]

    def _maker(
        self, sale: SimulatedSale, decision: Decision, filed: tuple[EvidenceKey, ...]
    ) -> Visit | None:
        """Return how who made the sale comes to it, `None` when they do not."""
        rng, rates = self._rng, self._population.rates
        maker = sale.person if sale.member is None else str(sale.member)
        bound = self._bound_by_maker(sale, filed)
        receipt = rng.random() < rates.receipt_scanned
        shown = bool(bound) or decision.member_id == maker
        claims = not receipt and shown and rng.random() < rates.claims_in_app
        if not (bound or claims or receipt):
            return None
        return Visit(person=maker, bound=bound, receipt=receipt, shown=shown, claims=claims)

    def _bound_by_maker(
        self, sale: SimulatedSale, filed: tuple[EvidenceKey, ...]
    ) -> tuple[EvidenceKey, ...]:
        """Return the keys of this sale that its maker binds within the waiting time."""
        rng, rates = self._rng, self._population.rates
        chances = {"phone": 1.0, "plate": rates.plate_bound, "payment": rates.payment_linked}
        if sale.member is not None:
            chances = {
                "phone": rates.number_corrected_later,
                "plate": rates.plate_bound_later,
                "payment": rates.payment_linked_later,
            }
        theirs = {"phone": sale.phone, "plate": sale.plate, "payment": f"t{sale.person}"}
        if sale.member is not None:
            theirs["payment"] = f"t{sale.member}"
        return tuple(
            key
            for key in filed
            if theirs.get(key.kind) == key.digest and rng.random() < chances[key.kind]
        )

    def _other(
        self, sale: SimulatedSale, decision: Decision, filed: tuple[EvidenceKey, ...]
    ) -> Visit | None:
        """Return how somebody else comes to the sale, `None` when nobody does."""
        rng, population, rates = self._rng, self._population, self._population.rates
        if rng.random() < rates.receipt_picked_up:
            finder = (
                rng.randrange(population.size)
                if sale.member is None
                else somebody_else(population, sale.member, rng)
            )
            return None if finder == sale.member else Visit(person=str(finder), receipt=True)
        claims = rng.random() < rates.false_claim
        if decision.member_id not in {None, str(sale.member)}:
            return Visit(person=str(decision.member_id), shown=True, claims=claims)
        if sale.member is not None and population.has(sale.member, people.FAMILY):
            person, bound = str(sale.member ^ 1), ("plate", sale.plate)
            binds = rng.random() < rates.plate_bound_later
        else:
            person, bound = f"y{sale.person}", ("phone", "")
            binds = sale.mistyped and rng.random() < rates.mistyped_number_enrols
        keys = tuple(key for key in filed if key.kind == bound[0] and bound[1] in {"", key.digest})
        if not (binds and keys):
            return None
        return Visit(person=person, bound=keys, shown=True, claims=claims)

    def _weigh_again(
        self, sale: SimulatedSale, visit: Visit, before: list[Visit], weights: Weights
    ) -> Decision:
        bound: dict[EvidenceKey, tuple[str, ...]] = {}
        for each in (*before, visit):
            for key in each.bound:
                bound[key] = (*bound.get(key, ()), each.person)
        # A receipt is scanned to claim its sale.
        claimants = {each.person for each in (*before, visit) if each.claims or each.receipt}
        store = Store(self._population, bound_later=bound)
        inquiry = inquire(
            sale.observations,
            sale.fill,
            weights=weights,
            policy=self._policy,
            tolerate=slips,
            # Of two who claim it neither is believed.
            claimed_by=claimants.pop() if len(claimants) == 1 else None,
        )
        return store.converse(inquiry, sale)


def _credits(decision: Decision, person: str) -> bool:
    return decision.outcome is Outcome.CREDITED and decision.member_id == person


def _by(visit: Visit) -> str:
    """Return by what somebody came to their sale."""
    by = [key.kind for key in visit.bound]
    by += ["receipt"] * visit.receipt + ["claim"] * visit.claims
    return "by " + ", ".join(sorted(by))


def _told(sale: SimulatedSale, decision: Decision) -> str:
    maker = "a stranger's" if sale.member is None else "a member's"
    spoke = " ".join(sorted(f"{each.field}={each.level}" for each in decision.pieces))
    return f"{maker}, {decision.posterior_ppm} ppm: {spoke}"
