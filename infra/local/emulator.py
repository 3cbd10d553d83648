"""
MiniStack, started so that it is this machine's alone and ends with whoever started it.

Run as `python -m infra.local.emulator`.  Its MQTT port would otherwise be open to the network,
it would stay behind when its parent is killed, and conditions on leading keys would not count.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from typing import Any

from ministack.app import main

from infra.local.leading_keys import enforce_leading_keys

LOOPBACK = "127.0.0.1"
ANY_ADDRESS = "0.0.0.0"  # noqa: S104 - the value to be replaced


def listen_on_loopback_only() -> None:
    """Keep MQTT off the network: BIND_HOST is for the HTTP port alone."""
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
    """End when standard input closes: the parent holds its other end."""

    def wait_for_the_end() -> None:
        sys.stdin.buffer.read()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait_for_the_end, daemon=True).start()


if __name__ == "__main__":
    listen_on_loopback_only()
    enforce_leading_keys()
    end_with_parent()
    main()
