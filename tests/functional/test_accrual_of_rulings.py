"""A ruling moves points once, under the rules of the sale's day, whatever is repeated or late."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.events import events_of
from forecourt.growing import Growing
from forecourt.ledger import Policies, Shortfall, WalletPolicy
from forecourt.ledger.commands import Merge, Reverse, Share, Spend
from forecourt.ledger_table import LedgerTable
from forecourt.rulings import split
from forecourt.stored_sales import Status, StoredSale
from tests.functional.conftest import LOYALTY_TABLE, SALES_TABLE
from tests.functional.tiered import tiered
from tests.functional.world import LITRES, RULED_AT, keyed, with_wallets
from tests.specimens import CARD, OPEN_SINCE, RECEIVED_AT, SALE, credited_to, earned, nobodys

if TYPE_CHECKING:
    from types import ModuleType

    from tests.functional.world import World

YEAR_END = date(2027, 11, 30)
DOUBLE = copy.deepcopy(LITRES)
DOUBLE["rules"][0]["points"] = 2


class Books:
    """A sale, its members, and accrual before the stream."""

    def __init__(self, world: World, accrual: ModuleType, context: Any) -> None:
        self.world = world
        self.accrual = accrual
        self.context = context
        self.ledger = LedgerTable(world.dynamodb, name=LOYALTY_TABLE)
        for member_id in ("m1", "m2", "m3"):
            world.enrol(member_id)

    def sold(self, member_id: str | None = "m1") -> None:
        stored = StoredSale(
            sale=replace(SALE, evidence=()),
            status=Status.RECEIVED,
            received_at=RECEIVED_AT,
            evidence=keyed(CARD),
        )
        self.world.sales.add(stored)
        decision = credited_to(member_id) if member_id else nobodys()
        assert self.world.decided.decide(stored, decision, decided_at=RECEIVED_AT)

    def records(self) -> list[dict[str, Any]]:
        """Return what the stream brings accrual since the last call: the mapping's filter."""
        return [
            record
            for record in self.world.records(SALES_TABLE)
            if record["eventName"] == "MODIFY"
            and record["dynamodb"]["NewImage"].get("status", {}).get("S") in {"matched", "nobodys"}
        ]

    def catch_up(self, records: list[dict[str, Any]] | None = None) -> list[dict[str, Any]]:
        """Let accrual see the stream; return what it saw."""
        seen = self.records() if records is None else records
        assert self.accrual.handle({"Records": seen}, self.context) == {"batchItemFailures": []}
        return seen

    def growth(self, *member_ids: str) -> list[int]:
        """Return the growth value that members have."""
        accounts = [self.world.loyalty.account(each, "growth") for each in member_ids]
        return [sum(each.buckets.values()) for each in accounts]

    def points(self, *member_ids: str) -> list[int]:
        """Return what members have, their debt taken off."""
        accounts = [self.world.loyalty.account(each) for each in member_ids]
        return [sum(each.buckets.values()) - each.debt for each in accounts]


@pytest.fixture
def books(world: World, context: Any) -> Books:
    from functions.accrual import handler  # noqa: PLC0415 - its clients need the environment

    handler.program.cache_clear()
    return Books(world, handler, context)


def test_reassigning_takes_from_one_and_gives_to_the_other(books: Books) -> None:
    books.world.activate()
    books.sold()
    books.catch_up()
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
    books.world.activate()
    books.sold()
    books.catch_up()

    books.world.rule(SALE)
    books.catch_up()

    assert books.points("m1") == [0]


def test_what_is_spent_by_then_is_owed(books: Books) -> None:
    books.world.activate()
    books.sold()
    books.catch_up()
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
    books.world.activate()
    books.sold()
    books.catch_up()
    refund(books, part=1, whole=3)

    books.world.rule(SALE, "m2")
    books.catch_up()

    assert books.points("m1", "m2") == [0, 26]


def test_a_wholly_refunded_sale_earns_nobody_anything(books: Books) -> None:
    books.world.activate()
    books.sold()
    books.catch_up()
    refund(books, part=1, whole=1)

    books.world.rule(SALE, "m2")
    books.catch_up()

    assert books.points("m1", "m2") == [0, 0]
    assert books.world.loyalty.judged([("m2", f"{SALE.sale_id}~1+m2")]) == {
        f"{SALE.sale_id}~1+m2": None
    }


@pytest.mark.parametrize(("part", "left", "grown"), [(1, 26, 202), (3, 0, 0)])
def test_what_a_refund_had_taken_stays_taken_however_often_a_sale_is_reassigned(
    books: Books, *, part: int, left: int, grown: int
) -> None:
    books.world.activate(tiered())
    books.sold()
    books.catch_up()
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
    books.world.activate(tiered())
    books.sold()
    books.catch_up()
    refund(books, part=part, whole=3, growth=True)

    books.world.split(SALE, {"m2": 1, "m3": 2})
    books.catch_up()
    assert (books.points("m2", "m3"), books.growth("m2", "m3")) == (shared, grown)
    books.world.rule(SALE, "m1")
    books.catch_up()

    # Each share is rounded down, and no more comes back than they had.
    assert books.points("m1", "m2", "m3") == [sum(shared), 0, 0]
    assert books.growth("m1", "m2", "m3") == [sum(grown), 0, 0]


def test_what_a_full_wallet_did_not_take_is_there_for_the_next_member(books: Books) -> None:
    books.world.activate(with_wallets(points={"ceiling": 50}))
    books.world.post(earned("m2", 30, sale_id="20261101T000000Z.1"))
    books.sold()
    books.catch_up()

    for member_id in ("m2", "m3"):
        books.world.rule(SALE, member_id)
        books.catch_up()

    assert books.points("m1", "m2", "m3") == [0, 30, 39]


def test_growth_value_is_taken_back_where_it_lies_when_members_were_merged_before(
    books: Books,
) -> None:
    books.world.activate(tiered())
    books.sold()
    books.catch_up()
    for wallet in ("points", "growth"):
        merge(books, "m2", into="m3", wallet=wallet)
    books.world.rule(SALE, "m2")
    books.catch_up()
    assert books.growth("m3") == [302]

    books.world.rule(SALE, "m1")
    books.catch_up()

    assert books.growth("m1", "m3") == [302, 0]
    assert books.world.loyalty.account("m3", "growth").parked == 0


def test_before_the_program_began_a_ruling_is_judged_and_moves_nothing(books: Books) -> None:
    books.sold()
    books.catch_up()

    books.world.rule(SALE, "m2")
    books.catch_up()

    assert books.points("m1", "m2") == [0, 0]
    assert f"{SALE.sale_id}~1+m2" in books.world.loyalty.judged([("m2", f"{SALE.sale_id}~1+m2")])


def test_points_are_taken_from_and_given_to_whoever_has_the_accounts_by_now(books: Books) -> None:
    books.world.activate()
    books.sold()
    books.catch_up()
    merge(books, "m1", into="m3")

    books.world.rule(SALE, "m2")
    books.catch_up()
    assert books.points("m3", "m2") == [0, 39]

    merge(books, "m2", into="m3")
    seen = books.catch_up([])
    assert seen == []
    assert books.points("m3") == [39]


def test_a_ruling_repeated_after_two_members_became_one_moves_nothing(books: Books) -> None:
    books.world.activate()
    books.sold()
    books.catch_up()
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


def test_growth_value_moves_with_the_points_once(books: Books) -> None:
    books.world.activate(tiered())
    books.sold()
    books.catch_up()
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
    books.world.activate(tiered())
    books.sold()
    books.catch_up()
    refund(books, part=1, whole=3, growth=True)

    books.world.rule(SALE, "m2")
    books.catch_up()

    assert (books.points("m1", "m2"), books.growth("m1", "m2")) == ([0, 26], [0, 202])


def test_of_what_was_wholly_refunded_nothing_is_given_and_nothing_waits_to_be_taken(
    books: Books,
) -> None:
    books.world.activate(tiered())
    books.sold()
    books.catch_up()
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
    books.world.activate(tiered())
    books.sold()
    books.catch_up()
    books.world.rule(SALE, "m2")
    seen = books.catch_up()
    for wallet in ("points", "growth"):
        merge(books, "m2", into="m3", wallet=wallet)
        merge(books, "m1", into="m3", wallet=wallet)

    books.catch_up(seen)

    assert (books.points("m3"), books.growth("m3")) == ([39], [302])


def refund(books: Books, *, part: int, whole: int, growth: bool = False) -> None:
    command = Reverse(
        entry_id="20261123T100000Z.refund",
        owner="m1",
        reverses=SALE.sale_id,
        document="R-1",
        part=Share(part=part, whole=whole),
        source="refund:R-1",
        reason="refund",
        actor="op",
        occurred_at=RECEIVED_AT,
    )
    books.ledger.execute(command, policies=Policies()).posted()
    if growth:
        assert Growing(ledger=books.ledger, policies=Policies()).take_back(command)


def merge(books: Books, member_id: str, *, into: str, wallet: str = "points") -> None:
    books.ledger.execute(
        Merge(
            entry_id=f"20261124T100000Z.merge.{member_id}.{wallet}",
            owner=member_id,
            wallet=wallet,
            into=into,
            source="merge:1",
            reason="same_person",
            actor="op",
            occurred_at=OPEN_SINCE,
        ),
        policies=Policies(),
    ).posted()
