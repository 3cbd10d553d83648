"""
Take what stations tell: store it once, then acknowledge it.

The station repeats a message until it is acknowledged, and the queue repeats it when this
function fails half-way; both find the sale stored and are answered like the first time.
What cannot be read, or comes from a station that is not ours, goes to the quarantine with
its reason, and the station is told to stop sending it.
"""

from __future__ import annotations

import base64
import json
import time
from collections import defaultdict
from dataclasses import field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from forecourt.errors import InvalidIdentity, MalformedMessage
from forecourt.evidence import evidence_to_document, spelling
from forecourt.identity_keys import IdentityKeys
from forecourt.messages import (
    GapMessage,
    ReadingMessage,
    SaleMessage,
    TellingMessage,
    claimed_id,
    read_message,
)
from forecourt.queues import each_by_itself
from forecourt.retold_sales import RetoldSales
from forecourt.sales import contradictions, doubts_about
from forecourt.sales_table import SalesTable
from forecourt.sealing import Sealer
from forecourt.settings import Settings
from forecourt.stations_table import Station, StationsTable
from forecourt.stored_messages import QuarantinedMessage
from forecourt.stored_sales import Status, StoredSale, keyed_under
from forecourt.stored_tellings import StoredTelling, told_by_pump
from forecourt.values import dataclass

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from forecourt.messages import Message
    from forecourt.retellings import Telling
    from forecourt.sales import Evidence, Sale
    from forecourt.stored_sales import KeyedEvidence

STATION_REMEMBERED_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestSettings(Settings):
    sales_table: str
    loyalty_table: str
    identity_secret_id: str
    ring_remembered_seconds: str
    seal_key_id: str


settings = IngestSettings.from_env()
logger = Logger()
metrics = Metrics()

_dynamodb = boto3.client("dynamodb")
sales = SalesTable(_dynamodb, name=settings.sales_table)
retold = RetoldSales(_dynamodb, sales=settings.sales_table, loyalty=settings.loyalty_table)
stations = StationsTable(_dynamodb, name=settings.loyalty_table)
sealer = Sealer(boto3.client("kms"), key_id=settings.seal_key_id)
iot_data = boto3.client("iot-data")
identity_keys = IdentityKeys(
    lambda: boto3.client("secretsmanager"),
    secret_id=settings.identity_secret_id,
    remembered_seconds=int(settings.ring_remembered_seconds),
)


@metrics.log_metrics
@logger.inject_lambda_context
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    answers = Answers()

    def take(record: dict[str, Any]) -> None:
        delivery = delivery_from(record)
        answers.add(delivery.station_id, intake(delivery))

    left = each_by_itself(event["Records"], take, logger=logger, context=context)
    for station_id, document in answers.documents():
        iot_data.publish(
            topic=f"forecourt/{station_id}/down/acks", qos=1, payload=json.dumps(document)
        )
    return left


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message as the topic rule hands it over; the topic names who sent it."""

    message_id: str
    topic: str
    station_id: str
    topic_end: str
    payload: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the station is told of one message; `reason` is `None` when it was accepted."""

    id: str | None
    reason: str | None = None


@dataclass(slots=True)
class Answers:
    """The answers of a batch, one document per station."""

    _by_station: dict[str, list[Answer]] = field(default_factory=lambda: defaultdict(list))

    def add(self, station_id: str, answer: Answer) -> None:
        if answer.id is not None:  # without an id there is nothing a station could look up
            self._by_station[station_id].append(answer)

    def documents(self) -> list[tuple[str, dict[str, Any]]]:
        return [
            (
                station_id,
                {
                    "schema": "ack/1",
                    "accepted": [each.id for each in answers if each.reason is None],
                    "refused": [
                        {"id": each.id, "reason": each.reason}
                        for each in answers
                        if each.reason is not None
                    ],
                },
            )
            for station_id, answers in self._by_station.items()
        ]


def delivery_from(record: dict[str, Any]) -> Delivery:
    """Unpack what the topic rule put on the queue; it is our own rule, so a fault propagates."""
    body = json.loads(record["body"])
    _, station_id, _, topic_end = body["topic"].split("/")
    return Delivery(
        message_id=record["messageId"],
        topic=body["topic"],
        station_id=station_id,
        topic_end=topic_end,
        payload=base64.b64decode(body["payload"]),
        received_at=datetime.fromtimestamp(body["received_at_ms"] / 1000, UTC),
    )


def intake(delivery: Delivery) -> Answer:
    """Store what *delivery* says, or quarantine it, and return the answer to its sender."""
    try:
        message = read_message(delivery.payload)
        station = station_of(delivery, message)
    except MalformedMessage as fault:
        quarantine(delivery, fault)
        return Answer(id=claimed_id(delivery.payload), reason=fault.reason)
    match message:
        case SaleMessage():
            stored = store_sale(message, station=station, received_at=delivery.received_at)
            # One that a telling has joined since was looked around for then.
            if station.retold and stored.sale.dispensed and not stored.told:
                reunite(told_by_pump(stored), now=delivery.received_at)
        case TellingMessage():
            store_telling(message, station=station, received_at=delivery.received_at)
        case ReadingMessage():
            sales.add_reading(message)
        case GapMessage():
            sales.add_gap(message)
            metrics.add_metric(name="TransactionsLost", unit=MetricUnit.Count, value=1)
            logger.warning("transactions lost", gap_id=message.message_id)
    return Answer(id=message.message_id)


def station_of(delivery: Delivery, message: Message) -> Station:
    """Return the station that sent *message*; refuse one that speaks for another."""
    if delivery.topic_end != message.topic:
        raise MalformedMessage(reason="wrong_topic", field="schema")
    if message.station_id != delivery.station_id:
        raise MalformedMessage(reason="speaks_for_another", field="station_id")
    station = remembered_station(delivery.station_id)
    if station is None or not sells(station, message):
        # It may be registered, or sell that, since then; the answer to a station is final.
        station = remembered_station(delivery.station_id, anew=True)
    if station is None:
        raise MalformedMessage(reason="unknown_station", field="station_id")
    return station


def sells(station: Station, message: Message) -> bool:
    """Return whether *station* is known to sell what *message* tells of, if it tells of a sale."""
    return not isinstance(message, SaleMessage) or message.sale.grade in station.grades


def store_sale(message: SaleMessage, *, station: Station, received_at: datetime) -> StoredSale:
    """Store a sale with its evidence hashed and sealed, held when it does not add up."""
    sale = message.sale
    doubts = doubts_about(
        sale,
        grades=station.grades,
        open_since=station.open_since,
        sent_at=message.sent_at,
        received_at=received_at,
    )
    status = initial_status(sale, doubts=doubts)
    # Who got nothing is nobody's business, and would be nobody's to forget.
    evidence = () if status is Status.VOID else sale.evidence
    stored = StoredSale(
        sale=sale,
        status=status,
        received_at=received_at,
        local_hour=sale.key.completed_at.astimezone(ZoneInfo(station.zone)).hour,
        evidence=hashed(evidence),
        sealed=sealed(evidence, name=sale.sale_id),
        doubts=tuple(doubts),
    )
    known = sales.add(stored)
    if known is not None:
        note_repeat(sale, known.sale)
        return known
    metrics.add_metric(name="SalesStored", unit=MetricUnit.Count, value=1)
    if doubts:
        metrics.add_metric(name="SalesHeld", unit=MetricUnit.Count, value=1)
    logger.info("sale stored", sale_id=sale.sale_id, status=stored.status, doubts=doubts)
    return stored


def store_telling(message: TellingMessage, *, station: Station, received_at: datetime) -> None:
    """Store what a till or payment provider tells, and let it join the sale it tells of."""
    stored = StoredTelling(
        telling=message.telling,
        received_at=received_at,
        evidence=hashed(message.evidence),
        sealed=sealed(message.evidence, name=message.message_id),
    )
    known = retold.add(stored)
    if known is not None and known.telling != stored.telling:
        # The first telling stands, as a sale's does; whoever tells otherwise is at fault.
        metrics.add_metric(name="TellingsContradicted", unit=MetricUnit.Count, value=1)
        logger.warning("telling contradicted", telling_id=message.message_id)
        return
    if known is not None and known.settled:
        return  # it has its sale, or a person has said that there is none
    if not station.retold:
        stations.note_retold(station.station_id)
        _stations.pop(station.station_id, None)
    reunite(message.telling, now=received_at)


def reunite(telling: Telling, *, now: datetime) -> None:
    """Let all that is told of one sale come together."""
    one = retold.reunite(telling, now=now)
    logger.info(
        "sale told",
        sale_id=one.pump.told_id if one.pump else None,
        sources=one.sources,
        conflict=one.held_because,
    )
    if one.held_because:
        metrics.add_metric(name="TellingsInConflict", unit=MetricUnit.Count, value=1)


def sealed(evidence: tuple[Evidence, ...], *, name: str) -> bytes | None:
    """Return the values of *evidence* sealed as part of the sale or telling *name*."""
    if not evidence:
        return None
    return sealer.seal(evidence_to_document(evidence), context={"sale_id": name})


def note_repeat(sale: Sale, known: Sale) -> None:
    """Count a repeat. One that says something else has no more effect, but shows a fault."""
    metrics.add_metric(name="SalesRepeated", unit=MetricUnit.Count, value=1)
    fields = contradictions(known, sale)
    if fields:
        metrics.add_metric(name="SalesContradicted", unit=MetricUnit.Count, value=1)
        logger.warning("sale contradicted", sale_id=sale.sale_id, fields=fields)
    else:
        logger.info("sale repeated", sale_id=sale.sale_id)


def initial_status(sale: Sale, *, doubts: list[Any]) -> Status:
    """Return where *sale* starts: in doubt it is held, and without a drop it is void."""
    if doubts:
        return Status.HELD
    return Status.RECEIVED if sale.dispensed else Status.VOID


def hashed(evidence: tuple[Evidence, ...]) -> tuple[KeyedEvidence, ...]:
    """Return the keys of *evidence*; what cannot be an identity (a misread) gets none."""
    return tuple(found for each in evidence if (found := keyed(each)))


def keyed(evidence: Evidence) -> KeyedEvidence | None:
    """Return *evidence* without its value."""
    try:
        spelt = spelling(evidence)
    except InvalidIdentity as fault:
        logger.info("evidence unusable", kind=fault.kind, reason=fault.reason)
        return None
    return keyed_under(
        identity_keys(),
        evidence.kind,
        spelt,
        confidence=evidence.confidence,
        source=evidence.source,
    )


def quarantine(delivery: Delivery, fault: MalformedMessage) -> None:
    """Keep what could not be accepted, for a person to look at."""
    sales.quarantine(
        QuarantinedMessage(
            station_id=delivery.station_id,
            message_id=delivery.message_id,
            topic=delivery.topic,
            reason=fault.reason,
            field=fault.field,
            payload=delivery.payload,
            received_at=delivery.received_at,
        )
    )
    metrics.add_metric(name="MessagesQuarantined", unit=MetricUnit.Count, value=1)
    logger.warning("message quarantined", station_id=delivery.station_id, reason=fault.reason)


_stations: dict[str, tuple[float, Station]] = {}


def remembered_station(station_id: str, *, anew: bool = False) -> Station | None:
    """
    Return a station, from memory when it was read within the last minute.

    *anew* reads it, consistently: as it was registered or changed a moment ago.
    """
    read_at, station = _stations.get(station_id, (0.0, None))
    if anew or station is None or time.monotonic() - read_at > STATION_REMEMBERED_SECONDS:
        station = stations.station(station_id, consistent=anew)
        if station is not None:
            _stations[station_id] = (time.monotonic(), station)
    return station
