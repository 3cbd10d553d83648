"""What members say of sales: asked, suggested or claimed, and what comes of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.bus import DetailType
from forecourt.decided_sales import DecidedSales
from forecourt.orphans import WAITING
from forecourt.stored_sales import Queue, Status, StoredSale
from functions.members import handler as members
from tests.functional.assigning import NOW, assignment
from tests.functional.clients import Interrupting
from tests.functional.conftest import LOYALTY_TABLE, SALES_TABLE
from tests.functional.hearing import hear, heard
from tests.functional.http import Client
from tests.functional.world import World, key_of, keyed
from tests.specimens import CARD, PLATE, RECEIVED_AT, SALE, credited_to, sale

if TYPE_CHECKING:
    from types import ModuleType

    from forecourt.sales import Sale

QUESTION = f"/members/me/questions/{SALE.sale_id}"


class Dialogue:
    """Members with an app, and the functions behind it."""

    def __init__(self, world: World, claims: ModuleType, context: Any) -> None:
        self.world = world
        self.claims = claims
        self.context = context

    def app(self, member_id: str = "m1") -> Client:
        return Client(handle=members.handle, subject=member_id, groups="[member]")

    def told(self, told: Sale = SALE, **changes: Any) -> StoredSale:
        """Let a sale be told and weighed."""
        stored = StoredSale(
            sale=replace(told, evidence=()),
            status=Status.RECEIVED,
            received_at=RECEIVED_AT,
            local_hour=16,
            **{"evidence": keyed(PLATE), **changes},
        )
        self.world.sales.add(stored)
        judge = assignment(self.world)
        (weighed,) = judge.weigh([stored])
        judge.assign(stored, weighed)
        return self.world.stored(told)

    def heard(self) -> list[dict[str, Any]]:
        """Return what the bus brings of what members said since the last call."""
        return heard(self.world, DetailType.CONFIRMATION_ANSWERED)

    def catch_up(self, events: list[dict[str, Any]] | None = None) -> list[dict[str, Any]]:
        messages = self.heard() if events is None else events
        assert hear(self.claims, messages, self.context) == []
        return messages

    def status(self, member_id: str = "m1") -> list[tuple[str, str | None]]:
        listed = self.app(member_id).get("/members/me/questions").body["questions"]
        return [(each["status"], each["says"]) for each in listed]


@pytest.fixture
def dialogue(world: World, context: Any, monkeypatch: pytest.MonkeyPatch) -> Dialogue:
    from functions.claims import handler  # noqa: PLC0415 - its clients need the environment

    monkeypatch.setattr(handler, "assignment", assignment(world))
    monkeypatch.setattr(members.questions, "_now", lambda: NOW)
    return Dialogue(world, handler, context)


@pytest.fixture
def pending(dialogue: Dialogue) -> Dialogue:
    """Return a dialogue in which m1 is asked about a sale that has their plate."""
    dialogue.world.enrol("m1", PLATE)
    assert dialogue.told().asked == "m1"
    return dialogue


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


# --- what a person asked ----------------------------------------------------------------------


def test_a_yes_to_a_persons_question_is_enough(dialogue: Dialogue, counted: Any) -> None:
    dialogue.world.enrol("m1")
    dialogue.told()
    dialogue.world.rule(SALE, asked="m1")

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
    dialogue.world.enrol("m1")
    dialogue.told()
    dialogue.world.rule(SALE, asked="m1")
    attendant = Client(handle=members.handle, subject="sub-attendant", groups="[attendant]")

    attendant.post(f"/members/m1/questions/{SALE.sale_id}/confirmation")
    dialogue.catch_up()

    ruled = dialogue.world.stored(SALE).ruled
    assert ruled is not None
    assert ruled.ruling.actor == "sub-attendant"


def test_a_no_to_a_persons_question_leaves_the_sale_to_persons(dialogue: Dialogue) -> None:
    dialogue.world.enrol("m1")
    dialogue.told()
    dialogue.world.rule(SALE, asked="m1")

    dialogue.app().post(f"{QUESTION}/denial")
    dialogue.catch_up()

    stored = dialogue.world.stored(SALE)
    assert (stored.status, stored.held) == (Status.UNMATCHED, ())
    assert dialogue.world.rule(SALE).ruling.number == 2


def test_a_claim_on_a_sale_a_person_asks_another_about_waits_for_them(
    dialogue: Dialogue,
) -> None:
    for member_id in ("m1", "m2"):
        dialogue.world.enrol(member_id)
    dialogue.told()
    dialogue.world.rule(SALE, asked="m1")
    dialogue.app("m2").post("/members/me/claims", {"sale_id": SALE.sale_id})
    before = dialogue.world.stored(SALE)

    dialogue.catch_up()

    assert dialogue.world.stored(SALE) == before


def test_a_ruling_that_overtakes_a_yes_stands(
    dialogue: Dialogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forecourt.contention.FIRST_PAUSE_SECONDS", 0)
    for member_id in ("m1", "m2"):
        dialogue.world.enrol(member_id)
    dialogue.told()
    dialogue.world.rule(SALE, asked="m1")
    dialogue.app().post(f"{QUESTION}/confirmation")
    rule = dialogue.claims.ruled.rule

    def overtaken(*arguments: Any, **named: Any) -> Any:
        if dialogue.world.stored(SALE).status is Status.PENDING:
            dialogue.world.rule(SALE, "m2")
        return rule(*arguments, **named)

    monkeypatch.setattr(dialogue.claims.ruled, "rule", overtaken)
    dialogue.catch_up()

    assert dialogue.world.stored(SALE).member_id == "m2"


# --- claims -----------------------------------------------------------------------------------


def test_a_scanned_receipt_finds_the_sale_and_counts_beside_an_identity(
    dialogue: Dialogue,
) -> None:
    dialogue.told()
    dialogue.world.enrol("m1", PLATE)

    reply = dialogue.app().post("/members/me/claims", {"sale_id": SALE.sale_id})
    dialogue.catch_up()

    assert (reply.status, reply.body["says"]) == (202, "claimed")
    assert dialogue.world.stored(SALE).member_id == "m1"
    assert dialogue.status() == [("credited", "claimed")]


def test_a_claim_alone_credits_nobody_and_is_not_asked_back(dialogue: Dialogue) -> None:
    dialogue.told()
    dialogue.world.enrol("m1")

    dialogue.app().post("/members/me/claims", {"sale_id": SALE.sale_id})
    dialogue.catch_up()

    stored = dialogue.world.stored(SALE)
    assert (stored.member_id, stored.claimed_by) == (None, frozenset({"m1"}))
    assert dialogue.status() == [("waiting", "claimed")]


def test_a_claim_is_remembered_until_an_identity_bears_it_out(dialogue: Dialogue) -> None:
    dialogue.told()
    dialogue.world.enrol("m1")
    dialogue.app().post("/members/me/claims", {"sale_id": SALE.sale_id})
    dialogue.catch_up()

    dialogue.world.bind("m1", PLATE)
    dialogue.claims.claim(key_of(PLATE))

    assert dialogue.world.stored(SALE).member_id == "m1"


def test_of_two_who_claim_a_sale_neither_is_believed(dialogue: Dialogue) -> None:
    dialogue.told()
    for member_id in ("m1", "m2"):
        dialogue.world.enrol(member_id)
        dialogue.app(member_id).post("/members/me/claims", {"sale_id": SALE.sale_id})
    dialogue.catch_up()

    dialogue.world.bind("m1", PLATE)
    dialogue.claims.claim(key_of(PLATE))

    stored = dialogue.world.stored(SALE)
    assert (stored.status, stored.member_id) == (Status.PENDING, None)
    assert stored.claimed_by == {"m1", "m2"}


def test_claiming_what_one_is_asked_about_is_a_yes(pending: Dialogue) -> None:
    pending.app().post("/members/me/claims", {"sale_id": SALE.sale_id})
    pending.catch_up()

    assert pending.world.stored(SALE).member_id == "m1"


def test_a_claim_again_changes_nothing_and_one_after_a_no_is_refused(dialogue: Dialogue) -> None:
    dialogue.told()
    dialogue.world.enrol("m1")
    claim = {"sale_id": SALE.sale_id}
    dialogue.app().post("/members/me/claims", claim)
    before = dialogue.world.snapshot()

    assert dialogue.app().post("/members/me/claims", claim).status == 202
    assert dialogue.world.snapshot() == before

    dialogue.world.enrol("m2", PLATE)
    dialogue.claims.claim(key_of(PLATE))
    dialogue.app("m2").post(f"{QUESTION}/denial")
    before = dialogue.world.snapshot()
    assert dialogue.app("m2").post("/members/me/claims", claim).code == "already_answered"
    assert dialogue.world.snapshot() == before


def test_a_sale_that_is_somebodys_or_not_there_cannot_be_claimed(dialogue: Dialogue) -> None:
    dialogue.world.enrol("m1", PLATE, CARD)
    dialogue.told(evidence=keyed(PLATE, CARD))
    before = dialogue.world.snapshot()

    for sale_id, code in (
        (SALE.sale_id, "sale_not_waiting"),
        (sale(transaction=1).sale_id, "unknown_sale"),
        ("no sale", "unknown_sale"),
    ):
        reply = dialogue.app("m2").post("/members/me/claims", {"sale_id": sale_id})
        assert reply.code == code
        assert "m1" not in reply.text

    assert dialogue.world.snapshot() == before


def test_who_claims_too_many_sales_is_stopped(
    dialogue: Dialogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forecourt.questions_table.CLAIMS_MAX", 1)
    other = sale(transaction=4712, totalizer_ml=123_500_000)
    for each in (SALE, other):
        dialogue.told(each)
    dialogue.app().post("/members/me/claims", {"sale_id": SALE.sale_id})
    before = dialogue.world.snapshot()

    reply = dialogue.app().post("/members/me/claims", {"sale_id": other.sale_id})

    assert (reply.code, reply.facts) == ("too_many_claims", {"limit": 1})
    assert dialogue.world.snapshot() == before


def test_two_devices_that_claim_at_once_claim_once(
    dialogue: Dialogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialogue.told()
    claim = {"sale_id": SALE.sale_id}
    racing = Interrupting(
        members.dynamodb,
        "put_item",
        lambda: dialogue.world.questions.claim(
            "m1", SALE.sale_id, answered_by="m1", answered_at=NOW
        ),
    )
    monkeypatch.setattr(members.questions._questions, "_dynamodb", racing)

    assert dialogue.app().post("/members/me/claims", claim).status == 202
    assert dialogue.status() == [("waiting", "claimed")]


def test_a_claim_that_races_a_decision_looks_again(
    dialogue: Dialogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forecourt.contention.FIRST_PAUSE_SECONDS", 0)
    stored = dialogue.told()
    dialogue.world.enrol("m2")
    dialogue.app().post("/members/me/claims", {"sale_id": SALE.sale_id})

    def credit() -> None:
        assert dialogue.world.decided.decide(stored, credited_to("m2"), decided_at=NOW)

    racing = Interrupting(dialogue.world.dynamodb, "update_item", credit)
    monkeypatch.setattr(
        dialogue.claims, "decided", DecidedSales(racing, sales=SALES_TABLE, loyalty=LOYALTY_TABLE)
    )
    dialogue.catch_up()

    assert dialogue.world.stored(SALE).member_id == "m2"


def test_what_nobody_answered_in_time_is_no_longer_asked(
    pending: Dialogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members.questions, "_now", lambda: NOW + WAITING + timedelta(seconds=1))

    assert pending.status() == []


# --- suggestions ------------------------------------------------------------------------------


def habitual(world: World, member_id: str = "m1") -> None:
    """Let a member fill as the sample sale does, every ten days before it."""
    world.enrol(member_id)
    for weeks in (3, 2, 1):
        at = SALE.key.completed_at - timedelta(days=10 * weeks)
        before = sale(completed_at=at, totalizer_ml=1000 * weeks)
        fill = StoredSale(sale=before, status=Status.MATCHED, received_at=at, local_hour=16).fill
        assert world.portraits.count(member_id, before.sale_id, fill)


def suggested(dialogue: Dialogue) -> list[str]:
    listed = dialogue.app().get("/members/me/suggestions").body["sales"]
    return [each["sale_id"] for each in listed]


def test_a_waiting_sale_that_looks_like_the_members_is_suggested_and_nothing_more(
    dialogue: Dialogue,
) -> None:
    habitual(dialogue.world)
    dialogue.told(evidence=())
    dialogue.told(
        sale(transaction=4712, totalizer_ml=123_500_000, grade="95", volume_ml=8_000), evidence=()
    )
    before = dialogue.world.snapshot()

    assert suggested(dialogue) == [SALE.sale_id]

    assert dialogue.world.snapshot() == before


def test_who_has_no_habits_is_suggested_nothing(dialogue: Dialogue) -> None:
    dialogue.world.enrol("m1")
    dialogue.told(evidence=())

    assert suggested(dialogue) == []


def test_who_checked_in_around_a_sale_is_suggested_it_and_nobody_else_is(
    dialogue: Dialogue,
) -> None:
    world = dialogue.world
    for each in ("m1", "m2"):
        world.enrol(each)
    other = sale(
        completed_at=SALE.key.completed_at - timedelta(hours=2), transaction=4712, totalizer_ml=1000
    )
    for told in (SALE, other):
        dialogue.told(told, evidence=())
    world.presences.check_in("m1", "s0001", at=SALE.key.completed_at + timedelta(minutes=4))
    world.presences.check_in("m2", "s0002", at=SALE.key.completed_at)

    assert suggested(dialogue) == [SALE.sale_id]
    listed = dialogue.app("m2").get("/members/me/suggestions").body["sales"]
    assert listed == []


def test_what_somebody_is_asked_about_or_has_claimed_is_suggested_to_nobody(
    dialogue: Dialogue,
) -> None:
    habitual(dialogue.world)
    dialogue.world.enrol("m2", PLATE)
    dialogue.told()
    assert dialogue.world.stored(SALE).asked == "m2"
    assert suggested(dialogue) == []

    dialogue.app("m2").post(f"{QUESTION}/denial")
    dialogue.catch_up()
    assert suggested(dialogue) == [SALE.sale_id]

    dialogue.app().post("/members/me/claims", {"sale_id": SALE.sale_id})
    assert suggested(dialogue) == []


def test_a_sale_of_last_week_is_not_suggested(
    dialogue: Dialogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    habitual(dialogue.world)
    dialogue.told(evidence=())
    monkeypatch.setattr(members.questions, "_now", lambda: NOW + timedelta(days=7))

    assert suggested(dialogue) == []


def queued(dialogue: Dialogue, queue: Queue) -> list[StoredSale]:
    page = dialogue.world.sales.queue(queue, limit=9)
    return [each for each in page.items if isinstance(each, StoredSale)]
