"""Programs: drafted, judged and put in force."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from forecourt.errors import StaleWrite
from forecourt.loyalty_table import LoyaltyTable
from forecourt.operator_table import Version
from functions.operator import handler
from tests.functional.conftest import (
    LOYALTY_TABLE,
    REQUESTS_TABLE,
)
from tests.functional.head_office.documents import NOW, PROGRAM, RULE, STATION, items, walk

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functional.http import Client, Reply


def test_drafts_are_numbered_and_shown(operator: Client) -> None:
    first = operator.post("/programs", PROGRAM)
    second = operator.post("/programs", {**PROGRAM, "validity": None})

    assert (first.status, first.headers["Location"]) == (201, "/programs/1")
    assert first.body == {
        "version": 1,
        "status": "draft",
        "document": PROGRAM,
        "drafted_at": "2026-11-23T08:15:00Z",
        "drafted_by": "sub-operator",
    }
    assert second.body["version"] == 2
    assert operator.get("/programs/2").body["document"]["validity"] is None
    pages = walk(operator, "/programs", "programs", limit=1)
    assert [each["version"] for page in pages for each in page] == [2, 1]


def test_a_crashed_drafting_makes_one_draft(
    operator: Client, dynamodb: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = handler.table.draft

    def die(*arguments: Any, **named: Any) -> None:
        draft(*arguments, **named)
        raise RuntimeError("connection lost")

    with monkeypatch.context() as patched:
        patched.setattr(handler.table, "draft", die)
        assert operator.post("/programs", PROGRAM, key="1").status == 500
    operator.post("/programs", PROGRAM, key="2")
    before = items(dynamodb)

    reply = operator.post("/programs", PROGRAM, key="1")

    assert (reply.status, reply.body["version"]) == (201, 1)
    assert items(dynamodb) == before


def test_two_drafters_at_once_get_two_numbers(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = handler.table.versions
    seen: list[int] = []

    def overtaken(**arguments: Any) -> Any:
        page = versions(**arguments)
        if not seen:
            seen.append(1)
            handler.table.draft(PROGRAM, request_id="rival", drafted_by="rival", drafted_at=NOW)
        return page

    monkeypatch.setattr(handler.table, "versions", overtaken)

    assert operator.post("/programs", PROGRAM).body["version"] == 2


def test_a_draft_can_be_replaced(operator: Client) -> None:
    operator.post("/programs", PROGRAM)

    reply = operator.put("/programs/1", {**PROGRAM, "validity": None})

    assert reply.status == 200
    assert operator.get("/programs/1").body["document"]["validity"] is None


def test_an_active_version_is_fixed(operator: Client, dynamodb: Any) -> None:
    operator.post("/programs", PROGRAM)
    operator.post("/programs/1/activation", {})
    before = items(dynamodb)

    reply = operator.put("/programs/1", {**PROGRAM, "validity": None})

    assert (reply.status, reply.code, reply.facts) == (409, "program_not_draft", {"version": 1})
    assert items(dynamodb) == before
    assert operator.put("/programs/1", PROGRAM).status == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/programs/7", None),
        ("PUT", "/programs/7", PROGRAM),
        ("POST", "/programs/7/validation", None),
        ("POST", "/programs/7/activation", {}),
    ],
)
def test_a_version_that_was_never_drafted_is_unknown(
    operator: Client, dynamodb: Any, method: str, path: str, body: Any
) -> None:
    reply = operator.write(method, path, body)

    assert (reply.status, reply.code, reply.facts) == (404, "unknown_program", {"version": 7})
    assert items(dynamodb) == []


@pytest.mark.parametrize(
    ("change", "at"),
    [
        ({"points": "10"}, "points"),
        ({"points": 10.0}, "points"),
        ({"points": True}, "points"),
        ({"points": -1}, "points"),
        ({"per": 0}, "per"),
        ({"minimum": -1}, "minimum"),
        ({"basis": "weight"}, "basis"),
        ({"rounding": "up"}, "rounding"),
        ({"rule_id": ""}, "rule_id"),
        ({"expression": "1+1"}, "expression"),
    ],
    ids=str,
)
def test_a_rule_out_of_bounds_is_refused(
    operator: Client, dynamodb: Any, change: dict[str, Any], at: str
) -> None:
    document = {**PROGRAM, "rules": [{**RULE, **change}]}

    reply = operator.post("/programs", document)

    assert (reply.status, reply.code) == (422, "invalid_request")
    assert [each["at"] for each in reply.facts["findings"]] == [f"/body/rules/0/{at}"]
    assert items(dynamodb) == []


def test_a_program_that_contradicts_itself_is_saved_but_not_activated(
    operator: Client, dynamodb: Any
) -> None:
    operator.post("/stations", STATION)
    operator.post("/programs", {**PROGRAM, "zone": "Asia/Atlantis", "rules": [RULE, RULE]})
    before = items(dynamodb)

    validation = operator.post("/programs/1/validation")
    activation = operator.post("/programs/1/activation", {})

    assert validation.body["activatable"] is False
    assert {each["code"] for each in validation.body["findings"]} == {
        "unknown_zone",
        "duplicate_rule_id",
        "unreachable_rule",
    }
    assert (activation.status, activation.code) == (422, "invalid_program")
    assert activation.facts == {
        "findings": [
            "/zone: unknown_zone",
            "/rules/1/rule_id: duplicate_rule_id",
            "/rules/1: unreachable_rule",
        ]
    }
    assert items(dynamodb) == before


def test_points_that_would_run_out_before_they_are_active_are_not_put_in_force(
    operator: Client, dynamodb: Any
) -> None:
    month = {"months": 0, "end_of": "month"}
    wallets = {"points": {"pending_days": 1}}
    operator.post("/programs", {**PROGRAM, "validity": month, "wallets": wallets})
    before = items(dynamodb)

    reply = operator.post("/programs/1/activation", {})

    assert (reply.status, reply.code) == (422, "invalid_program")
    assert reply.facts == {
        "findings": ["/wallets/points/pending_days: pending_longer_than_validity"]
    }
    assert items(dynamodb) == before


def test_a_grade_without_a_rule_is_a_warning_and_no_obstacle(operator: Client) -> None:
    operator.post("/stations", {**STATION, "grades": ["92", "0"]})
    operator.post("/programs", PROGRAM)

    validation = operator.post("/programs/1/validation").body

    assert validation["activatable"] is True
    assert [(each["code"], each["facts"]) for each in validation["findings"]] == [
        ("grade_without_rule", {"grade": "0"}),
        ("grade_not_sold", {"grade": "95"}),
    ]
    assert operator.get("/programs/1").body["findings"] == validation["findings"]
    assert operator.post("/programs/1/activation", {}).status == 200


def activate(client: Client, version: int, at: str | None = None, **named: Any) -> Reply:
    body = {"effective_at": at} if at else {}
    return client.post(f"/programs/{version}/activation", body, **named)


@pytest.fixture
def two_drafts(operator: Client) -> None:
    operator.post("/programs", PROGRAM)
    operator.post("/programs", {**PROGRAM, "validity": None})


@pytest.mark.usefixtures("two_drafts")
def test_the_very_first_activation_may_lie_in_the_past(operator: Client, dynamodb: Any) -> None:
    reply = activate(operator, 1, "2026-01-01T00:00:00Z")

    assert reply.body == {"version": 1, "effective_at": "2026-01-01T00:00:00Z"}
    standing = LoyaltyTable(dynamodb, name=LOYALTY_TABLE).standings(["m-1"])
    assert [(each.version, each.effective_at.year) for each in standing.timeline] == [(1, 2026)]
    assert LoyaltyTable(dynamodb, name=LOYALTY_TABLE).program_document(1) == PROGRAM


@pytest.mark.usefixtures("two_drafts")
def test_what_was_in_force_cannot_be_changed(operator: Client, dynamodb: Any) -> None:
    activate(operator, 1)
    before = items(dynamodb)

    reply = activate(operator, 2, "2026-11-23T08:14:59Z")

    assert (reply.status, reply.code) == (409, "retroactive_activation")
    assert reply.facts == {
        "effective_at": "2026-11-23T08:14:59Z",
        "earliest_at": "2026-11-23T08:15:00Z",
    }
    assert items(dynamodb) == before


@pytest.mark.usefixtures("two_drafts")
def test_versions_take_turns_and_an_older_one_may_come_back(operator: Client) -> None:
    activate(operator, 1)
    activate(operator, 2, "2026-12-01T00:00:00Z")
    activate(operator, 1, "2026-12-24T00:00:00Z")

    listed = operator.get("/programs").body

    assert [(each["version"], each["effective_at"]) for each in listed["timeline"]] == [
        (1, "2026-11-23T08:15:00Z"),
        (2, "2026-12-01T00:00:00Z"),
        (1, "2026-12-24T00:00:00Z"),
    ]
    assert listed["in_force"] == 1
    shown = operator.get("/programs/2").body
    assert shown["status"] == "active"
    assert shown["activations"] == [{"version": 2, "effective_at": "2026-12-01T00:00:00Z"}]


@pytest.mark.usefixtures("two_drafts")
def test_an_activation_to_come_gives_way_to_another_at_its_instant(operator: Client) -> None:
    activate(operator, 1)
    activate(operator, 1, "2026-12-01T00:00:00Z")
    activate(operator, 2, "2026-12-01T00:00:00Z")

    timeline = operator.get("/programs").body["timeline"]

    assert [each["version"] for each in timeline] == [1, 2]


@pytest.mark.usefixtures("two_drafts")
def test_activating_what_is_in_force_changes_nothing(
    operator: Client, dynamodb: Any, clock: Callable[[datetime], None]
) -> None:
    activate(operator, 1)
    before = items(dynamodb)
    clock(NOW + timedelta(days=1))

    at_once = activate(operator, 1)
    the_same = activate(operator, 1, "2026-11-23T08:15:00Z")

    assert at_once.body == the_same.body == {"version": 1, "effective_at": "2026-11-23T08:15:00Z"}
    assert items(dynamodb) == before


@pytest.mark.usefixtures("two_drafts")
def test_two_activations_at_once_are_both_kept(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    activate(operator, 1)
    store = handler.table._store_timeline
    rivals = [
        handler.table.version(2),
    ]

    def overtaken(*arguments: Any, **named: Any) -> None:
        if rivals:
            rival = rivals.pop()
            handler.table.activate(
                rival, effective_at=NOW + timedelta(days=1), now=NOW, request_id="rival"
            )
        store(*arguments, **named)

    monkeypatch.setattr(handler.table, "_store_timeline", overtaken)
    reply = activate(operator, 1, "2026-12-24T00:00:00Z")

    assert reply.status == 200
    timeline = operator.get("/programs").body["timeline"]
    assert [each["version"] for each in timeline] == [1, 2, 1]


@pytest.mark.usefixtures("two_drafts")
@pytest.mark.parametrize("at", [None, "2026-11-23T12:00:00Z"])
def test_an_activation_whose_answer_was_lost_is_not_made_again_over_a_later_one(
    operator: Client, dynamodb: Any, clock: Callable[[datetime], None], at: str | None
) -> None:
    first = activate(operator, 1, at, key="1")
    for item in dynamodb.scan(TableName=REQUESTS_TABLE)["Items"]:
        dynamodb.delete_item(TableName=REQUESTS_TABLE, Key={"id": item["id"]})
    clock(NOW + timedelta(minutes=1))
    assert activate(operator, 2, at).status == 200
    clock(NOW + timedelta(days=1))
    before = items(dynamodb)

    again = activate(operator, 1, at, key="1")

    assert (again.status, again.body) == (200, first.body)
    assert items(dynamodb) == before


@pytest.mark.usefixtures("two_drafts")
def test_a_draft_that_changed_since_it_was_judged_is_not_activated(dynamodb: Any) -> None:
    judged = handler.table.version(1)
    handler.table.replace_draft(1, {**PROGRAM, "rules": []})
    before = items(dynamodb)

    with pytest.raises(StaleWrite):
        handler.table.activate(judged, effective_at=None, now=NOW, request_id="1")

    assert items(dynamodb) == before


def test_a_lost_connection_is_no_conflict(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "ThrottlingException"}}, "TransactWriteItems")

    monkeypatch.setattr(handler.dynamodb, "transact_write_items", fail)

    assert operator.post("/programs", PROGRAM).code == "unavailable"
    with pytest.raises(ClientError):
        handler.table.activate(
            Version(version=1, active=False, document={}, drafted_at=NOW, drafted_by="x"),
            effective_at=None,
            now=NOW,
            request_id="1",
        )


@pytest.mark.parametrize("version", ["0", "-1", "x", "1000000", "1.5"])
def test_a_version_is_a_number(operator: Client, version: str) -> None:
    assert operator.get(f"/programs/{version}").code == "invalid_request"
