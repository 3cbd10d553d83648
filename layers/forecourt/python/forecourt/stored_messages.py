"""
What the Sales table holds of stations' messages that are no sales, and how it is written down.

Readings of totalizers, gaps in a pump's numbers, and messages in quarantine; `sales_table` has
the design of the table.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from forecourt.attributes import Item, from_item, to_item
from forecourt.instants import format_instant, parse_instant
from forecourt.messages import NozzleReading
from forecourt.stored_sales import Queue
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from forecourt.messages import GapMessage, ReadingMessage

QUARANTINE_KEPT = timedelta(days=180)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantinedMessage:
    """A message that is no sale, as it came."""

    station_id: str
    message_id: str
    topic: str
    reason: str
    field: str
    payload: bytes
    received_at: datetime


def reading_to_item(reading: ReadingMessage) -> Item:
    """Encode a totalizer reading."""
    return to_item(
        {
            "pk": f"STATION#{reading.station_id}",
            "sk": f"READING#{reading.message_id}",
            "type": "reading",
            "read_at": format_instant(reading.read_at),
            "nozzles": [
                {
                    "nozzle": each.nozzle,
                    "device_serial": each.device_serial,
                    "totalizer_ml": each.totalizer_ml,
                    "transaction": each.transaction,
                }
                for each in reading.nozzles
            ],
        }
    )


def reading_from_item(
    item: Mapping[str, Mapping[str, Any]],
) -> tuple[datetime, tuple[NozzleReading, ...]]:
    """Decode when the totalizers were read, and where each stood."""
    values = from_item(item)
    return (
        parse_instant(values["read_at"]),
        tuple(NozzleReading(**each) for each in values["nozzles"]),
    )


def gap_to_item(gap: GapMessage) -> Item:
    """Encode that transactions were lost."""
    return to_item(
        {
            "pk": f"STATION#{gap.station_id}",
            "sk": f"GAP#{gap.message_id}",
            "type": "gap",
            "device_serial": gap.device_serial,
            "nozzle": gap.nozzle,
            "found_at": format_instant(gap.found_at),
            "first_transaction": gap.first_transaction,
            "last_transaction": gap.last_transaction,
            "missing_ml": gap.missing_ml,
        }
    )


def quarantined_to_item(message: QuarantinedMessage) -> Item:
    """Encode a quarantined message; the table forgets it after `QUARANTINE_KEPT`."""
    received = format_instant(message.received_at)
    return to_item(
        {
            "pk": f"QUARANTINE#{message.station_id}",
            "sk": f"{received}#{message.message_id}",
            "type": "quarantined",
            "topic": message.topic,
            "reason": message.reason,
            "field": message.field,
            "payload": message.payload,
            "queue": Queue.QUARANTINED,
            "queued_at": received,
            "expires_at_epoch": int((message.received_at + QUARANTINE_KEPT).timestamp()),
        }
    )


def quarantined_from_item(item: Mapping[str, Mapping[str, Any]]) -> QuarantinedMessage:
    """Decode a quarantined message."""
    values = from_item(item)
    _, _, message_id = values["sk"].partition("#")
    return QuarantinedMessage(
        station_id=values["pk"].removeprefix("QUARANTINE#"),
        message_id=message_id,
        topic=values["topic"],
        reason=values["reason"],
        field=values["field"],
        payload=values["payload"],
        received_at=parse_instant(values["queued_at"]),
    )
