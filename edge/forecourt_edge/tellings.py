"""
What the till tells of a sale: checked at the door, stored, and answered once it is on the disk.

    POST /tellings   {"told_id", "told_at", "amount_fen", "source"?, "nozzle"?, "volume_ml"?,
                      "evidence"?: [{"kind", "value"}],
                      "lines"?: [{"category", "amount_fen", "grade"?, "volume_ml"?}],
                      "payments"?: [{"by", "amount_fen"}]}

The till's own number of the receipt (`told_id`) and its time name the telling for ever, so a
till that got no answer may send it again. It is told to the cloud as a sale is, and joins the
sale there: by station, nozzle, time, amount and litres, as far as the till tells them. The
receipt (`lines`, `payments`) is read here as the cloud reads it, so that the till is told of a
fault by the gateway beside it.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    ValidationError,
    field_validator,
)

from forecourt.basket_fields import take_basket
from forecourt.errors import MalformedMessage
from forecourt.retellings import TOLD_ID, Source, Telling
from forecourt.sales import Evidence, EvidenceKind
from forecourt_edge import journal
from forecourt_edge.errors import OutboxFull
from forecourt_edge.joining import tidy_plate
from forecourt_edge.listener import Reply
from forecourt_edge.messages import EVIDENCE_MAX, telling_message
from forecourt_edge.profile import findings_of

if TYPE_CHECKING:
    from forecourt.baskets import Basket
    from forecourt_edge.listener import Request
    from forecourt_edge.outbox import Outbox

BODY_BYTES_MAX = 8 * 1024
# Ingest refuses more than these.
NOZZLE_MAX = 999
AMOUNT_MAX_FEN = 10**9
VOLUME_MAX_ML = 10**8
FINDINGS_MAX = 5  # A till's technician mends one after the other.
_FINDING_CHARACTERS_MAX = 120
_CENTURY = range(2000, 2100)
_DATED = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]")

_CLOSED = ConfigDict(frozen=True, extra="forbid")


def _as_text(value: object) -> object:
    if not isinstance(value, str) or not _DATED.match(value):
        raise ValueError("should be text in ISO 8601")
    return value


class ToldEvidence(BaseModel):
    """One thing the till knows of who paid."""

    model_config = _CLOSED

    kind: EvidenceKind
    value: str = Field(min_length=1, max_length=64)

    @field_validator("value")
    @classmethod
    def _is_printable(cls, value: str) -> str:
        if not value.isprintable():
            raise ValueError("should be printable")
        return value


class TillTelling(BaseModel):
    """A sale as the till tells it; what it does not know it leaves out."""

    model_config = _CLOSED

    source: Literal["till", "payment"] = "till"
    told_id: str = Field(pattern=f"^(?:{TOLD_ID.pattern})$")
    told_at: Annotated[datetime, BeforeValidator(_as_text)]
    amount_fen: Annotated[StrictInt, Field(ge=0, le=AMOUNT_MAX_FEN)]
    nozzle: Annotated[StrictInt, Field(ge=1, le=NOZZLE_MAX)] | None = None
    volume_ml: Annotated[StrictInt, Field(ge=0, le=VOLUME_MAX_ML)] | None = None
    evidence: list[ToldEvidence] = Field(default=[], max_length=EVIDENCE_MAX)

    @field_validator("told_at")
    @classmethod
    def _is_an_instant(cls, told_at: datetime) -> datetime:
        if told_at.tzinfo is None:
            raise ValueError("should have a zone: Z, or an offset as +08:00")
        if told_at.year not in _CENTURY:
            raise ValueError("should be a time of this century")
        return told_at.astimezone(UTC).replace(microsecond=0)

    def telling(self, station_id: str, basket: Basket | None) -> Telling:
        return Telling(
            source=Source(self.source),
            told_id=self.told_id,
            station_id=station_id,
            at=self.told_at,
            amount_fen=self.amount_fen,
            nozzle=self.nozzle,
            volume_ml=self.volume_ml,
            basket=basket,
        )

    def evidence_of(self) -> list[Evidence]:
        """Return the evidence as it is sent; a plate that is none identifies nobody."""
        found = []
        for each in self.evidence:
            value = tidy_plate(each.value) if each.kind is EvidenceKind.PLATE else each.value
            if value is not None:
                found.append(Evidence(kind=each.kind, value=value, source=self.source))
        return found


class Tellings:
    """Takes tellings into *outbox*; whoever asks has shown that they are the till."""

    def __init__(self, *, station_id: str, outbox: Outbox) -> None:
        self._station_id = station_id
        self._outbox = outbox

    def take(self, request: Request) -> Reply:
        """Answer 200 when the telling is safe; whatever else is answered, nothing was stored."""
        if len(request.body) > BODY_BYTES_MAX:
            return Reply(status=413, code="too_large", detail=f"at most {BODY_BYTES_MAX} bytes")
        try:
            document = json.loads(request.body)
        except (ValueError, RecursionError):
            return Reply(status=400, code="not_json")
        try:
            receipt = _taken(document, "lines", "payments")
            told = TillTelling.model_validate(document)
            basket = _basket(receipt, told)
        except ValidationError as error:
            return Reply(status=400, code="invalid", detail=_detail(error))
        except MalformedMessage as error:
            return Reply(status=400, code="invalid", detail=f"{error.field}: {error.reason}")
        telling = told.telling(self._station_id, basket)
        message = telling_message(telling, evidence=told.evidence_of())
        try:
            waiting = self._outbox.put_telling(message)
        except OutboxFull as error:
            journal.alarm("outbox_full", reason=error.reason, rows=error.rows)
            return Reply(status=503, code="full", detail="keep it and tell it again")
        if waiting is not None and waiting.body != message.body:
            journal.warn("telling_contradicted", telling_id=message.message_id)
            return Reply(
                status=409, code="told_otherwise", detail="another telling has this told_id"
            )
        journal.note("telling_taken", telling_id=message.message_id, again=waiting is not None)
        return Reply()


def _taken(document: Any, *names: str) -> dict[str, Any]:
    """Take the members *names* out of *document*, as far as it has them."""
    if not isinstance(document, dict):
        return {}
    return {name: document.pop(name) for name in names if name in document}


def _basket(receipt: dict[str, Any], told: TillTelling) -> Basket | None:
    """Read a receipt; raise `MalformedMessage` for what ingest would not take."""
    if receipt and Source(told.source) is not Source.TILL:
        raise MalformedMessage(reason="unexpected", field=min(receipt))
    basket = take_basket(
        receipt,
        "",
        amount_fen=told.amount_fen,
        highest_fen=AMOUNT_MAX_FEN,
        most_ml=VOLUME_MAX_ML,
    )
    if basket is not None and told.volume_ml not in (None, basket.fuel.volume_ml):
        raise MalformedMessage(reason="does_not_add_up", field="volume_ml")
    return basket


def _detail(error: ValidationError) -> str:
    """Name what is wrong; names that the till made up are cut, and values stay out."""
    findings = [each[:_FINDING_CHARACTERS_MAX] for each in findings_of(error)]
    return "; ".join(findings[:FINDINGS_MAX])
