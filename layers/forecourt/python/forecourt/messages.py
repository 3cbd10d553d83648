"""
What a station says, read from the bytes it sent.

The schemas are `events/station/*.schema.json`; a test holds reader and schemas together.
The reader is written by hand because ingest starts cold between a driver's hang-up and the
points in the app, and a schema library costs more start-up time than all else in it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from forecourt.errors import MalformedMessage
from forecourt.instants import compact_instant, parse_instant
from forecourt.sales import (
    DEVICE_SERIAL,
    GRADE,
    STATION_ID,
    Evidence,
    EvidenceKind,
    Sale,
    SaleKey,
)

if TYPE_CHECKING:
    import re
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
MAX_CHARACTERS = 16
MAX_NOZZLES = 256
YEARS = range(1970, 2200)  # from a device clock that was never set to one that counts in 32 bits

_T = TypeVar("_T")


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


Message = SaleMessage | ReadingMessage | GapMessage


def read_message(payload: bytes) -> Message:
    """Return what *payload* says; raise `MalformedMessage` naming the first field at fault."""
    if len(payload) > MAX_MESSAGE_BYTES:
        raise MalformedMessage(reason="too_large")
    document = _json_object(payload)
    message: Message
    match _take(document, "schema", str):
        case "sale/1":
            message = _sale(document)
        case "reading/1":
            message = _reading(document)
        case "gap/1":
            message = _gap(document)
        case _:
            raise MalformedMessage(reason="unknown_schema", field="schema")
    _refuse_rest(document)
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
    for body, name in (("sale", "sale_id"), ("reading", "reading_id"), ("gap", "gap_id")):
        part = document.get(body)
        if isinstance(part, dict) and isinstance(part.get(name), str):
            identifier: str = part[name]
            return identifier[:256].encode("utf-8", "replace").decode()
    return None


def _json_object(payload: bytes) -> dict[str, Any]:
    try:
        document = json.loads(
            payload.decode("utf-8"),
            parse_constant=_refuse_constant,
            object_pairs_hook=_refuse_repeated_names,
        )
    except (ValueError, RecursionError) as fault:
        raise MalformedMessage(reason="not_json") from fault
    if not isinstance(document, dict):
        raise MalformedMessage(reason="not_an_object")
    return document


def _refuse_constant(name: str) -> None:
    """Refuse `NaN` and `Infinity`, which Python reads and JSON does not have."""
    raise ValueError(name)


def _refuse_repeated_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an amount said twice: readers differ in which they believe (RFC 8259, 4)."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError
    return found


def _sale(document: dict[str, Any]) -> SaleMessage:
    sent_at = _instant(document, "sent_at")
    body: dict[str, Any] = _take(document, "sale", dict)
    path = "sale."
    sale_id = _take(body, "sale_id", str, path)
    station_id = _match(body, "station_id", STATION_ID, path)
    device_serial = _match(body, "device_serial", DEVICE_SERIAL, path)
    sale = Sale(
        key=SaleKey(
            completed_at=_whole_second(body, "completed_at", path),
            station_id=station_id,
            device_serial=device_serial,
            nozzle=_integer(body, "nozzle", 1, MAX_NOZZLE, path),
            transaction=_integer(body, "transaction", 0, MAX_TRANSACTION, path),
            totalizer_ml=_integer(body, "totalizer_ml", 0, MAX_TOTALIZER_ML, path),
        ),
        grade=_match(body, "grade", GRADE, path),
        unit_price_milli_per_litre=_integer(
            body, "unit_price_milli_per_litre", 0, MAX_UNIT_PRICE, path
        ),
        volume_ml=_integer(body, "volume_ml", 0, MAX_VOLUME_ML, path),
        amount_fen=_integer(body, "amount_fen", 0, MAX_AMOUNT_FEN, path),
        volume_resolution_ml=_integer(body, "volume_resolution_ml", 1, 1000, path),
        started_at=_instant_or_null(body, "started_at", path),
        recorded_at=_instant(body, "recorded_at", path),
        clock_offset_seconds=_integer_or_null(
            body, "clock_offset_seconds", MAX_CLOCK_OFFSET_SECONDS, path
        ),
        clock_synchronised=_take(body, "clock_synchronised", bool, path),
        test_delivery=_take(body, "test_delivery", bool, path),
        evidence=_evidence(body, path),
    )
    _refuse_rest(body, path)
    if sale.sale_id != sale_id:
        raise MalformedMessage(reason="id_does_not_fit", field="sale.sale_id")
    return SaleMessage(sent_at=sent_at, sale=sale)


def _evidence(body: dict[str, Any], path: str) -> tuple[Evidence, ...]:
    items: list[Any] = _take(body, "evidence", list, path)
    if len(items) > MAX_EVIDENCE:
        raise MalformedMessage(reason="too_many", field=path + "evidence")
    found = []
    for index, item in enumerate(items):
        at = f"{path}evidence[{index}]."
        if not isinstance(item, dict):
            raise MalformedMessage(reason="wrong_type", field=at.rstrip("."))
        part = dict(item)
        kind = _take(part, "kind", str, at)
        if kind not in set(EvidenceKind):
            raise MalformedMessage(reason="unknown_kind", field=at + "kind")
        found.append(
            Evidence(
                kind=EvidenceKind(kind),
                value=_text(part, "value", 64, at),
                confidence=(
                    _integer(part, "confidence", 0, 100, at) if "confidence" in part else None
                ),
                character_confidences=_percentages(part, "character_confidences", at),
                source=_text(part, "source", 32, at) if "source" in part else None,
            )
        )
        _refuse_rest(part, at)
    return tuple(found)


def _percentages(part: dict[str, Any], name: str, at: str) -> tuple[int, ...]:
    if name not in part:
        return ()
    values: list[Any] = _take(part, name, list, at)
    if len(values) > MAX_CHARACTERS:
        raise MalformedMessage(reason="too_many", field=at + name)
    indexed = {f"{name}[{index}]": value for index, value in enumerate(values)}
    return tuple(_integer(indexed, each, 0, 100, at) for each in list(indexed))


def _reading(document: dict[str, Any]) -> ReadingMessage:
    sent_at = _instant(document, "sent_at")
    body: dict[str, Any] = _take(document, "reading", dict)
    path = "reading."
    reading_id = _take(body, "reading_id", str, path)
    station_id = _match(body, "station_id", STATION_ID, path)
    read_at = _whole_second(body, "read_at", path)
    items: list[Any] = _take(body, "nozzles", list, path)
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
                nozzle=_integer(part, "nozzle", 1, MAX_NOZZLE, at),
                device_serial=_match(part, "device_serial", DEVICE_SERIAL, at),
                totalizer_ml=_integer(part, "totalizer_ml", 0, MAX_TOTALIZER_ML, at),
                transaction=_integer(part, "transaction", 0, MAX_TRANSACTION, at),
            )
        )
        _refuse_rest(part, at)
    _refuse_rest(body, path)
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
    sent_at = _instant(document, "sent_at")
    body: dict[str, Any] = _take(document, "gap", dict)
    path = "gap."
    gap_id = _take(body, "gap_id", str, path)
    message = GapMessage(
        sent_at=sent_at,
        message_id=gap_id,
        station_id=_match(body, "station_id", STATION_ID, path),
        device_serial=_match(body, "device_serial", DEVICE_SERIAL, path),
        nozzle=_integer(body, "nozzle", 1, MAX_NOZZLE, path),
        found_at=_whole_second(body, "found_at", path),
        first_transaction=_integer(body, "first_transaction", 0, MAX_TRANSACTION, path),
        last_transaction=_integer(body, "last_transaction", 0, MAX_TRANSACTION, path),
        missing_ml=_integer(body, "missing_ml", 0, MAX_TOTALIZER_ML, path),
    )
    _refuse_rest(body, path)
    expected = (
        f"{compact_instant(message.found_at)}.{message.station_id}"
        f".{message.device_serial}.{message.nozzle}.{message.last_transaction}"
    )
    if gap_id != expected:
        raise MalformedMessage(reason="id_does_not_fit", field="gap.gap_id")
    return message


def _take(body: dict[str, Any], name: str, kind: type[_T], path: str = "") -> _T:
    """Remove *name* from *body*, so that what is left over at the end was not asked for."""
    if name not in body:
        raise MalformedMessage(reason="missing", field=path + name)
    value = body.pop(name)
    if type(value) is not kind:
        raise MalformedMessage(reason="wrong_type", field=path + name)
    return value


def _refuse_rest(body: dict[str, Any], path: str = "") -> None:
    """Refuse what nobody asked for: a misspelt optional field must not vanish unnoticed."""
    if body:
        name = min(body).encode("ascii", "backslashreplace").decode()
        raise MalformedMessage(reason="unexpected", field=path + name[:64])


def _integer(body: dict[str, Any], name: str, low: int, high: int, path: str) -> int:
    value = _take(body, name, int, path)
    if not low <= value <= high:
        raise MalformedMessage(reason="out_of_range", field=path + name)
    return value


def _integer_or_null(body: dict[str, Any], name: str, limit: int, path: str) -> int | None:
    if name in body and body[name] is None:
        return body.pop(name)  # type: ignore[no-any-return]
    return _integer(body, name, -limit, limit, path)


def _text(body: dict[str, Any], name: str, longest: int, path: str) -> str:
    value = _take(body, name, str, path)
    if not 1 <= len(value) <= longest:
        raise MalformedMessage(reason="out_of_range", field=path + name)
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise MalformedMessage(reason="lone_surrogate", field=path + name)
    return value


def _match(body: dict[str, Any], name: str, pattern: re.Pattern[str], path: str) -> str:
    value = _take(body, name, str, path)
    if not pattern.fullmatch(value):
        raise MalformedMessage(reason="out_of_range", field=path + name)
    return value


def _instant(body: dict[str, Any], name: str, path: str = "") -> datetime:
    value = _take(body, name, str, path)
    try:
        instant = parse_instant(value)
    except ValueError:
        raise MalformedMessage(reason="not_an_instant", field=path + name) from None
    if instant.year not in YEARS:
        raise MalformedMessage(reason="out_of_range", field=path + name)
    return instant


def _instant_or_null(body: dict[str, Any], name: str, path: str) -> datetime | None:
    if name in body and body[name] is None:
        return body.pop(name)  # type: ignore[no-any-return]
    return _instant(body, name, path)


def _whole_second(body: dict[str, Any], name: str, path: str) -> datetime:
    """Take an instant that becomes part of an id, which has room for whole seconds only."""
    value = _instant(body, name, path)
    if value.microsecond:
        raise MalformedMessage(reason="not_a_whole_second", field=path + name)
    return value
