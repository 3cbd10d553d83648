"""
MiniStack, started so that it is this machine's alone and ends with whoever started it.

Run as `python -m infra.local.emulator`.  Its MQTT port would otherwise be open to the network,
and it would stay behind when its parent is killed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from typing import Any

from ministack.app import main

LOOPBACK = "127.0.0.1"
ANY_ADDRESS = "0.0.0.0"  # noqa: S104 - the value to be replaced


def listen_on_loopback_only() -> None:
    """MiniStack binds its MQTT port to every address; BIND_HOST covers its HTTP port alone."""
    create_server = asyncio.BaseEventLoop.create_server

    async def create_loopback_server(
        loop: asyncio.BaseEventLoop,
        protocol_factory: Any,
        host: Any = None,
        port: Any = None,
        **options: Any,
    ) -> asyncio.Server:
        if host == ANY_ADDRESS:
            host = LOOPBACK
        return await create_server(loop, protocol_factory, host, port, **options)

    asyncio.BaseEventLoop.create_server = create_loopback_server  # type: ignore[method-assign,assignment]


def end_with_parent() -> None:
    """The parent holds the other end of standard input, so it closes when the parent is gone."""

    def wait_for_the_end() -> None:
        sys.stdin.buffer.read()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait_for_the_end, daemon=True).start()


if __name__ == "__main__":
    listen_on_loopback_only()
    end_with_parent()
    main()
