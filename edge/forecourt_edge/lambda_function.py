"""
The component as an imported Lambda function of a Greengrass core.

The core imports this module once and keeps it running; `FORECOURT_EDGE_CONFIG` names the
configuration.  Each message on a subscribed topic invokes `function_handler`.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
from pathlib import Path
from typing import Any

from forecourt_edge import journal
from forecourt_edge.component import Component
from forecourt_edge.config import load_config
from forecourt_edge.errors import InvalidConfig
from forecourt_edge.uplink_greengrasssdk import GreengrassSdkUplink

_CONFIG_VARIABLE = "FORECOURT_EDGE_CONFIG"
_running: dict[str, GreengrassSdkUplink] = {}


def function_handler(event: Any, context: Any) -> None:
    """Pass what the core invoked us with to the uplink, under the topic it came on."""
    uplink = _running.get("uplink")
    if uplink is None:
        raise RuntimeError("the component is not running")  # The core keeps and repeats it.
    topic = context.client_context.custom["subject"]
    uplink.receive(topic, event if isinstance(event, bytes) else json.dumps(event).encode())


def start() -> threading.Thread:
    """Run the component in a thread of its own; raises `InvalidConfig` before it does."""
    path = os.environ.get(_CONFIG_VARIABLE)
    if not path:
        raise InvalidConfig(source="environment", findings=[f"{_CONFIG_VARIABLE} missing"])
    config = load_config(Path(path))
    if config.uplink.kind != "greengrasssdk":
        finding = f"uplink.kind: {config.uplink.kind}, but this is a Lambda function"
        raise InvalidConfig(source=path, findings=[finding])
    uplink = GreengrassSdkUplink(config.uplink)
    _running["uplink"] = uplink

    async def run() -> None:
        async with Component(config, uplink=uplink) as component:
            await component.ended()

    def work() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:  # noqa: BLE001 - whatever it is ends the process
            journal.failure("component_unusable", error)
            # The runtime starts the function again; a dead thread in a living one would not.
            os._exit(1)

    thread = threading.Thread(target=work, name="forecourt-edge", daemon=True)
    thread.start()
    return thread


if os.environ.get("MY_FUNCTION_ARN"):
    journal.configure()
    start()
