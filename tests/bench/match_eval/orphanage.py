"""What becomes, within the waiting time, of sales that were not credited at once."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from forecourt.evidence import Observation
from forecourt.identity import EvidenceKey
from forecourt.inquiry import inquire
from forecourt.orphans import pointers
from forecourt.weighing import Outcome
from tests.bench.match_eval import population as people
from tests.bench.match_eval.store import Store, slips

if TYPE_CHECKING:
    from collections import Counter

    from forecourt.weighing import Decision, Weights
    from tests.bench.match_eval.population import Population
    from tests.bench.match_eval.sales import SimulatedSale


class Orphanage:
    """Lets people bind, scan and claim, and weighs what they find by key once more."""

    def __init__(self, population: Population, *, stream: int) -> None:
        self._population = population
        self._rng = Random(f"{population.seed}/orphans/{stream}")

    def wait(
        self, counts: Counter[str], sale: SimulatedSale, decision: Decision, weights: Weights
    ) -> None:
        """
        Count the sale as an orphan when its maker is or becomes a member, and what came of it.

        Only a key the sale is filed under, its receipt, or being named in a pending decision
        brings somebody to the sale.
        """
        filed = pointers(decision, sale.observations)
        enrols = sale.member is None and self._rng.random() < self._population.rates.enrols_later
        if sale.member is not None or enrols:
            counts["orphans"] += 1
            came = self._maker_comes(sale, decision, filed, weights)
            counts["recovered"] += bool(came)
            if came:
                counts[came] += 1
        mistaken = self._another_comes(sale, filed, weights)
        counts["false"] += bool(mistaken)
        if mistaken:
            counts[mistaken] += 1

    def _maker_comes(
        self,
        sale: SimulatedSale,
        decision: Decision,
        filed: tuple[EvidenceKey, ...],
        weights: Weights,
    ) -> str:
        """Return by what the maker came to the sale, empty when it stayed an orphan."""
        rng, rates = self._rng, self._population.rates
        maker = sale.person if sale.member is None else str(sale.member)
        bound = self._bound_by_maker(sale, filed)
        receipt = rng.random() < rates.receipt_scanned
        asked = bool(bound) or decision.member_id == maker
        claims = not receipt and asked and rng.random() < rates.claims_in_app
        if not (bound or claims or receipt):
            return ""
        again = self._weigh_again(sale, maker, bound, weights, claims=claims, receipt=receipt)
        if again.outcome is not Outcome.CREDITED or again.member_id != maker:
            return ""
        by = [key.kind for key in bound] + ["receipt"] * receipt + ["claim"] * claims
        return "by " + ", ".join(sorted(by))

    def _bound_by_maker(
        self, sale: SimulatedSale, filed: tuple[EvidenceKey, ...]
    ) -> list[EvidenceKey]:
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
        return [
            key
            for key in filed
            if theirs.get(key.kind) == key.digest and rng.random() < chances[key.kind]
        ]

    def _another_comes(
        self, sale: SimulatedSale, filed: tuple[EvidenceKey, ...], weights: Weights
    ) -> str:
        """Return by what somebody else ended up with the sale, empty when nobody did."""
        rng, population, rates = self._rng, self._population, self._population.rates
        another, bound, receipt = "", [], False
        if rng.random() < rates.receipt_picked_up:
            another, receipt = str(rng.randrange(population.size)), True
        elif sale.member is not None and population.has(sale.member, people.FAMILY):
            another = str(sale.member ^ 1)
            bound = [
                key
                for key in filed
                if key.kind == "plate" and rng.random() < rates.plate_bound_later
            ]
        elif sale.mistyped and rng.random() < rates.mistyped_number_enrols:
            another = f"y{sale.person}"
            bound = [key for key in filed if key.kind == "phone"]
        if another == str(sale.member) or not (bound or receipt):
            return ""
        claims = not receipt and rng.random() < rates.false_claim
        again = self._weigh_again(sale, another, bound, weights, claims=claims, receipt=receipt)
        if again.outcome is not Outcome.CREDITED or again.member_id != another:
            return ""
        maker = "a stranger's" if sale.member is None else "a member's"
        spoke = " ".join(sorted(f"{each.field}={each.level}" for each in again.pieces))
        return f"false, {maker}, {again.posterior_ppm} ppm: {spoke}"

    def _weigh_again(
        self,
        sale: SimulatedSale,
        person: str,
        bound: list[EvidenceKey],
        weights: Weights,
        *,
        claims: bool,
        receipt: bool,
    ) -> Decision:
        observations = list(sale.observations)
        if receipt:
            scanned = Observation(kind="receipt", digest=f"r{sale.person}")
            observations.append(scanned)
            bound = [*bound, EvidenceKey(kind=scanned.kind, digest=scanned.digest)]
        store = Store(self._population, bound_later=dict.fromkeys(bound, person))
        inquiry = inquire(
            observations,
            sale.fill,
            weights=weights,
            tolerate=slips,
            claimed_by=person if claims else None,
        )
        return store.converse(inquiry, sale)
