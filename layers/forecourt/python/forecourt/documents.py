"""
Documents that come through a door: their shapes, and what a shape cannot say.

`ProgramDocument.model_dump(mode="json")` is what `forecourt.program.program_from_document`
reads. A draft may be saved with faults, since drafts are worked on; `findings_about` names
them, and a version with an error among them cannot be activated.
"""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, WithJsonSchema

from forecourt.instants import parse_instant
from forecourt.program import Basis, EndOf
from forecourt.rounding import Rounding
from forecourt.sales import GRADE, MAX_PLAUSIBLE_VOLUME_ML, STATION_ID

MAX_RULES = 100
MAX_GRADES = 32
MAX_POINTS = 1_000_000
MAX_PER = 100_000_000
MAX_VALIDITY_MONTHS = 120


def _instant(value: object) -> datetime:
    if not isinstance(value, str):
        raise ValueError("not a string")  # noqa: TRY004 - pydantic collects ValueErrors
    return parse_instant(value)


def _day(value: object) -> date:
    if not isinstance(value, str):
        raise ValueError("not a string")  # noqa: TRY004 - pydantic collects ValueErrors
    return date.fromisoformat(value)


def _whole(pattern: str) -> str:
    return f"^(?:{pattern})$"


Instant = Annotated[
    datetime,
    BeforeValidator(_instant),
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "pattern": "Z$",
            "examples": ["2026-11-23T08:15:00Z"],
        }
    ),
]
InstantText = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
DayText = Annotated[str, WithJsonSchema({"type": "string", "format": "date"})]
Day = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
Grade = Annotated[str, Field(pattern=_whole(GRADE.pattern), examples=["92"])]
StationId = Annotated[str, Field(pattern=_whole(STATION_ID.pattern), examples=["s0001"])]
Zone = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9_+/-]{1,64}$",
        description="IANA time zone",
        examples=["Asia/Shanghai"],
    ),
]


class Document(BaseModel):
    """Base class: what nobody asked for is refused, so a misspelt field cannot vanish."""

    model_config = ConfigDict(extra="forbid")


class RuleDocument(Document):
    """Points for every `per` millilitres or fen; the first rule for a grade decides."""

    rule_id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$", examples=["petrol"])]
    grades: Annotated[
        list[Grade], Field(max_length=MAX_GRADES, description="Empty means every grade")
    ] = []
    basis: Basis
    points: Annotated[StrictInt, Field(ge=0, le=MAX_POINTS)]
    per: Annotated[StrictInt, Field(ge=1, le=MAX_PER, description="Millilitres or fen")]
    minimum: Annotated[StrictInt, Field(ge=0, le=MAX_PER)] = 0
    rounding: Rounding


class ValidityDocument(Document):
    """Points are good for `months`, then to the end of the period they fall in."""

    months: Annotated[StrictInt, Field(ge=0, le=MAX_VALIDITY_MONTHS)]
    end_of: EndOf


class ProgramDocument(Document):
    """What a litre or a yuan earns, and until when; `validity` null means for ever."""

    zone: Zone
    rules: Annotated[list[RuleDocument], Field(max_length=MAX_RULES)]
    validity: ValidityDocument | None


class Severity(StrEnum):
    """Whether a finding keeps a version from being activated."""

    ERROR = "error"
    WARNING = "warning"


class Finding(Document):
    """One thing about a program that its author should know; `at` is a JSON pointer."""

    severity: Severity
    code: str
    at: str
    facts: dict[str, Any] = {}


def findings_about(program: ProgramDocument, *, sold: frozenset[str]) -> list[Finding]:
    """Return what is wrong or odd about *program*, given the grades *sold* at any station."""
    findings = [
        *_zone_findings(program.zone),
        *_rule_findings(program.rules),
        *_grade_findings(program.rules, sold),
    ]
    if not program.rules:
        findings.append(_error("no_rules", "/rules"))
    validity = program.validity
    if validity and validity.months == 0 and validity.end_of is EndOf.DAY:
        findings.append(_warning("expires_the_same_day", "/validity"))
    return findings


def zone_exists(name: str) -> bool:
    """Return whether *name* is a time zone we know."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _zone_findings(zone: str) -> list[Finding]:
    return [] if zone_exists(zone) else [_error("unknown_zone", "/zone")]


def _rule_findings(rules: list[RuleDocument]) -> list[Finding]:
    findings = []
    first_at: dict[str, int] = {}
    taken: set[str] = set()
    everything_from: int | None = None
    for index, rule in enumerate(rules):
        at = f"/rules/{index}"
        grades = set(rule.grades)
        if rule.rule_id in first_at:
            findings.append(_error("duplicate_rule_id", f"{at}/rule_id", rule_id=rule.rule_id))
        first_at.setdefault(rule.rule_id, index)
        if everything_from is not None or (grades and grades <= taken):
            findings.append(_error("unreachable_rule", at, rule_id=rule.rule_id))
        elif grades & taken:
            findings.append(
                _warning("partly_unreachable_rule", f"{at}/grades", grades=sorted(grades & taken))
            )
        if rule.points == 0:
            findings.append(_warning("zero_points", f"{at}/points", rule_id=rule.rule_id))
        if rule.basis is Basis.VOLUME and rule.minimum > MAX_PLAUSIBLE_VOLUME_ML:
            findings.append(_warning("implausible_minimum", f"{at}/minimum", rule_id=rule.rule_id))
        if not grades and everything_from is None:
            everything_from = index
        taken |= grades
    return findings


def _grade_findings(rules: list[RuleDocument], sold: frozenset[str]) -> list[Finding]:
    named = {grade for rule in rules for grade in rule.grades}
    covers_all = any(not rule.grades for rule in rules)
    findings = [
        _warning("grade_without_rule", "/rules", grade=grade)
        for grade in sorted(sold - named)
        if rules and not covers_all
    ]
    findings += [
        _warning("grade_not_sold", f"/rules/{index}/grades", grade=grade)
        for index, rule in enumerate(rules)
        for grade in rule.grades
        if grade not in sold
    ]
    return findings


def _error(code: str, at: str, **facts: Any) -> Finding:
    return Finding(severity=Severity.ERROR, code=code, at=at, facts=facts)


def _warning(code: str, at: str, **facts: Any) -> Finding:
    return Finding(severity=Severity.WARNING, code=code, at=at, facts=facts)
