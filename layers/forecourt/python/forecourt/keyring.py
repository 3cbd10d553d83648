"""
The keys of the identities' hashes: one of them, or two while everything is hashed anew.

A ring is stored as a small document, `{"current": "2", "keys": {"1": "...", "2": "..."}}`. Keys
are numbered in the order they were made. What is new is written under the current key, and what
is written under any key of the ring is found. A secret from before keys were numbered is a bare
text: that is key 1.

A hash says by which key it was made: one by key 2 begins with `2.`. One by key 1 begins with
nothing, as all did before there were others, so nothing that is stored had to change for that.

A key is introduced while the one before is still current. Whoever reads the ring learns to find
its hashes before anybody writes one, and no two containers ever disagree about what is taken.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from dataclasses import field, replace
from typing import TYPE_CHECKING, Self

from forecourt.hashes import FIRST, MARK, EvidenceKey
from forecourt.identity import digest, digest_of_block
from forecourt.values import dataclass
from forecourt.variants import phone_block

if TYPE_CHECKING:
    from collections.abc import Mapping

    from forecourt.sales import EvidenceKind

KEYS_MAX = 2  # one that comes and one that goes; the next rotation begins after this one
SECRET_CHARACTERS_MIN = 43  # 256 bits in base64

_NUMBER = re.compile(r"[1-9][0-9]{0,3}")


class KeyNotAccepted(LookupError):
    """A hash was made by a key that is no longer in the ring: it was dropped too early."""

    def __init__(self, *, key_id: str) -> None:
        super().__init__(key_id)
        self.key_id = key_id


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRing:
    """The accepted keys by their numbers, and which of them new hashes are made by."""

    current: str
    keys: Mapping[str, bytes] = field(repr=False)

    def __post_init__(self) -> None:
        if self.current not in self.keys:
            raise ValueError(f"key {self.current} is current and not there")
        if len(self.keys) > KEYS_MAX or not all(map(_NUMBER.fullmatch, self.keys)):
            raise ValueError(f"{sorted(self.keys)} are no one or two numbers of keys")

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read a ring as it is stored, or the secret from before there were rings."""
        if not text.startswith("{"):
            return cls(current=FIRST, keys={FIRST: text.encode()})
        document = json.loads(text)
        keys = {key_id: secret.encode() for key_id, secret in document["keys"].items()}
        return cls(current=document["current"], keys=keys)

    def to_text(self) -> str:
        """Return the ring as it is stored."""
        keys = {key_id: secret.decode() for key_id, secret in self.keys.items()}
        return json.dumps({"current": self.current, "keys": keys})

    @property
    def accepted(self) -> tuple[str, ...]:
        """Return the numbers of the keys, the current one first."""
        return (self.current, *(each for each in self.keys if each != self.current))

    @property
    def oldest(self) -> str:
        """Return the number of the key that was there first: the last one to change."""
        return min(self.keys, key=int)

    @property
    def newest(self) -> str:
        """Return the number of the key that was made last."""
        return max(self.keys, key=int)

    @property
    def state(self) -> str:
        """Return how far a rotation is, in a word: `1`, then `1-2`, then `2-1`, then `2`."""
        return "-".join(self.accepted)

    def hashes(self, kind: EvidenceKind, normalised: str) -> tuple[EvidenceKey, ...]:
        """Return the hashes by which an identity is found, that of the current key first."""
        return tuple(
            EvidenceKey(kind=kind, digest=_marked(each, digest(self.keys[each], kind, normalised)))
            for each in self.accepted
        )

    def blocks(self, phone: str) -> tuple[str, ...]:
        """Return the hashes under which the numbers of a phone's block are counted."""
        return tuple(self.block(phone, each) for each in self.accepted)

    def block(self, phone: str, key_id: str) -> str:
        """Return a block's hash by one of the keys; raise `KeyNotAccepted`."""
        if key_id not in self.keys:
            raise KeyNotAccepted(key_id=key_id)
        return _marked(key_id, digest_of_block(self.keys[key_id], phone_block(phone)))

    def fingerprint(self, content: bytes) -> str:
        """
        Return a keyed hash of a request's *content*, which may be personal.

        By the oldest key, so that a retry is recognised while a new one is being introduced.
        """
        return hmac.digest(self.keys[self.oldest], b"request:" + content, hashlib.sha256).hex()

    def introducing(self, secret: str) -> KeyRing:
        """Return the ring with one more key, which is found by and not yet written under."""
        if len(self.keys) == KEYS_MAX or len(secret) < SECRET_CHARACTERS_MIN:
            raise ValueError("a rotation is under way, or the secret is too short")
        number = str(int(self.newest) + 1)
        return replace(self, keys={**self.keys, number: secret.encode()})

    def promoting(self) -> KeyRing:
        """Return the ring in which the newest key is current."""
        return replace(self, current=self.newest)

    def dropping(self) -> KeyRing:
        """Return the ring without the keys before the current one."""
        return replace(self, keys={self.current: self.keys[self.current]})


def _marked(key_id: str, hashed: str) -> str:
    return hashed if key_id == FIRST else f"{key_id}{MARK}{hashed}"
