from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from forecourt.agreement import HABITS, Portrait, density_class
from forecourt.behaviour import Behaviour
from forecourt.decisions import Decision, Outcome, Reason
from forecourt.fills import Fill
from forecourt.hashes import EvidenceKey, Observation, key_id_of
from forecourt.inquiry import (
    CANDIDATES_MAX,
    KEYS_MAX,
    ONE_CAR_ONE_MEMBER,
    ROUND_TRIPS_MAX,
    SHARED_MAX,
    Found,
    LookUp,
    gather,
    inquire,
)
from forecourt.presence import CheckIn, Presences
from forecourt.variants import meant_phones, phone_neighbours, plate_variants
from forecourt.weighing import Candidate, Policy, Weights

if TYPE_CHECKING:
    from collections.abc import Iterable

    from forecourt.agreement import Tolerance

WEIGHTS = Weights(
    version=1,
    members=10_000_000,
    prior=-2340,
    levels={
        "phone": {
            "same": 3220,
            "same.4": 2950,
            "close": 1980,
            "close.4": 1700,
            "differs": -910,
            "none": -120,
        },
        "plate": {"same": 2840, "close": 2400, "differs": -320, "differs.unsure": -100},
        "payment": {"same": 2370, "differs": -150},
        "card": {"same": 2000, "differs": -100},
        "presence": {"same": 900, "differs": -100, "none": -30},
        "claim": {"same": 1000},
        "station": {"usual": 950, "known": 400, "new": -250},
        "hour": {"usual": 50, "known": 0, "new": -150},
        "grade": {"usual": 40, "known": -100, "new": -460},
        "litres": {"near": 40, "off": 0, "far": -150},
        "rhythm": {"due": 60, "early": -100, "much_too_early": -510, "burst": -700, "late": 0},
    },
)
FILL = Fill(station_id="s0001", grade="92", volume_ml=40_000, hour=8, at=1_700_600_000)
HERE = (CheckIn(FILL.at - 60, FILL.station_id),)
ELSEWHERE = (CheckIn(FILL.at - 60, "s0099"),)
REGULAR = Behaviour(
    sales=9,
    stations={"s0001": 9},
    bands=(0, 0, 9, 0, 0, 0, 0, 0),
    grades={"92": 9},
    volume_ml=40_000,
    spread_ml=3_000,
    interval_seconds=600_000,
    last_at=1_700_000_000,
)
STRANGE = replace(REGULAR, stations={"s0099": 9}, grades={"0": 9}, bands=(9, 0, 0, 0, 0, 0, 0, 0))

PHONE, WRONG_PHONE = "13812345678", "13812345687"
PLATE, MISREAD = "浙A12345", "浙A1234S"


@dataclass
class Members:
    """Everything bound to anybody, and what was asked of it."""

    owners: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    portraits: dict[str, Portrait] = field(default_factory=dict)
    check_ins: dict[str, tuple[CheckIn, ...]] = field(default_factory=dict)
    drivers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    block_members: int = 0
    asked: list[LookUp] = field(default_factory=list)

    def bind(self, member_id: str, behaviour: Behaviour | None = REGULAR, **bound: str) -> None:
        for kind, value in bound.items():
            self.owners[kind, value] = (*self.owners.get((kind, value), ()), member_id)
        self.portraits[member_id] = Portrait(
            identities={kind: frozenset({value}) for kind, value in bound.items()},
            behaviour=behaviour,
        )

    def decide(
        self,
        observations: Iterable[Observation],
        *,
        fill: Fill = FILL,
        policy: Policy | None = None,
        weights: Weights = WEIGHTS,
        claimed_by: str | None = None,
        tolerate: Tolerance | None = None,
    ) -> Decision:
        chosen = {"policy": policy} if policy else {}
        inquiry = inquire(
            observations,
            fill,
            weights=weights,
            tolerate=tolerate or slips,
            claimed_by=claimed_by,
            **chosen,
        )
        self.asked = []
        try:
            asked = next(inquiry)
            while True:
                self.asked.append(asked)
                asked = inquiry.send(self.answer(asked))
        except StopIteration as stop:
            decision: Decision = stop.value
            return decision

    def answer(self, asked: LookUp) -> Found:
        return Found(
            owners={
                key: self.owners[key.kind, key.digest]
                for key in asked.keys
                if (key.kind, key.digest) in self.owners
            },
            drivers={
                key: self.drivers[key.digest]
                for key in asked.keys
                if asked.with_drivers and key.digest in self.drivers
            },
            portraits={each: self.portraits[each] for each in asked.portraits},
            presences={
                each: Presences(check_ins=self.check_ins[each])
                for each in asked.portraits
                if each in self.check_ins
            },
            block_members=self.block_members if asked.with_density else 0,
        )


def slips(seen: Observation) -> tuple[str, ...]:
    return meant_phones(seen.digest) if seen.kind == "phone" else plate_variants(seen.digest)


def slips_by_both_keys(seen: Observation) -> list[str]:
    return [digest for each in slips(seen) for digest in (each, f"2.{each}")]


def saw(**values: str) -> list[Observation]:
    return [Observation(kind=kind, digest=value) for kind, value in values.items()]


@pytest.fixture
def members() -> Members:
    return Members()


def test_a_sale_without_evidence_costs_no_round_trip(members: Members) -> None:
    decision = members.decide([])

    assert decision.reason is Reason.NO_EVIDENCE
    assert members.asked == []


@pytest.mark.parametrize(
    "seen", [{"phone": PHONE, "plate": PLATE}, {"payment": "tok-a", "card": "12345678"}]
)
def test_two_exact_identities_are_decided_in_one_round_trip(
    members: Members, seen: dict[str, str]
) -> None:
    members.bind("a", REGULAR, **seen)
    sure = replace(WEIGHTS, prior=-1000)

    decision = members.decide(saw(**seen), weights=sure)

    assert (decision.outcome, decision.member_id) == (Outcome.CREDITED, "a")
    assert len(members.asked) == 1


def test_one_exact_identity_asks_for_the_portrait_and_is_credited_with_the_habits(
    members: Members,
) -> None:
    members.bind("a", phone=PHONE)

    decision = members.decide(saw(phone=PHONE))

    assert (decision.outcome, decision.member_id) == (Outcome.CREDITED, "a")
    assert [bool(each.portraits) for each in members.asked] == [False, True]


def test_a_wrong_phone_beside_a_right_plate_is_recognised_without_a_tolerant_look_up(
    members: Members,
) -> None:
    members.bind("a", phone=PHONE, plate=PLATE)

    decision = members.decide(saw(phone=WRONG_PHONE, plate=PLATE))

    assert (decision.outcome, decision.member_id) == (Outcome.CREDITED, "a")
    assert ("phone", "close") in {(each.field, each.level) for each in decision.pieces}
    assert [len(each.keys) for each in members.asked] == [2, 0]


def test_a_wrong_phone_alone_is_found_in_one_batch_and_stays_pending(members: Members) -> None:
    members.bind("a", phone=PHONE)

    decision = members.decide(saw(phone=WRONG_PHONE))

    assert (decision.outcome, decision.member_id) == (Outcome.PENDING, "a")
    assert decision.reason is Reason.NEEDS_SECOND_IDENTITY
    keys = [len(each.keys) for each in members.asked]
    assert keys == [1, 99 - len({"10", "11", "12"}), 0]  # these begin no mobile number


@pytest.mark.parametrize("bound", [PHONE, f"2.{PHONE}"])
def test_an_identity_is_found_under_whichever_accepted_key_it_lies(
    members: Members, bound: str
) -> None:
    plate = Observation(kind="plate", digest=PLATE, others=(f"2.{PLATE}",))
    phone = Observation(kind="phone", digest=PHONE, others=(f"2.{PHONE}",))
    members.bind("a", phone=bound, plate=PLATE)

    decision = members.decide([phone, plate])

    assert (decision.outcome, decision.member_id) == (Outcome.CREDITED, "a")
    assert [len(each.keys) for each in members.asked] == [4]


def test_a_portrait_agrees_by_either_hash(members: Members) -> None:
    members.bind("a", phone=PHONE, plate=f"2.{PLATE}")
    members.owners.pop(("plate", f"2.{PLATE}"))

    decision = members.decide(
        [
            Observation(kind="phone", digest=PHONE),
            Observation(kind="plate", digest=PLATE, others=(f"2.{PLATE}",)),
        ]
    )

    assert ("plate", "same") in {(each.field, each.level) for each in decision.pieces}


def test_while_two_keys_are_accepted_a_wrong_phone_takes_a_hundred_keys_of_each(
    members: Members,
) -> None:
    members.bind("a", phone=f"2.{PHONE}")

    decision = members.decide(
        [Observation(kind="phone", digest=WRONG_PHONE, others=(f"2.{WRONG_PHONE}",))],
        tolerate=slips_by_both_keys,
    )

    assert decision.member_id == "a"
    asked = Counter(key_id_of(key.digest) for key in members.asked[1].keys)
    assert asked == {"1": 96, "2": 96}


def test_no_kind_of_evidence_takes_more_than_a_batch_of_each_key(members: Members) -> None:
    both = [
        Observation(kind="phone", digest=PHONE, others=(f"2.{PHONE}",)),
        Observation(kind="phone", digest=WRONG_PHONE, others=(f"2.{WRONG_PHONE}",)),
    ]

    members.decide(
        both,
        tolerate=slips_by_both_keys,
    )

    asked = Counter(key_id_of(key.digest) for key in members.asked[1].keys)
    assert asked == {"1": KEYS_MAX, "2": KEYS_MAX}


def test_a_misread_plate_finds_its_car_and_counts_beside_an_app_at_the_pump(
    members: Members,
) -> None:
    members.bind("a", plate=PLATE, card="12345678")

    decision = members.decide(saw(plate=MISREAD, card="12345678"))

    assert (decision.outcome, decision.member_id) == (Outcome.CREDITED, "a")
    assert "plate" in decision.by


def test_a_misread_plate_alone_is_never_credited(members: Members) -> None:
    members.bind("a", plate=PLATE)

    decision = members.decide(saw(plate=MISREAD))

    assert decision.outcome is not Outcome.CREDITED
    assert len(members.asked) == ROUND_TRIPS_MAX


def test_a_strangers_phone_ends_after_the_tolerant_look_up(members: Members) -> None:
    decision = members.decide(saw(phone=PHONE))

    assert decision.reason is Reason.UNKNOWN
    assert len(members.asked) == 2


def test_a_tolerant_look_up_that_could_change_nothing_is_not_made(members: Members) -> None:
    hopeless = replace(WEIGHTS, prior=-4000)

    members.decide(saw(phone=PHONE), weights=hopeless)

    assert len(members.asked) == 1


def test_portraits_that_could_change_nothing_are_not_read(members: Members) -> None:
    members.bind("a", card="12345678")
    unheard_of = replace(WEIGHTS, prior=-4800)

    decision = members.decide(saw(card="12345678"), weights=unheard_of)

    assert decision.reason is Reason.UNCONVINCING
    assert len(members.asked) == 1


def test_an_exact_phone_against_plate_token_and_grade_is_pending(members: Members) -> None:
    members.bind("a", phone=PHONE, plate="浙B99999", payment="tok-a", behaviour=STRANGE)
    members.bind("b", phone="13900000000", plate=PLATE, payment="tok-b")

    decision = members.decide(saw(phone=PHONE, plate=PLATE, payment="tok-b"))

    assert decision.outcome is Outcome.PENDING
    assert decision.reason is Reason.CONTRADICTION


def test_a_family_with_one_plate_is_told_apart_by_what_is_personal(members: Members) -> None:
    members.bind("wife", phone="13900000000", plate=PLATE)
    members.bind("husband", phone=PHONE, plate=PLATE, payment="tok-h")

    alone = members.decide(saw(plate=PLATE))
    paid = members.decide(saw(plate=PLATE, payment="tok-h"))

    assert alone.outcome is not Outcome.CREDITED
    assert (paid.outcome, paid.member_id) == (Outcome.CREDITED, "husband")


def test_one_car_one_member_asks_when_another_member_fills_the_car(members: Members) -> None:
    members.bind("wife", phone="13900000000", plate=PLATE)
    members.bind("husband", phone=PHONE, payment="tok-h")
    seen = saw(phone=PHONE, plate=PLATE, payment="tok-h")

    shared = members.decide(seen)
    strict = members.decide(seen, policy=ONE_CAR_ONE_MEMBER)

    assert (shared.outcome, shared.member_id) == (Outcome.CREDITED, "husband")
    assert (strict.outcome, strict.reason) == (Outcome.PENDING, Reason.CONTRADICTION)


def test_what_a_whole_fleet_shares_names_nobody(members: Members) -> None:
    members.owners["card", "FLEET001"] = tuple(f"m{n}" for n in range(20))

    decision = members.decide(saw(card="FLEET001"))

    assert (decision.outcome, decision.reason) == (Outcome.UNMATCHED, Reason.CROWDED)
    assert len(members.asked) == 1


def test_a_fleet_card_does_not_disturb_a_drivers_own_evidence(members: Members) -> None:
    members.bind("a", phone=PHONE, plate=PLATE, card="OWNCARD1")
    members.owners["card", "FLEET001"] = tuple(f"m{n}" for n in range(SHARED_MAX + 1))

    decision = members.decide(saw(card="FLEET001", phone=PHONE, plate=PLATE))

    assert (decision.outcome, decision.member_id) == (Outcome.CREDITED, "a")
    assert "card" not in {each.field for each in decision.pieces}


def test_a_crowd_of_candidates_is_unmatched_and_no_portrait_is_read(members: Members) -> None:
    for place, phone in enumerate(phone_neighbours(PHONE)[-CANDIDATES_MAX - 1 :]):
        members.bind(f"m{place}", phone=phone)

    decision = members.decide(saw(phone=PHONE))

    assert (decision.outcome, decision.reason) == (Outcome.UNMATCHED, Reason.CROWDED)
    assert not any(each.portraits for each in members.asked)


def test_a_phone_typed_for_every_guest_is_not_credited_a_second_time_within_hours(
    members: Members,
) -> None:
    just_now = replace(REGULAR, last_at=FILL.at - 600, interval_seconds=100_000)
    members.bind("attendant", phone=PHONE, behaviour=just_now)

    decision = members.decide(saw(phone=PHONE))

    assert decision.outcome is not Outcome.CREDITED


def test_no_inquiry_asks_for_more_than_its_limits(members: Members) -> None:
    for place, phone in enumerate(phone_neighbours(PHONE)[-CANDIDATES_MAX:]):
        members.bind(f"m{place}", phone=phone)

    members.decide(saw(phone=PHONE, plate=MISREAD, payment="tok-x", card="87654321"))

    assert len(members.asked) == ROUND_TRIPS_MAX
    assert max(len(each.keys) for each in members.asked) == KEYS_MAX
    assert max(len(each.portraits) for each in members.asked) == CANDIDATES_MAX


def test_a_dense_block_of_numbers_makes_the_same_phone_worth_less(members: Members) -> None:
    members.bind("a", phone=PHONE, behaviour=None)
    sparse = members.decide(saw(phone=PHONE))
    members.block_members = 5_000

    dense = members.decide(saw(phone=PHONE))

    assert dense.posterior_ppm < sparse.posterior_ppm
    assert {each.field: each.level for each in dense.pieces}["phone"] == "same.4"


@pytest.mark.parametrize(
    ("block_members", "expected"),
    [(0, 0), (15, 0), (16, 1), (64, 2), (256, 3), (1024, 4), (9999, 4)],
)
def test_blocks_fall_into_five_classes(block_members: int, expected: int) -> None:
    assert density_class(block_members) == expected


def test_a_reading_the_camera_doubts_contradicts_less(members: Members) -> None:
    members.bind("a", phone=PHONE, plate="浙B99999")
    read = Observation(kind="plate", digest=PLATE)

    sure = members.decide([*saw(phone=PHONE), read])
    unsure = members.decide([*saw(phone=PHONE), replace(read, unsure=True)])

    assert unsure.posterior_ppm >= sure.posterior_ppm
    assert "differs.unsure" in {each.level for each in unsure.pieces}


def test_of_two_cameras_the_one_that_read_right_counts(members: Members) -> None:
    members.bind("a", phone=PHONE, plate=PLATE, payment="tok-a")
    cameras = [Observation(kind="plate", digest=each) for each in ("浙C00001", PLATE)]

    decision = members.decide([*saw(payment="tok-a"), *cameras])

    assert decision.by.count("plate") == 1


def test_the_habits_of_who_is_known_by_the_car_say_nothing(members: Members) -> None:
    members.bind("a", plate=PLATE)

    decision = members.decide(saw(plate=PLATE))

    assert not {each.field for each in decision.pieces}.intersection(HABITS)


def test_a_guest_who_typed_no_phone_is_likelier_no_member(members: Members) -> None:
    members.bind("a", payment="tok-a")

    decision = members.decide(saw(payment="tok-a"))

    assert ("phone", "none", -120) in decision.pieces


def test_a_claim_without_any_identity_credits_nobody(members: Members) -> None:
    members.bind("a", phone="13900000000")

    decision = members.decide(saw(plate=PLATE), claimed_by="a")

    assert decision.outcome is not Outcome.CREDITED


def test_a_claim_beside_a_bound_plate_credits(members: Members) -> None:
    members.bind("a", phone="13900000000", plate=PLATE)

    decision = members.decide(saw(plate=PLATE), claimed_by="a")

    assert (decision.outcome, decision.member_id) == (Outcome.CREDITED, "a")


def test_a_member_who_answers_is_believed_at_a_lower_threshold(members: Members) -> None:
    members.bind("a", phone="13900000000", plate=PLATE)
    cautious = replace(WEIGHTS, prior=WEIGHTS.prior - 200)

    alone = members.decide(saw(plate=PLATE), weights=cautious)
    answered = members.decide(saw(plate=PLATE), weights=cautious, claimed_by="a")

    assert alone.outcome is not Outcome.CREDITED
    assert 999_000 <= answered.posterior_ppm < 999_900
    assert answered.outcome is Outcome.CREDITED


def test_who_paid_for_something_nearby_is_asked_and_believed_when_they_say_yes(
    members: Members,
) -> None:
    members.bind("a", phone="13900000000", payment="tok-a")
    paid = replace(saw(payment="tok-a")[0], loose=True)
    few = replace(WEIGHTS, prior=WEIGHTS.prior + 600)

    certain = members.decide(saw(payment="tok-a"), weights=few)
    loose = members.decide([paid], weights=few)
    answered = members.decide([paid], weights=few, claimed_by="a")

    assert (certain.outcome, certain.posterior_ppm) == (Outcome.CREDITED, loose.posterior_ppm)
    assert (loose.outcome, loose.member_id) == (Outcome.PENDING, "a")
    assert loose.reason is Reason.NEEDS_SECOND_IDENTITY
    assert (answered.outcome, answered.member_id) == (Outcome.CREDITED, "a")


def test_what_is_told_loosely_and_for_certain_is_certain(members: Members) -> None:
    members.bind("a", phone="13900000000", payment="tok-a")
    (paid,) = saw(payment="tok-a")
    few = replace(WEIGHTS, prior=WEIGHTS.prior + 600)

    twice = members.decide([replace(paid, loose=True), paid], weights=few)

    assert twice.outcome is Outcome.CREDITED


def test_fields_without_a_weight_are_not_weighed(members: Members) -> None:
    members.bind("a", etc_tag="ETC00001", phone=PHONE)

    decision = members.decide(saw(etc_tag="ETC00001", phone=PHONE))

    assert "etc_tag" not in {each.field for each in decision.pieces}


def test_an_observation_told_twice_is_looked_up_once(members: Members) -> None:
    key = EvidenceKey(kind="phone", digest=PHONE)

    members.decide([*saw(phone=PHONE), *saw(phone=PHONE)])

    assert members.asked[0].keys == (key,)


def test_what_weights_learn_from_is_everything_that_can_be_known(members: Members) -> None:
    members.bind("a", phone=PHONE, plate=PLATE)

    gathering = gather(saw(phone=PHONE, plate=PLATE), FILL, tolerate=slips)
    portraits = gathering.send(members.answer(next(gathering)))
    with pytest.raises(StopIteration) as stop:
        gathering.send(members.answer(portraits))

    (found,) = stop.value.value
    assert found.levels["phone"] == "same.0"
    assert "station" not in found.levels  # known by the car


def gathered(members: Members, *observations: Observation) -> tuple[int, list[Candidate]]:
    """Return how many round trips gathering took, and the candidates."""
    gathering = gather(observations, FILL, tolerate=slips)
    trips = 0
    try:
        asked = next(gathering)
        while True:
            trips += 1
            asked = gathering.send(members.answer(asked))
    except StopIteration as stop:
        found: list[Candidate] = stop.value
        return trips, found


def test_gathering_looks_for_slips_where_nothing_exact_names_anybody(members: Members) -> None:
    members.bind("a", phone=PHONE)

    trips, (found,) = gathered(members, *saw(phone=WRONG_PHONE))

    assert trips == ROUND_TRIPS_MAX
    assert found.levels["phone"] == "close.0"


def test_nothing_is_gathered_of_no_evidence_of_strangers_and_of_crowds(members: Members) -> None:
    for place, phone in enumerate(phone_neighbours(PHONE)[-CANDIDATES_MAX - 1 :]):
        members.bind(f"m{place}", phone=phone)

    assert gathered(members) == (0, [])
    assert gathered(members, *saw(payment="tok-x")) == (1, [])
    assert gathered(members, *saw(phone=PHONE)) == (2, [])


def test_a_neighbouring_number_that_a_crowd_shares_names_nobody(members: Members) -> None:
    members.owners["phone", PHONE] = tuple(f"m{n}" for n in range(SHARED_MAX + 1))

    decision = members.decide(saw(phone=WRONG_PHONE))

    assert (decision.outcome, decision.reason) == (Outcome.UNMATCHED, Reason.UNKNOWN)


def test_a_sure_sale_with_one_identity_still_asks_for_the_portrait(members: Members) -> None:
    members.bind("a", payment="tok-a")
    sure = replace(WEIGHTS, prior=0)

    decision = members.decide(saw(payment="tok-a"), weights=sure)

    assert decision.outcome is Outcome.CREDITED
    assert len(members.asked) == 2


def test_an_identity_bound_between_two_look_ups_is_seen_in_the_portrait(members: Members) -> None:
    members.bind("a", phone=PHONE, plate=PLATE)
    del members.owners["phone", PHONE]

    decision = members.decide(saw(phone=PHONE, plate=PLATE))

    assert (decision.outcome, decision.member_id) == (Outcome.CREDITED, "a")
    assert "phone" in decision.by


def levels_of(decision: Decision) -> dict[str, str]:
    return {each.field: each.level for each in decision.pieces}


def test_two_exact_identities_do_not_ask_where_anybody_was(members: Members) -> None:
    members.bind("a", phone=PHONE, plate=PLATE)
    members.check_ins["a"] = ELSEWHERE

    decision = members.decide(saw(phone=PHONE, plate=PLATE))

    assert decision.outcome is Outcome.CREDITED
    assert len(members.asked) == 1


def test_of_a_family_with_one_car_the_driver_whose_app_is_there_is_asked(members: Members) -> None:
    for each in ("husband", "wife"):
        members.bind(each, plate=PLATE)
    before = members.decide(saw(plate=PLATE))
    members.check_ins["wife"] = HERE

    decision = members.decide(saw(plate=PLATE))

    assert before.outcome is Outcome.UNMATCHED
    assert (decision.outcome, decision.member_id) == (Outcome.PENDING, "wife")
    assert levels_of(decision)["presence"] == "same"


def test_being_there_makes_nobody_a_candidate(members: Members) -> None:
    members.bind("a")
    members.check_ins["a"] = HERE

    decision = members.decide(saw(plate=PLATE))

    assert (decision.outcome, decision.reason) == (Outcome.UNMATCHED, Reason.UNKNOWN)
    assert not any(each.portraits for each in members.asked)


def test_being_there_is_no_identity(members: Members) -> None:
    """A neighbour's number and an app at the pump are two hints, and nobody is identified."""
    members.bind("a", phone=PHONE)
    members.check_ins["a"] = HERE
    convinced = replace(WEIGHTS, levels={**WEIGHTS.levels, "presence": {"same": 3000}})

    for claimed_by in (None, "a"):
        decision = members.decide(saw(phone=WRONG_PHONE), weights=convinced, claimed_by=claimed_by)

        assert decision.posterior_ppm >= 999_900
        assert (decision.outcome, decision.reason) == (
            Outcome.PENDING,
            Reason.NEEDS_SECOND_IDENTITY,
        )


@pytest.mark.parametrize("claimed_by", [None, "a"])
def test_who_was_elsewhere_is_not_believed_by_one_identity_and_a_word(
    members: Members, claimed_by: str | None
) -> None:
    members.bind("a", plate=PLATE)
    members.check_ins["a"] = ELSEWHERE
    sure = replace(WEIGHTS, prior=-1200)

    decision = members.decide(saw(plate=PLATE), weights=sure, claimed_by=claimed_by)

    assert (decision.outcome, decision.reason) == (Outcome.PENDING, Reason.IMPLAUSIBLE)


def test_two_identities_outweigh_an_app_left_elsewhere(members: Members) -> None:
    members.bind("a", plate=PLATE, payment="tok-a")
    members.check_ins["a"] = ELSEWHERE

    # Somebody else has the card: so the portraits are asked for.
    members.bind("b", card="12345678")
    decision = members.decide(saw(plate=PLATE, payment="tok-a"), claimed_by="b")

    assert levels_of(decision)["presence"] == "differs"
    assert (decision.outcome, decision.member_id) == (Outcome.CREDITED, "a")


def test_a_claim_by_the_car_alone_is_not_believed_when_somebody_else_drives_it(
    members: Members,
) -> None:
    members.bind("wife", plate=PLATE)
    members.bind("husband", phone=PHONE)
    believed = members.decide(saw(plate=PLATE), claimed_by="wife")
    members.drivers[PLATE] = ("husband", "wife")

    decision = members.decide(saw(plate=PLATE), claimed_by="wife")

    assert (believed.outcome, believed.member_id) == (Outcome.CREDITED, "wife")
    assert decision.outcome is not Outcome.CREDITED
    assert "husband" in {name for name, _ in decision.alternatives}


def test_whoever_else_drives_the_car_what_is_personal_settles_a_claim(members: Members) -> None:
    members.bind("wife", plate=PLATE, payment="tok-w")
    members.bind("husband", phone=PHONE)
    members.drivers[PLATE] = ("husband", "wife")

    decision = members.decide(saw(plate=PLATE, payment="tok-w"), claimed_by="wife")

    assert (decision.outcome, decision.member_id) == (Outcome.CREDITED, "wife")


def test_a_driver_who_has_not_bound_the_car_may_claim_what_it_was_filled_with(
    members: Members,
) -> None:
    members.bind("husband", phone=PHONE)
    members.drivers[PLATE] = ("husband",)

    decision = members.decide(saw(plate=PLATE), claimed_by="husband")

    assert (decision.outcome, decision.member_id) == (Outcome.CREDITED, "husband")


def test_a_car_that_a_crowd_drives_names_nobody_at_a_claim(members: Members) -> None:
    members.bind("a", plate=PLATE)
    members.drivers[PLATE] = tuple(f"m{n}" for n in range(SHARED_MAX))

    decision = members.decide(saw(plate=PLATE), claimed_by="a")

    assert decision.outcome is not Outcome.CREDITED


@pytest.mark.parametrize(
    ("behaviour", "heard"),
    [
        (STRANGE, ("station", "new", 0)),
        (replace(REGULAR, last_at=FILL.at - 200_000), ("rhythm", "early", 0)),
        (replace(REGULAR, last_at=FILL.at - 60_000), ("rhythm", "much_too_early", 0)),
        (replace(REGULAR, last_at=FILL.at - 3_600), ("rhythm", "burst", 0)),
    ],
)
def test_a_claim_by_the_car_alone_is_not_believed_against_its_members_habits(
    members: Members, behaviour: Behaviour, heard: tuple[str, str, int]
) -> None:
    """It may be another car, read as this one, or this one in other hands."""
    members.bind("a", behaviour, plate=PLATE)

    decision = members.decide(saw(plate=PLATE), claimed_by="a")

    assert decision.posterior_ppm >= 999_900
    assert (decision.outcome, decision.reason) == (Outcome.PENDING, Reason.IMPLAUSIBLE)
    assert heard in decision.pieces


def test_habits_that_agree_make_a_claim_by_the_car_no_likelier(members: Members) -> None:
    members.bind("a", plate=PLATE)
    with_habits = members.decide(saw(plate=PLATE), claimed_by="a")
    members.bind("b", None, plate=MISREAD)
    without = members.decide(saw(plate=MISREAD), claimed_by="b")

    assert with_habits.outcome is without.outcome is Outcome.CREDITED
    assert with_habits.posterior_ppm == without.posterior_ppm


def test_habits_are_not_held_against_a_claim_by_a_phone_twice(members: Members) -> None:
    members.bind("a", STRANGE, phone=PHONE)
    sure = replace(WEIGHTS, prior=-1000)

    decision = members.decide(saw(phone=PHONE), weights=sure, claimed_by="a")

    assert ("station", "new", -250) in decision.pieces
    assert decision.outcome is Outcome.CREDITED


@pytest.mark.parametrize(
    ("paid_with", "outcome"), [("theirs", Outcome.CREDITED), ("", Outcome.PENDING)]
)
def test_whoever_claims_what_was_paid_as_they_pay_counts_as_having_the_account(
    members: Members, paid_with: str, outcome: Outcome
) -> None:
    too_early = replace(REGULAR, last_at=FILL.at - 60_000, means={"theirs": 5})
    members.bind("a", too_early, plate=PLATE)
    seen = saw(plate=PLATE, **({"payment": paid_with} if paid_with else {}))

    decision = members.decide(seen, claimed_by="a")

    assert decision.outcome is outcome
    assert (levels_of(decision).get("payment") == "same") is bool(paid_with)


def test_of_two_who_drive_a_car_the_one_who_paid_as_ever_is_believed(members: Members) -> None:
    for each in ("husband", "wife"):
        members.bind(each, replace(REGULAR, means={each: 2}), plate=PLATE)

    decision = members.decide(saw(plate=PLATE, payment="wife"), claimed_by="wife")

    assert (decision.outcome, decision.member_id) == (Outcome.CREDITED, "wife")


def test_what_another_has_linked_is_not_the_claimants_for_having_paid_with_it(
    members: Members,
) -> None:
    members.bind("a", replace(REGULAR, means={"tok-b": 2}), plate=PLATE)
    members.bind("b", payment="tok-b")

    decision = members.decide(saw(plate=PLATE, payment="tok-b"), claimed_by="a")

    assert decision.outcome is not Outcome.CREDITED


def test_how_somebody_pays_is_asked_of_claims_only(members: Members) -> None:
    members.bind("a", replace(REGULAR, means={"theirs": 5}), plate=PLATE)

    decision = members.decide(saw(plate=PLATE, payment="theirs"))

    assert decision.outcome is Outcome.PENDING
    assert "payment" not in levels_of(decision)


def test_a_claim_by_the_car_is_not_believed_when_it_was_paid_as_its_member_never_did(
    members: Members,
) -> None:
    members.bind("a", replace(REGULAR, means={"theirs": 5}), plate=PLATE)
    other = replace(FILL, paid_with=("another",))

    decision = members.decide(saw(plate=PLATE), fill=other, claimed_by="a")

    assert (decision.outcome, decision.reason) == (Outcome.PENDING, Reason.IMPLAUSIBLE)
    assert ("means", "new", 0) in decision.pieces


def test_a_fleets_driver_is_not_believed_by_a_car_of_the_fleet(members: Members) -> None:
    for n in range(SHARED_MAX):
        members.bind(f"m{n}", card="FLEET001")
    members.bind("a", plate=PLATE, card="FLEET001")

    decision = members.decide(saw(plate=PLATE), claimed_by="a")

    assert (decision.outcome, decision.reason) == (Outcome.PENDING, Reason.IMPLAUSIBLE)
    assert ("fleet", "same", 0) in decision.pieces
    assert len(members.asked) == ROUND_TRIPS_MAX


def test_a_card_of_ones_own_makes_nobody_a_fleets_driver(members: Members) -> None:
    members.bind("a", plate=PLATE, card="12345678")

    decision = members.decide(saw(plate=PLATE), claimed_by="a")

    assert decision.outcome is Outcome.CREDITED
    assert "fleet" not in levels_of(decision)


def test_where_a_fleets_card_was_shown_the_car_and_a_word_do_not_suffice(members: Members) -> None:
    for n in range(SHARED_MAX + 1):
        members.bind(f"m{n}", card="FLEET001")
    members.bind("a", plate=PLATE)

    decision = members.decide(saw(plate=PLATE, card="FLEET001"), claimed_by="a")

    assert (decision.outcome, decision.reason) == (Outcome.PENDING, Reason.IMPLAUSIBLE)


@pytest.mark.parametrize("behaviour", [None, Behaviour()])
def test_a_phone_and_a_word_do_not_suffice_of_whom_no_sale_is_known(
    members: Members, behaviour: Behaviour | None
) -> None:
    """The number may have been mistyped, and be a newcomer's who was never there."""
    sure = replace(WEIGHTS, prior=-1000)
    members.bind("old", phone=PHONE)
    members.bind("new", behaviour, phone=WRONG_PHONE)

    believed = members.decide(saw(phone=PHONE), weights=sure, claimed_by="old")
    decision = members.decide(saw(phone=WRONG_PHONE), weights=sure, claimed_by="new")

    assert believed.outcome is Outcome.CREDITED
    assert (decision.outcome, decision.reason) == (Outcome.PENDING, Reason.IMPLAUSIBLE)
    assert ("history", "none", 0) in decision.pieces


def test_a_newcomer_with_phone_and_card_is_believed(members: Members) -> None:
    members.bind("new", None, phone=PHONE, card="12345678")

    decision = members.decide(saw(phone=PHONE, card="12345678"), claimed_by="new")

    assert decision.outcome is Outcome.CREDITED


def test_whose_app_is_there_may_have_been_a_passenger(members: Members) -> None:
    for each in ("husband", "wife"):
        members.bind(each, plate=PLATE)
    members.check_ins["wife"] = HERE
    measured = {"presence": {"same": 440, "none": -20}, "claim": {"same": 590}}
    weights = replace(WEIGHTS, prior=-1400, levels={**WEIGHTS.levels, **measured})

    decision = members.decide(saw(plate=PLATE), weights=weights, claimed_by="wife")

    assert decision.member_id == "wife"
    assert 999_000 <= decision.posterior_ppm < 999_900
    assert (decision.outcome, decision.reason) == (Outcome.PENDING, Reason.UNSURE)


def test_who_drives_a_car_is_asked_of_claims_only(members: Members) -> None:
    members.bind("a", plate=PLATE)

    for claimed_by in (None, "a"):
        members.decide(saw(plate=PLATE), claimed_by=claimed_by)

        assert members.asked[0].with_drivers is (claimed_by is not None)
        assert not any(each.with_drivers for each in members.asked[1:])
