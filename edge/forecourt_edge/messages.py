"""What the station says to the cloud: bodies as they are stored, envelopes as they are sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from forecourt.instants import compact_instant, format_instant
from forecourt.retellings import telling_id_for
from forecourt.sales import sale_id_for
from forecourt_edge.outbox import Lane, Message

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from forecourt.baskets import Basket
    from forecourt.retellings import Telling
    from forecourt.sales import Evidence
    from forecourt_edge.layout import Transaction

MESSAGE_BYTES_MAX = 128 * 1024  # AWS IoT Core refuses a larger payload and drops the connection.
EVIDENCE_MAX = 8  # Ingest refuses a sale with more.

_BODY_NAMES = {
    Lane.SALES: "sale",
    Lane.READINGS: "reading",
    Lane.GAPS: "gap",
    Lane.TELLINGS: "telling",
}


def sale_message(
    sold: Transaction,
    *,
    station_id: str,
    device_serial: str,
    nozzle: int,
    grade: str,
    volume_resolution_ml: int,
    recorded_at: datetime,
    clock_offset_seconds: int | None,
    clock_synchronised: bool,
    evidence: Sequence[Evidence],
) -> Message:
    """
    Return the sale as the cloud will know it for ever.

    A device without a clock, or that recorded no time, is given the gateway's; the id is
    derived once, here, and stored with the message.
    """
    has_time = clock_offset_seconds is not None and sold.completed_at is not None
    completed_at = sold.completed_at if has_time and sold.completed_at else recorded_at
    sale_id = sale_id_for(
        completed_at=completed_at,
        station_id=station_id,
        device_serial=device_serial,
        nozzle=nozzle,
        transaction=sold.transaction,
        totalizer_ml=sold.totalizer_ml,
    )
    body: dict[str, Any] = {
        "sale_id": sale_id,
        "station_id": station_id,
        "device_serial": device_serial,
        "nozzle": nozzle,
        "transaction": sold.transaction,
        "grade": grade,
        "unit_price_milli_per_litre": sold.unit_price_milli_per_litre,
        "volume_ml": sold.volume_ml,
        "amount_fen": sold.amount_fen,
        "volume_resolution_ml": volume_resolution_ml,
        "totalizer_ml": sold.totalizer_ml,
        "started_at": format_instant(sold.started_at) if has_time and sold.started_at else None,
        "completed_at": format_instant(completed_at),
        "recorded_at": format_instant(recorded_at),
        "clock_offset_seconds": clock_offset_seconds,
        "clock_synchronised": clock_synchronised,
        "test_delivery": sold.test_delivery,
        "evidence": [_evidence_body(each) for each in evidence[:EVIDENCE_MAX]],
    }
    return Message(lane=Lane.SALES, message_id=sale_id, body=body)


def gap_message(
    *,
    station_id: str,
    device_serial: str,
    nozzle: int,
    found_at: datetime,
    first_transaction: int,
    last_transaction: int,
    missing_ml: int,
) -> Message:
    gap_id = f"{compact_instant(found_at)}.{station_id}.{device_serial}.{nozzle}.{last_transaction}"
    body = {
        "gap_id": gap_id,
        "station_id": station_id,
        "device_serial": device_serial,
        "nozzle": nozzle,
        "found_at": format_instant(found_at),
        "first_transaction": first_transaction,
        "last_transaction": last_transaction,
        "missing_ml": missing_ml,
    }
    return Message(lane=Lane.GAPS, message_id=gap_id, body=body)


def reading_message(
    *, station_id: str, read_at: datetime, nozzles: Sequence[dict[str, Any]]
) -> Message:
    """Each of *nozzles* has `nozzle`, `device_serial`, `totalizer_ml` and `transaction`."""
    reading_id = f"{compact_instant(read_at)}.{station_id}"
    body = {
        "reading_id": reading_id,
        "station_id": station_id,
        "read_at": format_instant(read_at),
        "nozzles": list(nozzles),
    }
    return Message(lane=Lane.READINGS, message_id=reading_id, body=body)


def telling_message(telling: Telling, *, evidence: Sequence[Evidence]) -> Message:
    """Return what a till or payment provider told; its id is theirs and the station's."""
    telling_id = telling_id_for(telling)
    body = {
        "telling_id": telling_id,
        "station_id": telling.station_id,
        "source": telling.source.value,
        "told_id": telling.told_id,
        "told_at": format_instant(telling.at),
        "amount_fen": telling.amount_fen,
        "nozzle": telling.nozzle,
        "volume_ml": telling.volume_ml,
        "evidence": [_evidence_body(each) for each in evidence],
    }
    if telling.basket is not None:
        body |= _receipt_body(telling.basket)
    return Message(lane=Lane.TELLINGS, message_id=telling_id, body=body)


def topic_for(station_id: str, lane: Lane) -> str:
    return f"forecourt/{station_id}/up/{lane}"


def acks_topic_for(station_id: str) -> str:
    return f"forecourt/{station_id}/down/acks"


def envelope(lane: Lane, body: dict[str, Any], sent_at: datetime) -> bytes:
    """Return the payload to publish; *sent_at* is the gateway's real clock, in whole seconds."""
    name = _BODY_NAMES[lane]
    document = {"schema": f"{name}/1", "sent_at": format_instant(sent_at), name: body}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def read_acknowledgement(payload: bytes) -> tuple[list[str], dict[str, str]]:
    """
    Return accepted ids and refused ids with their reasons; raise `ValueError` otherwise.

    Nothing is deleted on the word of a message that is not exactly an acknowledgement.
    """
    document = json.loads(payload)
    if not isinstance(document, dict) or document.get("schema") != "ack/1":
        raise ValueError("no ack/1 document")
    accepted, refused = document.get("accepted", []), document.get("refused", [])
    if not (isinstance(accepted, list) and isinstance(refused, list)):
        raise ValueError("accepted and refused must be lists")  # noqa: TRY004 - bad input, no bug
    if not all(isinstance(message_id, str) for message_id in accepted):
        raise ValueError("an accepted id is no string")
    reasons: dict[str, str] = {}
    for item in refused:
        if not isinstance(item, dict) or not isinstance(item.get("id"), str):
            raise ValueError("a refused item has no id")  # noqa: TRY004 - bad input, no bug
        reasons[item["id"]] = str(item.get("reason", "unknown"))[:200]
    return accepted, reasons


def _receipt_body(basket: Basket) -> dict[str, Any]:
    lines: list[dict[str, Any]] = [
        {"category": each.category.value, "amount_fen": each.amount_fen}
        | ({} if each.volume_ml is None else {"grade": each.grade, "volume_ml": each.volume_ml})
        for each in basket.lines
    ]
    payments = [{"by": each.by.value, "amount_fen": each.amount_fen} for each in basket.payments]
    return {"lines": lines} | ({"payments": payments} if payments else {})


def _evidence_body(evidence: Evidence) -> dict[str, Any]:
    body: dict[str, Any] = {"kind": evidence.kind.value, "value": evidence.value}
    if evidence.confidence is not None:
        body["confidence"] = evidence.confidence
    if evidence.character_confidences:
        body["character_confidences"] = list(evidence.character_confidences)
    if evidence.source is not None:
        body["source"] = evidence.source
    return body
