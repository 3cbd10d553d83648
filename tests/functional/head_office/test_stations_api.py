"""Stations, from the event API Gateway sends to tables and AWS IoT."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from forecourt.stations_table import StationsTable
from functions.operator import handler
from tests.functional.conftest import (
    LOYALTY_TABLE,
    REQUESTS_TABLE,
    STATION_POLICY,
)
from tests.functional.head_office.documents import NOW, STATION, items, walk

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functional.http import Client


def certificates() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = boto3.client("iot").list_certificates()["certificates"]
    return found


def signing_request() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "s0001")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


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
