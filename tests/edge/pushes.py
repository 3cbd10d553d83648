"""What cameras push: good documents, and one that would burst whoever reads it."""

from __future__ import annotations

PLATE = "浙A12345"
OTHER = "沪B88C66"
BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE bomb [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
    b"<EventNotificationAlert><eventType>&b;</eventType></EventNotificationAlert>"
)


def alert(plate: str = PLATE, **changes: str) -> bytes:
    values = {
        "uuid": "e-1",
        "type": "ANPR",
        "line": "1",
        "confidence": "97",
        "characters": "99,98,97,55,99,99,99",
        "again": "false",
        "at": "2026-11-23T14:00:00+08:00",
        **changes,
    }
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<EventNotificationAlert version="2.0" xmlns="http://www.hikvision.com/ver20/XMLSchema">'
        f"<dateTime>{values['at']}</dateTime><eventType>{values['type']}</eventType>"
        f"<ANPR><licensePlate>{plate}</licensePlate><line>{values['line']}</line>"
        f"<confidenceLevel>{values['confidence']}</confidenceLevel>"
        f"<plateCharBelieve>{values['characters']}</plateCharBelieve></ANPR>"
        f"<UUID>{values['uuid']}</UUID>"
        f"<isDataRetransmission>{values['again']}</isDataRetransmission>"
        "</EventNotificationAlert>"
    ).encode()


def multipart(document: bytes, *, boundary: str = "boundary") -> tuple[str, bytes]:
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="anpr.xml"\r\n'
        "Content-Type: text/xml\r\n\r\n"
    ).encode() + document
    body += (
        f'\r\n--{boundary}\r\nContent-Disposition: form-data; name="licensePlatePicture.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    ).encode()
    body += b"\xff\xd8 picture \xff\xd9" + f"\r\n--{boundary}--\r\n".encode()
    return f"multipart/form-data; boundary={boundary}", body
