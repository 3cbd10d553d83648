"""A till's receipt changes what a sale earns, once, whichever of them is known first."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from forecourt.baskets import Basket
from forecourt.documents import ProgramDocument
from forecourt.events import events_of
from forecourt.ledger.commands import Spend
from tests.functional.conftest import LOYALTY_TABLE
from tests.functional.http import Client
from tests.functional.receipts import (
    FUEL,
    HALF_BY_POINTS,
    RULES,
    SHOP,
    WITH_SHOP,
    program,
    receipt,
)
from tests.functional.tiered import tiered
from tests.specimens import RECEIVED_AT, SALE, earned

if TYPE_CHECKING:
    from tests.functional.accruing import Books
    from tests.functional.world import World


@pytest.mark.parametrize(
    ("basket", "points"), [(WITH_SHOP, 39 + 15), (HALF_BY_POINTS, 19), (receipt(), 39)]
)
@pytest.mark.parametrize("first", ["receipt", "sale", "sale, judged"])
def test_whichever_is_known_first_a_sale_earns_what_the_receipt_says(
    books: Books, *, first: str, basket: Basket, points: int
) -> None:
    books.world.activate(program())
    if first == "receipt":
        books.received()
        books.world.tell(SALE, basket)
        books.world.credit(SALE, "m1")
    else:
        books.sold()
        if first == "sale, judged":
            books.catch_up()
        books.world.tell(SALE, basket)

    books.catch_up()

    assert books.points("m1") == [points]


def test_a_receipt_known_before_the_sale_is_judged_makes_no_second_entry(books: Books) -> None:
    books.world.activate(program())
    books.received()
    books.world.tell(SALE, WITH_SHOP)
    books.world.credit(SALE, "m1")

    books.catch_up()

    (entry,) = [item for item in books.world.items(LOYALTY_TABLE) if item["type"] == "entry"]
    assert entry["sk"] == f"T#{SALE.sale_id}"


@pytest.mark.parametrize("basket", [WITH_SHOP, HALF_BY_POINTS, receipt()])
def test_records_in_any_order_and_again_earn_the_same(
    books: Books, world: World, *, basket: Basket
) -> None:
    books.world.activate(program())
    books.sold()
    books.world.tell(SALE, basket)
    records = books.records()
    assert len(records) == 2

    for order in itertools.permutations([*records, records[1]]):
        books.catch_up(list(order))
        before = world.snapshot()
        books.catch_up([*order, *order[::-1]])
        assert world.snapshot() == before

    assert books.points("m1") == [{WITH_SHOP: 54, HALF_BY_POINTS: 19}.get(basket, 39)]


@pytest.mark.parametrize(
    ("basket", "kinds"), [(WITH_SHOP, ["earn"]), (HALF_BY_POINTS, ["reverse"])]
)
def test_the_difference_is_an_entry_of_its_own_that_names_the_receipt(
    books: Books, basket: Basket, kinds: list[str]
) -> None:
    books.judged(program())

    books.world.tell(SALE, basket)
    books.catch_up()

    entry_id = f"{SALE.sale_id}~basket.R-1"
    found = books.world.loyalty.judged([("m1", entry_id)])[entry_id]
    assert found is not None
    assert [str(found.kind)] == kinds
    assert (found.source, found.reason) == (f"sale:{SALE.sale_id}", "basket")


def test_a_receipt_that_changes_nothing_is_remembered_as_judged(books: Books) -> None:
    books.world.activate(program())
    books.sold()
    books.world.tell(SALE, receipt())
    books.catch_up()

    entry_id = f"{SALE.sale_id}~basket.R-1"
    assert books.world.loyalty.judged([("m1", entry_id)]) == {entry_id: None}


def test_a_program_that_does_not_count_baskets_earns_what_it_always_did(books: Books) -> None:
    books.world.activate()
    books.sold()
    books.world.tell(SALE, HALF_BY_POINTS)

    books.catch_up()

    assert books.points("m1") == [39]


def test_before_the_program_began_a_receipt_changes_nothing(books: Books) -> None:
    books.sold()
    books.world.tell(SALE, WITH_SHOP)

    books.catch_up()

    assert books.points("m1") == [0]


def test_a_receipt_counts_by_the_rules_of_the_sales_own_day(books: Books) -> None:
    books.world.activate(program())
    books.world.activate(program(RULES[:1]), effective_at=SALE.key.completed_at.replace(hour=23))
    books.sold()
    books.catch_up()

    books.world.tell(SALE, WITH_SHOP)
    books.catch_up()

    assert books.points("m1") == [54]


def test_points_spent_before_the_receipt_came_are_owed(books: Books) -> None:
    books.judged(program())
    books.world.post(
        Spend(
            entry_id="20261123T090000Z.spend",
            owner="m1",
            points=39,
            source="till:1",
            reason="coffee",
            actor="m1",
            occurred_at=RECEIVED_AT,
        )
    )

    books.world.tell(SALE, HALF_BY_POINTS)
    books.catch_up()

    assert books.points("m1") == [-20]


def test_a_full_wallet_takes_no_difference_and_that_is_an_answer(books: Books) -> None:
    document = {**program(), "wallets": {"points": {"ceiling": 40}}}
    books.judged(ProgramDocument.model_validate(document).model_dump(mode="json"))

    books.world.tell(SALE, WITH_SHOP)
    books.catch_up(books.catch_up())

    assert books.points("m1") == [39]


@pytest.mark.parametrize(
    ("basket", "points", "rules"),
    [
        (WITH_SHOP, 54, ["litre", "shop"]),
        (HALF_BY_POINTS, 19, ["litre"]),
        (receipt(), 39, ["litre"]),
    ],
)
def test_the_app_shows_one_sale_with_all_it_earned(
    books: Books, *, basket: Basket, points: int, rules: list[str]
) -> None:
    from functions.members import handler as members  # noqa: PLC0415

    books.judged(program())
    books.world.tell(SALE, basket)
    app = Client(handle=members.handle, subject="m1", groups="[member]")
    assert app.get("/members/me/sales").body["sales"][0]["points"] == 39

    books.catch_up()

    (shown,) = app.get("/members/me/sales").body["sales"]
    assert (shown["points"], [each["rule"] for each in shown["trace"]]) == (points, rules)


@pytest.mark.parametrize("source", ["sale:4711", f"sale:{SALE.sale_id}"])
def test_points_given_by_hand_are_no_sale_whatever_their_source_says(
    books: Books, source: str
) -> None:
    from functions.members import handler as members  # noqa: PLC0415

    award = earned("m1", 10, sale_id="20261123T091500Z.award.9f86d081884c7d65", source=source)
    books.world.post(award)
    app = Client(handle=members.handle, subject="m1", groups="[member]")
    assert app.get("/members/me/sales").body["sales"] == []
    books.judged()

    reply = app.get("/members/me/sales")

    assert [(each["sale_id"], each["points"]) for each in reply.body["sales"]] == [
        (SALE.sale_id, 39)
    ]


def test_no_app_is_told_that_a_sale_earned_nothing_when_a_receipt_changed_nothing(
    books: Books, world: World
) -> None:
    books.world.activate(program())
    books.sold()
    books.world.tell(SALE, receipt())
    books.catch_up()

    told = [
        each.detail_type for record in world.records(LOYALTY_TABLE) for each in events_of(record)
    ]

    assert "EntryRecorded" in told
    assert "SaleEarnedNothing" not in told


@pytest.mark.parametrize(("upgrading_sale", "points"), [("old_tier", 54), ("new_tier", 79 + 30)])
@pytest.mark.parametrize("basket", [WITH_SHOP, receipt()])
def test_the_difference_is_judged_in_the_tier_the_sale_was_judged_in(
    books: Books, *, basket: Basket, upgrading_sale: str, points: int
) -> None:
    """The sale itself lifts its member to silver, where everything earns twice."""
    books.judged(tiered(upgrading_sale=upgrading_sale, rules=RULES, baskets={}))

    books.world.tell(SALE, basket)
    seen = books.catch_up()
    books.catch_up(seen)

    of_the_shop = 15 if upgrading_sale == "old_tier" else 30
    assert books.points("m1") == [points - (0 if basket is WITH_SHOP else of_the_shop)]

    books.world.rule(SALE)
    books.catch_up()
    assert books.points("m1") == [0]


def test_the_first_receipt_stays_and_a_second_one_is_written_down_as_a_doubt(
    books: Books,
) -> None:
    books.world.activate(program())
    books.sold()
    books.world.tell(SALE, WITH_SHOP)
    books.world.tell(SALE, HALF_BY_POINTS, "R-2")

    books.catch_up()

    stored = books.world.stored(SALE)
    assert stored.basket is not None
    assert (stored.basket.basket, stored.doubts) == (WITH_SHOP, ("told_twice",))
    assert books.points("m1") == [54]


def test_a_receipt_with_another_price_of_the_fuel_does_not_count(books: Books) -> None:
    books.world.activate(program())
    books.sold()
    books.world.tell(SALE, Basket(lines=(replace(FUEL, amount_fen=1), SHOP)))

    books.catch_up()

    assert books.world.stored(SALE).basket is None
    assert books.points("m1") == [39]
