from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.rulings import (
    Holding,
    Ruling,
    Verdict,
    assign,
    carried_over,
    decline,
    holdings,
    movements,
    sale_of_entry,
    split,
)

SALE = "20261123T081500Z.s0001.SN4711.3.4711.123456789"
WHOLE: dict[str, Any] = {"volume_ml": 39_990, "amount_fen": 30_232, "actor": "op", "reason": "r"}
FIRST = assign(SALE, "anna", number=1, **WHOLE)
SECOND = assign(SALE, "bert", number=2, **WHOLE)


def none(number: int) -> Ruling:
    return decline(SALE, Verdict.NONE, number=number, actor="op", reason="r")


def after(*rulings: Ruling) -> tuple[Holding, ...]:
    """Return who has what once *rulings* were made, one after the other."""
    held: tuple[Holding, ...] = ()
    for each in rulings:
        held = holdings(held, each)
    return held


def test_reassigning_takes_from_one_member_exactly_what_the_other_gets() -> None:
    taken, given_ = movements(after(FIRST), SECOND)

    assert (taken.share.member_id, taken.reverses) == ("anna", f"{SALE}~1+anna")
    assert (given_.share.member_id, given_.reverses) == ("bert", None)
    assert taken.share.volume_ml == given_.share.volume_ml == 39_990


def test_what_is_taken_back_is_the_very_entry_that_gave_it() -> None:
    by_weighing = Holding(share=FIRST.shares[0], entry_id=SALE)

    taken, _ = movements([by_weighing], SECOND)

    assert taken.reverses == SALE


def test_the_first_ruling_takes_nothing_back() -> None:
    (moved,) = movements((), FIRST)

    assert moved.reverses is None
    assert moved.movement_id == after(FIRST)[0].entry_id


def test_the_same_share_again_moves_nothing_and_stays_where_it_was_given() -> None:
    again = assign(SALE, "anna", number=2, **WHOLE)

    assert movements(after(FIRST), again) == ()
    assert holdings(after(FIRST), again) == after(FIRST)


def test_nobodys_sale_is_taken_back_and_given_to_no_one() -> None:
    (moved,) = movements(after(FIRST), none(2))

    assert moved.reverses
    assert holdings(after(FIRST), none(2)) == ()


def test_a_sale_that_comes_back_to_a_member_is_given_by_an_entry_of_its_own() -> None:
    back = assign(SALE, "anna", number=3, **WHOLE)
    moves = [
        *movements((), FIRST),
        *movements(after(FIRST), SECOND),
        *movements(after(FIRST, SECOND), back),
    ]

    assert len({each.movement_id for each in moves}) == len(moves) == 5
    assert after(FIRST, SECOND, back)[0].entry_id != after(FIRST)[0].entry_id


def test_a_third_who_joins_a_split_changes_every_share() -> None:
    two = split(SALE, {"anna": 1, "bert": 1}, number=1, **WHOLE)
    three = split(SALE, {"anna": 1, "bert": 1, "carl": 1}, number=2, **WHOLE)

    moved = movements(after(two), three)

    assert [each.reverses is not None for each in moved] == [True, True, False, False, False]


def test_every_movement_tells_which_sale_it_is_about() -> None:
    assert {sale_of_entry(each.movement_id) for each in movements(after(FIRST), SECOND)} == {SALE}
    assert sale_of_entry(SALE) == SALE


@pytest.mark.parametrize(
    ("verdict", "asked"),
    [(Verdict.NONE, "anna"), (Verdict.ASK, None), (Verdict.ASSIGN, None), (Verdict.SPLIT, None)],
)
def test_declining_asks_somebody_or_nobody_as_the_verdict_says(
    verdict: Verdict, asked: str | None
) -> None:
    with pytest.raises(ValueError, match=verdict.name):
        decline(SALE, verdict, asked=asked, number=1, actor="op", reason="r")


@pytest.mark.parametrize(
    ("given_", "taken", "left"),
    [(39, 39, 39), (39, 0, 0), (40, 30, 29), (0, 0, 39)],
)
def test_what_a_refund_has_taken_is_not_handed_on(given_: int, taken: int, left: int) -> None:
    """Of 39 points: nothing refunded, all refunded, a quarter, and nothing known to be given."""
    assert carried_over(39, taken=taken, given=given_) == left


@given(
    st.dictionaries(st.sampled_from("abcd"), st.integers(1, 9), min_size=2),
    st.integers(0, 1_000_000),
    st.integers(0, 1_000_000),
)
def test_shares_always_add_up_to_the_sale(
    parts: dict[str, int], volume_ml: int, amount_fen: int
) -> None:
    whole = WHOLE | {"volume_ml": volume_ml, "amount_fen": amount_fen}

    ruling = split(SALE, parts, number=1, **whole)

    assert sum(each.volume_ml for each in ruling.shares) == volume_ml
    assert sum(each.amount_fen for each in ruling.shares) == amount_fen


def test_halves_of_an_odd_amount_differ_by_one() -> None:
    ruling = split(SALE, {"b": 1, "a": 1}, number=1, **(WHOLE | {"amount_fen": 101}))

    assert [each.amount_fen for each in ruling.shares] == [51, 50]


@pytest.mark.parametrize("parts", [{"a": 1}, {"a": 1, "b": 0}, dict.fromkeys("abcde", 1)])
def test_a_split_among_one_none_or_a_crowd_is_refused(parts: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="a"):
        split(SALE, parts, number=1, **WHOLE)
