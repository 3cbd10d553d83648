"""
New weights, proposed: learnt from judged sales, and tried on others beside those in force.

Four sales in five are learnt from, the fifth is held back. What sales cannot show stays as it
is: a field of which too few pairs say anything, a level nobody has seen, what a claim is
worth. How densely members' numbers lie is taken from the blocks of the phones
typed at the sales, which is denser than around numbers drawn at random: it errs towards caution.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from enum import StrEnum
from math import log2
from typing import TYPE_CHECKING, Any

from forecourt.agreement import KINDS, density_class
from forecourt.inquiry import NUMBERS_A_BLOCK
from forecourt.judged_sales import is_held_back
from forecourt.learning import Scope, estimate, phone_floors
from forecourt.pairs import pairs_from_candidates
from forecourt.trials import TriedSale, compare_weights
from forecourt.values import dataclass
from forecourt.weighing import CENTIBITS_A_BIT, MAX_CENTIBITS, base_of
from forecourt.weights import weights_to_document

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecourt.judged_sales import JudgedSale
    from forecourt.learning import Estimate
    from forecourt.trials import Comparison, Trial
    from forecourt.weighing import Policy, Weights

SALES_MIN = 2_000  # learnt from: below that the rarer levels were seen by chance
CONFIRMED_MIN = 100  # of those: they tie matches to what people have said
HELD_BACK_MIN = 400
MATCHES_MIN = 200  # pairs by which a field is learnt anew
STRANGERS_MIN = 50  # the same of strangers, where a field is counted among candidates
SLIPS_AT_MOST = 0.05  # of typed phones; above what was ever measured

SCOPES = dict.fromkeys(KINDS, Scope.KEYED)


class Shortage(StrEnum):
    """What there is too little of to propose anything."""

    MEMBERS_NOT_COUNTED = "members_not_counted"
    TOO_FEW_SALES = "too_few_sales"
    TOO_FEW_CONFIRMED = "too_few_confirmed"
    TOO_FEW_HELD_BACK = "too_few_held_back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """Why nothing is proposed: there are `found`, and there have to be `needed`."""

    reason: Shortage
    found: int
    needed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Weights (their version is a placeholder), what they rest on, and how they did."""

    weights: Weights
    sales: int
    confirmed: int
    comparison: Comparison


def propose(
    sales: Sequence[JudgedSale], *, members: int, in_force: Weights, policy: Policy
) -> Proposal | Shortfall:
    """Return the weights that *sales* speak for, or what there is too little of."""
    held_back = [each for each in sales if is_held_back(each.sale_id)]
    training = [each for each in sales if not is_held_back(each.sale_id)]
    confirmed = sum(each.maker is not None for each in training)
    for reason, found, needed in (
        (Shortage.MEMBERS_NOT_COUNTED, members, 1),
        (Shortage.TOO_FEW_SALES, len(training), SALES_MIN),
        (Shortage.TOO_FEW_CONFIRMED, confirmed, CONFIRMED_MIN),
        (Shortage.TOO_FEW_HELD_BACK, len(held_back), HELD_BACK_MIN),
    ):
        if found < needed:
            return Shortfall(reason=reason, found=found, needed=needed)
    believed = _for_members(in_force, members)
    weights = _completed(_learnt(training, believed), believed)
    return Proposal(
        weights=weights,
        sales=len(training),
        confirmed=confirmed,
        comparison=compare_weights(
            [
                TriedSale(
                    sale_id=each.sale_id, candidates=each.candidates, member_id=each.member_id
                )
                for each in held_back
            ],
            active=in_force,
            proposed=weights,
            policy=policy,
        ),
    )


def proposal_to_record(proposal: Proposal, *, version: int) -> dict[str, Any]:
    """Return *proposal* as plain values: the document of its weights, and the comparison."""
    comparison = proposal.comparison
    return {
        "document": weights_to_document(
            replace(proposal.weights, version=version),
            sales=proposal.sales,
            confirmed=proposal.confirmed,
        ),
        "comparison": {
            "compared_with": comparison.active.weights_version,
            "sales": comparison.active.sales,
            "confirmed": comparison.active.confirmed,
            "in_force": _figures(comparison.active),
            "proposed": _figures(comparison.proposed),
            "changed": comparison.changed,
            "examples": [
                {
                    "sale_id": each.sale_id,
                    "before": str(each.before),
                    "after": str(each.after),
                    "same_member": each.same_member,
                }
                for each in comparison.examples
            ],
            "safe": comparison.is_safe,
        },
    }


def _figures(trial: Trial) -> dict[str, int]:
    return {
        "credited": trial.credited,
        "pending": trial.pending,
        "unmatched": trial.unmatched,
        "agreeing": trial.agreeing,
        "wrong": trial.wrong,
    }


def _learnt(sales: Sequence[JudgedSale], believed: Weights) -> Estimate:
    pairs = pairs_from_candidates(
        [each.candidates for each in sales],
        [each.member_id for each in sales],
        observed=[each.observed for each in sales],
        denied=[{str(place) for place in each.denied} for each in sales],
    )
    return estimate(
        pairs,
        members=believed.members,
        scopes=SCOPES,
        floors={"phone": _floors(sales, believed.members)},
        believed=believed,
    )


def _floors(sales: Sequence[JudgedSale], members: int) -> dict[str, float]:
    """Return what u of a phone must not fall below, by the blocks of the phones that were typed."""
    blocks = [each.block_members for each in sales if each.block_members is not None]
    by_class: defaultdict[int, list[int]] = defaultdict(list)
    for each in blocks:
        by_class[density_class(each)].append(each)
    return phone_floors(
        Counter(map(density_class, blocks)),
        {name: _density(each) for name, each in by_class.items()},
        mean_density=_density(blocks),
        slip_share=SLIPS_AT_MOST,
        members=members,
    )


def _density(blocks: Sequence[int]) -> float:
    return sum(blocks) / (max(1, len(blocks)) * NUMBERS_A_BLOCK)


def _for_members(weights: Weights, members: int) -> Weights:
    """Return *weights* as they are for so many *members*: naming one of more says more."""
    shift = round(log2(members / weights.members) * CENTIBITS_A_BIT)
    return replace(
        weights,
        members=members,
        prior=_shifted(weights.prior, -shift),
        levels={
            name: {
                level: _shifted(worth, shift) if _counts_members(name, level) else worth
                for level, worth in each.items()
            }
            for name, each in weights.levels.items()
        },
    )


def _completed(learnt: Estimate, believed: Weights) -> Weights:
    """Return the weights *learnt*, and of what was not, those *believed* before."""
    weights = learnt.weights(version=believed.version + 1)
    levels = dict(believed.levels)
    for name, each in weights.levels.items():
        if _is_learnt(learnt, name):
            levels[name] = {**levels.get(name, {}), **each}
    return replace(weights, levels=levels)


def _is_learnt(learnt: Estimate, name: str) -> bool:
    strangers = STRANGERS_MIN if SCOPES.get(name) is not Scope.KEYED else 0
    return learnt.matches[name] >= MATCHES_MIN and learnt.strangers[name] >= strangers


def _counts_members(name: str, level: str) -> bool:
    """Return whether a weight grows with the members: it names one of all of them."""
    return name in KINDS and base_of(level) in {"same", "close"}


def _shifted(worth: int, shift: int) -> int:
    return max(-MAX_CENTIBITS, min(MAX_CENTIBITS, worth + shift))
