"""What a program's document makes of the wallets: policies and terms."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from forecourt.documents import ProgramDocument, findings_about
from forecourt.ledger import Account, Books, CountsFrom, Policies, Shortfall, Terms, WalletPolicy
from forecourt.ledger import commands as c
from forecourt.ledger.deciding import decide
from forecourt.ledger.policy import Midnight
from forecourt.ledger.refusals import CeilingExceeded, NotSpendable
from forecourt.operator_errors import InvalidProgram
from forecourt.program import Program, program_from_document
from forecourt.validity import EndOf, Validity
from forecourt.wallets import Holder, Rate
from tests.unit.books import JUNE, MORNING, TODAY, Ledger

if TYPE_CHECKING:
    from forecourt.shapes import Finding

ZONE = ZoneInfo("Asia/Shanghai")
YEAR = {"months": 12, "end_of": "month"}
THREE_YEARS = {"months": 36, "end_of": "day"}
STORED_VALUE = {"registered_ceiling_fen": 500_000, "anonymous_ceiling_fen": 100_000}


def document(wallets: dict[str, Any] | None, **changes: Any) -> ProgramDocument:
    rule = {
        "rule_id": "litre",
        "basis": "volume",
        "points": 1,
        "per": 1000,
        "rounding": "floor",
    }
    values = {"zone": ZONE.key, "rules": [rule], "validity": YEAR, "wallets": wallets}
    return ProgramDocument.model_validate({**values, **changes})


def program(**wallets: Any) -> Program:
    """Return the program that a document with *wallets* becomes, as it is stored and read."""
    return program_from_document(document(wallets).model_dump(mode="json"), version=1)


def found(wallets: dict[str, Any], **changes: Any) -> list[tuple[str, str, str]]:
    findings: list[Finding] = findings_about(document(wallets, **changes), sold=frozenset())
    return [(each.severity, each.code, each.at) for each in findings]


@pytest.mark.parametrize("stored_before_there_were_wallets", [True, False])
def test_a_program_without_wallets_is_kept_as_it_always_was(
    *, stored_before_there_were_wallets: bool
) -> None:
    stored = document(None).model_dump(mode="json")
    if stored_before_there_were_wallets:
        del stored["wallets"]

    old = program_from_document(stored, version=1)

    assert old.policies() == Policies(default=WalletPolicy(zone=ZONE))
    assert old.terms() == Terms(validity=Validity(months=12, end_of=EndOf.MONTH))


def test_wallets_that_say_nothing_are_kept_like_none() -> None:
    said = program()

    assert said.policies().of("points") == program_from_document(
        document(None).model_dump(mode="json"), version=1
    ).policies().of("points")
    assert said.terms() == Terms(validity=Validity(months=12, end_of=EndOf.MONTH))


def test_every_setting_of_points_reaches_the_policy_or_the_terms() -> None:
    said = program(
        points={
            "pending_days": 14,
            "counts_from": "activation",
            "never_for": ["black"],
            "slide": {"months": 6, "end_of": "day"},
            "spending_slides": True,
            "shortfall": "within_balance",
            "debt_for_expired": True,
            "grace_days": 30,
            "ceiling": 1_000_000,
            "minimum": 100,
            "multiple": 50,
            "adjust_limit": 500,
            "transfer_points": 1000,
            "transfer_count": 3,
            "max_holds": 4,
        }
    )

    assert said.policies().of("points") == WalletPolicy(
        zone=ZONE,
        slide=Validity(months=6, end_of=EndOf.DAY),
        spending_slides=True,
        shortfall=Shortfall.WITHIN_BALANCE,
        debt_for_expired=True,
        grace_days=30,
        ceiling=1_000_000,
        minimum=100,
        multiple=50,
        adjust_limit=500,
        transfer_points=1000,
        transfer_count=3,
        max_holds=4,
    )
    assert said.terms() == Terms(
        pending_days=14,
        validity=Validity(months=12, end_of=EndOf.MONTH),
        counts_from=CountsFrom.ACTIVATION,
        never_for=frozenset({"black"}),
    )
    assert said.terms().dates(TODAY, tier="black") == (date(2026, 1, 19), None)


def test_whose_midnight_counts_is_said_of_points_and_is_the_programs_otherwise() -> None:
    said = program(
        points={"midnight": "member"},
        growth={"validity": None},
        partners={"airline": {"validity": None, "midnight": "member"}, "bank": {"validity": None}},
        stored_value=STORED_VALUE,
    ).policies()

    wallets = ["points", "partner-airline", "partner-bank", "growth", "stored_value", "another"]
    assert [said.of(each).midnight for each in wallets] == [
        Midnight.MEMBER,
        Midnight.MEMBER,
        *[Midnight.PROGRAM] * 4,
    ]


def test_a_program_from_before_members_had_zones_counts_by_its_own_midnight() -> None:
    stored = document({"points": {}}).model_dump(mode="json")
    del stored["wallets"]["points"]["midnight"]

    said = program_from_document(stored, version=1).policies().of("points")

    assert said.midnight is Midnight.PROGRAM


def test_a_partners_points_have_a_rate_each_way_or_none() -> None:
    there, back = {"gives": 2, "per": 5}, {"gives": 1, "per": 1}
    said = program(
        partners={
            "airline": {"validity": None, "from_points": there, "to_points": back},
            "bank": {"validity": None, "from_points": there},
        }
    )

    assert said.rates == {
        ("points", "partner-airline"): Rate(gives=2, per=5),
        ("partner-airline", "points"): Rate(gives=1, per=1),
        ("points", "partner-bank"): Rate(gives=2, per=5),
    }


def test_a_program_from_before_there_were_rates_converts_nothing() -> None:
    stored = document({"partners": {"bank": {"validity": None}}}).model_dump(mode="json")
    for field in ("from_points", "to_points"):
        del stored["wallets"]["partners"]["bank"][field]

    assert program_from_document(stored, version=1).rates == {}
    assert program_from_document(document(None).model_dump(mode="json"), version=1).rates == {}


@pytest.mark.parametrize(("gives", "faults"), [(5, 0), (6, 1)])
def test_a_way_there_and_back_that_gains_points_is_an_error(gives: int, faults: int) -> None:
    airline = {
        "validity": None,
        "from_points": {"gives": 2, "per": 5},
        "to_points": {"gives": gives, "per": 2},
    }

    error = ("error", "conversions_gain", "/wallets/partners/airline/to_points")
    assert found({"partners": {"airline": airline}}) == [error] * faults


def test_each_partners_points_are_kept_under_its_own_name_and_validity() -> None:
    said = program(
        partners={
            "airline": {"validity": None, "minimum": 1000},
            "bank": {"validity": {"months": 3, "end_of": "quarter"}},
        }
    )

    assert said.policies().of("partner-airline").minimum == 1000
    assert said.policies().of("partner-bank").minimum == 1
    assert said.terms("partner-airline") == Terms()
    assert said.terms("partner-bank").dates(TODAY) == (None, JUNE)


def test_growth_value_is_counted_and_not_spent() -> None:
    books = Ledger()
    books.policies = program(growth={"validity": YEAR}).policies()
    books.earn(100, wallet="growth")
    before = dict(books.accounts)

    for kind, values in (
        (c.Spend, {}),
        (c.SetAside, {"hold_expires_at": MORNING}),
        (c.Transfer, {"receiver": "bo"}),
        (c.Convert, {"into_wallet": "points", "gives": 1, "per": 1, "expires_on": None}),
    ):
        with pytest.raises(NotSpendable) as caught:
            books.run(kind, wallet="growth", points=10, **values)
        assert caught.value.wallet == "growth"

    assert books.accounts == before
    books.run(c.Adjust, wallet="growth", points=-40)
    assert books.has(wallet="growth") == 60


@pytest.mark.parametrize(("holder", "ceiling"), [("registered", 500_000), ("anonymous", 100_000)])
def test_stored_value_has_the_ceiling_of_its_holder(holder: str, ceiling: int) -> None:
    policies = program(stored_value=STORED_VALUE).policies(Holder(holder))
    account = Account(member_id="ann", wallet="stored_value", buckets={})
    books = Ledger()

    def paid_in(fen: int) -> None:
        command = books.command(c.Earn, wallet="stored_value", points=fen, expires_on=None)
        decide(command, Books(account=account), now=MORNING, policies=policies)

    paid_in(ceiling)
    with pytest.raises(CeilingExceeded) as caught:
        paid_in(ceiling + 1)
    assert caught.value.ceiling == ceiling


def test_stored_value_of_a_registered_holder_never_runs_out() -> None:
    said = program(stored_value={**STORED_VALUE, "anonymous_validity": THREE_YEARS})

    assert said.terms("stored_value").dates(TODAY) == (None, None)
    assert said.terms("stored_value", Holder.ANONYMOUS).dates(TODAY) == (None, date(2029, 1, 5))


@pytest.mark.parametrize(("bonus_first", "left"), [(True, (90, 0)), (False, (40, 50))])
def test_what_was_paid_in_and_what_was_given_on_top_are_spent_in_the_order_configured(
    *, bonus_first: bool, left: tuple[int, int]
) -> None:
    books = Ledger()
    books.policies = program(stored_value={**STORED_VALUE, "bonus_first": bonus_first}).policies()
    books.earn(100, None, wallet="stored_value", bonus=50)

    books.spend(60, wallet="stored_value")

    account = books.account(wallet="stored_value")
    assert (account.buckets.get(None, 0), account.bonus.get(None, 0)) == left


def test_stored_value_is_not_given_away_unless_the_program_lets_it() -> None:
    strict, generous = (
        program(stored_value={**STORED_VALUE, **more}).policies().of("stored_value")
        for more in ({}, {"transfer_fen": None})
    )

    assert (strict.transfer_points, generous.transfer_points) == (0, None)


@pytest.mark.parametrize(
    ("pending_days", "validity", "fits"),
    [
        (28, {"months": 1, "end_of": "day"}, True),
        (29, {"months": 1, "end_of": "day"}, False),
        (0, {"months": 0, "end_of": "day"}, True),
        (1, {"months": 0, "end_of": "month"}, False),
        (366, None, True),
    ],
)
def test_points_that_would_run_out_before_they_are_active_are_found_and_not_built(
    pending_days: int, validity: dict[str, Any] | None, *, fits: bool
) -> None:
    wallets = {"points": {"pending_days": pending_days}}
    at = "/wallets/points/pending_days"

    codes = [each for each in found(wallets, validity=validity) if each[0] == "error"]

    assert codes == ([] if fits else [("error", "pending_longer_than_validity", at)])
    stored = document(wallets, validity=validity).model_dump(mode="json")
    if fits:
        program_from_document(stored, version=1)
    else:
        with pytest.raises(InvalidProgram):
            program_from_document(stored, version=1)


@pytest.mark.parametrize(
    ("wallets", "expected"),
    [
        ({}, []),
        ({"growth": {"validity": None}, "stored_value": STORED_VALUE}, []),
        (
            {"points": {"minimum": 1000, "ceiling": 999}},
            [("error", "minimum_above_ceiling", "/wallets/points/minimum")],
        ),
        (
            {"points": {"minimum": 35, "multiple": 100}},
            [("warning", "minimum_is_no_multiple", "/wallets/points/minimum")],
        ),
        ({"points": {"minimum": 200, "multiple": 100}}, []),
        (
            {"points": {"never_for": ["black", "gold"]}},
            [
                ("error", "unknown_tier", "/wallets/points/never_for/0"),
                ("error", "unknown_tier", "/wallets/points/never_for/1"),
            ],
        ),
        (
            {"points": {"spending_slides": True}},
            [("warning", "spending_slides_without_slide", "/wallets/points/spending_slides")],
        ),
        (
            {"points": {"debt_for_expired": True, "shortfall": "only_pending"}},
            [("warning", "debt_for_expired_without_debt", "/wallets/points/debt_for_expired")],
        ),
        (
            {"partners": {"bank": {"validity": None, "slide": YEAR}}},
            [("warning", "slide_without_validity", "/wallets/partners/bank/slide")],
        ),
        (
            {"stored_value": {**STORED_VALUE, "minimum_fen": 100_001}},
            [("error", "minimum_above_ceiling", "/wallets/stored_value/minimum_fen")],
        ),
        (
            {"stored_value": {**STORED_VALUE, "anonymous_validity": YEAR}},
            [
                (
                    "warning",
                    "anonymous_validity_short",
                    "/wallets/stored_value/anonymous_validity",
                )
            ],
        ),
        ({"stored_value": {**STORED_VALUE, "anonymous_validity": THREE_YEARS}}, []),
    ],
)
def test_what_is_wrong_or_odd_about_wallets_is_found(
    wallets: dict[str, Any], expected: list[tuple[str, str, str]]
) -> None:
    assert found(wallets) == expected


@pytest.mark.parametrize(
    "stored_value",
    [
        {**STORED_VALUE, "registered_ceiling_fen": 500_001},
        {**STORED_VALUE, "anonymous_ceiling_fen": 100_001},
        {"registered_ceiling_fen": 500_000},
        {**STORED_VALUE, "validity": None},
    ],
)
def test_stored_value_beyond_the_ceilings_of_prepaid_cards_has_no_document(
    stored_value: dict[str, Any],
) -> None:
    with pytest.raises(ValueError, match="stored_value"):
        document({"stored_value": stored_value})
