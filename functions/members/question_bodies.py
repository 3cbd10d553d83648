"""What the routes for questions take and give."""

from typing import Annotated

from pydantic import BaseModel, Field

from forecourt.questions_table import Says
from forecourt.shapes import Document, InstantText

SALE_ID = "20261123T081500Z.s0001.SN4711.3.4711.123456789"


class SaleClaim(Document):
    """A sale that a member says is theirs; its id is in the receipt's code."""

    sale_id: Annotated[str, Field(min_length=1, max_length=128, examples=[SALE_ID])]


class OfferedSaleView(BaseModel):
    """As much of a sale as whoever made it needs to recognise it."""

    sale_id: str
    station_id: str
    grade: str
    volume_ml: int
    amount_fen: int
    completed_at: InstantText


class QuestionView(BaseModel):
    """
    A sale a member is asked about, or claimed.

    `says` is null until they answer. `status` is `open` while it may be answered, `waiting`
    while nothing is decided yet, `credited` when the sale is theirs and `closed` when not.
    """

    sale: OfferedSaleView
    asked_at: InstantText | None
    says: Says | None
    answered_at: InstantText | None
    status: str


class QuestionsView(BaseModel):
    """What a member is asked or claimed lately, latest sale first."""

    questions: list[QuestionView]


class SuggestionsView(BaseModel):
    """Waiting sales that look like the member's, likeliest first; nothing is credited by that."""

    sales: list[OfferedSaleView]


class SaidView(BaseModel):
    """What a member said; what comes of it is among their questions and sales within seconds."""

    sale_id: str
    says: Says
