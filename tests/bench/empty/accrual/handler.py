"""Write an entry without points."""

import os
from typing import Any

import boto3

dynamodb = boto3.client("dynamodb")


def handle(event: dict[str, Any], context: object) -> dict[str, Any]:
    for record in event["Records"]:
        sale_id = record["dynamodb"]["Keys"]["sk"]["S"].removeprefix("SALE#")
        dynamodb.put_item(
            TableName=os.environ["LOYALTY_TABLE"],
            Item={
                "pk": {"S": "MEMBER#nobody"},
                "sk": {"S": f"T#{sale_id}"},
                "type": {"S": "entry"},
            },
        )
    return {"batchItemFailures": []}
