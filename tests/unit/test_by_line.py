"""What each line of a receipt earned: parts that are all of it, whichever entry they came by."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.baskets import Basket, BasketTerms, Category, Line
from forecourt.by_line import divided, earned_by_line, in_proportion
from forecourt.program import Basis, EarnRule, Program, Scope, evaluate
from forecourt.rounding import Rounding
from tests.specimens import sale

FILL = sale(volume_ml=40_000, amount_fen=30_000)
FUEL = Line(category=Category.FUEL, amount_fen=30_000, grade=FILL.grade, volume_ml=40_000)


def shop(amount_fen: int) -> Line:
    return Line(category=Category.SHOP, amount_fen=amount_fen)


def program(*, scope: Scope = Scope.SALE, rounding: Rounding = Rounding.FLOOR) -> Program:
    rules = [
        EarnRule(
            rule_id=str(category),
            grades=frozenset(),
            basis=Basis.AMOUNT,
            points=1,
            per=100,
            minimum=0,
            rounding=rounding,
            categories=frozenset({category}),
            scope=scope,
        )
        for category in (Category.FUEL, Category.SHOP)
    ]
    return Program(
        version=1,
        zone=ZoneInfo("Asia/Shanghai"),
        rules=tuple(rules),
        validity=None,
        baskets=BasketTerms(),
    )


@pytest.mark.parametrize(
    ("scope", "items"),
    [
        # Three lines of half a point are a point and a half, of which one counts.
        (Scope.SALE, {"1": 300, "2": 1}),
        (Scope.LINE, {"1": 300}),
    ],
)
def test_lines_earn_what_their_scope_says_and_the_largest_remainder_gets_what_does_not_divide(
    scope: Scope, items: dict[str, int]
) -> None:
    basket = Basket(lines=(FUEL, shop(50), shop(50), shop(50)))

    evaluation = evaluate(program(scope=scope), FILL, basket)

    assert evaluation.items == items
    assert sum(items.values()) == evaluation.points


@given(
    amounts=st.lists(st.integers(0, 5_000), max_size=8),
    off=st.integers(1, 20_000),
    scope=st.sampled_from(Scope),
    rounding=st.sampled_from(Rounding),
)
def test_what_the_lines_earned_is_always_all_that_the_sale_earned(
    amounts: list[int], off: int, scope: Scope, rounding: Rounding
) -> None:
    lines = (FUEL, *map(shop, amounts), Line(category=Category.DISCOUNT, amount_fen=-off))
    judging = program(scope=scope, rounding=rounding)

    evaluation = evaluate(judging, FILL, Basket(lines=lines))
    alone = evaluate(judging, FILL).points
    parts = earned_by_line(judging, FILL, Basket(lines=lines), whole=FILL, gave=None)

    assert sum(evaluation.items.values()) == evaluation.points
    assert sum(parts.first.values()) == min(alone, evaluation.points)
    assert sum(parts.further.values()) == max(evaluation.points - alone, 0)
    for number, points in evaluation.items.items():
        assert parts.first.get(number, 0) + parts.further.get(number, 0) == points


def test_without_a_receipt_no_line_earns_and_without_its_terms_the_fuels_line_earns_all() -> None:
    takes_no_notice = replace(program(), baskets=None)

    assert evaluate(program(), FILL).items == {}
    assert evaluate(takes_no_notice, FILL, Basket(lines=(shop(500), FUEL))).items == {"2": 300}


@pytest.mark.parametrize(
    ("first", "given_first", "further"),
    [
        (40, {"2": 40}, {"1": 15, "10": 5}),
        (45, {"2": 40, "1": 5}, {"1": 10, "10": 5}),
        (70, {"2": 40, "1": 15, "10": 5}, {}),
        (0, {}, {"2": 40, "1": 15, "10": 5}),
    ],
)
def test_the_fuels_line_comes_first_and_the_others_in_the_order_of_the_receipt(
    first: int, given_first: dict[str, int], further: dict[str, int]
) -> None:
    lines = divided(first, {"10": 5, "1": 15, "2": 40}, fuel="2")

    assert (lines.first, lines.further) == (given_first, further)


def test_of_fewer_points_each_line_has_its_part() -> None:
    assert in_proportion(36, {"1": 39, "2": 15}) == {"1": 26, "2": 10}
    assert in_proportion(1, {"1": 39, "2": 15}) == {"1": 1}
    assert in_proportion(5, {}) == {}
