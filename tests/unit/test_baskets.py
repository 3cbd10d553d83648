"""What of a receipt earns: discounts, excluded goods, points and stored value, lines and sales."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.baskets import (
    NOT_EARNING,
    Basket,
    BasketTerms,
    Bought,
    Category,
    Line,
    Means,
    Payment,
    bought,
    share_of,
    terms_from_document,
)
from forecourt.documents import BasketsDocument
from forecourt.program import Basis, EarnRule, Program, Scope, Trace, evaluate
from forecourt.rounding import Rounding, apportion
from forecourt.stored_baskets import (
    ToldBasket,
    is_difference,
    told_basket_from_map,
    told_basket_to_map,
)
from tests.specimens import sale

if TYPE_CHECKING:
    from forecourt.sales import Sale

FILL = sale(volume_ml=40_000, amount_fen=30_000)
FUEL = Line(category=Category.FUEL, amount_fen=30_000, grade="92", volume_ml=40_000)
A_YUAN = EarnRule(
    rule_id="yuan",
    grades=frozenset(),
    basis=Basis.AMOUNT,
    points=1,
    per=100,
    minimum=0,
    rounding=Rounding.FLOOR,
    categories=frozenset(Category) - {Category.DISCOUNT},
)
A_LITRE = replace(
    A_YUAN, rule_id="litre", basis=Basis.VOLUME, per=1000, categories=frozenset({Category.FUEL})
)
PROGRAM = Program(
    version=7,
    zone=ZoneInfo("Asia/Shanghai"),
    rules=(A_YUAN,),
    validity=None,
    baskets=BasketTerms(),
)


def line(category: Category, amount_fen: int) -> Line:
    return Line(category=category, amount_fen=amount_fen)


def basket(*lines: Line, **paid: int) -> Basket:
    """Return a receipt; what is not *paid* otherwise is paid in cash."""
    total = FUEL.amount_fen + sum(each.amount_fen for each in lines)
    payments = [Payment(by=Means(by), amount_fen=amount) for by, amount in paid.items()]
    cash = total - sum(paid.values())
    if cash:
        payments.append(Payment(by=Means.CASH, amount_fen=cash))
    return Basket(lines=(FUEL, *lines), payments=tuple(payments))


def points(
    receipt: Basket,
    *rules: EarnRule,
    terms: BasketTerms | None = PROGRAM.baskets,
    fill: Sale = FILL,
) -> int:
    program = replace(PROGRAM, rules=rules or PROGRAM.rules, baskets=terms)
    return evaluate(program, fill, receipt).points


SHOP = line(Category.SHOP, 2_000)


def test_three_lines_of_half_a_point_are_one_point_by_the_sale_and_none_by_the_line() -> None:
    halves = basket(*[line(Category.SHOP, 50)] * 3)
    by_sale = replace(A_YUAN, categories=frozenset({Category.SHOP}))
    by_line = replace(by_sale, scope=Scope.LINE)

    assert (points(halves, by_sale), points(halves, by_line)) == (1, 0)


@pytest.mark.parametrize(
    ("rounding", "by_line", "by_sale"),
    [
        (Rounding.FLOOR, 0, 1),
        (Rounding.HALF_UP, 3, 2),
        (Rounding.HALF_EVEN, 0, 2),
        (Rounding.CEILING, 3, 2),
    ],
)
def test_each_rounding_mode_rounds_by_its_scope(
    rounding: Rounding, by_line: int, by_sale: int
) -> None:
    halves = basket(*[line(Category.SHOP, 50)] * 3)
    rule = replace(A_YUAN, categories=frozenset({Category.SHOP}), rounding=rounding)

    assert points(halves, replace(rule, scope=Scope.LINE)) == by_line
    assert points(halves, rule) == by_sale


def test_a_minimum_is_of_a_line_or_of_the_sale_as_the_scope_says() -> None:
    two = basket(line(Category.SHOP, 600), line(Category.SHOP, 400))
    by_sale = replace(A_YUAN, categories=frozenset({Category.SHOP}), minimum=500)

    assert points(two, by_sale) == 10
    assert points(two, replace(by_sale, scope=Scope.LINE)) == 6
    assert points(two, replace(by_sale, minimum=1_001)) == 0


def test_a_discount_reduces_what_is_counted() -> None:
    assert points(basket(SHOP)) == 320
    assert points(basket(SHOP, line(Category.DISCOUNT, -1_000))) == 310


def test_a_discount_on_the_shop_leaves_the_fuel_alone() -> None:
    receipt = basket(SHOP, line(Category.SHOP, -500))

    assert points(receipt, replace(A_YUAN, categories=frozenset({Category.FUEL}))) == 300
    assert points(receipt, replace(A_YUAN, categories=frozenset({Category.SHOP}))) == 15


def test_a_discount_on_everything_is_on_each_line_in_proportion() -> None:
    receipt = basket(line(Category.TOBACCO, 10_000), line(Category.DISCOUNT, -4_000))

    assert points(receipt) == 270  # a quarter of it was on tobacco, which does not earn anyway


@pytest.mark.parametrize("returned", [-2_000, -2_001, -30_000])
def test_lines_below_zero_never_take_what_is_counted_below_zero(returned: int) -> None:
    receipt = basket(SHOP, line(Category.SHOP, returned))

    assert points(receipt, replace(A_YUAN, categories=frozenset({Category.SHOP}))) == 0
    assert points(receipt) == 300


def test_a_discount_takes_off_money_and_not_litres() -> None:
    free = basket(line(Category.DISCOUNT, -30_000))

    assert points(free, A_LITRE) == 40
    assert points(free) == 0


@pytest.mark.parametrize(
    "category", [Category.GIFT_CARD, Category.RECHARGE, Category.LOTTERY, Category.TOBACCO]
)
def test_gift_cards_recharges_lottery_and_tobacco_do_not_earn(category: Category) -> None:
    assert points(basket(line(category, 10_000))) == 300


def test_what_is_excluded_is_the_programs_to_say() -> None:
    receipt = basket(line(Category.TOBACCO, 10_000), line(Category.CAR_WASH, 3_000))
    terms = BasketTerms(excluded=frozenset({Category.CAR_WASH}))

    assert points(receipt, terms=terms) == 400


def test_what_is_paid_with_stored_value_earns() -> None:
    assert points(basket(stored_value=30_000)) == 300


def test_of_stored_value_either_the_recharge_earns_or_its_spending_and_never_both() -> None:
    recharge = basket(line(Category.RECHARGE, 10_000))
    spending = basket(SHOP, stored_value=10_000)
    terms = BasketTerms(recharge_earns=True)

    assert [points(recharge) - 300, points(recharge, terms=terms) - 300] == [0, 100]
    assert [points(spending) - 220, points(spending, terms=terms) - 220] == [100, 0]


def test_what_is_paid_by_points_earns_nothing_unless_the_program_counts_it() -> None:
    receipt = basket(points=12_000)

    assert points(receipt) == 180
    assert points(receipt, terms=BasketTerms(redeemed_earns=True)) == 300


def test_litres_that_were_paid_by_points_earn_nothing_either() -> None:
    assert points(basket(points=12_000), A_LITRE) == 24
    assert points(basket(points=30_000), A_LITRE) == 0
    assert points(basket(points=12_000), A_LITRE, terms=BasketTerms(redeemed_earns=True)) == 40


def test_points_pay_for_each_line_in_proportion() -> None:
    receipt = basket(line(Category.SHOP, 10_000), points=8_000)

    assert points(receipt, replace(A_YUAN, categories=frozenset({Category.FUEL}))) == 240
    assert points(receipt, replace(A_YUAN, categories=frozenset({Category.SHOP}))) == 80


def test_the_litres_and_the_price_that_count_are_the_pumps() -> None:
    told = replace(FUEL, volume_ml=40_010)

    assert points(Basket(lines=(told,)), A_LITRE, fill=replace(FILL, volume_ml=39_999)) == 39


def test_each_line_is_decided_by_the_first_rule_about_it() -> None:
    double = replace(A_YUAN, rule_id="double", points=2, categories=frozenset({Category.SHOP}))
    premium = replace(A_YUAN, rule_id="95", grades=frozenset({"95"}), points=9)
    program = replace(PROGRAM, rules=(premium, double, A_LITRE, A_YUAN))

    evaluation = evaluate(program, FILL, basket(SHOP, line(Category.CAR_WASH, 3_000)))

    assert evaluation.trace == (
        Trace(rule_id="95", outcome="earned", points=9 * 50),
        Trace(rule_id="litre", outcome="earned", points=40),
    )


def test_a_rule_about_other_goods_does_not_make_fuel_earn() -> None:
    shop = replace(A_YUAN, categories=frozenset({Category.SHOP}))

    assert evaluate(replace(PROGRAM, rules=(shop,)), FILL, basket()).trace == (
        Trace(rule_id="", outcome="no_rule"),
    )


def test_a_program_without_baskets_counts_the_fuel_alone() -> None:
    receipt = basket(SHOP, line(Category.DISCOUNT, -1_000), points=12_000)

    assert points(receipt, terms=None) == 300


def test_a_sale_without_a_receipt_earns_by_the_pump() -> None:
    assert evaluate(PROGRAM, FILL).points == 300


def test_a_rule_that_counts_the_litres_of_goods_is_refused() -> None:
    with pytest.raises(ValueError, match="litre"):
        replace(A_LITRE, categories=frozenset({Category.FUEL, Category.SHOP}))


@pytest.mark.parametrize(
    ("lines", "payments"),
    [
        ((), ()),
        ((FUEL, FUEL), ()),
        ((SHOP,), ()),
        ((FUEL, line(Category.SHOP, -30_001)), ()),
        ((FUEL,), (Payment(by=Means.CASH, amount_fen=29_999),)),
    ],
)
def test_a_receipt_that_does_not_add_up_is_refused(
    lines: tuple[Line, ...], payments: tuple[Payment, ...]
) -> None:
    with pytest.raises(ValueError, match=r"\("):
        Basket(lines=lines, payments=payments)


AMOUNTS = st.integers(-50_000, 50_000)
GOODS = st.builds(line, st.sampled_from([Category.SHOP, Category.TOBACCO]), AMOUNTS)
DISCOUNTS = st.builds(line, st.just(Category.DISCOUNT), st.integers(-40_000, -1))


@given(
    lines=st.lists(GOODS | DISCOUNTS, max_size=6),
    share=st.integers(0, 100),
    terms=st.builds(
        BasketTerms,
        excluded=st.sampled_from([NOT_EARNING, frozenset[Category]()]),
        redeemed_earns=st.booleans(),
    ),
)
def test_what_counts_is_between_nothing_and_what_was_paid(
    lines: list[Line], share: int, terms: BasketTerms
) -> None:
    total = FUEL.amount_fen + sum(each.amount_fen for each in lines)
    by_points = total * share // 100
    if total < 0:
        return
    receipt = basket(*lines, **({"points": by_points} if by_points else {}))

    counted = bought(receipt, FILL, terms)

    gross = sum(max(each.amount_fen, 0) for each in receipt.lines)
    assert all(each.amount_fen >= 0 and 0 <= each.volume_ml <= 40_000 for each in counted)
    assert sum(each.amount_fen for each in counted) <= gross
    if not any(each.amount_fen < 0 for each in lines if each.category is not Category.DISCOUNT):
        assert sum(each.amount_fen for each in counted) <= total - (
            0 if terms.redeemed_earns else by_points
        )


def test_shares_of_what_was_bought_are_no_more_than_all_of_it() -> None:
    lines = bought(basket(line(Category.SHOP, 1_000)), FILL, BasketTerms())
    third = replace(FILL, volume_ml=13_333, amount_fen=10_000)

    assert share_of(lines, third, FILL) == (
        Bought(number="1", category=Category.FUEL, grade="92", volume_ml=13_333, amount_fen=10_000),
        Bought(number="2", category=Category.SHOP, grade=None, volume_ml=0, amount_fen=333),
    )
    assert share_of(lines, FILL, FILL) == lines


@given(weights=st.lists(st.integers(0, 1000), max_size=8), data=st.data())
def test_what_is_apportioned_is_all_there_is_and_no_part_exceeds_its_weight(
    weights: list[int], data: st.DataObject
) -> None:
    whole = data.draw(st.integers(0, sum(weights)))

    parts = apportion(whole, weights)

    assert sum(parts) == whole
    assert all(0 <= part <= weight for part, weight in zip(parts, weights, strict=True))


def test_the_largest_remainders_get_what_does_not_divide_the_first_among_equals() -> None:
    assert apportion(10, [1, 1, 1]) == [4, 3, 3]
    assert apportion(10, [1, 2, 3]) == [2, 3, 5]
    assert apportion(7, []) == []


def test_a_documents_terms_are_the_stated_ones_unless_it_says_otherwise() -> None:
    document = BasketsDocument().model_dump(mode="json")

    assert terms_from_document(document) == BasketTerms()
    assert terms_from_document({**document, "stored_value": "recharge"}) == BasketTerms(
        recharge_earns=True
    )
    assert terms_from_document(None) is None


def test_a_receipt_survives_the_table() -> None:
    told = ToldBasket(
        basket=basket(SHOP, points=500),
        telling_id="20261123T081730Z.s0001.till.R-1",
        after=("sale", "sale~1+m2"),
    )

    assert told_basket_from_map(told_basket_to_map(told)) == told
    assert told.difference_id("sale~1+m2") == "sale~1+m2~basket.R-1"
    assert is_difference("sale~1+m2~basket.R-1")
    assert not is_difference("sale~1+m2")
