"""
The edge component with an uplink that says and hears some things twice.

MQTT at QoS 1 delivers at least once; this makes "twice" frequent instead of rare.
"""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from forecourt_edge.component import Component
from forecourt_edge.config import load_config
from forecourt_edge.journal import configure
from forecourt_edge.uplink import uplink_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from forecourt_edge.config import EdgeConfig
    from forecourt_edge.uplink import Uplink

TWICE_PERCENT = 30


def times() -> int:
    """Return how often a message is to come."""
    return 2 if random.randrange(100) < TWICE_PERCENT else 1


class DoublingUplink:
    """Passes everything to and from *uplink*, and some messages a second time."""

    def __init__(self, uplink: Uplink) -> None:
        self._uplink = uplink

    @property
    def connected(self) -> bool:
        return self._uplink.connected

    async def start(self, *, subscribe_to: str, on_message: Callable[[str, bytes], None]) -> None:
        def hear(topic: str, payload: bytes) -> None:
            for _ in range(times()):
                on_message(topic, payload)

        await self._uplink.start(subscribe_to=subscribe_to, on_message=hear)

    async def publish(self, topic: str, payload: bytes) -> None:
        for _ in range(times()):
            await self._uplink.publish(topic, payload)

    async def stop(self) -> None:
        await self._uplink.stop()


async def run(config: EdgeConfig) -> None:
    async with Component(config, uplink=DoublingUplink(uplink_for(config))) as component:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, component.stop)
        await component.ended()


if __name__ == "__main__":
    _, _, path = sys.argv
    configure()
    asyncio.run(run(load_config(Path(path))))
