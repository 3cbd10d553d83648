"""What ingest does with what stations say: store once, answer always, lose nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from forecourt.attributes import from_item
from forecourt.messages import MAX_MESSAGE_BYTES
from forecourt.sales import Evidence, EvidenceKind
from forecourt.stored_sales import Queue, Status
from tests.functional.conftest import SALES_TABLE
from tests.functional.world import acknowledgements, key_of, sale_record, sqs_record
from tests.schemas import validator
from tests.specimens import CARD, PLATE, RECEIVED_AT, SALE, payload, sale, sale_document, sample

if TYPE_CHECKING:
    from types import ModuleType

    from tests.functional.world import World

ACKNOWLEDGEMENT = validator("station/ack")
TOO_LARGE = payload(sample("station/samples/sale")).ljust(MAX_MESSAGE_BYTES + 1)
OTHER = sale(transaction=4712, totalizer_ml=123_500_000)


@pytest.fixture
def ingest(world: World) -> ModuleType:
    """Return the handler as a fresh container loads it; one station is registered."""
    from functions.ingest import handler  # noqa: PLC0415 - its clients need the environment

    handler._stations.clear()
    handler.identity_keys.forget()
    world.register()
    return handler


def handled(ingest: ModuleType, context: Any, *records: dict[str, Any]) -> list[str]:
    """Handle a batch; return the ids of messages the queue is to bring again."""
    response = ingest.handle({"Records": list(records)}, context)
    return [failure["itemIdentifier"] for failure in response["batchItemFailures"]]


def accepted() -> list[str]:
    answers = acknowledgements()
    for topic, document in answers:
        ACKNOWLEDGEMENT.validate(document)
        assert topic == "forecourt/s0001/down/acks"
    return [each for _, document in answers for each in document["accepted"]]


def refused() -> list[tuple[str, str]]:
    return [
        (each["id"], each["reason"])
        for _, document in acknowledgements()
        for each in document["refused"]
    ]


def test_a_sale_is_stored_as_it_was_told_and_acknowledged(
    ingest: ModuleType, world: World, context: Any
) -> None:
    failures = handled(ingest, context, sale_record(SALE))

    stored = world.stored(SALE)
    assert failures == []
    assert stored.sale == replace(SALE, evidence=())
    assert (stored.status, stored.received_at) == (Status.RECEIVED, RECEIVED_AT)
    assert accepted() == [SALE.sale_id]


def test_evidence_is_kept_hashed_and_sealed_and_never_in_clear(
    ingest: ModuleType, world: World, context: Any
) -> None:
    handled(ingest, context, sale_record(SALE))

    stored = world.stored(SALE)
    assert stored.evidence_keys == (key_of(PLATE), key_of(CARD))
    assert stored.sealed is not None
    assert world.sealer.open(stored.sealed, context={"sale_id": SALE.sale_id}) == [
        ["plate", "浙A12345"],
        ["card", "6217001234567890"],
    ]
    in_the_table = repr(world.items(SALES_TABLE))
    assert "12345" not in in_the_table.replace("123456789", "")


def test_a_seal_opens_for_its_own_sale_only(ingest: ModuleType, world: World, context: Any) -> None:
    handled(ingest, context, sale_record(SALE))

    sealed = world.stored(SALE).sealed
    assert sealed is not None
    with pytest.raises(ClientError, match="InvalidCiphertext"):
        world.sealer.open(sealed, context={"sale_id": OTHER.sale_id})


def test_the_same_message_twice_in_a_batch_is_stored_once_and_answered_twice(
    ingest: ModuleType, world: World, context: Any
) -> None:
    record = sale_record(SALE)

    failures = handled(ingest, context, record, {**record, "messageId": "message-2"})

    assert failures == []
    assert len(world.items(SALES_TABLE)) == 1
    assert accepted() == [SALE.sale_id, SALE.sale_id]


def test_the_same_message_in_a_later_batch_changes_nothing_and_is_answered_again(
    ingest: ModuleType, world: World, context: Any
) -> None:
    handled(ingest, context, sale_record(SALE))
    world.credit(SALE, "m1")
    before = world.snapshot()

    later = RECEIVED_AT + timedelta(days=3)
    handled(ingest, context, sale_record(SALE, sent_at=later, received_at=later))

    assert world.snapshot() == before
    assert accepted() == [SALE.sale_id, SALE.sale_id]


def test_a_repeat_is_counted_and_is_no_contradiction(
    ingest: ModuleType, context: Any, counted: Any
) -> None:
    handled(ingest, context, sale_record(SALE))
    first = counted()

    later = RECEIVED_AT + timedelta(days=3)
    handled(ingest, context, sale_record(SALE, sent_at=later, received_at=later))

    assert (first, counted()) == ({"SalesStored": 1}, {"SalesRepeated": 1})


@pytest.mark.parametrize(
    "changes",
    [
        {"amount_fen": 30_233},
        {"volume_ml": 39_980},
        {"unit_price_milli_per_litre": 7_561},
        {"grade": "95"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_sale_told_otherwise_changes_nothing_and_is_answered_and_counted(
    ingest: ModuleType,
    world: World,
    context: Any,
    *,
    changes: dict[str, Any],
    counted: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    handled(ingest, context, sale_record(SALE))
    before = world.snapshot()
    counted()

    handled(ingest, context, sale_record(sale(**changes)))

    assert world.snapshot() == before
    assert accepted() == [SALE.sale_id, SALE.sale_id]
    assert counted() == {"SalesRepeated": 1, "SalesContradicted": 1}
    (warning,) = (line for line in caplog.records if line.levelname == "WARNING")
    assert vars(warning)["fields"] == list(changes)


def test_two_hundred_sales_sent_again_in_another_order_have_one_effect_each(
    ingest: ModuleType, world: World, context: Any
) -> None:
    sales = [
        sale(transaction=number, totalizer_ml=10**6 * number, evidence=()) for number in range(200)
    ]
    for told in (sales, sales[::-1]):
        for start in range(0, 200, 10):
            batch = told[start : start + 10]
            assert handled(ingest, context, *map(sale_record, batch)) == []

    stored = world.items(SALES_TABLE)
    assert sorted(item["sk"] for item in stored) == sorted(f"SALE#{s.sale_id}" for s in sales)


def test_a_message_that_fails_is_brought_again_and_the_others_are_kept(
    ingest: ModuleType, world: World, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = ingest.sales.add

    def throttled(stored: Any) -> Any:
        if stored.sale.sale_id == SALE.sale_id:
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, "PutItem")
        return add(stored)

    monkeypatch.setattr(ingest.sales, "add", throttled)
    records = [sale_record(SALE, message_id="bad"), sale_record(OTHER, message_id="good")]

    failures = handled(ingest, context, *records)
    monkeypatch.undo()
    again = handled(ingest, context, records[0])

    assert (failures, again) == (["bad"], [])
    assert accepted() == [OTHER.sale_id, SALE.sale_id]
    assert len(world.items(SALES_TABLE)) == 2


def test_a_batch_whose_time_is_up_answers_for_what_it_stored_and_gives_the_rest_back(
    ingest: ModuleType, world: World, hurried: Any
) -> None:
    records = [sale_record(SALE, message_id="one"), sale_record(OTHER, message_id="two")]

    assert handled(ingest, hurried, *records) == ["two"]

    assert accepted() == [SALE.sale_id]
    assert len(world.items(SALES_TABLE)) == 1


def test_a_batch_that_fails_as_a_whole_answers_nobody(
    ingest: ModuleType, world: World, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Any) -> Any:
        raise ClientError({"Error": {"Code": "InternalServerError"}}, "PutItem")

    monkeypatch.setattr(ingest.sales, "add", broken)

    failures = handled(ingest, context, sale_record(SALE))

    assert failures == ["message-1"]
    assert acknowledgements() == []
    assert world.items(SALES_TABLE) == []


def test_a_sale_whose_acknowledgement_was_lost_is_acknowledged_when_it_comes_again(
    ingest: ModuleType, world: World, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Down:
        def publish(self, **_: Any) -> None:
            raise ConnectionError

    monkeypatch.setattr(ingest, "iot_data", Down())
    with pytest.raises(ConnectionError):
        handled(ingest, context, sale_record(SALE))
    monkeypatch.undo()

    handled(ingest, context, sale_record(SALE))

    assert accepted() == [SALE.sale_id]
    assert len(world.items(SALES_TABLE)) == 1


def test_what_our_own_rule_would_never_write_goes_back_to_the_queue(
    ingest: ModuleType, world: World, context: Any
) -> None:
    record = {**sale_record(SALE), "body": "{}"}

    assert handled(ingest, context, record) == ["message-1"]
    assert world.items(SALES_TABLE) == []


@pytest.mark.parametrize(
    ("message", "topic_end", "reason", "answered"),
    [
        (b"", "sales", "not_json", False),
        (b"{", "sales", "not_json", False),
        (b"[" * 50_000, "sales", "not_json", False),
        (b"\xff", "readings", "not_json", False),
        (TOO_LARGE, "sales", "too_large", True),
        (payload(sample("station/samples/sale")), "readings", "wrong_topic", True),
        (payload(sample("station/samples/reading")), "sales", "wrong_topic", True),
        (payload(sample("station/samples/ack")), "sales", "unknown_schema", False),
        (payload(sale_document(sale(station_id="s0002"))), "sales", "speaks_for_another", True),
        (payload(sale_document(SALE)).replace(b":39990", b":-1"), "sales", "out_of_range", True),
        (payload(sale_document(SALE)).replace(b":39990", b":NaN"), "sales", "not_json", True),
    ],
    ids=lambda value: repr(value)[:16] if isinstance(value, bytes) else str(value),
)
def test_what_cannot_be_accepted_is_quarantined_with_its_reason(
    ingest: ModuleType,
    world: World,
    context: Any,
    *,
    message: bytes,
    topic_end: str,
    reason: str,
    answered: bool,
) -> None:
    topic = f"forecourt/s0001/up/{topic_end}"

    failures = handled(ingest, context, sqs_record(message, topic=topic))

    (kept,) = world.sales.queue(Queue.QUARANTINED, limit=5).items
    assert failures == []
    assert len(world.items(SALES_TABLE)) == 1
    assert (kept.reason, kept.topic, kept.payload) == (reason, topic, message)  # type: ignore[union-attr]
    assert accepted() == []
    assert [why for _, why in refused()] == ([reason] if answered else [])


def test_a_station_that_is_not_registered_is_told_so_and_its_sale_quarantined(
    ingest: ModuleType, world: World, context: Any
) -> None:
    stranger = sale(station_id="s0404")
    record = sale_record(stranger, topic="forecourt/s0404/up/sales")

    handled(ingest, context, record)

    (item,) = world.items(SALES_TABLE)
    assert (item["type"], item["reason"]) == ("quarantined", "unknown_station")
    assert refused() == [(stranger.sale_id, "unknown_station")]


def test_a_message_quarantined_twice_is_kept_once(
    ingest: ModuleType, world: World, context: Any
) -> None:
    record = sqs_record(b"{")

    handled(ingest, context, record)
    handled(ingest, context, record)

    assert len(world.items(SALES_TABLE)) == 1


@pytest.mark.parametrize(
    ("changes", "doubt"),
    [
        ({"grade": "98"}, "unknown_grade"),
        ({"test_delivery": True}, "test_delivery"),
        ({"clock_offset_seconds": 601}, "device_clock_off"),
        ({"amount_fen": 99}, "amount_mismatch"),
    ],
)
def test_a_sale_in_doubt_is_held_with_the_reason_and_acknowledged(
    ingest: ModuleType, world: World, context: Any, changes: dict[str, Any], doubt: str
) -> None:
    dubious = sale(**changes)

    handled(ingest, context, sale_record(dubious))

    (held,) = world.sales.queue(Queue.HELD, limit=5).items
    assert held == world.stored(dubious)
    assert (world.stored(dubious).status, world.stored(dubious).doubts) == (Status.HELD, (doubt,))
    assert accepted() == [dubious.sale_id]
    assert world.records(SALES_TABLE, status="received") == []


def test_a_gateway_whose_clock_is_off_has_its_sales_held(
    ingest: ModuleType, world: World, context: Any
) -> None:
    record = sale_record(SALE, sent_at=RECEIVED_AT - timedelta(seconds=601))

    handled(ingest, context, record)

    assert world.stored(SALE).doubts == ("gateway_clock_off",)


def test_lifting_and_hanging_up_is_void_and_waits_for_nobody(
    ingest: ModuleType, world: World, context: Any
) -> None:
    nothing = sale(volume_ml=0, amount_fen=0)

    handled(ingest, context, sale_record(nothing))

    stored = world.stored(nothing)
    assert (stored.status, stored.evidence, stored.sealed) == (Status.VOID, (), None)
    assert accepted() == [nothing.sale_id]
    assert "queue" not in world.items(SALES_TABLE)[0]


def test_evidence_that_cannot_be_an_identity_is_sealed_and_not_hashed(
    ingest: ModuleType, world: World, context: Any
) -> None:
    misread = Evidence(kind=EvidenceKind.PLATE, value="无牌车")
    unread = sale(evidence=(misread,))

    handled(ingest, context, sale_record(unread))

    stored = world.stored(unread)
    assert stored.evidence == ()
    assert stored.sealed is not None
    assert stored.status is Status.RECEIVED


def test_readings_and_gaps_are_stored_once_and_acknowledged(
    ingest: ModuleType, world: World, context: Any
) -> None:
    records = [
        sqs_record(payload(sample(f"station/samples/{name}")), topic=f"forecourt/s0001/up/{name}s")
        for name in ("reading", "gap")
    ]

    handled(ingest, context, *records)
    handled(ingest, context, *records)

    assert [item["type"] for item in world.items(SALES_TABLE)] == ["gap", "reading"]
    assert accepted() == ["20261123T160000Z.s0001", "20261123T081500Z.s0001.SN4711.3.4711"] * 2


def test_each_station_is_answered_on_its_own_topic(
    ingest: ModuleType, world: World, context: Any
) -> None:
    world.register("s0002")
    elsewhere = sale(station_id="s0002")

    handled(
        ingest,
        context,
        sale_record(SALE, message_id="1"),
        sale_record(elsewhere, message_id="2", topic="forecourt/s0002/up/sales"),
    )

    assert {topic: document["accepted"] for topic, document in acknowledgements()} == {
        "forecourt/s0001/down/acks": [SALE.sale_id],
        "forecourt/s0002/down/acks": [elsewhere.sale_id],
    }


def test_no_plate_or_card_is_ever_logged(
    ingest: ModuleType, context: Any, capsys: pytest.CaptureFixture[str], caplog: Any
) -> None:
    misread = Evidence(kind=EvidenceKind.PLATE, value="浙A1234567890")

    handled(ingest, context, sale_record(sale(evidence=(PLATE, CARD, misread))))

    told = json.dumps([vars(line) for line in caplog.records], default=str)
    logged = capsys.readouterr().out + caplog.text + told
    assert "sale stored" in logged
    assert "A12345" not in logged
    assert "6217001234567890" not in logged


def test_a_stored_item_can_be_read_from_the_stream_like_from_the_table(
    ingest: ModuleType, world: World, context: Any
) -> None:
    from forecourt.stored_sales import sale_from_item  # noqa: PLC0415

    handled(ingest, context, sale_record(SALE))

    (record,) = world.records(SALES_TABLE, status="received")
    assert sale_from_item(record["dynamodb"]["NewImage"]) == world.stored(SALE)
    assert from_item(record["dynamodb"]["Keys"])["sk"] == f"SALE#{SALE.sale_id}"
