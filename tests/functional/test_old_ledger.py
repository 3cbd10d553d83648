"""What the first ledger wrote, which had no chain and no fingerprints, keeps working."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.errors import EntryConflict
from forecourt.events import events_of
from forecourt.ledger import commands as c
from forecourt.ledger import faults, rebuild
from forecourt.loyalty_table import account_from_item, entry_from_item
from tests.functional.conftest import LOYALTY_TABLE
from tests.functional.world import POLICIES
from tests.specimens import earned

if TYPE_CHECKING:
    from forecourt.ledger import Entry
    from tests.functional.world import World

# Three sales of one member and their account, as the first version of the code encoded them.
ITEMS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "samples" / "first_ledger.json").read_text("utf-8")
)
SALE_ID = "20261123T081500Z.s0001.SN4711.3.4711.123456789"
FIRST = earned(
    "m-1",
    399,
    sale_id=SALE_ID,
    expires_on=date(2027, 11, 30),
    occurred_at=datetime(2026, 11, 23, 8, 15, tzinfo=UTC),
)
SPEND = c.Spend(
    entry_id="20261124T100000Z.spend",
    owner="m-1",
    points=60,
    source="order:1",
    reason="redemption",
    actor="shop",
    occurred_at=datetime(2026, 11, 24, 10, tzinfo=UTC),
)


@pytest.fixture
def old(world: World) -> World:
    for item in ITEMS:
        world.dynamodb.put_item(TableName=LOYALTY_TABLE, Item=item)
    return world


def entries(world: World) -> list[Entry]:
    items = world.dynamodb.scan(TableName=LOYALTY_TABLE)["Items"]
    return [entry_from_item(item) for item in items if item["type"]["S"] == "entry"]


def test_its_account_is_what_its_entries_add_up_to() -> None:
    *written, last = ITEMS
    account = account_from_item(last)

    assert account.buckets == {date(2027, 11, 30): 399, None: 120, date(2026, 12, 31): 50}
    assert rebuild("m-1", "points", map(entry_from_item, written)) == account


def test_new_entries_go_on_from_the_old_and_the_chain_begins_with_them(old: World) -> None:
    entry = old.post(SPEND)

    assert [(lot[0], points) for lot, points in entry.taken()] == [
        (date(2026, 12, 31), 50),
        (date(2027, 11, 30), 10),
    ]
    assert (entry.account_version, entry.previous) == (4, "")
    assert faults(entries(old)) == []
    assert rebuild("m-1", "points", entries(old)) == old.loyalty.account("m-1")


def test_a_sale_it_has_judged_is_recognised_and_another_under_its_id_is_not(old: World) -> None:
    before = old.snapshot()

    assert old.ledger.execute(FIRST, policies=POLICIES).repeated
    with pytest.raises(EntryConflict):
        old.post(replace(FIRST, points=7))
    with pytest.raises(EntryConflict):
        old.post(replace(SPEND, entry_id=SALE_ID))

    assert old.snapshot() == before


def test_a_sale_it_has_judged_can_be_refunded(old: World) -> None:
    refund = c.Reverse(
        entry_id="20261125T100000Z.refund",
        owner="m-1",
        reverses=SALE_ID,
        document="refund:1",
        source="refund:1",
        reason="refund",
        actor="till",
        occurred_at=datetime(2026, 11, 25, 10, tzinfo=UTC),
    )

    old.post(refund)

    assert old.loyalty.account("m-1").buckets == {None: 120, date(2026, 12, 31): 50}


def test_the_bus_is_told_of_its_entries_as_before() -> None:
    records = [{"dynamodb": {"NewImage": item}} for item in ITEMS]

    told = [event.detail for record in records for event in events_of(record)]

    assert [each["points"] for each in told] == [399, 120, 50]
    assert told[0]["entry_id"] == SALE_ID
