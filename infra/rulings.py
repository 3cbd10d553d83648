"""What a function needs to write down a person's decision about a sale."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.functions import PlatformFunction
    from infra.tables import Tables

__all__ = ["let_rule"]


def let_rule(function: PlatformFunction, tables: Tables) -> None:
    """Let *function* write rulings beside the sales, which it may update anyway."""
    tables.loyalty.let(function, "PutItem", leading_keys=["RULINGS#*"])
    # Whoever is named has to be enrolled.
    tables.loyalty.let(function, "ConditionCheckItem", leading_keys=["MEMBER#*"])
    # A question is asked, or taken back.
    tables.loyalty.let(function, "PutItem", "DeleteItem", leading_keys=["ASKED#*"])
