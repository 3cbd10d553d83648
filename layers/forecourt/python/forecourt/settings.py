"""Environment variables, read in one place."""

from __future__ import annotations

import os
from dataclasses import fields
from typing import TYPE_CHECKING, Self

from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """
    Base class: one field per environment variable, all required.

    A field `sales_table` is read from `SALES_TABLE`. Every missing variable is named in one
    error, at import, before the first event is taken.
    """

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """Read every field; raise `RuntimeError` naming all that are missing or empty."""
        names = {field.name: field.name.upper() for field in fields(cls)}
        missing = sorted(variable for variable in names.values() if not env.get(variable))
        if missing:
            raise RuntimeError(f"missing environment variables: {', '.join(missing)}")
        return cls(**{field: env[variable] for field, variable in names.items()})
