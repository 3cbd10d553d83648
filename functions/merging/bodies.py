"""What merges take and give."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from forecourt.callers import MEMBER_ID
from forecourt.instants import format_instant
from forecourt.merges import MergeRecord
from forecourt.shapes import Document, InstantText

Reason = Annotated[
    str,
    Field(
        pattern=r"^[a-z][a-z0-9_]{0,39}$",
        description="A word for why, of your own list; no names and no numbers of people",
        examples=["enrolled_twice"],
    ),
]


class MergeOrder(Document):
    """Makes the member of the path one with `into`, who goes on."""

    into: Annotated[str, Field(pattern=f"^(?:{MEMBER_ID.pattern})$", examples=["m-2"])]
    reason: Reason


class UndoOrder(Document):
    """Makes two members of what was merged."""

    reason: Reason


class MergeView(BaseModel):
    """
    A merge, and how far it is: `merging`, `merged`, `refused`, `undoing` or `undone`.

    One that stays `merging` or `undoing` was interrupted: ask for the same again, and it goes on.
    """

    member_id: str
    into: str
    number: int
    stage: str
    identities: int
    wallets: list[str]
    merged_at: InstantText
    merged_by: str
    reason: str
    undone_at: InstantText | None
    undone_by: str | None


def merged(record: MergeRecord) -> dict[str, Any]:
    """Return *record* as a `MergeView`."""
    return {
        "member_id": record.closing,
        "into": record.into,
        "number": record.number,
        "stage": str(record.stage),
        "identities": len(record.keys),
        "wallets": list(record.wallets),
        "merged_at": format_instant(record.merged_at),
        "merged_by": record.merged_by,
        "reason": record.reason,
        "undone_at": format_instant(record.undone_at) if record.undone_at else None,
        "undone_by": record.undone_by,
    }
