"""Tell the bus that something happened."""

import json
import os
from typing import Any

import boto3

bus = boto3.client("events")


def handle(event: dict[str, Any], context: object) -> dict[str, Any]:
    entries = [
        {
            "EventBusName": os.environ["EVENT_BUS"],
            "Source": "forecourt",
            "DetailType": "EntryRecorded",
            "Detail": json.dumps({"key": record["dynamodb"]["Keys"]["sk"]["S"]}),
        }
        for record in event["Records"]
    ]
    for start in range(0, len(entries), 10):
        bus.put_events(Entries=entries[start : start + 10])
    return {"batchItemFailures": []}
