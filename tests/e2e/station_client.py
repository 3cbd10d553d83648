"""
A station's MQTT client without the edge component: it says whatever a test wants said.

MQTT 5, because only its acknowledgements tell a refusal from a success.
"""

from __future__ import annotations

import json
import queue
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any, Self

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

if TYPE_CHECKING:
    from pathlib import Path

    from paho.mqtt.reasoncodes import ReasonCode

    from infra.local.seed import Credentials
    from infra.local.stack import LocalStack

WITHIN_SECONDS = 60.0
SUCCESS = "Success"
NOT_AUTHORIZED = "Not authorized"
ACCEPTED = "accepted"


class NotConnected(Exception):
    """The broker did not let the client in."""


class StationClient:
    """
    One connection with a station's certificate, from `with` to its end.

    The acknowledgements of the station *listens_to* are collected as they come.
    """

    def __init__(
        self,
        stack: LocalStack,
        credentials: Credentials,
        *,
        client_id: str,
        listens_to: str | None = None,
    ) -> None:
        self._address = (stack.mqtt_host, stack.mqtt_port)
        self._topic = f"forecourt/{listens_to}/down/acks" if listens_to else None
        self._outcomes: queue.Queue[str] = queue.Queue()
        self._answers: dict[str, list[str]] = {}
        self._changed = threading.Condition()
        self._lost = False
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        client.tls_set_context(_tls(stack.ca_pem_path, credentials))
        client.connect_timeout = WITHIN_SECONDS
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_publish = self._published
        client.on_subscribe = self._subscribed
        client.on_message = self._received
        self._client = client

    def __enter__(self) -> Self:
        try:
            self._client.connect(*self._address)
        except OSError as error:
            raise NotConnected(str(error)) from error
        self._client.loop_start()
        outcome = self._outcome()
        if outcome != SUCCESS:
            self._client.loop_stop()
            raise NotConnected(outcome)
        if self._topic:
            granted = self.subscribe(self._topic)
            if granted != SUCCESS:
                self.__exit__()
                raise NotConnected(granted)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, topic: str, message: bytes | dict[str, Any]) -> str:
        """Publish at QoS 1 and return what the broker made of it."""
        payload = message if isinstance(message, bytes) else json.dumps(message).encode()
        if self._client.publish(topic, payload, qos=1).rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise NotConnected(self._outcome())
        return self._outcome()

    def subscribe(self, topic: str) -> str:
        """Subscribe at QoS 1 and return what the broker made of it."""
        self._client.subscribe(topic, qos=1)
        return self._outcome()

    def answers_to(self, message_id: str, *, count: int = 1) -> list[str]:
        """Wait for *count* answers to a message: `accepted`, or the reason of a refusal."""
        deadline = time.monotonic() + WITHIN_SECONDS
        with self._changed:
            while len(self._answers.get(message_id, [])) < count:
                left = deadline - time.monotonic()
                if self._lost or left < 0 or not self._changed.wait(left):
                    raise AssertionError(f"no answer to {message_id}, only {self._answers}")
            return list(self._answers[message_id])

    def answer_to(self, message_id: str) -> str:
        """Wait for the first answer to a message."""
        return self.answers_to(message_id)[0]

    @property
    def answered(self) -> set[str]:
        """The ids of all messages that were answered so far."""
        with self._changed:
            return set(self._answers)

    def _outcome(self) -> str:
        try:
            return self._outcomes.get(timeout=WITHIN_SECONDS)
        except queue.Empty:
            raise AssertionError("the broker does not answer") from None

    # Called in paho's thread.

    def _connected(
        self, _client: Client, _data: Any, _flags: Any, reason: ReasonCode, _: Any
    ) -> None:
        self._outcomes.put(str(reason))

    def _disconnected(
        self, _client: Client, _data: Any, _flags: Any, reason: ReasonCode, _: Any
    ) -> None:
        self._outcomes.put(f"disconnected: {reason}")
        with self._changed:
            self._lost = True
            self._changed.notify_all()

    def _published(
        self, _client: Client, _data: Any, _mid: int, reason: ReasonCode, _: Any
    ) -> None:
        self._outcomes.put(str(reason))

    def _subscribed(
        self, _client: Client, _data: Any, _mid: int, reasons: list[ReasonCode], _: Any
    ) -> None:
        self._outcomes.put(str(reasons[0]) if reasons[0].is_failure else SUCCESS)

    def _received(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        document = json.loads(message.payload)
        with self._changed:
            for message_id in document["accepted"]:
                self._answers.setdefault(message_id, []).append(ACCEPTED)
            for refused in document["refused"]:
                self._answers.setdefault(refused["id"], []).append(refused["reason"])
            self._changed.notify_all()


def _tls(ca_path: Path, credentials: Credentials) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(ca_path))
    context.load_cert_chain(str(credentials.certificate_path), str(credentials.key_path))
    return context
