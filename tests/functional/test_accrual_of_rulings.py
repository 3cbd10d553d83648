"""A ruling moves points once, under the rules of the sale's day, whatever is repeated or late."""

from __future__ import annotations

import copy
from datetime import date, timedelta

from forecourt.ledger import Policies, Shortfall, WalletPolicy
from forecourt.ledger.commands import Spend
from forecourt.rulings import split
from tests.functional.accruing import Books, merge, refund
from tests.functional.world import LITRES, RULED_AT, with_wallets
from tests.specimens import RECEIVED_AT, SALE, earned

YEAR_END = date(2027, 11, 30)
DOUBLE = copy.deepcopy(LITRES)
DOUBLE["rules"][0]["points"] = 2


def test_reassigning_takes_from_one_and_gives_to_the_other(books: Books) -> None:
    books.judged()
    assert books.points("m1", "m2") == [39, 0]

    books.world.rule(SALE, "m2")
    books.catch_up()

    assert books.points("m1", "m2") == [0, 39]
    entries = books.world.loyalty.judged(
        [("m1", f"{SALE.sale_id}~1-m1"), ("m2", f"{SALE.sale_id}~1+m2")]
    )
    taken, given_ = entries.values()
    assert taken is not None
    assert given_ is not None
    assert (taken.points, given_.points) == (-39, 39)
    assert {(each.actor, each.reason, each.source) for each in (taken, given_)} == {
        ("op", "wrong_plate", f"sale:{SALE.sale_id}")
    }


def test_points_are_those_of_the_sales_day_and_not_of_the_rulings(books: Books) -> None:
    books.world.activate()
    books.world.activate(DOUBLE, effective_at=SALE.key.completed_at + timedelta(hours=1))
    books.sold()

    books.world.rule(SALE, "m2")
    books.catch_up()

    account = books.world.loyalty.account("m2")
    assert account.buckets == {YEAR_END: 39}


def test_a_ruling_that_comes_again_moves_nothing(books: Books) -> None:
    books.world.activate()
    books.sold()
    books.world.rule(SALE, "m2")
    seen = books.catch_up()
    before = books.world.snapshot()

    books.catch_up([*seen, *seen[::-1]])

    assert books.world.snapshot() == before


def test_a_ruling_that_overtakes_its_sale_ends_the_same(books: Books) -> None:
    """What failed and is done again later comes behind what was written after it."""
    books.world.activate()
    books.sold()
    (sold,) = books.records()
    books.world.rule(SALE, "m2")

    books.catch_up()
    books.catch_up([sold])

    assert books.points("m1", "m2") == [0, 39]


def test_there_and_back_again_leaves_the_first_member_with_the_points(books: Books) -> None:
    books.world.activate()
    books.sold()
    for member_id in ("m2", "m1"):
        books.world.rule(SALE, member_id)
        books.catch_up()

    assert books.points("m1", "m2") == [39, 0]


def test_nobodys_sale_gives_its_points_back_to_the_program(books: Books) -> None:
    books.judged()

    books.world.rule(SALE)
    books.catch_up()

    assert books.points("m1") == [0]


def test_what_is_spent_by_then_is_owed(books: Books) -> None:
    books.judged()
    books.ledger.execute(
        Spend(
            entry_id="20261123T090000Z.spend",
            owner="m1",
            points=30,
            source="till:1",
            reason="coffee",
            actor="m1",
            occurred_at=RECEIVED_AT,
        ),
        policies=Policies(default=WalletPolicy(shortfall=Shortfall.DEBT)),
    ).posted()

    books.world.rule(SALE, "m2")
    books.catch_up()

    assert books.points("m1", "m2") == [-30, 39]


def test_members_who_share_a_sale_share_its_litres(books: Books) -> None:
    books.world.activate()
    books.sold(None)

    books.world.ruled.rule(
        SALE.sale_id,
        1,
        lambda stored: split(
            SALE.sale_id,
            {"m1": 1, "m2": 1, "m3": 2},
            volume_ml=stored.sale.volume_ml,
            amount_fen=stored.sale.amount_fen,
            number=1,
            actor="op",
            reason="shared_car",
        ),
        ruled_at=RULED_AT,
    )
    books.catch_up()

    assert books.points("m1", "m2", "m3") == [9, 9, 19]  # of 39.99 litres, each rounded down
    assert books.world.stored(SALE).member_id is None


def test_what_a_refund_had_taken_is_not_given_to_the_next_member(books: Books) -> None:
    books.judged()
    refund(books, part=1, whole=3)

    books.world.rule(SALE, "m2")
    books.catch_up()

    assert books.points("m1", "m2") == [0, 26]


def test_a_wholly_refunded_sale_earns_nobody_anything(books: Books) -> None:
    books.judged()
    refund(books, part=1, whole=1)

    books.world.rule(SALE, "m2")
    books.catch_up()

    assert books.points("m1", "m2") == [0, 0]
    assert books.world.loyalty.judged([("m2", f"{SALE.sale_id}~1+m2")]) == {
        f"{SALE.sale_id}~1+m2": None
    }


def test_what_a_full_wallet_did_not_take_is_there_for_the_next_member(books: Books) -> None:
    books.world.activate(with_wallets(points={"ceiling": 50}))
    books.world.post(earned("m2", 30, sale_id="20261101T000000Z.1"))
    books.sold()
    books.catch_up()

    for member_id in ("m2", "m3"):
        books.world.rule(SALE, member_id)
        books.catch_up()

    assert books.points("m1", "m2", "m3") == [0, 30, 39]


def test_before_the_program_began_a_ruling_is_judged_and_moves_nothing(books: Books) -> None:
    books.sold()
    books.catch_up()

    books.world.rule(SALE, "m2")
    books.catch_up()

    assert books.points("m1", "m2") == [0, 0]
    assert f"{SALE.sale_id}~1+m2" in books.world.loyalty.judged([("m2", f"{SALE.sale_id}~1+m2")])


def test_points_are_taken_from_and_given_to_whoever_has_the_accounts_by_now(books: Books) -> None:
    books.judged()
    merge(books, "m1", into="m3")

    books.world.rule(SALE, "m2")
    books.catch_up()
    assert books.points("m3", "m2") == [0, 39]

    merge(books, "m2", into="m3")
    seen = books.catch_up([])
    assert seen == []
    assert books.points("m3") == [39]


def test_a_ruling_repeated_after_two_members_became_one_moves_nothing(books: Books) -> None:
    books.judged()
    books.world.rule(SALE, "m2")
    seen = books.catch_up()
    merge(books, "m2", into="m3")
    merge(books, "m1", into="m3")
    before = books.points("m3")

    books.catch_up(seen)

    assert books.points("m3") == before == [39]


def test_a_full_wallet_is_an_answer(books: Books) -> None:
    books.world.activate(with_wallets(points={"ceiling": 10}))
    books.sold(None)

    books.world.rule(SALE, "m2")
    books.catch_up()

    assert books.points("m2") == [0]
