"""
Merkle trees, as RFC 6962 section 2.1 defines them (RFC 9162 section 2.1 keeps the definition).

A leaf is hashed behind a zero byte and a node behind a one, so that no node can be passed off as
a leaf. Anybody who knows a tree's root can be shown, by as many hashes as the tree is high, that
a leaf is in it. `docs/check_proof.py` is the other side, written independently.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HASH_BYTES = 32

_LEAF, _NODE = b"\x00", b"\x01"


def leaf_hash(content: bytes) -> bytes:
    """Return the hash of a leaf that holds *content*."""
    return sha256(_LEAF + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node over two others."""
    return sha256(_NODE + left + right).digest()


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Return the root over the hashes *leaves*; no leaves have the hash of nothing."""
    if not leaves:
        return sha256(b"").digest()
    *_, (root,) = _levels(leaves)
    return root


def path_to(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return the hashes from the leaf at *index* up to the root, its sibling first."""
    if not 0 <= index < len(leaves):
        raise IndexError(index)
    path = []
    for level in _levels(leaves):
        sibling = index ^ 1
        if sibling < len(level):
            path.append(level[sibling])
        index //= 2
    return path


def _levels(leaves: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """
    Yield the tree from its leaves to its root.

    The RFC splits from above, at the largest power of two; pairing from below and taking what has
    no partner along gives the same tree.
    """
    level = leaves
    yield level
    while len(level) > 1:
        paired = [node_hash(level[left], level[left + 1]) for left in range(0, len(level) - 1, 2)]
        level = [*paired, level[-1]] if len(level) % 2 else paired
        yield level
