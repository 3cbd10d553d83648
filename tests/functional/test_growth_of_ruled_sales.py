"""A ruling moves growth value as it moves points, once, and judges by the next member's tier."""

from __future__ import annotations

from dataclasses import replace

import pytest

from forecourt.events import events_of
from forecourt.ledger import Policies
from tests.functional.accruing import Books, merge, refund
from tests.functional.conftest import LOYALTY_TABLE
from tests.functional.tiered import tiered
from tests.specimens import SALE, earned


@pytest.mark.parametrize(("part", "left", "grown"), [(1, 26, 202), (3, 0, 0)])
def test_what_a_refund_had_taken_stays_taken_however_often_a_sale_is_reassigned(
    books: Books, *, part: int, left: int, grown: int
) -> None:
    books.judged(tiered())
    refund(books, part=part, whole=3, growth=True)

    for member_id in ("m2", "m3", "m1", "m3"):
        books.world.rule(SALE, member_id)
        books.catch_up()

    assert books.points("m1", "m2", "m3") == [0, 0, left]
    assert books.growth("m1", "m2", "m3") == [0, 0, grown]


@pytest.mark.parametrize(
    ("part", "shared", "grown"), [(1, [8, 17], [66, 134]), (3, [0, 0], [0, 0])]
)
def test_what_a_refund_had_taken_stays_taken_when_a_sale_is_shared_and_reassigned(
    books: Books, *, part: int, shared: list[int], grown: list[int]
) -> None:
    books.judged(tiered())
    refund(books, part=part, whole=3, growth=True)

    books.world.split(SALE, {"m2": 1, "m3": 2})
    books.catch_up()
    assert (books.points("m2", "m3"), books.growth("m2", "m3")) == (shared, grown)
    books.world.rule(SALE, "m1")
    books.catch_up()

    # Each share is rounded down, and no more comes back than they had.
    assert books.points("m1", "m2", "m3") == [sum(shared), 0, 0]
    assert books.growth("m1", "m2", "m3") == [sum(grown), 0, 0]


def test_growth_value_is_taken_back_where_it_lies_when_members_were_merged_before(
    books: Books,
) -> None:
    books.judged(tiered())
    for wallet in ("points", "growth"):
        merge(books, "m2", into="m3", wallet=wallet)
    books.world.rule(SALE, "m2")
    books.catch_up()
    assert books.growth("m3") == [302]

    books.world.rule(SALE, "m1")
    books.catch_up()

    assert books.growth("m1", "m3") == [302, 0]
    assert books.world.loyalty.account("m3", "growth").parked == 0


def test_growth_value_moves_with_the_points_once(books: Books) -> None:
    books.judged(tiered())
    assert books.growth("m1", "m2") == [302, 0]

    books.world.rule(SALE, "m2")
    seen = books.catch_up()
    before = books.world.snapshot()
    books.catch_up([*seen, *seen])

    assert (books.points("m1", "m2"), books.growth("m1", "m2")) == ([0, 39], [0, 302])
    assert books.world.snapshot() == before


def test_whoever_gets_a_sale_by_a_ruling_is_judged_by_their_own_tier(books: Books) -> None:
    books.world.activate(tiered())
    books.ledger.execute(
        replace(earned("m2", 10_000, sale_id="20261101T000000Z.1"), wallet="growth"),
        policies=Policies(),
    ).posted()
    books.sold()
    books.catch_up()

    books.world.rule(SALE, "m2")
    books.catch_up()

    assert books.points("m1", "m2") == [0, 119]  # 39.99 litres, three times


def test_a_ruling_that_overtakes_its_sale_ends_the_same_for_growth_value(books: Books) -> None:
    books.world.activate(tiered())
    books.sold()
    (sold,) = books.records()
    books.world.rule(SALE, "m2")

    books.catch_up()
    assert books.world.loyalty.account("m1", "growth").parked == 1
    books.catch_up([sold])

    assert (books.points("m1", "m2"), books.growth("m1", "m2")) == ([0, 39], [0, 302])
    assert books.world.loyalty.account("m1", "growth").parked == 0


def test_growth_value_that_a_refund_had_taken_is_not_given_to_the_next_member(
    books: Books,
) -> None:
    books.judged(tiered())
    refund(books, part=1, whole=3, growth=True)

    books.world.rule(SALE, "m2")
    books.catch_up()

    assert (books.points("m1", "m2"), books.growth("m1", "m2")) == ([0, 26], [0, 202])


def test_of_what_was_wholly_refunded_nothing_is_given_and_nothing_waits_to_be_taken(
    books: Books,
) -> None:
    books.judged(tiered())
    refund(books, part=1, whole=1, growth=True)

    for member_id in ("m2", None):
        books.world.rule(SALE, member_id)
        books.catch_up()

    assert (books.points("m1", "m2"), books.growth("m1", "m2")) == ([0, 0], [0, 0])
    growth = [books.world.loyalty.account(each, "growth") for each in ("m1", "m2")]
    assert [each.parked for each in growth] == [0, 0]
    told = [event for each in books.world.records(LOYALTY_TABLE) for event in events_of(each)]
    nothing = [each for each in told if each.detail_type == "SaleEarnedNothing"]
    assert [each.detail["member_id"] for each in nothing] == ["m2"]


def test_growth_value_of_members_who_became_one_is_not_given_twice(books: Books) -> None:
    books.judged(tiered())
    books.world.rule(SALE, "m2")
    seen = books.catch_up()
    for wallet in ("points", "growth"):
        merge(books, "m2", into="m3", wallet=wallet)
        merge(books, "m1", into="m3", wallet=wallet)

    books.catch_up(seen)

    assert (books.points("m3"), books.growth("m3")) == ([39], [302])
