"""
What a station says, read from the bytes it sent.

The schemas are `events/station/*.schema.json`; a test holds reader and schemas together.
The reader is written by hand because ingest starts cold between a driver's hang-up and the
points in the app, and a schema library costs more start-up time than all else in it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from forecourt.basket_fields import take_basket
from forecourt.errors import MalformedMessage
from forecourt.instants import compact_instant
from forecourt.message_fields import (
    instant,
    instant_or_null,
    integer,
    integer_or_null,
    json_object,
    matching_text,
    percentages,
    refuse_rest,
    take,
    text,
    whole_second,
)
from forecourt.retellings import TOLD_ID, Source, Telling, telling_id_for
from forecourt.sales import (
    DEVICE_SERIAL,
    GRADE,
    STATION_ID,
    Evidence,
    EvidenceKind,
    Sale,
    SaleKey,
)
from forecourt.values import dataclass

if TYPE_CHECKING:
    from datetime import datetime

MAX_MESSAGE_BYTES = 128 * 1024  # AWS IoT Core takes no larger payload; the local stack would

MAX_NOZZLE = 999
MAX_TRANSACTION = 2**32 - 1
MAX_VOLUME_ML = 10**8
MAX_AMOUNT_FEN = 10**9
MAX_UNIT_PRICE = 10**6
MAX_TOTALIZER_ML = 10**13
MAX_CLOCK_OFFSET_SECONDS = 10**10
MAX_EVIDENCE = 8
MAX_NOZZLES = 256
TELLERS = frozenset({Source.TILL, Source.PAYMENT})  # what a pump tells is a sale


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleMessage:
    """A sale, and the gateway's clock when it sent it."""

    topic: ClassVar[str] = "sales"

    sent_at: datetime
    sale: Sale

    @property
    def message_id(self) -> str:
        """Return the id the station wants acknowledged."""
        return self.sale.sale_id

    @property
    def station_id(self) -> str:
        """Return the station the message claims to come from."""
        return self.sale.key.station_id


@dataclass(frozen=True, slots=True, kw_only=True)
class NozzleReading:
    """An idle nozzle's totalizer and last transaction number."""

    nozzle: int
    device_serial: str
    totalizer_ml: int
    transaction: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingMessage:
    """The totalizers of a station's idle nozzles at one moment."""

    topic: ClassVar[str] = "readings"

    sent_at: datetime
    message_id: str
    station_id: str
    read_at: datetime
    nozzles: tuple[NozzleReading, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GapMessage:
    """Transactions a pump overwrote before anybody could read them."""

    topic: ClassVar[str] = "gaps"

    sent_at: datetime
    message_id: str
    station_id: str
    device_serial: str
    nozzle: int
    found_at: datetime
    first_transaction: int
    last_transaction: int
    missing_ml: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TellingMessage:
    """A sale as a till or a payment provider tells it, and whom it saw."""

    topic: ClassVar[str] = "tellings"

    sent_at: datetime
    message_id: str
    telling: Telling
    evidence: tuple[Evidence, ...]

    @property
    def station_id(self) -> str:
        """Return the station the message claims to come from."""
        return self.telling.station_id


Message = SaleMessage | ReadingMessage | GapMessage | TellingMessage


def read_message(payload: bytes) -> Message:
    """Return what *payload* says; raise `MalformedMessage` naming the first field at fault."""
    if len(payload) > MAX_MESSAGE_BYTES:
        raise MalformedMessage(reason="too_large")
    document = json_object(payload)
    message: Message
    match take(document, "schema", str):
        case "sale/1":
            message = _sale(document)
        case "reading/1":
            message = _reading(document)
        case "gap/1":
            message = _gap(document)
        case "telling/1":
            message = _telling(document)
        case _:
            raise MalformedMessage(reason="unknown_schema", field="schema")
    refuse_rest(document)
    return message


def claimed_id(payload: bytes) -> str | None:
    """
    Return the id a station gave to a message that could not be read.

    It is what the station has to be told to stop sending; `None` when there is none to find.
    """
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    for body, name in (
        ("sale", "sale_id"),
        ("reading", "reading_id"),
        ("gap", "gap_id"),
        ("telling", "telling_id"),
    ):
        part = document.get(body)
        if isinstance(part, dict) and isinstance(part.get(name), str):
            identifier: str = part[name]
            return identifier[:256].encode("utf-8", "replace").decode()
    return None


def _sale(document: dict[str, Any]) -> SaleMessage:
    sent_at = instant(document, "sent_at")
    body: dict[str, Any] = take(document, "sale", dict)
    path = "sale."
    sale_id = take(body, "sale_id", str, path)
    station_id = matching_text(body, "station_id", STATION_ID, path)
    device_serial = matching_text(body, "device_serial", DEVICE_SERIAL, path)
    sale = Sale(
        key=SaleKey(
            completed_at=whole_second(body, "completed_at", path),
            station_id=station_id,
            device_serial=device_serial,
            nozzle=integer(body, "nozzle", 1, MAX_NOZZLE, path),
            transaction=integer(body, "transaction", 0, MAX_TRANSACTION, path),
            totalizer_ml=integer(body, "totalizer_ml", 0, MAX_TOTALIZER_ML, path),
        ),
        grade=matching_text(body, "grade", GRADE, path),
        unit_price_milli_per_litre=integer(
            body, "unit_price_milli_per_litre", 0, MAX_UNIT_PRICE, path
        ),
        volume_ml=integer(body, "volume_ml", 0, MAX_VOLUME_ML, path),
        amount_fen=integer(body, "amount_fen", 0, MAX_AMOUNT_FEN, path),
        volume_resolution_ml=integer(body, "volume_resolution_ml", 1, 1000, path),
        started_at=instant_or_null(body, "started_at", path),
        recorded_at=instant(body, "recorded_at", path),
        clock_offset_seconds=integer_or_null(
            body, "clock_offset_seconds", MAX_CLOCK_OFFSET_SECONDS, path
        ),
        clock_synchronised=take(body, "clock_synchronised", bool, path),
        test_delivery=take(body, "test_delivery", bool, path),
        evidence=_evidence(body, path),
    )
    refuse_rest(body, path)
    if sale.sale_id != sale_id:
        raise MalformedMessage(reason="id_does_not_fit", field="sale.sale_id")
    return SaleMessage(sent_at=sent_at, sale=sale)


def _evidence(body: dict[str, Any], path: str) -> tuple[Evidence, ...]:
    items: list[Any] = take(body, "evidence", list, path)
    if len(items) > MAX_EVIDENCE:
        raise MalformedMessage(reason="too_many", field=path + "evidence")
    found = []
    for index, item in enumerate(items):
        at = f"{path}evidence[{index}]."
        if not isinstance(item, dict):
            raise MalformedMessage(reason="wrong_type", field=at.rstrip("."))
        part = dict(item)
        kind = take(part, "kind", str, at)
        if kind not in set(EvidenceKind):
            raise MalformedMessage(reason="unknown_kind", field=at + "kind")
        found.append(
            Evidence(
                kind=EvidenceKind(kind),
                value=text(part, "value", 64, at),
                confidence=(
                    integer(part, "confidence", 0, 100, at) if "confidence" in part else None
                ),
                character_confidences=percentages(part, "character_confidences", at),
                source=text(part, "source", 32, at) if "source" in part else None,
            )
        )
        refuse_rest(part, at)
    return tuple(found)


def _reading(document: dict[str, Any]) -> ReadingMessage:
    sent_at = instant(document, "sent_at")
    body: dict[str, Any] = take(document, "reading", dict)
    path = "reading."
    reading_id = take(body, "reading_id", str, path)
    station_id = matching_text(body, "station_id", STATION_ID, path)
    read_at = whole_second(body, "read_at", path)
    items: list[Any] = take(body, "nozzles", list, path)
    if len(items) > MAX_NOZZLES:
        raise MalformedMessage(reason="too_many", field=path + "nozzles")
    nozzles = []
    for index, item in enumerate(items):
        at = f"{path}nozzles[{index}]."
        if not isinstance(item, dict):
            raise MalformedMessage(reason="wrong_type", field=at.rstrip("."))
        part = dict(item)
        nozzles.append(
            NozzleReading(
                nozzle=integer(part, "nozzle", 1, MAX_NOZZLE, at),
                device_serial=matching_text(part, "device_serial", DEVICE_SERIAL, at),
                totalizer_ml=integer(part, "totalizer_ml", 0, MAX_TOTALIZER_ML, at),
                transaction=integer(part, "transaction", 0, MAX_TRANSACTION, at),
            )
        )
        refuse_rest(part, at)
    refuse_rest(body, path)
    if reading_id != f"{compact_instant(read_at)}.{station_id}":
        raise MalformedMessage(reason="id_does_not_fit", field="reading.reading_id")
    return ReadingMessage(
        sent_at=sent_at,
        message_id=reading_id,
        station_id=station_id,
        read_at=read_at,
        nozzles=tuple(nozzles),
    )


def _gap(document: dict[str, Any]) -> GapMessage:
    sent_at = instant(document, "sent_at")
    body: dict[str, Any] = take(document, "gap", dict)
    path = "gap."
    gap_id = take(body, "gap_id", str, path)
    message = GapMessage(
        sent_at=sent_at,
        message_id=gap_id,
        station_id=matching_text(body, "station_id", STATION_ID, path),
        device_serial=matching_text(body, "device_serial", DEVICE_SERIAL, path),
        nozzle=integer(body, "nozzle", 1, MAX_NOZZLE, path),
        found_at=whole_second(body, "found_at", path),
        first_transaction=integer(body, "first_transaction", 0, MAX_TRANSACTION, path),
        last_transaction=integer(body, "last_transaction", 0, MAX_TRANSACTION, path),
        missing_ml=integer(body, "missing_ml", 0, MAX_TOTALIZER_ML, path),
    )
    refuse_rest(body, path)
    expected = (
        f"{compact_instant(message.found_at)}.{message.station_id}"
        f".{message.device_serial}.{message.nozzle}.{message.last_transaction}"
    )
    if gap_id != expected:
        raise MalformedMessage(reason="id_does_not_fit", field="gap.gap_id")
    return message


def _telling(document: dict[str, Any]) -> TellingMessage:
    sent_at = instant(document, "sent_at")
    body: dict[str, Any] = take(document, "telling", dict)
    path = "telling."
    telling_id = take(body, "telling_id", str, path)
    source = take(body, "source", str, path)
    if source not in TELLERS:
        raise MalformedMessage(reason="unknown_kind", field="telling.source")
    amount_fen = integer(body, "amount_fen", 0, MAX_AMOUNT_FEN, path)
    basket = None
    if source == Source.TILL:  # nobody else prints a receipt: from them it is unexpected
        basket = take_basket(
            body, path, amount_fen=amount_fen, highest_fen=MAX_AMOUNT_FEN, most_ml=MAX_VOLUME_ML
        )
    telling = Telling(
        source=Source(source),
        told_id=matching_text(body, "told_id", TOLD_ID, path),
        station_id=matching_text(body, "station_id", STATION_ID, path),
        at=whole_second(body, "told_at", path),
        amount_fen=amount_fen,
        nozzle=_number_or_null(body, "nozzle", 1, MAX_NOZZLE, path),
        volume_ml=_number_or_null(body, "volume_ml", 0, MAX_VOLUME_ML, path),
        basket=basket,
    )
    evidence = _evidence(body, path)
    refuse_rest(body, path)
    if basket is not None and telling.volume_ml not in (None, basket.fuel.volume_ml):
        raise MalformedMessage(reason="does_not_add_up", field="telling.volume_ml")
    if telling_id != telling_id_for(telling):
        raise MalformedMessage(reason="id_does_not_fit", field="telling.telling_id")
    return TellingMessage(
        sent_at=sent_at, message_id=telling_id, telling=telling, evidence=evidence
    )


def _number_or_null(body: dict[str, Any], name: str, low: int, high: int, path: str) -> int | None:
    if name in body and body[name] is None:
        return body.pop(name)  # type: ignore[no-any-return]
    return integer(body, name, low, high, path)
