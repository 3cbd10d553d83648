"""
Plate cameras that push to the station's gateway the way Hikvision's do, and the till.

A camera posts `multipart/form-data` with `anpr.xml` and pictures. The plate may carry its colour
as a prefix (`蓝浙A12345`); the same event is posted again, marked as a retransmission, until it
is accepted. Cameras misread, miss cars and tell things twice; how often is configured.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

from forecourt_simulator.errors import DeliveryFailed
from forecourt_simulator.pictures import plate_picture
from forecourt_simulator.plates import Energy, PlateColour, energy_of, misread
from forecourt_simulator.push import check_url, post

if TYPE_CHECKING:
    from collections.abc import Mapping

    from forecourt.sales import Evidence
    from forecourt_simulator.ring import FinishedSale

_BOUNDARY = "---------------------------7e13971310878"
_NAMESPACE = "http://www.hikvision.com/ver20/XMLSchema"
_COLOUR_PREFIX = {PlateColour.BLUE: "蓝", PlateColour.YELLOW: "黄", PlateColour.GREEN: "绿"}
_SURE = (88, 99)
_DOUBTFUL = (52, 79)
_PERCENT = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Eyesight:
    """
    How well a camera sees; shares are in percent of the cars.

    `clock_offset_seconds` is how far its clock is ahead: cameras' clocks are rarely right.
    """

    misread_percent: int = 3
    missed_percent: int = 1
    repeated_percent: int = 5
    colour_prefix_percent: int = 30
    clock_offset_seconds: int = 0
    zone: str = "Asia/Shanghai"

    def __post_init__(self) -> None:
        shares = (self.misread_percent, self.missed_percent)
        for share in (*shares, self.repeated_percent, self.colour_prefix_percent):
            if not 0 <= share <= _PERCENT:
                raise ValueError(share)
        ZoneInfo(self.zone)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlateEvent:
    """One plate as a camera read it; `confidences` are those of its characters, in percent."""

    event_id: str
    plate: str
    colour: PlateColour
    with_prefix: bool
    confidences: tuple[int, ...]
    lane: int
    seen_at: datetime
    posted_before: int = 0

    @property
    def confidence(self) -> int:
        return min(self.confidences)


class Camera:
    """
    One camera; `lanes` says which nozzle a car in each lane of its picture stands at.

    *seed* decides what it misreads: the same car on the same occasion is read the same.
    """

    def __init__(
        self,
        *,
        name: str,
        url: str,
        lanes: Mapping[int, int],
        seed: int = 0,
        eyesight: Eyesight | None = None,
        attempts: int = 4,
        pause_seconds: float = 0.5,
    ) -> None:
        self.name = name
        self.url = f"{check_url(url)}/cameras/{name}"
        self.lanes = dict(lanes)
        self.eyesight = eyesight or Eyesight()
        self.attempts = attempts
        self.pause_seconds = pause_seconds
        self._seed = seed
        self._zone = ZoneInfo(self.eyesight.zone)

    def look(
        self, plate: str, *, nozzle: int, at: datetime, occasion: int = 0, truck: bool = False
    ) -> PlateEvent | None:
        """
        Return what the camera makes of the car at *nozzle*, `None` if it misses it.

        *occasion* tells the visits of one car apart.
        """
        rng = Random(f"{self._seed} {self.name} {plate} {occasion}")
        eyesight = self.eyesight
        # Every car draws the same numbers whatever becomes of it, so that one share can be
        # changed without changing what the others do.
        missed = rng.randrange(_PERCENT) < eyesight.missed_percent
        misreads = rng.randrange(_PERCENT) < eyesight.misread_percent
        with_prefix = rng.randrange(_PERCENT) < eyesight.colour_prefix_percent
        event_id = str(uuid.UUID(int=rng.getrandbits(128), version=4))
        confidences = [rng.randint(*_SURE) for _ in plate]
        read = plate
        if misreads:
            read, place = misread(rng, plate)
            confidences[place] = rng.randint(*_DOUBTFUL)
        if missed:
            return None
        return PlateEvent(
            event_id=event_id,
            plate=read,
            colour=colour_of(plate, truck=truck),
            with_prefix=with_prefix,
            confidences=tuple(confidences),
            lane=next(lane for lane, seen in self.lanes.items() if seen == nozzle),
            seen_at=at,
        )

    def tells_twice(self, event: PlateEvent) -> bool:
        """Whether the camera posts *event* again although it was accepted."""
        return (
            Random(event.event_id + " again").randrange(_PERCENT) < self.eyesight.repeated_percent
        )

    async def push(self, event: PlateEvent) -> None:
        """
        Post *event*, again and marked as such until it is accepted.

        Raises `DeliveryFailed` after the last attempt.
        """
        for attempt in range(self.attempts):
            if attempt:
                await asyncio.sleep(self.pause_seconds)
            try:
                await self._post(replace(event, posted_before=attempt))
            except DeliveryFailed:
                if attempt + 1 == self.attempts:
                    raise
            else:
                break
        if self.tells_twice(event):
            await self._post(replace(event, posted_before=1))

    async def _post(self, event: PlateEvent) -> None:
        content_type, body = self.body(event)
        await post(self.url, body, content_type=content_type)

    def body(self, event: PlateEvent) -> tuple[str, bytes]:
        """Return content type and body of the post for *event*."""
        picture = plate_picture(event.plate)
        parts = (
            ("anpr.xml", "text/xml", self._alert(event)),
            ("licensePlatePicture.jpg", "image/jpeg", picture),
        )
        chunks = []
        for name, content_type, content in parts:
            head = (
                f"--{_BOUNDARY}\r\n"
                f'Content-Disposition: form-data; name="{name}"; filename="{name}"\r\n'
                f"Content-Type: {content_type}\r\n"
                f"Content-Length: {len(content)}\r\n\r\n"
            )
            chunks.append(head.encode() + content + b"\r\n")
        body = b"".join(chunks) + f"--{_BOUNDARY}--\r\n".encode()
        return f"multipart/form-data; boundary={_BOUNDARY}", body

    def _alert(self, event: PlateEvent) -> bytes:
        shown_at = event.seen_at.astimezone(self._zone)
        shown_at += timedelta(seconds=self.eyesight.clock_offset_seconds)
        prefix = _COLOUR_PREFIX[event.colour] if event.with_prefix else ""
        alert = ET.Element("EventNotificationAlert", version="2.0", xmlns=_NAMESPACE)
        _fill(
            alert,
            ipAddress="192.168.1.64",
            portNo=80,
            protocol="HTTP",
            channelID=1,
            dateTime=shown_at.isoformat(timespec="seconds"),
            activePostCount=event.posted_before + 1,
            eventType="ANPR",
            eventState="active",
            eventDescription="ANPR",
            channelName=self.name,
            deviceID=self.name,
        )
        anpr = ET.SubElement(alert, "ANPR")
        _fill(
            anpr,
            licensePlate=prefix + event.plate,
            line=event.lane,
            direction="forward",
            confidenceLevel=event.confidence,
            plateType="92TypeCivil",
            plateColor=event.colour,
            plateCharBelieve=",".join(str(confidence) for confidence in event.confidences),
        )
        picture = ET.SubElement(ET.SubElement(anpr, "pictureInfoList"), "pictureInfo")
        _fill(
            picture,
            fileName="licensePlatePicture.jpg",
            type="licensePlatePicture",
            dataType=0,
            absTime=shown_at.strftime("%Y%m%d%H%M%S") + f"{shown_at.microsecond // 1000:03}",
        )
        _fill(
            alert,
            UUID=event.event_id,
            picNum=1,
            isDataRetransmission="true" if event.posted_before else "false",
        )
        document: bytes = ET.tostring(alert, encoding="utf-8", xml_declaration=True)
        return document


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What the till has printed of a sale: its own number, and when."""

    told_id: str
    told_at: datetime
    sale: FinishedSale


class Till:
    """
    The point of sale: tells the gateway who stands at a nozzle, and what was paid.

    The first before the nozzle is hung up, the second (`print_receipt`) afterwards.
    """

    def __init__(self, *, url: str, token: str | None = None) -> None:
        base = check_url(url)
        self.url = f"{base}/evidence"
        self.tellings_url = f"{base}/tellings"
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def report(self, nozzle: int, evidence: Evidence) -> None:
        """Post one piece of evidence; raises `DeliveryFailed`."""
        document = {"nozzle": nozzle, "kind": evidence.kind.value, "value": evidence.value}
        await self._post(self.url, document)

    async def tell(self, receipt: Receipt) -> None:
        """Post what was sold; raises `DeliveryFailed`, after which it may be told again."""
        await self._post(
            self.tellings_url,
            {
                "told_id": receipt.told_id,
                "told_at": receipt.told_at.isoformat(timespec="seconds"),
                "amount_fen": receipt.sale.amount_fen,
                "nozzle": receipt.sale.nozzle,
                "volume_ml": receipt.sale.volume_ml,
            },
        )

    async def _post(self, url: str, document: Mapping[str, object]) -> None:
        body = json.dumps(document, ensure_ascii=False).encode()
        await post(url, body, content_type="application/json", headers=self._headers)


def colour_of(plate: str, *, truck: bool = False) -> PlateColour:
    if energy_of(plate) in (Energy.HYBRID, Energy.ELECTRIC):
        return PlateColour.GREEN
    return PlateColour.YELLOW if truck else PlateColour.BLUE


def _fill(parent: ET.Element, **values: object) -> None:
    for name, value in values.items():
        ET.SubElement(parent, name).text = str(value)
