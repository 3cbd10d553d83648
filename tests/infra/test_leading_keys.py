"""What the local policy evaluation takes for a request's leading keys."""

from __future__ import annotations

from typing import Any

import pytest

from infra.local.leading_keys import leading_keys, transaction_keys

SALE = {"pk": {"S": "STATION#s0001"}, "sk": {"S": "SALE#1"}}
POINTER = {"pk": {"S": "EVIDENCE#plate#d"}, "sk": {"S": "SALE#1"}}


@pytest.mark.parametrize(
    ("request_body", "keys"),
    [
        ({"TableName": "Sales", "Key": SALE}, ["STATION#s0001"]),
        ({"TableName": "Sales", "Item": {**SALE, "volume_ml": {"N": "1"}}}, ["STATION#s0001"]),
        ({"TableName": "Requests", "Key": {"id": {"S": "r-1"}}}, ["r-1"]),
        (
            {"RequestItems": {"Sales": {"Keys": [SALE, POINTER]}}},
            ["STATION#s0001", "EVIDENCE#plate#d"],
        ),
        (
            {"RequestItems": {"Sales": [{"PutRequest": {"Item": SALE}}]}},
            ["STATION#s0001"],
        ),
        (
            {"RequestItems": {"Sales": [{"DeleteRequest": {"Key": POINTER}}]}},
            ["EVIDENCE#plate#d"],
        ),
        (
            {
                "KeyConditionExpression": "pk = :pk AND begins_with(sk, :prefix)",
                "ExpressionAttributeValues": {":pk": {"S": "MEMBER#1"}, ":prefix": {"S": "T#"}},
            },
            ["MEMBER#1"],
        ),
        (
            {
                "KeyConditionExpression": "#queue = :queue",
                "ExpressionAttributeNames": {"#queue": "queue"},
                "ExpressionAttributeValues": {":queue": {"S": "held"}},
            },
            ["held"],
        ),
        ({"TableName": "Sales"}, []),
    ],
)
def test_the_leading_keys_are_all_partitions_a_request_names(
    request_body: dict[str, Any], keys: list[str]
) -> None:
    assert leading_keys(request_body) == keys


def test_each_member_of_a_transaction_has_its_own_operation_and_key() -> None:
    transaction = {
        "TransactItems": [
            {"Update": {"TableName": "Sales", "Key": SALE}},
            {"Put": {"TableName": "Sales", "Item": POINTER}},
            {"ConditionCheck": {"TableName": "Loyalty", "Key": {"pk": {"S": "MEMBER#1"}}}},
        ]
    }

    assert list(transaction_keys(transaction)) == [
        ("dynamodb:UpdateItem", "Sales", "STATION#s0001"),
        ("dynamodb:PutItem", "Sales", "EVIDENCE#plate#d"),
        ("dynamodb:ConditionCheckItem", "Loyalty", "MEMBER#1"),
    ]


def test_a_request_without_a_known_partition_key_is_not_waved_through() -> None:
    with pytest.raises(KeyError):
        leading_keys({"TableName": "Other", "Key": {"name": {"S": "x"}}})
