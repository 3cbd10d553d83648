"""How a function reads a table's stream: in order, bounded, and never stuck on one record."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as event_sources

from infra.queues import usable_by

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infra.functions import PlatformFunction
    from infra.queues import FailureQueue
    from infra.tables import ItemTable

__all__ = ["Pace", "read_stream"]

# Enough to ride out a throttled table or a deployment, few enough that one bad record does not
# hold up its shard until the stream forgets the rest (24 hours).
RETRIES_MAX = 20
RECORD_AGE_MAX = cdk.Duration.hours(6)
BATCH_SIZE = 100
# Records of one partition stay in order; this many partitions of a shard are worked on at once.
PARALLEL_BATCHES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How a stream's records are handed over: how many, after how long, in how many hands."""

    batch_size: int = BATCH_SIZE
    window: cdk.Duration | None = None
    parallel_batches: int = PARALLEL_BATCHES


AT_ONCE = Pace()


def read_stream(
    function: PlatformFunction,
    table: ItemTable,
    *,
    filters: Sequence[Mapping[str, object]],
    on_failure: FailureQueue,
    pace: Pace = AT_ONCE,
) -> None:
    """
    Feed *function* with those records of the table's stream that match one of *filters*.

    What still fails after the last retry leaves its place in the stream in *on_failure*; the items
    themselves stay in the table, from where they can be processed again.
    """
    function.add_event_source(
        event_sources.DynamoEventSource(
            table.stream_for(function),
            # A record written while the mapping is being made must not be missed.
            starting_position=lambda_.StartingPosition.TRIM_HORIZON,
            batch_size=pace.batch_size,
            max_batching_window=pace.window,
            parallelization_factor=pace.parallel_batches,
            report_batch_item_failures=True,
            bisect_batch_on_error=True,
            retry_attempts=RETRIES_MAX,
            max_record_age=RECORD_AGE_MAX,
            on_failure=event_sources.SqsDlq(usable_by(function, on_failure)),
            filters=[{"pattern": json.dumps(pattern)} for pattern in filters],
        )
    )
    function.reads_a_stream = True
