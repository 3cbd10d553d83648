"""What the operator API takes and gives."""

from typing import Annotated

from pydantic import BaseModel, Field, StrictInt

from forecourt.baskets import Category, Means
from forecourt.discounts import Unused
from forecourt.documents import ProgramDocument
from forecourt.messages import MAX_AMOUNT_FEN, MAX_UNIT_PRICE
from forecourt.sales import MAX_PLAUSIBLE_VOLUME_ML
from forecourt.shapes import (
    MAX_GRADES,
    Document,
    Finding,
    Grade,
    Instant,
    InstantText,
    StationId,
    Zone,
)

MAX_REQUEST_LENGTH = 8192

CertificateRequest = Annotated[
    str | None,
    Field(
        max_length=MAX_REQUEST_LENGTH,
        pattern="^-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----",
        description=(
            "Certificate signing request (PKCS#10, PEM). With it the private key never leaves "
            "the station; without it a key pair is made and shown once."
        ),
    ),
]


StationName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")]
Grades = Annotated[list[Grade], Field(min_length=1, max_length=MAX_GRADES)]


class Registration(Document):
    """A station; `open_since` is now unless given, and sales before it are held."""

    station_id: StationId
    name: StationName
    zone: Zone
    grades: Grades
    open_since: Instant | None = None
    csr: CertificateRequest = None


class StationChange(Document):
    """What is otherwise about a station now; what is not given stays. `grades` are all it sells."""

    name: StationName | None = None
    grades: Grades | None = None


class CertificateOrder(Document):
    """A new certificate for a station that lost its old one, or whose old one runs out."""

    csr: CertificateRequest = None


class ActivationOrder(Document):
    """When a version comes into force: now, unless given."""

    effective_at: Instant | None = None


class QuoteOrder(Document):
    """A fill, by `volume_ml` or `amount_fen`, and the reward to use on it, by litre or as a sum."""

    grade: Grade
    unit_price_milli_per_litre: Annotated[
        StrictInt, Field(ge=1, le=MAX_UNIT_PRICE, description="1/1000 yuan", examples=[7560])
    ]
    volume_ml: Annotated[StrictInt, Field(ge=1, le=MAX_PLAUSIBLE_VOLUME_ML)] | None = None
    amount_fen: Annotated[StrictInt, Field(ge=1, le=MAX_AMOUNT_FEN)] | None = None
    reward_milli_per_litre: Annotated[StrictInt, Field(ge=1, le=MAX_UNIT_PRICE)] | None = None
    reward_fen: Annotated[StrictInt, Field(ge=1, le=MAX_AMOUNT_FEN)] | None = None


class QuoteView(BaseModel):
    """
    What a fill costs with a reward.

    `unit_price_milli_per_litre` is the price of a litre by then; of the reward `discount_fen`
    are used, and `unused` is what becomes of `unused_fen`. Without a program its version is null.
    """

    program_version: int | None
    minimum_price_milli_per_litre: int | None
    unit_price_milli_per_litre: int
    amount_fen: int
    discount_fen: int
    to_pay_fen: int
    unused_fen: int
    unused: Unused


class TellingOrder(Document):
    """The sale that a till or payment provider told of, at the telling's own station."""

    sale_id: Annotated[
        str,
        Field(max_length=128, examples=["20261123T081500Z.s0001.SN4711.3.4711.123456789"]),
    ]


class StationView(BaseModel):
    """A registered station."""

    station_id: str
    name: str
    zone: str
    grades: list[str]
    open_since: InstantText


class StationsView(BaseModel):
    """A page of stations by id; only a null cursor ends the list."""

    stations: list[StationView]
    next_cursor: str | None


class CertificateView(BaseModel):
    """A station's certificate, as the station presents it."""

    certificate_id: str
    certificate_pem: str


class CertifiedView(BaseModel):
    """
    A new certificate of a station.

    `private_key_pem` is in the very first answer only, and only when no signing request was
    given; it is kept nowhere. Whoever lost it orders a new certificate at `renewal`.
    """

    station_id: str
    certificate: CertificateView
    private_key_pem: str | None = None
    renewal: str


class RegisteredView(BaseModel):
    """
    A station after its registration, with the name to connect under.

    `certificate` is null when the station has one already; `private_key_pem` and `renewal`
    are as in an order for a certificate.
    """

    station: StationView
    thing_name: str
    certificate: CertificateView | None
    private_key_pem: str | None = None
    renewal: str


class ActivationView(BaseModel):
    """From `effective_at` on, `version` is in force."""

    version: int
    effective_at: InstantText


class VersionView(BaseModel):
    """A version of the program; a draft may be replaced, an active one is fixed."""

    version: int
    status: str
    document: ProgramDocument
    drafted_at: InstantText
    drafted_by: str


class DetailedVersionView(VersionView):
    """A version, when it is in force, and what there is to know about its document."""

    activations: list[ActivationView]
    findings: list[Finding]


class VersionsView(BaseModel):
    """A page of versions, latest first, and the program's whole timeline."""

    programs: list[VersionView]
    timeline: list[ActivationView]
    in_force: int | None
    next_cursor: str | None


class ValidationView(BaseModel):
    """Whether a version may be activated, and what its author should know."""

    version: int
    activatable: bool
    findings: list[Finding]


class EvidenceView(BaseModel):
    """One observation that can be an identity: what it was and how sure the observer."""

    kind: str
    confidence: int | None
    source: str | None


class ObservedView(BaseModel):
    """What was observed, as much of it as a person needs to compare."""

    kind: str
    masked: str


class PieceView(BaseModel):
    """What one field contributed: at which level it agrees, worth so many hundredths of a bit."""

    field: str
    level: str
    centibits: int


class AlternativeView(BaseModel):
    """Another member the sale may be, and how likely, in millionths."""

    member_id: str
    posterior_ppm: int


class WeighedView(BaseModel):
    """
    What came of weighing.

    `member_id` is the likeliest member, null when nobody is likely enough to be named;
    `posterior_ppm` is how likely, in millionths, and `pieces` say by what.
    """

    outcome: str
    weights_version: int
    member_id: str | None
    posterior_ppm: int
    reason: str | None
    pieces: list[PieceView]
    alternatives: list[AlternativeView]


class LineView(BaseModel):
    """A line of a receipt; below zero it takes something off."""

    category: Category
    amount_fen: int


class PaymentView(BaseModel):
    """A part of what was paid."""

    by: Means
    amount_fen: int


class ReceiptView(BaseModel):
    """What a till told was bought together, and how it was paid, if it said so."""

    telling_id: str
    lines: list[LineView]
    payments: list[PaymentView]


class ReviewedSaleView(BaseModel):
    """
    A sale that waits, or waited, for a person.

    `members` have it, `claimed_by` and `denied_by` are those who said it is theirs or is not.
    `rulings` is how many a person has made about it.
    """

    sale_id: str
    station_id: str
    nozzle: int
    grade: str
    volume_ml: int
    amount_fen: int
    unit_price_milli_per_litre: int
    started_at: InstantText | None
    completed_at: InstantText
    recorded_at: InstantText
    received_at: InstantText
    clock_offset_seconds: int | None
    clock_synchronised: bool
    test_delivery: bool
    status: str
    doubts: list[str]
    undecided_because: str | None
    decided_at: InstantText | None
    decided_by: str | None
    evidence: list[EvidenceView]
    observed: Annotated[
        list[ObservedView] | None, Field(description="Null for those who may not read evidence")
    ]
    weighed: WeighedView | None
    members: list[str]
    claimed_by: list[str]
    denied_by: list[str]
    rulings: int
    receipt: ReceiptView | None


class QuarantinedView(BaseModel):
    """A message nobody could read; its content may be personal and is not shown."""

    station_id: str
    message_id: str
    topic: str
    reason: str
    field: str
    size_bytes: int
    received_at: InstantText


class QueueView(BaseModel):
    """A page of what waits, oldest first; only a null cursor ends the list."""

    sales: list[ReviewedSaleView]
    messages: list[QuarantinedView]
    next_cursor: str | None


class DecidedView(BaseModel):
    """What somebody decided about a held sale."""

    sale_id: str
    decision: str
    decided_by: str


class LoneTellingView(BaseModel):
    """
    What a till or payment provider told of a sale that no pump has told of.

    `waits_because` is null when nothing around it is like it; `ambiguous` when it fits several
    sales, `amount_differs` or `volume_differs` when one of the nozzle and time has other figures,
    `told_twice` when its source told something else under the same id.
    """

    telling_id: str
    station_id: str
    source: str
    told_id: str
    told_at: InstantText
    received_at: InstantText
    amount_fen: int
    nozzle: int | None
    volume_ml: int | None
    waits_because: str | None
    evidence: list[EvidenceView]
    observed: Annotated[
        list[ObservedView] | None, Field(description="Null for those who may not read evidence")
    ]


class TellingsView(BaseModel):
    """A page of what waits; only a null cursor ends the list."""

    tellings: list[LoneTellingView]
    next_cursor: str | None


class SettledView(BaseModel):
    """What somebody decided about a telling; `sale_id` is null when there was no sale."""

    telling_id: str
    sale_id: str | None
    decided_by: str
