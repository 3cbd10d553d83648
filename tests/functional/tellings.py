"""What tills and payment providers tell of the sample sale, and how it comes to ingest."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from forecourt.instants import format_instant
from forecourt.messages import TellingMessage, read_message
from forecourt.retellings import Source, telling_id_for
from forecourt.sales import Evidence, EvidenceKind
from tests.functional.world import sqs_record
from tests.specimens import RECEIVED_AT, payload, sample

if TYPE_CHECKING:
    from datetime import datetime

    from forecourt.retellings import Telling

PHONE = Evidence(kind=EvidenceKind.PHONE, value="13812345678", source="till-1")


def _told_by_till() -> Telling:
    message = read_message(payload(sample("station/samples/telling")))
    assert isinstance(message, TellingMessage)
    return message.telling


TILL = _told_by_till()
PAYMENT = replace(
    TILL, source=Source.PAYMENT, told_id="P-1", nozzle=None, volume_ml=None,
    at=TILL.at + timedelta(minutes=1),
)  # fmt: skip
ACCOUNT = Evidence(kind=EvidenceKind.PAYMENT, value="oUpF8uMuAJO_M2pxb1Q9zNjWeS6o")


def telling_record(
    telling: Telling = TILL, *evidence: Evidence, received_at: datetime = RECEIVED_AT
) -> dict[str, Any]:
    """Return the queue's record of a message that tells *telling*."""
    document = {
        "schema": "telling/1",
        "sent_at": format_instant(received_at),
        "telling": {
            "telling_id": telling_id_for(telling),
            "station_id": telling.station_id,
            "source": str(telling.source),
            "told_id": telling.told_id,
            "told_at": format_instant(telling.at),
            "amount_fen": telling.amount_fen,
            "nozzle": telling.nozzle,
            "volume_ml": telling.volume_ml,
            "evidence": [
                {"kind": str(each.kind), "value": each.value, "source": "till-1"}
                for each in evidence
            ],
        },
    }
    topic = f"forecourt/{telling.station_id}/up/tellings"
    return sqs_record(
        payload(document), topic=topic, message_id=telling.told_id, received_at=received_at
    )
