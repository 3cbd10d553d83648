"""The schemas under `events/`, applied as strictly as they are meant."""

from __future__ import annotations

import calendar
import re
from typing import TYPE_CHECKING, Any

import jsonschema  # type: ignore[import-untyped]

from tests.specimens import sample

if TYPE_CHECKING:
    from collections.abc import Iterator

_FORMATS = jsonschema.FormatChecker(formats=())


@_FORMATS.checks("date", raises=ValueError)  # type: ignore[untyped-decorator]
@_FORMATS.checks("date-time", raises=ValueError)  # type: ignore[untyped-decorator]
def _is_a_day(text: object) -> bool:
    """Return whether there is such a day; the patterns have seen to the rest."""
    if not isinstance(text, str):
        return True
    year, month, day = (int(part) for part in text[:10].split("-"))
    return day <= calendar.monthrange(year, month)[1]


def _pattern(
    _validator: Any, pattern: str, instance: object, _schema: Any
) -> Iterator[jsonschema.ValidationError]:
    """Read `$` as ECMA-262 does: the end, and not the newline before it."""
    if isinstance(instance, str) and not re.search(pattern.replace("$", r"\Z"), instance):
        yield jsonschema.ValidationError(f"{instance!r} does not match {pattern!r}")


# JSON Schema takes 3.0 for an integer. We do not: who writes it computes with floats.
_Strict = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    validators={"pattern": _pattern},
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: type(value) is int
    ),
)


def validator(path: str) -> Any:
    """Return the validator for the schema at *path* under `events/`, without the suffix."""
    schema = sample(f"{path}.schema")
    _Strict.check_schema(schema)
    return _Strict(schema, format_checker=_FORMATS)
