"""What is asked is answered once, by whom it was asked, and a no is not asked again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.decided_sales import DecidedSales
from forecourt.orphans import WAITING
from forecourt.stored_sales import Queue, Status, StoredSale
from functions.members import handler as members
from tests.functional.answers.dialogue import QUESTION
from tests.functional.assigning import NOW, assignment
from tests.functional.clients import Interrupting
from tests.functional.conftest import LOYALTY_TABLE, SALES_TABLE
from tests.functional.http import Client
from tests.functional.world import key_of, keyed
from tests.specimens import CARD, PLATE, RECEIVED_AT, SALE, credited_to

if TYPE_CHECKING:
    from tests.functional.answers.dialogue import Dialogue


def queued(dialogue: Dialogue, queue: Queue) -> list[StoredSale]:
    page = dialogue.world.sales.queue(queue, limit=9)
    return [each for each in page.items if isinstance(each, StoredSale)]


def test_a_member_sees_what_they_are_asked_and_no_evidence(pending: Dialogue) -> None:
    (question,) = pending.app().get("/members/me/questions").body["questions"]

    assert question == {
        "sale": {
            "sale_id": SALE.sale_id,
            "station_id": "s0001",
            "grade": SALE.grade,
            "volume_ml": SALE.volume_ml,
            "amount_fen": SALE.amount_fen,
            "completed_at": "2026-11-23T08:15:00Z",
        },
        "asked_at": "2026-11-23T08:15:05Z",
        "says": None,
        "answered_at": None,
        "status": "open",
    }
    assert pending.status("m2") == []


def test_a_yes_makes_the_sale_theirs(pending: Dialogue, counted: Any) -> None:
    reply = pending.app().post(f"{QUESTION}/confirmation")
    pending.catch_up()

    assert (reply.status, reply.body) == (202, {"sale_id": SALE.sale_id, "says": "yes"})
    stored = pending.world.stored(SALE)
    assert (stored.status, stored.member_id) == (Status.MATCHED, "m1")
    assert stored.decision is not None
    assert "claim" in stored.decision.by
    assert counted()["OrphansClaimed"] == 1


def test_a_no_leaves_the_sale_to_others_and_is_not_asked_again(pending: Dialogue) -> None:
    pending.app().post(f"{QUESTION}/denial")
    pending.catch_up()

    stored = pending.world.stored(SALE)
    assert (stored.status, stored.asked, stored.denied_by) == (
        Status.UNMATCHED,
        None,
        frozenset({"m1"}),
    )
    assert pending.status() == [("closed", "no")]
    assert assignment(pending.world).claim(stored) is None
    assert list(pending.world.decided.orphans(key_of(PLATE))) == [SALE.sale_id]
    assert [each.sale.sale_id for each in queued(pending, Queue.UNMATCHED)] == [SALE.sale_id]


def test_who_denied_a_sale_does_not_get_it_by_a_card_bound_later(pending: Dialogue) -> None:
    pending.app().post(f"{QUESTION}/denial")
    pending.catch_up()
    pending.world.bind("m1", CARD)
    stored = replace(pending.world.stored(SALE), evidence=keyed(PLATE, CARD))

    assert assignment(pending.world).claim(stored) is None


def test_a_sale_told_anew_does_not_go_to_who_denied_it(dialogue: Dialogue) -> None:
    dialogue.world.enrol("m1", PLATE, CARD)
    received = StoredSale(
        sale=replace(SALE, evidence=()),
        status=Status.RECEIVED,
        received_at=RECEIVED_AT,
        evidence=keyed(PLATE, CARD),
    )
    dialogue.world.sales.add(received)
    assert dialogue.world.decided.note_denial(received, "m1")
    denied = dialogue.world.stored(SALE)
    judge = assignment(dialogue.world)
    (weighed,) = judge.weigh([denied])
    assert weighed.decision.member_id == "m1"

    decision = judge.assign(denied, weighed)

    assert decision is not None
    assert (decision.outcome, decision.reason, decision.member_id) == (
        "unmatched",
        "denied",
        None,
    )
    assert dialogue.world.stored(SALE).undecided_because == "denied"


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        ("confirmation", "confirmation", 202),
        ("denial", "denial", 202),
        ("confirmation", "denial", 409),
        ("denial", "confirmation", 409),
    ],
)
def test_an_answer_is_given_once(pending: Dialogue, first: str, second: str, status: int) -> None:
    pending.app().post(f"{QUESTION}/{first}")
    before = pending.world.snapshot()

    reply = pending.app().post(f"{QUESTION}/{second}")

    assert reply.status == status
    if status == 409:
        assert reply.code == "already_answered"
    assert pending.world.snapshot() == before


def test_what_comes_again_from_the_bus_changes_nothing(pending: Dialogue) -> None:
    pending.app().post(f"{QUESTION}/confirmation")
    heard = pending.catch_up()
    before = pending.world.snapshot()

    pending.catch_up([*heard, *heard])

    assert pending.world.snapshot() == before


def test_somebody_else_is_not_asked_and_cannot_answer(pending: Dialogue) -> None:
    before = pending.world.snapshot()

    for path in (QUESTION, f"/members/m1/questions/{SALE.sale_id}"):
        for answer in ("confirmation", "denial"):
            reply = pending.app("m2").post(f"{path}/{answer}")
            assert reply.code in {"unknown_question", "unknown_member"}

    assert pending.world.snapshot() == before


def test_a_no_that_comes_after_the_question_was_taken_back_changes_nothing(
    pending: Dialogue,
) -> None:
    pending.app().post(f"{QUESTION}/denial")
    heard = pending.heard()
    pending.world.enrol("m2")
    pending.world.rule(SALE, asked="m2")
    before = pending.world.snapshot()

    pending.catch_up(heard)

    assert pending.world.snapshot() == before


def test_a_no_that_races_a_decision_looks_again(
    pending: Dialogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forecourt.contention.FIRST_PAUSE_SECONDS", 0)
    pending.app().post(f"{QUESTION}/denial")
    stored = pending.world.stored(SALE)

    def credit() -> None:
        assert pending.world.decided.decide(stored, credited_to("m1"), decided_at=NOW)

    racing = Interrupting(pending.world.dynamodb, "update_item", credit)
    monkeypatch.setattr(
        pending.claims, "decided", DecidedSales(racing, sales=SALES_TABLE, loyalty=LOYALTY_TABLE)
    )
    pending.catch_up()

    assert pending.world.stored(SALE).member_id == "m1"


def test_what_nobody_answered_in_time_is_no_longer_asked(
    pending: Dialogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members.questions, "_now", lambda: NOW + WAITING + timedelta(seconds=1))

    assert pending.status() == []


# --- what a person asked ----------------------------------------------------------------------


def asked_by_a_person(dialogue: Dialogue, asked: str, *others: str) -> None:
    """Let a person ask a member whether a sale of nobody's is theirs; *others* could know of it."""
    for member_id in (asked, *others):
        dialogue.world.enrol(member_id)
    dialogue.told()
    dialogue.world.rule(SALE, asked=asked)


def test_a_yes_to_a_persons_question_is_enough(dialogue: Dialogue, counted: Any) -> None:
    asked_by_a_person(dialogue, "m1")

    dialogue.app().post(f"{QUESTION}/confirmation")
    dialogue.catch_up()

    stored = dialogue.world.stored(SALE)
    assert (stored.status, stored.member_id) == (Status.MATCHED, "m1")
    assert stored.ruled is not None
    ruling = stored.ruled.ruling
    assert (ruling.number, ruling.actor, ruling.reason) == (2, "m1", "confirmed_by_member")
    assert counted()["SalesConfirmed"] == 1
    assert dialogue.status() == []  # the ruling took the question back


def test_a_yes_at_the_counter_names_the_attendant(dialogue: Dialogue) -> None:
    asked_by_a_person(dialogue, "m1")
    attendant = Client(handle=members.handle, subject="sub-attendant", groups="[attendant]")

    attendant.post(f"/members/m1/questions/{SALE.sale_id}/confirmation")
    dialogue.catch_up()

    ruled = dialogue.world.stored(SALE).ruled
    assert ruled is not None
    assert ruled.ruling.actor == "sub-attendant"


def test_a_no_to_a_persons_question_leaves_the_sale_to_persons(dialogue: Dialogue) -> None:
    asked_by_a_person(dialogue, "m1")

    dialogue.app().post(f"{QUESTION}/denial")
    dialogue.catch_up()

    stored = dialogue.world.stored(SALE)
    assert (stored.status, stored.held) == (Status.UNMATCHED, ())
    assert dialogue.world.rule(SALE).ruling.number == 2


def test_a_claim_on_a_sale_a_person_asks_another_about_waits_for_them(
    dialogue: Dialogue,
) -> None:
    asked_by_a_person(dialogue, "m1", "m2")
    dialogue.app("m2").post("/members/me/claims", {"sale_id": SALE.sale_id})
    before = dialogue.world.stored(SALE)

    dialogue.catch_up()

    assert dialogue.world.stored(SALE) == before


def test_a_ruling_that_overtakes_a_yes_stands(
    dialogue: Dialogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forecourt.contention.FIRST_PAUSE_SECONDS", 0)
    asked_by_a_person(dialogue, "m1", "m2")
    dialogue.app().post(f"{QUESTION}/confirmation")
    rule = dialogue.claims.ruled.rule

    def overtaken(*arguments: Any, **named: Any) -> Any:
        if dialogue.world.stored(SALE).status is Status.PENDING:
            dialogue.world.rule(SALE, "m2")
        return rule(*arguments, **named)

    monkeypatch.setattr(dialogue.claims.ruled, "rule", overtaken)
    dialogue.catch_up()

    assert dialogue.world.stored(SALE).member_id == "m2"
