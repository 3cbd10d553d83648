"""Weights are learnt in steps from what is in the tables, and proposed once."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from forecourt import learning_files, proposals
from forecourt.attributes import to_item
from forecourt.judged_sales import is_held_back
from forecourt.learning_files import DAYS, LearningFiles, Position, units_of
from forecourt.orphans import EVIDENCE_KEPT
from forecourt.presence import KEPT
from forecourt.sales import Evidence, EvidenceKind
from forecourt.verification import Tally, owners_counted, report_of, tell_verification
from forecourt.weights_table import SINCE_EVER, TIMELINE_REMEMBERED_SECONDS
from tests.functional.clients import Killed, Killing, Reluctant, refusal
from tests.functional.conftest import (
    LEARNING_QUEUE,
    LOYALTY_TABLE,
    SALES_TABLE,
    WORKINGS_BUCKET,
    client,
)
from tests.functional.http import Client
from tests.functional.world import sale_record
from tests.specimens import STATION_ID, sale

if TYPE_CHECKING:
    from types import ModuleType

    from forecourt.sales import Sale
    from tests.functional.world import World

RUN = "2026-11-30T20:00:00Z"
NOW = datetime(2026, 11, 30, 20, tzinfo=UTC)
FIRST_DAY = datetime(2026, 11, 10, 2, tzinfo=UTC)
DRIVERS = 4
SALES_EACH = 5


def plate(driver: int) -> Evidence:
    return Evidence(kind=EvidenceKind.PLATE, value=f"浙A1000{driver}", source="camera-1")


def card(driver: int) -> Evidence:
    return Evidence(kind=EvidenceKind.CARD, value=f"621700123456000{driver}")


def phone(driver: int) -> Evidence:
    return Evidence(kind=EvidenceKind.PHONE, value=f"1381234560{driver}", source="till")


def fuelled(transaction: int, at: datetime, *evidence: Evidence) -> Sale:
    return sale(
        completed_at=at,
        recorded_at=at,
        started_at=at - timedelta(minutes=2),
        transaction=transaction,
        totalizer_ml=123_000_000 + 41_000 * transaction,
        evidence=evidence,
    )


@pytest.fixture
def learning(aws: None) -> ModuleType:  # noqa: ARG001 - its queue is in it
    from functions.learning import handler  # noqa: PLC0415 - it needs the environment

    return handler


@pytest.fixture
def sold(world: World, context: Any) -> list[Sale]:
    """Let four drivers and some strangers fuel for a week, and people confirm every other sale."""
    from forecourt.assigning import open_assignment  # noqa: PLC0415
    from functions.ingest import handler as ingest  # noqa: PLC0415
    from functions.matching import handler as matching  # noqa: PLC0415

    ingest._stations.clear()
    ingest.identity_keys.forget()
    matching.assignment = open_assignment(matching.settings, client("dynamodb"))
    world.register()
    for driver in range(DRIVERS):
        world.enrol(f"m{driver}", plate(driver), card(driver), phone(driver))
    sales, number = [], count(1)
    for day in range(SALES_EACH):
        for driver in range(DRIVERS):
            at = FIRST_DAY + timedelta(days=day, hours=driver)
            typed = (
                phone(driver)
                if day % 2
                else Evidence(kind=EvidenceKind.PHONE, value=f"1381234561{driver}", source="till")
            )
            sales.append(fuelled(next(number), at, plate(driver), card(driver), typed))
            sales.append(fuelled(next(number), at + timedelta(minutes=9), plate(8)))
    tell_and_match(world, context, *sales)
    for each in sales[::4]:
        world.rule(each, world.stored(each).member_id)
    return sales


def tell_and_match(world: World, context: Any, *sales: Sale) -> None:
    """Let sales be received a second after they were recorded, and matched."""
    from functions.ingest import handler as ingest  # noqa: PLC0415
    from functions.matching import handler as matching  # noqa: PLC0415

    for each in sales:
        record = sale_record(
            each, sent_at=each.recorded_at, received_at=each.recorded_at + timedelta(seconds=1)
        )
        assert ingest.handle({"Records": [record]}, context) == {"batchItemFailures": []}
    matching.handle({"Records": world.records(SALES_TABLE, status="received")}, context)


@pytest.fixture
def enough(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    """Let a handful of sales be enough, and the members be counted."""
    for name in ("SALES_MIN", "CONFIRMED_MIN", "HELD_BACK_MIN", "MATCHES_MIN"):
        monkeypatch.setattr(proposals, name, 3)
    members_counted(world, DRIVERS)


def members_counted(world: World, owners: int, *, finished_at: datetime = NOW) -> None:
    tally = Tally(owners=owners, accounts=3 * owners)
    tell_verification(
        world.dynamodb,
        table=LOYALTY_TABLE,
        report=report_of(tally, [], run_id=f"run-{finished_at:%Y%m%d}"),
        finished_at=finished_at,
    )


def received() -> list[dict[str, Any]]:
    sqs = client("sqs")
    url = sqs.get_queue_url(QueueName=LEARNING_QUEUE)["QueueUrl"]
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    for message in messages:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return [{"body": message["Body"]} for message in messages]


def run_on(learning: ModuleType, context: Any, *, twice: bool = False) -> int:
    """Do what is on the queue until nothing is; return how many steps that took."""
    steps = 0
    while bodies := {record["body"] for record in received()}:
        for body in [*bodies] * (2 if twice else 1):
            learning.handle({"Records": [{"body": body}]}, context)
            steps += 1
    return steps


def run(learning: ModuleType, context: Any, **options: Any) -> int:
    assert learning.start(RUN, now=NOW)["run_id"] == RUN
    return run_on(learning, context, **options)


def files() -> LearningFiles:
    return LearningFiles(client("s3"), bucket=WORKINGS_BUCKET, run_id=RUN)


def gathered() -> dict[str, str]:
    """Return the lines of every file of the run."""
    s3 = client("s3")
    listed = s3.list_objects_v2(Bucket=WORKINGS_BUCKET, Prefix=f"learnings/{RUN}/sales/")
    return {
        each["Key"]: s3.get_object(Bucket=WORKINGS_BUCKET, Key=each["Key"])["Body"].read().decode()
        for each in listed.get("Contents", ())
    }


def proposed(world: World) -> list[dict[str, Any]]:
    return [each for each in world.items(LOYALTY_TABLE) if each["type"] == "weights"]


def forget(world: World) -> None:
    """Remove all that a run has left."""
    for item in world.items(LOYALTY_TABLE):
        if item["pk"] == "WEIGHTS":
            world.dynamodb.delete_item(
                TableName=LOYALTY_TABLE, Key=to_item({"pk": item["pk"], "sk": item["sk"]})
            )
    for key in [*gathered(), f"learnings/{RUN}/plan.json"]:
        client("s3").delete_object(Bucket=WORKINGS_BUCKET, Key=key)


# --- a run --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("enough")
def test_a_run_proposes_what_sales_teach_and_activates_nothing(
    learning: ModuleType, world: World, sold: list[Sale], context: Any
) -> None:
    run(learning, context)

    stored = world.weights.version(2)
    held_back = sum(is_held_back(each.sale_id) for each in sold)
    assert stored.comparison is not None
    assert stored.comparison["compared_with"] == 1
    assert stored.comparison["sales"] == held_back
    assert stored.document["learnt_from"]["sales"] == len(sold) - held_back
    assert stored.document["members"] == DRIVERS
    # Half of the phones are a digit off, of cards none is.
    levels = stored.document["levels"]
    assert {"close.0", "same.0"} <= levels["phone"].keys()
    assert levels["card"]["same"] > 0
    learnt = world.weights.learning(RUN)
    assert learnt is not None
    assert learnt.version == 2
    assert world.weights.timeline() == (SINCE_EVER,)


@pytest.mark.usefixtures("enough", "sold")
def test_what_a_run_proposed_decides_the_next_sale_once_an_operator_has_activated_it(
    learning: ModuleType, world: World, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from functions.matching import handler as matching  # noqa: PLC0415
    from functions.operator import handler as operations  # noqa: PLC0415

    run(learning, context)
    operator = Client(handle=operations.handle, subject="sub-operator", groups="[operator]")
    shown = operator.get("/weights/2").body
    assert (shown["status"], shown["run_id"]) == ("proposed", RUN)
    assert shown["comparison"]["compared_with"] == 1
    next_at = FIRST_DAY + timedelta(days=SALES_EACH)
    before = fuelled(900, next_at, plate(0), card(0))
    tell_and_match(world, context, before)

    answer = operator.post("/weights/2/activation", {"replaces": 1})
    in_a_while = time.monotonic() + 2 * TIMELINE_REMEMBERED_SECONDS
    monkeypatch.setattr(matching.assignment._weights, "_clock", lambda: in_a_while)
    after = fuelled(901, next_at + timedelta(hours=1), plate(0), card(0))
    tell_and_match(world, context, after)

    assert (answer.status, answer.body["version"]) == (200, 2)
    by_the_shipped, by_the_learnt = (world.stored(each).decision for each in (before, after))
    assert by_the_shipped is not None
    assert by_the_learnt is not None
    assert (by_the_shipped.weights_version, by_the_learnt.weights_version) == (1, 2)
    assert by_the_learnt.member_id == by_the_shipped.member_id == "m0"
    assert by_the_learnt.pieces != by_the_shipped.pieces
    assert {each.field for each in by_the_learnt.pieces} >= {"plate", "card"}
    for each in by_the_learnt.pieces:
        assert each.centibits == shown["levels"][each.field][each.level]


@pytest.mark.usefixtures("enough", "sold")
@pytest.mark.parametrize("calls", [1, 5, DAYS])
def test_a_run_that_is_killed_and_goes_on_proposes_the_same(
    learning: ModuleType,
    world: World,
    context: Any,
    monkeypatch: pytest.MonkeyPatch,
    calls: int,
) -> None:
    run(learning, context)
    (whole,) = proposed(world)
    lines = gathered()
    forget(world)
    monkeypatch.setattr(learning, "TIME_RESERVED_MS", 0)
    assert learning.start(RUN, now=NOW)["run_id"] == RUN
    (message,) = received()
    with monkeypatch.context() as patch:
        patch.setattr(learning, "_s3", Killing(client("s3"), "put_object", calls=calls))
        with pytest.raises(Killed):
            learning.handle({"Records": [message]}, context)
    assert proposed(world) == []

    learning.handle({"Records": [message]}, context)

    assert gathered() == lines
    (again,) = proposed(world)
    assert {**again, "proposed_at": 0} == {**whole, "proposed_at": 0}


@pytest.mark.usefixtures("enough", "sold")
def test_steps_that_are_done_twice_propose_once(
    learning: ModuleType, world: World, context: Any
) -> None:
    learning.start(RUN, now=NOW)

    assert run(learning, context, twice=True) > DAYS
    assert len(proposed(world)) == 1


@pytest.mark.usefixtures("enough", "sold")
def test_a_run_that_is_begun_again_keeps_its_plan(
    learning: ModuleType, world: World, context: Any
) -> None:
    first = learning.start(RUN, now=NOW)
    members_counted(world, 9_000, finished_at=NOW + timedelta(days=1))
    world.register("s0002")

    assert learning.start(RUN, now=NOW + timedelta(days=1)) == first
    assert files().plan().members == DRIVERS
    run_on(learning, context)
    assert len(proposed(world)) == 1


def test_a_plan_that_cannot_be_kept_begins_nothing(
    learning: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        learning, "_s3", Reluctant(client("s3"), "put_object", refusal("AccessDenied"))
    )

    with pytest.raises(ClientError, match="AccessDenied"):
        learning.start(RUN, now=NOW)

    assert received() == []


@pytest.mark.usefixtures("enough", "sold")
def test_the_next_run_compares_with_what_is_in_force_by_then(
    learning: ModuleType, world: World, context: Any
) -> None:
    run(learning, context)
    world.weights.activate(2, replaces=1, effective_at=None, now=NOW, request_id="1")

    learning.start("next", now=NOW + timedelta(minutes=1))
    run_on(learning, context)

    latest = world.weights.version(3)
    assert latest.comparison is not None
    assert (latest.run_id, latest.comparison["compared_with"]) == ("next", 2)


@pytest.mark.usefixtures("enough", "sold")
def test_with_time_left_a_step_goes_on_to_the_end(
    learning: ModuleType, world: World, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning, "TIME_RESERVED_MS", 0)

    assert run(learning, context) == 1
    assert len(proposed(world)) == 1


@pytest.mark.usefixtures("enough")
def test_a_run_looks_at_no_more_sales_than_it_can_learn_from(
    learning: ModuleType, sold: list[Sale], context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning_files, "SALES_MAX", 12)
    monkeypatch.setattr(learning, "SALES_A_UNIT", 3)

    run(learning, context)

    by_day = [len(lines.splitlines()) for lines in gathered().values()]
    assert max(by_day) == 3
    assert 12 <= sum(by_day) < 15
    assert sum(by_day) < len(sold)


@pytest.mark.usefixtures("enough", "sold")
def test_what_is_kept_of_a_run_names_nobody(learning: ModuleType, context: Any) -> None:
    run(learning, context)

    kept = "".join(gathered().values())
    assert STATION_ID in kept
    for name in (
        "浙",
        "1381234560",
        "621700123456000",
        *(f'"m{driver}"' for driver in range(DRIVERS)),
    ):
        assert name not in kept


# --- too little ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("sold")
def test_where_there_is_too_little_the_reason_is_kept_and_nothing_proposed(
    learning: ModuleType, world: World, context: Any
) -> None:
    members_counted(world, DRIVERS)

    run(learning, context)

    (learnt,) = world.weights.learnings()
    assert (learnt.run_id, learnt.version, learnt.reason) == (RUN, None, "too_few_sales")
    assert learnt.needed == proposals.SALES_MIN
    assert learnt.found is not None
    assert 0 < learnt.found < learnt.needed
    assert proposed(world) == []


@pytest.mark.usefixtures("sold")
def test_members_nobody_has_counted_yet_are_too_little(
    learning: ModuleType, world: World, context: Any
) -> None:
    run(learning, context)

    (learnt,) = world.weights.learnings()
    assert (learnt.reason, learnt.found, learnt.needed) == ("members_not_counted", 0, 1)
    assert proposed(world) == []


def test_a_run_over_no_station_at_all_ends(
    learning: ModuleType, world: World, context: Any
) -> None:
    answer = learning.handle({}, context)

    assert answer["units"] == 0
    assert run_on(learning, context) == 1
    (learnt,) = world.weights.learnings()
    assert learnt.run_id == answer["run_id"]


def test_the_members_are_as_many_as_the_latest_verification_met(world: World) -> None:
    assert owners_counted(world.dynamodb, table=LOYALTY_TABLE) == 0
    members_counted(world, 70, finished_at=NOW)
    members_counted(world, 50, finished_at=NOW - timedelta(days=7))
    assert owners_counted(world.dynamodb, table=LOYALTY_TABLE) == 70

    world.dynamodb.update_item(
        TableName=LOYALTY_TABLE,
        Key=to_item({"pk": "VERIFICATIONS", "sk": f"run-{NOW:%Y%m%d}"}),
        UpdateExpression="REMOVE owners",
    )
    assert owners_counted(world.dynamodb, table=LOYALTY_TABLE) == 210


# --- where it looks -----------------------------------------------------------------------------


def test_a_run_looks_at_three_weeks_that_have_settled_in_an_order_of_its_own() -> None:
    today = NOW.date()

    units = units_of(RUN, ["s1", "s2"], today=today)

    days = sorted({day for _, day in units})
    assert (days[0], days[-1]) == ("2026-11-02", "2026-11-22")
    assert len(units) == len(set(units)) == 2 * DAYS
    assert units == units_of(RUN, ["s2", "s1"], today=today)
    assert units != units_of("another", ["s1", "s2"], today=today)
    assert today - date.fromisoformat(days[0]) + timedelta(days=1) < min(KEPT, EVIDENCE_KEPT)


def test_a_position_survives_the_queue() -> None:
    position = Position(run_id=RUN, unit=3, sales=120)

    assert Position.from_text(position.to_text()) == position
