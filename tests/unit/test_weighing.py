from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.decisions import Outcome, Reason
from forecourt.weighing import (
    CERTAIN_PPM,
    MAX_CENTIBITS,
    Candidate,
    Policy,
    Weights,
    decide,
    posterior_of,
)
from forecourt.weights import weights_from_document, weights_to_document

WEIGHTS = Weights(
    version=7,
    members=10_000_000,
    prior=-2340,
    levels={
        "phone": {"same.0": 3220, "same.4": 2900, "one_edit.0": 1980, "other": -910},
        "plate": {"same": 2840, "differs": -320},
        "payment": {"same": 2370, "differs": -150},
        "station": {"usual": 950, "new": -250},
        "grade": {"usual": 40, "differs": -460},
        "rhythm": {"due": 60, "burst": -510},
    },
)
POLICY = Policy(
    strong=frozenset(
        {("phone", "same"), ("phone", "one_edit"), ("plate", "same"), ("payment", "same")}
    ),
    dependent=frozenset({("phone", "one_edit")}),
    telling=frozenset({"phone", "payment"}),
    implausible=frozenset({("rhythm", "burst")}),
)
LEVELS = st.fixed_dictionaries(
    {},
    optional={
        name: st.sampled_from(sorted(levels)) for name, levels in sorted(WEIGHTS.levels.items())
    },
)


def candidate(member_id: str = "a", **levels: str) -> Candidate:
    return Candidate(member_id=member_id, levels=levels)


def test_two_strong_identities_credit() -> None:
    leader = candidate(phone="same.0", plate="same")

    decision = decide([leader], weights=WEIGHTS, policy=POLICY)

    assert decision.outcome is Outcome.CREDITED
    assert (decision.member_id, decision.weights_version) == ("a", 7)
    assert decision.by == ("phone", "plate")


def test_a_decision_shows_what_each_piece_was_worth() -> None:
    leader = candidate(phone="same.0", plate="differs", station="usual")

    decision = decide([leader], weights=WEIGHTS, policy=POLICY)

    assert {piece.field: piece.centibits for piece in decision.pieces} == {
        "phone": 3220,
        "plate": -320,
        "station": 950,
    }
    assert decision.posterior_ppm == posterior_of(-2340 + 3220 - 320 + 950)


def test_nobody_to_weigh_is_unknown() -> None:
    decision = decide([], weights=WEIGHTS, policy=POLICY)

    assert (decision.outcome, decision.reason) == (Outcome.UNMATCHED, Reason.UNKNOWN)


def test_an_exact_phone_alone_is_not_sure_enough_among_ten_million() -> None:
    decision = decide([candidate(phone="same.0")], weights=WEIGHTS, policy=POLICY)

    assert (decision.outcome, decision.reason) == (Outcome.PENDING, Reason.UNSURE)


def test_a_phone_one_slip_away_never_credits_however_much_behaviour_agrees() -> None:
    generous = replace(WEIGHTS, prior=0)
    leader = candidate(phone="one_edit.0", station="usual", grade="usual")

    decision = decide([leader], weights=generous, policy=POLICY)

    assert decision.posterior_ppm > POLICY.credit_ppm
    assert (decision.outcome, decision.reason) == (Outcome.PENDING, Reason.NEEDS_SECOND_IDENTITY)


def test_a_phone_one_slip_away_credits_with_a_second_strong_identity() -> None:
    leader = candidate(phone="one_edit.0", plate="same")

    assert decide([leader], weights=WEIGHTS, policy=POLICY).outcome is Outcome.CREDITED


def test_behaviour_alone_never_credits() -> None:
    generous = replace(WEIGHTS, prior=1000)

    decision = decide([candidate(station="usual")], weights=generous, policy=POLICY)

    assert (decision.outcome, decision.reason) == (Outcome.PENDING, Reason.NEEDS_SECOND_IDENTITY)


def test_a_phone_that_speaks_for_another_leaves_the_sale_pending() -> None:
    leader = candidate(plate="same", payment="same", station="usual", grade="usual")
    other = candidate("b", phone="same.0", plate="differs", payment="differs", grade="differs")

    decision = decide([other, leader], weights=WEIGHTS, policy=POLICY)

    assert decision.posterior_ppm > POLICY.credit_ppm
    assert (decision.member_id, decision.outcome) == ("a", Outcome.PENDING)
    assert decision.reason is Reason.CONTRADICTION
    assert [member_id for member_id, _ in decision.alternatives] == ["b"]


def test_a_car_bound_by_another_member_does_not_contradict_where_vehicles_are_shared() -> None:
    driver = candidate(phone="same.0", payment="same", station="usual")
    owner = candidate("b", plate="same", phone="other")

    shared = decide([driver, owner], weights=WEIGHTS, policy=POLICY)
    strict = decide(
        [driver, owner],
        weights=WEIGHTS,
        policy=replace(POLICY, telling=POLICY.telling | {"plate"}),
    )

    assert (shared.member_id, shared.outcome) == ("a", Outcome.CREDITED)
    assert (strict.outcome, strict.reason) == (Outcome.PENDING, Reason.CONTRADICTION)


def test_two_equal_candidates_share_the_belief_and_neither_is_credited() -> None:
    pair = [candidate("b", plate="same"), candidate("a", plate="same")]

    decision = decide(pair, weights=WEIGHTS, policy=POLICY)

    assert (decision.outcome, decision.member_id) == (Outcome.UNMATCHED, None)
    assert 480_000 < decision.posterior_ppm <= 500_000


def test_an_implausible_level_sends_a_sale_with_one_identity_to_a_person() -> None:
    generous = replace(WEIGHTS, prior=0)
    flooded = candidate(phone="same.0", rhythm="burst")

    decision = decide([flooded], weights=generous, policy=POLICY)

    assert decision.posterior_ppm > POLICY.credit_ppm
    assert (decision.outcome, decision.reason) == (Outcome.PENDING, Reason.IMPLAUSIBLE)


def test_two_identities_that_agree_outweigh_an_implausible_level() -> None:
    leader = candidate(phone="same.0", plate="same", rhythm="burst")

    assert decide([leader], weights=WEIGHTS, policy=POLICY).outcome is Outcome.CREDITED


WORD = replace(
    POLICY,
    strong=POLICY.strong | {("claim", "same")},
    dependent=POLICY.dependent | {("claim", "same")},
    vouching=frozenset({("claim", "same")}),
    doubtful=frozenset({("rhythm", "early")}),
)
# The plate of one member and their word: 12 bits, between 0.999 and 0.9999.
BELIEVED = replace(WEIGHTS, prior=-2140, levels={**WEIGHTS.levels, "claim": {"same": 500}})


def claimant(unweighed: dict[str, str], **levels: str) -> Candidate:
    return Candidate(
        member_id="a", levels={"plate": "same", "claim": "same", **levels}, unweighed=unweighed
    )


def test_a_word_suffices_earlier_unless_somebody_else_has_all_that_identifies_its_member() -> None:
    here = replace(BELIEVED, levels={**BELIEVED.levels, "presence": {"same": 700}})
    leader = claimant({}, presence="same")
    rival = candidate("b", plate="same")

    alone = decide([claimant({})], weights=BELIEVED, policy=WORD)
    beside = decide([leader, rival], weights=here, policy=WORD)

    assert 999_000 <= alone.posterior_ppm < 999_900
    assert 999_000 <= beside.posterior_ppm < 999_900
    assert alone.outcome is Outcome.CREDITED
    assert (beside.outcome, beside.member_id, beside.reason) == (
        Outcome.PENDING,
        "a",
        Reason.UNSURE,
    )


@pytest.mark.parametrize(
    ("unweighed", "outcome"),
    [
        ({"station": "usual", "grade": "differs"}, Outcome.CREDITED),
        ({"station": "new"}, Outcome.PENDING),
        ({"station": "usual", "rhythm": "early"}, Outcome.PENDING),
    ],
)
def test_what_is_not_weighed_is_heard_against_a_word(
    unweighed: dict[str, str], outcome: Outcome
) -> None:
    decision = decide([claimant(unweighed)], weights=BELIEVED, policy=WORD)

    assert decision.outcome is outcome
    assert (decision.reason is Reason.IMPLAUSIBLE) is (outcome is Outcome.PENDING)


def test_what_may_be_of_another_sale_never_credits_before_the_member_vouches_for_it() -> None:
    generous = replace(WEIGHTS, prior=0)
    loose = replace(
        candidate(payment="same", phone="same.0"), loose=frozenset({"payment", "phone"})
    )

    decision = decide([loose], weights=generous, policy=POLICY)
    vouched = decide(
        [replace(loose, levels={**loose.levels, "claim": "same"})],
        weights=replace(BELIEVED, prior=0),
        policy=WORD,
    )

    assert decision.posterior_ppm > POLICY.credit_ppm
    assert (decision.outcome, decision.reason) == (Outcome.PENDING, Reason.NEEDS_SECOND_IDENTITY)
    assert vouched.outcome is Outcome.CREDITED


def test_what_may_be_of_another_sale_counts_beside_what_is_certain() -> None:
    beside = replace(candidate(payment="same", plate="same"), loose=frozenset({"payment"}))

    assert decide([beside], weights=WEIGHTS, policy=POLICY).outcome is Outcome.CREDITED


def test_what_is_not_weighed_changes_no_posterior_and_is_shown_as_worth_nothing() -> None:
    silent = decide([claimant({})], weights=BELIEVED, policy=WORD)

    decision = decide([claimant({"station": "usual"})], weights=BELIEVED, policy=WORD)

    assert decision.posterior_ppm == silent.posterior_ppm
    assert decision.pieces == (*silent.pieces, ("station", "usual", 0))
    assert decision.by == silent.by


def test_a_second_identity_outweighs_what_is_heard_against_a_word() -> None:
    leader = claimant({"station": "new", "rhythm": "early"}, payment="same")

    assert decide([leader], weights=BELIEVED, policy=WORD).outcome is Outcome.CREDITED


def test_where_nobody_gave_their_word_nothing_is_heard_against_it() -> None:
    generous = replace(WEIGHTS, prior=0)
    leader = replace(candidate(plate="same"), unweighed={"rhythm": "early"})

    assert decide([leader], weights=generous, policy=WORD).outcome is Outcome.CREDITED


@pytest.mark.parametrize(
    ("total", "outcome"),
    [
        (1329, Outcome.CREDITED),  # log2(9999) is 13.2876 bits
        (1328, Outcome.PENDING),
        (317, Outcome.PENDING),  # log2(9) is 3.1699 bits
        (316, Outcome.UNMATCHED),
    ],
)
def test_the_thresholds_lie_where_the_logarithm_says(total: int, outcome: Outcome) -> None:
    weights = replace(WEIGHTS, prior=total - 2840)

    assert decide([candidate(plate="same")], weights=weights, policy=POLICY).outcome is outcome


@given(st.integers(-2 * MAX_CENTIBITS, 2 * MAX_CENTIBITS))
def test_integer_posteriors_agree_with_the_formula(centibits: int) -> None:
    bounded = max(-MAX_CENTIBITS, min(MAX_CENTIBITS, centibits)) / 100
    expected = CERTAIN_PPM / (1 + 2**-bounded)

    assert math.isclose(posterior_of(centibits), expected, abs_tol=1.001)


@given(st.lists(LEVELS, min_size=1, max_size=8))
def test_the_order_of_candidates_and_fields_changes_nothing(
    found: list[dict[str, str]],
) -> None:
    candidates = [Candidate(member_id=f"m{n}", levels=each) for n, each in enumerate(found)]
    turned = [
        replace(each, levels=dict(reversed(list(each.levels.items()))))
        for each in reversed(candidates)
    ]

    one = decide(candidates, weights=WEIGHTS, policy=POLICY)
    two = decide(turned, weights=WEIGHTS, policy=POLICY)

    assert replace(one, pieces=()) == replace(two, pieces=())
    assert set(one.pieces) == set(two.pieces)


@given(st.lists(LEVELS, min_size=1, max_size=8))
def test_the_shares_of_belief_never_exceed_the_whole(found: list[dict[str, str]]) -> None:
    candidates = [Candidate(member_id=f"m{n}", levels=each) for n, each in enumerate(found)]

    decision = decide(candidates, weights=WEIGHTS, policy=POLICY)

    others = sum(ppm for _, ppm in decision.alternatives)
    assert others + (decision.posterior_ppm if decision.member_id else 0) <= CERTAIN_PPM


@pytest.mark.parametrize(("pending", "credit"), [(0, 1), (2, 1), (1, 1_000_000)])
def test_thresholds_that_leave_no_room_are_refused(pending: int, credit: int) -> None:
    with pytest.raises(ValueError, match=str(credit)):
        Policy(pending_ppm=pending, credit_ppm=credit)


@pytest.mark.parametrize("vouched", [0, 1_000_000])
def test_a_threshold_for_vouched_sales_lies_between_nothing_and_certainty(vouched: int) -> None:
    with pytest.raises(ValueError, match=str(vouched)):
        Policy(vouched_ppm=vouched)


def test_what_is_still_open_is_bounded_by_the_best_and_the_worst_level() -> None:
    assert WEIGHTS.best({"station", "grade", "unheard_of"}) == 990
    assert WEIGHTS.worst({"station", "grade"}) == -710


def test_weights_survive_their_document() -> None:
    document = json.loads(json.dumps(weights_to_document(WEIGHTS, sales=10)))

    assert weights_from_document(document) == WEIGHTS
    assert document["learnt_from"] == {"sales": 10}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"schema": "weights/2"}, "schema"),
        ({"version": 0}, "version"),
        ({"members": True}, "members"),
        ({"prior": "-2340"}, "prior"),
        ({"prior": 6001}, "prior"),
        ({"levels": {}}, "levels"),
        ({"levels": {"phone": {}}}, "levels.phone"),
        ({"levels": {"phone": {"same": 1.5}}}, "levels.phone.same"),
    ],
)
def test_a_document_that_is_no_weights_is_refused_with_its_faults(
    change: dict[str, object], fault: str
) -> None:
    with pytest.raises(ValueError, match=fault):
        weights_from_document(weights_to_document(WEIGHTS) | change)
