from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.baskets import Basket, Category, Line, Means, Payment
from forecourt.retellings import (
    WINDOW,
    Conflict,
    Source,
    Telling,
    merge,
    sale_of,
)

NOON = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
PUMP = Telling(
    source=Source.PUMP,
    told_id="pump-1",
    station_id="s0001",
    at=NOON,
    amount_fen=30_232,
    nozzle=3,
    volume_ml=39_990,
)
TILL = replace(PUMP, source=Source.TILL, told_id="till-1", at=NOON + timedelta(minutes=3))
PAYMENT = Telling(
    source=Source.PAYMENT,
    told_id="pay-1",
    station_id="s0001",
    at=NOON + timedelta(minutes=4),
    amount_fen=30_232,
)
TELLINGS = st.builds(
    Telling,
    source=st.sampled_from(Source),
    told_id=st.sampled_from(["a", "b", "c", "d"]),
    station_id=st.just("s0001"),
    at=st.integers(0, 20).map(lambda minutes: NOON + timedelta(minutes=minutes)),
    amount_fen=st.sampled_from([10_000, 20_000]),
    nozzle=st.sampled_from([None, 1, 2]),
    volume_ml=st.sampled_from([None, 13_000, 26_000]),
)


def test_three_sources_that_agree_are_one_sale() -> None:
    (sale,) = merge([PAYMENT, TILL, PUMP])

    assert sale.sources == (Source.PUMP, Source.TILL, Source.PAYMENT)
    assert sale.held_because is None


RECEIPT = replace(
    TILL,
    amount_fen=30_232 + 1_500 - 1_000,
    volume_ml=None,
    basket=Basket(
        lines=(
            Line(category=Category.FUEL, amount_fen=30_232, grade="92", volume_ml=39_990),
            Line(category=Category.SHOP, amount_fen=1_500),
            Line(category=Category.DISCOUNT, amount_fen=-1_000),
        ),
        payments=(
            Payment(by=Means.POINTS, amount_fen=2_000),
            Payment(by=Means.WALLET, amount_fen=28_732),
        ),
    ),
)


@pytest.mark.parametrize("paid_fen", [30_732, 28_732, 30_232])
def test_a_receipt_tells_of_its_fill_and_a_payment_of_the_receipt(paid_fen: int) -> None:
    (sale,) = merge([replace(PAYMENT, amount_fen=paid_fen), RECEIPT, PUMP])

    assert sale.sources == (Source.PUMP, Source.TILL, Source.PAYMENT)
    assert sale.held_because is None


def test_a_payment_of_another_amount_is_not_of_this_receipt() -> None:
    sales = merge([replace(PAYMENT, amount_fen=30_733), RECEIPT, PUMP])

    assert [each.sources for each in sales] == [(Source.PUMP, Source.TILL), (Source.PAYMENT,)]


def test_a_receipt_whose_fuel_had_another_price_contradicts() -> None:
    dearer = replace(PUMP, amount_fen=30_732)  # what the whole receipt comes to

    (sale,) = merge([RECEIPT, dearer])

    assert sale.held_because is Conflict.AMOUNT_DIFFERS


def test_a_receipt_with_other_litres_contradicts() -> None:
    (sale,) = merge([RECEIPT, replace(PUMP, volume_ml=39_900)])

    assert sale.held_because is Conflict.VOLUME_DIFFERS


def test_a_telling_that_comes_again_changes_nothing() -> None:
    assert merge([PUMP, TILL, TILL, PUMP]) == merge([PUMP, TILL])


@given(st.lists(TELLINGS, max_size=8), st.randoms())
def test_the_order_of_arrival_changes_nothing(tellings: list[Telling], random: object) -> None:
    shuffled = sorted(tellings, key=lambda _: random.random())  # type: ignore[attr-defined]

    assert merge(shuffled) == merge(tellings)


@given(st.lists(TELLINGS, max_size=8))
def test_nothing_told_is_lost_or_told_of_two_sales(tellings: list[Telling]) -> None:
    told = [each for sale in merge(tellings) for each in sale.tellings]

    assert len(told) == len(set(told))
    assert set(told) == set(tellings)


@given(st.lists(TELLINGS, max_size=8))
def test_a_sale_that_is_not_held_has_each_source_once_and_one_amount(
    tellings: list[Telling],
) -> None:
    for sale in merge(tellings):
        if sale.held_because is None:
            assert len(sale.sources) == len(sale.tellings)
            assert len({each.amount_fen for each in sale.tellings}) == 1


def test_two_sales_of_one_nozzle_are_told_apart_by_their_amounts() -> None:
    second = replace(PUMP, told_id="pump-2", amount_fen=20_000, at=NOON + timedelta(minutes=5))

    sales = merge([PUMP, second, TILL, PAYMENT])

    assert [len(sale.tellings) for sale in sales] == [3, 1]
    assert all(sale.held_because is None for sale in sales)


@pytest.mark.parametrize(
    ("told", "conflict"),
    [
        (replace(TILL, amount_fen=30_000), Conflict.AMOUNT_DIFFERS),
        (replace(TILL, volume_ml=40_001), Conflict.VOLUME_DIFFERS),
    ],
)
def test_a_till_that_contradicts_its_pump_is_held_with_it(
    told: Telling, conflict: Conflict
) -> None:
    (sale,) = merge([PUMP, told])

    assert sale.held_because is conflict


def test_hundredths_of_a_litre_are_no_contradiction() -> None:
    (sale,) = merge([PUMP, replace(TILL, volume_ml=PUMP.volume_ml and PUMP.volume_ml + 10)])

    assert sale.held_because is None


def test_a_payment_that_fits_two_pumps_joins_neither_and_all_are_held() -> None:
    twin = replace(PUMP, told_id="pump-2", nozzle=4)

    sales = merge([PUMP, twin, PAYMENT])

    assert len(sales) == 3
    assert {sale.held_because for sale in sales} == {Conflict.AMBIGUOUS}


def test_one_sale_paid_twice_is_held() -> None:
    (sale,) = merge([PUMP, PAYMENT, replace(PAYMENT, told_id="pay-2")])

    assert sale.held_because is Conflict.TOLD_TWICE


def test_a_source_that_contradicts_itself_is_held() -> None:
    (sale,) = merge([PAYMENT, replace(PAYMENT, amount_fen=1)])

    assert sale.held_because is Conflict.TOLD_TWICE


@pytest.mark.parametrize(("late", "sales"), [(WINDOW, 1), (WINDOW + timedelta(seconds=1), 2)])
def test_the_last_second_of_the_window_counts(late: timedelta, sales: int) -> None:
    assert len(merge([PUMP, replace(TILL, at=NOON + late)])) == sales


def test_another_station_is_another_sale() -> None:
    assert len(merge([PUMP, replace(TILL, station_id="s0002")])) == 2


def test_a_payment_without_a_pump_waits_as_a_sale_of_its_own() -> None:
    (sale,) = merge([PAYMENT])

    assert (sale.sources, sale.held_because) == ((Source.PAYMENT,), None)


def test_a_telling_belongs_to_the_sale_the_pump_told() -> None:
    one = sale_of(PAYMENT, [PUMP, TILL, replace(PUMP, told_id="pump-2", amount_fen=1, nozzle=9)])

    assert one.pump == PUMP
    assert one.sources == (Source.PUMP, Source.TILL, Source.PAYMENT)
    assert one.contradicted_by is None


def test_a_telling_without_a_pump_is_a_sale_of_its_own_for_now() -> None:
    one = sale_of(TILL, [])

    assert (one.pump, one.tellings) == (None, (TILL,))


def test_two_sales_of_one_amount_are_both_left_alone_by_a_payment_that_fits_either() -> None:
    neighbour = replace(PUMP, told_id="pump-2", nozzle=4)

    payment, pump = (sale_of(each, [PUMP, neighbour, PAYMENT]) for each in (PAYMENT, PUMP))

    assert (payment.pump, payment.held_because) == (None, Conflict.AMBIGUOUS)
    assert (pump.pump, pump.contradicted_by) == (PUMP, None)


def test_a_till_that_says_another_amount_contradicts_the_sale() -> None:
    one = sale_of(replace(TILL, amount_fen=1), [PUMP])

    assert (one.pump, one.contradicted_by) == (PUMP, Conflict.AMOUNT_DIFFERS)
