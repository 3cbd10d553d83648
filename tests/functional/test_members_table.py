"""The members' items: what happens when somebody else is faster, and on long lists."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from forecourt.bus import DetailType
from forecourt.events import events_of
from forecourt.hashes import EvidenceKey
from forecourt.identities_table import IdentitiesTable
from forecourt.members_table import MembersTable
from forecourt.sealing import Sealer
from tests.functional.conftest import LOYALTY_TABLE, SEAL_KEY_ID
from tests.functional.world import block_of

NOW = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
PLATE = EvidenceKey(kind="plate", digest="a" * 22)


@pytest.fixture
def table(dynamodb: Any) -> MembersTable:
    sealer = Sealer(boto3.client("kms"), key_id=SEAL_KEY_ID)
    members = MembersTable(dynamodb, name=LOYALTY_TABLE, sealer=sealer)
    members.enrol("m-1", {"name": "Li"}, enrolled_by="m-1", enrolled_at=NOW)
    return members


def items(dynamodb: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = dynamodb.scan(TableName=LOYALTY_TABLE)["Items"]
    return found


def test_two_changes_at_once_are_both_kept(
    table: MembersTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = table.member
    rivals = [{"language": "zh"}]

    def overtaken(member_id: str) -> Any:
        member = read(member_id)
        if rivals:
            table.change(member_id, rivals.pop(), expected_version=None)
        return member

    monkeypatch.setattr(table, "member", overtaken)
    changed = table.change("m-1", {"name": "Lei"}, expected_version=None)

    assert (changed.version, changed.profile) == (3, {"name": "Lei", "language": "zh"})


def test_a_sealed_value_opens_only_in_its_own_item(table: MembersTable, dynamodb: Any) -> None:
    table.enrol("m-2", {"name": "Han"}, enrolled_by="m-2", enrolled_at=NOW)
    thief = replace(table.member("m-1"), sealed=table.member("m-2").sealed)

    with pytest.raises(ClientError):
        table.open(thief)

    assert table.open(table.member("m-1")).profile == {"name": "Li"}
    assert items(dynamodb)


def test_what_the_tables_write_is_what_the_bus_is_told(table: MembersTable, dynamodb: Any) -> None:
    table.change("m-1", {"name": "Lei"}, expected_version=None)
    identities = IdentitiesTable(
        dynamodb,
        name=LOYALTY_TABLE,
        sealer=Sealer(boto3.client("kms"), key_id=SEAL_KEY_ID),
        block_of=block_of,
    )
    identities.bind("m-1", PLATE, "浙A12345", bound_at=NOW)
    identities.unbind("m-1", PLATE, unbound_at=NOW)

    told = [event for record in stream_of(dynamodb) for event in events_of(record)]

    assert [event.detail_type for event in told] == [
        DetailType.MEMBER_ENROLLED,
        DetailType.MEMBER_CHANGED,
        DetailType.IDENTITY_BOUND,
        DetailType.IDENTITY_UNBOUND,
    ]
    assert "12345" not in str(told)
    assert {event.detail["member_id"] for event in told} == {"m-1"}


def stream_of(dynamodb: Any) -> list[dict[str, Any]]:
    """Return every record of the Loyalty table's stream."""
    streams = boto3.client("dynamodbstreams")
    arn = dynamodb.describe_table(TableName=LOYALTY_TABLE)["Table"]["LatestStreamArn"]
    (shard,) = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    iterator = streams.get_shard_iterator(
        StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    records: list[dict[str, Any]] = streams.get_records(ShardIterator=iterator)["Records"]
    return records
