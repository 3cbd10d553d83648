from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.rulings import Ruling, Verdict, assign, movements, split

SALE = "20261123T081500Z.s0001.SN4711.3.4711.123456789"
WHOLE: dict[str, Any] = {"volume_ml": 39_990, "amount_fen": 30_232, "actor": "op", "reason": "r"}
FIRST = assign(SALE, "anna", number=1, **WHOLE)


def none(number: int) -> Ruling:
    return replace(FIRST, number=number, verdict=Verdict.NONE, shares=())


def test_reassigning_takes_from_one_member_exactly_what_the_other_gets() -> None:
    taken, given_ = movements(FIRST, assign(SALE, "bert", number=2, **WHOLE))

    assert (taken.share.member_id, taken.reverses) == ("anna", True)
    assert (given_.share.member_id, given_.reverses) == ("bert", False)
    assert taken.share.volume_ml == given_.share.volume_ml == 39_990


def test_the_first_ruling_takes_nothing_back() -> None:
    (moved,) = movements(None, FIRST)

    assert not moved.reverses


def test_the_same_ruling_again_moves_nothing() -> None:
    assert movements(FIRST, assign(SALE, "anna", number=2, **WHOLE)) == ()


def test_nobodys_sale_is_taken_back_and_given_to_no_one() -> None:
    (moved,) = movements(FIRST, none(2))

    assert moved.reverses


def test_movements_of_different_rulings_never_share_an_id() -> None:
    there = movements(FIRST, assign(SALE, "bert", number=2, **WHOLE))
    back = movements(
        assign(SALE, "bert", number=2, **WHOLE), assign(SALE, "anna", number=3, **WHOLE)
    )

    assert len({each.movement_id for each in (*movements(None, FIRST), *there, *back)}) == 5


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


@pytest.mark.parametrize("number", [1, 3])
def test_a_ruling_that_does_not_follow_the_last_one_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match=str(number)):
        movements(FIRST, none(number))
