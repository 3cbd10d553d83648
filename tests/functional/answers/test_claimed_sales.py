"""A claim counts beside an identity and never alone, and is refused where nothing waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forecourt.decided_sales import DecidedSales
from forecourt.stored_sales import Status
from functions.members import handler as members
from tests.functional.answers.dialogue import QUESTION
from tests.functional.assigning import NOW
from tests.functional.clients import Interrupting
from tests.functional.conftest import LOYALTY_TABLE, SALES_TABLE
from tests.functional.world import key_of, keyed
from tests.specimens import CARD, PLATE, SALE, credited_to, sale

if TYPE_CHECKING:
    import pytest

    from tests.functional.answers.dialogue import Dialogue


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
