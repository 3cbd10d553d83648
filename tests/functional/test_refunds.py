"""A refund that comes too early, or in the middle of something, is answered and not lost."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.ledger import Policies, WalletPolicy
from forecourt.ledger.commands import Reverse
from forecourt.ledger_table import LedgerTable
from functions.corrections import handler as corrections
from tests.functional.accruing import Books, merge
from tests.functional.clients import Counting, Interrupting
from tests.functional.conftest import LOYALTY_TABLE
from tests.functional.receipts import WITH_SHOP, program
from tests.functional.refunding import refund_at
from tests.functional.tiered import tiered
from tests.functional.world import LITRES, with_wallets
from tests.specimens import RECEIVED_AT, SALE, earned, earned_nothing

if TYPE_CHECKING:
    from collections.abc import Callable

    from forecourt.ledger import Answer, Entry
    from tests.functional.http import Client, Reply

NOTHING_BELOW_FIFTY_LITRES = {
    **LITRES,
    "rules": [{**LITRES["rules"][0], "minimum": 50_000}],
}


def refund(
    books: Books, number: int = 1, *, reverses: str = SALE.sale_id, owner: str = "m1", **more: Any
) -> Answer:
    command = Reverse(
        entry_id=f"20261123T10000{number}Z.refund.{number}",
        owner=owner,
        reverses=reverses,
        document=f"R-{number}",
        source=f"refund:R-{number}",
        reason="refund",
        actor="op",
        occurred_at=RECEIVED_AT,
        **more,
    )
    return books.ledger.execute(command, policies=Policies())


def answer_to(books: Books, number: int = 1, *, owner: str = "m1") -> Entry | None:
    """Return what became of a refund that waited."""
    made = books.world.loyalty.made([owner], f"20261123T10000{number}Z.refund.{number}.applied")
    return made[1] if made else None


def nothing_waits(books: Books, owner: str = "m1") -> bool:
    waiting = [item["sk"] for item in books.world.items(LOYALTY_TABLE) if item["type"] == "parked"]
    return waiting == [] and books.world.loyalty.account(owner).parked == 0


@pytest.mark.parametrize("begun", [True, False], ids=["under a rule", "before the program"])
def test_a_refund_that_waits_for_a_sale_that_earns_nothing_is_answered_with_it(
    books: Books, *, begun: bool
) -> None:
    if begun:
        books.world.activate(NOTHING_BELOW_FIFTY_LITRES)
    books.sold()
    for number in (1, 2):
        assert refund(books, number).posted().kind == "park"
    assert books.world.loyalty.account("m1").parked == 2

    seen = books.catch_up()

    assert nothing_waits(books)
    for number in (1, 2):
        ended = answer_to(books, number)
        assert ended is not None
        assert (ended.kind, ended.reason, ended.refers_to) == (
            "reverse",
            "nothing_to_reverse",
            SALE.sale_id,
        )
        assert (ended.legs, ended.source, ended.actor) == ((), f"refund:R-{number}", "op")
    before = books.world.snapshot()
    books.catch_up(seen)
    assert books.world.snapshot() == before


def test_a_refund_that_waits_for_what_a_full_wallet_refuses_is_answered_with_the_refusal(
    books: Books,
) -> None:
    full = Policies(default=WalletPolicy(ceiling=100))
    assert refund(books).posted().kind == "park"

    answer = books.ledger.execute(earned("m1", 101), policies=full)

    assert answer.refusal is not None
    assert answer.refusal.code == "ceiling_exceeded"
    ended = answer_to(books)
    assert ended is not None
    assert (ended.reason, nothing_waits(books)) == ("nothing_to_reverse", True)
    before = books.world.snapshot()
    assert books.ledger.execute(earned("m1", 101), policies=full).repeated
    assert books.world.snapshot() == before


@pytest.mark.parametrize("worth", ["nothing", "too much"])
def test_a_refund_that_comes_while_its_sale_is_being_judged_does_not_wait_for_ever(
    books: Books, monkeypatch: pytest.MonkeyPatch, *, worth: str
) -> None:
    """It parks between accrual's look at the account and what accrual writes."""
    document: dict[str, Any] = dict(NOTHING_BELOW_FIFTY_LITRES)
    if worth == "too much":
        document = with_wallets(points={"ceiling": 10})
    books.world.activate(document)
    books.sold()
    rival = Interrupting(
        books.world.dynamodb, "transact_write_items", lambda: refund(books).posted()
    )
    monkeypatch.setattr("forecourt.contention.FIRST_PAUSE_SECONDS", 0)
    monkeypatch.setattr(books.accrual, "ledger", LedgerTable(rival, name=LOYALTY_TABLE))

    books.catch_up()

    ended = answer_to(books)
    assert ended is not None
    assert (ended.reason, nothing_waits(books)) == ("nothing_to_reverse", True)


def test_a_refund_after_a_sale_that_earned_nothing_is_refused_and_never_waits(
    books: Books,
) -> None:
    books.judged(NOTHING_BELOW_FIFTY_LITRES)

    answer = refund(books)

    assert answer.refusal is not None
    assert (answer.refusal.code, nothing_waits(books)) == ("nothing_to_reverse", True)


def test_who_was_refunded_too_early_earns_with_one_read_and_can_be_merged(books: Books) -> None:
    books.world.activate(NOTHING_BELOW_FIFTY_LITRES)
    books.sold()
    refund(books).posted()
    books.catch_up()
    counting = Counting(books.world.dynamodb)
    later = earned("m1", 10, sale_id="20261124T081500Z.s0001.SN4711.3.4712.1")

    LedgerTable(counting, name=LOYALTY_TABLE).execute(later, policies=Policies()).posted()

    assert counting.calls == {"get_item": 1, "transact_write_items": 1}
    merge(books, "m1", into="m3")
    assert books.points("m1", "m3") == [0, 10]


def test_a_reversal_that_waits_for_a_receipts_difference_is_answered_when_there_is_none(
    books: Books,
) -> None:
    """A ruling is carried out before the receipt's record: it waits for what never comes."""
    books.judged(program())
    books.world.tell(SALE, WITH_SHOP)
    told = books.records()
    books.world.rule(SALE, "m2")
    ruled = books.records()

    books.catch_up(ruled)
    assert books.world.loyalty.account("m1").parked == 1
    books.catch_up(told)

    assert books.points("m1", "m2") == [0, 54]
    assert nothing_waits(books)


def test_a_sale_worth_nothing_takes_one_transaction_and_no_read(books: Books) -> None:
    account = books.world.loyalty.account("m1")
    counting = Counting(books.world.dynamodb)
    ledger = LedgerTable(counting, name=LOYALTY_TABLE)

    ledger.execute(earned_nothing("m1"), policies=Policies(), account=account)

    assert counting.calls == {"transact_write_items": 1}


# --- and whosever the sale is by then ----------------------------------------------------------


class Meanwhile:
    """A ledger whose *count*-th command lets something happen before it is carried out."""

    def __init__(self, ledger: LedgerTable, count: int, happens: Callable[[], object]) -> None:
        self._ledger = ledger
        self._left = count
        self._happens = happens

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def execute(self, *args: Any, **named: Any) -> Answer:
        self._left -= 1
        if self._left == 0:
            self._happens()
        return self._ledger.execute(*args, **named)


@pytest.mark.parametrize("document", [LITRES, NOTHING_BELOW_FIFTY_LITRES], ids=["39", "0"])
def test_a_refund_between_the_account_that_went_and_the_one_it_went_to_is_not_lost(
    books: Books, desk: Client, monkeypatch: pytest.MonkeyPatch, document: dict[str, Any]
) -> None:
    books.world.activate(document)
    books.sold()
    merge(books, "m1", into="m3")
    replies: list[Reply] = []
    ledger = Meanwhile(books.accrual.ledger, 2, lambda: replies.append(refund_at(desk)))
    monkeypatch.setattr(books.accrual, "ledger", ledger)

    seen = books.catch_up()
    books.catch_up(seen)

    (reply,) = replies
    assert (reply.status, reply.body["kind"], reply.body["member_id"]) == (201, "park", "m3")
    assert books.points("m1", "m3") == [0, 0]
    assert nothing_waits(books, "m3")
    again = refund_at(desk, "R-2")
    assert (again.status, again.code) == (409, "nothing_to_reverse")


@pytest.mark.parametrize("judged", ["before the merge", "after it"])
def test_a_refund_whose_member_becomes_one_with_another_meanwhile_takes_from_the_other(
    books: Books, desk: Client, monkeypatch: pytest.MonkeyPatch, judged: str
) -> None:
    books.world.activate()
    books.sold()
    if judged == "before the merge":
        books.catch_up()
    routes = corrections.refunds._desk
    ledger: Any = Meanwhile(routes.ledger, 1, lambda: merge(books, "m1", into="m3"))
    monkeypatch.setattr(corrections.refunds, "_desk", replace(routes, ledger=ledger))

    reply = refund_at(desk)
    books.catch_up()

    assert (reply.status, reply.body["member_id"]) == (201, "m3")
    assert books.points("m1", "m3") == [0, 0]
    assert nothing_waits(books, "m3")


def test_growth_value_is_taken_back_where_it_is_when_the_points_stayed_behind(
    books: Books, desk: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The members became one between a sale's points and its growth value."""
    books.world.activate(tiered())
    books.sold()

    def become_one() -> None:
        for wallet in ("points", "growth"):
            merge(books, "m1", into="m3", wallet=wallet)

    monkeypatch.setattr(books.accrual, "ledger", Meanwhile(books.accrual.ledger, 2, become_one))
    books.catch_up()
    assert books.growth("m3") == [302]

    refund_at(desk)

    assert (books.points("m3"), books.growth("m3")) == ([0], [0])


def test_a_share_that_was_refused_by_an_account_that_went_is_given_where_it_went(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its member became one with another just before a ruling gave them the sale."""
    books.judged()
    books.world.rule(SALE, "m2")
    ledger = Meanwhile(books.accrual.ledger, 2, lambda: merge(books, "m2", into="m3"))
    monkeypatch.setattr(books.accrual, "ledger", ledger)
    ruled = books.records()
    assert books.accrual.handle({"Records": ruled}, books.context) != {"batchItemFailures": []}

    books.catch_up(ruled)
    books.catch_up(ruled)

    assert books.points("m1", "m2", "m3") == [0, 0, 39]
