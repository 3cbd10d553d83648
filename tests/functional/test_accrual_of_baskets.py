"""A till's receipt changes what a sale earns, once, whichever of them is known first."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.baskets import Basket, Category, Line, Means, Payment
from forecourt.documents import ProgramDocument
from forecourt.events import events_of
from forecourt.ledger.commands import Spend
from forecourt.stored_sales import Status, StoredSale
from tests.functional.conftest import LOYALTY_TABLE
from tests.functional.http import Client
from tests.functional.test_accrual_of_rulings import Books, merge, refund
from tests.functional.tiered import tiered
from tests.functional.world import LITRES, keyed
from tests.specimens import CARD, RECEIVED_AT, SALE, earned

if TYPE_CHECKING:
    from tests.functional.world import World

FUEL = Line(
    category=Category.FUEL,
    amount_fen=SALE.amount_fen,
    grade=SALE.grade,
    volume_ml=SALE.volume_ml,
)
SHOP = Line(category=Category.SHOP, amount_fen=1_500)
OFF = Line(category=Category.DISCOUNT, amount_fen=-1_000)

RULES: list[dict[str, Any]] = [
    {"rule_id": "litre", "basis": "volume", "points": 1, "per": 1000, "rounding": "floor"},
    {
        "rule_id": "shop",
        "categories": ["shop"],
        "basis": "amount",
        "points": 1,
        "per": 100,
        "rounding": "floor",
    },
]


def program(rules: list[dict[str, Any]] = RULES, **more: Any) -> dict[str, Any]:
    document = {**LITRES, "rules": rules, "baskets": {}, **more}
    return ProgramDocument.model_validate(document).model_dump(mode="json")


def receipt(*lines: Line, by_points: int = 0) -> Basket:
    total = sum(line.amount_fen for line in (FUEL, *lines))
    payments = (
        Payment(by=Means.POINTS, amount_fen=by_points),
        Payment(by=Means.CASH, amount_fen=total - by_points),
    )
    paid = tuple(each for each in payments if each.amount_fen)
    return Basket(lines=(FUEL, *lines), payments=paid if by_points else ())


WITH_SHOP = receipt(SHOP)
HALF_BY_POINTS = receipt(by_points=SALE.amount_fen // 2)


@pytest.fixture
def books(world: World, context: Any) -> Books:
    from functions.accrual import handler  # noqa: PLC0415 - its clients need the environment

    handler.program.cache_clear()
    return Books(world, handler, context)


def received(books: Books) -> None:
    books.world.sales.add(
        StoredSale(
            sale=replace(SALE, evidence=()),
            status=Status.RECEIVED,
            received_at=RECEIVED_AT,
            evidence=keyed(CARD),
        )
    )


@pytest.mark.parametrize(
    ("basket", "points"), [(WITH_SHOP, 39 + 15), (HALF_BY_POINTS, 19), (receipt(), 39)]
)
@pytest.mark.parametrize("first", ["receipt", "sale", "sale, judged"])
def test_whichever_is_known_first_a_sale_earns_what_the_receipt_says(
    books: Books, *, first: str, basket: Basket, points: int
) -> None:
    books.world.activate(program())
    if first == "receipt":
        received(books)
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
    received(books)
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
    books.world.activate(program())
    books.sold()
    books.catch_up()

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


@pytest.mark.parametrize("basket", [WITH_SHOP, HALF_BY_POINTS, receipt()])
@pytest.mark.parametrize("seen", ["at once", "with the ruling", "late"])
def test_reassigning_after_a_receipt_takes_back_everything_and_gives_it_to_the_next(
    books: Books, *, basket: Basket, seen: str
) -> None:
    books.world.activate(program())
    books.sold()
    books.catch_up()
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
    books.world.activate(program())
    books.sold()
    books.catch_up()
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
    books.world.activate(program())
    books.sold()
    books.catch_up()
    refund(books, part=1, whole=3)

    books.world.tell(SALE, basket)
    books.catch_up(books.catch_up())

    assert books.points("m1") == [left]


@pytest.mark.parametrize("basket", [WITH_SHOP, HALF_BY_POINTS])
def test_a_receipt_of_a_wholly_refunded_sale_moves_nothing(books: Books, basket: Basket) -> None:
    books.world.activate(program())
    books.sold()
    books.catch_up()
    refund(books, part=1, whole=1)

    books.world.tell(SALE, basket)
    books.catch_up()

    assert books.points("m1") == [0]


@pytest.mark.parametrize("basket", [WITH_SHOP, HALF_BY_POINTS, receipt()])
def test_the_next_member_gets_what_a_refund_had_left_of_all_that_was_bought(
    books: Books, basket: Basket
) -> None:
    books.world.activate(program())
    books.sold()
    books.catch_up()
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
    books.world.activate(program())
    books.sold()
    books.catch_up()
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
    books.world.activate(program())
    books.sold()
    books.catch_up()
    merge(books, "m1", into="m3")

    books.world.tell(SALE, HALF_BY_POINTS)
    books.catch_up(books.catch_up())

    assert books.points("m3") == [19]


@pytest.mark.parametrize(("basket", "points"), [(WITH_SHOP, 54), (HALF_BY_POINTS, 19)])
def test_a_difference_finds_its_entry_when_members_are_merged_just_before_it_is_posted(
    books: Books, monkeypatch: pytest.MonkeyPatch, *, basket: Basket, points: int
) -> None:
    books.world.activate(program())
    books.sold()
    books.catch_up()
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


def test_points_spent_before_the_receipt_came_are_owed(books: Books) -> None:
    books.world.activate(program())
    books.sold()
    books.catch_up()
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
    books.world.activate(ProgramDocument.model_validate(document).model_dump(mode="json"))
    books.sold()
    books.catch_up()

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

    books.world.activate(program())
    books.sold()
    books.catch_up()
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
    books.world.activate()
    books.sold()
    books.catch_up()

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
    books.world.activate(tiered(upgrading_sale=upgrading_sale, rules=RULES, baskets={}))
    books.sold()
    books.catch_up()

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
