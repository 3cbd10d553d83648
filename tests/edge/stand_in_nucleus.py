"""
A Greengrass nucleus' interprocess communication: event-stream RPC on a unix socket.

Frames are built here byte by byte, so that the real SDK talks to something it did not bring
along. Headers of a frame: `:message-type` 0 application message, 4 connect, 5 connect
acknowledgement; `:message-flags` 1 connection accepted, 2 stream ends; `:stream-id`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import struct
import zlib
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pathlib import Path

APPLICATION, APPLICATION_ERROR, CONNECT, CONNECT_ACK = 0, 1, 4, 5
ACCEPTED, ENDS = 1, 2
_INT32, _STRING = 4, 7
_PUBLISH, _SUBSCRIBE = "aws.greengrass#PublishToIoTCore", "aws.greengrass#SubscribeToIoTCore"


class Nucleus:
    """
    Serves components that know *token*.

    `refusing` names the error a publish is answered with; `mute` answers nothing at all.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / "nucleus.sock"
        self.token = "token"
        self.published: list[tuple[str, str, bytes]] = []
        self.subscriptions: list[tuple[asyncio.StreamWriter, int, str]] = []
        self.connections = 0
        self.refusing = ""
        self.mute = False
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def environ(self) -> dict[str, str]:
        return {
            "AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT": str(self.path),
            "SVCUID": self.token,
        }

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        self.path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self.subscriptions.clear()
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.sleep(0.01)

    def deliver(self, topic: str, payload: bytes) -> None:
        """Send a message of AWS IoT Core to whoever subscribed to its topic."""
        message = {"topicName": topic, "payload": base64.b64encode(payload).decode()}
        for writer, stream, subscribed in self.subscriptions:
            if subscribed == topic:
                headers = {"service-model-type": "aws.greengrass#IoTCoreMessage"}
                writer.write(frame(stream, APPLICATION, 0, {"message": message}, headers))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self.connections += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                headers, body = await read_frame(reader)
                if headers[":message-type"] == CONNECT:
                    accepted = json.loads(body)["authToken"] == self.token
                    writer.write(frame(0, CONNECT_ACK, ACCEPTED if accepted else 0, None))
                elif "operation" in headers and not self.mute:
                    self._operate(headers, json.loads(body), writer)
        self._writers.discard(writer)
        writer.close()

    def _operate(
        self, headers: dict[str, Any], request: dict[str, Any], writer: asyncio.StreamWriter
    ) -> None:
        stream: int = headers[":stream-id"]
        operation: str = headers["operation"]
        answer = {"service-model-type": f"{operation}Response"}
        if operation == _SUBSCRIBE:
            self.subscriptions.append((writer, stream, request["topicName"]))
            writer.write(frame(stream, APPLICATION, 0, {}, answer))
        elif self.refusing:
            error = {"service-model-type": f"aws.greengrass#{self.refusing}"}
            body = {"message": "refused"}
            writer.write(frame(stream, APPLICATION_ERROR, ENDS, body, error))
        else:
            assert operation == _PUBLISH
            payload = base64.b64decode(request["payload"])
            self.published.append((request["topicName"], request["qos"], payload))
            writer.write(frame(stream, APPLICATION, ENDS, {}, answer))


def frame(
    stream: int,
    kind: int,
    flags: int,
    body: dict[str, Any] | None,
    extra: dict[str, str] | None = None,
) -> bytes:
    numbers = {":message-type": kind, ":message-flags": flags, ":stream-id": stream}
    texts = {":content-type": "application/json", **(extra or {})}
    headers = b"".join(
        _name(name) + struct.pack(">Bi", _INT32, value) for name, value in numbers.items()
    )
    headers += b"".join(
        _name(name) + struct.pack(">BH", _STRING, len(text)) + text.encode()
        for name, text in texts.items()
    )
    payload = b"" if body is None else json.dumps(body).encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    head = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return head + struct.pack(">I", zlib.crc32(head))


async def read_frame(reader: asyncio.StreamReader) -> tuple[dict[str, Any], bytes]:
    prelude = await reader.readexactly(12)
    total, headers_length, _ = struct.unpack(">III", prelude)
    rest = await reader.readexactly(total - 12)
    assert struct.unpack(">I", rest[-4:])[0] == zlib.crc32(prelude + rest[:-4])
    headers: dict[str, Any] = {}
    raw = rest[:headers_length]
    while raw:
        size = raw[0]
        name, kind, raw = raw[1 : 1 + size].decode(), raw[1 + size], raw[2 + size :]
        if kind == _INT32:
            headers[name], raw = struct.unpack(">i", raw[:4])[0], raw[4:]
        else:
            assert kind == _STRING
            length = struct.unpack(">H", raw[:2])[0]
            headers[name], raw = raw[2 : 2 + length].decode(), raw[2 + length :]
    return headers, rest[headers_length:-4]


def _name(name: str) -> bytes:
    return bytes([len(name)]) + name.encode()
