"""
Refunds by amount and line by line, before a receipt is known and after it.

Whatever the order, what was refunded altogether is what was taken back.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from forecourt.baskets import Category, Line
from tests.functional.accruing import Books, refund
from tests.functional.conftest import LOYALTY_TABLE
from tests.functional.receipts import (
    HALF_BY_POINTS,
    OFF,
    RULES,
    SHOP,
    WITH_SHOP,
    program,
    receipt,
)
from tests.functional.refunding import refund_at
from tests.functional.tiered import tiered
from tests.specimens import SALE

if TYPE_CHECKING:
    from collections.abc import Callable

    from forecourt.baskets import Basket
    from tests.functional.http import Client


# --- by amount, before a receipt and after it --------------------------------------------------

DEARER = receipt(SHOP)
CHEAPER = receipt(Line(category=Category.DISCOUNT, amount_fen=-3_000))
FUEL_BY_MONEY = [
    {"rule_id": "yuan", "basis": "amount", "points": 1, "per": 100, "rounding": "floor"},
    {**RULES[1], "points": 3},
]


@pytest.mark.parametrize(
    ("basket", "worth"), [(DEARER, 302 + 45), (CHEAPER, 272), (receipt(), 302)], ids=str
)
@pytest.mark.parametrize("judged", ["before the receipt", "with the receipt"])
@pytest.mark.parametrize("policy", ["debt", "within_balance"])
def test_refunds_by_amount_before_and_after_the_receipt_take_back_all_that_the_sale_earned(
    books: Books, desk: Client, *, basket: Basket, worth: int, judged: str, policy: str
) -> None:
    wallets = {"wallets": {"points": {"shortfall": policy}}}
    books.world.activate(program(FUEL_BY_MONEY, **wallets))
    books.sold()
    if judged == "before the receipt":
        books.catch_up()
    third = SALE.amount_fen // 3
    assert refund_at(desk, "R-1", amount_fen=third).status == 201

    books.world.tell(SALE, basket)
    books.catch_up()
    left = basket.total_fen - third
    second = refund_at(desk, "R-2", amount_fen=left // 2)
    assert second.status == 201
    # What is left is in proportion to what the sale is worth in all, but for rounding, and for
    # the first refund, which did not know the receipt.
    (points,) = books.points("m1")
    assert abs(points - worth * (left - left // 2) // basket.total_fen) <= third * worth // 5_000

    assert refund_at(desk, "R-3", amount_fen=left - left // 2).status == 201

    assert books.points("m1") == [0]
    over = refund_at(desk, "R-4", amount_fen=1)
    assert (over.status, over.code) == (409, "over_reversed")


def test_a_refund_that_is_sent_again_after_the_receipt_was_settled_takes_nothing_more(
    books: Books, desk: Client
) -> None:
    """The difference that the receipt makes is less by it already."""
    books.judged(program())
    books.world.tell(SALE, WITH_SHOP)
    most = WITH_SHOP.total_fen * 3 // 4
    first = refund_at(desk, amount_fen=most, key="1")
    books.catch_up()
    before = books.points("m1")

    again = refund_at(desk, amount_fen=most, key="2")

    assert (again.status, again.body) == (201, first.body)
    assert books.points("m1") == before
    refund_at(desk, "R-2", amount_fen=WITH_SHOP.total_fen - most)
    assert books.points("m1") == [0]


# --- line by line ------------------------------------------------------------------------------


@pytest.fixture(params=["judged with it", "judged before it"])
def judged_with(books: Books, request: pytest.FixtureRequest) -> Callable[[Basket], None]:
    """Return what sells to m1 and tells the receipt, before the sale is judged or after it."""

    def judge(basket: Basket) -> None:
        if request.param == "judged with it":
            books.received()
            books.world.tell(SALE, basket)
            books.world.credit(SALE, "m1")
        else:
            books.sold()
            books.catch_up()
            books.world.tell(SALE, basket)
        books.catch_up()

    return judge


THREE_LINES = receipt(SHOP, Line(category=Category.SHOP, amount_fen=2_550), OFF)


@pytest.mark.parametrize("order", list(itertools.permutations([1, 2, 3])), ids=str)
def test_a_line_is_refunded_by_what_it_earned_and_all_lines_are_all_of_it(
    books: Books, desk: Client, judged_with: Callable[[Basket], None], order: tuple[int, ...]
) -> None:
    """39 for the litres; of 39.31 yuan in the shop, rounded once, 14.56 earned 14.4 of 39."""
    books.world.activate(program())
    judged_with(THREE_LINES)
    assert books.points("m1") == [39 + 39]

    taken = {line: refund_at(desk, f"R-{line}", line=line).body["points"] for line in order}

    assert taken == {1: -39, 2: -14, 3: -25}
    assert books.points("m1") == [0]


def test_a_line_is_refunded_once_and_a_document_has_one_effect(
    books: Books, desk: Client, judged_with: Callable[[Basket], None]
) -> None:
    books.world.activate(program())
    judged_with(WITH_SHOP)
    first = refund_at(desk, line=2)
    before = books.points("m1")

    assert refund_at(desk, line=2).body == first.body
    again = refund_at(desk, "R-2", line=2)

    assert (again.status, again.code) == (409, "nothing_to_reverse")
    assert books.points("m1") == before == [39]


@pytest.mark.parametrize("line", [4, 5])
def test_a_line_that_earned_nothing_or_is_none_takes_nothing(
    books: Books, desk: Client, judged_with: Callable[[Basket], None], line: int
) -> None:
    books.world.activate(program())
    judged_with(THREE_LINES)
    before = books.points("m1")

    reply = refund_at(desk, line=line)

    assert (reply.status, reply.code) == (
        (409, "nothing_to_reverse") if line == 4 else (422, "invalid_request")
    )
    assert books.points("m1") == before


@pytest.mark.parametrize(
    ("basket", "points"), [(WITH_SHOP, [39, 15]), (HALF_BY_POINTS, [19]), (receipt(), [39])]
)
def test_a_line_takes_what_it_earned_whatever_the_receipt_changed(
    books: Books,
    desk: Client,
    judged_with: Callable[[Basket], None],
    *,
    basket: Basket,
    points: list[int],
) -> None:
    books.world.activate(program())
    judged_with(basket)

    taken = [
        -refund_at(desk, f"R-{line}", line=line).body["points"]
        for line in range(1, len(points) + 1)
    ]

    assert taken == points
    assert books.points("m1") == [0]


def test_a_line_takes_from_both_entries_what_came_by_both(books: Books, desk: Client) -> None:
    """A discount took of the fuel's points what the shop then filled: 302 were given for 292."""
    books.judged(program(FUEL_BY_MONEY))
    books.world.tell(SALE, receipt(SHOP, OFF))
    books.catch_up()
    (worth,) = books.points("m1")

    shop = refund_at(desk, "R-1", line=2).body
    assert books.points("m1") == [worth + shop["points"]]
    fuel = refund_at(desk, "R-2", line=1).body

    assert (shop["points"], fuel["points"]) == (-43, -292)
    assert books.points("m1") == [0]


def test_of_a_line_no_more_is_taken_than_refunds_by_amount_have_left(
    books: Books, desk: Client, judged_with: Callable[[Basket], None]
) -> None:
    books.world.activate(program())
    judged_with(WITH_SHOP)
    refund_at(desk, "R-1", amount_fen=WITH_SHOP.total_fen // 2)

    first, second = (refund_at(desk, f"R-{line}.", line=line) for line in (1, 2))

    assert first.status == 201
    assert second.status == 201 or second.code == "nothing_to_reverse"
    assert books.points("m1") == [0]


def test_a_line_is_refunded_from_whoever_a_ruling_gave_the_sale(
    books: Books, desk: Client, judged_with: Callable[[Basket], None]
) -> None:
    books.world.activate(program())
    judged_with(WITH_SHOP)
    books.world.rule(SALE, "m2")
    books.catch_up()

    reply = refund_at(desk, line=2)

    assert (reply.body["member_id"], reply.body["points"]) == ("m2", -15)
    assert books.points("m1", "m2") == [0, 39]


def test_a_line_of_what_a_refund_had_reduced_is_its_part_of_what_was_left(
    books: Books, desk: Client
) -> None:
    books.judged(program())
    refund(books, part=1, whole=3)
    books.world.rule(SALE, "m2")
    books.catch_up()
    assert books.points("m2") == [26]
    books.world.tell(SALE, WITH_SHOP)
    books.catch_up()
    assert books.points("m2") == [36]

    taken = [-refund_at(desk, f"R-{line}", line=line).body["points"] for line in (1, 2)]

    assert taken == [26, 10]
    assert books.points("m2") == [0]


@pytest.mark.parametrize("seen", [0, 1], ids=["nothing judged", "the receipt not seen"])
def test_what_a_line_earned_is_asked_again_while_accrual_is_at_it(
    books: Books, desk: Client, seen: int
) -> None:
    books.world.activate(program())
    books.sold()
    if seen:
        books.catch_up()
    books.world.tell(SALE, WITH_SHOP)
    before = books.world.items(LOYALTY_TABLE)

    busy = refund_at(desk, line=2, key="1")

    assert (busy.status, busy.code) == (503, "stale_write")
    assert books.world.items(LOYALTY_TABLE) == before
    books.catch_up()
    assert refund_at(desk, line=2, key="1").body["points"] == -15


def test_a_line_waits_for_a_sale_that_will_be_judged_with_its_receipt(
    books: Books, desk: Client
) -> None:
    books.world.activate(program())
    books.received()
    books.world.tell(SALE, WITH_SHOP)
    books.world.credit(SALE, "m1")
    assert refund_at(desk, line=2).body["kind"] == "park"

    books.catch_up()

    assert books.points("m1") == [39]


@pytest.mark.parametrize("begun", [True, False])
def test_where_a_program_takes_no_notice_of_receipts_the_fuel_has_earned_it_all(
    books: Books, desk: Client, judged_with: Callable[[Basket], None], *, begun: bool
) -> None:
    if begun:
        books.world.activate()
    judged_with(WITH_SHOP)

    shop, fuel = (refund_at(desk, f"R-{line}", line=line) for line in (2, 1))

    assert shop.code == "nothing_to_reverse"
    assert fuel.body["points"] == -39 if begun else fuel.code == "nothing_to_reverse"


def test_a_line_has_no_growth_value_of_its_own_and_the_rest_takes_all_of_it(
    books: Books, desk: Client, judged_with: Callable[[Basket], None]
) -> None:
    books.world.activate({**tiered(), "baskets": program()["baskets"]})
    judged_with(receipt())
    (growth,) = books.growth("m1")

    assert refund_at(desk, "R-1", line=1).status == 201
    assert books.growth("m1") == [growth]
    refund_at(desk, "R-2")

    assert (books.points("m1"), books.growth("m1")) == ([0], [0])
