"""The books: entries as they were committed, days closed for good, and the ledger verified."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as event_sources
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from infra.buckets import FileBucket
from infra.functions import PlatformFunction
from infra.queues import FailureQueue, WorkQueue, report_failures, usable_by
from infra.schedules import schedule, scheduler_role, zone_of
from infra.streams import Pace, read_stream

if TYPE_CHECKING:
    from infra.functions import Runtime
    from infra.keys import Keys
    from infra.tables import Tables

__all__ = ["Books"]

# How long tax law and auditors may ask for a book. Years have leap days, too.
BOOKS_LOCKED_FOR = cdk.Duration.days(3653)
# What came is in a book after a day; it is kept for whoever doubts the book.
ARRIVALS_KEPT_FOR = cdk.Duration.days(90)
REPORTS_KEPT_FOR = cdk.Duration.days(400)
# As long as it is known what a run of learning came to.
GATHERED_KEPT_FOR = cdk.Duration.days(90)

ENTRY_POSTED = {
    "eventName": ["INSERT"],
    "dynamodb": {"NewImage": {"type": {"S": ["entry"]}}},
}
# A book is closed at night: few large objects cost less than many small ones, and nobody waits.
IN_BULK = Pace(batch_size=1000, window=cdk.Duration.seconds(60), parallel_batches=1)

# After the stream has had three hours to deliver a day's last entry, and reconciliation is done.
CLOSED_AT = {"hour": "3", "minute": "0"}
# The night before a working week, when the least is posted.
VERIFIED_AT = {"hour": "4", "minute": "0", "week_day": "MON"}
LONGEST = cdk.Duration.minutes(15)  # Lambda lets nothing run longer
# DuckDB sorts on disk what does not fit into memory.
CLOSING_DISK = cdk.Size.gibibytes(4)
CLOSING_MEMORY_MB = 3008
# All entries of one owner are in memory while they are verified: about 1 KB each.
VERIFICATION_MEMORY_MB = 2048
SEGMENTS_AT_ONCE = 4  # readers share the table with the day's business
SEGMENT_AGE_MAX = cdk.Duration.hours(12)  # the segments wait for each other


class Books(Construct):
    """
    The archive of entries, the daily close and the weekly verification.

    `closed` is the bucket of closed days, `workings` that of arrivals, of verification reports, and
    of what weights are learnt from.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        tables: Tables,
        keys: Keys,
        group: scheduler.IScheduleGroup,
        runtime: Runtime,
    ) -> None:
        super().__init__(scope, construct_id)
        self._tables = tables
        self._keys = keys
        self._runtime = runtime
        target = runtime.target
        self.closed = FileBucket(
            self, "Closed", keys=keys, target=target, locked_for=BOOKS_LOCKED_FOR
        )
        self.workings = FileBucket(
            self,
            "Workings",
            keys=keys,
            target=target,
            expiring=[
                _expiring("arrivals/", ARRIVALS_KEPT_FOR),
                _expiring("verifications/", REPORTS_KEPT_FOR),
                _expiring("learnings/", GATHERED_KEPT_FOR),
            ],
        )
        not_closed, not_started = self._failures("NotClosed"), self._failures("NotStarted")
        self.archive = self._archive()
        self.closing = self._closing(not_closed)
        self.verification = self._verification(not_started)
        role = scheduler_role(
            self,
            self.closing,
            self.verification,
            description="closes the books and has them verified",
        )
        schedule(
            self,
            "DailyClose",
            description="Closes the books of the day before",
            at=CLOSED_AT,
            group=group,
            function=self.closing,
            input_={},
            failures=not_closed,
            role=role,
        )
        schedule(
            self,
            "WeeklyVerification",
            description="Verifies the whole ledger",
            at=VERIFIED_AT,
            group=group,
            function=self.verification,
            failures=not_started,
            role=role,
            # However often the scheduler tries, it is one run.
            input_={"run_id": scheduler.ContextAttribute.scheduled_time},
        )

    def _archive(self) -> PlatformFunction:
        archive = PlatformFunction(
            self,
            "Archive",
            name="archive",
            description="Keeps every entry as it was committed, for the book of its day",
            runtime=self._runtime,
            environment={"WORKINGS_BUCKET": self.workings.bucket_name},
            timeout=cdk.Duration.seconds(60),
        )
        self.workings.let(archive, "PutObject", below="arrivals/")
        read_stream(
            archive,
            self._tables.loyalty,
            filters=[ENTRY_POSTED],
            on_failure=self._failures("NotArchived"),
            pace=IN_BULK,
        )
        return archive

    def _closing(self, failures: FailureQueue) -> PlatformFunction:
        closing = PlatformFunction(
            self,
            "Closing",
            name="closing",
            description="Closes the books of the days that are over",
            runtime=self._runtime,
            environment={
                "LOYALTY_TABLE": self._tables.loyalty.table_name,
                "BOOKS_BUCKET": self.closed.bucket_name,
                "WORKINGS_BUCKET": self.workings.bucket_name,
                "ZONE": zone_of(self),
            },
            memory_mb=CLOSING_MEMORY_MB,
            timeout=LONGEST,
        )
        closing.add_layers(self._runtime.parquet_layer)
        closing.resource.ephemeral_storage = lambda_.CfnFunction.EphemeralStorageProperty(
            size=CLOSING_DISK.to_mebibytes()
        )
        loyalty = self._tables.loyalty
        loyalty.let(closing, "Query", leading_keys=["BOOKS", "MEMBER#*"])
        loyalty.let(closing, "BatchGetItem", leading_keys=["MEMBER#*"])
        loyalty.let(closing, "PutItem", leading_keys=["BOOKS"])
        self.closed.let(closing, "GetObject", "PutObject", below="books/")
        self.workings.let(closing, "GetObject", "PutObject", below="arrivals/")
        self.workings.let_list(closing, below="arrivals/")
        report_failures(closing, failures)
        return closing

    def _verification(self, failures: FailureQueue) -> PlatformFunction:
        segments = WorkQueue(
            self,
            "Segments",
            keys=self._keys,
            target=self._runtime.target,
            failures=self._failures("NotVerified"),
            reader_timeout=LONGEST,
            age_max=SEGMENT_AGE_MAX,
        )
        loyalty = self._tables.loyalty
        verification = PlatformFunction(
            self,
            "Verification",
            name="verification",
            description="Verifies accounts against their entries, and closed days",
            runtime=self._runtime,
            environment={
                "LOYALTY_TABLE": loyalty.table_name,
                "BOOKS_BUCKET": self.closed.bucket_name,
                "WORKINGS_BUCKET": self.workings.bucket_name,
                "SEGMENTS_QUEUE_URL": segments.queue_url,
            },
            memory_mb=VERIFICATION_MEMORY_MB,
            timeout=LONGEST,
        )
        verification.let_feed_itself()  # until the table ends
        segments_without_key = usable_by(verification, segments)
        verification.allow("sqs:SendMessage", on=segments.queue_arn)
        verification.add_event_source(
            event_sources.SqsEventSource(
                segments_without_key, batch_size=1, max_concurrency=SEGMENTS_AT_ONCE
            )
        )
        # Whose account is gone stands in no index; only a scan finds everybody.
        loyalty.let_scan(verification)
        loyalty.let(verification, "Query", leading_keys=["BOOKS", "MEMBER#*"])
        loyalty.let(verification, "PutItem", leading_keys=["VERIFICATIONS"])
        # Whether every entry of the last closed days is in a book.
        self.closed.let(verification, "GetObject", below="books/")
        self.workings.let(verification, "GetObject", "PutObject", below="verifications/")
        self.workings.let_list(verification, below="verifications/")
        report_failures(verification, failures)
        return verification

    def _failures(self, construct_id: str) -> FailureQueue:
        return FailureQueue(self, construct_id, keys=self._keys, target=self._runtime.target)


def _expiring(prefix: str, after: cdk.Duration) -> s3.LifecycleRule:
    return s3.LifecycleRule(
        prefix=prefix, expiration=after, noncurrent_version_expiration=cdk.Duration.days(1)
    )
