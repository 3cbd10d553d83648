"""
What the evidence of a stored sale may have been before a slip, as keyed hashes.

The values are sealed and the hashes of their neighbours are stored nowhere. Both are made
when an inquiry asks, which most never do.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from forecourt.errors import InvalidIdentity
from forecourt.evidence import before_a_slip, evidence_from_document, spelling
from forecourt.identity import digest

if TYPE_CHECKING:
    from collections.abc import Callable

    from forecourt.evidence import Observation
    from forecourt.sealing import Sealer
    from forecourt.stored_sales import StoredSale


class Slips:
    """A `Tolerance` for the observations of one sale: opens its values once, if at all."""

    def __init__(
        self, stored: StoredSale, *, sealer: Callable[[], Sealer], secret: Callable[[], bytes]
    ) -> None:
        self._stored = stored
        self._sealer = sealer
        self._secret = secret

    def __call__(self, seen: Observation) -> tuple[str, ...]:
        """Return the keyed hashes of what *seen* may have been, likeliest first."""
        return self._digests.get((seen.kind, seen.digest), ())

    @cached_property
    def _digests(self) -> dict[tuple[str, str], tuple[str, ...]]:
        found = {}
        for name, sealed in self._stored.sealed_values:
            document = self._sealer().open(sealed, context={"sale_id": name})
            secret = self._secret()
            for each in evidence_from_document(document):
                try:
                    own = digest(secret, each.kind, spelling(each))
                except InvalidIdentity:
                    continue
                found[str(each.kind), own] = tuple(
                    digest(secret, each.kind, value) for value in before_a_slip(each)
                )
        return found
