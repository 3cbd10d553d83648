"""All evidence that belongs to somebody must name the same member."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.matching import Credited, EvidenceKey, Unmatched, decide

PLATE = EvidenceKey(kind="plate", digest="p")
OTHER_PLATE = EvidenceKey(kind="plate", digest="q")
CARD = EvidenceKey(kind="card", digest="c")

KEYS = st.builds(
    EvidenceKey, kind=st.sampled_from(["plate", "card"]), digest=st.sampled_from("abcd")
)


@pytest.mark.parametrize(
    ("evidence", "owners", "decision"),
    [
        ([], {}, Unmatched(reason="no_evidence")),
        ([], {PLATE: "m1"}, Unmatched(reason="no_evidence")),
        ([PLATE], {}, Unmatched(reason="unknown")),
        ([PLATE], {CARD: "m1"}, Unmatched(reason="unknown")),
        ([PLATE], {PLATE: "m1"}, Credited(member_id="m1", by=("plate",))),
        ([PLATE, CARD], {PLATE: "m1"}, Credited(member_id="m1", by=("plate",))),
        ([PLATE, CARD], {PLATE: "m1", CARD: "m1"}, Credited(member_id="m1", by=("card", "plate"))),
        ([PLATE, CARD], {PLATE: "m1", CARD: "m2"}, Unmatched(reason="contradiction")),
        ([PLATE, OTHER_PLATE], {PLATE: "m1", OTHER_PLATE: "m2"}, Unmatched(reason="contradiction")),
        (
            [PLATE, OTHER_PLATE],
            {PLATE: "m1", OTHER_PLATE: "m1"},
            Credited(member_id="m1", by=("plate",)),
        ),
        ([PLATE, PLATE], {PLATE: "m1"}, Credited(member_id="m1", by=("plate",))),
    ],
)
def test_a_sale_belongs_to_the_one_member_its_evidence_names(
    evidence: list[EvidenceKey], owners: dict[EvidenceKey, str], decision: Credited | Unmatched
) -> None:
    assert decide(evidence, owners) == decision


@given(
    evidence=st.lists(KEYS, max_size=8),
    owners=st.dictionaries(KEYS, st.sampled_from(["m1", "m2"])),
    data=st.data(),
)
def test_neither_order_nor_repetition_of_evidence_changes_the_decision(
    evidence: list[EvidenceKey], owners: dict[EvidenceKey, str], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(evidence + evidence))

    assert decide(shuffled, owners) == decide(evidence, owners)
