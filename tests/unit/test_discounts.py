"""A reward on a fill: the lowest price, the exact nothing, and what is left over."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.discounts import (
    DiscountTerms,
    Unused,
    litres_for,
    price_of,
    quote_per_litre,
    quote_sum,
    terms_from_document,
)
from forecourt.documents import DiscountsDocument

PRICE = 7_569  # 7.569 yuan a litre
FILL = {"volume_ml": 40_000, "unit_price_milli_per_litre": PRICE}


def test_a_reward_per_litre_lowers_the_price_in_thousandths_of_a_yuan() -> None:
    quote = quote_per_litre(305, lowest=0, **FILL)

    assert quote.unit_price_milli_per_litre == 7_264
    assert (quote.amount_fen, quote.to_pay_fen, quote.discount_fen) == (30_276, 29_056, 1_220)
    assert quote.unused_fen == 0


@pytest.mark.parametrize(
    ("reward", "price", "unused_fen"),
    [(569, 7_000, 0), (570, 7_000, 4), (1_200, 7_000, 2_524)],
)
def test_no_reward_takes_a_litre_below_the_lowest_price_of_its_grade(
    reward: int, price: int, unused_fen: int
) -> None:
    quote = quote_per_litre(reward, lowest=7_000, **FILL)

    assert (quote.unit_price_milli_per_litre, quote.unused_fen) == (price, unused_fen)
    assert quote.to_pay_fen == 28_000


def test_a_sum_takes_no_litre_below_the_lowest_price_either() -> None:
    quote = quote_sum(5_000, lowest=7_000, **FILL)

    assert (quote.to_pay_fen, quote.discount_fen, quote.unused_fen) == (28_000, 2_276, 2_724)
    assert quote.unit_price_milli_per_litre == 7_000


@pytest.mark.parametrize("reward", [PRICE, PRICE + 1, 1_000_000])
def test_a_whole_price_taken_off_leaves_exactly_nothing_to_pay(reward: int) -> None:
    quote = quote_per_litre(reward, lowest=0, **FILL)

    assert (quote.unit_price_milli_per_litre, quote.to_pay_fen) == (0, 0)
    assert quote.discount_fen == quote.amount_fen


@pytest.mark.parametrize(("reward", "unused"), [(30_276, 0), (30_277, 1), (50_000, 19_724)])
def test_a_discount_above_the_total_is_clipped_and_the_rest_is_told(
    reward: int, unused: int
) -> None:
    quote = quote_sum(reward, lowest=0, **FILL)

    assert (quote.to_pay_fen, quote.unit_price_milli_per_litre) == (0, 0)
    assert (quote.discount_fen, quote.unused_fen) == (30_276, unused)


def test_what_is_cheaper_than_the_lowest_price_already_gets_no_discount() -> None:
    terms = DiscountTerms(minimum_prices={"92": 8_000})
    lowest = terms.lowest("92", PRICE)

    assert quote_per_litre(300, lowest=lowest, **FILL).discount_fen == 0
    quote = quote_sum(300, lowest=lowest, **FILL)
    assert (quote.discount_fen, quote.unused_fen) == (0, 300)
    assert quote.unit_price_milli_per_litre == PRICE
    assert terms.lowest("95", PRICE) == 0


def test_a_sum_buys_no_more_litres_than_it_pays_for() -> None:
    assert litres_for(20_000, unit_price_milli_per_litre=PRICE) == 26_423
    assert price_of(26_423, PRICE) <= 20_000
    assert litres_for(1, unit_price_milli_per_litre=1_000_000) == 0


@given(
    volume_ml=st.integers(1, 2_000_000),
    price=st.integers(1, 20_000),
    lowest=st.integers(0, 20_000),
    reward=st.integers(0, 2_000_000),
)
def test_every_quote_adds_up_and_stays_above_the_lowest_price(
    volume_ml: int, price: int, lowest: int, reward: int
) -> None:
    lowest = min(lowest, price)
    fill = {"volume_ml": volume_ml, "unit_price_milli_per_litre": price, "lowest": lowest}

    by_sum = quote_sum(reward, **fill)
    by_litre = quote_per_litre(reward, **fill)

    for quote in (by_sum, by_litre):
        assert 0 <= quote.discount_fen <= quote.amount_fen
        assert quote.unused_fen >= 0
        assert lowest <= quote.unit_price_milli_per_litre <= price
        # Half a fen is what rounding a price may lose.
        assert quote.to_pay_fen >= Fraction(volume_ml * lowest, 10_000) - Fraction(1, 2)
    assert by_sum.discount_fen + by_sum.unused_fen == reward


@pytest.mark.parametrize("unused", Unused)
def test_what_becomes_of_the_rest_is_the_programs_to_say(unused: Unused) -> None:
    document = DiscountsDocument.model_validate(
        {"minimum_prices": {"92": 6_500}, "unused": str(unused)}
    )

    terms = terms_from_document(document.model_dump(mode="json"))

    assert terms == DiscountTerms(minimum_prices={"92": 6_500}, unused=unused)


def test_without_a_word_on_discounts_the_rest_is_kept_and_no_price_too_low() -> None:
    assert terms_from_document(None) == DiscountTerms(minimum_prices={}, unused=Unused.KEPT)
