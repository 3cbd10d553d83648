"""The Loyalty table: postings once and whole, and what each condition excludes."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest

from forecourt.ledger import Account
from forecourt.loyalty_table import (
    account_from_item,
    account_to_item,
    entry_from_item,
    entry_to_item,
)
from forecourt.timelines import Activation
from tests.functional.conftest import LOYALTY_TABLE
from tests.functional.world import LITRES
from tests.specimens import OPEN_SINCE, SALE, earned

if TYPE_CHECKING:
    from tests.functional.world import World

EMPTY = Account(member_id="m1", buckets={})
AT = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
DAY = date(2026, 11, 22)


def test_what_the_ledger_wrote_is_what_is_read(world: World) -> None:
    entry = world.post(earned("m1", 39, expires_on=date(2027, 11, 30)))

    assert world.loyalty.judged([("m1", SALE.sale_id)]) == {SALE.sale_id: entry}
    assert world.loyalty.account("m1").buckets == {date(2027, 11, 30): 39}
    assert world.loyalty.account("m1").digest == entry.digest


@pytest.mark.parametrize("expires_on", [None, date(2027, 11, 30)])
def test_entries_and_accounts_are_decoded_as_they_were_encoded(
    world: World, expires_on: date | None
) -> None:
    entry = world.post(earned("m1", 39, expires_on=expires_on))
    account = world.loyalty.account("m1")

    assert entry_from_item(entry_to_item(entry)) == entry
    assert account_from_item(account_to_item(account)) == account


def test_a_member_without_entries_has_an_empty_account(world: World) -> None:
    assert world.loyalty.account("nobody") == Account(member_id="nobody", buckets={})


@pytest.mark.parametrize("version", [1, 0], ids=["judged", "before the program"])
def test_a_sale_worth_nothing_is_recorded_once(world: World, version: int) -> None:
    assert not world.earn_nothing("m1", program_version=version).repeated
    before = world.snapshot()

    assert world.earn_nothing("m1", program_version=version).repeated
    assert world.snapshot() == before
    assert world.loyalty.judged([("m1", SALE.sale_id)]) == {SALE.sale_id: None}
    (kept,) = world.items(LOYALTY_TABLE)
    assert (kept["type"], kept.get("program_version")) == ("evaluation", version or None)


def test_a_zero_is_never_recorded_beside_an_entry(world: World) -> None:
    world.post(earned("m1", 39))
    before = world.snapshot()

    assert world.earn_nothing("m1").repeated
    assert world.snapshot() == before


def test_a_sale_that_was_never_judged_is_not_among_the_judged(world: World) -> None:
    assert world.loyalty.judged([("m1", SALE.sale_id)]) == {}


def test_the_standing_is_the_account_and_the_timeline(world: World) -> None:
    version = world.activate()
    world.post(earned("m1", 39))
    account = world.loyalty.account("m1")

    standing = world.loyalty.standings(["m1"])

    assert standing.accounts == {"m1": account}
    assert standing.timeline == (Activation(effective_at=OPEN_SINCE, version=version),)


def test_the_standing_of_a_newcomer_before_the_program_began_is_empty(world: World) -> None:
    standing = world.loyalty.standings(["m1"])

    assert (standing.accounts, standing.timeline) == ({"m1": EMPTY}, ())


def test_a_programs_document_is_read_as_it_was_drafted(world: World) -> None:
    assert world.loyalty.program_document(world.activate()) == LITRES
