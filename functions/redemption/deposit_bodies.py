"""What the routes for deposits take and give. All of it is money, in fen."""

from typing import Annotated

from pydantic import BaseModel, Field, StrictInt

from forecourt.booking_fields import Reason
from forecourt.ledger import Entry
from forecourt.ledger.entries import DEBT
from forecourt.shapes import Document, Instant, StationId
from forecourt.wallet_documents import MAX_REGISTERED_FEN
from functions.redemption.return_bodies import RefundOrder

# More never fits into a wallet, whatever the program says.
PaidFen = Annotated[StrictInt, Field(ge=1, le=MAX_REGISTERED_FEN, examples=[100_000])]
ReceiptNumber = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9._-]{1,40}$", examples=["R-20261123-0042"])
]


class DepositOrder(Document):
    """
    Money that a member paid in, as the receipt has it.

    Station, receipt number and `paid_at`, its time, name the deposit: they come again with every
    attempt, under whatever key. Ten minutes ahead of us and two days back at most.
    """

    amount_fen: PaidFen
    station_id: StationId
    receipt: ReceiptNumber
    paid_at: Instant
    reason: Reason = "deposit"


class DepositRefundOrder(RefundOrder):
    """
    Money that is paid out again of a deposit; `document` is the refund's own number.

    One document has one effect, whatever it is sent under.
    """

    amount_fen: PaidFen


class DepositView(BaseModel):
    """
    A deposit: what was paid in, and what was given on top.

    `paid_debt_fen` of both went on what the member owed; the rest is in the wallet.
    """

    entry_id: str
    member_id: str
    paid_fen: int
    bonus_fen: int
    paid_debt_fen: int
    account_version: int


class DepositRefundView(BaseModel):
    """
    What is to be paid out, and what was taken back of the bonus with it.

    `owed_fen` of that was spent and is owed from now on. `left_fen` of the money paid in by
    this deposit was not refunded yet; how much of it is not spent, only a refund tells.
    """

    entry_id: str
    member_id: str
    refunded_fen: int
    bonus_fen: int
    owed_fen: int
    left_fen: int
    account_version: int


def deposited(entry: Entry, *, paid_fen: int) -> dict[str, object]:
    """Return the *entry* of a deposit as it is told to whoever caused it."""
    return {
        "entry_id": entry.entry_id,
        "member_id": entry.member_id,
        "paid_fen": paid_fen,
        "bonus_fen": entry.given - paid_fen,
        "paid_debt_fen": entry.moved_to(DEBT),
        "account_version": entry.account_version,
    }


def refunded(entry: Entry, *, refunded_fen: int, left_fen: int) -> dict[str, object]:
    """Return the *entry* that reversed a part of a deposit as it is told to whoever caused it."""
    owed_fen = -entry.moved_to(DEBT)
    return {
        "entry_id": entry.entry_id,
        "member_id": entry.member_id,
        "refunded_fen": refunded_fen,
        "bonus_fen": owed_fen - entry.points - refunded_fen,
        "owed_fen": owed_fen,
        "left_fen": left_fen,
        "account_version": entry.account_version,
    }
