"""
MQTT 5 with mutual TLS: the default way out.

The station's certificate is its identity and the station id its client id.  Version 5
because only its acknowledgements say why a publish was refused.  paho runs its network in
a thread of its own; everything that reaches us from there is passed to the event loop.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import sys
from typing import TYPE_CHECKING, Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from forecourt_edge import journal
from forecourt_edge.errors import InvalidConfig, UplinkDown
from forecourt_edge.uplink import RECONNECT_SECONDS_MIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from paho.mqtt.reasoncodes import ReasonCode

    from forecourt_edge.config import MqttUplink as MqttUplinkConfig

_NAME = "mqtt"
_ALPN_PORT = 443  # AWS IoT Core serves MQTT beside HTTPS there and tells them apart by ALPN.
_CONNECT_SECONDS = 10
# A broker that does not know a certificate may only hang up on it; a line that is cut once
# looks the same, and is no refusal.
_UNANSWERED_MAX = 2


class MqttUplink:
    """A station's connection to the broker."""

    def __init__(self, config: MqttUplinkConfig, *, client_id: str) -> None:
        self._config = config
        self._client_id = client_id
        self._client: Client | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._on_message: Callable[[str, bytes], None] | None = None
        self._topic = ""
        self._subscribed = False
        self._unanswered = 0
        self._told = ""

    @property
    def connected(self) -> bool:
        return self._subscribed

    async def start(self, *, subscribe_to: str, on_message: Callable[[str, bytes], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._topic = subscribe_to
        self._on_message = on_message
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
        )
        client.tls_set_context(self._tls())
        client.connect_timeout = _CONNECT_SECONDS
        client.on_connect = self._connected
        client.on_connect_fail = self._not_reached
        client.on_subscribe = self._granted
        client.on_disconnect = self._disconnected
        client.on_publish = self._published
        client.on_message = self._received
        self._set_pace(client)
        client.connect_async(
            self._config.host, self._config.port, keepalive=self._config.keep_alive_seconds
        )
        client.loop_start()
        self._client = client

    async def publish(self, topic: str, payload: bytes) -> None:
        if self._client is None or not self._subscribed:
            raise UplinkDown(uplink=_NAME, reason="not connected")
        taken = self._client.publish(topic, payload, qos=1)
        if taken.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise UplinkDown(uplink=_NAME, reason=taken.rc.name)

    async def stop(self) -> None:
        client, self._client, self._subscribed = self._client, None, False
        if client is not None:
            client.disconnect()
            # Joins the network thread, which may be inside a connection attempt.
            await asyncio.get_running_loop().run_in_executor(None, client.loop_stop)

    def _tls(self) -> ssl.SSLContext:
        config = self._config
        try:
            context = ssl.create_default_context(cafile=str(config.ca_path))
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.load_cert_chain(str(config.certificate_path), str(config.key_path))
        except OSError as error:
            finding = f"uplink: certificates cannot be used: {error}"
            raise InvalidConfig(source="configuration", findings=[finding]) from error
        if config.port == _ALPN_PORT:
            context.set_alpn_protocols(["x-amzn-mqtt-ca"])
        return context

    def _set_pace(self, client: Client) -> None:
        """Draw the first wait anew each time, so that stations do not come back in step."""
        first = random.uniform(0.5, 1.5) * RECONNECT_SECONDS_MIN  # noqa: S311 - jitter, no secret
        client.reconnect_delay_set(first, self._config.reconnect_seconds_max)  # type: ignore[arg-type]  # adds and compares, any number will do

    # Called in paho's thread.

    def _not_reached(self, _client: Client, _data: Any) -> None:
        error = sys.exception()  # paho calls this where it has caught it, and does not pass it on
        if isinstance(error, ssl.SSLEOFError):
            self._hung_up()
        elif isinstance(error, ssl.SSLError):
            self._tell_once(journal.alarm, "uplink_refused", str(error))
        else:
            self._tell_once(journal.warn, "uplink_not_reached", str(error))

    def _connected(
        self, client: Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        self._unanswered = 0
        if reason.is_failure:
            journal.alarm("uplink_refused", uplink=_NAME, reason=str(reason))
            return
        client.subscribe(self._topic, qos=1)

    def _granted(
        self, _client: Client, _data: Any, _mid: int, reasons: list[ReasonCode], _properties: Any
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            # Without its acknowledgements the outbox would only grow.
            journal.alarm("subscription_refused", uplink=_NAME, topic=self._topic)
            return
        self._subscribed = True
        self._told = ""
        journal.note("uplink_connected", uplink=_NAME)

    def _disconnected(
        self, client: Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        if self._subscribed:
            journal.warn("uplink_lost", uplink=_NAME, reason=str(reason))
        elif self._client is not None:
            self._hung_up()
        self._subscribed = False
        self._set_pace(client)

    def _published(
        self, _client: Client, _data: Any, _mid: int, reason: ReasonCode, _properties: Any
    ) -> None:
        if reason.is_failure:
            journal.alarm("publish_refused", uplink=_NAME, reason=str(reason))

    def _hung_up(self) -> None:
        self._unanswered += 1
        if self._unanswered > _UNANSWERED_MAX:
            self._tell_once(journal.alarm, "uplink_refused", "closed before it answered")

    def _tell_once(self, tell: Callable[..., None], event: str, reason: str) -> None:
        """Say it until something else is the reason: without a network we try for days."""
        if reason != self._told:
            self._told = reason
            tell(event, uplink=_NAME, reason=reason)

    def _received(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        if self._loop is not None and self._on_message is not None:
            self._loop.call_soon_threadsafe(self._on_message, message.topic, bytes(message.payload))
