from __future__ import annotations

import random
from dataclasses import replace

import pytest

from forecourt.learning import Estimate, Scope, estimate, phone_floors
from forecourt.pairs import STRANGER, UNKNOWN, pairs_from_candidates
from forecourt.trials import Trial, TriedSale, compare_weights, trial
from forecourt.weighing import Candidate, Policy, Weights

MEMBERS = 100_000
SALES = 20_000
TRUE_M = {"phone": 0.95, "station": 0.8, "grade": 0.9}
TRUE_U_HABITS = {"station": 0.1, "grade": 0.4}
SCOPES = {"phone": Scope.KEYED, "plate": Scope.KEYED}
POLICY = Policy(
    strong=frozenset({("phone", "same"), ("plate", "same")}), telling=frozenset({"phone"})
)


def level(rng: random.Random, probability: float, yes: str, no: str) -> str:
    return yes if rng.random() < probability else no


def habits(rng: random.Random, shares: dict[str, float]) -> dict[str, str]:
    return {name: level(rng, shares[name], "usual", "new") for name in ("station", "grade")}


def simulated(seed: int, *, sales: int = SALES) -> list[TriedSale]:
    """Return sales of which seven in ten are a member's and one in a hundred names a stranger."""
    rng = random.Random(seed)
    made = []
    for number in range(sales):
        candidates = []
        owner = f"m{number}" if rng.random() < 0.7 else ""
        if owner:
            levels = {
                "phone": level(rng, TRUE_M["phone"], "same", "differs"),
                "plate": level(rng, 0.97, "same", "differs"),
            }
            candidates.append(Candidate(member_id=owner, levels=levels | habits(rng, TRUE_M)))
        if rng.random() < 0.01:
            candidates.append(
                Candidate(
                    member_id=f"x{number}",
                    levels={"phone": "same", "plate": "differs"} | habits(rng, TRUE_U_HABITS),
                )
            )
        made.append(TriedSale(candidates=candidates, member_id=owner))
    return made


def learn(sales: list[TriedSale], *, confirmed_share: float = 0.0) -> Estimate:
    rng = random.Random(1)
    pairs = pairs_from_candidates(
        [each.candidates for each in sales],
        [each.member_id if rng.random() < confirmed_share else None for each in sales],
        observed=[SCOPES] * len(sales),
    )
    return estimate(pairs, members=MEMBERS, scopes=SCOPES)


@pytest.mark.parametrize("confirmed_share", [0.0, 0.1])
def test_m_and_u_behind_unlabelled_sales_are_found_again(confirmed_share: float) -> None:
    learnt = learn(simulated(1), confirmed_share=confirmed_share)

    assert learnt.matched_share == pytest.approx(0.7, abs=0.02)
    assert learnt.m["phone"]["same"] == pytest.approx(0.95, abs=0.01)
    assert learnt.m["station"]["usual"] == pytest.approx(0.8, abs=0.02)
    assert learnt.u["station"]["usual"] == pytest.approx(0.1, abs=0.1)
    assert 0.007 < learnt.u["phone"]["same"] * MEMBERS < 0.02  # 0.01; erring upwards is caution


def test_the_prior_falls_as_the_members_grow_and_the_keyed_weights_rise_as_much() -> None:
    sales = simulated(1)
    pairs = pairs_from_candidates(
        [each.candidates for each in sales], [None] * len(sales), observed=[SCOPES] * len(sales)
    )

    few = estimate(pairs, members=MEMBERS, scopes=SCOPES).weights(1)
    many = estimate(pairs, members=MEMBERS * 1024, scopes=SCOPES).weights(1)

    assert few.prior - many.prior == 1000
    assert many.levels["phone"]["same"] - few.levels["phone"]["same"] == pytest.approx(1000, abs=5)


def test_a_confirmed_pair_is_believed_whatever_its_levels_say() -> None:
    sales = simulated(2, sales=500)
    labels = ["" for _ in sales]
    pairs = pairs_from_candidates(
        [each.candidates for each in sales], labels, observed=[SCOPES] * len(sales)
    )

    learnt = estimate(pairs, members=MEMBERS, scopes=SCOPES)

    assert not any(learnt.matches.values())
    assert learnt.matched_share < 0.01


def test_what_the_density_of_numbers_says_is_a_floor_under_u() -> None:
    sales = simulated(1)
    pairs = pairs_from_candidates(
        [each.candidates for each in sales], [None] * len(sales), observed=[SCOPES] * len(sales)
    )

    learnt = estimate(
        pairs, members=MEMBERS, scopes=SCOPES, floors={"phone": {"same": 0.5 / MEMBERS}}
    )

    assert learnt.u["phone"]["same"] * MEMBERS >= 0.5


def test_floors_of_a_phone_follow_the_density_of_its_block() -> None:
    floors = phone_floors(
        {0: 900, 4: 100}, {0: 0.001, 4: 0.2}, mean_density=0.002, slip_share=0.03, members=1000
    )

    assert floors["same.4"] == pytest.approx(0.1 * 0.03 * 0.2 / 1000)
    assert floors["close.0"] == pytest.approx(0.9 * (39 * 0.001 + 60 * 0.002) / 1000)


def test_learnt_weights_hold_on_sales_they_have_not_seen() -> None:
    weights = learn(simulated(1)).weights(1)

    result = trial(simulated(2), weights=weights, policy=POLICY)

    assert result.sales == SALES
    assert result.wrong == 0
    assert result.credited > 0.6 * SALES


def test_a_proposal_is_shown_beside_the_weights_in_force() -> None:
    learnt = learn(simulated(1)).weights(2)
    blind = Weights(
        version=1,
        members=MEMBERS,
        prior=learnt.prior,
        levels={
            **learnt.levels,
            "phone": {"same": 4000, "differs": 0},
            "plate": {"same": 3000, "differs": 0},
        },
    )
    held_back = simulated(3)

    shown = compare_weights(held_back, active=blind, proposed=learnt, policy=POLICY)

    assert shown.active.wrong > 0
    assert shown.proposed.wrong == 0
    assert shown.changed > 0
    assert not compare_weights(held_back, active=learnt, proposed=blind, policy=POLICY).is_safe


def test_weights_are_safe_beside_themselves() -> None:
    weights = learn(simulated(1)).weights(2)

    shown = compare_weights(simulated(3), active=weights, proposed=weights, policy=POLICY)

    assert (shown.changed, shown.is_safe) == (0, True)


def test_wrong_sales_in_a_million_are_rounded_up() -> None:
    result = Trial(
        weights_version=1,
        sales=9,
        credited=9,
        pending=0,
        unmatched=0,
        confirmed=3,
        agreeing=2,
        wrong=1,
    )

    assert result.wrong_per_million == 333_334
    assert replace(result, confirmed=0, agreeing=0, wrong=0).wrong_per_million == 0


def test_a_slip_is_never_worth_more_than_the_thing_itself() -> None:
    learnt = replace(
        learn(simulated(2, sales=500)),
        m={"plate": {"same": 0.9, "close": 0.05}},
        u={"plate": {"same": 1e-3, "close": 1e-9}},
    )

    weights = learnt.weights(1)

    assert weights.levels["plate"]["close"] == weights.levels["plate"]["same"]


def test_who_denied_a_sale_is_a_stranger_and_the_others_stay_in_doubt() -> None:
    sales = [
        [
            Candidate(member_id="a", levels={"phone": "same"}),
            Candidate(member_id="b", levels={"phone": "same"}),
        ]
    ] * 50
    undecided = pairs_from_candidates(sales, [None] * 50, observed=[SCOPES] * 50)
    denied = pairs_from_candidates(sales, [None] * 50, observed=[SCOPES] * 50, denied=[{"b"}] * 50)

    assert [each.labels for each in undecided.alike] == [(UNKNOWN, UNKNOWN)]
    assert [each.labels for each in denied.alike] == [(UNKNOWN, STRANGER)]
    assert estimate(denied, members=MEMBERS, scopes=SCOPES).strangers["phone"] >= 50


def test_what_is_believed_counts_the_less_the_more_sales_there_are() -> None:
    sales = simulated(1)
    believed = learn(sales).weights(1)
    wary = replace(
        believed, levels={**believed.levels, "phone": {**believed.levels["phone"], "same": 100}}
    )

    def phone_same(count: int, weights: Weights | None) -> int:
        pairs = pairs_from_candidates(
            [each.candidates for each in sales[:count]],
            [None] * count,
            observed=[SCOPES] * count,
        )
        learnt = estimate(pairs, members=MEMBERS, scopes=SCOPES, believed=weights)
        return learnt.weights(2).levels["phone"]["same"]

    few, many = phone_same(500, wary), phone_same(SALES, wary)

    assert 100 < few < many < phone_same(SALES, None)
    assert phone_same(500, believed) == pytest.approx(believed.levels["phone"]["same"], abs=60)
