"""The operator API, from the event API Gateway sends to tables and AWS IoT."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from forecourt.baskets import Basket, Category, Line, Means, Payment
from forecourt.decided_sales import DecidedSales
from forecourt.errors import StaleWrite
from forecourt.hashes import EvidenceKey
from forecourt.loyalty_table import LoyaltyTable
from forecourt.operator_table import Version
from forecourt.sales import Sale, SaleKey
from forecourt.sales_table import SalesTable
from forecourt.stations_table import StationsTable
from forecourt.stored_messages import QuarantinedMessage
from forecourt.stored_sales import KeyedEvidence, Status, StoredSale
from functions.operator import handler
from tests.functional.conftest import (
    LOYALTY_TABLE,
    REQUESTS_TABLE,
    SALES_TABLE,
    STATION_POLICY,
)
from tests.functional.http import Client, Reply
from tests.specimens import credited_to, nobodys, probably

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functional.world import World

NOW = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
STATION = {
    "station_id": "s0001",
    "name": "West Lake",
    "zone": "Asia/Shanghai",
    "grades": ["95", "92"],
}
RULE = {
    "rule_id": "petrol",
    "grades": ["92", "95"],
    "basis": "volume",
    "points": 10,
    "per": 1000,
    "minimum": 1000,
    "rounding": "floor",
    "categories": ["fuel"],
    "scope": "sale",
}
PROGRAM = {
    "zone": "Asia/Shanghai",
    "rules": [RULE],
    "validity": {"months": 12, "end_of": "month"},
    "wallets": None,
    "growth": None,
    "tiers": None,
    "multiples": None,
    "baskets": None,
    "discounts": None,
}


@pytest.fixture(autouse=True)
def clock(aws: None, monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:  # noqa: ARG001
    def set_clock(at: datetime) -> None:
        for routes in (handler.stations, handler.programs, handler.reviews, handler.quotes):
            monkeypatch.setattr(routes, "_now", lambda: at)

    set_clock(NOW)
    return set_clock


@pytest.fixture
def operator() -> Client:
    return Client(handle=handler.handle, subject="sub-operator", groups="[operator]")


@pytest.fixture
def manager() -> Client:
    return Client(handle=handler.handle, subject="sub-manager", groups="[manager]")


@pytest.fixture
def auditor() -> Client:
    return Client(handle=handler.handle, subject="sub-auditor", groups="[auditor]")


def items(dynamodb: Any, table: str = LOYALTY_TABLE) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = dynamodb.scan(TableName=table)["Items"]
    return sorted(found, key=lambda item: (item.get("pk", {}).get("S", ""), str(item.get("sk"))))


def certificates() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = boto3.client("iot").list_certificates()["certificates"]
    return found


def signing_request() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "s0001")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


# --- stations ---------------------------------------------------------------------------------


def test_a_registered_station_has_a_thing_a_certificate_and_the_policy(
    operator: Client, dynamodb: Any
) -> None:
    reply = operator.post("/stations", STATION)

    assert reply.status == 201
    assert reply.headers["Location"] == "/stations/s0001"
    assert reply.body["station"] == {
        **STATION,
        "grades": ["92", "95"],
        "open_since": "2026-11-23T08:15:00Z",
    }
    assert reply.body["private_key_pem"].startswith("-----BEGIN RSA PRIVATE KEY-----")
    iot = boto3.client("iot")
    (principal,) = iot.list_thing_principals(thingName="s0001")["principals"]
    assert principal.endswith(reply.body["certificate"]["certificate_id"])
    (policy,) = iot.list_attached_policies(target=principal)["policies"]
    assert policy["policyName"] == STATION_POLICY
    (certificate,) = certificates()
    assert certificate["status"] == "ACTIVE"
    station = StationsTable(dynamodb, name=LOYALTY_TABLE).station("s0001")
    assert station is not None
    assert station.name == "West Lake"
    assert station.grades == {"92", "95"}


def test_the_private_key_is_shown_once_and_kept_nowhere(operator: Client, dynamodb: Any) -> None:
    first = operator.post("/stations", STATION, key="1")
    again = operator.post("/stations", STATION, key="1")

    assert (again.status, again.body) == (201, {**first.body, "private_key_pem": None})
    assert again.body["renewal"] == "/stations/s0001/certificates"
    stored = str(items(dynamodb)) + str(items(dynamodb, REQUESTS_TABLE))
    assert "PRIVATE KEY" not in stored
    assert first.body["private_key_pem"].splitlines()[1] not in stored
    assert len(certificates()) == 1


def test_with_a_signing_request_there_is_no_private_key_to_show(operator: Client) -> None:
    reply = operator.post("/stations", {**STATION, "csr": signing_request()})

    assert (reply.status, reply.body["private_key_pem"]) == (201, None)
    assert reply.body["certificate"]["certificate_pem"].startswith("-----BEGIN CERTIFICATE-----")
    assert len(certificates()) == 1


def test_a_signing_request_aws_refuses_is_refused(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator.post("/stations", STATION)
    iot = handler.stations._things._iot
    refusal = iot.exceptions.InvalidRequestException(
        {"Error": {"Code": "InvalidRequestException"}}, "CreateCertificateFromCsr"
    )

    def refuse(**_: Any) -> None:
        raise refusal

    monkeypatch.setattr(iot, "create_certificate_from_csr", refuse)
    reply = operator.post("/stations/s0001/certificates", {"csr": signing_request()})

    assert (reply.status, reply.code) == (422, "invalid_certificate_request")
    assert len(certificates()) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"station_id": "S1"},
        {"station_id": "s"},
        {"station_id": "s0001\n"},
        {"station_id": "s0001/up"},
        {"name": ""},
        {"zone": "Asia/Atlantis"},
        {"zone": "../etc/passwd"},
        {"grades": []},
        {"grades": ["E 10"]},
        {"grades": [92]},
        {"open_since": "2026-11-23T08:15:00"},
        {"open_since": "2026-11-23T08:15:00+08:00"},
        {"open_since": 1},
        {"csr": "not a request"},
        {"policy": "admin"},
    ],
    ids=str,
)
def test_a_station_that_cannot_be_is_refused(
    operator: Client, dynamodb: Any, change: dict[str, Any]
) -> None:
    reply = operator.post("/stations", {**STATION, **change})

    assert (reply.status, reply.code) == (422, "invalid_request")
    assert items(dynamodb) == certificates() == []


def test_another_station_under_the_same_id_is_refused(operator: Client, dynamodb: Any) -> None:
    operator.post("/stations", STATION)
    before = items(dynamodb)

    for change in ({"name": "East"}, {"grades": ["92"]}, {"open_since": "2020-01-01T00:00:00Z"}):
        reply = operator.post("/stations", {**STATION, **change})
        assert (reply.status, reply.code) == (409, "station_exists")

    assert items(dynamodb) == before
    assert len(certificates()) == 1


def test_registering_a_complete_station_again_issues_no_second_certificate(
    operator: Client, dynamodb: Any, clock: Callable[[datetime], None]
) -> None:
    operator.post("/stations", STATION)
    before = items(dynamodb)
    clock(NOW + timedelta(hours=1))

    reply = operator.post("/stations", STATION)

    assert (reply.status, reply.body["certificate"]) == (200, None)
    assert reply.body["renewal"] == "/stations/s0001/certificates"
    assert items(dynamodb) == before
    assert len(certificates()) == 1


@pytest.mark.parametrize(
    "step",
    [
        "create_thing",
        "list_thing_principals",
        "create_keys_and_certificate",
        "attach_policy",
        "attach_thing_principal",
    ],
)
@pytest.mark.parametrize("done", [False, True])
def test_a_registration_that_died_half_way_is_finished_by_its_retry(
    operator: Client,
    monkeypatch: pytest.MonkeyPatch,
    clock: Callable[[datetime], None],
    step: str,
    *,
    done: bool,
) -> None:
    iot = handler.stations._things._iot
    work = getattr(iot, step)

    def die(**arguments: Any) -> None:
        if done:
            work(**arguments)
        raise RuntimeError("connection lost")

    with monkeypatch.context() as patched:
        patched.setattr(iot, step, die)
        assert operator.post("/stations", STATION, key="1").status == 500
    clock(NOW + timedelta(hours=1))

    reply = operator.post("/stations", STATION, key="1")

    finished = step == "attach_thing_principal" and done
    assert reply.status == (200 if finished else 201)
    assert reply.body["station"]["open_since"] == "2026-11-23T08:15:00Z"
    (principal,) = boto3.client("iot").list_thing_principals(thingName="s0001")["principals"]
    (policy,) = boto3.client("iot").list_attached_policies(target=principal)["policies"]
    assert policy["policyName"] == STATION_POLICY


def test_a_station_gets_a_new_certificate_beside_the_old_one(operator: Client) -> None:
    first = operator.post("/stations", STATION).body["certificate"]

    reply = operator.post("/stations/s0001/certificates", {}, key="1")
    again = operator.post("/stations/s0001/certificates", {}, key="1")

    assert reply.status == 201
    assert reply.body["certificate"] != first
    assert "PRIVATE KEY" in reply.body["private_key_pem"]
    assert again.body == {**reply.body, "private_key_pem": None}
    principals = boto3.client("iot").list_thing_principals(thingName="s0001")["principals"]
    assert len(principals) == len(certificates()) == 2


def test_an_unknown_station_has_no_page_and_no_certificate(operator: Client) -> None:
    assert operator.get("/stations/s0404").code == "unknown_station"
    assert operator.post("/stations/s0404/certificates", {}).code == "unknown_station"
    assert certificates() == []


@pytest.mark.parametrize(
    ("change", "after"),
    [
        ({"grades": ["98", "92"]}, {"grades": ["92", "98"]}),
        ({"name": "East"}, {"name": "East"}),
        ({"name": "East", "grades": ["0"]}, {"name": "East", "grades": ["0"]}),
    ],
)
def test_what_is_given_of_a_station_changes_and_the_rest_stays(
    operator: Client, change: dict[str, Any], after: dict[str, Any]
) -> None:
    before = operator.post("/stations", STATION).body["station"]

    reply = operator.patch("/stations/s0001", change)

    assert (reply.status, reply.body) == (200, {**before, **after})
    assert operator.get("/stations/s0001").body == reply.body


@pytest.mark.parametrize(
    "change", [{}, {"grades": []}, {"grades": ["9 2"]}, {"name": ""}, {"zone": "Asia/Tokyo"}]
)
def test_a_station_is_not_changed_to_what_it_cannot_be(
    operator: Client, dynamodb: Any, change: dict[str, Any]
) -> None:
    operator.post("/stations", STATION)
    before = items(dynamodb)

    reply = operator.patch("/stations/s0001", change)

    assert (reply.status, reply.code) == (422, "invalid_request")
    assert items(dynamodb) == before


def test_changing_a_station_that_is_not_there_makes_none(operator: Client, dynamodb: Any) -> None:
    assert operator.patch("/stations/s0404", {"grades": ["92"]}).code == "unknown_station"
    assert items(dynamodb) == []


def test_a_station_whose_till_has_told_of_sales_is_registered_again_as_it_is(
    operator: Client, dynamodb: Any
) -> None:
    operator.post("/stations", STATION)
    StationsTable(dynamodb, name=LOYALTY_TABLE).note_retold("s0001")

    assert operator.post("/stations", STATION).status == 200


def test_stations_are_listed_in_pages_by_id(operator: Client) -> None:
    for number in (3, 1, 2):
        operator.post("/stations", {**STATION, "station_id": f"s000{number}"})

    pages = walk(operator, "/stations", "stations", limit=2)

    assert [[each["station_id"] for each in page] for page in pages] == [
        ["s0001", "s0002"],
        ["s0003"],
    ]
    assert operator.get("/stations/s0002").body == pages[0][1]
    assert operator.get("/stations", cursor="x").code == "invalid_cursor"


def walk(client: Client, path: str, name: str, **query: Any) -> list[list[Any]]:
    """Return every page of a list, following its cursors."""
    pages = []
    cursor: dict[str, str] = {}
    while True:
        reply = client.get(path, **query, **cursor)
        assert reply.status == 200, reply.text
        pages.append(reply.body[name])
        if reply.body["next_cursor"] is None:
            return pages
        cursor = {"cursor": reply.body["next_cursor"]}


# --- programs ---------------------------------------------------------------------------------


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


# --- reviews ----------------------------------------------------------------------------------


SALE = Sale(
    key=SaleKey(
        completed_at=NOW,
        station_id="s0001",
        device_serial="SN1",
        nozzle=3,
        transaction=1,
        totalizer_ml=1000,
    ),
    grade="92",
    unit_price_milli_per_litre=7560,
    volume_ml=39_990,
    amount_fen=1,
    volume_resolution_ml=10,
    started_at=NOW - timedelta(minutes=2),
    recorded_at=NOW,
    clock_offset_seconds=None,
    clock_synchronised=True,
    test_delivery=False,
)
PLATE = EvidenceKey(kind="plate", digest="a" * 22)


def held(transaction: int = 1, *, sealed: bytes | None = None) -> StoredSale:
    return StoredSale(
        sale=replace(SALE, key=replace(SALE.key, transaction=transaction)),
        status=Status.HELD,
        received_at=NOW + timedelta(seconds=transaction),
        evidence=(KeyedEvidence(key=PLATE, confidence=97, source="camera-1"),),
        sealed=sealed,
        doubts=("amount_mismatch",),
    )


@pytest.fixture
def sales(dynamodb: Any) -> SalesTable:
    return SalesTable(dynamodb, name=SALES_TABLE)


@pytest.fixture
def decided(dynamodb: Any) -> DecidedSales:
    return DecidedSales(dynamodb, sales=SALES_TABLE, loyalty=LOYALTY_TABLE)


def test_held_sales_show_their_doubts_and_masked_evidence(
    manager: Client, auditor: Client, sales: SalesTable
) -> None:
    sealed = handler.reviews._sealer.seal(
        [["plate", "浙A12345"]], context={"sale_id": SALE.sale_id}
    )
    sales.add(held(sealed=sealed))

    (shown,) = manager.get("/sales", queue="held").body["sales"]
    (audited,) = auditor.get("/sales", queue="held").body["sales"]

    assert shown["sale_id"] == SALE.sale_id
    assert shown["doubts"] == ["amount_mismatch"]
    assert shown["evidence"] == [{"kind": "plate", "confidence": 97, "source": "camera-1"}]
    assert shown["observed"] == [{"kind": "plate", "masked": "浙A***45"}]
    assert audited == {**shown, "observed": None}


def test_pending_sales_are_listed_and_say_why(
    manager: Client, sales: SalesTable, decided: DecidedSales
) -> None:
    stored = replace(held(), status=Status.RECEIVED, doubts=())
    sales.add(stored)
    decided.decide(stored, probably("m-1"), decided_at=NOW)

    (shown,) = manager.get("/sales", queue="pending").body["sales"]

    assert (shown["status"], shown["undecided_because"]) == ("pending", "unsure")


def test_unmatched_sales_say_why(manager: Client, sales: SalesTable, decided: DecidedSales) -> None:
    stored = replace(held(), status=Status.RECEIVED, doubts=())
    sales.add(stored)
    decided.decide(stored, nobodys(), decided_at=NOW)

    (shown,) = manager.get("/sales", queue="unmatched").body["sales"]

    assert (shown["status"], shown["undecided_because"]) == ("unmatched", "unknown")
    assert shown["decided_at"] == "2026-11-23T08:15:00Z"
    assert shown["observed"] == []


def test_quarantined_messages_show_the_reason_and_not_the_content(
    manager: Client, sales: SalesTable
) -> None:
    sales.quarantine(
        QuarantinedMessage(
            station_id="s0001",
            message_id="m-1",
            topic="forecourt/s0001/up/sales",
            reason="wrong_type",
            field="sale.volume_ml",
            payload='{"value":"浙A12345"}'.encode(),
            received_at=NOW,
        )
    )

    reply = manager.get("/sales", queue="quarantined")

    assert reply.body["messages"] == [
        {
            "station_id": "s0001",
            "message_id": "m-1",
            "topic": "forecourt/s0001/up/sales",
            "reason": "wrong_type",
            "field": "sale.volume_ml",
            "size_bytes": 21,
            "received_at": "2026-11-23T08:15:00Z",
        }
    ]
    assert "12345" not in reply.text


def test_a_sale_is_shown_with_what_was_bought_along(manager: Client, world: World) -> None:
    world.sales.add(held())
    fill = Line(
        category=Category.FUEL, amount_fen=SALE.amount_fen, grade="92", volume_ml=SALE.volume_ml
    )
    assert manager.get(f"/sales/{SALE.sale_id}").body["receipt"] is None

    world.tell(
        SALE,
        Basket(
            lines=(fill, Line(category=Category.SHOP, amount_fen=1_000)),
            payments=(Payment(by=Means.CASH, amount_fen=SALE.amount_fen + 1_000),),
        ),
    )

    assert manager.get(f"/sales/{SALE.sale_id}").body["receipt"] == {
        "telling_id": "20261123T081500Z.s0001.till.R-1",
        "lines": [
            {"category": "fuel", "amount_fen": SALE.amount_fen},
            {"category": "shop", "amount_fen": 1_000},
        ],
        "payments": [{"by": "cash", "amount_fen": SALE.amount_fen + 1_000}],
    }


def test_a_queue_comes_in_pages_oldest_first(manager: Client, sales: SalesTable) -> None:
    for transaction in (3, 1, 2):
        sales.add(held(transaction))

    pages = walk(manager, "/sales", "sales", queue="held", limit=2)

    assert [[each["sale_id"].split(".")[4] for each in page] for page in pages] == [
        ["1", "2"],
        ["3"],
    ]
    cursor = manager.get("/sales", queue="held", limit=1).body["next_cursor"]
    other = manager.get("/sales", queue="unmatched", cursor=cursor)
    assert (other.status, other.code) == (400, "invalid_cursor")


@pytest.mark.parametrize("query", [{}, {"queue": "all"}, {"queue": "held", "limit": 51}])
def test_a_queue_has_to_be_named(manager: Client, query: dict[str, Any]) -> None:
    assert manager.get("/sales", **query).code == "invalid_request"


@pytest.mark.parametrize(
    ("path", "status", "decision"),
    [
        ("release", Status.RECEIVED, "released"),
        ("rejection", Status.REJECTED, "rejected"),
    ],
)
def test_a_held_sale_is_decided_and_the_same_person_may_say_so_again(
    manager: Client, sales: SalesTable, path: str, status: Status, decision: str
) -> None:
    sales.add(held())

    reply = manager.post(f"/sales/{SALE.sale_id}/{path}")
    # Under a new key: what a retry after a crash looks like.
    again = manager.post(f"/sales/{SALE.sale_id}/{path}")

    assert reply.body == again.body
    assert reply.body == {
        "sale_id": SALE.sale_id,
        "decision": decision,
        "decided_by": "sub-manager",
    }
    stored = sales.sale(SALE.sale_id)
    assert (stored.status, stored.decided_by) == (status, "sub-manager")


@pytest.mark.parametrize(
    ("first", "who", "then"),
    [
        ("release", "operator", "release"),
        ("release", "operator", "rejection"),
        ("release", "manager", "rejection"),
        ("rejection", "operator", "rejection"),
        ("rejection", "manager", "release"),
    ],
)
def test_a_decided_sale_is_not_decided_again(
    request: pytest.FixtureRequest, dynamodb: Any, first: str, who: str, then: str
) -> None:
    SalesTable(dynamodb, name=SALES_TABLE).add(held())
    manager: Client = request.getfixturevalue("manager")
    manager.post(f"/sales/{SALE.sale_id}/{first}")
    before = items(dynamodb, SALES_TABLE)

    reply = request.getfixturevalue(who).post(f"/sales/{SALE.sale_id}/{then}")

    assert (reply.status, reply.code) == (409, "sale_not_held")
    assert items(dynamodb, SALES_TABLE) == before


@pytest.mark.parametrize("sale_id", [SALE.sale_id, "nonsense", "20261123T081500Z.s0001"])
def test_an_unknown_sale_cannot_be_decided(operator: Client, dynamodb: Any, sale_id: str) -> None:
    for path in ("release", "rejection"):
        reply = operator.post(f"/sales/{sale_id}/{path}")
        assert (reply.status, reply.code) == (404, "unknown_sale")

    assert items(dynamodb, SALES_TABLE) == []


def test_an_earlier_decision_is_replayed_with_its_key(
    manager: Client, sales: SalesTable, decided: DecidedSales
) -> None:
    sales.add(held())
    first = manager.post(f"/sales/{SALE.sale_id}/release", key="1")
    decided.decide(sales.sale(SALE.sale_id), credited_to("m-1"), decided_at=NOW)

    again = manager.post(f"/sales/{SALE.sale_id}/release", key="1")

    assert (again.status, again.text) == (first.status, first.text)
    assert again.headers["Idempotent-Replayed"] == "true"
