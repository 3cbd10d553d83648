"""What corrections take and give. Of a wallet of money, points are fen."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StrictInt

from forecourt.basket_fields import MAX_LINES
from forecourt.booking_fields import Reason, Source, Wallet
from forecourt.ledger import POINTS_WALLET, Entry
from forecourt.shapes import MAX_IN_A_WALLET, Day, DayText, Document, Instant, InstantText


class AdjustmentOrder(Document):
    """
    A correction by hand; negative takes away.

    Points given are good until `expires_on`, `never` without an end, or as long as the program
    says of what is earned today.
    """

    wallet: Wallet = POINTS_WALLET
    points: Annotated[
        StrictInt, Field(ge=-MAX_IN_A_WALLET, le=MAX_IN_A_WALLET, examples=[100, -40])
    ]
    expires_on: Day | Literal["never"] | None = None
    source: Source
    reason: Reason


class FreezingOrder(Document):
    """Freezes or unfreezes one wallet."""

    wallet: Wallet = POINTS_WALLET
    source: Source
    reason: Reason


class RefundOrder(Document):
    """
    A refund of a sale, whole unless `amount_fen` or a `line` of it says how much.

    `line` is the number of a line on the till's receipt, from 1 as `GET /sales/{id}` lists them.
    `document` is the refund's own number: one document has one effect.
    """

    document: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$", examples=["R-20261123-0042"])]
    refunded_at: Instant
    amount_fen: Annotated[StrictInt, Field(ge=1)] | None = None
    line: Annotated[StrictInt, Field(ge=1, le=MAX_LINES, examples=[2])] | None = None
    reason: Reason = "refund"


class PostedView(BaseModel):
    """
    An entry that was posted; the whole of it is among the member's entries.

    A refund that came before its sale's points is of the kind `park` and moves nothing yet.
    `uncovered` is what of a reversal was not there to be taken.
    """

    entry_id: str
    member_id: str
    wallet: str
    kind: str
    points: int
    uncovered: int
    account_version: int


class AdjustmentView(BaseModel):
    """
    A correction somebody asked for; above the program's limit somebody else approves it.

    `member_id` is whose account it is about: a member's, or `budget:` and the id of a budget.
    """

    adjustment_id: str
    member_id: str
    wallet: str
    points: int
    expires_on: DayText | None
    source: str
    reason: str
    asked_by: str
    asked_at: InstantText
    status: str
    decided_by: str | None
    decided_at: InstantText | None


class AdjustedView(BaseModel):
    """A correction, and the entry it came to (null: it waits, or was rejected)."""

    adjustment: AdjustmentView
    entry: PostedView | None


class AdjustmentsView(BaseModel):
    """A page of what waits for a second person, oldest first; only a null cursor ends the list."""

    adjustments: list[AdjustmentView]
    next_cursor: str | None


class FrozenView(BaseModel):
    """Whether a wallet is frozen; `entry` is null when it was so already."""

    member_id: str
    wallet: str
    frozen: bool
    entry: PostedView | None


def posted(entry: Entry, *further: Entry) -> dict[str, object]:
    """Return *entry* as it is told to whoever caused it; *further* ones belong to it."""
    every = (entry, *further)
    return {
        "entry_id": entry.entry_id,
        "member_id": entry.member_id,
        "wallet": entry.wallet,
        "kind": str(entry.kind),
        "points": sum(each.points for each in every),
        "uncovered": sum(each.uncovered for each in every),
        "account_version": every[-1].account_version,
    }
