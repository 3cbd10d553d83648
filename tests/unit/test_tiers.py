"""Tiers: read off the growth account, by the day, whether or not a job ran."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from forecourt.documents import ProgramDocument, findings_about
from forecourt.growth import Growth, growth_entry_id, growth_of, tier_of_sale
from forecourt.instants import business_day
from forecourt.ledger import Account
from forecourt.ledger import commands as c
from forecourt.ledger.entries import EXPIRED
from forecourt.program import Program, evaluate, program_from_document
from forecourt.tiers import value_on
from tests.specimens import sale
from tests.unit.books import Ledger

ZONE = ZoneInfo("Asia/Shanghai")
YEAR = {"months": 0, "end_of": "year"}
NEXT_YEAR = {"months": 12, "end_of": "year"}
MONTH = {"months": 0, "end_of": "month"}
LADDER = [
    {"name": "silver", "from_value": 1000, "multiple_basis_points": 12_000},
    {"name": "gold", "from_value": 2000, "multiple_basis_points": 15_000},
    {"name": "black", "from_value": 5000, "multiple_basis_points": 20_000},
]
YUAN = {"basis": "amount", "value": 1, "per": 100, "rounding": "floor"}
RULE = {"rule_id": "litre", "basis": "volume", "points": 1, "per": 1000, "rounding": "floor"}
OLD_YEAR, NEW_YEAR = date(2026, 12, 31), date(2027, 12, 31)
MIDNIGHT = datetime(2027, 1, 1, tzinfo=ZONE).astimezone(UTC)


def document(*, growth_wallet: Any = None, upgrading_sale: str = "old_tier", **changes: Any) -> Any:
    values = {
        "zone": ZONE.key,
        "rules": [RULE],
        "validity": {"months": 12, "end_of": "month"},
        "wallets": {"growth": growth_wallet or {"validity": YEAR}},
        "growth": YUAN,
        "tiers": {"ladder": LADDER, "upgrading_sale": upgrading_sale},
    }
    return ProgramDocument.model_validate({**values, **changes})


def program(**changes: Any) -> Program:
    return program_from_document(document(**changes).model_dump(mode="json"), version=1)


def found(**changes: Any) -> list[tuple[str, str, str]]:
    findings = findings_about(document(**changes), sold=frozenset({"92"}))
    return [(each.severity, each.code, each.at) for each in findings]


class Member:
    """A member's growth account, kept as the program says."""

    def __init__(self, kept_by: Program, *, now: datetime) -> None:
        self.program = kept_by
        self.books = Ledger()
        self.books.policies = kept_by.policies()
        self.books.now = now

    def earn(self, value: int, expires_on: date | None = OLD_YEAR, **values: Any) -> None:
        self.books.earn(value, expires_on, wallet="growth", **values)

    @property
    def growth(self) -> Account:
        return self.books.account(wallet="growth")

    def tier(self, at: datetime | None = None) -> str:
        """Return the name of the member's tier, at another time than now if one is given."""
        tiers = self.program.tiers
        assert tiers is not None
        tier = tiers.at(value_on(self.growth, business_day(at or self.books.now, ZONE)))
        return tier.name if tier else ""

    def tier_of_sale(self, completed_at: datetime, **changes: Any) -> str:
        """Return the name of the tier by which a sale is judged that arrives now."""
        sold = sale(completed_at=completed_at, **changes)
        tier = tier_of_sale(self.program, sold, self.growth, now=self.books.now)
        return tier.name if tier else ""


@pytest.fixture
def member() -> Member:
    return Member(program(), now=MIDNIGHT - timedelta(days=30))


@pytest.mark.parametrize(
    ("value", "tier"),
    [(999, ""), (1000, "silver"), (1001, "silver"), (1999, "silver"), (2000, "gold")],
)
def test_a_threshold_is_reached_exactly(member: Member, value: int, tier: str) -> None:
    member.earn(value)

    assert member.tier() == tier


def test_one_sale_may_take_a_member_up_several_tiers_at_once(member: Member) -> None:
    member.earn(900)
    member.earn(4100)

    assert member.tier() == "black"


def test_spending_points_takes_nobody_down_and_debt_neither(member: Member) -> None:
    member.earn(1000)
    member.books.earn(500, OLD_YEAR)
    bought = member.books.earn(100, OLD_YEAR)

    member.books.spend(600)
    member.books.reverse(bought)

    assert member.books.account().debt == 100
    assert member.tier() == "silver"


def test_a_refund_of_growth_value_takes_its_member_down_at_once(member: Member) -> None:
    entry = member.books.earn(1000, OLD_YEAR, wallet="growth")

    member.books.reverse(entry, c.Exactly(points=1))

    assert member.tier() == ""


def test_a_tier_ends_at_midnight_of_the_programs_zone_without_any_job(member: Member) -> None:
    member.earn(2000)

    assert member.tier(MIDNIGHT - timedelta(microseconds=1)) == "gold"
    assert member.tier(MIDNIGHT) == ""


@pytest.mark.parametrize(
    ("late_by", "tier", "next_years"),
    [(timedelta(seconds=-1), "gold", 0), (timedelta(0), "silver", 10)],
)
def test_requalifying_in_the_last_second_of_a_period_counts(
    late_by: timedelta, tier: str, next_years: int
) -> None:
    """Gold through 31 December by last year's value; the tenth that keeps it comes at 23:59:59."""
    kept_by = program(growth_wallet={"validity": NEXT_YEAR})
    member = Member(kept_by, now=MIDNIGHT - timedelta(days=30))
    member.earn(2000, OLD_YEAR)
    member.earn(1990, NEW_YEAR)
    moment = MIDNIGHT + late_by
    growth = growth_of(kept_by, sale(completed_at=moment, amount_fen=1000))
    assert growth is not None

    judged_by, member.books.now = member.tier_of_sale(moment), moment
    member.earn(growth.value, growth.expires_on)

    assert judged_by == tier
    assert member.tier_of_sale(MIDNIGHT) == "gold"
    assert member.growth.available(date(2028, 1, 1)) == next_years


def test_what_begins_at_midnight_counts_before_what_ends_there_is_gone() -> None:
    """Pending activates and another lot expires: activate, tier, expire, tier."""
    kept_by = program(growth_wallet={"validity": NEXT_YEAR, "pending_days": 14})
    member = Member(kept_by, now=MIDNIGHT - timedelta(days=14))
    member.earn(1000, OLD_YEAR)
    member.earn(1000, NEW_YEAR, activates_on=date(2027, 1, 1))
    before, midnight_job = member.growth, MIDNIGHT + timedelta(seconds=30)

    assert member.tier(MIDNIGHT - timedelta(microseconds=1)) == "silver"
    assert member.tier(MIDNIGHT) == "silver"  # and not gold, for no instant has both
    member.books.now = midnight_job
    settled = member.books.run(c.Settle, wallet="growth")

    value, tiers = value_on(before, OLD_YEAR), []
    assert kept_by.tiers is not None
    for leg in settled.upkeep:
        if leg.account != EXPIRED and leg.activates_on is None:
            value += leg.points
            reached = kept_by.tiers.at(value)
            tiers.append(reached.name if reached else "")
    # In between the member stood higher and never lower: nobody falls for a moment.
    assert tiers == ["gold", "silver"]
    assert member.tier() == "silver"


@pytest.mark.parametrize(("this_month", "tier"), [(0, "gold"), (5000, "gold")])
def test_a_late_sale_has_the_tier_of_the_period_it_was_made_in(this_month: int, tier: str) -> None:
    """Gold in November, and then nothing, or black in December; it arrives on the 20th."""
    december = datetime(2026, 12, 20, 4, tzinfo=UTC)
    member = Member(program(growth_wallet={"validity": MONTH}), now=december - timedelta(days=30))
    member.earn(2000, date(2026, 11, 30))
    member.books.now = december
    if this_month:
        member.earn(this_month, OLD_YEAR)
    else:
        member.books.run(c.Settle, wallet="growth")

    assert member.growth.buckets == ({OLD_YEAR: 5000} if this_month else {})
    assert member.tier_of_sale(datetime(2026, 11, 29, 4, tzinfo=UTC)) == tier
    assert member.tier_of_sale(december) == ("black" if this_month else "")


@pytest.mark.parametrize("expires_on", [date(2029, 12, 31), None])
def test_growth_value_given_by_hand_for_longer_counts_for_a_late_sale_as_well(
    expires_on: date | None,
) -> None:
    december = datetime(2026, 12, 20, 4, tzinfo=UTC)
    member = Member(program(growth_wallet={"validity": MONTH}), now=december - timedelta(days=30))
    member.earn(2000, expires_on)
    member.books.now = december

    assert member.tier_of_sale(datetime(2026, 11, 29, 4, tzinfo=UTC)) == "gold"


def test_growth_value_of_a_late_sale_counts_in_the_period_it_was_made_in() -> None:
    member = Member(program(growth_wallet={"validity": MONTH}), now=MIDNIGHT - timedelta(days=40))
    member.earn(900, date(2026, 11, 30))
    member.books.now = datetime(2026, 12, 20, 4, tzinfo=UTC)
    november = datetime(2026, 11, 29, 4, tzinfo=UTC)
    late = growth_of(member.program, sale(completed_at=november, amount_fen=10_000))
    assert late is not None
    assert (late.value, late.expires_on) == (100, date(2026, 11, 30))

    member.earn(late.value, late.expires_on)

    assert member.tier() == ""
    assert member.tier_of_sale(november + timedelta(minutes=1)) == "silver"
    member.earn(1, OLD_YEAR)  # writes down what ran out, and is nothing of November's
    assert member.growth.ran_out == {date(2026, 11, 30): 1000}
    assert member.tier_of_sale(november + timedelta(minutes=1)) == "silver"


def test_what_ran_out_is_recalled_for_two_months_and_then_forgotten() -> None:
    member = Member(program(growth_wallet={"validity": MONTH}), now=MIDNIGHT - timedelta(days=20))
    member.earn(10, date(2026, 12, 31))
    member.books.now = MIDNIGHT + timedelta(days=20)
    member.earn(20, date(2027, 1, 31))
    member.books.now = MIDNIGHT + timedelta(days=61)
    member.earn(30, date(2027, 3, 31))
    assert member.growth.ran_out == {date(2026, 12, 31): 10, date(2027, 1, 31): 20}

    member.books.now = MIDNIGHT + timedelta(days=93)
    member.earn(40, date(2027, 4, 30))

    assert member.growth.ran_out == {date(2027, 3, 31): 30}


def test_points_that_run_out_are_not_recalled() -> None:
    member = Member(program(), now=MIDNIGHT - timedelta(days=1))
    member.books.earn(10, OLD_YEAR)
    member.books.now = MIDNIGHT

    member.books.run(c.Settle)

    assert member.books.account().ran_out == {}


@pytest.mark.parametrize(
    ("upgrading_sale", "fen", "tier"),
    [
        ("old_tier", 10_000, "silver"),
        ("new_tier", 9_999, "silver"),
        ("new_tier", 10_000, "gold"),
        ("new_tier", 310_000, "black"),
    ],
)
def test_by_which_tier_the_upgrading_sale_is_judged_is_a_setting(
    upgrading_sale: str, fen: int, tier: str
) -> None:
    member = Member(program(upgrading_sale=upgrading_sale), now=MIDNIGHT - timedelta(days=30))
    member.earn(1900)

    assert member.tier_of_sale(member.books.now, amount_fen=fen) == tier


def test_growth_value_that_waits_upgrades_no_sale_of_its_own() -> None:
    waiting = {"validity": NEXT_YEAR, "pending_days": 14}
    kept_by = program(growth_wallet=waiting, upgrading_sale="new_tier")
    member = Member(kept_by, now=MIDNIGHT - timedelta(days=30))

    assert member.tier_of_sale(member.books.now, amount_fen=100_000) == ""


def test_a_tier_is_kept_until_the_day_its_value_no_longer_suffices(member: Member) -> None:
    tiers = member.program.tiers
    assert tiers is not None
    today = business_day(member.books.now, ZONE)
    assert tiers.until(member.growth, today) is None

    member.earn(500, date(2026, 12, 15))
    member.earn(600, OLD_YEAR)
    member.earn(600, NEW_YEAR)
    assert (member.tier(), tiers.until(member.growth, today)) == ("silver", OLD_YEAR)

    member.earn(400, None)
    assert (member.tier(), tiers.until(member.growth, today)) == ("gold", date(2026, 12, 15))

    member.earn(2000, None)
    assert (member.tier(), tiers.until(member.growth, today)) == ("gold", None)


def test_points_of_members_of_chosen_tiers_never_run_out() -> None:
    wallets = {"points": {"never_for": ["black"]}, "growth": {"validity": YEAR}}
    judging = program(wallets=wallets)
    assert judging.tiers is not None
    sold = sale(completed_at=MIDNIGHT)

    expires_on = {
        value: evaluate(judging, sold, tier=judging.tiers.at(value)).expires_on
        for value in (0, 2000, 5000)
    }

    assert expires_on == {0: date(2028, 1, 31), 2000: date(2028, 1, 31), 5000: None}


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ({"basis": "volume", "value": 2, "per": 1000}, 79),
        ({"basis": "amount", "value": 1, "per": 100}, 302),
        ({"basis": "points", "value": 3, "per": 2}, 58),
        ({"basis": "points", "value": 1, "per": 40}, None),
    ],
)
def test_growth_value_is_of_litres_of_money_or_of_points_without_multiples(
    rule: dict[str, Any], value: int | None
) -> None:
    campaign = {
        "name": "double",
        "first_on": "2027-01-01",
        "last_on": "2027-01-01",
        "multiple_basis_points": 20_000,
    }
    judging = program(growth={**rule, "rounding": "floor"}, multiples={"campaigns": [campaign]})
    sold = sale(completed_at=MIDNIGHT, volume_ml=39_990, amount_fen=30_232)

    assert evaluate(judging, sold).points == 79
    growth = growth_of(judging, sold)
    assert (growth and growth.value) == value


def test_growth_value_counts_from_the_sales_day_or_some_days_later() -> None:
    at_once, later = program(), program(growth_wallet={"validity": NEXT_YEAR, "pending_days": 14})
    sold = sale(completed_at=MIDNIGHT, amount_fen=100)

    assert growth_of(at_once, sold) == Growth(value=1, activates_on=None, expires_on=NEW_YEAR)
    assert growth_of(later, sold) == Growth(
        value=1, activates_on=date(2027, 1, 15), expires_on=date(2028, 12, 31)
    )


def test_a_program_from_before_there_were_tiers_has_none() -> None:
    stored = document(wallets=None, growth=None, tiers=None).model_dump(mode="json")
    for name in ("growth", "tiers", "multiples"):
        del stored[name]

    old = program_from_document(stored, version=1)

    account = Account(member_id="ann", wallet="growth", buckets={None: 10_000})
    assert growth_of(old, sale()) is None
    assert tier_of_sale(old, sale(), account, now=MIDNIGHT) is None


def test_an_entry_of_growth_value_is_named_after_the_points_beside_it() -> None:
    assert growth_entry_id("sale") == "sale~growth"
    assert growth_entry_id("sale~1+m1") == "sale~1+m1~growth"


CAMPAIGN = {
    "name": "double",
    "first_on": "2026-12-01",
    "last_on": "2026-12-31",
    "multiple_basis_points": 20_000,
}


def ladder(*steps: tuple[str, int, int]) -> dict[str, Any]:
    names = ("name", "from_value", "multiple_basis_points")
    return {"ladder": [dict(zip(names, step, strict=True)) for step in steps]}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"tiers": None}, []),
        ({"wallets": {}}, [("error", "growth_without_wallet", "/growth")]),
        ({"growth": None}, [("error", "tiers_without_growth", "/tiers")]),
        (
            {"tiers": ladder(("gold", 0, 10_000), ("gold", 1, 10_000))},
            [("error", "duplicate_tier", "/tiers/ladder/1/name")],
        ),
        (
            {"tiers": ladder(("gold", 5, 10_000), ("black", 5, 10_000))},
            [("error", "tier_not_above_the_last", "/tiers/ladder/1/from_value")],
        ),
        (
            {"tiers": ladder(("gold", 5, 20_000), ("black", 6, 19_999))},
            [
                (
                    "warning",
                    "multiple_below_a_lower_tiers",
                    "/tiers/ladder/1/multiple_basis_points",
                )
            ],
        ),
        (
            {
                "wallets": {
                    "points": {"never_for": ["black", "white"]},
                    "growth": {"validity": YEAR},
                }
            },
            [("error", "unknown_tier", "/wallets/points/never_for/1")],
        ),
        (
            {"wallets": {"growth": {"validity": MONTH, "pending_days": 1}}},
            [("error", "pending_longer_than_validity", "/wallets/growth/pending_days")],
        ),
        ({"multiples": {"campaigns": [CAMPAIGN]}}, []),
        ({"multiples": {"campaigns": [{**CAMPAIGN, "last_on": "2026-12-01"}]}}, []),
        (
            {"multiples": {"campaigns": [{**CAMPAIGN, "last_on": "2026-11-30"}]}},
            [("error", "ends_before_it_begins", "/multiples/campaigns/0/last_on")],
        ),
        (
            {"multiples": {"campaigns": [CAMPAIGN, CAMPAIGN, {**CAMPAIGN, "name": "gold"}]}},
            [
                ("error", "duplicate_multiple", "/multiples/campaigns/1/name"),
                ("error", "duplicate_multiple", "/multiples/campaigns/2/name"),
            ],
        ),
        (
            {"multiples": {"campaigns": [{**CAMPAIGN, "grades": ["92", "0"]}]}},
            [("warning", "grade_not_sold", "/multiples/campaigns/0/grades")],
        ),
    ],
)
def test_what_is_wrong_or_odd_about_tiers_and_campaigns_is_found(
    changes: dict[str, Any], expected: list[tuple[str, str, str]]
) -> None:
    assert found(**changes) == expected
