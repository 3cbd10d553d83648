"""The program in force, for whoever judges no sale but has to know how accounts are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forecourt.program import program_from_document
from forecourt.timelines import in_force

if TYPE_CHECKING:
    from datetime import datetime

    from forecourt.loyalty_table import LoyaltyTable
    from forecourt.program import Program


class Programs:
    """Reads the timeline each time, and a version, which never changes, once."""

    def __init__(self, loyalty: LoyaltyTable) -> None:
        self._loyalty = loyalty
        self._known: dict[int, Program] = {}

    def at(self, now: datetime) -> Program | None:
        """Return the program in force at *now*, or `None` before it began."""
        version = in_force(self._loyalty.timeline(), now)
        if version is None:
            return None
        if version not in self._known:
            document = self._loyalty.program_document(version)
            self._known[version] = program_from_document(document, version=version)
        return self._known[version]
