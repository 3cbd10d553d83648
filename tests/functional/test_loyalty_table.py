"""The Loyalty table: postings once and whole, and what each condition excludes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.ledger import Account
from forecourt.loyalty_table import (
    FINDINGS_LISTED,
    LoyaltyTable,
    account_from_item,
    account_to_item,
    entry_from_item,
    entry_to_item,
)
from forecourt.program import Activation, Evaluation, Trace
from forecourt.reconciliation import Finding, FindingKind
from tests.functional.clients import Paging
from tests.functional.conftest import LOYALTY_TABLE
from tests.functional.world import LITRES
from tests.specimens import OPEN_SINCE, SALE, earned

if TYPE_CHECKING:
    from tests.functional.world import World

EMPTY = Account(member_id="m1", buckets={})
AT = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
NOTHING = Evaluation(
    points=0, expires_on=None, trace=(Trace(rule_id="litre", outcome="below_minimum"),)
)
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


@pytest.mark.parametrize(
    ("version", "evaluation"), [(1, NOTHING), (None, None)], ids=["judged", "before the program"]
)
def test_a_sale_worth_nothing_is_recorded_once(
    world: World, version: int | None, evaluation: Evaluation | None
) -> None:
    assert world.loyalty.record_evaluation("m1", SALE, version=version, evaluation=evaluation)
    before = world.snapshot()

    assert not world.loyalty.record_evaluation("m1", SALE, version=version, evaluation=evaluation)
    assert world.snapshot() == before
    assert world.loyalty.judged([("m1", SALE.sale_id)]) == {SALE.sale_id: None}


def test_a_zero_is_never_recorded_beside_an_entry(world: World) -> None:
    world.post(earned("m1", 39))
    before = world.snapshot()

    assert not world.loyalty.record_evaluation("m1", SALE, version=1, evaluation=NOTHING)
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


def test_a_station_is_found_by_its_id(world: World) -> None:
    station = world.register()

    assert world.loyalty.station("s0001") == station
    assert world.loyalty.station("s0002") is None


def test_all_stations_are_found_however_many(world: World) -> None:
    registered = [world.register(f"s{number:04}") for number in range(3)]

    assert world.loyalty.stations() == registered


def test_stations_beyond_the_first_page_are_found(world: World) -> None:
    registered = [world.register(f"s{number:04}") for number in range(3)]

    paged = LoyaltyTable(Paging(world.dynamodb, page=1), name=LOYALTY_TABLE)

    assert paged.stations() == registered


def finding(number: int = 1) -> Finding:
    return Finding(kind=FindingKind.SALE_NOT_JUDGED, facts={"sale_id": f"sale-{number}"})


def cases(world: World) -> list[dict[str, Any]]:
    return [item for item in world.items(LOYALTY_TABLE) if item["type"] == "case"]


def test_a_case_is_kept_with_the_time_it_was_opened(world: World) -> None:
    for hour in range(2):
        opened_at = AT + timedelta(hours=hour)
        news = world.loyalty.keep_case("s0001", DAY, findings=[finding()], opened_at=opened_at)
        assert news is (hour == 0)

    (case,) = cases(world)
    assert case["findings"] == [{"kind": "sale_not_judged", "sale_id": "sale-1"}]
    assert (case["findings_total"], case["opened_at"]) == (1, "2026-11-23T08:15:00Z")


def test_other_findings_open_the_case_anew(world: World) -> None:
    world.loyalty.keep_case("s0001", DAY, findings=[finding(1)], opened_at=AT)

    later = AT + timedelta(hours=1)
    assert world.loyalty.keep_case("s0001", DAY, findings=[finding(2)], opened_at=later)

    assert [case["opened_at"] for case in cases(world)] == ["2026-11-23T09:15:00Z"]


def test_a_day_that_agrees_again_loses_its_case(world: World) -> None:
    world.loyalty.keep_case("s0001", DAY, findings=[finding()], opened_at=AT)

    assert not world.loyalty.keep_case("s0001", DAY, findings=[], opened_at=AT)
    assert not world.loyalty.keep_case("s0001", DAY, findings=[], opened_at=AT)

    assert cases(world) == []


def test_of_very_many_findings_the_first_are_listed_and_all_are_counted(world: World) -> None:
    findings = [finding(number) for number in range(10_000)]
    world.loyalty.keep_case("s0001", DAY, findings=findings, opened_at=AT)

    one_more = [*findings, finding(10_000)]
    world.loyalty.keep_case("s0001", DAY, findings=one_more, opened_at=AT + timedelta(hours=1))

    (case,) = cases(world)
    assert len(case["findings"]) == FINDINGS_LISTED
    assert (case["findings_total"], case["opened_at"]) == (10_001, "2026-11-23T09:15:00Z")
