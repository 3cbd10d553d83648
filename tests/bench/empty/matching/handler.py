"""Pass every sale on."""

import os
from typing import Any

import boto3

dynamodb = boto3.client("dynamodb")


def handle(event: dict[str, Any], context: object) -> dict[str, Any]:
    for record in event["Records"]:
        dynamodb.update_item(
            TableName=os.environ["SALES_TABLE"],
            Key=record["dynamodb"]["Keys"],
            UpdateExpression="SET #status = :matched",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={":matched": {"S": "matched"}},
        )
    return {"batchItemFailures": []}
