"""A station is who its certificate says, and speaks and listens for itself only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from infra.local.seed import Credentials
from tests.e2e.outpost import outpost, register
from tests.e2e.pump import Pump, told
from tests.e2e.station_client import (
    ACCEPTED,
    NOT_AUTHORIZED,
    SUCCESS,
    NotConnected,
    StationClient,
)
from tests.e2e.traces import PREFIX, nothing_left

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from infra.local.api_client import ApiClient
    from infra.local.stack import LocalStack
    from tests.e2e.outpost import Outpost
    from tests.e2e.traces import Items, Traces

STATION = f"{PREFIX}own"
OTHER = f"{PREFIX}theirs"
UNLISTED = f"{PREFIX}unlisted"


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


def test_a_station_nobody_registered_is_heard_and_refused(
    stack: LocalStack, traces: Traces, before: Items, tmp_path: Path
) -> None:
    """A certificate of ours alone makes no station."""
    unlisted = certified(stack, UNLISTED, folder=tmp_path)
    sale = Pump(UNLISTED).sale()

    with StationClient(stack, unlisted, client_id=UNLISTED, listens_to=UNLISTED) as client:
        client.publish(f"forecourt/{UNLISTED}/up/sales", told(sale))

        assert client.answer_to(sale.sale_id) == "unknown_station"
    assert traces.written(before) == {("sales", f"QUARANTINE#{UNLISTED}")}


@pytest.mark.parametrize(
    "topic",
    [
        f"forecourt/{OTHER}/up/sales",
        f"forecourt/{STATION}/down/acks",
        f"forecourt/{STATION}/up",
        "$aws/things/e2e-own/shadow/update",
        "anything",
    ],
)
def test_a_station_may_publish_under_its_own_topics_only(
    ours: Outpost, traces: Traces, before: Items, topic: str
) -> None:
    assert ours.client.publish(topic, told(Pump(OTHER).sale())) == NOT_AUTHORIZED

    # What is sent afterwards overtakes nothing: had the first arrived, it would be there.
    ours.sell(ours.pump.sale())
    assert traces.written(before) == {("sales", f"STATION#{STATION}")}


@pytest.mark.parametrize(
    "topic",
    [
        f"forecourt/{OTHER}/down/acks",
        "forecourt/+/down/acks",
        "forecourt/#",
        f"forecourt/{STATION}/up/sales",
        "#",
    ],
)
def test_a_station_may_listen_to_its_own_topics_only(ours: Outpost, topic: str) -> None:
    assert ours.client.subscribe(topic) == NOT_AUTHORIZED


def test_a_station_hears_no_answer_to_another(
    stack: LocalStack, operator: ApiClient, ours: Outpost
) -> None:
    order = operator.post(f"/stations/{OTHER}/certificates", {})
    theirs = stored(order, folder=stack.folder, name=f"{OTHER}-2")
    sale = Pump(OTHER).sale()

    with StationClient(stack, theirs, client_id=OTHER, listens_to=OTHER) as client:
        client.publish(f"forecourt/{OTHER}/up/sales", told(sale))

        assert client.answer_to(sale.sale_id) == ACCEPTED
    assert sale.sale_id not in ours.client.answered


@pytest.mark.parametrize("client_id", [OTHER, f"{STATION}-2", "gateway"])
def test_a_station_may_not_connect_under_another_name(
    stack: LocalStack, ours: Outpost, client_id: str
) -> None:
    with (
        pytest.raises(NotConnected),
        StationClient(stack, ours.credentials, client_id=client_id),
    ):
        pass


def test_a_certificate_that_is_not_ours_is_refused(
    stack: LocalStack, ours: Outpost, tmp_path: Path
) -> None:
    """Somebody's own authority may write the name of our station: that does not make it ours."""
    foreign = self_signed(STATION, folder=tmp_path)

    with pytest.raises(NotConnected), StationClient(stack, foreign, client_id=STATION):
        pass
    message = told(ours.pump.sale())
    ours.tell(message)
    assert ours.client.answer_to(message["sale"]["sale_id"]) == ACCEPTED


def test_a_revoked_certificate_is_refused(
    stack: LocalStack, operator: ApiClient, ours: Outpost
) -> None:
    order = operator.post(f"/stations/{STATION}/certificates", {})
    lost = stored(order, folder=stack.folder, name=f"{STATION}-lost")
    stack.client("iot").update_certificate(
        certificateId=order["certificate"]["certificate_id"], newStatus="REVOKED"
    )

    with pytest.raises(NotConnected), StationClient(stack, lost, client_id=STATION):
        pass
    assert ours.client.subscribe(f"forecourt/{STATION}/down/acks") == SUCCESS


def test_a_certificate_may_do_nothing_before_it_is_attached_to_its_thing(
    stack: LocalStack, ours: Outpost, tmp_path: Path
) -> None:
    loose = certified(stack, STATION, folder=tmp_path, attached=False)

    with pytest.raises(NotConnected), StationClient(stack, loose, client_id=STATION):
        pass
    assert ours.client.subscribe(f"forecourt/{STATION}/down/acks") == SUCCESS


def certified(
    stack: LocalStack, station_id: str, *, folder: Path, attached: bool = True
) -> Credentials:
    """Make a certificate behind the API's back, with the stations' policy."""
    iot = stack.client("iot")
    made = iot.create_keys_and_certificate(setAsActive=True)
    iot.attach_policy(policyName=stack.outputs["StationPolicyName"], target=made["certificateArn"])
    if attached:
        iot.create_thing(thingName=station_id)
        iot.attach_thing_principal(thingName=station_id, principal=made["certificateArn"])
    return stored(
        {
            "certificate": {"certificate_pem": made["certificatePem"]},
            "private_key_pem": made["keyPair"]["PrivateKey"],
        },
        folder=folder,
        name=station_id,
    )


def stored(answer: dict[str, Any], *, folder: Path, name: str) -> Credentials:
    """Store what an order for a certificate was answered."""
    credentials = Credentials(
        certificate_path=folder / f"{name}.pem", key_path=folder / f"{name}.key"
    )
    credentials.certificate_path.write_text(answer["certificate"]["certificate_pem"])
    credentials.key_path.write_text(answer["private_key_pem"])
    return credentials


def self_signed(name: str, *, folder: Path) -> Credentials:
    """Make a certificate of an authority nobody has heard of."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    credentials = Credentials(
        certificate_path=folder / f"{name}.pem", key_path=folder / f"{name}.key"
    )
    pem = serialization.Encoding.PEM
    credentials.certificate_path.write_bytes(certificate.public_bytes(pem))
    credentials.key_path.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return credentials
