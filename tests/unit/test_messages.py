"""Hostile and honest bytes from a station, and the schemas that describe the honest ones."""

from __future__ import annotations

import contextlib
import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from forecourt.basket_fields import MAX_LINES, MAX_PAYMENTS
from forecourt.baskets import Category, Line, Means
from forecourt.errors import MalformedMessage
from forecourt.messages import (
    MAX_EVIDENCE,
    MAX_MESSAGE_BYTES,
    MAX_NOZZLES,
    GapMessage,
    ReadingMessage,
    SaleMessage,
    TellingMessage,
    claimed_id,
    read_message,
)
from forecourt.sales import EvidenceKind
from tests.schemas import validator
from tests.specimens import EVENTS, payload, sale, sale_document, sample

SALE_TEXT = payload(sample("station/samples/sale")).decode()
SAMPLES = sorted(path.stem for path in (EVENTS / "station/samples").glob("*.json"))
RECEIPT = "telling-with-receipt"
UP_SAMPLES = [name for name in SAMPLES if name != "ack"]
VALIDATORS = {
    name: validator(f"station/{name}") for name in ("sale", "reading", "gap", "telling", "ack")
}


def refused(message: bytes) -> MalformedMessage:
    with pytest.raises(MalformedMessage) as caught:
        read_message(message)
    return caught.value


def changed(name: str, path: str, value: Any) -> bytes:
    """Return a sample with the value at *path* replaced."""
    document = sample(f"station/samples/{name}")
    *parents, last = path.split(".")
    place: Any = document
    for parent in parents:
        place = place[int(parent)] if isinstance(place, list) else place[parent]
    place[last] = value
    return payload(document)


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_satisfies_its_schema(name: str) -> None:
    document = sample(f"station/samples/{name}")

    VALIDATORS[document["schema"].partition("/")[0]].validate(document)


@pytest.mark.parametrize("name", UP_SAMPLES)
def test_every_sample_is_understood(name: str) -> None:
    message = read_message(payload(sample(f"station/samples/{name}")))

    assert message.station_id == "s0001"


def test_every_schema_has_a_sample() -> None:
    schemas = {path.name.partition(".")[0] for path in (EVENTS / "station").glob("*.schema.json")}

    assert schemas == {sample(f"station/samples/{name}")["schema"][:-2] for name in SAMPLES}


def test_the_schema_names_exactly_the_kinds_of_evidence_there_are() -> None:
    kinds = sample("station/sale.schema")["$defs"]["evidence"]["properties"]["kind"]["enum"]

    assert set(kinds) == set(EvidenceKind)


def test_a_sale_is_read_as_it_was_said() -> None:
    document = sample("station/samples/sale")

    message = read_message(payload(document))

    assert isinstance(message, SaleMessage)
    assert sale_document(message.sale, sent_at=message.sent_at) == document
    assert message.message_id == document["sale"]["sale_id"]


def test_a_reading_is_read_as_it_was_said() -> None:
    message = read_message(payload(sample("station/samples/reading")))

    assert isinstance(message, ReadingMessage)
    assert message.message_id == "20261123T160000Z.s0001"
    assert [each.totalizer_ml for each in message.nozzles] == [123456789, 8800120]


def test_a_gap_is_read_as_it_was_said() -> None:
    message = read_message(payload(sample("station/samples/gap")))

    assert isinstance(message, GapMessage)
    assert (message.first_transaction, message.last_transaction) == (4001, 4711)


def test_a_telling_is_read_as_it_was_said() -> None:
    message = read_message(payload(sample("station/samples/telling")))

    assert isinstance(message, TellingMessage)
    assert message.message_id == "20261123T081730Z.s0001.till.R-20261123-0815"
    assert (message.telling.nozzle, message.telling.volume_ml) == (3, 39_990)
    assert [each.kind for each in message.evidence] == [EvidenceKind.PHONE]


def test_a_receipt_is_read_as_it_was_said() -> None:
    message = read_message(payload(sample(f"station/samples/{RECEIPT}")))

    assert isinstance(message, TellingMessage)
    basket = message.telling.basket
    assert basket is not None
    assert basket.lines == (
        Line(category=Category.FUEL, amount_fen=30_232, grade="92", volume_ml=39_990),
        Line(category=Category.SHOP, amount_fen=1_500),
        Line(category=Category.DISCOUNT, amount_fen=-1_000),
    )
    assert [(each.by, each.amount_fen) for each in basket.payments] == [
        (Means.POINTS, 2_000),
        (Means.WALLET, 28_732),
    ]
    assert (message.telling.amount_fen, message.telling.fuel_fen) == (30_732, 30_232)


def test_how_a_receipt_was_paid_may_be_left_out() -> None:
    document = sample(f"station/samples/{RECEIPT}")
    del document["telling"]["payments"]

    message = read_message(payload(document))

    assert isinstance(message, TellingMessage)
    assert message.telling.basket is not None
    assert message.telling.basket.payments == ()


def test_only_a_till_tells_a_receipt() -> None:
    document = sample(f"station/samples/{RECEIPT}")
    document["telling"]["source"] = "payment"

    fault = refused(payload(document))

    assert (fault.reason, fault.field) == ("unexpected", "telling.lines")


def test_payments_without_what_they_were_for_are_refused() -> None:
    document = sample(f"station/samples/{RECEIPT}")
    del document["telling"]["lines"]

    fault = refused(payload(document))

    assert (fault.reason, fault.field) == ("missing", "telling.lines")


def test_the_schema_names_exactly_the_categories_and_means_there_are() -> None:
    defined = sample("station/telling.schema")["$defs"]
    lines = [each["properties"]["category"] for each in defined["line"]["oneOf"]]
    categories = {name for each in lines for name in each.get("enum", [each.get("const")])}

    assert categories == set(Category)
    assert set(defined["payment"]["properties"]["by"]["enum"]) == set(Means)


@pytest.mark.parametrize("name", ["nozzle", "volume_ml"])
def test_what_a_teller_does_not_know_is_null(name: str) -> None:
    message = read_message(changed("telling", f"telling.{name}", None))

    assert isinstance(message, TellingMessage)
    assert getattr(message.telling, name) is None


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"", "not_json"),
        (b"\xff\xfe", "not_json"),
        (b"{", "not_json"),
        (b"[" * 100_000, "not_json"),
        (b'{"a":' * 20_000 + b"1" + b"}" * 20_000, "not_json"),
        (b'{"schema": NaN}', "not_json"),
        (b'{"schema": -Infinity}', "not_json"),
        (b'{"schema": ' + b"9" * 5_000 + b"}", "not_json"),
        (b'{"schema":"sale/1","schema":"sale/1"}', "not_json"),
        (b"[]", "not_an_object"),
        (b"null", "not_an_object"),
        (b"{}", "missing"),
        (b'{"schema": 1}', "wrong_type"),
        (b'{"schema": "sale/2"}', "unknown_schema"),
        (b'{"schema": "ack/1"}', "unknown_schema"),
    ],
    ids=lambda value: repr(value[:24]),
)
def test_what_is_no_message_is_refused_with_the_reason(message: bytes, reason: str) -> None:
    assert refused(message).reason == reason


def test_a_message_may_be_as_large_as_the_broker_takes_and_no_larger() -> None:
    at_the_limit = SALE_TEXT.encode().ljust(MAX_MESSAGE_BYTES)

    assert read_message(at_the_limit).station_id == "s0001"
    assert refused(at_the_limit + b" ").reason == "too_large"


def test_an_amount_said_twice_is_refused() -> None:
    twice = SALE_TEXT.replace('"amount_fen":30232', '"amount_fen":1,"amount_fen":30232')

    assert refused(twice.encode()).reason == "not_json"


@pytest.mark.parametrize(
    ("name", "path", "value", "reason"),
    [
        ("sale", "sale", [], "wrong_type"),
        ("sale", "sale.sale_id", 5, "wrong_type"),
        ("sale", "sale.sale_id", "20261123T081500Z.s0002.SN4711.3.4711.1", "id_does_not_fit"),
        ("sale", "sale.volume_ml", -1, "out_of_range"),
        ("sale", "sale.volume_ml", 10**8 + 1, "out_of_range"),
        ("sale", "sale.volume_ml", 10**400, "out_of_range"),
        ("sale", "sale.volume_ml", True, "wrong_type"),
        ("sale", "sale.volume_ml", 39990.0, "wrong_type"),
        ("sale", "sale.volume_ml", "39990", "wrong_type"),
        ("sale", "sale.volume_ml", None, "wrong_type"),
        ("sale", "sale.volume_resolution_ml", 0, "out_of_range"),
        ("sale", "sale.nozzle", 0, "out_of_range"),
        ("sale", "sale.clock_synchronised", 1, "wrong_type"),
        ("sale", "sale.clock_offset_seconds", -(10**10) - 1, "out_of_range"),
        ("sale", "sale.started_at", "2026-11-23T08:12:10", "not_an_instant"),
        ("sale", "sale.started_at", "2026-11-23T08:12:10+08:00", "not_an_instant"),
        ("sale", "sale.started_at", "2026-02-30T08:12:10Z", "not_an_instant"),
        ("sale", "sale.started_at", "1969-12-31T23:59:59Z", "out_of_range"),
        ("sale", "sale.started_at", "9999-12-31T23:59:59Z", "out_of_range"),
        ("sale", "sale.completed_at", "2026-11-23T08:15:00.5Z", "not_a_whole_second"),
        ("sale", "sale.station_id", "s0001\n", "out_of_range"),
        ("sale", "sale.station_id", "../s", "out_of_range"),
        ("sale", "sale.grade", "92#", "out_of_range"),
        ("sale", "sale.evidence", [5], "wrong_type"),
        ("sale", "sale.evidence", {}, "wrong_type"),
        ("sale", "sale.evidence", [{"kind": "face", "value": "x"}], "unknown_kind"),
        ("sale", "sale.evidence", [{"kind": "card", "value": ""}], "out_of_range"),
        ("sale", "sale.evidence", [{"kind": "card", "value": "x" * 65}], "out_of_range"),
        ("sale", "sale.evidence", [{"kind": "card", "value": "x", "sure": 1}], "unexpected"),
        ("sale", "sale.evidence", [{"kind": "card", "value": "x"}] * 9, "too_many"),
        ("sale", "sale.evidence", [{"kind": "card", "value": "x", "source": None}], "wrong_type"),
        ("sale", "sale.discount", 5, "unexpected"),
        ("sale", "extra", 5, "unexpected"),
        ("reading", "reading.reading_id", "20261123T160000Z.s0002", "id_does_not_fit"),
        ("reading", "reading.nozzles", [None], "wrong_type"),
        ("reading", "reading.nozzles", [{}], "missing"),
        ("reading", "reading.nozzles", [{}] * (MAX_NOZZLES + 1), "too_many"),
        ("reading", "reading.nozzles.0.flow", 1, "unexpected"),
        ("gap", "gap.gap_id", "20261123T081500Z.s0001.SN4711.3.4712", "id_does_not_fit"),
        ("gap", "gap.missing_ml", -1, "out_of_range"),
        (
            "sale",
            "sale.evidence",
            [{"kind": "plate", "value": "x", "character_confidences": [50] * 17}],
            "too_many",
        ),
        (
            "sale",
            "sale.evidence",
            [{"kind": "plate", "value": "x", "character_confidences": [101]}],
            "out_of_range",
        ),
        ("telling", "telling.source", "pump", "unknown_kind"),
        ("telling", "telling.told_id", "R 1", "out_of_range"),
        ("telling", "telling.nozzle", 0, "out_of_range"),
        ("telling", "telling.telling_id", "20261123T081730Z.s0001.till.R", "id_does_not_fit"),
        (RECEIPT, "telling.amount_fen", 30_731, "does_not_add_up"),
        (RECEIPT, "telling.volume_ml", 39_980, "does_not_add_up"),
        (RECEIPT, "telling.lines", [], "not_one_fill"),
        (RECEIPT, "telling.lines", [None], "wrong_type"),
        (RECEIPT, "telling.lines", [{}] * (MAX_LINES + 1), "too_many"),
        (RECEIPT, "telling.lines.1.category", "fuel", "missing"),
        (RECEIPT, "telling.lines.1.category", "pizza", "unknown_kind"),
        (RECEIPT, "telling.lines.1.grade", "92", "unexpected"),
        (RECEIPT, "telling.lines.1.amount_fen", 10**9 + 1, "out_of_range"),
        (RECEIPT, "telling.lines.2.amount_fen", 0, "out_of_range"),
        (RECEIPT, "telling.payments.0.by", "barter", "unknown_kind"),
        (RECEIPT, "telling.payments", [{"by": "cash", "amount_fen": 1}], "does_not_add_up"),
        (RECEIPT, "telling.payments.0.amount_fen", 0, "out_of_range"),
        (RECEIPT, "telling.payments.0.tip", 5, "unexpected"),
        (RECEIPT, "telling.payments", [{}] * (MAX_PAYMENTS + 1), "too_many"),
    ],
)
def test_a_wrong_value_is_refused_with_its_reason(
    name: str, path: str, value: Any, reason: str
) -> None:
    fault = refused(changed(name, path, value))

    assert fault.reason == reason
    assert fault.field.replace("[", ".").startswith(path.rpartition(".")[0])


def test_a_lone_surrogate_does_not_reach_the_table() -> None:
    torn = SALE_TEXT.replace("浙A12345", "\\ud83d")

    assert refused(torn.encode()).reason == "lone_surrogate"


def test_the_name_of_an_unexpected_field_is_told_in_ascii_and_not_at_length() -> None:
    fault = refused(b'{"schema":"gap/1","sent_at":"x"}'.replace(b'"x"', b"1"))
    assert fault.field == "sent_at"

    document = sample("station/samples/gap") | {"\ud83d" + "浙" * 500: 1}
    fault = refused(json.dumps(document).encode())

    assert fault.field.isascii()
    assert len(fault.field) <= 64


def test_evidence_up_to_the_limit_is_taken() -> None:
    many = [{"kind": "card", "value": f"{number:08}"} for number in range(MAX_EVIDENCE)]

    message = read_message(changed("sale", "sale.evidence", many))

    assert isinstance(message, SaleMessage)
    assert len(message.sale.evidence) == MAX_EVIDENCE


@pytest.mark.parametrize("name", UP_SAMPLES)
def test_the_id_of_a_refused_message_is_found(name: str) -> None:
    document = sample(f"station/samples/{name}")

    found = claimed_id(payload({**document, "schema": "unknown/1"}))

    assert found == read_message(payload(document)).message_id


def test_a_message_refused_for_nan_or_a_repeated_name_still_has_an_id_to_answer() -> None:
    nan = SALE_TEXT.replace('"nozzle":3', '"nozzle":NaN')
    twice = SALE_TEXT.replace('"nozzle":3', '"nozzle":3,"nozzle":3')

    assert claimed_id(nan.encode()) == claimed_id(twice.encode()) == sale().sale_id


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\xff",
        b"5",
        b"{}",
        b"[" * 100_000,
        b'{"sale": 5}',
        b'{"sale": {"sale_id": 5}}',
        b'{"sale": {"sale_id": ' + b"9" * 5_000 + b"}}",
    ],
    ids=lambda value: repr(value[:24]),
)
def test_a_message_without_an_id_has_none_to_answer(message: bytes) -> None:
    assert claimed_id(message) is None


def test_a_claimed_id_can_be_sent_back_whatever_it_was() -> None:
    found = claimed_id(b'{"sale": {"sale_id": "' + b"\\ud83d" * 300 + b'"}}')

    assert found is not None
    assert len(found.encode()) <= 256


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**14), 10**14),
    st.sampled_from([-1, 0, 1, 8, 9, 32, 64, 65, 100, 101, 999, 1000, 1001, 2**32 - 1, 2**32]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=70),
    st.sampled_from(
        [
            *("", "s0001", "s0001\n", "S0001", "-a", "a" * 32, "a" * 33, "SN 1", "92", "0"),
            *("plate", "face", "2026-11-23T08:15:00Z", "2026-11-23T08:15:00.123456Z"),
            *("2026-11-23T08:15:00.000Z", "2026-02-29T00:00:00Z", "2024-02-29T00:00:00Z"),
            *("2026-11-23T24:00:00Z", "2026-11-23T23:59:60Z", "2026-11-23T08:15:00z"),
            *("1970-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "2199-12-31T23:59:59Z"),
            *("2200-01-01T00:00:00Z", "２０２６-11-23T08:15:00Z", "2026-11-23T08:15:00Z\n"),
        ]
    ),
    st.lists(st.none(), max_size=2),
    st.just({}),
)


@st.composite
def mutated(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """Return a sample in which one or two places were changed, removed, added or repeated."""
    document = copy.deepcopy(sample(f"station/samples/{name}"))
    for _ in range(draw(st.integers(1, 2))):
        place: Any = document
        while True:
            inner = [
                key
                for key in (place if isinstance(place, dict) else range(len(place)))
                if isinstance(place[key], (dict, list)) and place[key]
            ]
            if not inner or draw(st.integers(0, 3)) == 0:
                break
            place = place[draw(st.sampled_from(inner))]
        if isinstance(place, list):
            place.extend(copy.deepcopy(place[:1]) * draw(st.integers(0, 10)))
            continue
        keys = sorted(place)
        match draw(st.sampled_from(["set", "set", "set", "remove", "add"])):
            case "set" if keys:
                place[draw(st.sampled_from(keys))] = draw(VALUES)
            case "remove" if keys:
                del place[draw(st.sampled_from(keys))]
            case _:
                place[draw(st.text(max_size=8))] = draw(VALUES)
    return document


@pytest.mark.parametrize("name", ["sale", "reading", "gap", "telling", RECEIPT])
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_the_reader_takes_exactly_what_the_schema_allows(name: str, data: st.DataObject) -> None:
    document = fitted(data.draw(mutated(name)))

    try:
        read_message(payload_of_any(document))
    except MalformedMessage as fault:
        taken = False
        # That an id fits the other fields, or a sum its parts, is more than a schema can say.
        assume(fault.reason not in {"id_does_not_fit", "does_not_add_up"})
    else:
        taken = True

    assert taken == VALIDATORS[name.partition("-")[0]].is_valid(document)


@settings(max_examples=300, deadline=None)
@given(message=st.binary(max_size=200))
def test_bytes_of_any_kind_are_read_or_refused(message: bytes) -> None:
    assert refused(message).reason


def fitted(document: dict[str, Any]) -> dict[str, Any]:
    """Return *document* with the id its other fields ask for, where they ask for one."""
    forms = {
        "sale": "{completed_at}.{station_id}.{device_serial}.{nozzle}.{transaction}.{totalizer_ml}",
        "reading": "{read_at}.{station_id}",
        "gap": "{found_at}.{station_id}.{device_serial}.{nozzle}.{last_transaction}",
        "telling": "{told_at}.{station_id}.{source}.{told_id}",
    }
    for name, form in forms.items():
        body = document.get(name)
        if isinstance(body, dict) and isinstance(body.get(f"{name}_id"), str):
            parts = {
                key: value[:19].replace("-", "").replace(":", "") + "Z"
                if key.endswith("_at") and isinstance(value, str)
                else value
                for key, value in body.items()
            }
            with contextlib.suppress(KeyError):
                body[f"{name}_id"] = form.format_map(parts)
    return document


def payload_of_any(document: Any) -> bytes:
    """Return JSON in ASCII, so that a torn character can be said, too."""
    return json.dumps(document).encode()
