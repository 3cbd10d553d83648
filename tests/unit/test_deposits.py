"""What a program gives on top of paid-in money, and what of the money is left to be refunded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.deposits import PRINCIPAL, Bonus, bonus_for, principal_left
from forecourt.ledger import commands as c
from forecourt.program import program_from_document
from tests.unit.books import Ledger
from tests.unit.test_wallets import STORED_VALUE, document, found, program

STEPS = [{"from_fen": 50_000, "bonus_fen": 2_000}, {"from_fen": 100_000, "bonus_fen": 10_000}]


def test_a_programs_bonuses_are_those_of_its_document_and_old_documents_have_none() -> None:
    said = program(stored_value={**STORED_VALUE, "bonuses": STEPS}).bonuses

    assert said == tuple(Bonus(**step) for step in STEPS)
    assert (program().bonuses, program(stored_value=STORED_VALUE).bonuses) == ((), ())
    old = document({"stored_value": STORED_VALUE}).model_dump(mode="json")
    del old["wallets"]["stored_value"]["bonuses"]
    assert program_from_document(old, version=1).bonuses == ()


@pytest.mark.parametrize(
    ("paid", "bonus"), [(1, 0), (49_999, 0), (50_000, 2_000), (99_999, 2_000), (100_000, 10_000)]
)
def test_the_highest_step_that_is_reached_decides(paid: int, bonus: int) -> None:
    steps = [Bonus(**step) for step in STEPS]

    assert bonus_for(paid, steps) == bonus_for(paid, steps[::-1]) == bonus
    assert bonus_for(paid, ()) == 0


@given(
    st.integers(1, 5_000),
    st.integers(0, 5_000),
    st.lists(st.integers(1, 2_000), min_size=1, max_size=6),
)
def test_of_whatever_parts_money_is_refunded_what_is_left_is_the_rest_of_it(
    paid: int, bonus: int, parts: list[int]
) -> None:
    books = Ledger(principal_only=True)
    deposit = books.earn(paid, None, bonus=bonus, items={PRINCIPAL: paid})
    left = paid
    for number, part in enumerate(parts):
        if part > left:
            break
        books.reverse(deposit, c.Share(part=part, whole=paid), document=str(number))
        left -= part
        reversed_fen = books.notes[deposit.entry_id].reversed
        assert principal_left(deposit, reversed_fen) == left
        assert books.account().buckets.get(None, 0) == left

    assert books.account().debt == 0


@pytest.mark.parametrize(
    ("bonuses", "expected"),
    [
        (STEPS, []),
        (
            [STEPS[1], STEPS[0]],
            [
                ("error", "bonus_not_above_the_last", "/wallets/stored_value/bonuses/1/from_fen"),
                (
                    "warning",
                    "bonus_below_a_lower_steps",
                    "/wallets/stored_value/bonuses/1/bonus_fen",
                ),
            ],
        ),
        (
            [STEPS[0], STEPS[0]],
            [("error", "bonus_not_above_the_last", "/wallets/stored_value/bonuses/1/from_fen")],
        ),
        ([{"from_fen": 450_000, "bonus_fen": 50_000}], []),
        (
            [{"from_fen": 450_000, "bonus_fen": 50_001}],
            [("error", "bonus_above_ceiling", "/wallets/stored_value/bonuses/0")],
        ),
    ],
)
def test_what_is_wrong_or_odd_about_bonuses_is_found(
    bonuses: list[dict[str, int]], expected: list[tuple[str, str, str]]
) -> None:
    assert found({"stored_value": {**STORED_VALUE, "bonuses": bonuses}}) == expected


@pytest.mark.parametrize(
    "bonus", [{"from_fen": 0, "bonus_fen": 1}, {"from_fen": 1, "bonus_fen": 0}, {"from_fen": 1}]
)
def test_a_bonus_of_nothing_or_for_nothing_has_no_document(bonus: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="bonuses"):
        document({"stored_value": {**STORED_VALUE, "bonuses": [bonus]}})
