"""The members API, from the event API Gateway sends to the items in the tables."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.attributes import from_item, to_item
from forecourt.decided_sales import DecidedSales
from forecourt.identities_table import IDENTITIES_MAX
from forecourt.ledger import Account, earn
from forecourt.loyalty_table import LoyaltyTable
from forecourt.program import Evaluation, Trace
from forecourt.sales import Sale, SaleKey
from forecourt.sales_table import SalesTable
from forecourt.stored_sales import Status, StoredSale
from functions.members import handler
from functions.members.zone import ProgramZone
from tests.functional.conftest import LOYALTY_TABLE, REQUESTS_TABLE, SALES_TABLE
from tests.functional.http import Client
from tests.specimens import credited_to

if TYPE_CHECKING:
    from collections.abc import Iterator

MORNING = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
PLATE = {"kind": "plate", "value": "浙A12345"}
PHONE = {"kind": "phone", "value": "13812345678"}


@pytest.fixture(autouse=True)
def fresh(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    monkeypatch.setattr(handler.api, "_zone", ProgramZone(handler.members))


@pytest.fixture
def anna() -> Client:
    return Client(handle=handler.handle, subject="sub-anna", groups="[member]")


@pytest.fixture
def bert() -> Client:
    return Client(handle=handler.handle, subject="sub-bert", groups="[member]")


@pytest.fixture
def attendant() -> Client:
    return Client(handle=handler.handle, subject="sub-attendant", groups="[attendant]")


@pytest.fixture
def operator() -> Client:
    return Client(handle=handler.handle, subject="sub-operator", groups="[operator]")


@pytest.fixture
def auditor() -> Client:
    return Client(handle=handler.handle, subject="sub-auditor", groups="[auditor]")


def items(dynamodb: Any, table: str = LOYALTY_TABLE) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = dynamodb.scan(TableName=table)["Items"]
    return found


def test_a_member_enrols_under_the_id_of_their_token(anna: Client) -> None:
    reply = anna.post("/members", {"name": "李雷", "birth_on": "1990-02-01"})

    assert reply.status == 201
    assert reply.body["member_id"] == "sub-anna"
    assert reply.headers["Location"] == "/members/sub-anna"
    shown = anna.get("/members/me")
    assert shown.body["profile"] == {"name": "李雷", "language": None, "birth_on": "1990-02-01"}
    assert shown.headers["ETag"] == '"1"'


def test_enrolling_again_with_the_same_profile_changes_nothing(anna: Client, dynamodb: Any) -> None:
    anna.post("/members", {"name": "Li"})
    before = items(dynamodb)

    reply = anna.post("/members", {"name": "Li"})

    assert reply.status == 200
    assert items(dynamodb) == before


def test_enrolling_again_with_another_profile_is_refused(anna: Client, dynamodb: Any) -> None:
    anna.post("/members", {"name": "Li"})
    before = items(dynamodb)

    reply = anna.post("/members", {"name": "Other"})

    assert (reply.status, reply.code) == (409, "already_enrolled")
    assert items(dynamodb) == before


def test_staff_enrol_somebody_else(attendant: Client, operator: Client) -> None:
    first = attendant.post("/members", {"name": "Li"}, key="a").body["member_id"]
    second = attendant.post("/members", {"name": "Li"}, key="b").body["member_id"]

    assert first != second
    assert operator.get(f"/members/{first}").body["profile"]["name"] == "Li"


def test_staff_who_are_members_enrol_themselves_by_saying_so() -> None:
    both = Client(handle=handler.handle, subject="sub-both", groups="[member attendant]")

    assert both.post("/members", {}).body["member_id"].startswith("m-")
    assert both.post("/members", {"member_id": "me"}).body["member_id"] == "sub-both"


def test_staff_may_enrol_themselves_under_their_token_but_an_auditor_may_not(
    operator: Client, attendant: Client, auditor: Client, dynamodb: Any
) -> None:
    assert operator.post("/members", {"member_id": "me"}).body["member_id"] == "sub-operator"
    assert attendant.post("/members", {"member_id": "me"}).body["member_id"] == "sub-attendant"
    before = items(dynamodb)

    reply = auditor.post("/members", {"member_id": "me"})

    assert (reply.status, reply.code) == (403, "forbidden")
    assert items(dynamodb) == before


def test_no_personal_value_lies_in_clear_in_any_table(
    anna: Client, attendant: Client, dynamodb: Any
) -> None:
    phone = "13812345678"
    attendant.post("/members", {"name": "韩梅梅"})
    anna.post("/members", {"name": "李雷", "birth_on": "1990-02-01"})
    anna.patch("/members/me", {"name": "李大雷"})
    bound = anna.post("/members/me/identities", {"kind": "phone", "value": phone}).body
    anna.post("/members/me/identities", PLATE)
    anna.delete(f"/members/me/identities/{bound['identity_id']}")

    stored = str(items(dynamodb)) + str(items(dynamodb, REQUESTS_TABLE))

    # moto's KMS encrypts for real, so nothing of this can be found by accident of its form.
    for value in ("韩梅梅", "李雷", "李大雷", "1990-02-01", phone, "浙A12345", "A12345"):
        assert value not in stored
        assert str(value.encode()) not in stored


def test_a_change_leaves_absent_fields_alone_and_null_clears(anna: Client) -> None:
    anna.post("/members", {"name": "Li", "language": "zh-CN"})

    reply = anna.patch("/members/me", {"name": None, "birth_on": "1990-02-01"})

    assert (reply.status, reply.body["version"]) == (200, 2)
    assert anna.get("/members/me").body["profile"] == {
        "name": None,
        "language": "zh-CN",
        "birth_on": "1990-02-01",
    }


def test_a_change_that_is_in_effect_writes_nothing(anna: Client, dynamodb: Any) -> None:
    anna.post("/members", {"name": "Li"})
    before = items(dynamodb)

    reply = anna.patch("/members/me", {"name": "Li", "language": None}, if_match='"7"')

    assert (reply.status, reply.body["version"]) == (200, 1)
    assert items(dynamodb) == before


def test_a_change_of_an_older_version_is_refused(anna: Client, dynamodb: Any) -> None:
    anna.post("/members", {"name": "Li"})
    anna.patch("/members/me", {"name": "Lei"}, if_match='"1"')
    before = items(dynamodb)

    reply = anna.patch("/members/me", {"name": "Han"}, if_match='"1"')

    assert (reply.status, reply.code, reply.facts) == (412, "version_mismatch", {"version": 2})
    assert items(dynamodb) == before


def test_any_version_may_be_changed_with_a_star(anna: Client) -> None:
    anna.post("/members", {"name": "Li"})

    assert anna.patch("/members/me", {"name": "Lei"}, if_match="*").status == 200


def test_a_version_that_is_no_etag_is_refused(anna: Client, dynamodb: Any) -> None:
    anna.post("/members", {"name": "Li"})
    before = items(dynamodb)

    reply = anna.patch("/members/me", {"name": "Lei"}, if_match="1")

    assert (reply.status, reply.code) == (422, "invalid_request")
    assert items(dynamodb) == before


def test_an_identity_is_bound_listed_masked_and_unbound(anna: Client, dynamodb: Any) -> None:
    anna.post("/members", {})

    bound = anna.post("/members/me/identities", PLATE)

    assert bound.status == 201
    assert "12345" not in bound.text
    listed = anna.get("/members/me/identities").body
    assert [each["masked"] for each in listed["identities"]] == ["浙A***45"]
    assert listed["identities"][0]["identity_id"] == bound.body["identity_id"]
    assert listed["limit"] == IDENTITIES_MAX

    gone = anna.delete(f"/members/me/identities/{bound.body['identity_id']}")

    assert (gone.status, gone.text) == (204, "")
    assert anna.get("/members/me/identities").body["identities"] == []
    assert not [item for item in items(dynamodb) if item["type"]["S"] == "identity"]


def test_binding_the_same_again_succeeds_in_any_spelling(anna: Client, dynamodb: Any) -> None:
    anna.post("/members", {})
    first = anna.post("/members/me/identities", PLATE).body
    before = items(dynamodb)

    again = anna.post("/members/me/identities", {"kind": "plate", "value": " 浙Ａ·１２３４５ "})

    assert (again.status, again.body) == (200, first)
    assert items(dynamodb) == before


def test_a_taken_identity_is_refused_without_saying_whose(
    anna: Client, bert: Client, dynamodb: Any
) -> None:
    anna.post("/members", {})
    bert.post("/members", {})
    anna.post("/members/me/identities", PHONE)
    before = items(dynamodb)

    reply = bert.post("/members/me/identities", PHONE)

    assert (reply.status, reply.code, reply.facts) == (409, "identity_taken", {"kind": "phone"})
    assert "sub-anna" not in reply.text
    assert items(dynamodb) == before


def test_an_unbound_identity_may_go_to_somebody_else_and_come_back(
    anna: Client, bert: Client
) -> None:
    anna.post("/members", {})
    bert.post("/members", {})
    identity = anna.post("/members/me/identities", PHONE).body["identity_id"]
    anna.delete(f"/members/me/identities/{identity}")

    assert bert.post("/members/me/identities", PHONE).status == 201
    bert.delete(f"/members/me/identities/{identity}")
    assert anna.post("/members/me/identities", PHONE).status == 201


def test_a_familys_plate_is_each_drivers(anna: Client, bert: Client) -> None:
    anna.post("/members", {})
    bert.post("/members", {})

    first = anna.post("/members/me/identities", PLATE)
    second = bert.post("/members/me/identities", PLATE)

    assert (first.status, second.status) == (201, 201)
    assert first.body["identity_id"] == second.body["identity_id"]
    for each in (anna, bert):
        assert len(each.get("/members/me/identities").body["identities"]) == 1


def test_unbinding_what_was_never_bound_is_refused(anna: Client, dynamodb: Any) -> None:
    anna.post("/members", {})
    before = items(dynamodb)

    for identity_id in ("plate.Uo5XbYpSWDcTYGQSP4XkFw", "plate", "elf.Uo5XbYpSWDcTYGQSP4XkFw"):
        reply = anna.delete(f"/members/me/identities/{identity_id}")
        assert (reply.status, reply.code) == (404, "unknown_identity")

    assert items(dynamodb) == before


def test_another_members_identity_cannot_be_unbound(
    anna: Client, bert: Client, dynamodb: Any
) -> None:
    anna.post("/members", {})
    bert.post("/members", {})
    identity = anna.post("/members/me/identities", PLATE).body["identity_id"]
    before = items(dynamodb)

    reply = bert.delete(f"/members/me/identities/{identity}")

    assert (reply.status, reply.code) == (404, "unknown_identity")
    assert items(dynamodb) == before


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        ("card", "****1234", "masked"),
        ("plate", "12345", "not_well_formed"),
        ("phone", "0571-12345", "not_well_formed"),
    ],
)
def test_what_cannot_be_an_identity_is_refused(
    anna: Client, dynamodb: Any, kind: str, value: str, reason: str
) -> None:
    anna.post("/members", {})
    before = items(dynamodb)

    reply = anna.post("/members/me/identities", {"kind": kind, "value": value})

    assert (reply.status, reply.code) == (422, "invalid_identity")
    assert reply.facts == {"kind": kind, "reason": reason}
    assert value not in reply.text
    assert items(dynamodb) == before


def test_a_member_holds_a_limited_number_of_identities(anna: Client, dynamodb: Any) -> None:
    anna.post("/members", {})
    for number in range(IDENTITIES_MAX):
        body = {"kind": "card", "value": f"CARD{number:06}"}
        assert anna.post("/members/me/identities", body).status == 201
    before = items(dynamodb)

    reply = anna.post("/members/me/identities", PLATE)

    assert (reply.status, reply.code) == (409, "too_many_identities")
    assert reply.facts == {"limit": IDENTITIES_MAX}
    assert items(dynamodb) == before
    again = anna.post("/members/me/identities", {"kind": "card", "value": "CARD000000"})
    assert again.status == 200
    anna.delete(f"/members/me/identities/{again.body['identity_id']}")
    assert anna.post("/members/me/identities", PLATE).status == 201


def test_nothing_is_bound_to_somebody_who_is_not_enrolled(operator: Client, dynamodb: Any) -> None:
    reply = operator.post("/members/m-nobody/identities", PLATE)

    assert (reply.status, reply.code) == (404, "unknown_member")
    assert items(dynamodb) == []


@pytest.mark.parametrize("path", ["", "/identities", "/points", "/entries", "/sales"])
def test_another_members_id_is_as_unknown_as_nobodys(
    anna: Client, bert: Client, operator: Client, path: str
) -> None:
    anna.post("/members", {})

    others = bert.get(f"/members/sub-anna{path}")
    nobodys = bert.get(f"/members/sub-nobody{path}")

    assert (others.status, others.code) == (404, "unknown_member")
    assert {**others.body, "facts": {}} == {**nobodys.body, "facts": {}}
    assert operator.get(f"/members/sub-anna{path}").status == 200
    assert operator.get(f"/members/sub-nobody{path}").code == "unknown_member"
    assert operator.get(f"/members/not an id{path}").code == "unknown_member"


def test_an_auditor_sees_the_member_but_not_the_profile(anna: Client, auditor: Client) -> None:
    anna.post("/members", {"name": "Li"})

    shown = auditor.get("/members/sub-anna")

    assert (shown.status, shown.body["profile"]) == (200, None)


# --- points, entries, sales -------------------------------------------------------------------


def sale_at(minute: int, *, grade: str = "92") -> Sale:
    completed_at = MORNING + timedelta(minutes=minute)
    return Sale(
        key=SaleKey(
            completed_at=completed_at,
            station_id="s0001",
            device_serial="SN1",
            nozzle=3,
            transaction=minute + 1,
            totalizer_ml=1000 + minute,
        ),
        grade=grade,
        unit_price_milli_per_litre=7560,
        volume_ml=39_990,
        amount_fen=30_232,
        volume_resolution_ml=10,
        started_at=None,
        recorded_at=completed_at,
        clock_offset_seconds=0,
        clock_synchronised=True,
        test_delivery=False,
    )


class Pump:
    """Writes sales and what they earn with the pipeline's own writers."""

    def __init__(self, dynamodb: Any) -> None:
        self.loyalty = LoyaltyTable(dynamodb, name=LOYALTY_TABLE)
        self.sales = SalesTable(dynamodb, name=SALES_TABLE)
        self.decided = DecidedSales(dynamodb, sales=SALES_TABLE, loyalty=LOYALTY_TABLE)

    def store(self, sale: Sale, *, member_id: str) -> None:
        stored = StoredSale(sale=sale, status=Status.RECEIVED, received_at=MORNING)
        self.sales.add(stored)
        assert self.decided.decide(stored, credited_to(member_id), decided_at=MORNING)

    def earn(
        self, minute: int, *, points: int, expires_on: date | None = None, member_id: str
    ) -> Account:
        sale = sale_at(minute)
        self.store(sale, member_id=member_id)
        entry, account = earn(
            self.loyalty.account(member_id),
            entry_id=sale.sale_id,
            points=points,
            expires_on=expires_on,
            program_version=1,
            trace=({"rule": "petrol", "outcome": "earned", "points": points},),
            occurred_at=sale.key.completed_at,
            posted_at=MORNING,
        )
        assert self.loyalty.post(entry, account)
        return account

    def earn_nothing(self, minute: int, *, member_id: str) -> None:
        sale = sale_at(minute, grade="0")
        self.store(sale, member_id=member_id)
        evaluation = Evaluation(
            points=0, expires_on=None, trace=(Trace(rule_id="", outcome="no_rule"),)
        )
        assert self.loyalty.record_evaluation(member_id, sale, version=1, evaluation=evaluation)


@pytest.fixture
def pump(dynamodb: Any) -> Pump:
    return Pump(dynamodb)


@pytest.fixture
def program(dynamodb: Any) -> None:
    """Put a program in force whose day begins with that of Shanghai."""
    for document in (
        {
            "pk": "PROGRAM",
            "sk": "TIMELINE",
            "type": "timeline",
            "activations": [{"effective_at": "2026-01-01T00:00:00Z", "version": 1}],
        },
        {
            "pk": "PROGRAM",
            "sk": "VERSION#000001",
            "type": "program",
            "status": "active",
            "document": {"zone": "Asia/Shanghai", "rules": [], "validity": None},
        },
    ):
        dynamodb.put_item(TableName=LOYALTY_TABLE, Item=to_item(document))


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Any:
    def set_clock(text: str) -> None:
        monkeypatch.setattr(handler.api, "_now", lambda: datetime.fromisoformat(text))

    return set_clock


def test_points_are_those_that_can_be_spent_today(anna: Client, pump: Pump, at: Any) -> None:
    at("2026-11-23T09:00:00Z")
    anna.post("/members", {})
    pump.earn(0, points=100, expires_on=date(2026, 12, 31), member_id="sub-anna")
    pump.earn(1, points=20, expires_on=date(2027, 6, 30), member_id="sub-anna")

    assert anna.get("/members/me/points").body == {
        "points": 120,
        "next_expiry": {"on": "2026-12-31", "points": 100},
        "version": 2,
        "as_of_on": "2026-11-23",
    }


@pytest.mark.usefixtures("program")
def test_points_run_out_at_midnight_of_the_programs_zone(anna: Client, pump: Pump, at: Any) -> None:
    anna.post("/members", {})
    pump.earn(0, points=100, expires_on=date(2026, 12, 31), member_id="sub-anna")

    at("2026-12-31T15:59:59.999999Z")
    assert anna.get("/members/me/points").body["points"] == 100
    at("2026-12-31T16:00:00Z")
    gone = anna.get("/members/me/points").body

    assert (gone["points"], gone["next_expiry"], gone["as_of_on"]) == (0, None, "2027-01-01")


def test_a_new_member_holds_no_points(anna: Client) -> None:
    anna.post("/members", {})

    reply = anna.get("/members/me/points")

    assert (reply.body["points"], reply.body["version"]) == (0, 0)


@pytest.mark.usefixtures("program")
def test_a_balance_costs_one_read_unit(
    anna: Client, pump: Pump, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna.post("/members", {})
    pump.earn(0, points=100, member_id="sub-anna")
    anna.get("/members/me/points")
    calls: list[str] = []
    send = handler.dynamodb._make_api_call

    def counted(operation: str, arguments: dict[str, Any]) -> Any:
        calls.append(operation)
        assert arguments["ConsistentRead"] is True  # one unit for up to 4 KB
        return send(operation, arguments)

    monkeypatch.setattr(handler.dynamodb, "_make_api_call", counted)
    anna.get("/members/me/points")

    assert calls == ["GetItem"]


def test_the_zone_is_read_again_after_a_minute(dynamodb: Any, program: None) -> None:  # noqa: ARG001
    ticks: Iterator[float] = iter([0.0, 60.0, 121.0, 121.0])
    zone = ProgramZone(handler.members, clock=lambda: next(ticks))
    assert str(zone.at(MORNING)) == "Asia/Shanghai"
    dynamodb.update_item(
        TableName=LOYALTY_TABLE,
        Key=to_item({"pk": "PROGRAM", "sk": "VERSION#000001"}),
        UpdateExpression="SET document.#zone = :zone",
        ExpressionAttributeNames={"#zone": "zone"},
        ExpressionAttributeValues=to_item({":zone": "Asia/Kolkata"}),
    )

    assert str(zone.at(MORNING)) == "Asia/Shanghai"
    assert str(zone.at(MORNING)) == "Asia/Kolkata"


def test_entries_come_newest_first_with_their_reasons(anna: Client, pump: Pump) -> None:
    anna.post("/members", {})
    pump.earn(0, points=100, expires_on=date(2026, 12, 31), member_id="sub-anna")
    pump.earn_nothing(1, member_id="sub-anna")
    pump.earn(2, points=7, member_id="sub-anna")

    reply = anna.get("/members/me/entries").body

    assert [entry["points"] for entry in reply["entries"]] == [7, 100]
    assert reply["next_cursor"] is None
    assert reply["entries"][1] == {
        "entry_id": sale_at(0).sale_id,
        "kind": "earn",
        "points": 100,
        "lots": [{"points": 100, "expires_on": "2026-12-31"}],
        "reason": "fuel",
        "source": f"sale:{sale_at(0).sale_id}",
        "actor": "accrual",
        "program_version": 1,
        "trace": [{"rule": "petrol", "outcome": "earned", "points": 100}],
        "occurred_at": "2026-11-23T08:15:00Z",
        "posted_at": "2026-11-23T08:15:00Z",
        "account_version": 1,
    }


def walk(client: Client, path: str, name: str, *, limit: int) -> list[list[Any]]:
    """Return every page of a list, following its cursors."""
    pages, query = [], {"limit": limit}
    while True:
        reply = client.get(path, **query)
        assert reply.status == 200, reply.text
        pages.append(reply.body[name])
        cursor = reply.body["next_cursor"]
        if cursor is None:
            return pages
        query = {"limit": limit, "cursor": cursor}


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_pages_hold_every_entry_and_every_sale_once(anna: Client, pump: Pump, limit: int) -> None:
    anna.post("/members", {})
    for minute in range(7):
        if minute % 3 == 1:
            pump.earn_nothing(minute, member_id="sub-anna")
        else:
            pump.earn(minute, points=minute + 1, member_id="sub-anna")

    entries = walk(anna, "/members/me/entries", "entries", limit=limit)
    sales = walk(anna, "/members/me/sales", "sales", limit=limit)

    assert [each["points"] for page in entries for each in page] == [7, 6, 4, 3, 1]
    assert [each["points"] for page in sales for each in page] == [7, 6, 0, 4, 3, 0, 1]
    assert all(len(page) <= limit for page in entries + sales)


def test_a_page_is_short_rather_than_endless(anna: Client, pump: Pump) -> None:
    anna.post("/members", {})
    pump.earn(0, points=5, member_id="sub-anna")
    for minute in range(1, 20):
        pump.earn_nothing(minute, member_id="sub-anna")

    first = anna.get("/members/me/entries", limit=1).body
    pages = walk(anna, "/members/me/entries", "entries", limit=1)

    assert first["entries"] == []
    assert first["next_cursor"] is not None
    assert [each["points"] for page in pages for each in page] == [5]


def test_sales_tell_litres_money_station_and_points(anna: Client, pump: Pump) -> None:
    anna.post("/members", {})
    pump.earn_nothing(0, member_id="sub-anna")

    (sale,) = anna.get("/members/me/sales").body["sales"]

    assert sale == {
        "sale_id": sale_at(0).sale_id,
        "station_id": "s0001",
        "nozzle": 3,
        "grade": "0",
        "volume_ml": 39_990,
        "amount_fen": 30_232,
        "unit_price_milli_per_litre": 7560,
        "completed_at": "2026-11-23T08:15:00Z",
        "points": 0,
        "program_version": 1,
        "trace": [{"rule": "", "outcome": "no_rule", "points": 0}],
    }


def test_a_cursor_is_good_for_its_member_and_its_list_only(
    anna: Client, bert: Client, pump: Pump
) -> None:
    for client, subject in ((anna, "sub-anna"), (bert, "sub-bert")):
        client.post("/members", {})
        pump.earn(0 if client is anna else 10, points=1, member_id=subject)
        pump.earn(1 if client is anna else 11, points=1, member_id=subject)
    cursor = anna.get("/members/me/entries", limit=1).body["next_cursor"]

    replies = [
        bert.get("/members/me/entries", cursor=cursor),
        anna.get("/members/me/sales", cursor=cursor),
        anna.get("/members/me/entries", cursor=cursor[:-1]),
        anna.get("/members/me/entries", cursor="A" + cursor[1:]),
        anna.get("/members/me/entries", cursor=""),
    ]

    assert {(reply.status, reply.code) for reply in replies} == {(400, "invalid_cursor")}
    assert anna.get("/members/sub-anna/entries", cursor=cursor).status == 200


@pytest.mark.parametrize("limit", [0, 101, "many", "1.5"])
def test_a_page_has_between_1_and_100_items(anna: Client, limit: Any) -> None:
    anna.post("/members", {})

    reply = anna.get("/members/me/entries", limit=limit)

    assert (reply.status, reply.code) == (422, "invalid_request")
    assert reply.facts["findings"][0]["at"] == "/query/limit"


def test_a_bound_identity_is_what_matching_looks_up(anna: Client, dynamodb: Any) -> None:
    anna.post("/members", {})

    bound = anna.post("/members/me/identities", PLATE).body

    (lookup,) = [
        from_item(item) for item in items(dynamodb) if item["pk"]["S"].startswith("IDENTITY#")
    ]
    kind, digest = bound["identity_id"].split(".")
    assert lookup == {
        "pk": f"IDENTITY#{kind}#{digest}",
        "sk": "IDENTITY",
        "type": "identity",
        "owners": ["sub-anna"],
    }


def test_the_log_names_route_and_outcome_and_nobody(
    anna: Client, caplog: pytest.LogCaptureFixture
) -> None:
    anna.post("/members", {"name": "李雷"})
    anna.post("/members/me/identities", PLATE)
    anna.post("/members/me/identities", {"kind": "phone", "value": "1381234"})
    anna.get("/members/sub-13812345678/phones/13812345678")

    formatter = handler.logger.registered_formatter
    lines = [formatter.format(record) for record in caplog.records]

    told = [json.loads(line) for line in lines]
    assert [(each.get("route"), each["status"], each.get("code")) for each in told] == [
        ("/members", 201, None),
        ("/members/{member_id}/identities", 201, None),
        ("/members/{member_id}/identities", 422, "invalid_identity"),
        (None, 404, "unknown_route"),
    ]
    for value in ("李雷", "A12345", "1381234"):
        assert value not in str(told)
