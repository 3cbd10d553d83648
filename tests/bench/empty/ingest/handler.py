"""Store a sale unseen."""

import base64
import json
import os
from typing import Any

import boto3

dynamodb = boto3.client("dynamodb")


def handle(event: dict[str, Any], context: object) -> dict[str, Any]:
    for record in event["Records"]:
        body = json.loads(record["body"])
        sale = json.loads(base64.b64decode(body["payload"]))["sale"]
        dynamodb.put_item(
            TableName=os.environ["SALES_TABLE"],
            Item={
                "pk": {"S": f"STATION#{sale['station_id']}"},
                "sk": {"S": f"SALE#{sale['sale_id']}"},
                "type": {"S": "sale"},
                "status": {"S": "received"},
            },
        )
    return {"batchItemFailures": []}
