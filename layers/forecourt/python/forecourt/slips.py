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

if TYPE_CHECKING:
    from collections.abc import Callable

    from forecourt.hashes import Observation
    from forecourt.keyring import KeyRing
    from forecourt.sealing import Sealer
    from forecourt.stored_sales import StoredSale


class Slips:
    """A `Tolerance` for the observations of one sale: opens its values once, if at all."""

    def __init__(
        self, stored: StoredSale, *, sealer: Callable[[], Sealer], ring: Callable[[], KeyRing]
    ) -> None:
        self._stored = stored
        self._sealer = sealer
        self._ring = ring

    def __call__(self, seen: Observation) -> tuple[str, ...]:
        """Return the hashes of what *seen* may have been, likeliest first, by every key."""
        return self._digests.get((seen.kind, seen.digest), ())

    @cached_property
    def _digests(self) -> dict[tuple[str, str], tuple[str, ...]]:
        found = {}
        for name, sealed in self._stored.sealed_values:
            document = self._sealer().open(sealed, context={"sale_id": name})
            ring = self._ring()
            for each in evidence_from_document(document):
                try:
                    own = ring.hashes(each.kind, spelling(each))
                except InvalidIdentity:
                    continue
                meant = tuple(
                    key.digest
                    for value in before_a_slip(each)
                    for key in ring.hashes(each.kind, value)
                )
                for key in own:
                    found[key.kind, key.digest] = meant
        return found
