"""One HTTP POST, as a small device sends it: a connection of its own, a status, nothing else."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from forecourt_simulator.errors import DeliveryFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_PORT = 80
_ACCEPTED = range(200, 300)
_STATUS_LINE_PARTS = 3


def check_url(url: str) -> str:
    """Return *url* without a trailing slash; raise `ValueError` unless it is plain HTTP."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"not an http:// address: {url}")
    _ = parts.port  # Raises for a port out of range.
    return url.rstrip("/")


async def post(
    url: str,
    body: bytes,
    *,
    content_type: str,
    headers: Mapping[str, str] | None = None,
    timeout_seconds: float = 5,
) -> None:
    """Deliver *body*; raise `DeliveryFailed` when it is refused or nobody answers in time."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or DEFAULT_PORT
    lines = [
        f"POST {parts.path or '/'} HTTP/1.1",
        f"Host: {host}:{port}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in (headers or {}).items()),
        "Connection: close",
        "",
        "",
    ]
    head = "\r\n".join(lines).encode("latin-1")
    try:
        async with asyncio.timeout(timeout_seconds):
            status = await _exchange(host, port, head + body)
    except (OSError, TimeoutError, EOFError) as error:
        raise DeliveryFailed(url=url, status=None) from error
    if status not in _ACCEPTED:
        raise DeliveryFailed(url=url, status=status)


async def _exchange(host: str, port: int, request: bytes) -> int | None:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(request)
        await writer.drain()
        parts = (await reader.readline()).split(maxsplit=2)
        await reader.read()
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    if len(parts) < _STATUS_LINE_PARTS - 1 or not parts[1].isdigit():
        return None
    return int(parts[1])
