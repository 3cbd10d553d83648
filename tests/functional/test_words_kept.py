"""What a member said of a sale counts, whatever is told of it or decided about it meanwhile."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.bus import DetailType
from forecourt.decisions import Decision, Outcome, Reason
from forecourt.erasing import Erasing
from forecourt.questions_table import Says
from forecourt.retold_sales import RetoldSales
from forecourt.stored_sales import Status
from forecourt.stored_tellings import StoredTelling
from functions.members import handler as members
from tests.functional.assigning import NOW, assignment
from tests.functional.clients import Interrupting
from tests.functional.conftest import LOYALTY_TABLE, SALES_TABLE
from tests.functional.hearing import hear, heard
from tests.functional.http import Client
from tests.functional.tellings import ACCOUNT, PAYMENT, PHONE, TILL, telling_record
from tests.functional.world import World, key_of, keyed, sale_record
from tests.specimens import PLATE, RECEIVED_AT, probably, sale

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from forecourt.sales import Sale

UNSEEN = sale(evidence=())
BY_PLATE = sale(evidence=(PLATE,))
PAID = telling_record(PAYMENT, ACCOUNT)
CONTRADICTION = telling_record(replace(TILL, amount_fen=TILL.amount_fen + 1))
LATER = NOW + timedelta(seconds=1)


@pytest.fixture
def claims(world: World, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    from functions.claims import handler  # noqa: PLC0415 - its clients need the environment

    monkeypatch.setattr(handler, "assignment", assignment(world))
    monkeypatch.setattr(members.questions, "_now", lambda: NOW)
    monkeypatch.setattr("forecourt.contention.FIRST_PAUSE_SECONDS", 0)
    return handler


@pytest.fixture
def said(world: World, claims: ModuleType, context: Any) -> Callable[..., list[dict[str, Any]]]:
    """
    Return what app and bus do: say something of a sale, and let it be heard.

    What comes back is what the queue has to bring again.
    """
    app = Client(handle=members.handle, subject="m1", groups="[member]")

    def say(
        word: str, sold: Sale, meanwhile: Callable[[], object] = lambda: None
    ) -> list[dict[str, Any]]:
        if word == "claim":
            reply = app.post("/members/me/claims", {"sale_id": sold.sale_id})
        else:
            reply = app.post(f"/members/me/questions/{sold.sale_id}/{word}")
        assert reply.status == 202
        messages = heard(world, DetailType.CONFIRMATION_ANSWERED)
        assert len(messages) == 1
        meanwhile()
        return messages if hear(claims, messages, context) else []

    return say


def nobodys_now(world: World, sold: Sale) -> None:
    """Let a rival that knows of nobody decide a sale."""
    nobody = Decision(
        outcome=Outcome.UNMATCHED, reason=Reason.UNKNOWN, member_id=None, posterior_ppm=0,
        weights_version=1,
    )  # fmt: skip
    assert world.decided.decide(world.stored(sold), nobody, decided_at=LATER)


@pytest.fixture
def claimed(tell: Any, match: Any, said: Any, world: World) -> None:
    """Let a member claim a sale whose customer nobody saw."""
    tell(sale_record(UNSEEN))
    match()
    world.enrol("m1", ACCOUNT)
    said("claim", UNSEEN)


@pytest.fixture
def asked(tell: Any, match: Any, world: World) -> None:
    """Ask a member about a sale of their car; their phone is bound, and was not seen yet."""
    world.enrol("m1", PLATE, PHONE)
    tell(sale_record(BY_PLATE))
    match()
    assert world.stored(BY_PLATE).asked == "m1"


either_word = pytest.mark.parametrize(
    ("word", "status", "member_id"),
    [("confirmation", Status.MATCHED, "m1"), ("denial", Status.UNMATCHED, None)],
)


@pytest.mark.usefixtures("claimed")
def test_what_a_till_tells_of_a_claimed_sale_is_weighed_with_the_claim(
    tell: Any, match: Any, world: World
) -> None:
    assert world.stored(UNSEEN).status is Status.UNMATCHED
    assert world.stored(UNSEEN).claimed_by == {"m1"}

    tell(PAID)
    match()

    stored = world.stored(UNSEEN)
    assert (stored.status, stored.member_id) == (Status.MATCHED, "m1")
    assert stored.matched_by == ("claim", "payment")


@pytest.mark.usefixtures("claimed")
def test_of_two_who_claimed_a_sale_neither_is_believed_by_what_a_till_tells(
    tell: Any, match: Any, world: World
) -> None:
    world.decided.note_claim(world.stored(UNSEEN), "m2")

    tell(PAID)
    match()

    assert world.stored(UNSEEN).member_id is None


@pytest.mark.usefixtures("asked")
@either_word
def test_what_is_said_of_a_sale_about_to_be_weighed_counts_with_what_was_told_of_it(
    tell: Any, match: Any, said: Any, world: World, *,
    word: str, status: Status, member_id: str | None,
) -> None:  # fmt: skip
    """The phone that the till tells is the member's: without their no they would be credited."""
    assert said(word, BY_PLATE, lambda: tell(telling_record(TILL, PHONE))) == []
    assert world.stored(BY_PLATE).status is Status.RECEIVED
    match()

    stored = world.stored(BY_PLATE)
    assert (stored.status, stored.member_id) == (status, member_id)


@pytest.mark.usefixtures("asked")
@either_word
def test_what_is_on_its_way_when_more_is_told_is_weighed_with_it(
    tell: Any, match: Any, said: Any, world: World, *,
    word: str, status: Status, member_id: str | None,
) -> None:  # fmt: skip
    """The sale is decided before the bus brings the answer, which changes nothing more."""
    decided: list[Any] = []

    def decides() -> None:
        tell(telling_record(TILL, PHONE))
        match()
        decided.extend(world.snapshot())

    assert said(word, BY_PLATE, decides) == []

    stored = world.stored(BY_PLATE)
    assert (stored.status, stored.member_id) == (status, member_id)
    assert [each.says is not None for each in world.questions.everything("m1")] == [True]
    assert world.snapshot() == decided


def test_what_is_answered_in_the_moment_a_telling_joins_is_not_taken_back(
    tell: Any, match: Any, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forecourt.contention.FIRST_PAUSE_SECONDS", 0)
    world.enrol("m1", PLATE)
    tell(sale_record(BY_PLATE))
    match()
    telling = StoredTelling(telling=TILL, received_at=RECEIVED_AT, evidence=keyed(PHONE))
    crossing = Interrupting(
        world.dynamodb,
        "transact_write_items",
        lambda: world.questions.answer(
            "m1", BY_PLATE.sale_id, Says.NO, answered_by="m1", answered_at=NOW
        ),
    )
    retold = RetoldSales(crossing, sales=SALES_TABLE, loyalty=LOYALTY_TABLE)
    retold.add(telling)

    retold.reunite(TILL, now=RECEIVED_AT)

    stored = world.stored(BY_PLATE)
    assert (stored.status, stored.denied_by) == (Status.RECEIVED, frozenset({"m1"}))
    assert world.questions.said("m1", BY_PLATE.sale_id) is Says.NO


@pytest.mark.usefixtures("asked")
def test_a_no_that_comes_while_matching_weighs_is_weighed_with_the_record_it_makes(
    tell: Any, match: Any, claims: ModuleType, world: World
) -> None:
    tell(telling_record(TILL, PHONE))
    stored, judge = world.stored(BY_PLATE), assignment(world)
    (weighed,) = judge.weigh([stored])
    assert weighed.decision.member_id == "m1"

    claims.heed(claims.Said(member_id="m1", sale_id=BY_PLATE.sale_id, says=Says.NO, said_by="m1"))
    assert judge.assign(stored, weighed) is None
    assert world.stored(BY_PLATE).status is Status.RECEIVED
    match()

    assert world.stored(BY_PLATE).undecided_because == "denied"


def test_who_says_no_and_is_not_asked_any_more_is_never_asked_again(
    tell: Any, match: Any, said: Any, world: World
) -> None:
    world.enrol("m1", PLATE)
    tell(sale_record(BY_PLATE))
    match()

    def asks_another() -> None:
        stored = world.stored(BY_PLATE)
        assert world.decided.decide(stored, probably("m2"), decided_at=LATER)

    assert said("denial", BY_PLATE, asks_another) == []

    stored = world.stored(BY_PLATE)
    assert (stored.asked, stored.denied_by) == ("m2", frozenset({"m1"}))


@either_word
def test_what_is_said_of_a_held_sale_counts_once_it_is_released(
    tell: Any,
    match: Any,
    said: Any,
    world: World,
    *,
    word: str,
    status: Status,
    member_id: str | None,
) -> None:
    world.enrol("m1", PLATE)
    tell(sale_record(BY_PLATE))
    match()

    assert said(word, BY_PLATE, lambda: tell(CONTRADICTION)) == []
    assert world.stored(BY_PLATE).status is Status.HELD
    world.sales.release(BY_PLATE.sale_id, actor="op", decided_at=RECEIVED_AT)
    match()

    assert (world.stored(BY_PLATE).status, world.stored(BY_PLATE).member_id) == (status, member_id)


def test_what_is_said_while_a_held_sale_is_released_counts(
    tell: Any, match: Any, said: Any, claims: ModuleType, world: World, *,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    world.enrol("m1", PLATE)
    tell(sale_record(BY_PLATE))
    match()

    def release() -> None:
        world.sales.release(BY_PLATE.sale_id, actor="op", decided_at=RECEIVED_AT)

    monkeypatch.setattr(
        claims.decided, "_dynamodb", Interrupting(world.dynamodb, "update_item", release)
    )
    assert said("confirmation", BY_PLATE, lambda: tell(CONTRADICTION)) == []
    match()

    assert world.stored(BY_PLATE).member_id == "m1"


def test_an_answer_that_was_not_believed_stays_when_more_is_told(
    tell: Any, match: Any, said: Any, world: World
) -> None:
    world.enrol("m1", PLATE)
    world.enrol("m2")
    world.portraits.note_driver(key_of(PLATE), "m2", seen_at=1)
    tell(sale_record(BY_PLATE))
    match()
    said("confirmation", BY_PLATE)
    stored = world.stored(BY_PLATE)
    assert (stored.status, stored.claimed_by) == (Status.PENDING, frozenset({"m1"}))

    tell(PAID)
    match()

    assert [str(each.says) for each in world.questions.everything("m1")] == ["yes"]


def test_who_loses_the_race_of_two_weighings_weighs_again(
    tell: Any, match: Any, claims: ModuleType, world: World, context: Any, *,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    tell(sale_record(BY_PLATE))
    match()
    world.enrol("m1", PLATE)
    bound = heard(world, DetailType.IDENTITY_BOUND)
    rival = Interrupting(
        world.dynamodb, "transact_write_items", lambda: nobodys_now(world, BY_PLATE)
    )
    monkeypatch.setattr(claims, "assignment", assignment(world, sales_client=rival))

    assert hear(claims, bound, context) == []

    assert world.stored(BY_PLATE).asked == "m1"


def test_a_claim_that_loses_the_race_of_two_weighings_is_weighed_again(
    tell: Any, match: Any, said: Any, claims: ModuleType, world: World, *,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    world.enrol("m1", PLATE)
    tell(sale_record(BY_PLATE))
    match()
    rival = Interrupting(
        world.dynamodb, "transact_write_items", lambda: nobodys_now(world, BY_PLATE)
    )
    monkeypatch.setattr(claims, "assignment", assignment(world, sales_client=rival))

    said("confirmation", BY_PLATE)

    assert world.stored(BY_PLATE).member_id == "m1"


def test_a_claim_that_is_weighed_while_another_claims_is_not_believed(
    tell: Any, match: Any, said: Any, claims: ModuleType, world: World, *,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    world.enrol("m1", PLATE)
    tell(sale_record(BY_PLATE))
    match()
    rival = Interrupting(
        world.dynamodb,
        "transact_write_items",
        lambda: world.decided.note_claim(world.stored(BY_PLATE), "m2"),
    )
    monkeypatch.setattr(claims, "assignment", assignment(world, sales_client=rival))

    said("confirmation", BY_PLATE)

    stored = world.stored(BY_PLATE)
    assert (stored.status, stored.claimed_by) == (Status.PENDING, frozenset({"m1", "m2"}))


def test_a_sale_about_to_be_weighed_stays_filed_for_whoever_binds_a_piece_of_it(
    tell: Any, match: Any, claims: ModuleType, world: World
) -> None:
    tell(sale_record(BY_PLATE))
    match()
    tell(telling_record(TILL, PHONE))
    assert world.stored(BY_PLATE).status is Status.RECEIVED
    before = world.snapshot()

    claims.claim(key_of(PLATE))

    assert world.snapshot() == before


def test_who_was_asked_and_is_forgotten_since_lets_the_sale_go(
    tell: Any, match: Any, claims: ModuleType, world: World, *, counted: Any
) -> None:
    world.enrol("m1", PLATE)
    tell(sale_record(BY_PLATE))
    match()
    assert world.stored(BY_PLATE).asked == "m1"
    Erasing(world.dynamodb, sales=SALES_TABLE, loyalty=LOYALTY_TABLE).close_portrait("m1")
    counted()

    claims.claim(key_of(PLATE))
    claims.metrics.flush_metrics()

    assert world.stored(BY_PLATE).status is Status.UNMATCHED
    assert counted() == {"OrphansLetGo": 1}


def filed(world: World, tell: Any, match: Any, count: int) -> list[Sale]:
    sales = [
        sale(transaction=each, totalizer_ml=each * 100_000, evidence=(PLATE,))
        for each in range(1, count + 1)
    ]
    tell(*map(sale_record, sales))
    match()
    assert {world.stored(each).status for each in sales} == {Status.UNMATCHED}
    return sales


def test_what_too_many_wait_with_is_weighed_for_nobody_and_goes_on_waiting(
    tell: Any, match: Any, claims: ModuleType, world: World, context: Any, *,
    counted: Any, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(claims, "ORPHANS_MAX", 2)
    sales = filed(world, tell, match, 3)
    world.enrol("m1", PLATE)
    bound = heard(world, DetailType.IDENTITY_BOUND)
    before = world.snapshot()
    counted()

    assert hear(claims, bound, context) == []

    assert counted() == {"OrphansFlooded": 1}
    assert world.snapshot() == before
    assert len(world.decided.orphans(key_of(PLATE))) == len(sales)


def test_as_many_as_may_wait_with_one_key_are_all_weighed(
    tell: Any, match: Any, claims: ModuleType, world: World, context: Any, *,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(claims, "ORPHANS_MAX", 2)
    sales = filed(world, tell, match, 2)
    world.enrol("m1", PLATE)

    assert hear(claims, heard(world, DetailType.IDENTITY_BOUND), context) == []

    assert [world.stored(each).asked for each in sales] == ["m1", "m1"]
