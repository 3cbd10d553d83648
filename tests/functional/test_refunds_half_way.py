"""
A refund is several postings, and between two of them anything may happen.

What is half done is no answer. A retry makes up what is missing, wherever it is by then.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.errors import StaleWrite
from forecourt.growing import Growing
from forecourt.ledger import Policies
from forecourt.ledger.commands import Exactly, Reverse
from functions.corrections import handler as corrections
from tests.functional.accruing import Books, merge
from tests.functional.receipts import WITH_SHOP, program
from tests.functional.refunding import refund_at
from tests.functional.test_one_answer import again
from tests.functional.test_redemption_api import forget_answers
from tests.functional.test_refunds import Meanwhile
from tests.functional.tiered import tiered
from tests.functional.world import LITRES
from tests.specimens import RECEIVED_AT, SALE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functional.http import Client

GROWTH_ONLY = tiered(rules=[{**LITRES["rules"][0], "minimum": 50_000}])


@pytest.fixture
def before(monkeypatch: pytest.MonkeyPatch, desk: Client) -> Callable[..., None]:  # noqa: ARG001
    """Return what lets something happen before the *count*-th posting of the next refund."""

    def happens(count: int, happen: Callable[[], object]) -> None:
        routes = corrections.refunds._desk
        ledger: Any = Meanwhile(routes.ledger, count, happen)
        monkeypatch.setattr(corrections.refunds, "_desk", replace(routes, ledger=ledger))

    return happens


def lose_the_race() -> None:
    raise StaleWrite


def judged_before_its_receipt(books: Books) -> None:
    books.sold()
    books.catch_up()
    books.world.tell(SALE, WITH_SHOP)
    books.catch_up()


# --- what passes is no answer ------------------------------------------------------------------


@pytest.mark.parametrize("document", [tiered(), GROWTH_ONLY], ids=["both", "growth alone"])
def test_a_refund_whose_growth_value_was_busy_is_finished_by_its_retry(
    books: Books, desk: Client, before: Callable[..., None], document: dict[str, Any]
) -> None:
    books.world.activate(document)
    books.sold()
    books.catch_up()
    assert books.growth("m1") == [302]
    before(2, lose_the_race)

    busy = refund_at(desk, key="1")
    assert (busy.status, busy.code) == (503, "stale_write")
    assert books.growth("m1") == [302]
    reply = refund_at(desk, key="1")

    assert reply.status == 201
    assert (books.points("m1"), books.growth("m1")) == ([0], [0])


def test_a_refund_whose_late_receipt_was_busy_is_finished_by_its_retry(
    books: Books, desk: Client, before: Callable[..., None]
) -> None:
    books.world.activate(program())
    judged_before_its_receipt(books)
    (worth,) = books.points("m1")
    before(2, lose_the_race)

    busy = refund_at(desk, key="1")
    assert (busy.status, busy.code) == (503, "stale_write")
    reply = refund_at(desk, key="1")

    assert (reply.status, reply.body["points"]) == (201, -worth)
    assert books.points("m1") == [0]


# --- members who become one meanwhile ----------------------------------------------------------


def become_one(books: Books, *wallets: str) -> Callable[[], None]:
    def happen() -> None:
        for wallet in wallets:
            merge(books, "m1", into="m3", wallet=wallet)

    return happen


@pytest.mark.parametrize("wallets", [("points", "growth"), ("growth",)], ids=str)
def test_growth_value_is_taken_back_where_a_merge_took_it_behind_the_points(
    books: Books, desk: Client, before: Callable[..., None], wallets: tuple[str, ...]
) -> None:
    books.world.activate(tiered())
    books.sold()
    books.catch_up()
    before(2, become_one(books, *wallets))

    reply = refund_at(desk)

    assert (reply.status, reply.body["member_id"]) == (201, "m1")
    assert (books.points("m1", "m3"), books.growth("m1", "m3")) == ([0, 0], [0, 0])


def test_growth_value_that_went_before_the_points_is_taken_back_where_it_is(
    books: Books, desk: Client
) -> None:
    """A merge goes wallet by wallet, and a refund comes between two of them."""
    books.world.activate(tiered())
    books.sold()
    books.catch_up()
    become_one(books, "growth")()

    reply = refund_at(desk)

    assert (reply.status, reply.body["member_id"]) == (201, "m1")
    assert (books.points("m1", "m3"), books.growth("m1", "m3")) == ([0, 0], [0, 0])


def test_the_rest_of_growth_value_is_taken_back_where_a_merge_took_it(books: Books) -> None:
    books.world.activate(tiered())
    books.sold()
    books.catch_up()
    ledger: Any = Meanwhile(books.ledger, 3, become_one(books, "growth"))
    growing = Growing(ledger=ledger, policies=Policies())
    first = Reverse(
        entry_id="20261123T100000Z.refund.1",
        owner="m1",
        reverses=SALE.sale_id,
        document="R-1",
        part=Exactly(points=200),
        source="refund:R-1",
        reason="refund",
        actor="op",
        occurred_at=RECEIVED_AT,
    )
    growing.take_back(first)
    second = replace(first, entry_id="20261123T100000Z.refund.2", document="R-2")

    took = growing.take_back(second)

    assert took is not None
    assert (took.member_id, took.points) == ("m3", -102)
    assert books.growth("m1", "m3") == [0, 0]


def test_what_a_late_receipt_added_is_taken_back_where_a_merge_took_it(
    books: Books, desk: Client, before: Callable[..., None]
) -> None:
    books.world.activate(program())
    judged_before_its_receipt(books)
    (worth,) = books.points("m1")
    before(2, become_one(books, "points"))

    reply = refund_at(desk)

    assert (reply.status, reply.body["points"]) == (201, -worth)
    assert books.points("m1", "m3") == [0, 0]


# --- rulings that come before the retry --------------------------------------------------------


def ruled(books: Books, *owners: str) -> Callable[[], None]:
    def happen() -> None:
        for owner in owners:
            books.world.rule(SALE, owner)
            books.catch_up()

    return happen


@pytest.mark.parametrize("owners", [("m2",), ("m2", "m3")], ids=str)
def test_a_line_that_a_late_receipt_added_is_refunded_once_whatever_is_ruled_then(
    books: Books, desk: Client, owners: tuple[str, ...]
) -> None:
    books.world.activate(program())
    judged_before_its_receipt(books)
    before = refund_at(desk, line=2, key="1")
    assert before.body["points"] == -15
    forget_answers(books.world)
    ruled(books, *owners)()
    points = books.points("m1", "m2", "m3")

    after = refund_at(desk, line=2, key="1")

    assert (after.status, after.body) == (201, before.body)
    assert books.points("m1", "m2", "m3") == points


@pytest.mark.parametrize("document", [LITRES, tiered(), GROWTH_ONLY], ids=["points", "both", "0"])
@pytest.mark.parametrize("owners", [("m2",), ("m2", "m3"), ("m2", "m3", "m2")], ids=str)
def test_a_refund_has_one_answer_whatever_is_ruled_before_it_comes_again(
    books: Books, desk: Client, document: dict[str, Any], owners: tuple[str, ...]
) -> None:
    books.world.activate(document)
    books.sold()
    books.catch_up()

    reply = again(books.world, lambda: refund_at(desk, key="1"), ruled(books, *owners))

    assert (reply.status, reply.body["member_id"]) == (201, "m1")


def test_a_refund_that_only_growth_value_is_left_of_goes_on_with_whose_the_sale_is(
    books: Books, desk: Client, before: Callable[..., None]
) -> None:
    books.world.activate(GROWTH_ONLY)
    books.sold()
    books.catch_up()
    before(2, lose_the_race)
    assert refund_at(desk, key="1").status == 503
    ruled(books, "m2")()
    assert books.growth("m1", "m2") == [0, 302]

    reply = refund_at(desk, key="1")

    assert (reply.status, reply.body["member_id"]) == (201, "m2")
    assert books.growth("m1", "m2") == [0, 0]


def test_a_refund_that_was_refused_stays_refused_whatever_is_ruled_then(
    books: Books, desk: Client
) -> None:
    books.world.activate(tiered())
    books.sold()
    books.catch_up()
    refund_at(desk, "R-1")

    reply = again(books.world, lambda: refund_at(desk, "R-2", key="2"), ruled(books, "m2"))

    assert (reply.status, reply.code) == (409, "nothing_to_reverse")
