"""What cameras and the till tell over HTTP: how it is answered, and into which sale it goes."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.sales import Evidence, EvidenceKind
from forecourt_simulator.cameras import Camera, Eyesight, Till
from forecourt_simulator.clock import ManualClock
from forecourt_simulator.errors import DeliveryFailed
from tests.edge.pushes import BOMB, OTHER, PLATE, alert, multipart
from tests.edge.stations import OPENING, Station, config_for, controller_for, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

TOKEN = "a-token-of-the-till"
EXACT = Eyesight(misread_percent=0, missed_percent=0, repeated_percent=0, colour_prefix_percent=0)


@asynccontextmanager
async def watched(directory: Path, **listen: Any) -> AsyncIterator[tuple[Station, str]]:
    controller = controller_for(nozzles=2, clock=ManualClock(start=OPENING))
    cameras = [{"name": "camera-1", "nozzles": [1, 2], "lanes": {"1": [1], "2": [2]}}]

    async with running(
        directory,
        controller,
        configure=lambda port: config_for(
            directory, port, nozzles=2, cameras=cameras, listen={"port": 0, **listen}
        ),
    ) as station:
        assert station.component.listener is not None
        yield station, f"http://127.0.0.1:{station.component.listener.port}"


def clock_of(station: Station) -> ManualClock:
    clock = station.controller.clock
    assert isinstance(clock, ManualClock)
    return clock


async def visit(station: Station, camera: Camera, plate: str, *, nozzle: int) -> None:
    event = camera.look(plate, nozzle=nozzle, at=clock_of(station).now())
    assert event is not None
    await camera.push(event)


def fuel(station: Station, nozzle: int, *, seconds: int = 60) -> None:
    clock = clock_of(station)
    started_at = clock.now()
    clock.advance_ms(seconds * 1000)
    station.controller.dispense(nozzle, 30_000, at=clock.now(), started_at=started_at)


def test_the_plate_goes_into_the_sale_of_its_lane(tmp_path: Path) -> None:
    async def story() -> None:
        async with watched(tmp_path) as (station, url):
            camera = Camera(name="camera-1", url=url, lanes={1: 1, 2: 2}, eyesight=EXACT)
            await visit(station, camera, PLATE, nozzle=1)
            await visit(station, camera, OTHER, nozzle=2)
            clock_of(station).advance_ms(30_000)
            fuel(station, 1)
            fuel(station, 2)
            await station.settle()

            found = {sale.key.nozzle: sale.evidence for sale in station.cloud.sales}
            assert [each.value for each in found[1]] == [PLATE]
            assert [each.value for each in found[2]] == [OTHER]
            [plate] = found[1]
            assert plate.kind == EvidenceKind.PLATE
            assert plate.source == "camera-1"
            assert plate.confidence is not None

    asyncio.run(story())


def test_what_a_camera_doubts_of_a_plate_goes_into_the_sale(tmp_path: Path) -> None:
    """Whose plate it is can be found by the character that the camera itself doubts."""

    async def story() -> None:
        async with watched(tmp_path) as (station, url):
            camera = Camera(name="camera-1", url=url, lanes={1: 1, 2: 2}, eyesight=EXACT)
            event = camera.look(PLATE, nozzle=1, at=clock_of(station).now())
            assert event is not None
            doubted = (99, 98, 97, 55, 99, 99, 99)
            await camera.push(replace(event, confidences=doubted))
            fuel(station, 1)
            await station.settle()

            [plate] = station.cloud.sales[0].evidence
            assert (plate.confidence, plate.character_confidences) == (55, doubted)

    asyncio.run(story())


def test_the_better_read_of_a_car_brings_its_own_doubts(tmp_path: Path) -> None:
    async def story() -> None:
        async with watched(tmp_path) as (station, url):
            camera = Camera(name="camera-1", url=url, lanes={1: 1, 2: 2}, eyesight=EXACT)
            for plate, confidences in (("浙A1234S", (60,) * 7), (PLATE, (95,) * 7)):
                event = camera.look(plate, nozzle=1, at=clock_of(station).now())
                assert event is not None
                await camera.push(replace(event, confidences=confidences))
            fuel(station, 1)
            await station.settle()

            [seen] = station.cloud.sales[0].evidence
            assert (seen.value, seen.character_confidences) == (PLATE, (95,) * 7)

    asyncio.run(story())


def test_a_plate_seen_before_a_restart_is_still_known(tmp_path: Path) -> None:
    async def story() -> None:
        async with watched(tmp_path) as (station, url):
            camera = Camera(name="camera-1", url=url, lanes={1: 1, 2: 2}, eyesight=EXACT)
            await visit(station, camera, PLATE, nozzle=1)
            await station.component.close()
        async with watched(tmp_path) as (station, _):
            fuel(station, 1)
            await station.settle()

            assert [each.value for each in station.cloud.sales[0].evidence] == [PLATE]

    asyncio.run(story())


def test_the_same_event_again_and_the_same_car_again_are_one(tmp_path: Path) -> None:
    async def story() -> None:
        async with watched(tmp_path) as (station, url):
            twice = Eyesight(misread_percent=0, missed_percent=0, repeated_percent=100)
            camera = Camera(name="camera-1", url=url, lanes={1: 1, 2: 2}, eyesight=twice)
            await visit(station, camera, PLATE, nozzle=1)
            await visit(station, camera, PLATE[:-1] + "6", nozzle=1)
            rows = station.component.outbox.connection.execute("SELECT count(*) FROM sightings")

            assert rows.fetchone() == (1,)

    asyncio.run(story())


def test_the_till_tells_who_stands_at_the_nozzle_for_one_sale_only(tmp_path: Path) -> None:
    async def story() -> None:
        async with watched(tmp_path, till_token=TOKEN) as (station, url):
            till = Till(url=url, token=TOKEN)
            await till.report(1, Evidence(kind=EvidenceKind.PHONE, value="13800138000"))
            await till.report(1, Evidence(kind=EvidenceKind.PHONE, value="13800138001"))
            await till.report(1, Evidence(kind=EvidenceKind.PAYMENT, value="openid-1"))
            fuel(station, 1)
            await station.settle()
            fuel(station, 1)
            await station.settle()

            first, second = station.cloud.sales
            told = {each.kind: each.value for each in first.evidence}
            assert told == {EvidenceKind.PHONE: "13800138001", EvidenceKind.PAYMENT: "openid-1"}
            assert second.evidence == ()

    asyncio.run(story())


def test_without_its_token_the_till_is_not_believed(tmp_path: Path) -> None:
    async def story() -> None:
        async with watched(tmp_path, till_token=TOKEN) as (station, url):
            for token in (None, "another-token-of-a-till"):
                with pytest.raises(DeliveryFailed) as caught:
                    await Till(url=url, token=token).report(
                        1, Evidence(kind=EvidenceKind.PHONE, value="13800138000")
                    )
                assert caught.value.status == 401
            rows = station.component.outbox.connection.execute("SELECT count(*) FROM sightings")
            assert rows.fetchone() == (0,)

    asyncio.run(story())


async def exchange(station: Station, raw: bytes) -> tuple[int, dict[str, str]]:
    """Send *raw* as it is and return the reply's status and document."""
    assert station.component.listener is not None
    reader, writer = await asyncio.open_connection("127.0.0.1", station.component.listener.port)
    writer.write(raw)
    writer.write_eof()
    async with asyncio.timeout(5):
        reply = await reader.read()
    writer.close()
    head, _, body = reply.partition(b"\r\n\r\n")
    document: dict[str, str] = json.loads(body)
    return int(head.split()[1]), document


def request(
    path: str, body: bytes, content_type: str = "application/json", **headers: str
) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: gateway", f"Content-Type: {content_type}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if "content_length" not in headers and "transfer_encoding" not in headers:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


BOMB_PUSH = multipart(BOMB)
GOOD_PUSH = multipart(alert())


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (request("/cameras/camera-1", GOOD_PUSH[1], GOOD_PUSH[0]), 200),
        (request("/cameras/camera-1", BOMB_PUSH[1], BOMB_PUSH[0]), 400),
        (request("/cameras/camera-9", GOOD_PUSH[1], GOOD_PUSH[0]), 404),
        (request("/", b""), 404),
        (b"GET /cameras/camera-1 HTTP/1.1\r\n\r\n", 405),
        (b"GET /health HTTP/1.1\r\n\r\n", 200),
        (b"hello\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 10 + b"X" * 5_000 + b": y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + b"".join(b"A%d: b\r\n" % n for n in range(100)) + b"\r\n", 400),
        (b"POST /evidence HTTP/1.1\r\n\r\n", 411),
        (request("/evidence", b"{}", content_length="-1"), 400),
        (request("/evidence", b"", content_length="99999999999"), 413),
        (request("/evidence", b"0\r\n\r\n", transfer_encoding="chunked"), 501),
        (b"POST / HTTP/1.1\r\nContent-Length: 2\r\ncontent-length: 3\r\n\r\nabc", 400),
        (request("/evidence", b"{"), 400),
        (request("/evidence", b"[]"), 400),
        (request("/evidence", b"\xff"), 400),
        (request("/evidence", b'{"nozzle": 1, "kind": "phone"}'), 400),
        (request("/evidence", b'{"nozzle": "1", "kind": "phone", "value": "1"}'), 400),
        (request("/evidence", b'{"nozzle": true, "kind": "phone", "value": "1"}'), 400),
        (request("/evidence", b'{"nozzle": 1, "kind": "face", "value": "1"}'), 400),
        (request("/evidence", b'{"nozzle": 1, "kind": ["phone"], "value": "1"}'), 400),
        (request("/evidence", b'{"nozzle": 1, "kind": "phone", "value": ""}'), 400),
        (request("/evidence", b'{"nozzle": 1, "kind": "phone", "value": "1", "x": 1}'), 400),
        (request("/evidence", b'{"nozzle": 9, "kind": "phone", "value": "1"}'), 404),
        (request("/evidence", b'{"nozzle": 1, "kind": "phone", "value": "1"}'), 200),
    ],
)
def test_every_request_gets_the_answer_it_deserves(tmp_path: Path, raw: bytes, status: int) -> None:
    async def story() -> None:
        async with watched(tmp_path) as (station, _):
            assert (await exchange(station, raw))[0] == status
            stored = station.component.outbox.connection.execute("SELECT count(*) FROM sightings")
            kept = stored.fetchone()[0]
            assert kept == (1 if status == 200 and raw.startswith(b"POST") else 0)

    asyncio.run(story())


def test_evidence_for_a_sale_already_taken_over_is_refused(tmp_path: Path) -> None:
    async def story() -> None:
        async with watched(tmp_path) as (station, _):
            fuel(station, 1)
            await station.settle()
            document = {"nozzle": 1, "kind": "phone", "value": "13800138000"}
            late = json.dumps({**document, "transaction": 1}).encode()
            early = json.dumps({**document, "transaction": 2}).encode()

            assert (await exchange(station, request("/evidence", late)))[0] == 409
            assert (await exchange(station, request("/evidence", early)))[0] == 200

    asyncio.run(story())


@pytest.mark.parametrize(
    ("age", "joined"),
    [(timedelta(seconds=20), True), (timedelta(hours=3), False), (-timedelta(hours=8), False)],
)
def test_a_late_retransmission_is_not_taken_for_a_car_at_the_pump(
    tmp_path: Path,
    age: timedelta,
    joined: bool,  # noqa: FBT001 - drawn
) -> None:
    async def story() -> None:
        async with watched(tmp_path) as (station, _):
            shown = (OPENING - age).isoformat()
            content_type, body = multipart(alert(again="true", at=shown))
            raw = request("/cameras/camera-1", body, content_type)
            assert (await exchange(station, raw))[0] == 200
            fuel(station, 1)
            await station.settle()

            assert bool(station.cloud.sales[0].evidence) is joined

    asyncio.run(story())


def test_a_camera_at_another_address_than_its_own_is_refused(tmp_path: Path) -> None:
    async def story() -> None:
        controller = controller_for()
        cameras = [{"name": "camera-1", "nozzles": [1], "address": "192.0.2.7"}]
        async with running(
            tmp_path,
            controller,
            configure=lambda port: config_for(tmp_path, port, cameras=cameras, listen={"port": 0}),
        ) as station:
            raw = request("/cameras/camera-1", GOOD_PUSH[1], GOOD_PUSH[0])

            assert (await exchange(station, raw))[0] == 403

    asyncio.run(story())


def test_several_requests_share_a_connection(tmp_path: Path) -> None:
    async def story() -> None:
        async with watched(tmp_path) as (station, _):
            assert station.component.listener is not None
            port = station.component.listener.port
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for _ in range(3):
                writer.write(b"GET /health HTTP/1.1\r\n\r\n")
                head = await reader.readuntil(b"\r\n\r\n")
                assert b"200 OK" in head
                await reader.readexactly(len(b'{"code": "ok"}'))
            writer.close()

    asyncio.run(story())


def test_no_plate_phone_or_card_is_ever_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async with watched(tmp_path) as (station, url):
            camera = Camera(name="camera-1", url=url, lanes={1: 1, 2: 2}, eyesight=EXACT)
            await visit(station, camera, PLATE, nozzle=1)
            await Till(url=url).report(1, Evidence(kind=EvidenceKind.PHONE, value="13800138000"))
            station.controller.dispense(1, 10_000, card="C-00042")
            await station.settle()
            await exchange(station, request("/evidence", b'{"nozzle": 1, "value": "13900139000"}'))

    with caplog.at_level("DEBUG"):
        asyncio.run(story())
    said = " ".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert "sale_taken_over" in said
    for secret in (PLATE, "13800138000", "13900139000", "C-00042"):
        assert secret not in said
