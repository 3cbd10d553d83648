"""An entry is proved by the book it is in to who may read it, and no other and to nobody else."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.pools import Pool
from tests.functional.bookkeeping import (
    MONDAY_NOON,
    TUESDAY,
    TUESDAY_NOON,
    WEDNESDAY,
    Till,
    days_told,
)
from tests.functional.conftest import member_client

if TYPE_CHECKING:
    from tests.functional.http import Client, Reply
    from tests.functional.world import World

POOL = Pool(
    pool_id="p-1", wallet="points", head="ann", limits={"ann": None, "bo": 5}, opened_at=MONDAY_NOON
)
SCRIPT = Path(__file__).parents[3] / "docs" / "check_proof.py"


@pytest.fixture
def ann() -> Client:
    return member_client("ann", "member")


def proof_holds(document: dict[str, Any], *, root: str) -> bool:
    spec = importlib.util.spec_from_file_location("check_proof", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return bool(module.holds(document, root=root))


def test_a_member_gets_a_proof_that_holds_by_the_root_the_bus_was_told(
    world: World, till: Till, ann: Client
) -> None:
    entries = [till.earn(), till.spend(30), till.earn(owner="bo")]
    till.archive()
    till.close()
    (told,) = days_told(world)

    for entry in entries[:2]:
        reply = ann.get(f"/members/me/entries/{entry.entry_id}/proof")
        assert reply.status == 200
        assert reply.body["business_day"] == "2026-11-23"
        assert reply.body["size"] == 3
        assert reply.body["content"][1] == entry.entry_id
        assert proof_holds(reply.body, root=told["root"])
        assert not proof_holds(reply.body, root="00" * 32)
        forged = json.loads(reply.text)
        forged["content"][2]["actor"] = "forged"
        assert not proof_holds(forged, root=told["root"])


def shown_a_proof(world: World, till: Till, *, owner: str, subject: str, group: str) -> Reply:
    """Let a pool or a budget earn something; return what is told of it to somebody."""
    world.pools.open(POOL)
    entry = till.earn(owner=owner)
    till.archive()
    till.close()
    reader = member_client(subject, group)
    return reader.get(f"/members/{owner}/entries/{entry.entry_id}/proof")


@pytest.mark.parametrize(
    ("owner", "subject", "group"),
    [
        ("pool:p-1", "ann", "member"),
        ("pool:p-1", "staff", "operator"),
        ("pool:p-1", "staff", "auditor"),
        ("budget:spring-2027", "staff", "operator"),
        ("budget:spring-2027", "staff", "auditor"),
    ],
)
def test_an_entry_of_a_pool_or_a_budget_is_proved_to_who_may_read_it(
    world: World, till: Till, *, owner: str, subject: str, group: str
) -> None:
    reply = shown_a_proof(world, till, owner=owner, subject=subject, group=group)

    assert reply.status == 200
    assert proof_holds(reply.body, root=till.books[0].root)


@pytest.mark.parametrize(
    ("owner", "subject", "group", "code"),
    [
        ("pool:p-1", "bo", "member", "unknown_pool"),  # in it, and not its head
        ("pool:p-1", "cy", "member", "unknown_pool"),
        ("pool:p-2", "ann", "member", "unknown_pool"),
        ("pool:p-1", "staff", "attendant", "forbidden"),
        ("budget:spring-2027", "ann", "member", "forbidden"),
        ("budget:spring-2027", "staff", "attendant", "forbidden"),
        ("station:s0001", "staff", "auditor", "unknown_member"),
        ("pool:" + "p" * 80, "staff", "auditor", "invalid_request"),
    ],
)
def test_an_entry_of_a_pool_or_a_budget_is_not_proved_to_others(
    world: World, till: Till, *, owner: str, subject: str, group: str, code: str
) -> None:
    reply = shown_a_proof(world, till, owner=owner, subject=subject, group=group)

    assert reply.code == code


def test_an_entry_that_came_late_is_proved_by_the_book_it_is_in(till: Till, ann: Client) -> None:
    till.earn(owner="bo")
    late = till.earn()
    records = till.archive(losing=[late])
    till.close()
    till.archive(records)
    till.now = TUESDAY_NOON
    till.close(TUESDAY)

    reply = ann.get(f"/members/me/entries/{late.entry_id}/proof")

    assert reply.body["business_day"] == "2026-11-24"
    assert proof_holds(reply.body, root=till.books[1].root)


def test_an_entry_of_a_day_that_is_not_closed_has_no_proof_yet(till: Till, ann: Client) -> None:
    entry = till.earn()
    path = f"/members/me/entries/{entry.entry_id}/proof"
    reply = ann.get(path)
    assert (reply.status, reply.code) == (404, "entry_not_booked")
    assert reply.facts["closed_until"] is None

    till.archive()
    till.close()
    till.now = TUESDAY_NOON
    entry = till.earn()
    till.close(WEDNESDAY)

    reply = ann.get(f"/members/me/entries/{entry.entry_id}/proof")
    assert reply.code == "entry_not_booked"
    assert reply.facts == {
        "entry_id": entry.entry_id,
        "posted_on": "2026-11-24",
        "closed_until": "2026-11-25",
    }


def test_an_entry_that_was_changed_has_no_proof(till: Till, ann: Client) -> None:
    entry = till.earn()
    till.archive()
    till.close()
    till.forge(entry, "reason")

    assert ann.get(f"/members/me/entries/{entry.entry_id}/proof").code == "entry_not_booked"


@pytest.mark.parametrize(("subject", "group"), [("bo", "member"), ("staff", "attendant")])
def test_somebody_elses_entry_is_not_proved(till: Till, subject: str, group: str) -> None:
    entry = till.earn()
    till.archive()
    till.close()
    other = member_client(subject, group)

    reply = other.get(f"/members/ann/entries/{entry.entry_id}/proof")

    assert reply.status in {403, 404}


def test_an_entry_that_is_not_there_has_no_proof(ann: Client, till: Till) -> None:
    till.earn()

    reply = ann.get("/members/me/entries/20261123T000000Z.none/proof")

    assert (reply.status, reply.code) == (404, "unknown_entry")
