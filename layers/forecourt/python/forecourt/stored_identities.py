"""
What the Loyalty table holds of identities and of whoever has them, and how it is written down.

| item | pk | sk | attributes |
| --- | --- | --- | --- |
| identity | `IDENTITY#<kind>#<digest>` | `IDENTITY` | type `identity`, owners |
| bound identity | `MEMBER#<member>` | `IDENTITY#<kind>#<digest>` | type `bound`, sealed, bound_at |
| unbound identity | the same | the same | type `unbound`, unbound_at, expires_at_epoch |
| rekeyed identity | the same | the same | type `rekeyed`, now, expires_at_epoch |
| portrait | `PORTRAIT#<member>` | `PORTRAIT` | type `portrait`, bound, behaviour, counted, ruled |
| erased portrait | the same | the same | type `erased` |
| check-ins | `PRESENCE#<member>` | `CHECK_INS` | type `presence`, check_ins, expires_at_epoch |
| drivers | `DRIVERS#<kind>#<digest>` | `DRIVERS` | type `drivers`, drivers, expires_at_epoch |
| block | `BLOCK#<digest>` | `NUMBERS` | type `block`, numbers |

An identity names its `owners`; that and the portrait is all that matching reads. A portrait
has the digests a member has `bound` (`<kind>#<digest>`, a set) and their habits. It has a
partition of its own, so that whoever may read portraits reads no profile and no account. So have
check-ins, which say where somebody was and are forgotten sooner, and the members who were seen
with a car, bound or not.

While two keys of the hashes are accepted (`keyring`), an identity lies under one of them with
all that belongs to it: owners, members' items, marks in portraits, count of the block. Where it
lay before, each member keeps a trace of where it is `now`.

A block counts the bound phones among ten thousand consecutive numbers. Which block a phone is
in is written nowhere: from one block follow operator and city.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecourt.attributes import Item, from_item, to_item
from forecourt.hashes import EvidenceKey
from forecourt.sales import EvidenceKind

if TYPE_CHECKING:
    from collections.abc import Mapping

REKEYED = "rekeyed"
ERASED = "erased"  # what is left of whoever was: neither profile nor portrait comes back

# A phone, an account and a tag are one person's. A family shares a car, a fleet its cars and a
# card. All of them are let in: were the fifth refused, the four before would be taken for the
# only ones. Whoever reads owners decides how many of them still identify anybody.
OWNERS_MAX = {EvidenceKind.PLATE: 32, EvidenceKind.CARD: 32}


def owners_max(kind: str) -> int:
    """Return how many members may have the same identity of a *kind*."""
    return OWNERS_MAX.get(EvidenceKind(kind), 1)


def identity_key(key: EvidenceKey) -> Item:
    """Return the key under which an identity is looked up."""
    return to_item({"pk": f"IDENTITY#{key.kind}#{key.digest}", "sk": "IDENTITY"})


def bound_key(member_id: str, key: EvidenceKey) -> Item:
    """Return the key of an identity among its member's items."""
    return to_item({"pk": f"MEMBER#{member_id}", "sk": f"IDENTITY#{key.kind}#{key.digest}"})


def bound_context(member_id: str, key: EvidenceKey) -> dict[str, str]:
    """Return as part of what a member's value is sealed."""
    return {"member_id": member_id, "item": f"IDENTITY#{key.kind}#{key.digest}"}


def portrait_key(member_id: str) -> Item:
    """Return the key of a member's portrait."""
    return to_item({"pk": f"PORTRAIT#{member_id}", "sk": "PORTRAIT"})


def presence_key(member_id: str) -> Item:
    """Return the key of a member's check-ins."""
    return to_item({"pk": f"PRESENCE#{member_id}", "sk": "CHECK_INS"})


def drivers_key(key: EvidenceKey) -> Item:
    """Return the key of who was seen with a car."""
    return to_item({"pk": f"DRIVERS#{key.kind}#{key.digest}", "sk": "DRIVERS"})


def block_key(digest: str) -> Item:
    """Return the key of the count of a block of numbers."""
    return to_item({"pk": f"BLOCK#{digest}", "sk": "NUMBERS"})


def portrait_mark(key: EvidenceKey) -> str:
    """Return how a portrait writes down that its member has an identity."""
    return f"{key.kind}#{key.digest}"


def identity_to_item(key: EvidenceKey, owners: tuple[str, ...]) -> Item:
    """Encode whose an identity is."""
    return identity_key(key) | to_item({"type": "identity", "owners": list(owners)})


def owners_from_item(item: Mapping[str, Mapping[str, Any]] | None) -> tuple[str, ...]:
    """Decode whose an identity is, who bound it first in front; no item is nobody's."""
    if item is None:
        return ()
    values = from_item(item)
    # Items from before identities were shared have a `member_id`.
    return tuple(values["owners"] if "owners" in values else [values["member_id"]])


def evidence_key_from_item(item: Mapping[str, Mapping[str, Any]]) -> EvidenceKey:
    """Return which identity an item is about: its own, its drivers' or its member's."""
    pk = item["pk"]["S"]
    name = pk if pk.startswith(("IDENTITY#", "DRIVERS#")) else item["sk"]["S"]
    _, kind, digest = name.split("#")
    return EvidenceKey(kind=kind, digest=digest)


def key_of_mark(mark: str) -> EvidenceKey:
    """Return which identity a mark stands for."""
    kind, _, digest = mark.partition("#")
    return EvidenceKey(kind=kind, digest=digest)


def drivers_from_item(item: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Decode who was seen with a car, and when last."""
    drivers: dict[str, int] = from_item(item)["drivers"]
    return drivers
