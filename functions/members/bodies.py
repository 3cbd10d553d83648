"""What the members API takes and gives."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from forecourt.sales import EvidenceKind
from forecourt.shapes import Day, DayText, Document, InstantText, Zone

Name = Annotated[
    str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$", examples=["李雷"])
]
Language = Annotated[
    str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,2}$", examples=["zh-CN"])
]


class Profile(Document):
    """
    What a member tells of themselves; all of it may be left out.

    `zone` is where they are, null where the program is. It matters for wallets whose days begin
    and end at the member's own midnight.
    """

    name: Name | None = None
    language: Language | None = None
    birth_on: Day | None = None
    zone: Zone | None = None


class Enrolment(Profile):
    """Enrols the caller, or, by staff, somebody else."""

    member_id: Annotated[
        Literal["me"] | None,
        Field(description="Staff who are members write `me` to enrol themselves"),
    ] = None


class Binding(Document):
    """A plate, phone, card, payment account or ETC tag; spelling and width do not matter."""

    kind: EvidenceKind
    value: Annotated[str, Field(min_length=1, max_length=64, examples=["浙A12345"])]


class EnrolledView(BaseModel):
    """Who was enrolled or changed. The profile itself is read with GET."""

    member_id: str
    version: int
    enrolled_at: InstantText


class MemberView(EnrolledView):
    """
    A member; `profile` is null for those who may not read it.

    Who was merged goes on under the id `merged_into`.
    """

    status: str
    merged_into: str | None
    profile: Profile | None


class BoundView(BaseModel):
    """An identity that is bound, without its value."""

    identity_id: str
    kind: EvidenceKind
    bound_at: InstantText


class IdentityView(BoundView):
    """An identity; `masked` shows as much of the value as its owner needs to recognise it."""

    masked: str


class IdentitiesView(BaseModel):
    """All identities of a member."""

    identities: list[IdentityView]
    limit: int


class TraceView(BaseModel):
    """
    What a rule made of a sale; `rule` is empty and `outcome` `no_rule` when none covers it.

    Behind it stand the multiples its points contain, with their `basis_points` (10000 is once):
    the member's tier (`outcome` `tier`), campaigns (`campaign`).
    """

    rule: str
    outcome: str
    points: int
    basis_points: int | None = None


class ProofView(BaseModel):
    """
    That an entry is in the book of a closed day (RFC 6962, section 2.1).

    `content` is all the entry says; written as JSON without spaces and with sorted keys, it is
    the leaf at `index` of `size`. `path` leads from there to `root`. Compare the root with the
    one in the event `DayClosed`, or in the book itself.
    """

    business_day: DayText
    closed_at: InstantText
    content: list[Any]
    index: int
    size: int
    path: list[str]
    root: str


class SaleView(BaseModel):
    """A sale and what it earned."""

    sale_id: str
    station_id: str
    nozzle: int
    grade: str
    volume_ml: int
    amount_fen: int
    unit_price_milli_per_litre: int
    completed_at: InstantText
    points: int
    program_version: int | None
    trace: list[TraceView]


class SalesView(BaseModel):
    """A page of sales, newest first. A page may be short; only a null cursor ends the list."""

    sales: list[SaleView]
    next_cursor: str | None
