"""The members API, from the event API Gateway sends to the items in the tables."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from forecourt.attributes import from_item
from forecourt.identity_writes import IDENTITIES_MAX
from functions.members import handler
from tests.functional.conftest import REQUESTS_TABLE
from tests.functional.enrolling import PHONE, PLATE, items
from tests.functional.http import Client

MORNING = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)

pytestmark = pytest.mark.usefixtures("aws")


@pytest.fixture
def operator() -> Client:
    return Client(handle=handler.handle, subject="sub-operator", groups="[operator]")


@pytest.fixture
def auditor() -> Client:
    return Client(handle=handler.handle, subject="sub-auditor", groups="[auditor]")


def test_a_member_enrols_under_the_id_of_their_token(anna: Client) -> None:
    reply = anna.post("/members", {"name": "李雷", "birth_on": "1990-02-01"})

    assert reply.status == 201
    assert reply.body["member_id"] == "sub-anna"
    assert reply.headers["Location"] == "/members/sub-anna"
    shown = anna.get("/members/me")
    assert shown.body["profile"] == {
        "name": "李雷",
        "language": None,
        "birth_on": "1990-02-01",
        "zone": None,
    }
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
        "zone": None,
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


@pytest.mark.parametrize("path", ["", "/identities", "/points", "/entries", "/sales", "/tier"])
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
