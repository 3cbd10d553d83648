"""
Keyed hashes of what identifies somebody, as values: what tables hold and matching compares.

How a hash is made of a plate or a number is in `identity`, by which keys in `keyring`. Whoever only
reads what is stored needs neither.
"""

from __future__ import annotations

from forecourt.values import dataclass

FIRST = "1"  # the number of the key from before keys were numbered
MARK = "."  # between a key's number and the hash


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class EvidenceKey:
    """A keyed hash of an identity, or of one piece of evidence."""

    kind: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """
    One piece of evidence as a keyed hash.

    `unsure` is a reading the camera itself doubts: that it differs says less. `loose` is what came
    with a telling that may be of another sale. `others` are the hashes by another key that is
    accepted, too: whoever has any of them has the identity.
    """

    kind: str
    digest: str
    unsure: bool = False
    loose: bool = False
    others: tuple[str, ...] = ()

    @property
    def digests(self) -> tuple[str, ...]:
        """Return the hashes by every accepted key."""
        return (self.digest, *self.others)

    @property
    def keys(self) -> tuple[EvidenceKey, ...]:
        """Return everything to look up for this piece."""
        return tuple(EvidenceKey(kind=self.kind, digest=each) for each in self.digests)


def key_id_of(hashed: str) -> str:
    """Return the number of the key by which a hash was made."""
    return hashed.partition(MARK)[0] if MARK in hashed else FIRST
