"""What cameras and till send: read back by the edge component that is to receive it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.sales import Evidence, EvidenceKind
from forecourt_edge.cameras import read_push
from forecourt_edge.listener import Listener, Reply, Request
from forecourt_simulator.cameras import Camera, Eyesight, PlateEvent, Till
from forecourt_simulator.errors import DeliveryFailed
from forecourt_simulator.pictures import grey_jpeg, plate_picture
from forecourt_simulator.plates import PlateColour
from forecourt_simulator.push import check_url

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

NOON = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
SHARP = Eyesight(misread_percent=0, missed_percent=0, repeated_percent=0, colour_prefix_percent=0)


def make_camera(
    url: str = "http://127.0.0.1:9", eyesight: Eyesight = SHARP, **options: Any
) -> Camera:
    return Camera(
        name="camera-1", url=url, lanes={1: 5, 2: 6}, eyesight=eyesight, pause_seconds=0, **options
    )


def look(camera: Camera, plate: str = "浙A12345", *, occasion: int = 1) -> PlateEvent:
    event = camera.look(plate, nozzle=6, at=NOON, occasion=occasion)
    assert event is not None
    return event


def test_the_edge_component_reads_what_a_camera_pushes() -> None:
    camera = make_camera()
    event = look(camera)

    read = read_push(*camera.body(event))

    assert read is not None
    assert read.plate == "浙A12345"
    assert read.event_id == event.event_id
    assert read.confidence == event.confidence
    assert read.lane == 2
    assert read.shown_at == NOON
    assert not read.retransmitted


@pytest.mark.parametrize(
    ("plate", "truck", "prefix", "colour"),
    [
        ("浙A12345", False, "蓝", PlateColour.BLUE),
        ("浙A12345", True, "黄", PlateColour.YELLOW),
        ("粤BF12345", False, "绿", PlateColour.GREEN),
    ],
)
def test_a_colour_prefix_is_sent_and_taken_off_again(
    plate: str, prefix: str, colour: PlateColour, *, truck: bool
) -> None:
    camera = make_camera(eyesight=replace(SHARP, colour_prefix_percent=100))
    event = camera.look(plate, nozzle=5, at=NOON, truck=truck)
    assert event is not None

    content_type, body = camera.body(event)
    read = read_push(content_type, body)

    assert f"<licensePlate>{prefix}{plate}</licensePlate>".encode() in body
    assert event.colour is colour
    assert read is not None
    assert read.plate == plate


def test_a_camera_tells_its_own_wrong_time() -> None:
    camera = make_camera(eyesight=replace(SHARP, clock_offset_seconds=-3_600, zone="UTC"))

    _, body = camera.body(look(camera))

    assert b"<dateTime>2026-11-23T03:00:00+00:00</dateTime>" in body


def test_the_push_carries_a_picture() -> None:
    camera = make_camera()

    _, body = camera.body(look(camera))

    assert plate_picture("浙A12345") in body


def test_pictures_are_jpegs_that_differ_from_plate_to_plate() -> None:
    one, other = plate_picture("浙A12345"), plate_picture("浙A12346")

    assert one != other
    for picture in (one, other):
        assert picture.startswith(b"\xff\xd8\xff")
        assert picture.endswith(b"\xff\xd9")


def test_a_scan_never_contains_a_marker() -> None:
    rng = Random(7)
    shades = [[rng.choice([0, 255]) for _ in range(60)] for _ in range(60)]

    picture = grey_jpeg(shades)

    scan = picture[picture.index(b"\xff\xda") + 10 : -2]
    assert b"\xff" in scan
    assert scan.count(b"\xff") == scan.count(b"\xff\x00")


def test_the_same_car_on_the_same_occasion_is_read_the_same() -> None:
    eyesight = Eyesight(misread_percent=30, missed_percent=10)
    plates = [f"浙A{number:05}" for number in range(12_000, 12_200)]

    def reads() -> list[PlateEvent | None]:
        camera = make_camera(eyesight=eyesight)
        return [camera.look(plate, nozzle=5, at=NOON, occasion=1) for plate in plates]

    assert reads() == reads()


def test_misreads_and_misses_come_as_often_as_configured() -> None:
    camera = make_camera(eyesight=replace(SHARP, misread_percent=20, missed_percent=10))
    plates = [f"浙A{number:05}" for number in range(10_000, 12_000)]
    events = [(plate, camera.look(plate, nozzle=5, at=NOON)) for plate in plates]

    seen = [(plate, event) for plate, event in events if event is not None]
    wrong = [event for plate, event in seen if event.plate != plate]

    assert 1_720 < len(seen) < 1_880
    assert 0.16 < len(wrong) / len(seen) < 0.24
    assert all(event.confidence < 80 for event in wrong)
    assert all(event.confidence >= 88 for plate, event in seen if event.plate == plate)


def listening(
    handle: Callable[[Request], Reply], scenario: Callable[[str], Awaitable[None]]
) -> None:
    async def serve() -> None:
        listener = Listener(handle, host="127.0.0.1", port=0, body_bytes_max=1 << 20)
        await listener.start()
        try:
            async with asyncio.timeout(20):
                await scenario(f"http://127.0.0.1:{listener.port}")
        finally:
            await listener.stop()

    asyncio.run(serve())


def test_an_event_is_pushed_again_and_marked_until_it_is_accepted() -> None:
    requests: list[Request] = []

    def handle(request: Request) -> Reply:
        requests.append(request)
        return Reply() if len(requests) == 3 else Reply(status=503, code="try_again")

    async def scenario(url: str) -> None:
        camera = make_camera(url)
        await camera.push(look(camera))

    listening(handle, scenario)

    reads = [read_push(each.headers["content-type"], each.body) for each in requests]
    assert [read.retransmitted for read in reads if read] == [False, True, True]
    assert len({read.event_id for read in reads if read}) == 1
    assert b"<activePostCount>3</activePostCount>" in requests[2].body
    assert {request.path for request in requests} == {"/cameras/camera-1"}


def test_a_camera_may_tell_twice_what_was_accepted() -> None:
    requests: list[Request] = []

    def handle(request: Request) -> Reply:
        requests.append(request)
        return Reply()

    async def scenario(url: str) -> None:
        camera = make_camera(url, replace(SHARP, repeated_percent=100))
        await camera.push(look(camera))

    listening(handle, scenario)

    reads = [read_push(each.headers["content-type"], each.body) for each in requests]
    assert [read.retransmitted for read in reads if read] == [False, True]


def test_a_camera_gives_up_in_the_end() -> None:
    async def scenario(url: str) -> None:
        camera = make_camera(url, attempts=2)
        with pytest.raises(DeliveryFailed) as failure:
            await camera.push(look(camera))
        assert failure.value.status == 503

    listening(lambda _: Reply(status=503, code="try_again"), scenario)


def test_nobody_listening_is_a_failed_delivery() -> None:
    async def scenario() -> None:
        camera = make_camera("http://127.0.0.1:9", attempts=1)
        with pytest.raises(DeliveryFailed) as failure:
            await camera.push(look(camera))
        assert failure.value.status is None

    asyncio.run(scenario())


def test_the_till_tells_nozzle_kind_and_value() -> None:
    requests: list[Request] = []

    def handle(request: Request) -> Reply:
        requests.append(request)
        return Reply()

    async def scenario(url: str) -> None:
        till = Till(url=url, token="a-token-of-the-till")
        await till.report(3, Evidence(kind=EvidenceKind.PHONE, value="13812345678"))

    listening(handle, scenario)

    (request,) = requests
    assert request.path == "/evidence"
    assert request.headers["authorization"] == "Bearer a-token-of-the-till"
    assert json.loads(request.body) == {"nozzle": 3, "kind": "phone", "value": "13812345678"}


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:80", "ftp://x", "https://x", "http://", "http://x:99999", "http://x?y"]
)
def test_only_plain_http_addresses_are_taken(url: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the message is argparse's business
        check_url(url)
