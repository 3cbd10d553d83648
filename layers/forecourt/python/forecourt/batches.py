"""Reading many items at once, and looking at what DynamoDB left out."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from forecourt.attributes import Item

BATCH_GET_MAX = 100  # DynamoDB takes no more keys in one call
AT_ONCE_MAX = 4  # calls; botocore keeps ten connections
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
    """
    Return the items that exist under *keys*, in no order; raise `Unprocessed` when throttled.

    More keys than one call takes are asked for at the same time, so they cost no more waiting.
    """

    def get(wanted: Sequence[Item]) -> list[Item]:
        found: list[Item] = []
        pause = FIRST_PAUSE_SECONDS
        for _ in range(ATTEMPTS):
            response = dynamodb.batch_get_item(
                RequestItems={table: {"Keys": wanted, "ConsistentRead": consistent}}
            )
            found += response["Responses"].get(table, [])
            wanted = response.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
            if not wanted:
                return found
            sleep(pause * jitter())
            pause *= 2
        raise Unprocessed(table)

    batches = [
        list(keys[start : start + BATCH_GET_MAX]) for start in range(0, len(keys), BATCH_GET_MAX)
    ]
    if len(batches) <= 1:
        return [item for each in batches for item in get(each)]
    with ThreadPoolExecutor(max_workers=min(len(batches), AT_ONCE_MAX)) as calls:
        return [item for found in calls.map(get, batches) for item in found]
