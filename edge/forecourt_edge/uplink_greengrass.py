"""
Greengrass V2: interprocess communication with the nucleus, which speaks to AWS IoT Core.

The SDK's synchronous calls know no time-out and its client does not come back after the
nucleus has restarted; both are made good here.  A publish that succeeds is in the
nucleus' spool, no more.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING

import awsiot.greengrasscoreipc  # type: ignore[import-untyped]
from awsiot.eventstreamrpc import LifecycleHandler  # type: ignore[import-untyped]
from awsiot.greengrasscoreipc.clientv2 import GreengrassCoreIPCClientV2  # type: ignore[import-untyped]
from awsiot.greengrasscoreipc.model import QOS  # type: ignore[import-untyped]

from forecourt_edge import journal
from forecourt_edge.errors import InvalidConfig, UplinkDown
from forecourt_edge.uplink import RECONNECT_SECONDS_MIN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from awsiot.greengrasscoreipc.model import IoTCoreMessage

    from forecourt_edge.config import GreengrassUplink as GreengrassUplinkConfig

_NAME = "greengrass"
_VARIABLES = ("AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT", "SVCUID")


class _Lifecycle(LifecycleHandler):  # type: ignore[misc]  # the SDK publishes no types
    def __init__(self, disconnected: Callable[[], None]) -> None:
        self._disconnected = disconnected

    def on_disconnect(self, reason: Exception | None) -> None:  # noqa: ARG002 - the SDK's signature
        self._disconnected()


class GreengrassUplink:
    """The component's connection to the nucleus."""

    def __init__(
        self, config: GreengrassUplinkConfig, *, environ: Mapping[str, str] | None = None
    ) -> None:
        self._config = config
        self._environ = environ
        self._client: GreengrassCoreIPCClientV2 | None = None
        self._lost = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        return self._client is not None

    async def start(self, *, subscribe_to: str, on_message: Callable[[str, bytes], None]) -> None:
        missing = [name for name in _VARIABLES if not self._variables().get(name)]
        if missing:
            finding = f"uplink: not started by a nucleus, {' and '.join(missing)} missing"
            raise InvalidConfig(source="environment", findings=[finding])
        self._keeper = asyncio.create_task(self._keep(subscribe_to, on_message))

    async def publish(self, topic: str, payload: bytes) -> None:
        client = self._client
        if client is None:
            raise UplinkDown(uplink=_NAME, reason="not connected")
        try:
            pending = client.publish_to_iot_core_async(
                topic_name=topic, qos=QOS.AT_LEAST_ONCE, payload=payload
            )
            async with asyncio.timeout(self._config.timeout_seconds):
                await asyncio.wrap_future(pending)
        except TimeoutError as error:
            self._lost.set()
            raise UplinkDown(uplink=_NAME, reason="no answer in time") from error
        except Exception as error:
            # The SDK raises its own classes and plain RuntimeErrors alike.
            raise UplinkDown(uplink=_NAME, reason=type(error).__name__) from error

    async def stop(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None
        await self._disconnect()

    def _variables(self) -> Mapping[str, str]:
        if self._environ is not None:
            return self._environ
        import os  # noqa: PLC0415 - the nucleus passes its address by the environment only

        return os.environ

    async def _keep(self, topic: str, on_message: Callable[[str, bytes], None]) -> None:
        """Stay connected: a restarted nucleus is found again within seconds."""
        wait_seconds = RECONNECT_SECONDS_MIN
        while True:
            try:
                await self._connect(topic, on_message)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again
                journal.warn("uplink_unreachable", uplink=_NAME, reason=type(error).__name__)
            else:
                journal.note("uplink_connected", uplink=_NAME)
                wait_seconds = RECONNECT_SECONDS_MIN
                await self._lost.wait()
                journal.warn("uplink_lost", uplink=_NAME)
            await self._disconnect()
            await asyncio.sleep(wait_seconds * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            wait_seconds = min(wait_seconds * 2, self._config.reconnect_seconds_max)

    async def _connect(self, topic: str, on_message: Callable[[str, bytes], None]) -> None:
        loop = asyncio.get_running_loop()
        lost = self._lost = asyncio.Event()

        def tell_lost() -> None:
            with contextlib.suppress(RuntimeError):  # The loop may have ended before the nucleus.
                loop.call_soon_threadsafe(lost.set)

        def receive(event: IoTCoreMessage) -> None:
            if event.message is not None:
                message = event.message
                loop.call_soon_threadsafe(on_message, message.topic_name, message.payload)

        def dial() -> GreengrassCoreIPCClientV2:
            variables = self._variables()
            connection = awsiot.greengrasscoreipc.connect(
                ipc_socket=variables[_VARIABLES[0]],
                authtoken=variables[_VARIABLES[1]],
                lifecycle_handler=_Lifecycle(tell_lost),
                timeout=self._config.timeout_seconds,
            )
            return GreengrassCoreIPCClientV2(client=connection)

        client = await asyncio.to_thread(dial)
        try:
            pending, _ = client.subscribe_to_iot_core_async(
                topic_name=topic,
                qos=QOS.AT_LEAST_ONCE,
                on_stream_event=receive,
                on_stream_error=lambda _error: True,
                on_stream_closed=tell_lost,
            )
            async with asyncio.timeout(self._config.timeout_seconds):
                await asyncio.wrap_future(pending)
        except BaseException:
            await asyncio.to_thread(client.close, executor_wait=False)
            raise
        self._client = client

    async def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await asyncio.to_thread(client.close, executor_wait=False)
