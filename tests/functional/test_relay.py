"""What the bus is told: every committed change once per delivery, as its schema says."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.adjustments import Adjustment
from forecourt.adjustments import Status as Adjusted
from forecourt.bookshelf import Bookshelf
from forecourt.budgets_table import Budget
from forecourt.bus import SOURCE, DetailType
from forecourt.events import events_of
from forecourt.instants import parse_instant
from forecourt.ledger import EntryKind
from forecourt.ledger.daybook import Book
from forecourt.ledger.merkle import HASH_BYTES, root_of
from forecourt.ledger_table import LedgerTable
from forecourt.messages import NozzleReading
from forecourt.questions_table import Says
from forecourt.reconciliation import Finding, FindingKind, reconcile
from forecourt.reminders import Notice
from forecourt.sales import EvidenceKind
from forecourt.stored_sales import Status, StoredSale
from forecourt.verification import Tally, report_of, tell_verification
from forecourt.weights_table import shipped_weights
from tests.functional.conftest import BOOKS_BUCKET, EVENT_BUS, LOYALTY_TABLE, client
from tests.functional.world import POLICIES, key_of
from tests.schemas import validator
from tests.specimens import EVENTS, PLATE, SALE, earned, probably, sale, sample

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from tests.functional.world import World

AT = datetime(2026, 11, 23, 8, 15, 4, tzinfo=UTC)
DAY = date(2026, 11, 23)
STATIONS = [f"s{number:04}" for number in range(25)]


def enrolled(world: World) -> None:
    world.enrol("m1")


def profile_changed(world: World) -> None:
    world.enrol("m1")
    world.members.change("m1", {"name": "Han Meimei"}, expected_version=1)


def member_erased(world: World) -> None:
    world.enrol("m1")
    world.members.erase("m1", erased_by="m1", erased_at=AT)


def members_merged(world: World) -> None:
    world.enrol("m1")
    world.enrol("m2")
    world.merged.merge(
        "m1", "m2", policies=POLICIES, merged_by="op", reason="enrolled_twice", merged_at=AT
    )


def merge_undone(world: World) -> None:
    members_merged(world)
    world.merged.undo("m1", policies=POLICIES, undone_by="op", reason="two_people", undone_at=AT)


def identity_bound(world: World) -> None:
    world.enrol("m1", PLATE)


def identity_unbound(world: World) -> None:
    world.enrol("m1", PLATE)
    world.identities.unbind("m1", key_of(PLATE), unbound_at=AT)


def entry_recorded(world: World) -> None:
    world.post(earned("m1", 39, expires_on=date(2027, 11, 30)))


def program_activated(world: World) -> None:
    world.activate()


def station_registered(world: World) -> None:
    world.register()


def findings_of_a_bad_day() -> list[Finding]:
    """Return findings of every kind, as reconciliation writes them."""
    opens_at = SALE.key.completed_at - timedelta(hours=1)
    after_a_lost_one = sale(
        completed_at=SALE.key.completed_at + timedelta(minutes=10),
        recorded_at=SALE.recorded_at + timedelta(minutes=10),
        totalizer_ml=SALE.key.totalizer_ml + 70_000,
        transaction=4713,
    )
    reading = sample("station/samples/reading")["reading"]["nozzles"]
    gap = sample("station/samples/gap")["gap"]
    moved, went_back = (
        [NozzleReading(**{**reading[0], "totalizer_ml": totalizer_ml})]
        for totalizer_ml in (123_600_000, 1_000)
    )
    result = reconcile(
        opens_at=opens_at,
        closes_at=opens_at + timedelta(days=1),
        sales=[SALE, after_a_lost_one],
        readings=[
            (opens_at + timedelta(hours=2), moved),
            (opens_at + timedelta(hours=3), went_back),
        ],
        undecided=[after_a_lost_one.sale_id],
        owned=[SALE.sale_id],
        judged=[],
        gaps=[gap],
    )
    return list(result.findings)


def case_opened(world: World) -> None:
    world.stations.keep_case("s0001", DAY, findings=findings_of_a_bad_day(), opened_at=AT)


def day_closed(world: World) -> None:
    (leaves, parquet) = b"\x5f" * HASH_BYTES, Path(__file__)
    book = Book(
        day=DAY,
        entries=1,
        root=root_of([leaves]).hex(),
        previous="a1" * 32,
        tally={DAY: 1},
        closed_at=AT,
    )
    shelf = Bookshelf(client("s3"), world.dynamodb, bucket=BOOKS_BUCKET, table=LOYALTY_TABLE)
    for _ in range(2):
        assert shelf.shelve(book, leaves=leaves, parquet=parquet) == book


def ledger_verified(world: World) -> None:
    report = report_of(Tally(owners=2, accounts=3, entries=40), [], run_id="2026-11-22T20:00:00Z")
    for _ in range(2):
        tell_verification(world.dynamodb, table=LOYALTY_TABLE, report=report, finished_at=AT)


def adjustment(status: Adjusted) -> Adjustment:
    asked = sample("bus/samples/AdjustmentDecided")["detail"]
    return Adjustment(
        **{name: asked[name] for name in ("adjustment_id", "member_id", "wallet", "points")},
        **{name: asked[name] for name in ("source", "reason", "asked_by")},
        expires_on=None,
        asked_at=parse_instant(asked["asked_at"]),
        status=status,
    )


def adjustment_asked(world: World) -> None:
    world.adjustments.ask(adjustment(Adjusted.WAITING), request_id="request-1", fingerprint="f")


def adjustment_decided(world: World) -> None:
    adjustment_asked(world)
    at = parse_instant("2026-11-23T08:20:00Z")
    approved = adjustment(Adjusted.WAITING).decided(Adjusted.APPROVED, by="sub-operator", at=at)
    world.adjustments.approve(approved)
    world.adjustments.finish(replace(approved, status=Adjusted.POSTED))


def budget_opened(world: World) -> None:
    opened = sample("bus/samples/BudgetOpened")["detail"]
    budget = Budget(
        budget_id=opened["budget_id"],
        purpose="Double points in spring",
        wallet=opened["wallet"],
        expires_on=date.fromisoformat(opened["expires_on"]),
        opened_by=opened["opened_by"],
        opened_at=AT,
    )
    for _ in range(2):
        world.budgets.open(budget)


def sale_earned_nothing(world: World) -> None:
    world.earn_nothing("m1")


def confirmation_asked(world: World) -> None:
    stored = StoredSale(sale=SALE, status=Status.RECEIVED, received_at=AT)
    world.sales.add(stored)
    assert world.decided.decide(stored, probably("m1"), decided_at=AT)


def confirmation_answered(world: World) -> None:
    confirmation_asked(world)
    assert world.questions.answer("m1", SALE.sale_id, Says.YES, answered_by="m1", answered_at=AT)


def sale_ruled(world: World) -> None:
    world.enrol("m2")
    world.sales.add(StoredSale(sale=SALE, status=Status.RECEIVED, received_at=AT))
    world.credit(SALE, "m1")
    world.rule(SALE, "m2")


def points_expiring(world: World) -> None:
    notice = Notice(
        owner="m1", wallet="points", expires_on=date(2026, 12, 23), days_before=30, points=39
    )
    ledger = LedgerTable(world.dynamodb, name=LOYALTY_TABLE)
    assert ledger.remind(notice, noticed_at=AT)
    assert not ledger.remind(replace(notice, points=40), noticed_at=AT + timedelta(days=1))


def weights_proposed(world: World) -> None:
    for _ in range(2):
        assert world.propose(shipped_weights()) == 2


def weights_activated(world: World) -> None:
    weights_proposed(world)
    at = parse_instant("2026-11-23T08:20:00Z")
    world.weights.activate(2, replaces=1, effective_at=at, now=AT, request_id="1")


# What somebody does that the bus is then told of.
CAUSES: dict[DetailType, Callable[[World], None]] = {
    DetailType.ENTRY_RECORDED: entry_recorded,
    DetailType.MEMBER_ENROLLED: enrolled,
    DetailType.MEMBER_CHANGED: profile_changed,
    DetailType.MEMBER_ERASED: member_erased,
    DetailType.MEMBERS_MERGED: members_merged,
    DetailType.MERGE_UNDONE: merge_undone,
    DetailType.IDENTITY_BOUND: identity_bound,
    DetailType.IDENTITY_UNBOUND: identity_unbound,
    DetailType.PROGRAM_DRAFTED: program_activated,
    DetailType.PROGRAM_ACTIVATED: program_activated,
    DetailType.STATION_REGISTERED: station_registered,
    DetailType.CASE_OPENED: case_opened,
    DetailType.DAY_CLOSED: day_closed,
    DetailType.LEDGER_VERIFIED: ledger_verified,
    DetailType.ADJUSTMENT_ASKED: adjustment_asked,
    DetailType.ADJUSTMENT_DECIDED: adjustment_decided,
    DetailType.BUDGET_OPENED: budget_opened,
    DetailType.SALE_EARNED_NOTHING: sale_earned_nothing,
    DetailType.CONFIRMATION_ASKED: confirmation_asked,
    DetailType.CONFIRMATION_ANSWERED: confirmation_answered,
    DetailType.SALE_RULED: sale_ruled,
    DetailType.POINTS_EXPIRING: points_expiring,
    DetailType.WEIGHTS_PROPOSED: weights_proposed,
    DetailType.WEIGHTS_ACTIVATED: weights_activated,
}


@pytest.fixture
def relay(aws: None) -> ModuleType:  # noqa: ARG001 - the bus is in it
    from functions.relay import handler  # noqa: PLC0415 - its clients need the environment

    return handler


class Bus:
    """
    The bus, with an ear on it; may refuse events about some stations, as EventBridge may.

    What moto takes is heard; moto itself refuses nothing.
    """

    def __init__(self, bus: Any) -> None:
        self._bus = bus
        self.refuses: set[str] = set()
        self.sizes: list[int] = []
        self.heard: list[dict[str, Any]] = []

    def put_events(self, *, Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803
        self.sizes.append(len(Entries))
        results = [self._take(entry) for entry in Entries]
        failed = sum("ErrorCode" in result for result in results)
        return {"FailedEntryCount": failed, "Entries": results}

    def _take(self, entry: dict[str, str]) -> dict[str, str]:
        assert entry["EventBusName"] == EVENT_BUS
        detail = json.loads(entry["Detail"])
        if detail.get("station_id") in self.refuses:
            return {"ErrorCode": "ThrottlingException", "ErrorMessage": "later"}
        (result,) = self._bus.put_events(Entries=[entry])["Entries"]
        self.heard.append(
            {"source": entry["Source"], "detail-type": entry["DetailType"], "detail": detail}
        )
        return dict(result)


@pytest.fixture
def bus(relay: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Bus:
    bus = Bus(relay.bus)
    monkeypatch.setattr(relay, "bus", bus)
    return bus


def told(relay: ModuleType, context: Any, records: list[dict[str, Any]]) -> list[str]:
    """Relay a batch; return where the stream is to resume."""
    response = relay.handle({"Records": records}, context)
    return [failure["itemIdentifier"] for failure in response["batchItemFailures"]]


def test_every_detail_type_has_a_schema_a_sample_and_a_cause() -> None:
    names = {str(each) for each in DetailType}

    assert {path.name.removesuffix(".schema.json") for path in EVENTS.glob("bus/*.json")} == names
    assert {path.stem for path in EVENTS.glob("bus/samples/*.json")} == names
    assert set(CAUSES) == set(DetailType)


@pytest.mark.parametrize("detail_type", DetailType)
def test_a_sample_is_what_the_change_it_stands_for_tells_the_bus(
    world: World, relay: ModuleType, context: Any, bus: Bus, detail_type: DetailType
) -> None:
    CAUSES[detail_type](world)

    assert told(relay, context, world.records(LOYALTY_TABLE)) == []

    (event,) = (each for each in bus.heard if each["detail-type"] == detail_type)
    validator(f"bus/{detail_type}").validate(event)
    assert event == sample(f"bus/samples/{detail_type}")


def test_a_sale_that_a_full_wallet_refuses_has_earned_nothing(world: World) -> None:
    full = replace(POLICIES, default=replace(POLICIES.default, ceiling=10))
    world.ledger.execute(earned("m1", 39), policies=full)
    world.ledger.execute(earned("m1", 39, sale_id="gift", source="gift:1"), policies=full)

    told = [each for record in world.records(LOYALTY_TABLE) for each in events_of(record)]

    (event,) = told
    whole = {
        "source": SOURCE,
        "detail-type": str(event.detail_type),
        "detail": dict(event.detail),
    }
    validator("bus/SaleEarnedNothing").validate(whole)
    assert event.detail == {
        **sample("bus/samples/SaleEarnedNothing")["detail"],
        "program_version": None,
    }


def test_the_schemas_name_exactly_the_kinds_there_are() -> None:
    entry = sample("bus/EntryRecorded.schema")["properties"]["detail"]["properties"]
    case = sample("bus/CaseOpened.schema")["properties"]["detail"]["properties"]["findings"]
    kinds = [each["properties"]["kind"] for each in case["items"]["oneOf"]]

    assert set(entry["kind"]["enum"]) == set(EntryKind)
    assert {k for kind in kinds for k in kind.get("enum", [kind.get("const")])} == set(FindingKind)
    for name in ("IdentityBound", "IdentityUnbound"):
        detail = sample(f"bus/{name}.schema")["properties"]["detail"]["properties"]
        assert set(detail["kind"]["enum"]) == set(EvidenceKind)


def test_findings_of_a_bad_day_are_of_every_kind() -> None:
    assert {each.kind for each in findings_of_a_bad_day()} == set(FindingKind)


@pytest.mark.parametrize("detail_type", DetailType)
def test_a_record_that_comes_twice_gives_the_same_event_id(
    world: World, detail_type: DetailType
) -> None:
    CAUSES[detail_type](world)
    records = world.records(LOYALTY_TABLE)

    once = [each.detail["event_id"] for record in records for each in events_of(record)]
    again = [each.detail["event_id"] for record in records for each in events_of(record)]

    assert once == again
    assert len(set(once)) == len(once)


def test_a_reminder_that_is_forgotten_is_no_news(world: World) -> None:
    points_expiring(world)
    world.records(LOYALTY_TABLE)
    (item,) = (each for each in world.items(LOYALTY_TABLE) if each["type"] == "reminder")

    key = {name: {"S": item[name]} for name in ("pk", "sk")}
    world.dynamodb.delete_item(TableName=LOYALTY_TABLE, Key=key)

    (record,) = world.records(LOYALTY_TABLE)
    assert events_of(record) == []


def test_no_name_plate_or_phone_is_told(
    world: World, relay: ModuleType, context: Any, bus: Bus
) -> None:
    for cause in (identity_unbound, entry_recorded):
        cause(world)

    told(relay, context, world.records(LOYALTY_TABLE))

    said = json.dumps(bus.heard, ensure_ascii=False)
    assert "IdentityBound" in said
    assert "浙A" not in said
    assert "Li Lei" not in said


def test_a_closed_case_and_an_answered_question_are_nobodys_news(
    world: World, relay: ModuleType, context: Any, bus: Bus
) -> None:
    case_opened(world)
    (opened,) = world.records(LOYALTY_TABLE)
    assert [each.detail_type for each in events_of(opened)] == [DetailType.CASE_OPENED]
    world.stations.keep_case("s0001", DAY, findings=[], opened_at=AT)
    confirmation_asked(world)
    world.records(LOYALTY_TABLE)
    world.credit(SALE, "m1")

    assert told(relay, context, world.records(LOYALTY_TABLE)) == []

    assert bus.heard == []


@pytest.mark.parametrize("cause", [sale_ruled, merge_undone])
def test_what_is_deleted_of_a_persons_decisions_is_nobodys_news(
    world: World, cause: Callable[[World], None]
) -> None:
    cause(world)
    world.records(LOYALTY_TABLE)
    for item in world.dynamodb.scan(TableName=LOYALTY_TABLE)["Items"]:
        if item["type"]["S"] in {"ruling", "merge"}:
            key = {"pk": item["pk"], "sk": item["sk"]}
            world.dynamodb.delete_item(TableName=LOYALTY_TABLE, Key=key)

    assert [events_of(each) for each in world.records(LOYALTY_TABLE)] == [[]]


def test_what_is_deleted_for_good_is_nobodys_news_either(
    world: World, relay: ModuleType, context: Any, bus: Bus
) -> None:
    for cause in (
        entry_recorded,
        budget_opened,
        program_activated,
        weights_activated,
        station_registered,
        enrolled,
        confirmation_answered,
    ):
        cause(world)
    assert not world.earn_nothing("m2").repeated
    world.records(LOYALTY_TABLE)
    for item in world.dynamodb.scan(TableName=LOYALTY_TABLE)["Items"]:
        key = {"pk": item["pk"], "sk": item["sk"]}
        world.dynamodb.delete_item(TableName=LOYALTY_TABLE, Key=key)

    assert told(relay, context, world.records(LOYALTY_TABLE)) == []

    assert bus.heard == []


@pytest.mark.parametrize("cause", [budget_opened, day_closed, ledger_verified])
def test_a_budget_a_book_and_a_verification_are_news_once(
    world: World, cause: Callable[[World], None]
) -> None:
    cause(world)
    (record,) = world.records(LOYALTY_TABLE)
    assert len(events_of(record)) == 1
    record["dynamodb"]["OldImage"] = record["dynamodb"]["NewImage"]

    assert events_of(record) == []


def test_an_identity_changed_without_changing_hands_is_nobodys_news(world: World) -> None:
    identity_bound(world)
    (record,) = (
        each for each in world.records(LOYALTY_TABLE) if "IdentityBound" in str(events_of(each))
    )
    change = record["dynamodb"]

    touched = {**record, "dynamodb": {**change, "OldImage": change["NewImage"]}}

    assert events_of(touched) == []


def test_an_identity_that_is_deleted_is_unbound_and_its_trace_is_nobodys_news(
    world: World,
) -> None:
    identity_unbound(world)
    records = world.records(LOYALTY_TABLE)
    (bound, unbound) = (
        image
        for image in (record["dynamodb"].get("NewImage", {}) for record in records)
        if image.get("type", {}).get("S") in {"bound", "unbound"}
    )

    def told_of(old: dict[str, Any]) -> list[DetailType]:
        return [each.detail_type for each in events_of({"dynamodb": {"OldImage": old}})]

    assert told_of(bound) == [DetailType.IDENTITY_UNBOUND]
    assert told_of(unbound) == []


def test_a_later_activation_tells_of_itself_alone(
    world: World, relay: ModuleType, context: Any, bus: Bus
) -> None:
    world.activate()
    world.records(LOYALTY_TABLE)
    world.activate(effective_at=AT)

    told(relay, context, world.records(LOYALTY_TABLE))

    activated = [each for each in bus.heard if each["detail-type"] == "ProgramActivated"]
    assert [each["detail"]["version"] for each in activated] == [2]


def registered(world: World) -> list[dict[str, Any]]:
    """Register more stations than one call tells of; return what the stream says of them."""
    for station_id in STATIONS:
        world.register(station_id)
    return world.records(LOYALTY_TABLE)


def test_more_events_than_one_call_takes_are_told_in_order(
    world: World, relay: ModuleType, context: Any, bus: Bus
) -> None:
    records = registered(world)

    assert told(relay, context, records) == []

    assert [each["detail"]["station_id"] for each in bus.heard] == STATIONS


def test_the_stream_resumes_at_the_first_event_there_was_no_time_to_tell(
    world: World, relay: ModuleType, hurried: Any, context: Any, bus: Bus
) -> None:
    records = registered(world)

    resumed_at = told(relay, hurried, records)
    again = told(relay, context, records[10:])

    assert resumed_at == [records[10]["dynamodb"]["SequenceNumber"]]
    assert again == []
    assert len(bus.heard) == 25


@pytest.mark.parametrize("refused", [0, 9, 10, 12, 24])
def test_the_stream_resumes_at_the_first_event_refused_and_no_event_is_lost(
    world: World, relay: ModuleType, context: Any, bus: Bus, refused: int
) -> None:
    records = registered(world)
    bus.refuses = {STATIONS[refused]}

    resumed_at = told(relay, context, records)
    bus.refuses = set()
    again = told(relay, context, records[refused:])

    assert resumed_at == [records[refused]["dynamodb"]["SequenceNumber"]]
    assert again == []
    assert max(bus.sizes) <= 10
    assert {each["detail"]["station_id"] for each in bus.heard} == set(STATIONS)
