"""What a camera says of a plate, good and bad, as it is read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from forecourt_edge.cameras import Unreadable, read_push
from tests.edge.pushes import BOMB, PLATE, alert, multipart


def push(document: bytes) -> Any:
    return read_push(*multipart(document))


def test_a_push_of_a_camera_is_read() -> None:
    read = push(alert("蓝" + PLATE))

    assert (read.plate, read.confidence, read.lane, read.event_id) == (PLATE, 97, 1, "e-1")
    assert read.shown_at == datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
    assert not read.retransmitted


@pytest.mark.parametrize(
    ("plate", "characters", "expected"),
    [
        (PLATE, "99,98,97,55,100,0,1", (99, 98, 97, 55, 100, 0, 1)),
        ("蓝" + PLATE, " 9, 8, 7, 5, 9, 9, 9", (9, 8, 7, 5, 9, 9, 9)),
        # One too few, one too many, or no list of percentages: it says nothing.
        (PLATE, "99,98,97,55,99,99", ()),
        (PLATE, "99,98,97,55,99,99,99,99", ()),
        (PLATE, "99,98,97,,99,99,99", ()),
        (PLATE, "99,98,97,-1,99,99,99", ()),
        (PLATE, "99,98,97,0.5,99,99,99", ()),
        (PLATE, "", ()),
        ("无牌车", "99,99,99", ()),
    ],
)
def test_a_camera_says_how_sure_it_is_of_each_character(
    plate: str, characters: str, expected: tuple[int, ...]
) -> None:
    assert push(alert(plate, characters=characters)).character_confidences == expected


def test_xml_alone_is_read_as_well() -> None:
    read = read_push("application/xml", alert())

    assert read is not None
    assert read.plate == PLATE


def test_an_event_that_is_not_about_plates_is_no_plate() -> None:
    assert push(alert(type="videoloss")) is None


EXTERNAL = (
    b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
    b"<EventNotificationAlert><UUID>&e;</UUID></EventNotificationAlert>"
)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"not xml",
        b"<EventNotificationAlert>",
        b"<EventNotificationAlert></Event>",
        b"<Other/>",
        BOMB,
        EXTERNAL,
        BOMB.decode().encode("utf-16"),
        b"<a>" * 100_000,
        b'<?xml version="1.0" encoding="no-such"?><EventNotificationAlert/>',
        alert(uuid=""),
        alert(uuid="../../etc"),
        alert() + b"x" * 300_000,
    ],
)
def test_a_document_that_is_no_event_is_refused(document: bytes) -> None:
    with pytest.raises(Unreadable):
        push(document)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data", b"--x\r\n\r\n--x--"),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"--y\r\n\r\n\r\n--y--\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Type: text/xml\r\n\r\n<a/>"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Type: text/xml\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\nA: image/jpeg\r\n\r\nxx\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", b"--x" + b"\r\n\r\n\r\n--x" * 40 + b"--\r\n"),
    ],
)
def test_a_wrong_multipart_is_refused(content_type: str, body: bytes) -> None:
    with pytest.raises(Unreadable):
        read_push(content_type, body)
