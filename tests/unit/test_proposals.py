"""The whole circle: sales are simulated, weights learnt, and shown to do better than the old."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

import pytest

from forecourt import proposals
from forecourt.inquiry import DEFAULT_POLICY, gather
from forecourt.judged_sales import NOBODY, JudgedSale, is_held_back
from forecourt.proposals import (
    CONFIRMED_MIN,
    HELD_BACK_MIN,
    SALES_MIN,
    Proposal,
    Shortage,
    Shortfall,
    proposal_to_record,
    propose,
)
from forecourt.trials import CHANGES_SHOWN, Trial, TriedSale, trial
from forecourt.weights import weights_from_document
from forecourt.weights_table import shipped_weights
from tests.bench.match_eval.population import build
from tests.bench.match_eval.rates import Rates
from tests.bench.match_eval.sales import SaleMaker
from tests.bench.match_eval.store import Store, slips

if TYPE_CHECKING:
    from forecourt.weighing import Weights

MEMBERS = 20_000
SALES = 6_000
CONFIRMED = 0.05
# Few keep their plates up to date and most type their phone badly, but nearly all show a card: that
# something differs says far less here than where the shipped weights were learnt.
CARELESS = Rates(
    phone_mistyped=0.6,
    mistyped_twice=0.95,
    mistyped_swap=0.0,
    mistyped_length=0.0,
    car_changed=0.6,
    card_held=0.9,
    card_shown=0.7,
)
# The operator gives the numbers that members gave up to people who fuel here.
REISSUED = Rates(strangers=0.3, stranger_has_members_old_number=0.6, number_given_up=0.02)


def simulated(rates: Rates) -> tuple[list[JudgedSale], list[int]]:
    """Return sales as the job gathers them, one in twenty confirmed, and who made each."""
    population = build(members=MEMBERS, cities=30, rates=rates, seed=3)
    store, rng = Store(population), Random(1)
    sales, makers = [], []
    for number, sale in enumerate(SaleMaker(population, stream=0).sales(SALES)):
        found = store.converse(gather(sale.observations, sale.fill, tolerate=slips), sale)
        found.sort(key=lambda each: each.member_id)
        places = {each.member_id: place for place, each in enumerate(found)}
        phone = next((each.digest for each in sale.observations if each.kind == "phone"), None)
        maker = places.get(str(sale.member), NOBODY)
        makers.append(maker)
        sales.append(
            JudgedSale(
                sale_id=f"sale-{number}",
                observed=frozenset(each.kind for each in sale.observations),
                levels=tuple(each.levels for each in found),
                maker=maker if rng.random() < CONFIRMED else None,
                block_members=store.block_members(phone) if phone else None,
            )
        )
    return sales, makers


def proposed(sales: list[JudgedSale], in_force: Weights) -> Proposal:
    outcome = propose(sales, members=MEMBERS, in_force=in_force, policy=DEFAULT_POLICY)
    assert isinstance(outcome, Proposal), outcome
    return outcome


def truly(sales: list[JudgedSale], makers: list[int], weights: Weights) -> Trial:
    """Return what *weights* make of the sales held back, by what only the simulation knows."""
    tried = [
        TriedSale(candidates=each.candidates, member_id="" if maker == NOBODY else str(maker))
        for each, maker in zip(sales, makers, strict=True)
        if is_held_back(each.sale_id)
    ]
    return trial(tried, weights=weights, policy=DEFAULT_POLICY)


@pytest.fixture(scope="module")
def careless() -> tuple[list[JudgedSale], list[int]]:
    return simulated(CARELESS)


def test_where_people_are_careless_more_sales_are_credited_and_none_wrongly(
    careless: tuple[list[JudgedSale], list[int]],
) -> None:
    sales, makers = careless

    proposal = proposed(sales, shipped_weights())

    shown = proposal.comparison
    assert shown.is_safe
    assert shown.proposed.credited > 1.02 * shown.active.credited
    assert shown.proposed.unmatched < shown.active.unmatched
    before, after = (truly(sales, makers, each) for each in (shipped_weights(), proposal.weights))
    assert (before.wrong, after.wrong) == (0, 0)
    assert after.agreeing > 1.02 * before.agreeing


def test_a_number_that_was_reissued_is_believed_less() -> None:
    sales, makers = simulated(REISSUED)
    shipped = shipped_weights()
    # Somebody had once believed whatever phone was typed.
    phone = {"same.0": 6_000, "close.0": 1_729, "differs": -543, "none": -149}
    blind = replace(shipped, levels={**shipped.levels, "phone": phone})

    proposal = proposed(sales, blind)

    before, after = (truly(sales, makers, each) for each in (blind, proposal.weights))
    assert before.wrong > 20
    assert after.wrong < before.wrong / 4
    assert proposal.comparison.proposed.wrong < proposal.comparison.active.wrong


def test_the_same_sales_always_speak_for_the_same_weights(
    careless: tuple[list[JudgedSale], list[int]],
) -> None:
    sales, _ = careless

    assert proposed(sales, shipped_weights()) == proposed(sales, shipped_weights())


def test_a_proposal_rests_on_sales_that_were_not_held_back(
    careless: tuple[list[JudgedSale], list[int]],
) -> None:
    sales, _ = careless
    held_back = [each for each in sales if is_held_back(each.sale_id)]
    elsewhere = [
        replace(each, levels=(), maker=None) if is_held_back(each.sale_id) else each
        for each in sales
    ]

    proposal = proposed(sales, shipped_weights())

    assert proposal.sales == len(sales) - len(held_back)
    assert proposal.comparison.active.sales == len(held_back)
    assert proposed(elsewhere, shipped_weights()).weights == proposal.weights


def test_what_sales_do_not_show_stays_as_it_is_for_as_many_members(
    careless: tuple[list[JudgedSale], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    sales, _ = careless
    shipped = shipped_weights()
    monkeypatch.setattr(proposals, "MATCHES_MIN", 10**6)

    weights = proposed(sales, shipped).weights

    fewer = round(100 * 2.321928)  # log2 of 100,000 over 20,000
    assert weights.levels["claim"] == shipped.levels["claim"]
    assert weights.levels["etc_tag"]["same"] == shipped.levels["etc_tag"]["same"] - fewer
    assert weights.members == MEMBERS


def test_a_field_of_which_hardly_any_pair_says_anything_is_not_learnt(
    careless: tuple[list[JudgedSale], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    sales, _ = careless
    shipped = shipped_weights()
    habits = {"station", "hour", "grade", "litres", "rhythm"}
    monkeypatch.setattr(proposals, "STRANGERS_MIN", 10**6)

    weights = proposed(sales, shipped).weights

    assert {name: weights.levels[name] for name in habits} == {
        name: shipped.levels[name] for name in habits
    }
    assert weights.levels["phone"] != shipped.levels["phone"]


def test_a_proposal_is_written_as_a_document_matching_reads(
    careless: tuple[list[JudgedSale], list[int]],
) -> None:
    sales, _ = careless
    proposal = proposed(sales, shipped_weights())

    record = proposal_to_record(proposal, version=7)

    assert weights_from_document(record["document"]) == replace(proposal.weights, version=7)
    assert record["document"]["learnt_from"] == {
        "sales": proposal.sales,
        "confirmed": proposal.confirmed,
    }
    shown = record["comparison"]
    assert shown["compared_with"] == 1
    assert (
        sum(shown["proposed"][each] for each in ("credited", "pending", "unmatched"))
        == (shown["sales"])
    )
    assert len(shown["examples"]) == min(CHANGES_SHOWN, shown["changed"]) > 0
    assert {each["sale_id"] for each in shown["examples"]} <= {
        each.sale_id for each in sales if is_held_back(each.sale_id)
    }


def first_that(sales: list[JudgedSale], count: int, *, held_back: bool) -> list[JudgedSale]:
    return [each for each in sales if is_held_back(each.sale_id) is held_back][:count]


def test_too_little_is_refused_with_what_is_missing(
    careless: tuple[list[JudgedSale], list[int]],
) -> None:
    sales, _ = careless
    training = first_that(sales, SALES_MIN, held_back=False)
    unsaid = [replace(each, maker=None) for each in training]
    said = [replace(each, maker=NOBODY) for each in training[:CONFIRMED_MIN]]
    held_back = first_that(sales, HELD_BACK_MIN, held_back=True)
    enough = [*said, *unsaid[CONFIRMED_MIN:], *held_back]

    def outcome(sales: list[JudgedSale], members: int = MEMBERS) -> Proposal | Shortfall:
        return propose(sales, members=members, in_force=shipped_weights(), policy=DEFAULT_POLICY)

    assert isinstance(outcome(enough), Proposal)
    for missing, reason, found, needed in (
        (enough[1:], Shortage.TOO_FEW_SALES, SALES_MIN - 1, SALES_MIN),
        (enough[:-1], Shortage.TOO_FEW_HELD_BACK, HELD_BACK_MIN - 1, HELD_BACK_MIN),
        (
            [unsaid[0], *enough[1:]],
            Shortage.TOO_FEW_CONFIRMED,
            CONFIRMED_MIN - 1,
            CONFIRMED_MIN,
        ),
    ):
        assert outcome(missing) == Shortfall(reason=reason, found=found, needed=needed)
    assert outcome(enough, members=0) == Shortfall(
        reason=Shortage.MEMBERS_NOT_COUNTED, found=0, needed=1
    )
