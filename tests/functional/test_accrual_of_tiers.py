"""Under a program with tiers a sale earns points by its member's tier, and growth value beside."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest

from forecourt.events import events_of
from forecourt.growth import growth_entry_id
from forecourt.ledger_table import LedgerTable
from forecourt.loyalty_table import LoyaltyTable
from forecourt.program import program_from_document
from functions.accrual.growth_accounts import GrowthAccounts
from tests.functional.clients import Counting, Reluctant, refusal
from tests.functional.conftest import LOYALTY_TABLE, SALES_TABLE
from tests.functional.tiered import tiered
from tests.functional.world import LITRES, World
from tests.specimens import CARD, PLATE, SALE, earned, sale

if TYPE_CHECKING:
    from types import ModuleType

    from forecourt.ledger import Entry
    from forecourt.ledger import commands as c

YEAR_END = date(2026, 12, 31)
NOVEMBER = date(2026, 11, 30)
DECEMBER_20 = datetime(2026, 12, 20, 4, tzinfo=UTC)
NEXT = sale(transaction=4712, totalizer_ml=SALE.key.totalizer_ml + 40_000)


class Accrual:
    """Accrual before the stream, at a time that tests set."""

    def __init__(self, world: World, module: ModuleType, context: Any, told: Any) -> None:
        self.world = world
        self.module = module
        self.context = context
        self.told = told
        self.now = SALE.key.completed_at
        world.enrol("m1", PLATE, CARD)

    def matched(self, *sales: Any) -> list[dict[str, Any]]:
        """Let sales of member m1 come in; return what the stream brings accrual."""
        from functions.matching import handler  # noqa: PLC0415

        self.told(*sales)
        received = self.world.records(SALES_TABLE, status="received")
        handler.handle({"Records": received}, self.context)
        return [
            record
            for record in self.world.records(SALES_TABLE, status="matched")
            if record["eventName"] == "MODIFY"
        ]

    def judge(self, *records: dict[str, Any]) -> list[Any]:
        failures: list[Any] = self.module.handle({"Records": list(records)}, self.context)[
            "batchItemFailures"
        ]
        return failures

    def earn_growth(self, value: int, expires_on: date, *, number: int = 1, **values: Any) -> None:
        """Give growth value as a sale of the same day would have."""
        command = earned("m1", value, sale_id=f"20261101T000000Z.{number}", wallet="growth")
        command = replace(command, expires_on=expires_on, **values)
        policies = program_from_document(tiered(), version=1).policies()
        self.module.ledger.execute(command, policies=policies).posted()

    def has(self, wallet: str, member_id: str = "m1") -> dict[Any, int]:
        return dict(self.world.loyalty.account(member_id, wallet).buckets)

    def entry(self, sold: Any = SALE, member_id: str = "m1") -> Entry:
        return self.world.loyalty.entry(member_id, sold.sale_id)

    def growth_entry(self, sold: Any = SALE, member_id: str = "m1") -> Entry:
        return self.world.loyalty.entry(member_id, growth_entry_id(sold.sale_id))


@pytest.fixture
def accrual(world: World, told: Any, context: Any, monkeypatch: pytest.MonkeyPatch) -> Accrual:
    from functions.accrual import handler  # noqa: PLC0415 - its clients need the environment

    handler.program.cache_clear()
    accrual = Accrual(world, handler, context, told)
    monkeypatch.setattr(handler, "growth_accounts", GrowthAccounts())
    monkeypatch.setattr(handler, "datetime", Mock(now=lambda _: accrual.now))
    ledger = LedgerTable(world.dynamodb, name=LOYALTY_TABLE, now=lambda: accrual.now)
    monkeypatch.setattr(handler, "ledger", ledger)
    return accrual


def test_a_sale_earns_growth_value_beside_its_points(accrual: Accrual, world: World) -> None:
    version = world.activate(tiered())

    assert accrual.judge(*accrual.matched(SALE)) == []

    assert (accrual.has("points"), accrual.has("growth")) == (
        {date(2027, 11, 30): 39},
        {YEAR_END: 302},
    )
    entry = accrual.growth_entry()
    assert (entry.source, entry.program_version) == (f"sale:{SALE.sale_id}", version)
    assert entry.trace == ({"rule": "growth", "outcome": "earned", "points": 302},)


def test_growth_value_is_no_points_to_whoever_reads_sales_or_hears_of_entries(
    accrual: Accrual, world: World
) -> None:
    world.activate(tiered())
    accrual.judge(*accrual.matched(SALE))

    statement = world.statements.page("m1", limit=9, after=None, entries_only=False)
    events = [each for record in world.records(LOYALTY_TABLE) for each in events_of(record)]

    assert [each.points for each in statement.judgements()] == [39]
    moved = {
        each.detail["wallet"]: each.detail["points"]
        for each in events
        if each.detail_type == "EntryRecorded"
    }
    assert moved == {"points": 39, "growth": 302}


@pytest.mark.parametrize(("upgrading_sale", "points"), [("old_tier", 39), ("new_tier", 79)])
def test_the_sale_that_upgrades_is_judged_by_the_tier_that_the_program_says(
    accrual: Accrual, world: World, upgrading_sale: str, points: int
) -> None:
    world.activate(tiered(upgrading_sale=upgrading_sale))

    accrual.judge(*accrual.matched(SALE))
    accrual.judge(*accrual.matched(NEXT))

    assert accrual.entry().points == points
    assert accrual.entry(NEXT).points == 79
    assert accrual.entry(NEXT).trace == (
        {"rule": "litre", "outcome": "earned", "points": 79},
        {"rule": "silver", "outcome": "tier", "points": 0, "basis_points": 20_000},
    )


def test_of_two_sales_in_one_batch_the_second_is_judged_by_what_the_first_brought(
    accrual: Accrual, world: World
) -> None:
    world.activate(tiered())
    accrual.module.growth_accounts.wanted = True

    assert accrual.judge(*accrual.matched(SALE, NEXT)) == []

    assert [accrual.entry(each).points for each in (SALE, NEXT)] == [39, 79]


def test_a_sale_that_comes_again_after_its_member_rose_keeps_its_first_judgement(
    accrual: Accrual, world: World
) -> None:
    world.activate(tiered())
    records = accrual.matched(SALE, NEXT)
    accrual.judge(*records)
    before = world.snapshot()

    assert accrual.judge(*records[::-1], *records) == []

    assert world.snapshot() == before


@pytest.mark.parametrize("upgrading_sale", ["old_tier", "new_tier"])
def test_a_crash_between_points_and_growth_value_is_made_up_for_by_the_retry(
    accrual: Accrual, world: World, monkeypatch: pytest.MonkeyPatch, upgrading_sale: str
) -> None:
    world.activate(tiered(upgrading_sale=upgrading_sale))
    records = accrual.matched(SALE)
    ledger = accrual.module.ledger
    execute = ledger.execute

    def crash(command: c.Earn, **named: Any) -> Any:
        if command.wallet == "growth":
            raise ConnectionError
        return execute(command, **named)

    monkeypatch.setattr(ledger, "execute", crash)
    assert accrual.judge(*records) != []
    points = accrual.has("points")
    assert (sum(points.values()), accrual.has("growth")) == (
        39 if upgrading_sale == "old_tier" else 79,
        {},
    )
    monkeypatch.setattr(ledger, "execute", execute)

    assert accrual.judge(*records) == []

    assert (accrual.has("points"), accrual.has("growth")) == (points, {YEAR_END: 302})


def test_a_late_sale_is_judged_by_the_tier_of_its_period_and_counts_in_it(
    accrual: Accrual, world: World
) -> None:
    """Tiers by the calendar month: silver in November, black in December; it comes then."""
    monthly = {"months": 0, "end_of": "month"}
    world.activate(tiered(validity=monthly))
    late, before = sale(transaction=4713, totalizer_ml=1), accrual.matched(SALE)
    accrual.judge(*before)
    accrual.now = DECEMBER_20
    accrual.earn_growth(10_000, YEAR_END, number=2)
    assert accrual.has("growth") == {YEAR_END: 10_000}

    assert accrual.judge(*accrual.matched(late)) == []

    entry = accrual.entry(late)
    assert entry.trace[1] == {
        "rule": "silver",
        "outcome": "tier",
        "points": 0,
        "basis_points": 20_000,
    }
    assert entry.legs[0].expires_on == date(2027, 11, 30)
    assert accrual.growth_entry(late).legs[0].expires_on == NOVEMBER
    assert world.loyalty.account("m1", "growth").available(date(2026, 12, 20)) == 10_000


def test_points_earned_in_a_chosen_tier_never_run_out(accrual: Accrual, world: World) -> None:
    world.activate(tiered(points={"never_for": ["silver"]}))

    accrual.judge(*accrual.matched(SALE, NEXT))

    assert accrual.has("points") == {date(2027, 11, 30): 39, None: 79}


def test_a_sale_worth_no_points_may_be_worth_growth_value(accrual: Accrual, world: World) -> None:
    (rule,) = LITRES["rules"]
    world.activate(tiered(rules=[{**rule, "minimum": 50_000}]))
    records = accrual.matched(SALE)

    assert accrual.judge(*records) == []
    before = world.snapshot()
    assert accrual.judge(*records) == []

    assert (accrual.has("points"), accrual.has("growth")) == ({}, {YEAR_END: 302})
    assert world.snapshot() == before


@pytest.mark.parametrize("first", ["nothing", "full"])
def test_an_answer_that_gave_nothing_stands_though_the_member_rose_since(
    accrual: Accrual, world: World, first: str
) -> None:
    """A third of a point is none, and three times that is one; and a full wallet stays full."""
    (rule,) = LITRES["rules"]
    small = {**rule, "per": 40_000}
    answers: dict[str, dict[str, Any]] = {
        "nothing": {"rules": [small]},
        "full": {"points": {"ceiling": 20}},
    }
    world.activate(tiered(**answers[first]))
    records = accrual.matched(SALE)
    accrual.judge(*records)
    assert accrual.has("points") == {}
    before = world.snapshot()

    assert accrual.judge(*records) == []

    assert world.snapshot() == before


def test_what_else_is_under_a_sales_id_stops_the_stream(accrual: Accrual, world: World) -> None:
    world.activate(tiered())
    records = accrual.matched(SALE)
    world.post(earned("m1", 5, source="order:1"))
    before = world.snapshot()

    assert len(accrual.judge(*records)) == 1

    assert world.snapshot() == before


def test_growth_value_goes_where_a_merged_members_points_go(accrual: Accrual, world: World) -> None:
    """Neither wallet was ever used, and the sale is on its way when the members become one."""
    world.activate(tiered())
    world.enrol("m2")
    policies = program_from_document(tiered(), version=1).policies()
    first, second = accrual.matched(SALE, NEXT)
    world.merged.merge(
        "m1", "m2", policies=policies, merged_by="op", reason="same", merged_at=accrual.now
    )

    assert accrual.judge(first) == []
    assert accrual.judge(second, first) == []

    assert (accrual.has("points"), accrual.has("growth")) == ({}, {})
    assert accrual.has("points", "m2") == {date(2027, 11, 30): 39 + 79}
    assert accrual.has("growth", "m2") == {YEAR_END: 604}


def test_a_program_with_growth_value_alone_knows_no_tier(accrual: Accrual, world: World) -> None:
    world.activate(tiered(tiers=None))

    accrual.judge(*accrual.matched(SALE, NEXT))

    assert accrual.has("points") == {date(2027, 11, 30): 78}
    assert accrual.has("growth") == {YEAR_END: 604}


def test_a_campaign_multiplies_without_any_tier_and_asks_for_no_growth_account(
    accrual: Accrual, world: World
) -> None:
    campaign = {
        "name": "double",
        "first_on": "2026-11-23",
        "last_on": "2026-11-23",
        "multiple_basis_points": 20_000,
    }
    world.activate(tiered(tiers=None, growth=None, multiples={"campaigns": [campaign]}))

    accrual.judge(*accrual.matched(SALE))

    entry = accrual.entry()
    assert entry.points == 79
    assert entry.trace[1]["outcome"] == "campaign"
    assert not accrual.module.growth_accounts.wanted


def test_growth_accounts_are_looked_up_with_the_batch_once_a_sale_needed_one(
    accrual: Accrual, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.activate(tiered())
    accrual.judge(*accrual.matched(SALE))
    records = accrual.matched(NEXT)
    counting = Counting(world.dynamodb)
    monkeypatch.setattr(accrual.module, "loyalty", LoyaltyTable(counting, name=LOYALTY_TABLE))
    monkeypatch.setattr(accrual.module, "ledger", LedgerTable(counting, name=LOYALTY_TABLE))

    accrual.judge(*records)

    assert counting.calls == {"batch_get_item": 1, "transact_write_items": 2}


def test_growth_value_that_cannot_be_posted_leaves_the_sale_to_the_stream(
    accrual: Accrual, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.activate(tiered())
    records = accrual.matched(SALE)
    accrual.judge(*accrual.matched(NEXT))
    before = accrual.has("growth")
    reluctant = Reluctant(world.dynamodb, "get_item", refusal("AccessDeniedException"))
    monkeypatch.setattr(accrual.module, "loyalty", LoyaltyTable(reluctant, name=LOYALTY_TABLE))
    accrual.module.growth_accounts.wanted = False  # as in a container that is new

    assert len(accrual.judge(*records)) == 1

    assert accrual.has("growth") == before
    assert world.loyalty.judged([("m1", SALE.sale_id)]) == {}
