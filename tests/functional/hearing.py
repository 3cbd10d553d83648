"""What functions hear from the bus: messages of a queue, each of one event."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from forecourt.bus import SOURCE
from forecourt.events import events_of
from tests.functional.conftest import LOYALTY_TABLE

if TYPE_CHECKING:
    from types import ModuleType

    from forecourt.bus import DetailType
    from tests.functional.world import World


def heard(world: World, *detail_types: DetailType) -> list[dict[str, Any]]:
    """Return what the bus brought of these types since the last call, an event a message."""
    return [
        {
            "messageId": f"message-{number}",
            "body": json.dumps(
                {
                    "source": SOURCE,
                    "detail-type": str(each.detail_type),
                    "detail": dict(each.detail),
                }
            ),
        }
        for number, each in enumerate(
            each
            for record in world.records(LOYALTY_TABLE)
            for each in events_of(record)
            if each.detail_type in detail_types
        )
    ]


def hear(handler: ModuleType, messages: list[dict[str, Any]], context: Any) -> list[str]:
    """Bring *handler* the messages; return the ids of those it failed at."""
    answer = handler.handle({"Records": messages}, context)
    return [each["itemIdentifier"] for each in answer["batchItemFailures"]]
