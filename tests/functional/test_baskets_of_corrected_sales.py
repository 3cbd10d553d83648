"""What is ruled, refunded or merged of a sale takes its receipt along, whichever comes first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.functional.accruing import Books, merge, refund
from tests.functional.receipts import (
    HALF_BY_POINTS,
    WITH_SHOP,
    program,
    receipt,
)
from tests.specimens import SALE

if TYPE_CHECKING:
    from forecourt.baskets import Basket


@pytest.mark.parametrize("basket", [WITH_SHOP, HALF_BY_POINTS, receipt()])
@pytest.mark.parametrize("seen", ["at once", "with the ruling", "late"])
def test_reassigning_after_a_receipt_takes_back_everything_and_gives_it_to_the_next(
    books: Books, *, basket: Basket, seen: str
) -> None:
    books.judged(program())
    books.world.tell(SALE, basket)
    settled = books.records()
    if seen == "at once":
        books.catch_up(settled)

    books.world.rule(SALE, "m2")
    ruled = books.records()
    if seen == "with the ruling":
        books.catch_up([*settled, *ruled])
    else:
        books.catch_up(ruled)
    books.catch_up([*settled, *ruled, *settled])

    assert books.points("m1", "m2") == [0, {WITH_SHOP: 54, HALF_BY_POINTS: 19}.get(basket, 39)]


@pytest.mark.parametrize("basket", [WITH_SHOP, HALF_BY_POINTS])
def test_a_receipt_that_comes_after_a_ruling_is_the_next_members(
    books: Books, basket: Basket
) -> None:
    books.judged(program())
    books.world.rule(SALE, "m2")
    ruled = books.records()
    books.world.tell(SALE, basket)
    told = books.records()

    books.catch_up([*ruled, *told])
    books.catch_up([*told, *ruled])
    assert books.points("m1", "m2") == [0, 54 if basket is WITH_SHOP else 19]

    books.world.rule(SALE)
    books.catch_up()
    assert books.points("m1", "m2") == [0, 0]


def test_members_who_share_a_sale_share_what_was_bought_along(books: Books) -> None:
    books.world.activate(program())
    books.sold()
    books.world.tell(SALE, WITH_SHOP)
    books.catch_up()

    books.world.split(SALE, {"m2": 1, "m3": 2})
    books.catch_up()

    assert books.points("m1", "m2", "m3") == [0, 13 + 4, 26 + 10]  # 4.99 and 9.99 yuan


@pytest.mark.parametrize(
    ("basket", "left"), [(WITH_SHOP, 26 + 10), (HALF_BY_POINTS, 26 - 13), (receipt(), 26)]
)
def test_what_a_refund_had_taken_a_receipt_does_not_bring_back(
    books: Books, basket: Basket, left: int
) -> None:
    books.judged(program())
    refund(books, part=1, whole=3)

    books.world.tell(SALE, basket)
    books.catch_up(books.catch_up())

    assert books.points("m1") == [left]


@pytest.mark.parametrize("basket", [WITH_SHOP, HALF_BY_POINTS])
def test_a_receipt_of_a_wholly_refunded_sale_moves_nothing(books: Books, basket: Basket) -> None:
    books.judged(program())
    refund(books, part=1, whole=1)

    books.world.tell(SALE, basket)
    books.catch_up()

    assert books.points("m1") == [0]


@pytest.mark.parametrize("basket", [WITH_SHOP, HALF_BY_POINTS, receipt()])
def test_the_next_member_gets_what_a_refund_had_left_of_all_that_was_bought(
    books: Books, basket: Basket
) -> None:
    books.judged(program())
    refund(books, part=1, whole=3)
    books.world.tell(SALE, basket)
    books.catch_up()

    books.world.rule(SALE, "m2")
    books.catch_up(books.catch_up())

    # Two thirds, rounded down, of 54, 19 and 39 points.
    given = {WITH_SHOP: 36, HALF_BY_POINTS: 13, receipt(): 26}[basket]
    assert books.points("m1", "m2") == [0, given]


@pytest.mark.parametrize("told", ["before", "between", "after"])
@pytest.mark.parametrize("part", [1, 3])
@pytest.mark.parametrize("basket", [WITH_SHOP, HALF_BY_POINTS, receipt()])
def test_what_a_refund_had_taken_no_receipt_brings_back_however_often_a_sale_is_reassigned(
    books: Books, *, basket: Basket, part: int, told: str
) -> None:
    books.judged(program())
    refund(books, part=part, whole=3)

    for moment, member_id in (("before", "m2"), ("between", "m3"), ("after", "m1")):
        if moment == told:
            books.world.tell(SALE, basket)
            books.catch_up()
        books.world.rule(SALE, member_id)
        books.catch_up()

    # What a third, or all, had left of 54, 19 and 39 points, rounded down.
    left = {WITH_SHOP: 36, HALF_BY_POINTS: 13, receipt(): 26}[basket] if part == 1 else 0
    assert books.points("m1", "m2", "m3") == [left, 0, 0]


def test_a_receipt_finds_the_points_where_they_went_when_members_were_merged(
    books: Books,
) -> None:
    books.judged(program())
    merge(books, "m1", into="m3")

    books.world.tell(SALE, HALF_BY_POINTS)
    books.catch_up(books.catch_up())

    assert books.points("m3") == [19]


@pytest.mark.parametrize(("basket", "points"), [(WITH_SHOP, 54), (HALF_BY_POINTS, 19)])
def test_a_difference_finds_its_entry_when_members_are_merged_just_before_it_is_posted(
    books: Books, monkeypatch: pytest.MonkeyPatch, *, basket: Basket, points: int
) -> None:
    books.judged(program())
    books.world.tell(SALE, basket)
    loyalty = books.accrual.loyalty
    owners = loyalty.owners

    def merged_meanwhile(member_id: str) -> list[str]:
        found: list[str] = owners(member_id)
        monkeypatch.setattr(loyalty, "owners", owners)
        merge(books, "m1", into="m3")
        return found

    monkeypatch.setattr(loyalty, "owners", merged_meanwhile)
    books.catch_up(books.catch_up())

    assert books.points("m1", "m3") == [0, points]
    assert loyalty.account("m3").parked == 0


@pytest.mark.parametrize("basket", [WITH_SHOP, HALF_BY_POINTS, receipt()])
@pytest.mark.parametrize("merged", ["before the sale", "before the receipt", "before the ruling"])
def test_reassigning_finds_everything_wherever_members_were_merged(
    books: Books, *, basket: Basket, merged: str
) -> None:
    books.world.activate(program())
    books.sold()
    for moment in ("before the sale", "before the receipt", "before the ruling"):
        if moment == merged:
            merge(books, "m1", into="m3")
        if moment == "before the receipt":
            books.world.tell(SALE, basket)
        if moment != "before the ruling":
            books.catch_up()

    books.world.rule(SALE, "m2")
    books.catch_up(books.catch_up())

    assert books.points("m2", "m3") == [{WITH_SHOP: 54, HALF_BY_POINTS: 19}.get(basket, 39), 0]
    assert books.world.loyalty.account("m3").parked == 0
