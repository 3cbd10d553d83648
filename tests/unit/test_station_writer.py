"""What the edge component writes, ingest reads: the two ends of one wire."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from forecourt.instants import parse_instant
from forecourt.messages import (
    GapMessage,
    ReadingMessage,
    SaleMessage,
    TellingMessage,
    read_message,
)
from forecourt.retellings import TOLD_ID, Source, Telling
from forecourt.sales import Evidence, EvidenceKind
from forecourt_edge.layout import Transaction
from forecourt_edge.messages import (
    acks_topic_for,
    envelope,
    gap_message,
    read_acknowledgement,
    reading_message,
    sale_message,
    telling_message,
    topic_for,
)
from forecourt_edge.outbox import Lane
from forecourt_edge.tellings import TillTelling
from tests.schemas import validator
from tests.specimens import CARD, PLATE, SALE, payload, sample

VALIDATORS = {
    Lane.SALES: validator("station/sale"),
    Lane.READINGS: validator("station/reading"),
    Lane.GAPS: validator("station/gap"),
    Lane.TELLINGS: validator("station/telling"),
}
SENT_AT = parse_instant("2026-11-23T08:15:03Z")
INSTANTS = st.datetimes(
    min_value=datetime(1970, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(2106, 2, 7),  # noqa: DTZ001
    timezones=st.just(UTC),
).map(lambda instant: instant.replace(microsecond=0))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=32)

SOLD = Transaction(
    transaction=4711,
    grade_code=1,
    started_at=SALE.started_at,
    completed_at=SALE.key.completed_at,
    unit_price_milli_per_litre=7560,
    volume_ml=39990,
    amount_fen=30232,
    totalizer_ml=123456789,
)


def said(lane: Lane, body: dict[str, Any]) -> Any:
    """Return what the cloud understands of a body, which satisfies its schema."""
    message = envelope(lane, body, SENT_AT)
    VALIDATORS[lane].validate(json.loads(message))
    understood = read_message(message)
    assert understood.topic == lane
    return understood


def test_the_sample_sale_is_what_the_edge_writes() -> None:
    message = sale_message(
        SOLD,
        station_id="s0001",
        device_serial="SN4711",
        nozzle=3,
        grade="92",
        volume_resolution_ml=10,
        recorded_at=SALE.recorded_at,
        clock_offset_seconds=-2,
        clock_synchronised=True,
        evidence=[PLATE, CARD],
    )

    assert envelope(message.lane, message.body, SENT_AT) == payload(sample("station/samples/sale"))
    assert message.message_id == SALE.sale_id


def test_the_sample_gap_and_reading_are_what_the_edge_writes() -> None:
    gap, reading = (sample(f"station/samples/{name}") for name in ("gap", "reading"))

    wrote_gap = gap_message(
        station_id="s0001",
        device_serial="SN4711",
        nozzle=3,
        found_at=parse_instant("2026-11-23T08:15:00Z"),
        first_transaction=4001,
        last_transaction=4711,
        missing_ml=1234500,
    )
    wrote_reading = reading_message(
        station_id="s0001",
        read_at=parse_instant("2026-11-23T16:00:00Z"),
        nozzles=reading["reading"]["nozzles"],
    )

    assert wrote_gap.body == gap["gap"]
    assert wrote_reading.body == reading["reading"]
    assert isinstance(said(Lane.GAPS, wrote_gap.body), GapMessage)
    assert isinstance(said(Lane.READINGS, wrote_reading.body), ReadingMessage)


def test_the_sample_telling_is_what_the_edge_writes() -> None:
    told = sample("station/samples/telling")
    telling = Telling(
        source=Source.TILL,
        told_id="R-20261123-0815",
        station_id="s0001",
        at=parse_instant("2026-11-23T08:17:30Z"),
        amount_fen=30232,
        nozzle=3,
        volume_ml=39990,
    )
    phone = Evidence(kind=EvidenceKind.PHONE, value="13812345678", source="till-1")

    wrote = telling_message(telling, evidence=[phone])

    assert wrote.body == told["telling"]
    understood = said(Lane.TELLINGS, wrote.body)
    assert isinstance(understood, TellingMessage)
    assert (understood.telling, understood.evidence) == (telling, (phone,))
    assert wrote.message_id == understood.message_id


@settings(max_examples=200, deadline=None)
@given(
    sold=st.builds(
        Transaction,
        transaction=st.integers(0, 65535),
        grade_code=st.integers(0, 9),
        started_at=st.none() | INSTANTS,
        completed_at=st.none() | INSTANTS,
        unit_price_milli_per_litre=st.integers(0, 10**6),
        volume_ml=st.integers(0, 10**8),
        amount_fen=st.integers(0, 10**9),
        totalizer_ml=st.integers(0, 10**13),
        test_delivery=st.booleans(),
    ),
    recorded_at=INSTANTS,
    offset=st.none() | st.integers(-(10**9), 10**9),
    evidence=st.lists(
        st.builds(
            Evidence,
            kind=st.sampled_from(EvidenceKind),
            value=TEXTS,
            confidence=st.none() | st.integers(0, 100),
            source=st.none() | TEXTS,
        ),
        max_size=12,
    ),
)
def test_whatever_sale_the_edge_writes_ingest_understands(
    sold: Transaction, recorded_at: datetime, offset: int | None, evidence: list[Evidence]
) -> None:
    message = sale_message(
        sold,
        station_id="s0001",
        device_serial="SN4711",
        nozzle=3,
        grade="92",
        volume_resolution_ml=10,
        recorded_at=recorded_at,
        clock_offset_seconds=offset,
        clock_synchronised=True,
        evidence=evidence,
    )

    understood = said(message.lane, message.body)

    assert isinstance(understood, SaleMessage)
    assert understood.message_id == message.message_id
    assert understood.sale.volume_ml == sold.volume_ml
    assert understood.sale.evidence == tuple(evidence[:8])
    assert understood.sent_at - SENT_AT == timedelta(0)


@settings(max_examples=200, deadline=None)
@given(
    told=st.fixed_dictionaries(
        {
            "source": st.sampled_from(["till", "payment"]),
            "told_id": st.from_regex(TOLD_ID, fullmatch=True),
            "told_at": st.datetimes(
                min_value=datetime(1999, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
                max_value=datetime(2101, 1, 1),  # noqa: DTZ001
                timezones=st.sampled_from([UTC, timezone(timedelta(hours=8))]),
            ).map(datetime.isoformat),
            "amount_fen": st.integers(-1, 10**9 + 1),
            "nozzle": st.none() | st.integers(0, 1000),
            "volume_ml": st.none() | st.integers(-1, 10**8 + 1),
            "evidence": st.lists(
                st.fixed_dictionaries({"kind": st.sampled_from(EvidenceKind), "value": TEXTS}),
                max_size=9,
            ),
        }
    )
)
def test_whatever_the_edge_takes_from_a_till_ingest_understands(told: dict[str, Any]) -> None:
    try:
        taken = TillTelling.model_validate(told)
    except ValidationError:
        return
    telling, evidence = taken.telling("s0001", None), taken.evidence_of()

    message = telling_message(telling, evidence=evidence)

    understood = said(message.lane, message.body)
    assert isinstance(understood, TellingMessage)
    assert understood.telling == telling
    assert understood.evidence == tuple(evidence)


def test_the_edge_understands_the_acknowledgement_the_schema_describes() -> None:
    acknowledgement = sample("station/samples/ack")
    validator("station/ack").validate(acknowledgement)

    accepted, refused = read_acknowledgement(payload(acknowledgement))

    assert accepted == acknowledgement["accepted"]
    assert refused == {each["id"]: each["reason"] for each in acknowledgement["refused"]}


def test_both_ends_name_the_same_topics() -> None:
    assert [topic_for("s0001", lane) for lane in Lane] == [
        f"forecourt/s0001/up/{message.topic}"
        for message in (SaleMessage, GapMessage, ReadingMessage, TellingMessage)
    ]
    assert acks_topic_for("s0001") == "forecourt/s0001/down/acks"
