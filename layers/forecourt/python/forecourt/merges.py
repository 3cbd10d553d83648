"""
Two records of one person made one, and that undone: what a merge is, and how it is written down.

| item | table | pk | sk |
| --- | --- | --- | --- |
| merge | Loyalty | `MERGES#<closing member>` | `<number>` |

A merge takes several transactions: the accounts are the ledger's, and each identity is moved by
itself. Its record says how far it is, so whoever begins it again goes on where it stopped.
"""

from __future__ import annotations

from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from forecourt.attributes import Item, from_item, to_item
from forecourt.instants import compact_instant, format_instant, parse_instant
from forecourt.stored_identities import key_of_mark, portrait_mark
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from forecourt.hashes import EvidenceKey


class Stage(StrEnum):
    """How far a merge is. `refused` by the ledger it moved nothing."""

    MERGING = "merging"
    MERGED = "merged"
    REFUSED = "refused"
    UNDOING = "undoing"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeRecord:
    """
    The `number`-th merge of `closing` into `into`.

    `keys` are the identities `closing` had, `shared` those of them that `into` had, too;
    `wallets` are those of `closing`.
    """

    closing: str
    into: str
    number: int
    stage: Stage
    keys: tuple[EvidenceKey, ...]
    shared: frozenset[EvidenceKey]
    wallets: tuple[str, ...]
    merged_at: datetime
    merged_by: str
    reason: str
    undone_at: datetime | None = None
    undone_by: str | None = None
    undone_because: str | None = None

    def entry_id(self, wallet: str, *, undoing: bool = False) -> str:
        """Return the id of the ledger's command for a wallet, the same for every attempt."""
        name = f"{self.closing}\n{self.number}\n{wallet}"
        at = self.undone_at if undoing and self.undone_at else self.merged_at
        kind = "unmerge" if undoing else "merge"
        return f"{compact_instant(at)}.{kind}.{sha256(name.encode()).hexdigest()[:16]}"


def merge_key(closing: str, number: int) -> Item:
    """Return the key of a merge."""
    return to_item({"pk": f"MERGES#{closing}", "sk": f"{number:06}"})


def merge_to_item(record: MergeRecord) -> Item:
    """Encode a merge."""
    return merge_key(record.closing, record.number) | to_item(
        {
            "type": "merge",
            "into": record.into,
            "stage": str(record.stage),
            "keys": [portrait_mark(each) for each in record.keys],
            "shared": [portrait_mark(each) for each in sorted(record.shared)],
            "wallets": list(record.wallets),
            "merged_at": format_instant(record.merged_at),
            "merged_by": record.merged_by,
            "reason": record.reason,
            "undone_at": format_instant(record.undone_at) if record.undone_at else None,
            "undone_by": record.undone_by,
            "undone_because": record.undone_because,
        }
    )


def merge_from_item(item: Mapping[str, Mapping[str, Any]]) -> MergeRecord:
    """Decode a merge."""
    values = from_item(item)
    undone_at = values.get("undone_at")
    return MergeRecord(
        closing=values["pk"].removeprefix("MERGES#"),
        into=values["into"],
        number=int(values["sk"]),
        stage=Stage(values["stage"]),
        keys=tuple(map(key_of_mark, values["keys"])),
        shared=frozenset(map(key_of_mark, values["shared"])),
        wallets=tuple(values["wallets"]),
        merged_at=parse_instant(values["merged_at"]),
        merged_by=values["merged_by"],
        reason=values["reason"],
        undone_at=parse_instant(undone_at) if undone_at else None,
        undone_by=values.get("undone_by"),
        undone_because=values.get("undone_because"),
    )
