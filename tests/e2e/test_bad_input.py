"""What is wrong is refused with its reason, kept where a person sees it, and harms nothing else."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.instants import format_instant
from forecourt.messages import MAX_MESSAGE_BYTES, MAX_VOLUME_ML
from forecourt.sales import MAX_PLAUSIBLE_VOLUME_ML
from tests.e2e.outpost import outpost, register
from tests.e2e.pump import Pump, told
from tests.e2e.station_client import (
    ACCEPTED,
)
from tests.e2e.traces import PREFIX, nothing_left
from tests.e2e.waiting import wait_for
from tests.specimens import payload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from infra.local.api_client import ApiClient
    from infra.local.stack import LocalStack
    from tests.e2e.outpost import Outpost
    from tests.e2e.traces import Items, Traces

STATION = f"{PREFIX}ours"
OTHER = f"{PREFIX}theirs"
UNLISTED = f"{PREFIX}unlisted"

FACE = {"kind": "face", "value": "x"}

Message = dict[str, Any]


@pytest.fixture(scope="module", autouse=True)
def traces(stack: LocalStack) -> Iterator[Traces]:
    with nothing_left(stack) as traces:
        yield traces


@pytest.fixture(scope="module")
def ours(stack: LocalStack, operator: ApiClient, traces: Traces) -> Iterator[Outpost]:
    """Return our station, with a second one registered beside it."""
    register(operator, OTHER, folder=stack.folder)
    with outpost(stack, operator, STATION) as ours:
        traces.settled()
        yield ours


@pytest.fixture
def before(ours: Outpost, traces: Traces) -> Items:  # noqa: ARG001 - registering writes, too
    """Everything stored before the test."""
    return traces.arrived()


def newly(ours: Outpost, known: dict[str, Message]) -> list[Message]:
    """Return what is in the quarantine and was not *known* to be there."""
    return [each for key, each in ours.waiting("quarantined").items() if key not in known]


def in_sale(**changes: Any) -> Callable[[Message], None]:
    return lambda message: message["sale"].update(changes)


def in_message(**changes: Any) -> Callable[[Message], None]:
    return lambda message: message.update(changes)


def without(name: str) -> Callable[[Message], None]:
    return lambda message: message["sale"].pop(name)


@pytest.mark.parametrize(
    ("spoil", "reason", "field"),
    [
        (in_sale(volume_ml="39990"), "wrong_type", "sale.volume_ml"),
        (in_sale(volume_ml=39990.0), "wrong_type", "sale.volume_ml"),
        (in_sale(volume_ml=True), "wrong_type", "sale.volume_ml"),
        (in_sale(volume_ml=-1), "out_of_range", "sale.volume_ml"),
        (in_sale(volume_ml=MAX_VOLUME_ML + 1), "out_of_range", "sale.volume_ml"),
        (in_sale(amount_fen=-30232), "out_of_range", "sale.amount_fen"),
        (in_sale(test_delivery="no"), "wrong_type", "sale.test_delivery"),
        (in_sale(completed_at="yesterday"), "not_an_instant", "sale.completed_at"),
        (in_sale(grade="9 2"), "out_of_range", "sale.grade"),
        (
            in_sale(evidence=[{"kind": "face", "value": "x"}]),
            "unknown_kind",
            "sale.evidence[0].kind",
        ),
        (in_sale(points=1_000_000), "unexpected", "sale.points"),
        (in_sale(transaction=7), "id_does_not_fit", "sale.sale_id"),
        (without("grade"), "missing", "sale.grade"),
        (in_message(schema="sale/2"), "unknown_schema", "schema"),
        (in_message(schema="gap/1"), "missing", "gap"),
        # Its own topic, with the id of a station that exists.
        (
            lambda message: message.update(told(Pump(OTHER).sale())),
            "speaks_for_another",
            "station_id",
        ),
    ],
)
def test_a_message_that_is_no_sale_is_refused_and_quarantined_with_its_reason(
    *,
    ours: Outpost,
    traces: Traces,
    before: Items,
    spoil: Callable[[Message], None],
    reason: str,
    field: str,
) -> None:
    known = ours.waiting("quarantined")
    message = told(ours.pump.sale())
    spoil(message)

    ours.tell(message)

    assert ours.client.answer_to(message["sale"]["sale_id"]) == reason
    (kept,) = newly(ours, known)
    assert (kept["reason"], kept["field"]) == (reason, field)
    assert kept["topic"] == f"forecourt/{STATION}/up/sales"
    assert kept["size_bytes"] == len(json.dumps(message))
    assert traces.written(before) == {("sales", f"QUARANTINE#{STATION}")}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not_json"),
        (b"\xff\xfe\x00", "not_json"),
        (b'{"schema":"sale/1",', "not_json"),
        (b'{"schema":"sale/1","sent_at":NaN}', "not_json"),
        (b'{"schema":"sale/1","schema":"sale/1"}', "not_json"),
        (b"[]", "not_an_object"),
        (b"{}", "missing"),
        (b'{"schema":1}', "wrong_type"),
    ],
    ids=repr,
)
def test_what_nobody_can_read_is_quarantined_as_it_came(
    *,
    ours: Outpost,
    traces: Traces,
    before: Items,
    content: bytes,
    reason: str,
) -> None:
    known = ours.waiting("quarantined")

    ours.tell(content)

    (kept,) = wait_for(lambda: newly(ours, known))
    assert kept["reason"] == reason
    new = {key: item for key, item in traces.items().items() if key not in before}
    ((key, item),) = new.items()
    assert key[:2] == ("sales", f"QUARANTINE#{STATION}")
    assert item["payload"]["B"] == content


def test_a_payload_over_128_kib_is_quarantined(
    ours: Outpost, traces: Traces, before: Items
) -> None:
    known = ours.waiting("quarantined")
    message = told(ours.pump.sale())
    content = payload(message)
    content += b" " * (MAX_MESSAGE_BYTES + 1 - len(content))

    ours.tell(content)

    assert ours.client.answer_to(message["sale"]["sale_id"]) == "too_large"
    (kept,) = newly(ours, known)
    assert (kept["reason"], kept["size_bytes"]) == ("too_large", MAX_MESSAGE_BYTES + 1)
    assert traces.written(before) == {("sales", f"QUARANTINE#{STATION}")}


def test_a_payload_of_128_kib_is_taken(ours: Outpost) -> None:
    message = told(ours.pump.sale())
    content = payload(message)

    ours.tell(content + b" " * (MAX_MESSAGE_BYTES - len(content)))

    assert ours.client.answer_to(message["sale"]["sale_id"]) == ACCEPTED


def test_a_sale_on_the_topic_of_readings_is_quarantined(
    ours: Outpost, traces: Traces, before: Items
) -> None:
    known = ours.waiting("quarantined")
    message = told(ours.pump.sale())

    ours.tell(message, topic="readings")

    assert ours.client.answer_to(message["sale"]["sale_id"]) == "wrong_topic"
    (kept,) = newly(ours, known)
    assert kept["reason"] == "wrong_topic"
    assert traces.written(before) == {("sales", f"QUARANTINE#{STATION}")}


def test_what_was_refused_is_taken_once_it_is_right(ours: Outpost) -> None:
    """A refusal is about the message, not about the sale: the sale itself is not lost."""
    message = told(ours.pump.sale())
    sale_id = message["sale"]["sale_id"]

    ours.tell(message | {"sent_at": 0})
    ours.client.answer_to(sale_id)
    ours.tell(message)

    assert ours.client.answers_to(sale_id, count=2) == ["wrong_type", ACCEPTED]


@pytest.mark.parametrize(
    ("changes", "doubt"),
    [
        ({"grade": "E85"}, "unknown_grade"),
        ({"amount_fen": 1}, "amount_mismatch"),
        (
            {
                "volume_ml": MAX_PLAUSIBLE_VOLUME_ML + 1,
                "started_at": None,
            },
            "implausible_volume",
        ),
        ({"volume_ml": 900_000}, "impossible_flow"),
        ({"clock_offset_seconds": 601}, "device_clock_off"),
        ({"test_delivery": True}, "test_delivery"),
    ],
)
def test_a_sale_that_does_not_add_up_is_accepted_and_held(
    *,
    ours: Outpost,
    traces: Traces,
    before: Items,
    changes: dict[str, Any],
    doubt: str,
) -> None:
    """The station cannot mend it, so it is not refused; nobody earns until somebody looked."""
    doubtful = ours.pump.sale(**changes)

    ours.tell(told(doubtful))

    assert ours.client.answer_to(doubtful.sale_id) == ACCEPTED
    assert ours.waiting("held")[doubtful.sale_id]["doubts"] == [doubt]
    assert traces.written(before) == {("sales", f"STATION#{STATION}")}


def test_a_clock_that_is_wrong_at_sending_holds_the_sale(ours: Outpost) -> None:
    doubtful = ours.pump.sale()
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)

    ours.tell(told(doubtful) | {"sent_at": format_instant(an_hour_ago)})

    assert ours.client.answer_to(doubtful.sale_id) == ACCEPTED
    assert ours.waiting("held")[doubtful.sale_id]["doubts"] == ["gateway_clock_off"]
