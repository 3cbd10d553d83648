"""
What a write that rests on a sale demands of it: that it says what was read.

While a sale stands where it stood more may be told of it, its evidence may be hashed anew or
forgotten, and members may say whose it is. What was decided without that must not be written:
pointers would be filed under less than the sale has, or a member would get what they denied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from forecourt.attributes import Item, to_item
from forecourt.stored_sales import evidence_to_map

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecourt.stored_sales import KeyedEvidence, StoredSale


def same_evidence(evidence: Sequence[KeyedEvidence]) -> tuple[str, Item]:
    """Return the condition that the evidence is what was read, and its values."""
    if not evidence:
        # Of a sale without evidence a telling without any may have left an empty list.
        return "(attribute_not_exists(evidence) OR size(evidence) = :none)", to_item({":none": 0})
    return "evidence = :before_evidence", to_item(
        {":before_evidence": [evidence_to_map(each) for each in evidence]}
    )


def same_words(stored: StoredSale) -> tuple[str, Item]:
    """Return the condition that no member has said more of a sale: words are never taken back."""
    conditions, values = [], {}
    for name, members in (("claimed_by", stored.claimed_by), ("denied_by", stored.denied_by)):
        if members:
            conditions.append(f"size({name}) = :before_{name}")
            values[f":before_{name}"] = len(members)
        else:
            conditions.append(f"attribute_not_exists({name})")
    return " AND ".join(conditions), to_item(values)
