"""
What a Hikvision camera pushes: `multipart/form-data` with `anpr.xml` and pictures.

Parsing is strict and refuses anything a camera does not send: document types, entities,
deep nesting.  Pictures are not looked at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.parsers import expat

from forecourt_edge.joining import tidy_plate

XML_BYTES_MAX = 256 * 1024
PARTS_MAX = 16
_DEPTH_MAX = 16
_BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_HEADERS_MAX = 4096
_PERCENT_MAX = 100


class Unreadable(Exception):
    """A push that is no camera event; `reason` is for the camera's installer."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class PlateRead:
    """
    One event of a camera; `plate` is `None` when it saw a car without a readable one.

    `character_confidences` has one percentage a character of the plate, or is empty.
    `shown_at` is the camera's own clock, which is wrong in practice, or `None`.
    """

    event_id: str
    plate: str | None
    confidence: int | None
    character_confidences: tuple[int, ...]
    lane: int | None
    shown_at: datetime | None
    retransmitted: bool


def read_push(content_type: str, body: bytes) -> PlateRead | None:
    """
    Return the event in a push, `None` for one that is not about plates (a heartbeat).

    Raises `Unreadable`.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        document = _alert_part(content_type, body)
    elif kind in {"application/xml", "text/xml"}:
        document = body
    else:
        raise Unreadable("neither multipart/form-data nor XML")
    if len(document) > XML_BYTES_MAX:
        raise Unreadable("XML too long")
    return _read_alert(_texts(document))


def _alert_part(content_type: str, body: bytes) -> bytes:
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise Unreadable("no boundary")
    delimiter = b"--" + (found[1] or found[2]).encode("latin-1")
    if not body.startswith(delimiter):
        raise Unreadable("does not begin with its boundary")
    if body.rstrip(b"\r\n")[-len(delimiter) - 2 :] != delimiter + b"--":
        raise Unreadable("does not end with its boundary")
    parts = body.split(b"\r\n" + delimiter)
    parts[0] = parts[0][len(delimiter) :]
    if len(parts) > PARTS_MAX + 1:
        raise Unreadable("too many parts")
    for part in parts[:-1]:
        head, separator, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        if not separator or len(head) > _HEADERS_MAX:
            raise Unreadable("a part without headers")
        headers = head.decode("latin-1").lower()
        if "xml" in headers:
            return content
    raise Unreadable("no XML part")


def _texts(document: bytes) -> dict[str, str]:
    """
    Return the text of each element by its path without namespaces, the first of each.

    Entities are what an XML bomb is made of and need a document type: that is refused
    before it is read, whatever the encoding.
    """
    texts: dict[str, str] = {}
    path: list[str] = []
    closed: set[str] = set()
    parser = expat.ParserCreate()

    def start(name: str, _: dict[str, str]) -> None:
        path.append(name.rpartition(":")[2])
        if len(path) > _DEPTH_MAX:
            raise Unreadable("XML nested too deeply")
        texts.setdefault("/".join(path), "")

    def data(text: str) -> None:
        name = "/".join(path)
        if name not in closed:
            texts[name] += text

    def end(_: str) -> None:
        closed.add("/".join(path))
        path.pop()

    def refuse(*_: object) -> None:
        raise Unreadable("XML with a document type")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = data
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(document, True)  # noqa: FBT003 - expat takes no keyword
    except expat.ExpatError as error:
        raise Unreadable(f"malformed XML: {expat.errors.messages[error.code]}") from error
    except (LookupError, ValueError) as error:
        raise Unreadable("XML in an unknown encoding") from error
    return {name: text.strip() for name, text in texts.items()}


def _read_alert(texts: dict[str, str]) -> PlateRead | None:
    root = "EventNotificationAlert"
    if root not in texts:
        raise Unreadable("no EventNotificationAlert")
    if texts.get(f"{root}/eventType", "").upper() != "ANPR":
        return None
    event_id = texts.get(f"{root}/UUID", "")
    if not re.fullmatch(r"[0-9A-Za-z-]{1,64}", event_id):
        raise Unreadable("no UUID")
    lane = texts.get(f"{root}/ANPR/laneNo") or texts.get(f"{root}/ANPR/line", "")
    plate = tidy_plate(texts.get(f"{root}/ANPR/licensePlate", ""))
    return PlateRead(
        event_id=event_id,
        plate=plate,
        confidence=_percent(texts.get(f"{root}/ANPR/confidenceLevel", "")),
        character_confidences=_percentages(
            texts.get(f"{root}/ANPR/plateCharBelieve", ""), characters=len(plate or "")
        ),
        lane=int(lane) if re.fullmatch(r"[0-9]{1,3}", lane) else None,
        shown_at=_instant(texts.get(f"{root}/dateTime", "")),
        retransmitted=texts.get(f"{root}/isDataRetransmission", "").lower() == "true",
    )


def _percent(text: str) -> int | None:
    return min(int(text), _PERCENT_MAX) if re.fullmatch(r"[0-9]{1,4}", text) else None


def _percentages(text: str, *, characters: int) -> tuple[int, ...]:
    """
    Return what the camera says of each character, or nothing.

    A list of another length cannot be told apart by character, nor can one with a value
    that is no percentage: it says nothing, and the plate counts as it was read.
    """
    found = [_percent(part.strip()) for part in text.split(",")]
    sure = tuple(each for each in found if each is not None)
    return sure if len(sure) == len(found) == characters else ()


def _instant(text: str) -> datetime | None:
    try:
        shown = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if shown.tzinfo is None else shown.astimezone(UTC)
