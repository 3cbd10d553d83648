"""What the routes that give something back take and give. Of a wallet of money, points are fen."""

from typing import Annotated

from pydantic import BaseModel, Field, StrictInt

from forecourt.booking_fields import Reason
from forecourt.ledger import Entry
from forecourt.ledger.entries import DEBT
from forecourt.shapes import MAX_IN_A_WALLET, Document, Instant
from functions.redemption.bodies import Points, PoolName, TakenView, taken_view

DocumentNumber = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$", examples=["R-20261123-0042"])
]
Fen = Annotated[StrictInt, Field(ge=1, le=MAX_IN_A_WALLET, examples=[5000])]


class ShareOrder(Document):
    """As much as `amount_fen` is of `of_fen`, which the whole purchase cost."""

    amount_fen: Fen
    of_fen: Fen


class RefundOrder(Document):
    """What every refund says; `document` is its own number: one document has one effect."""

    document: DocumentNumber
    refunded_at: Instant
    reason: Reason = "refund"


class GiveBackOrder(RefundOrder):
    """
    Gives back what a purchase was paid with: all of it, or so many `points`, or a `share`.

    `document` is the refund's own number: one document has one effect. Shares add up before
    they are rounded, so those that make the whole give back the whole. `pool_id` is named when
    a pool paid.
    """

    points: Points | None = None
    share: ShareOrder | None = None
    pool_id: PoolName | None = None


class GivenBackView(BaseModel):
    """
    What went back, `lots` saying to which last days.

    `paid_debt` of it paid what the member owed. `lost` came after its last day and is gone.
    `left` is what is not given back yet.
    """

    entry_id: str
    member_id: str
    wallet: str
    kind: str
    points: int
    lots: list[TakenView]
    paid_debt: int
    lost: int
    left: int
    account_version: int


def given_back(entry: Entry, *, left: int) -> dict[str, object]:
    """Return *entry*, which reversed a redemption, as it is told to whoever caused it."""
    return {
        "entry_id": entry.entry_id,
        "member_id": entry.member_id,
        "wallet": entry.wallet,
        "kind": str(entry.kind),
        "points": entry.points,
        "lots": taken_view(entry.returned()),
        "paid_debt": entry.moved_to(DEBT),
        "lost": entry.uncovered,
        "left": left,
        "account_version": entry.account_version,
    }
