"""What nobody got is forgotten when its time is over, and only that."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest
from botocore.exceptions import ClientError

from forecourt.orphans import EVIDENCE_KEPT
from forecourt.outwaited_sales import OutwaitedSales
from forecourt.retellings import telling_id_for
from forecourt.retold_sales import RetoldSales
from forecourt.stored_sales import Queue, Status, StoredSale
from forecourt.stored_tellings import StoredTelling
from functions.operator import handler as operator
from tests.functional.assigning import NOW as DECIDED_AT
from tests.functional.assigning import assignment
from tests.functional.clients import Interrupting, Paging, Reluctant, cancellation, refusal
from tests.functional.conftest import LOYALTY_TABLE, SALES_TABLE
from tests.functional.http import Client
from tests.functional.tellings import PAYMENT, PHONE, TILL
from tests.functional.world import key_of, keyed
from tests.specimens import CARD, PLATE, RECEIVED_AT, SALE, nobodys, probably, sale

if TYPE_CHECKING:
    from collections.abc import Callable

    from forecourt.retellings import Telling
    from forecourt.sales import Sale
    from tests.functional.world import World

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
OTHER = sale(transaction=4712, totalizer_ml=123_500_000)
TOLD_ID = telling_id_for(TILL)


class Months:
    """A platform on which time passes, and the job that forgets."""

    def __init__(self, world: World, handler: Any, context: Any) -> None:
        self.world = world
        self.handler = handler
        self.context = context
        self.now = DECIDED_AT

    def received(self, told: Sale = SALE, status: Status = Status.RECEIVED) -> StoredSale:
        stored = StoredSale(
            sale=replace(told, evidence=()),
            status=status,
            received_at=RECEIVED_AT,
            evidence=keyed(PLATE, CARD),
            sealed=b"sealed",
        )
        self.world.sales.add(stored)
        return stored

    def unmatched(self, told: Sale = SALE) -> None:
        assert self.world.decided.decide(self.received(told), nobodys(), decided_at=DECIDED_AT)

    def pending(self) -> None:
        decision = probably("m1")
        assert self.world.decided.decide(self.received(), decision, decided_at=DECIDED_AT)

    def nobodys(self) -> None:
        """Let a person say that it is nobody's."""
        self.unmatched()
        self.world.rule(SALE, ruled_at=DECIDED_AT)

    def asked_by_a_person(self) -> None:
        self.world.enrol("m1")
        self.unmatched()
        self.world.rule(SALE, asked="m1", ruled_at=DECIDED_AT)

    def rejected(self) -> None:
        self.received(status=Status.HELD)
        self.world.sales.reject(SALE.sale_id, actor="op", decided_at=DECIDED_AT)

    def told(self, telling: Telling = TILL, *, client: Any = None) -> None:
        """Let a till tell of the sale, with a phone that was typed."""
        retold = RetoldSales(
            client or self.world.dynamodb, sales=SALES_TABLE, loyalty=LOYALTY_TABLE
        )
        retold.add(
            StoredTelling(
                telling=telling, received_at=self.now, evidence=keyed(PHONE), sealed=b"sealed"
            )
        )
        retold.reunite(telling, now=self.now)

    def weighed(self) -> None:
        """Let matching weigh a sale that more was told of, and nobody have it."""
        stored = self.world.stored(SALE)
        assert self.world.decided.decide(stored, nobodys(), decided_at=self.now)

    def run(self, context: Any = None) -> int:
        """Let the job run; return of how many sales it took the evidence."""
        answer: dict[str, int] = self.handler.handle({}, context or self.context)
        return answer["sales"]

    def reach_through(self, client: Any) -> None:
        self.handler.outwaited = OutwaitedSales(client, name=SALES_TABLE)


@pytest.fixture
def months(world: World, context: Any, monkeypatch: pytest.MonkeyPatch) -> Months:
    from functions.retention import handler  # noqa: PLC0415 - its clients need the environment

    months = Months(world, handler, context)
    monkeypatch.setattr(handler, "datetime", Mock(now=lambda _zone: months.now))
    monkeypatch.setattr(handler, "outwaited", OutwaitedSales(world.dynamodb, name=SALES_TABLE))
    return months


WAYS = ["unmatched", "pending", "nobodys", "asked_by_a_person", "rejected"]


@pytest.mark.parametrize("way", WAYS)
def test_what_nobody_got_names_nobody_when_its_time_is_over(
    months: Months, way: str, counted: Callable[[], Any]
) -> None:
    getattr(months, way)()
    before = months.world.stored(SALE)
    counted()
    months.now += EVIDENCE_KEPT + SECOND

    assert months.run() == 1

    assert before.evidence
    assert months.world.stored(SALE) == replace(before, evidence=(), sealed=None)
    assert counted() == {"EvidenceForgotten": 1}
    left = str(months.world.items(SALES_TABLE)).replace(str(pointers(months.world)), "")
    assert key_of(PLATE).digest not in left


def pointers(world: World) -> list[dict[str, Any]]:
    """Return what the table forgets by itself."""
    return [item for item in world.items(SALES_TABLE) if item["type"] == "orphan"]


@pytest.mark.parametrize("way", WAYS)
def test_until_then_everything_is_kept(months: Months, way: str) -> None:
    getattr(months, way)()
    before = months.world.snapshot()
    months.now += EVIDENCE_KEPT

    assert months.run() == 0

    assert months.world.snapshot() == before


@pytest.mark.parametrize("way", WAYS)
def test_what_was_forgotten_is_not_found_again(months: Months, way: str) -> None:
    getattr(months, way)()
    months.now += EVIDENCE_KEPT + SECOND
    months.run()
    before = months.world.snapshot()

    assert months.run() == 0

    assert months.world.snapshot() == before
    assert [months.world.sales.queue(each, limit=9).items for each in Queue] == [[]] * len(Queue)


def test_what_somebody_got_or_is_still_to_be_decided_keeps_its_evidence(months: Months) -> None:
    credited, ruled, held, received = (
        sale(transaction=number, totalizer_ml=number) for number in range(1, 5)
    )
    months.world.enrol("m1")
    months.received(credited)
    months.world.credit(credited, "m1")
    months.unmatched(ruled)
    months.world.rule(ruled, "m1")
    months.received(held, Status.HELD)
    months.received(received)
    months.told(replace(TILL, at=TILL.at + DAY))  # it finds no sale
    before = months.world.snapshot()
    months.now += 10 * EVIDENCE_KEPT

    assert months.run() == 0

    assert months.world.snapshot() == before


def test_what_was_told_of_it_names_nobody_either(months: Months) -> None:
    months.received()
    months.told()
    months.weighed()
    assert months.world.stored(SALE).told[0].sealed == b"sealed"
    months.now += EVIDENCE_KEPT + SECOND

    assert months.run() == 1

    (told,) = months.world.stored(SALE).told
    assert (told.telling_id, told.sealed) == (TOLD_ID, None)
    (telling,) = (each for each in months.world.items(SALES_TABLE) if each["type"] == "telling")
    assert not {"evidence", "sealed"} & telling.keys()
    assert telling["sale_id"] == SALE.sale_id


def test_who_was_seen_once_and_is_erased_later_is_shown_to_nobody(
    months: Months, told: Any, match: Any
) -> None:
    """Pointers are gone by then: the deletion finds no sale, and need not."""
    world = months.world
    world.enrol("m1", PLATE)
    told(SALE)
    match()
    assert world.stored(SALE).asked == "m1"
    manager = Client(handle=operator.handle, subject="sub-manager", groups="[manager]")
    shown = manager.get(f"/sales/{SALE.sale_id}").body
    assert [each["kind"] for each in shown["observed"]] == ["plate", "card"]
    months.now += timedelta(days=45)

    months.run()

    shown = manager.get(f"/sales/{SALE.sale_id}").body
    assert (shown["evidence"], shown["observed"]) == ([], [])
    assert (shown["volume_ml"], shown["amount_fen"]) == (SALE.volume_ml, SALE.amount_fen)
    assert shown["weighed"]["outcome"] == "pending"


@pytest.mark.parametrize("told", [False, True], ids=["by the pump", "by a till, too"])
def test_a_sale_that_somebody_got_since_it_was_found_keeps_everything(
    months: Months, *, told: bool
) -> None:
    world = months.world
    world.enrol("m1")
    months.received()
    if told:
        months.told()
    months.weighed()
    months.now += EVIDENCE_KEPT + SECOND
    method = "transact_write_items" if told else "update_item"
    given: list[Any] = []

    def give() -> None:
        world.rule(SALE, "m1")
        given.extend(world.items(SALES_TABLE))

    months.reach_through(Interrupting(world.dynamodb, method, give))

    assert months.run() == 0

    assert world.stored(SALE).evidence
    assert world.items(SALES_TABLE) == given


def test_a_sale_that_was_weighed_anew_since_it_was_found_waits_anew(months: Months) -> None:
    months.unmatched()
    months.now += EVIDENCE_KEPT + SECOND
    months.reach_through(Interrupting(months.world.dynamodb, "update_item", months.weighed))

    assert months.run() == 0
    assert months.world.stored(SALE).evidence

    months.now += EVIDENCE_KEPT + SECOND
    assert months.run() == 1


@pytest.mark.parametrize("known", [(), (PAYMENT,)], ids=["the first", "another"])
def test_what_joins_a_sale_since_it_was_found_is_forgotten_by_the_next_run(
    months: Months, known: tuple[Telling, ...]
) -> None:
    months.nobodys()
    for each in known:
        months.told(each)
    months.now += EVIDENCE_KEPT + SECOND
    method = "transact_write_items" if known else "update_item"
    client = Interrupting(months.world.dynamodb, method, months.told)
    months.reach_through(client)

    assert months.run() == 0
    assert {each.sealed for each in months.world.stored(SALE).told} == {b"sealed"}

    assert months.run() == 1
    stored = months.world.stored(SALE)
    assert (stored.evidence, len(stored.told)) == ((), len(known) + 1)
    assert {each.sealed for each in stored.told} == {None}


@pytest.mark.parametrize("way", ["nobodys", "rejected"])
def test_what_is_told_after_all_was_forgotten_is_forgotten_in_its_turn(
    months: Months, way: str
) -> None:
    getattr(months, way)()
    months.now += EVIDENCE_KEPT + SECOND
    months.run()

    months.told()
    months.now += EVIDENCE_KEPT
    assert months.run() == 0
    assert months.world.stored(SALE).evidence
    months.now += SECOND

    assert months.run() == 1
    assert months.world.stored(SALE).evidence == ()


def test_what_joins_a_sale_that_waits_does_not_make_it_wait_longer(months: Months) -> None:
    months.nobodys()
    months.now += EVIDENCE_KEPT
    months.told()
    months.now += SECOND

    assert months.run() == 1


def test_a_sale_told_of_late_waits_from_when_it_was_weighed(months: Months) -> None:
    """It was forgotten, a telling brought evidence, and it was weighed anew with that."""
    months.unmatched()
    months.now += EVIDENCE_KEPT + SECOND
    months.run()
    months.told()
    assert months.world.stored(SALE).status is Status.RECEIVED
    months.weighed()
    months.now += EVIDENCE_KEPT

    assert months.run() == 0
    months.now += SECOND

    assert months.run() == 1
    assert months.world.stored(SALE).evidence == ()


def test_a_sale_held_for_long_waits_from_its_release(months: Months) -> None:
    months.received(status=Status.HELD)
    months.now += EVIDENCE_KEPT
    months.world.sales.release(SALE.sale_id, actor="op", decided_at=months.now)
    months.weighed()
    months.now += EVIDENCE_KEPT

    assert months.run() == 0
    months.now += SECOND

    assert months.run() == 1


def test_a_claim_gets_nothing_by_evidence_that_is_forgotten(months: Months) -> None:
    months.unmatched()
    months.now += EVIDENCE_KEPT + SECOND
    months.run()
    months.world.enrol("m1", PLATE, CARD)
    before = months.world.items(SALES_TABLE)

    judge = assignment(months.world, now=DECIDED_AT)  # even while it would be heard
    assert judge.claim(months.world.stored(SALE), claimed_by="m1") is None

    assert months.world.items(SALES_TABLE) == before


def test_a_person_may_still_rule_on_it(months: Months) -> None:
    months.unmatched()
    months.now += EVIDENCE_KEPT + SECOND
    months.run()
    months.world.enrol("m1")

    months.world.rule(SALE, "m1", ruled_at=months.now)

    assert months.world.stored(SALE).held[0].share.member_id == "m1"


@pytest.mark.parametrize("way", WAYS)
def test_to_forget_is_no_news_to_matching_or_accrual(months: Months, books: Any, way: str) -> None:
    months.world.records(SALES_TABLE)
    if way == "asked_by_a_person":
        months.unmatched()  # the books have enrolled everybody
        months.world.rule(SALE, asked="m1", ruled_at=DECIDED_AT)
    else:
        getattr(months, way)()
    months.now += EVIDENCE_KEPT + SECOND
    seen = months.world.records(SALES_TABLE)

    months.run()

    assert seen
    (record,) = months.world.records(SALES_TABLE)
    assert record["dynamodb"]["NewImage"]["status"]["S"] != "received"
    assert not books.is_for_accrual(record)


def test_a_ruling_that_it_is_nobodys_reaches_accrual(months: Months, books: Any) -> None:
    months.nobodys()

    assert [books.is_for_accrual(each) for each in months.world.records(SALES_TABLE)][-1]


def test_a_run_that_ends_in_time_is_gone_on_with_by_the_next(months: Months, hurried: Any) -> None:
    months.unmatched(SALE)
    months.unmatched(OTHER)
    months.now += EVIDENCE_KEPT + SECOND

    assert months.run(hurried) == 1
    assert [bool(months.world.stored(each).evidence) for each in (SALE, OTHER)].count(True) == 1

    assert months.run() == 1
    assert [months.world.stored(each).evidence for each in (SALE, OTHER)] == [(), ()]


@pytest.mark.parametrize(("late", "overdue"), [(DAY, {}), (DAY + SECOND, {"EvidenceOverdue": 2})])
def test_what_missed_runs_left_is_made_good_and_told_of(
    months: Months, counted: Callable[[], Any], late: timedelta, overdue: dict[str, int]
) -> None:
    months.unmatched(SALE)
    months.unmatched(OTHER)
    counted()
    months.now += EVIDENCE_KEPT + late

    assert months.run() == 2

    assert counted() == {"EvidenceForgotten": 2, **overdue}


def test_all_pages_of_a_queue_are_read(months: Months) -> None:
    sold = [sale(transaction=number, totalizer_ml=number) for number in range(1, 5)]
    for each in sold:
        months.unmatched(each)
    months.now += EVIDENCE_KEPT + SECOND
    months.reach_through(Paging(months.world.dynamodb, page=2))

    assert months.run() == len(sold)

    assert {months.world.stored(each).evidence for each in sold} == {()}


def test_a_run_that_is_throttled_fails_and_the_next_goes_on(months: Months) -> None:
    months.unmatched()
    months.now += EVIDENCE_KEPT + SECOND
    before = months.world.snapshot()
    throttled = refusal("ProvisionedThroughputExceededException")
    months.reach_through(Reluctant(months.world.dynamodb, "update_item", throttled))

    with pytest.raises(ClientError):
        months.run()
    assert months.world.snapshot() == before

    assert months.run() == 1


def test_a_sale_somebody_else_writes_to_is_left_to_the_next_run(months: Months) -> None:
    months.received()
    months.told()
    months.weighed()
    months.now += EVIDENCE_KEPT + SECOND
    before = months.world.snapshot()
    contended = cancellation("TransactionConflict", "None")
    months.reach_through(Reluctant(months.world.dynamodb, "transact_write_items", contended))

    assert months.run() == 0
    assert months.world.snapshot() == before

    assert months.run() == 1


@pytest.mark.parametrize(
    "error",
    [refusal("InternalServerError"), cancellation("None", "ItemCollectionSizeLimitExceeded")],
    ids=["no reasons", "no passing reason"],
)
def test_what_does_not_pass_by_itself_is_a_failure(months: Months, error: ClientError) -> None:
    months.received()
    months.told()
    months.weighed()
    months.now += EVIDENCE_KEPT + SECOND
    before = months.world.snapshot()
    months.reach_through(Reluctant(months.world.dynamodb, "transact_write_items", error))

    with pytest.raises(ClientError):
        months.run()

    assert months.world.snapshot() == before
