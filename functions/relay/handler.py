"""
Tell the bus of every committed change of the Loyalty table.

This is the outbox: nobody writes and then publishes, so an event cannot be lost between the
two. Delivery is at least once; consumers tell repeats by `event_id`. `PutEvents` may take
some events and refuse others; the stream then resumes at the first record refused.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger

from forecourt.bus import SOURCE, Event
from forecourt.deadlines import while_time_lasts
from forecourt.events import events_of
from forecourt.settings import Settings
from forecourt.streams import stopped_at
from forecourt.values import dataclass

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

PUT_EVENTS_MAX = 10  # EventBridge refuses more in one call


@dataclass(frozen=True, slots=True, kw_only=True)
class RelaySettings(Settings):
    event_bus: str


settings = RelaySettings.from_env()
logger = Logger()
bus = boto3.client("events")


@logger.inject_lambda_context
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    told = [(record, each) for record in event["Records"] for each in events_of(record)]
    done = 0
    for start in while_time_lasts(range(0, len(told), PUT_EVENTS_MAX), context):
        batch = told[start : start + PUT_EVENTS_MAX]
        response = bus.put_events(Entries=[bus_entry(each) for _, each in batch])
        for (record, each), result in zip(batch, response["Entries"], strict=True):
            if "ErrorCode" in result:
                logger.error(
                    "event refused",
                    event_id=each.detail["event_id"],
                    error_code=result["ErrorCode"],
                )
                return stopped_at(record)
            logger.info("event told", event_id=each.detail["event_id"])
        done += len(batch)
    if done < len(told):
        logger.warning("batch stopped in time", told=done, left=len(told) - done)
        return stopped_at(told[done][0])
    return {"batchItemFailures": []}


def bus_entry(event: Event) -> dict[str, str]:
    """Return *event* as `PutEvents` takes it."""
    return {
        "EventBusName": settings.event_bus,
        "Source": SOURCE,
        "DetailType": event.detail_type,
        "Detail": json.dumps(event.detail, ensure_ascii=False),
    }
