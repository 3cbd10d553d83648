"""What rulings take and give."""

from typing import Annotated, Any

from pydantic import BaseModel, Field, StrictInt

from forecourt.callers import MEMBER_ID
from forecourt.errors import InvalidRequest
from forecourt.instants import format_instant
from forecourt.rulings import SHARERS_MAX, Verdict
from forecourt.shapes import Document, InstantText
from forecourt.stored_rulings import AppliedRuling

MAX_NUMBER = 999_999
MAX_PART = 1_000_000

MemberName = Annotated[
    str, Field(pattern=f"^(?:{MEMBER_ID.pattern})$", description="The member's id")
]
Reason = Annotated[
    str,
    Field(
        pattern=r"^[a-z][a-z0-9_]{0,39}$",
        description="A word for why, of your own list; no names and no numbers of people",
        examples=["wrong_plate", "asked_at_the_till"],
    ),
]


class RulingOrder(Document):
    """
    Whose a sale is, decided by a person.

    `assign` and `ask` name a `member_id`, `split` the `parts` members have in the sale's
    litres and money, `none` nobody. `number` is one more than the last ruling's, 1 for the
    first: who decides on something older than there is, is told.
    """

    number: Annotated[StrictInt, Field(ge=1, le=MAX_NUMBER, examples=[1])]
    verdict: Verdict
    member_id: MemberName | None = None
    parts: (
        Annotated[
            dict[MemberName, Annotated[StrictInt, Field(ge=1, le=MAX_PART)]],
            Field(min_length=2, max_length=SHARERS_MAX, examples=[{"m-1": 1, "m-2": 1}]),
        ]
        | None
    ) = None
    reason: Reason

    def require_coherence(self) -> None:
        """Raise `InvalidRequest` when the verdict and whom it names do not go together."""
        names_one = self.verdict in {Verdict.ASSIGN, Verdict.ASK}
        findings = [
            {"at": f"/body/{name}", "reason": "missing" if needed else "beside_the_verdict"}
            for name, needed, given in (
                ("member_id", names_one, self.member_id is not None),
                ("parts", self.verdict is Verdict.SPLIT, self.parts is not None),
            )
            if needed is not given
        ]
        if findings:
            raise InvalidRequest(findings=findings)


class ShareView(BaseModel):
    """A member's part of a sale, and the ledger's entry for it."""

    member_id: str
    volume_ml: int
    amount_fen: int
    entry_id: str


class MovementView(BaseModel):
    """A share that was given, or with `reverses` taken back: the entry it reverses."""

    entry_id: str
    member_id: str
    volume_ml: int
    amount_fen: int
    reverses: str | None


class RuledView(BaseModel):
    """
    A ruling, who holds what of the sale by it, and what moves.

    The points follow within seconds, by the rules of the sale's day.
    """

    sale_id: str
    number: int
    verdict: Verdict
    asked: str | None
    held: list[ShareView]
    moved: list[MovementView]
    actor: str
    reason: str
    ruled_at: InstantText


class RulingsView(BaseModel):
    """What was ruled about a sale, first to last."""

    rulings: list[RuledView]


def ruled(applied: AppliedRuling) -> dict[str, Any]:
    """Return *applied* as a `RuledView`."""
    ruling = applied.ruling
    return {
        "sale_id": ruling.sale_id,
        "number": ruling.number,
        "verdict": str(ruling.verdict),
        "asked": ruling.asked,
        "held": [
            {
                "member_id": each.share.member_id,
                "volume_ml": each.share.volume_ml,
                "amount_fen": each.share.amount_fen,
                "entry_id": each.entry_id,
            }
            for each in applied.held
        ],
        "moved": [
            {
                "entry_id": each.movement_id,
                "member_id": each.share.member_id,
                "volume_ml": each.share.volume_ml,
                "amount_fen": each.share.amount_fen,
                "reverses": each.reverses,
            }
            for each in applied.moved
        ],
        "actor": ruling.actor,
        "reason": ruling.reason,
        "ruled_at": format_instant(applied.ruled_at),
    }
