"""
A small HTTP server for cameras and the till, on the station's own network.

    POST /cameras/{name}   a camera's push; any 200 tells it not to push again
    POST /evidence         {"nozzle", "kind", "value", "transaction"?}: what the till knows
    POST /tellings         what the till sold; 200 only once it is on the disk
    GET  /health           alive

It takes what these two send and nothing else: bodies with a stated length below a limit,
few headers, few connections, little time.

The till speaks of the fuelling now at the nozzle, or the next one there. Once the pump's
transaction is taken over it is too late; a till that knows the number gives it as
`transaction` and is told so with 409, instead of the next driver getting the points.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forecourt_edge import journal

if TYPE_CHECKING:
    from collections.abc import Callable

_LINE_MAX = 4096
_HEADERS_MAX = 64
_CONNECTIONS_MAX = 64
_REQUEST_SECONDS = 15
_IDLE_SECONDS = 75

_REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    411: "Length Required",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    501: "Not Implemented",
    503: "Service Unavailable",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A whole request; header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    peer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """`code` names the outcome for programs; with 200 it is `ok`."""

    status: int = 200
    code: str = "ok"
    detail: str = ""


class _BadRequest(Exception):
    def __init__(self, status: int, code: str, detail: str = "") -> None:
        super().__init__(code)
        self.reply = Reply(status=status, code=code, detail=detail)


class Listener:
    """Serves *handle* on one address."""

    def __init__(
        self,
        handle: Callable[[Request], Reply],
        *,
        host: str,
        port: int,
        body_bytes_max: int,
    ) -> None:
        self._handle = handle
        self._host = host
        self._port = port
        self._body_bytes_max = body_bytes_max
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """The port listened on; the configured one until started."""
        if self._server is None:
            return self._port
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> None:
        self._server = await asyncio.start_server(
            self._serve, self._host, self._port, limit=_LINE_MAX
        )

    async def stop(self) -> None:
        if self._server is None:
            return
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._connections) >= _CONNECTIONS_MAX:
            writer.close()
            return
        self._connections.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._exchange(reader, writer):
                    pass
        finally:
            self._connections.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether the connection goes on."""
        try:
            async with asyncio.timeout(_IDLE_SECONDS):
                line = await _line(reader)
            if not line:
                return False
            async with asyncio.timeout(_REQUEST_SECONDS):
                request = await self._request(line, reader, writer)
        except TimeoutError:
            return await _answer(writer, Reply(status=408, code="too_slow"), go_on=False)
        except _BadRequest as error:
            # What follows of a refused request is not read, so nothing can follow it.
            return await _answer(writer, error.reply, go_on=False)
        try:
            reply = self._handle(request)
        except Exception as error:  # noqa: BLE001 - one request must not end the others
            journal.failure("request_failed", error, path=request.path.split("/")[1])
            reply = Reply(status=503, code="try_again")
        go_on = request.headers.get("connection", "").lower() != "close"
        return await _answer(writer, reply, go_on=go_on)

    async def _request(
        self, line: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Request:
        parts = line.split(" ")
        if len(parts) != 3 or not parts[2].startswith("HTTP/1."):  # noqa: PLR2004 - RFC 9112
            raise _BadRequest(400, "not_http")
        headers: dict[str, str] = {}
        while header := await _line(reader):
            name, separator, value = header.partition(":")
            if not separator or len(headers) >= _HEADERS_MAX or name != name.strip():
                raise _BadRequest(400, "bad_header")
            if headers.setdefault(name.lower(), value.strip()) != value.strip():
                raise _BadRequest(400, "repeated_header")
        body = await self._body(parts[0], headers, reader, writer)
        address = writer.get_extra_info("peername")
        peer = str(address[0]) if address else ""
        return Request(method=parts[0], path=parts[1], headers=headers, body=body, peer=peer)

    async def _body(
        self,
        method: str,
        headers: dict[str, str],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bytes:
        if "transfer-encoding" in headers:
            raise _BadRequest(501, "no_chunked_bodies")
        stated = headers.get("content-length")
        if stated is None:
            if method == "POST":
                raise _BadRequest(411, "length_required")
            return b""
        if not stated.isascii() or not stated.isdigit():
            raise _BadRequest(400, "bad_length")
        if int(stated) > self._body_bytes_max:
            raise _BadRequest(413, "too_large", f"at most {self._body_bytes_max} bytes")
        if headers.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return await reader.readexactly(int(stated))


def event_id() -> str:
    """Return an id for what the till tells: it has none of its own."""
    return f"till-{uuid.uuid4()}"


def token_matches(request: Request, token: str) -> bool:
    given = request.headers.get("authorization", "")
    return hmac.compare_digest(given.encode(), f"Bearer {token}".encode())


async def _line(reader: asyncio.StreamReader) -> str:
    try:
        raw = await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise _BadRequest(400, "cut_off") from error
        return ""
    except asyncio.LimitOverrunError as error:
        raise _BadRequest(400, "line_too_long") from error
    return raw.rstrip(b"\r\n").decode("latin-1")


async def _answer(writer: asyncio.StreamWriter, reply: Reply, *, go_on: bool) -> bool:
    document = {"code": reply.code} | ({"detail": reply.detail} if reply.detail else {})
    body = json.dumps(document).encode()
    head = (
        f"HTTP/1.1 {reply.status} {_REASONS[reply.status]}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"Connection: {'keep-alive' if go_on else 'close'}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    await writer.drain()
    return go_on
