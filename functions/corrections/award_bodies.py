"""What the routes take that give a member points out of a budget, or a partner's."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field, StrictInt

from forecourt.booking_fields import Reason, Source
from forecourt.shapes import MAX_IN_A_WALLET, Document, Instant, Name
from functions.corrections.budget_bodies import BUDGET_ID

DOCUMENTS_REACH_BACK = timedelta(days=31)  # a partner may settle once a month

Points = Annotated[StrictInt, Field(ge=1, le=MAX_IN_A_WALLET, examples=[100])]


class AwardOrder(Document):
    """
    Points out of a budget for a member.

    `asked_at` is when it was asked for first, the same in every attempt: ten minutes ahead of
    us and two days back at most.
    """

    budget_id: Annotated[str, Field(pattern=BUDGET_ID, examples=["spring-2027"])]
    points: Points
    asked_at: Instant
    source: Source
    reason: Reason


class PartnerPointsOrder(Document):
    """
    Points that a partner gives a member.

    `document` is the partner's own number for it, and has one effect for a member; `issued_at`
    is the time on it, which is part of what it is known by, and 31 days back at most.
    """

    partner: Annotated[Name, Field(examples=["airline"])]
    points: Points
    document: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$", examples=["MU-2026-4711"])]
    issued_at: Instant
    reason: Reason = "partner"
