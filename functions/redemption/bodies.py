"""What redemption takes and gives. Of a wallet of money, points are fen."""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StrictInt

from forecourt.booking_fields import Reason, Source, Wallet
from forecourt.ledger import POINTS_WALLET, Entry
from forecourt.ledger.commands import Purpose
from forecourt.ledger.entries import Lot
from forecourt.shapes import MAX_IN_A_WALLET, DayText, Document, Instant, InstantText

HOLD_SECONDS = 15 * 60
HOLD_SECONDS_MIN = 60
HOLD_SECONDS_MAX = 24 * 3600  # what nobody captures in a day, nobody comes for

MEMBER_ID = r"^[A-Za-z0-9][A-Za-z0-9-]{0,63}$"
POOL_ID = r"^[a-z0-9-]{1,64}$"

Points = Annotated[StrictInt, Field(ge=1, le=MAX_IN_A_WALLET, examples=[100])]
MemberName = Annotated[str, Field(pattern=MEMBER_ID, examples=["sub-other"])]
PoolName = Annotated[str, Field(pattern=POOL_ID, examples=["p-9f86d081884c7d659a2feaa0c55ad015"])]
AskedAt = Annotated[
    Instant,
    Field(
        description="When it was asked for first, by the caller's clock: every attempt says the "
        "same, for it is part of the entry's id. Ten minutes ahead and two days back at most."
    ),
]


class Asked(Document):
    """What every request says."""

    asked_at: AskedAt


class Order(Asked):
    """What every redemption says; `source` is the document that the points pay for."""

    source: Source
    reason: Reason = "redemption"


class OfAWallet(Document):
    """Which account: a wallet of the member's own (`points` unless named), or of a pool."""

    wallet: Wallet | None = None
    pool_id: PoolName | None = None


class RedemptionOrder(Order, OfAWallet):
    """What a member, or a till in their name, says of one account."""


class HoldOrder(RedemptionOrder):
    """
    Sets points aside, for a till to take.

    They come back after `held_for_seconds`, counted from `asked_at`, unless they were taken.
    """

    points: Points
    held_for_seconds: Annotated[
        StrictInt, Field(ge=HOLD_SECONDS_MIN, le=HOLD_SECONDS_MAX, examples=[HOLD_SECONDS])
    ] = HOLD_SECONDS


class CaptureOrder(RedemptionOrder):
    """Takes what was set aside, or less; the rest goes back at once."""

    points: Points


class ReleaseOrder(RedemptionOrder):
    """Gives back what was set aside."""


class SpendingOrder(RedemptionOrder):
    """Spends points at once."""

    points: Points


class TransferOrder(Asked):
    """Gives points of the member's own to another member; they keep their last days."""

    to: MemberName
    points: Points
    wallet: Wallet = POINTS_WALLET
    purpose: Literal[Purpose.TRANSFER, Purpose.GIFT] = Purpose.TRANSFER


class ConversionOrder(Asked):
    """Changes points of one wallet into another's, by the program's rate."""

    wallet: Wallet = POINTS_WALLET
    into_wallet: Annotated[Wallet, Field(examples=["partner-airline"])]
    points: Points


class TakenView(BaseModel):
    """Points by the last day they were good for (null: for ever); `bonus` came with money."""

    points: int
    expires_on: DayText | None
    bonus: bool


class HoldView(BaseModel):
    """Points set aside until `expires_at`, and from which last days they were taken."""

    hold_id: str
    member_id: str
    wallet: str
    pool_id: str | None
    points: int
    lots: list[TakenView]
    expires_at: InstantText


class RedeemedView(BaseModel):
    """
    An entry that was posted to an account; `lots` is what it took, by last valid day.

    `member_id` is the account's owner: of a pool, `pool:` and its id.
    """

    entry_id: str
    member_id: str
    wallet: str
    kind: str
    points: int
    lots: list[TakenView]
    account_version: int


class ConvertedView(BaseModel):
    """What was given, and what the other wallet got for it."""

    given: RedeemedView
    into_wallet: str
    gained: int


def taken_view(lots: Iterable[tuple[Lot, int]]) -> list[dict[str, object]]:
    """Return *lots* with their points as they are told."""
    return [
        {"points": points, "expires_on": last.isoformat() if last else None, "bonus": bonus}
        for (last, bonus), points in lots
    ]


def redeemed(entry: Entry) -> dict[str, object]:
    """Return *entry* as it is told to whoever caused it."""
    return {
        "entry_id": entry.entry_id,
        "member_id": entry.member_id,
        "wallet": entry.wallet,
        "kind": str(entry.kind),
        "points": entry.points,
        "lots": taken_view(entry.taken()),
        "account_version": entry.account_version,
    }
