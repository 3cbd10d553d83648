"""Program documents: what their shape allows, what is found in them, and who reads them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from forecourt.baskets import Category
from forecourt.documents import ProgramDocument, findings_about
from forecourt.program import Basis, Scope, program_from_document
from forecourt.rounding import Rounding
from forecourt.shapes import Day, Finding, Instant, Severity, zone_exists
from forecourt.validity import EndOf

RULE = {
    "rule_id": "petrol",
    "grades": ["92"],
    "basis": "volume",
    "points": 10,
    "per": 1000,
    "rounding": "floor",
}
PROGRAM = {"zone": "Asia/Shanghai", "rules": [RULE], "validity": {"months": 12, "end_of": "month"}}


def rule(**changes: Any) -> dict[str, Any]:
    return {**RULE, **changes}


def findings(*rules: dict[str, Any], sold: str = "92", **changes: Any) -> list[Finding]:
    program = ProgramDocument.model_validate({**PROGRAM, "rules": list(rules), **changes})
    return findings_about(program, sold=frozenset(sold.split()))


def told(found: list[Finding]) -> list[tuple[str, str, str]]:
    return [(each.severity, each.code, each.at) for each in found]


def test_a_dumped_document_is_what_the_program_is_built_from() -> None:
    document = ProgramDocument.model_validate(PROGRAM).model_dump(mode="json")

    program = program_from_document(document, version=7)

    (built,) = program.rules
    assert (program.version, program.zone.key) == (7, "Asia/Shanghai")
    assert (built.rule_id, built.basis) == ("petrol", Basis.VOLUME)
    assert built.grades == {"92"}
    assert (built.points, built.per, built.minimum) == (10, 1000, 0)
    assert built.rounding is Rounding.FLOOR
    assert program.validity is not None
    assert (program.validity.months, program.validity.end_of) == (12, EndOf.MONTH)


def test_points_without_end_have_no_validity() -> None:
    document = ProgramDocument.model_validate({**PROGRAM, "validity": None}).model_dump(mode="json")

    assert program_from_document(document, version=1).validity is None


def test_whether_points_run_out_has_to_be_said() -> None:
    with pytest.raises(ValidationError):
        ProgramDocument.model_validate({"zone": "Asia/Shanghai", "rules": [RULE]})


def test_a_sound_program_has_no_findings() -> None:
    assert findings(RULE, rule(rule_id="rest", grades=[]), sold="92 95 0") == []


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([], [(Severity.ERROR, "no_rules", "/rules")]),
        (
            [RULE, rule(grades=["95"])],
            [(Severity.ERROR, "duplicate_rule_id", "/rules/1/rule_id")],
        ),
        (
            [RULE, rule(rule_id="again")],
            [(Severity.ERROR, "unreachable_rule", "/rules/1")],
        ),
        (
            [rule(grades=[]), rule(rule_id="never")],
            [(Severity.ERROR, "unreachable_rule", "/rules/1")],
        ),
        (
            [rule(grades=[]), rule(rule_id="never", grades=[])],
            [(Severity.ERROR, "unreachable_rule", "/rules/1")],
        ),
        (
            [RULE, rule(rule_id="b", grades=["95"]), rule(rule_id="c", grades=["92", "95"])],
            [(Severity.ERROR, "unreachable_rule", "/rules/2")],
        ),
        (
            [RULE, rule(rule_id="b", grades=["92", "95"])],
            [(Severity.WARNING, "partly_unreachable_rule", "/rules/1/grades")],
        ),
        ([rule(points=0)], [(Severity.WARNING, "zero_points", "/rules/0/points")]),
        (
            [rule(minimum=2_000_001)],
            [(Severity.WARNING, "implausible_minimum", "/rules/0/minimum")],
        ),
    ],
)
def test_what_is_wrong_with_rules_is_found(
    rules: list[dict[str, Any]], expected: list[tuple[str, str, str]]
) -> None:
    assert told(findings(*rules, sold="92 95" if "95" in str(rules) else "92")) == expected


def test_a_large_minimum_in_money_is_nobodys_mistake() -> None:
    assert findings(rule(basis="amount", minimum=2_000_001)) == []


def test_grades_sold_and_grades_ruled_are_compared() -> None:
    found = findings(RULE, rule(rule_id="b", grades=["95", "98"]), sold="92 95 0")

    assert [(each.code, each.facts["grade"]) for each in found] == [
        ("grade_without_rule", "0"),
        ("grade_not_sold", "98"),
    ]


SHOP = rule(rule_id="shop", grades=[], categories=["shop"], basis="amount")


def test_a_rule_on_goods_beside_one_on_fuel_is_sound_when_receipts_are_counted() -> None:
    assert findings(RULE, SHOP, baskets={}) == []


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (
            [RULE, SHOP, rule(rule_id="again", categories=["shop", "fuel"], basis="amount")],
            [("error", "unreachable_rule", "/rules/2")],
        ),
        (
            [RULE, SHOP, {**SHOP, "rule_id": "more", "categories": ["shop", "car_wash"]}],
            [("warning", "partly_unreachable_rule", "/rules/2/categories")],
        ),
        (
            [
                rule(grades=[]),
                SHOP,
                rule(rule_id="b", categories=["car_wash", "fuel"], basis="amount"),
            ],
            [("warning", "partly_unreachable_rule", "/rules/2/grades")],
        ),
        (
            [RULE, {**SHOP, "basis": "volume"}],
            [("error", "goods_without_volume", "/rules/1/basis")],
        ),
        (
            [RULE, {**SHOP, "categories": ["shop", "tobacco"]}],
            [("warning", "category_excluded", "/rules/1/categories")],
        ),
        (
            [RULE, {**SHOP, "categories": ["recharge"]}],
            [("warning", "category_excluded", "/rules/1/categories")],
        ),
        (
            [RULE, {**SHOP, "grades": ["92"]}],
            [("warning", "grades_without_fuel", "/rules/1/grades")],
        ),
    ],
)
def test_what_is_wrong_with_rules_on_goods_is_found(
    rules: list[dict[str, Any]], expected: list[tuple[str, str, str]]
) -> None:
    assert told(findings(*rules, baskets={})) == expected


def test_a_rule_on_goods_cannot_come_into_force_when_nobody_looks_at_receipts() -> None:
    assert told(findings(RULE, SHOP)) == [("error", "baskets_not_counted", "/rules/1/categories")]


def test_a_recharge_that_earns_is_no_mistake_and_grades_of_goods_cover_none() -> None:
    recharge = {**SHOP, "categories": ["recharge"]}

    assert findings(RULE, recharge, baskets={"stored_value": "recharge"}) == []
    assert told(findings(SHOP, baskets={})) == [("warning", "grade_without_rule", "/rules")]


def test_a_document_from_before_there_were_baskets_is_about_fuel_and_rounds_once() -> None:
    old = ProgramDocument.model_validate(PROGRAM).model_dump(mode="json")
    del old["baskets"]
    for each in old["rules"]:
        del each["categories"], each["scope"]

    program = program_from_document(old, version=1)

    assert program == program_from_document(
        ProgramDocument.model_validate(PROGRAM).model_dump(mode="json"), version=1
    )
    assert (program.baskets, program.rules[0].scope) == (None, Scope.SALE)
    assert program.rules[0].categories == {Category.FUEL}


def test_a_lowest_price_of_a_grade_nobody_sells_is_remarked_on() -> None:
    found = findings(RULE, discounts={"minimum_prices": {"92": 6_500, "98": 7_500}})

    assert told(found) == [("warning", "grade_not_sold", "/discounts/minimum_prices/98")]


def test_an_unknown_zone_is_found() -> None:
    assert told(findings(RULE, zone="Asia/Atlantis")) == [("error", "unknown_zone", "/zone")]


def test_points_that_end_the_day_they_are_earned_are_remarked_on() -> None:
    found = findings(RULE, validity={"months": 0, "end_of": "day"})

    assert told(found) == [("warning", "expires_the_same_day", "/validity")]
    assert findings(RULE, validity={"months": 0, "end_of": "year"}) == []


@pytest.mark.parametrize(
    ("name", "exists"),
    [
        ("Asia/Shanghai", True),
        ("UTC", True),
        ("Asia/Atlantis", False),
        ("Asia", False),
        ("../etc/passwd", False),
        ("/etc/passwd", False),
        ("", False),
    ],
)
def test_zones_are_those_of_the_tz_database(name: str, *, exists: bool) -> None:
    assert zone_exists(name) is exists


@pytest.mark.parametrize("text", ["2026-11-23T08:15:00Z", "2026-11-23T08:15:00.5Z"])
def test_instants_are_utc(text: str) -> None:
    assert TypeAdapter(Instant).validate_python(text).utcoffset() is not None


@pytest.mark.parametrize("value", ["2026-11-23T08:15:00", "2026-11-23", "now", 0, None, True])
def test_a_time_without_a_zone_is_no_instant(value: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Instant).validate_python(value)


@pytest.mark.parametrize("value", ["2026-02-30", "23.11.2026", 0, None])
def test_a_day_is_a_date_of_the_calendar(value: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Day).validate_python(value)
