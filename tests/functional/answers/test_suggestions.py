"""A sale that waits is suggested to whom it looks like or who was there, and only to them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from forecourt.stored_sales import Status, StoredSale
from functions.members import handler as members
from tests.functional.answers.dialogue import QUESTION
from tests.functional.assigning import NOW
from tests.specimens import PLATE, SALE, sale

if TYPE_CHECKING:
    import pytest

    from tests.functional.answers.dialogue import Dialogue
    from tests.functional.world import World


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
