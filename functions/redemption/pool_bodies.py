"""What the routes for pools take and give."""

from typing import Annotated

from pydantic import BaseModel, Field, StrictInt

from forecourt.booking_fields import Wallet
from forecourt.ledger import POINTS_WALLET
from forecourt.shapes import MAX_IN_A_WALLET, Document
from functions.redemption.bodies import Asked, Points

DailyPoints = Annotated[
    Annotated[StrictInt, Field(ge=0, le=MAX_IN_A_WALLET)] | None,
    Field(description="What the member may spend of the pool in a day; null: all there is"),
]


class PoolOrder(Document):
    """A pool to be opened, of which the member who does is the head."""

    wallet: Wallet = POINTS_WALLET
    daily_points: DailyPoints = None


class LimitOrder(Document):
    """What a member may spend of the pool in a day; who was not in it is from now on."""

    daily_points: DailyPoints


class PoolMove(Asked):
    """Points a member puts into a pool, or its head takes out; they keep their last days."""

    points: Points


class PoolMemberView(BaseModel):
    """A member of a pool, and what they spent of it today, holds included."""

    member_id: str
    daily_points: int | None
    used_today: int


class PoolView(BaseModel):
    """
    A pool as it counts today: `points` can be spent, `held` are set aside.

    The head sees all members, everybody else themselves. `head` is null when it was forgotten.
    """

    pool_id: str
    wallet: str
    head: str | None
    points: int
    held: int
    members: list[PoolMemberView]
    version: int


class MembershipView(BaseModel):
    """A pool that a member is in."""

    pool_id: str
    wallet: str
    head: str | None


class MembershipsView(BaseModel):
    """All pools that a member is in, by id."""

    pools: list[MembershipView]
