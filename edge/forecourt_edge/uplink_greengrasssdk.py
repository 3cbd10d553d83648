"""
`greengrasssdk`: for cores that run the component as an imported Lambda function.

The SDK talks HTTP to the core's Lambda runtime.  It reads its environment when imported,
knows no time-out, and with `MY_FUNCTION_ARN` unset `publish` does nothing and succeeds:
hence the check, the socket time-out and the thread of its own.  Messages from the cloud
arrive as invocations; `forecourt_edge.lambda_function` passes them to `receive`.
"""

from __future__ import annotations

import asyncio
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from forecourt_edge.errors import InvalidConfig, UplinkDown

if TYPE_CHECKING:
    from collections.abc import Callable

    from forecourt_edge.config import GreengrassSdkUplink as GreengrassSdkUplinkConfig

_NAME = "greengrasssdk"
_VARIABLES = ("MY_FUNCTION_ARN", "GG_DAEMON_PORT", "AWS_CONTAINER_AUTHORIZATION_TOKEN")


class GreengrassSdkUplink:
    """The function's way to the core."""

    def __init__(self, config: GreengrassSdkUplinkConfig) -> None:
        self._config = config
        self._client: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._on_message: Callable[[str, bytes], None] | None = None
        self._topic = ""
        self._thread: ThreadPoolExecutor | None = None

    @property
    def connected(self) -> bool:
        return self._client is not None

    async def start(self, *, subscribe_to: str, on_message: Callable[[str, bytes], None]) -> None:
        missing = [name for name in _VARIABLES if not os.environ.get(name)]
        if missing:
            finding = f"uplink: not run by a core's Lambda runtime, {', '.join(missing)} missing"
            raise InvalidConfig(source="environment", findings=[finding])
        # The SDK opens a connection for each message and would wait for its answer for ever.
        socket.setdefaulttimeout(self._config.timeout_seconds)
        try:
            import greengrasssdk  # noqa: PLC0415 - reads its environment when imported

            self._client = greengrasssdk.client("iot-data")
        except ModuleNotFoundError as error:
            finding = f"uplink: the core's runtime does not provide {error.name}"
            raise InvalidConfig(source="environment", findings=[finding]) from error
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="greengrasssdk")
        self._loop = asyncio.get_running_loop()
        self._topic = subscribe_to
        self._on_message = on_message

    async def publish(self, topic: str, payload: bytes) -> None:
        if self._thread is None:
            raise UplinkDown(uplink=_NAME, reason="not started")
        pending = asyncio.get_running_loop().run_in_executor(
            self._thread, self._publish, topic, payload
        )
        pending.add_done_callback(_heard)
        try:
            # Twice the socket's time: connecting and answering may each take one.
            async with asyncio.timeout(2 * self._config.timeout_seconds):
                await asyncio.shield(pending)
        except Exception as error:
            # The SDK raises its own classes, the runtime's and plain OSErrors alike.
            raise UplinkDown(uplink=_NAME, reason=type(error).__name__) from error

    async def stop(self) -> None:
        self._client = None
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)
            self._thread = None

    def receive(self, topic: str, payload: bytes) -> None:
        """Take a message the core invoked the function with; callable from any thread."""
        if self._loop is not None and self._on_message is not None and topic == self._topic:
            self._loop.call_soon_threadsafe(self._on_message, topic, payload)

    def _publish(self, topic: str, payload: bytes) -> None:
        self._client.publish(topic=topic, payload=payload, queueFullPolicy="AllOrException")


def _heard(pending: asyncio.Future[None]) -> None:
    """Look at the outcome of a publish that nobody waits for any more."""
    if not pending.cancelled():
        pending.exception()
