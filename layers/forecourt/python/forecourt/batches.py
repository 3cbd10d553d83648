"""Reading many items at once, and looking at what DynamoDB left out."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from forecourt.attributes import Item

BATCH_GET_MAX = 100  # DynamoDB takes no more keys in one call
ATTEMPTS = 6
FIRST_PAUSE_SECONDS = 0.02


class Unprocessed(Exception):
    """DynamoDB kept leaving keys out: it throttles. The platform retries the whole record."""


def batch_get(
    dynamodb: Any,
    table: str,
    keys: Sequence[Item],
    *,
    consistent: bool,
    sleep: Callable[[float], None] = time.sleep,
    jitter: Callable[[], float] = random.random,
) -> list[Item]:
    """Return the items that exist under *keys*, in no order; raise `Unprocessed` when throttled."""
    found: list[Item] = []
    for start in range(0, len(keys), BATCH_GET_MAX):
        wanted = list(keys[start : start + BATCH_GET_MAX])
        pause = FIRST_PAUSE_SECONDS
        for _ in range(ATTEMPTS):
            response = dynamodb.batch_get_item(
                RequestItems={table: {"Keys": wanted, "ConsistentRead": consistent}}
            )
            found += response["Responses"].get(table, [])
            wanted = response.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
            if not wanted:
                break
            sleep(pause * jitter())
            pause *= 2
        else:
            raise Unprocessed(table)
    return found
