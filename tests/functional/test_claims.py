"""Binding an identity weighs the sales that waited for it anew, and only those."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.bus import DetailType
from forecourt.decisions import Outcome, Piece, Reason
from forecourt.orphans import WAITING
from forecourt.questions_table import Says
from forecourt.sales import Evidence, EvidenceKind
from forecourt.stored_sales import Queue, Status
from tests.functional.assigning import assignment
from tests.functional.clients import Interrupting, Reluctant, refusal
from tests.functional.conftest import LOYALTY_TABLE, SALES_TABLE
from tests.functional.hearing import hear, heard
from tests.functional.world import World, key_of
from tests.specimens import CARD, PLATE, RECEIVED_AT, SALE, sale

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

OTHER = sale(transaction=4712, totalizer_ml=123_500_000)
WALLET = Evidence(kind=EvidenceKind.PAYMENT, value="wallet-1")
CASHLESS = sale(transaction=4714, totalizer_ml=123_700_000, evidence=(PLATE, WALLET))
BY_CARD = sale(transaction=4713, totalizer_ml=123_600_000, evidence=(CARD,))
DAY_SECONDS = 86_400


@pytest.fixture
def claims(world: World, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    from functions.claims import handler  # noqa: PLC0415 - its clients need the environment

    monkeypatch.setattr(handler, "assignment", assignment(world))
    return handler


@pytest.fixture
def unmatched(
    world: World, told: Any, context: Any, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """Return what comes before a claim: sales that were told, and matched with nobody."""
    from functions.matching import handler  # noqa: PLC0415

    monkeypatch.setattr(handler, "assignment", assignment(world))

    def leave(*sales: Any) -> None:
        told(*sales)
        records = world.records(SALES_TABLE, status="received")
        assert handler.handle({"Records": records}, context) == {"batchItemFailures": []}
        assert {world.stored(each).status for each in sales} == {Status.UNMATCHED}

    return leave


def bound_events(world: World) -> list[dict[str, Any]]:
    """Return what the bus brings for each identity bound since the last call."""
    return heard(world, DetailType.IDENTITY_BOUND)


def told_of_every_binding(claims: ModuleType, world: World, context: Any) -> None:
    assert hear(claims, bound_events(world), context) == []


def test_two_identities_bound_make_every_waiting_sale_with_both_the_members(
    claims: ModuleType, unmatched: Any, world: World, context: Any
) -> None:
    unmatched(SALE, OTHER)
    world.enrol("m1", PLATE, CARD)

    told_of_every_binding(claims, world, context)

    assert [world.stored(each).member_id for each in (SALE, OTHER)] == ["m1", "m1"]
    assert list(world.decided.orphans(key_of(PLATE))) == []
    assert world.sales.queue(Queue.UNMATCHED, limit=9).items == []
    matched = world.records(SALES_TABLE, status="matched")
    assert [record["eventName"] for record in matched] == ["MODIFY", "MODIFY"]


def test_one_identity_bound_asks_whether_the_sale_is_theirs(
    claims: ModuleType, unmatched: Any, world: World, context: Any, counted: Any
) -> None:
    unmatched(SALE, BY_CARD)
    world.enrol("m1", PLATE)
    counted()

    told_of_every_binding(claims, world, context)

    stored = world.stored(SALE)
    assert (stored.status, stored.asked, stored.member_id) == (Status.PENDING, "m1", None)
    assert counted() == {"OrphansAskedAbout": 1}
    assert world.stored(BY_CARD).status is Status.UNMATCHED
    assert list(world.decided.orphans(key_of(PLATE))) == [SALE.sale_id]


def test_a_second_identity_answers_what_the_first_one_asked(
    claims: ModuleType, unmatched: Any, world: World, context: Any, counted: Any
) -> None:
    unmatched(SALE)
    world.enrol("m1", PLATE)
    told_of_every_binding(claims, world, context)
    counted()

    world.bind("m1", CARD)
    told_of_every_binding(claims, world, context)

    assert world.stored(SALE).member_id == "m1"
    assert counted() == {"OrphansClaimed": 1}
    assert [item for item in world.items(LOYALTY_TABLE) if item["type"] == "question"] == []


def test_whoever_is_asked_and_says_yes_gets_the_sale(unmatched: Any, world: World) -> None:
    unmatched(SALE)
    world.enrol("m1", PLATE)

    decision = assignment(world).claim(world.stored(SALE), claimed_by="m1")

    assert decision is not None
    assert decision.by == ("claim", "plate")
    assert world.stored(SALE).member_id == "m1"


def test_a_claim_without_evidence_is_believed_of_nobody(unmatched: Any, world: World) -> None:
    unmatched(SALE)
    world.enrol("m1")
    before = world.snapshot()

    assert assignment(world).claim(world.stored(SALE), claimed_by="m1") is None

    assert world.snapshot() == before


@pytest.mark.parametrize("late", [timedelta(0), timedelta(seconds=1)])
def test_a_sale_waits_thirty_days_to_the_last_second(
    unmatched: Any, world: World, late: timedelta
) -> None:
    unmatched(SALE)
    world.enrol("m1", PLATE, CARD)

    at_the_end = assignment(world, now=SALE.key.completed_at + WAITING + late)
    decision = at_the_end.claim(world.stored(SALE))

    assert (decision is not None) == (not late)


@pytest.mark.parametrize("bound", [(PLATE,), (PLATE, CARD)])
def test_an_event_that_comes_again_changes_nothing_and_counts_nothing(
    claims: ModuleType, unmatched: Any, world: World, context: Any, *, bound: Any, counted: Any
) -> None:
    unmatched(SALE)
    world.enrol("m1", *bound)
    events = bound_events(world)
    hear(claims, events, context)
    before = world.snapshot()
    counted()

    assert hear(claims, events, context) == []

    assert world.stored(SALE).status in {Status.PENDING, Status.MATCHED}
    assert counted() == {}
    if len(bound) == 1:
        assert world.snapshot() == before


def test_a_claim_that_lost_its_race_counts_nothing_and_leaves_no_pointer_for_long(
    claims: ModuleType,
    unmatched: Any,
    world: World,
    context: Any,
    *,
    counted: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unmatched(SALE)
    world.enrol("m1", PLATE, CARD)
    event = bound_events(world)[:1]
    rival = Interrupting(world.dynamodb, "update_item", lambda: world.credit(SALE, "m9"))
    monkeypatch.setattr(claims, "assignment", assignment(world, sales_client=rival))
    counted()

    assert hear(claims, event, context) == []

    assert counted() == {}
    assert world.stored(SALE).member_id == "m9"
    assert hear(claims, event, context) == []
    assert list(world.decided.orphans(key_of(PLATE))) == []


def test_a_binding_nobody_waited_for_claims_nothing(
    claims: ModuleType, world: World, context: Any
) -> None:
    world.enrol("m1", PLATE)
    before = world.snapshot()

    told_of_every_binding(claims, world, context)

    assert world.snapshot() == before


def test_a_plate_bound_today_does_not_override_a_card_that_says_otherwise(
    claims: ModuleType, unmatched: Any, world: World, context: Any
) -> None:
    unmatched(SALE)
    world.enrol("m1", PLATE)
    world.enrol("m2", CARD)

    told_of_every_binding(claims, world, context)

    stored = world.stored(SALE)
    assert (stored.status, stored.member_id, stored.asked) == (Status.PENDING, None, "m2")


def test_an_identity_unbound_before_the_event_arrived_claims_nothing(
    claims: ModuleType, unmatched: Any, world: World, context: Any
) -> None:
    unmatched(SALE)
    world.enrol("m1", PLATE)
    events = bound_events(world)
    world.identities.unbind("m1", key_of(PLATE), unbound_at=RECEIVED_AT)

    assert hear(claims, events, context) == []

    assert world.stored(SALE).status is Status.UNMATCHED
    assert list(world.decided.orphans(key_of(PLATE))) == [SALE.sale_id]


def test_a_pointer_to_a_sale_somebody_got_meanwhile_is_removed_and_the_sale_kept(
    claims: ModuleType, unmatched: Any, world: World, context: Any
) -> None:
    unmatched(SALE)
    world.credit(SALE, "m9")
    world.enrol("m1", PLATE)

    told_of_every_binding(claims, world, context)

    assert world.stored(SALE).member_id == "m9"
    assert list(world.decided.orphans(key_of(PLATE))) == []


def test_a_claim_that_failed_half_way_is_finished_by_the_next_attempt(
    claims: ModuleType, unmatched: Any, world: World, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    unmatched(SALE, OTHER)
    world.enrol("m1", PLATE, CARD)
    event = bound_events(world)[:1]
    reluctant = Reluctant(world.dynamodb, "delete_item", refusal("ThrottlingException"))
    monkeypatch.setattr(claims.decided, "_dynamodb", reluctant)

    assert hear(claims, event, context) == [each["messageId"] for each in event]
    assert hear(claims, event, context) == []

    assert [world.stored(each).member_id for each in (SALE, OTHER)] == ["m1", "m1"]
    assert list(world.decided.orphans(key_of(PLATE))) == []


def test_the_plate_and_a_word_do_not_suffice_when_another_member_drives_the_car(
    claims: ModuleType, unmatched: Any, world: World, context: Any
) -> None:
    unmatched(SALE)
    for each in ("husband", "wife"):
        world.enrol(each)
    world.portraits.note_driver(key_of(PLATE), "husband", seen_at=1)
    world.bind("wife", PLATE)
    told_of_every_binding(claims, world, context)
    assert world.stored(SALE).asked == "wife"

    assert assignment(world).claim(world.stored(SALE), claimed_by="wife") is None
    assert world.stored(SALE).member_id is None

    world.bind("wife", CARD)
    told_of_every_binding(claims, world, context)
    assert world.stored(SALE).member_id == "wife"


def fill_weekly(unmatched: Any, world: World, *, cashless: bool) -> None:
    """Leave a sale unmatched of somebody's car who fills up weekly, and did the day before."""
    unmatched(CASHLESS)
    fill = world.stored(CASHLESS).fill
    paid_with = fill.paid_with if cashless else ()
    for weeks in range(4, 0, -1):
        past = sale(completed_at=CASHLESS.key.completed_at - timedelta(weeks=weeks))
        at = fill.at - DAY_SECONDS - (weeks - 1) * 7 * DAY_SECONDS
        habit = replace(fill, at=at, paid_with=paid_with)
        assert world.portraits.count("m1", past.sale_id, habit)
    world.enrol("m1", PLATE)


def test_a_claim_by_the_car_and_against_habits_goes_to_a_person_who_sees_them(
    unmatched: Any, world: World
) -> None:
    fill_weekly(unmatched, world, cashless=False)
    judge = assignment(world)
    assert judge.claim(world.stored(CASHLESS)) is not None
    assert world.stored(CASHLESS).asked == "m1"
    world.decided.note_claim(world.stored(CASHLESS), "m1")

    decision = judge.claim(world.stored(CASHLESS))

    assert decision is not None
    assert (decision.outcome, decision.reason) == (Outcome.PENDING, Reason.IMPLAUSIBLE)
    waiting = world.stored(CASHLESS)
    assert (waiting.status, waiting.member_id) == (Status.PENDING, None)
    assert waiting.decision is not None
    assert waiting.decision.reason is Reason.IMPLAUSIBLE
    assert Piece("rhythm", "much_too_early", 0) in waiting.decision.pieces
    assert judge.claim(waiting) is None  # once is enough


def test_a_claim_by_the_car_is_believed_of_whoever_has_paid_like_that_before(
    unmatched: Any, world: World
) -> None:
    fill_weekly(unmatched, world, cashless=True)

    decision = assignment(world).claim(world.stored(CASHLESS), claimed_by="m1")

    assert decision is not None
    assert (decision.outcome, decision.member_id) == (Outcome.CREDITED, "m1")
    assert decision.by == ("claim", "payment", "plate")


def test_an_answer_stays_when_it_is_not_believed(
    claims: ModuleType, unmatched: Any, world: World, context: Any, counted: Any
) -> None:
    fill_weekly(unmatched, world, cashless=False)
    counted()
    told_of_every_binding(claims, world, context)
    world.questions.answer(
        "m1", CASHLESS.sale_id, Says.YES, answered_by="m1", answered_at=RECEIVED_AT
    )

    assert hear(claims, heard(world, DetailType.CONFIRMATION_ANSWERED), context) == []

    assert world.stored(CASHLESS).claimed_by == {"m1"}
    decision = world.stored(CASHLESS).decision
    assert decision is not None
    assert decision.reason is Reason.IMPLAUSIBLE
    assert counted() == {"OrphansAskedAbout": 1, "ClaimsDoubted": 1}
    assert [each.says for each in world.questions.everything("m1")] == [Says.YES]
