"""The Loyalty table: postings once and whole, and what each condition excludes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from forecourt.errors import EntryConflict, StaleWrite
from forecourt.ledger import Account, Entry, earn
from forecourt.loyalty_table import (
    FINDINGS_LISTED,
    LoyaltyTable,
    account_from_item,
    account_to_item,
    entry_from_item,
    entry_to_item,
    trace_to_map,
)
from forecourt.program import Activation, Evaluation, Trace
from forecourt.reconciliation import Finding, FindingKind
from tests.functional.clients import Interrupting, Paging, Reluctant, cancellation, refusal
from tests.functional.conftest import LOYALTY_TABLE
from tests.functional.world import LITRES
from tests.specimens import OPEN_SINCE, SALE

if TYPE_CHECKING:
    from tests.functional.world import World

EMPTY = Account(member_id="m1", buckets={})
AT = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
NOTHING = Evaluation(
    points=0, expires_on=None, trace=(Trace(rule_id="litre", outcome="below_minimum"),)
)
DAY = date(2026, 11, 22)


def posting(
    account: Account = EMPTY, *, entry_id: str = "sale-1", points: int = 39, **changes: Any
) -> tuple[Entry, Account]:
    arguments: dict[str, Any] = {
        "expires_on": date(2027, 11, 30),
        "program_version": 1,
        "trace": (trace_to_map(Trace(rule_id="litre", outcome="earned", points=points)),),
        "occurred_at": AT,
        "posted_at": AT,
    }
    return earn(account, entry_id=entry_id, points=points, **{**arguments, **changes})


def test_an_entry_and_its_account_survive_the_table(world: World) -> None:
    entry, account = posting()

    assert world.loyalty.post(entry, account)

    assert world.loyalty.account("m1") == account
    assert world.loyalty.judged([("m1", "sale-1")]) == {"sale-1": entry}


@pytest.mark.parametrize("expires_on", [None, date(2027, 11, 30)])
def test_entries_and_accounts_are_decoded_as_they_were_encoded(expires_on: date | None) -> None:
    entry, account = posting(expires_on=expires_on)

    assert entry_from_item(entry_to_item(entry)) == entry
    assert account_from_item(account_to_item(account)) == account


def test_a_member_without_entries_has_an_empty_account(world: World) -> None:
    assert world.loyalty.account("nobody") == Account(member_id="nobody", buckets={})


def test_a_second_posting_goes_on_from_the_first(world: World) -> None:
    first = posting()
    world.loyalty.post(*first)

    assert world.loyalty.post(*posting(first[1], entry_id="sale-2"))

    assert world.loyalty.account("m1").buckets == {date(2027, 11, 30): 78}


def test_the_same_posting_again_is_recognised_and_changes_nothing(world: World) -> None:
    entry, account = posting()
    world.loyalty.post(entry, account)
    before = world.snapshot()

    later = posting(account, posted_at=AT + timedelta(days=1))

    assert not world.loyalty.post(entry, account)
    assert not world.loyalty.post(*later)
    assert world.snapshot() == before


def test_an_entry_id_used_with_other_contents_is_a_conflict(world: World) -> None:
    entry, account = posting()
    world.loyalty.post(entry, account)
    before = world.snapshot()

    with pytest.raises(EntryConflict) as caught:
        world.loyalty.post(*posting(account, points=40))
    assert caught.value.entry_id == "sale-1"
    assert world.snapshot() == before


def test_an_entry_for_a_sale_judged_worth_nothing_is_a_conflict(world: World) -> None:
    world.loyalty.record_evaluation("m1", SALE, version=1, evaluation=NOTHING)
    before = world.snapshot()

    with pytest.raises(EntryConflict):
        world.loyalty.post(*posting(entry_id=SALE.sale_id))
    assert world.snapshot() == before


@pytest.mark.parametrize("behind", [0, 1])
def test_a_posting_that_another_one_overtook_is_stale_and_wrote_nothing(
    world: World, behind: int
) -> None:
    account = EMPTY
    for number in range(2):
        entry, account = posting(account, entry_id=f"sale-{number}")
        world.loyalty.post(entry, account)
    before = world.snapshot()
    seen = replace(account, version=behind)

    with pytest.raises(StaleWrite):
        world.loyalty.post(*posting(seen, entry_id="sale-9"))
    assert world.snapshot() == before


@pytest.mark.parametrize(
    "codes",
    [
        ("TransactionConflict", "None"),
        ("None", "TransactionConflict"),
        ("None", "ThrottlingError"),
        ("ProvisionedThroughputExceeded", "None"),
    ],
)
def test_a_posting_that_lost_a_race_is_stale_and_no_refusal(
    world: World, codes: tuple[str, str]
) -> None:
    table = LoyaltyTable(
        Reluctant(world.dynamodb, "transact_write_items", cancellation(*codes)), name=LOYALTY_TABLE
    )

    with pytest.raises(StaleWrite):
        table.post(*posting())
    assert world.snapshot() == []


@pytest.mark.parametrize(
    "error",
    [
        refusal("ThrottlingException"),
        refusal("ProvisionedThroughputExceededException"),
        cancellation("None", "ValidationError"),
    ],
)
def test_any_other_failure_of_a_posting_propagates(world: World, error: ClientError) -> None:
    table = LoyaltyTable(
        Reluctant(world.dynamodb, "transact_write_items", error), name=LOYALTY_TABLE
    )

    with pytest.raises(ClientError) as caught:
        table.post(*posting())
    assert caught.value is error
    assert world.snapshot() == []


def test_a_posting_whose_answer_was_lost_is_recognised(world: World) -> None:
    entry, account = posting()
    answered_late = Interrupting(
        world.dynamodb, "transact_write_items", lambda: world.loyalty.post(entry, account)
    )

    assert not LoyaltyTable(answered_late, name=LOYALTY_TABLE).post(entry, account)
    assert world.loyalty.account("m1") == account


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
    world.loyalty.post(*posting(entry_id=SALE.sale_id))
    before = world.snapshot()

    assert not world.loyalty.record_evaluation("m1", SALE, version=1, evaluation=NOTHING)
    assert world.snapshot() == before


def test_a_sale_that_was_never_judged_is_not_among_the_judged(world: World) -> None:
    assert world.loyalty.judged([("m1", SALE.sale_id)]) == {}


def test_the_standing_is_the_account_and_the_timeline(world: World) -> None:
    version = world.activate()
    _, account = posting()
    world.loyalty.post(*posting())

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
