"""An uplink whose other end is a cloud in the same process: reads like ingest, answers like it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from forecourt.messages import (
    GapMessage,
    ReadingMessage,
    SaleMessage,
    TellingMessage,
    read_message,
)
from forecourt_edge.errors import UplinkDown

if TYPE_CHECKING:
    from collections.abc import Callable

    from forecourt.messages import Message
    from forecourt.sales import Sale


class Cloud:
    """
    Holds every message once, by its id.

    Without `answering` it takes messages and says nothing; `refusing` names reasons by id;
    unless `connected` nothing is taken.
    """

    def __init__(self, *, answering: bool = True, connected: bool = True) -> None:
        self.answering = answering
        self.connected = connected
        self.refusing: dict[str, str] = {}
        self.payloads: list[tuple[str, bytes]] = []
        self.held: dict[str, Message] = {}
        self._reply: Callable[[str, bytes], None] = lambda _topic, _payload: None
        self._topic = ""

    async def start(self, *, subscribe_to: str, on_message: Callable[[str, bytes], None]) -> None:
        self._topic, self._reply = subscribe_to, on_message

    async def publish(self, topic: str, payload: bytes) -> None:
        if not self.connected:
            raise UplinkDown(uplink="stand-in", reason="not connected")
        self.payloads.append((topic, payload))
        message_id = id_of(payload)
        if self.answering:
            self.held.setdefault(message_id, read_message(payload))
            asyncio.get_running_loop().call_soon(self.answer, message_id)

    async def stop(self) -> None:
        self.connected = False

    def answer(self, message_id: str) -> None:
        reason = self.refusing.get(message_id)
        refused = [] if reason is None else [{"id": message_id, "reason": reason}]
        self.say({"accepted": [] if refused else [message_id], "refused": refused})

    def say(self, document: dict[str, Any]) -> None:
        self._reply(self._topic, json.dumps({"schema": "ack/1", **document}).encode())

    @property
    def sales(self) -> list[Sale]:
        return [each.sale for each in self.held.values() if isinstance(each, SaleMessage)]

    @property
    def gaps(self) -> list[GapMessage]:
        return [each for each in self.held.values() if isinstance(each, GapMessage)]

    @property
    def readings(self) -> list[ReadingMessage]:
        return [each for each in self.held.values() if isinstance(each, ReadingMessage)]

    @property
    def tellings(self) -> list[TellingMessage]:
        return [each for each in self.held.values() if isinstance(each, TellingMessage)]


def id_of(payload: bytes) -> str:
    document = json.loads(payload)
    name = document["schema"].removesuffix("/1")
    message_id: str = document[name][f"{name}_id"]
    return message_id
