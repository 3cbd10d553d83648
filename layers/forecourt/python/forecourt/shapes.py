"""What documents are made of: types with their bounds, a base class, and findings about them."""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    WithJsonSchema,
)

from forecourt.instants import parse_instant
from forecourt.sales import GRADE, STATION_ID

MAX_GRADES = 32
MAX_POINTS = 1_000_000
MAX_PER = 100_000_000
MAX_TIERS = 16
MAX_IN_A_WALLET = 1_000_000_000
MAX_TRANSFERS = 1_000
MAX_HOLDS = 32  # each is part of the account's one item


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
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
Amount = Annotated[StrictInt, Field(ge=0, le=MAX_IN_A_WALLET)]
Step = Annotated[StrictInt, Field(ge=1, le=MAX_POINTS)]
Times = Annotated[StrictInt, Field(ge=0, le=MAX_TRANSFERS)]
Holds = Annotated[StrictInt, Field(ge=0, le=MAX_HOLDS)]
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


def error(code: str, at: str, **facts: Any) -> Finding:
    """Return what keeps a version from being activated."""
    return Finding(severity=Severity.ERROR, code=code, at=at, facts=facts)


def warning(code: str, at: str, **facts: Any) -> Finding:
    """Return what its author should know and may want."""
    return Finding(severity=Severity.WARNING, code=code, at=at, facts=facts)


def zone_exists(name: str) -> bool:
    """Return whether *name* is a time zone we know."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
