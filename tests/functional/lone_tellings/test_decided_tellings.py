"""What a person decides about a telling holds, whatever joins or is told meanwhile."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.errors import TellingSettled, UnknownTelling
from forecourt.retellings import telling_id_for
from forecourt.stored_sales import Status, StoredSale
from forecourt.stored_tellings import StoredTelling, telling_key
from tests.functional.clients import Interrupting
from tests.functional.conftest import LOYALTY_TABLE
from tests.functional.lone_tellings.waiting import (
    BY_PLATE,
    LONG_AFTER,
    NEIGHBOUR,
    TILL_ID,
    listed,
    retold,
    somebody,
    told_of,
)
from tests.functional.tellings import ACCOUNT, PAYMENT, PHONE, TILL, telling_record
from tests.functional.world import keyed, sale_record
from tests.specimens import PLATE, RECEIVED_AT, sale

if TYPE_CHECKING:
    from tests.functional.http import Client
    from tests.functional.world import World

NOTHING = sale(transaction=1, totalizer_ml=1, volume_ml=0, amount_fen=0, evidence=())
# A sale as it is stored when ingest has not yet looked for what is told of it.
UNDISCOVERED = StoredSale(
    sale=replace(BY_PLATE, evidence=()), status=Status.RECEIVED, received_at=RECEIVED_AT
)


def test_an_ambiguous_payment_waits_for_somebody_who_knows(
    tell: Any, match: Any, world: World, manager: Client
) -> None:
    world.enrol("m1", PLATE, ACCOUNT)
    tell(sale_record(BY_PLATE), sale_record(NEIGHBOUR), telling_record(PAYMENT, ACCOUNT))
    match()
    (shown,) = manager.get("/tellings").body["tellings"]
    assert shown["waits_because"] == "ambiguous"
    assert world.stored(BY_PLATE).asked == world.stored(NEIGHBOUR).asked == "m1"

    reply = manager.post(
        f"/tellings/{shown['telling_id']}/assignment", {"sale_id": NEIGHBOUR.sale_id}
    )
    match()

    assert reply.body == {
        "telling_id": shown["telling_id"],
        "sale_id": NEIGHBOUR.sale_id,
        "decided_by": "sub-1",
    }
    assert world.stored(NEIGHBOUR).matched_by == ("payment", "plate")
    assert world.stored(BY_PLATE).asked == "m1"
    assert (told_of(world), told_of(world, NEIGHBOUR)) == ([], [shown["telling_id"]])
    assert listed(manager) == []


def test_a_person_may_say_which_sale_a_till_with_a_wrong_clock_told_of(
    tell: Any, match: Any, world: World, manager: Client
) -> None:
    world.enrol("m1", PLATE, PHONE)
    late = replace(TILL, at=TILL.at + timedelta(hours=3), amount_fen=TILL.amount_fen + 1)
    tell(sale_record(BY_PLATE), telling_record(late, PHONE))
    match()
    assert world.stored(BY_PLATE).asked == "m1"

    assigned = manager.post(
        f"/tellings/{telling_id_for(late)}/assignment", {"sale_id": BY_PLATE.sale_id}
    )
    match()

    assert assigned.status == 200
    stored = world.stored(BY_PLATE)
    assert (stored.status, stored.member_id, stored.doubts) == (Status.MATCHED, "m1", ())
    assert not [item for item in world.items(LOYALTY_TABLE) if item["type"] == "question"]


def test_dismissing_forgets_whom_the_telling_named(
    tell: Any, world: World, manager: Client
) -> None:
    tell(telling_record(TILL, PHONE))

    reply = manager.post(f"/tellings/{TILL_ID}/dismissal")

    assert reply.body == {"telling_id": TILL_ID, "sale_id": None, "decided_by": "sub-1"}
    assert listed(manager) == []
    stored = retold(world).telling(TILL_ID)
    assert (stored.evidence, stored.sealed, stored.decided_at) == ((), None, LONG_AFTER)


def test_what_was_dismissed_joins_no_sale_and_is_queued_no_more(
    tell: Any, world: World, manager: Client
) -> None:
    tell(telling_record(TILL, PHONE))
    manager.post(f"/tellings/{TILL_ID}/dismissal")

    tell(telling_record(TILL, PHONE), sale_record(BY_PLATE), telling_record(TILL, PHONE))

    assert told_of(world) == []
    assert world.stored(BY_PLATE).evidence == keyed(PLATE)
    assert listed(manager) == []


def test_a_decision_is_answered_again_to_who_made_it_and_refused_to_others(
    tell: Any, world: World, manager: Client
) -> None:
    tell(telling_record(TILL), sale_record(NEIGHBOUR))
    path = f"/tellings/{TILL_ID}/assignment"
    order = {"sale_id": NEIGHBOUR.sale_id}
    first = manager.post(path, order)
    before = world.snapshot()

    # Under a new key: what a retry after a crash looks like.
    assert manager.post(path, order).body == first.body
    for other in (
        somebody("operator", "sub-2").post(path, order),
        manager.post(f"/tellings/{TILL_ID}/dismissal"),
        manager.post(path, {"sale_id": BY_PLATE.sale_id}),
    ):
        assert (other.status, other.code) == (409, "telling_settled")
        assert other.facts == {"telling_id": TILL_ID, "sale_id": NEIGHBOUR.sale_id}
    assert world.snapshot() == before


@pytest.mark.parametrize(
    ("telling_id", "order", "status", "code"),
    [
        (TILL_ID, {"sale_id": BY_PLATE.sale_id}, 404, "unknown_sale"),
        (TILL_ID, {"sale_id": "x"}, 404, "unknown_sale"),
        (TILL_ID, {"sale_id": sale(station_id="s0002").sale_id}, 404, "unknown_sale"),
        (TILL_ID, {"sale_id": NOTHING.sale_id}, 409, "sale_not_rulable"),
        (TILL_ID, {}, 422, "invalid_request"),
        (telling_id_for(PAYMENT), {"sale_id": NEIGHBOUR.sale_id}, 404, "unknown_telling"),
        ("x", {"sale_id": NEIGHBOUR.sale_id}, 404, "unknown_telling"),
        ("a.B.till.d", {"sale_id": NEIGHBOUR.sale_id}, 404, "unknown_telling"),
    ],
)
def test_a_telling_is_assigned_to_a_sale_of_its_station_only(
    tell: Any,
    world: World,
    manager: Client,
    *,
    telling_id: str,
    order: dict[str, str],
    status: int,
    code: str,
) -> None:
    world.register("s0002")
    elsewhere = sale(station_id="s0002")
    topic = "forecourt/s0002/up/sales"
    tell(sale_record(NOTHING), sale_record(NEIGHBOUR), sale_record(elsewhere, topic=topic))
    retold(world).add(StoredTelling(telling=TILL, received_at=RECEIVED_AT))
    before = world.snapshot()

    reply = manager.post(f"/tellings/{telling_id}/assignment", order)

    assert (reply.status, reply.code) == (status, code)
    assert world.snapshot() == before


def test_one_who_may_only_read_decides_nothing(tell: Any, world: World) -> None:
    tell(telling_record(TILL))
    before = world.snapshot()

    reply = somebody("auditor").post(f"/tellings/{TILL_ID}/dismissal")

    assert reply.code == "forbidden"
    assert world.snapshot() == before


# --- at once ----------------------------------------------------------------------------------


def test_a_telling_that_is_dismissed_while_it_joins_stays_dismissed(
    tell: Any, world: World, manager: Client
) -> None:
    tell(telling_record(TILL, PHONE))
    world.sales.add(UNDISCOVERED)
    rival = Interrupting(
        world.dynamodb,
        "transact_write_items",
        lambda: manager.post(f"/tellings/{TILL_ID}/dismissal"),
    )

    retold(world, rival).reunite(TILL, now=RECEIVED_AT)

    assert told_of(world) == []
    assert retold(world).telling(TILL_ID).sale_id is None
    assert listed(manager) == []


def test_a_telling_that_joins_while_it_is_dismissed_keeps_its_sale(tell: Any, world: World) -> None:
    tell(telling_record(TILL, PHONE))
    rival = Interrupting(world.dynamodb, "update_item", lambda: tell(sale_record(BY_PLATE)))

    with pytest.raises(TellingSettled) as refusal:
        retold(world, rival).dismiss(TILL_ID, actor="op", decided_at=LONG_AFTER)

    assert refusal.value.sale_id == BY_PLATE.sale_id
    assert told_of(world) == [TILL_ID]
    assert retold(world).telling(TILL_ID).sealed


def test_a_person_and_the_figures_may_say_the_same_at_once(tell: Any, world: World) -> None:
    tell(telling_record(TILL, PHONE))
    world.sales.add(UNDISCOVERED)
    rival = Interrupting(
        world.dynamodb,
        "transact_write_items",
        lambda: retold(world).reunite(TILL, now=RECEIVED_AT),
    )

    with pytest.raises(TellingSettled):
        retold(world, rival).unite(TILL_ID, BY_PLATE.sale_id, actor="op", decided_at=LONG_AFTER)

    assert told_of(world) == [TILL_ID]


def test_a_telling_that_joined_one_sale_never_joins_another(tell: Any, world: World) -> None:
    tell(telling_record(TILL), sale_record(NEIGHBOUR))
    retold(world).unite(TILL_ID, NEIGHBOUR.sale_id, actor="op", decided_at=LONG_AFTER)

    tell(sale_record(BY_PLATE), telling_record(TILL))

    assert (told_of(world), told_of(world, NEIGHBOUR)) == ([], [TILL_ID])


def test_no_item_is_made_of_a_telling_s_name(world: World) -> None:
    before = world.snapshot()

    for unknown in (TILL_ID, "x"):
        with pytest.raises(UnknownTelling):
            retold(world).dismiss(unknown, actor="op", decided_at=LONG_AFTER)
    retold(world)._queue(StoredTelling(telling=TILL, received_at=RECEIVED_AT), None)

    assert world.snapshot() == before


def test_a_key_names_the_station_in_the_id() -> None:
    assert telling_key(TILL_ID)["pk"] == {"S": "STATION#s0001"}
