"""A program with tiers: the sample sale's 302 yuan take a member from no tier to silver."""

from __future__ import annotations

from typing import Any

from forecourt.documents import ProgramDocument
from tests.functional.world import LITRES

LADDER = [
    {"name": "silver", "from_value": 300, "multiple_basis_points": 20_000},
    {"name": "black", "from_value": 10_000, "multiple_basis_points": 30_000},
]


def tiered(*, validity: Any = None, upgrading_sale: str = "old_tier", **changes: Any) -> Any:
    """Return the program as the operator's door stores it."""
    growth = {"validity": validity or {"months": 0, "end_of": "year"}}
    document = {
        **LITRES,
        "wallets": {"growth": growth, "points": changes.pop("points", {})},
        "growth": {"basis": "amount", "value": 1, "per": 100, "rounding": "floor"},
        "tiers": {"ladder": LADDER, "upgrading_sale": upgrading_sale},
        **changes,
    }
    return ProgramDocument.model_validate(document).model_dump(mode="json")
