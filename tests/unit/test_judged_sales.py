"""What a stored sale teaches: how candidates agreed then, and what people have said since."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.decisions import Decision, Outcome, Piece
from forecourt.hashes import EvidenceKey
from forecourt.judged_sales import (
    NOBODY,
    JudgedSale,
    is_held_back,
    judged_from_line,
    judged_sale,
    judged_to_line,
    sampled,
    teaches,
)
from forecourt.rulings import Verdict, assign, decline, holdings, split
from forecourt.stored_rulings import AppliedRuling
from forecourt.stored_sales import KeyedEvidence, Status, StoredSale
from forecourt.weighing import Candidate
from tests.specimens import RECEIVED_AT, SALE, sale

if TYPE_CHECKING:
    from forecourt.rulings import Ruling

CARD = KeyedEvidence(key=EvidenceKey(kind="card", digest="c"))
WEIGHED = Decision(
    outcome=Outcome.CREDITED,
    weights_version=1,
    member_id="m1",
    posterior_ppm=999_999,
    pieces=(Piece("card", "same", 2656), Piece("station", "new", -359)),
)
STORED = StoredSale(
    sale=replace(SALE, evidence=()),
    status=Status.MATCHED,
    received_at=RECEIVED_AT,
    evidence=(CARD,),
    member_id="m1",
    decision=WEIGHED,
)
# As they agree today, when the sale is among the habits of whoever has it.
TODAY = {"card": "same", "plate": "differs", "station": "usual", "rhythm": "due"}


def candidate(member_id: str, **levels: str) -> Candidate:
    return Candidate(member_id=member_id, levels=levels)


def judged(stored: StoredSale, *candidates: Candidate) -> JudgedSale:
    return judged_sale(stored, candidates, block_members=None)


def ruled(ruling: Ruling, **changes: Any) -> StoredSale:
    applied = AppliedRuling(ruling=ruling, ruled_at=RECEIVED_AT, held=holdings((), ruling))
    return replace(STORED, ruled=applied, **changes)


def assigned(member_id: str) -> StoredSale:
    return ruled(
        assign(
            SALE.sale_id, member_id, volume_ml=1, amount_fen=1, number=1, actor="op", reason="why"
        ),
        member_id=member_id,
    )


def declined(verdict: Verdict, asked: str | None = None) -> StoredSale:
    return ruled(
        decline(SALE.sale_id, verdict, asked=asked, number=1, actor="op", reason="why"),
        member_id=None,
    )


# --- habits -------------------------------------------------------------------------------------


def test_habits_of_whom_it_was_given_to_are_those_of_the_decision() -> None:
    (levels,) = judged(STORED, candidate("m1", **TODAY)).levels

    assert levels == {"card": "same", "plate": "differs", "station": "new"}


def test_habits_of_others_are_todays_but_for_the_rhythm() -> None:
    _, levels = judged(STORED, candidate("m1", **TODAY), candidate("m2", **TODAY)).levels

    assert levels == {"card": "same", "plate": "differs", "station": "usual"}


def test_who_got_a_sale_by_a_ruling_has_it_among_their_habits_by_now() -> None:
    before, after = judged(
        assigned("m2"), candidate("m1", **TODAY), candidate("m2", **TODAY)
    ).levels

    assert before["station"] == "new"
    assert "station" not in after


@pytest.mark.parametrize("plate", ["same", "close"])
def test_who_is_known_by_the_car_has_no_habits_of_their_own(plate: str) -> None:
    (levels,) = judged(STORED, candidate("m1", **{**TODAY, "plate": plate})).levels

    assert levels == {"card": "same", "plate": plate}


def test_a_sale_nobody_weighed_has_no_habits_but_todays() -> None:
    nobodys = replace(STORED, decision=None, member_id=None, status=Status.NOBODYS)

    (levels,) = judged(nobodys, candidate("m1", **TODAY)).levels

    assert levels["station"] == "usual"


# --- what people said ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "maker"),
    [
        (STORED, None),
        (assigned("m1"), 0),
        (assigned("m2"), 1),
        (assigned("somebody else"), NOBODY),
        (declined(Verdict.NONE), NOBODY),
        (declined(Verdict.ASK, asked="m1"), None),
        (replace(STORED, claimed_by=frozenset({"m1"})), 0),
        (replace(STORED, claimed_by=frozenset({"m2"})), None),
        (replace(STORED, claimed_by=frozenset({"m1", "m2"})), None),
        (
            replace(
                STORED,
                claimed_by=frozenset({"m2"}),
                member_id=None,
                status=Status.PENDING,
            ),
            None,
        ),
    ],
)
def test_a_sale_is_as_confirmed_as_people_made_it(stored: StoredSale, maker: int | None) -> None:
    found = judged(stored, candidate("m2", card="same"), candidate("m1", card="same"))

    assert found.maker == maker
    assert found.member_id == (None if maker is None else "" if maker == NOBODY else str(maker))


def test_who_denied_a_sale_is_known_not_to_have_made_it() -> None:
    denied = replace(STORED, denied_by=frozenset({"m2", "gone"}))

    assert judged(denied, candidate("m1"), candidate("m2")).denied == {1}


# --- which sales --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (STORED, True),
        (replace(STORED, status=Status.UNMATCHED), True),
        (replace(STORED, status=Status.HELD), False),
        (replace(STORED, status=Status.RECEIVED), False),
        (replace(STORED, evidence=()), False),
        (replace(STORED, sale=replace(STORED.sale, test_delivery=True)), False),
        (assigned("m1"), True),
        (
            ruled(
                split(
                    SALE.sale_id,
                    {"m1": 1, "m2": 1},
                    volume_ml=2,
                    amount_fen=2,
                    number=1,
                    actor="op",
                    reason="why",
                )
            ),
            False,
        ),
    ],
)
def test_a_sale_teaches_that_was_weighed_and_had_one_maker(
    stored: StoredSale, *, expected: bool
) -> None:
    assert teaches(stored) is expected


def test_the_same_sales_are_drawn_whatever_order_they_come_in() -> None:
    sales = [
        replace(STORED, sale=replace(sale(transaction=number), evidence=()))
        for number in range(1, 40)
    ]

    drawn = sampled(sales, most=10)

    ids = [each.sale.sale_id for each in drawn]
    assert len(ids) == 10
    assert ids == sorted(ids)
    assert sampled(reversed(sales), most=10) == drawn
    assert sampled(sales[:5], most=10) == sorted(sales[:5], key=lambda each: each.sale.sale_id)


def test_one_sale_in_five_is_held_back() -> None:
    held_back = sum(is_held_back(f"sale-{number}") for number in range(5_000))

    assert held_back == pytest.approx(1_000, abs=100)


def test_a_line_says_all_there_is_and_names_nobody() -> None:
    found = judged_sale(
        replace(STORED, denied_by=frozenset({"m2"}), claimed_by=frozenset({"m1"})),
        [candidate("m1", card="same"), candidate("m2", card="differs")],
        block_members=12,
    )

    line = judged_to_line(found)

    assert judged_from_line(line) == found
    assert b"m1" not in line
    assert [each.member_id for each in found.candidates] == ["0", "1"]
