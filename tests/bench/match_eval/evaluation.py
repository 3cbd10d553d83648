"""Sales judged under each policy, and what came of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from forecourt.decisions import Outcome
from forecourt.hashes import EvidenceKey
from forecourt.inquiry import DEFAULT_POLICY, ONE_CAR_ONE_MEMBER, inquire
from tests.bench.match_eval.orphanage import Orphanage
from tests.bench.match_eval.sales import SaleMaker
from tests.bench.match_eval.store import Reads, Store, slips

if TYPE_CHECKING:
    from forecourt.decisions import Decision
    from forecourt.weighing import Policy, Weights
    from tests.bench.match_eval.population import Population
    from tests.bench.match_eval.sales import SimulatedSale

DEFAULT = "weighed, 0.9999"
POLICIES: dict[str, Policy] = {
    DEFAULT: DEFAULT_POLICY,
    "weighed, 0.999": replace(DEFAULT_POLICY, credit_ppm=999_000),
    "one car, one member": ONE_CAR_ONE_MEMBER,
}
BASELINES = ("exact phone", "all exact agree", "exact phone, else unique neighbour")
SURE_PPM = 999_000  # from here on every mistake is worth a line
EVERY_OTHER_POLICY = 10  # the default policy judges every sale, the others one in ten

BUCKETS_PPM = (0, 100_000, 500_000, 900_000, 990_000, 999_000, 999_900, 1_000_001)


@dataclass(slots=True)
class Tally:
    """
    What one policy did, what its decisions read, and what became of the sales it let wait.

    `slips` are sales of members whose phone was mistyped. Baselines read nothing that is counted,
    and let nothing wait.
    """

    sales: int = 0
    members_sales: int = 0
    right: int = 0
    wrong: int = 0
    pending: int = 0
    pending_right: int = 0
    slips: int = 0
    slips_right: int = 0
    slips_pending_right: int = 0
    reads: Reads = field(default_factory=Reads)
    orphans: Counter[str] = field(default_factory=Counter)

    def add(self, sale: SimulatedSale, member_id: str | None, outcome: Outcome) -> None:
        truth = None if sale.member is None else str(sale.member)
        right = member_id == truth
        self.sales += 1
        self.members_sales += truth is not None
        self.slips += sale.mistyped
        if outcome is Outcome.CREDITED:
            self.right += right
            self.wrong += not right
            self.slips_right += right and sale.mistyped
        elif outcome is Outcome.PENDING:
            self.pending += 1
            self.pending_right += right
            self.slips_pending_right += right and sale.mistyped


@dataclass(slots=True)
class Result:
    """Everything one worker measured; results of several workers add up."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    buckets: Counter[int] = field(default_factory=Counter)
    buckets_right: Counter[int] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    wrong_pieces: Counter[str] = field(default_factory=Counter)

    def absorb(self, other: Result) -> None:
        for name, tally in other.tallies.items():
            mine = self.tallies.setdefault(name, Tally())
            for each in Tally.__slots__:
                setattr(mine, each, getattr(mine, each) + getattr(tally, each))
        for each in ("buckets", "buckets_right", "reasons", "wrong_pieces"):
            getattr(self, each).update(getattr(other, each))


class Judge:
    """
    Decides sales under the policy *name*, and notes in *tally* what comes of them.

    Whom chance brings to the sales that wait is drawn for each policy by itself, so that what one
    lets wait changes nothing for another.
    """

    def __init__(
        self, name: str, population: Population, weights: Weights, *, stream: int, tally: Tally
    ) -> None:
        self._policy = POLICIES[name]
        self._weights = weights
        self._tally = tally
        self._store = Store(population, reads=tally.reads)
        self._orphanage = Orphanage(
            population,
            policy=self._policy,
            stream=str(stream) if name == DEFAULT else f"{stream}/{name}",
        )

    def decide(self, sale: SimulatedSale) -> Decision:
        inquiry = inquire(
            sale.observations,
            sale.fill,
            weights=self._weights,
            policy=self._policy,
            tolerate=slips,
        )
        decision = self._store.converse(inquiry, sale)
        self._tally.add(sale, decision.member_id, decision.outcome)
        if decision.outcome is not Outcome.CREDITED:
            self._orphanage.wait(self._tally.orphans, sale, decision, self._weights)
        return decision


def evaluate(population: Population, weights: Weights, *, stream: int, sales: int) -> Result:
    """Judge *sales* of one stream under every policy."""
    result = Result(tallies={name: Tally() for name in (*BASELINES, *POLICIES)})
    judges = {
        name: Judge(name, population, weights, stream=stream, tally=result.tallies[name])
        for name in POLICIES
    }
    default = judges.pop(DEFAULT)
    uncounted = Store(population)
    for number, sale in enumerate(SaleMaker(population, stream=stream).sales(sales)):
        _note(result, sale, default.decide(sale))
        if number % EVERY_OTHER_POLICY:
            continue
        for judge in judges.values():
            judge.decide(sale)
        for name, member_id in _baselines(uncounted, sale).items():
            outcome = Outcome.CREDITED if member_id else Outcome.UNMATCHED
            result.tallies[name].add(sale, member_id, outcome)
    return result


def _note(result: Result, sale: SimulatedSale, decision: Decision) -> None:
    result.reasons[str(decision.reason or decision.outcome)] += 1
    likeliest = decision.member_id or (
        decision.alternatives[0][0] if decision.alternatives else None
    )
    right = likeliest == str(sale.member)
    if likeliest is not None:
        bucket = sum(decision.posterior_ppm >= each for each in BUCKETS_PPM) - 1
        result.buckets[bucket] += 1
        result.buckets_right[bucket] += right
    if decision.posterior_ppm >= SURE_PPM and decision.pieces and not right:
        spoke = " ".join(sorted(f"{each.field}={each.level}" for each in decision.pieces))
        maker = "a stranger's" if sale.member is None else "a member's"
        result.wrong_pieces[f"{decision.outcome}, {maker}: {spoke}"] += 1


def _baselines(store: Store, sale: SimulatedSale) -> dict[str, str | None]:
    """Return whom simpler rules credit."""
    keys = [EvidenceKey(kind=each.kind, digest=each.digest) for each in sale.observations]
    phone = next((key for key in keys if key.kind == "phone"), None)
    owners = {key: found[0] for key, found in store.owners(keys).items() if len(found) == 1}
    exact = owners.get(phone) if phone else None
    named = set(owners.values())
    near: str | None = exact
    if phone and exact is None:
        seen = next(each for each in sale.observations if each.kind == "phone")
        around = store.owners([EvidenceKey(kind="phone", digest=each) for each in slips(seen)])
        names = {name for found in around.values() for name in found}
        near = names.pop() if len(names) == 1 else None
    return dict(
        zip(
            BASELINES,
            (exact, named.pop() if len(named) == 1 else None, near),
            strict=True,
        )
    )
